// The API's nouns by their names. The shapes are the server's own (schema.d.ts).
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Attempt = Schemas["Attempt"];
export type Candidate = Schemas["Candidate"];
export type Center = Schemas["Center"];
export type Chip = Schemas["Chip"];
export type Dataset = Schemas["Dataset"];
export type Exchange = Schemas["Exchange"];
export type Job = Schemas["Job"];
export type JobDetail = Schemas["JobDetail"];
export type Link = Schemas["Link"];
export type Money = Schemas["Money"];
export type Plan = Schemas["Plan"];
export type Transfer = Schemas["Transfer"];
export type Why = Schemas["Why"];
