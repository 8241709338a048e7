/* Written by hand after crates/wire/src/view until `npm run types` can make it from openapi.json. */

export interface components {
  schemas: {
    Agent: {
      version: string;
      engine: string;
      engine_version: string;
      enforcement: string;
      data_url?: string | null;
    };
    Asked: {
      kind: string;
      parts: components["schemas"]["Part"][];
      within: string;
      limit_ms?: number | null;
      expected_ms?: number | null;
      inputs: components["schemas"]["Input"][];
      outputs: components["schemas"]["Output"][];
      objective: string;
      budget?: components["schemas"]["Money"] | null;
      preemptible: boolean;
      lease_ms?: number | null;
      retries: number;
      centers: string[];
      regions: string[];
    };
    Attempt: {
      attempt: string;
      state: string;
      center: string;
      pool: string;
      variant: number;
      nodes: components["schemas"]["Node"][];
      plan: string;
      offered_ms: number;
      planned_start_ms: number;
      planned_finish_ms: number;
      until_ms: number;
      started_ms?: number | null;
      ended_ms?: number | null;
      outcome?: string | null;
      price: components["schemas"]["Money"];
      inputs: string[];
      awaits: string[];
    };
    Candidate: {
      center: string;
      pool: string;
      variant: number;
      data_ready_ms: number;
      start_ms: number;
      finish_ms: number;
      until_ms: number;
      price: components["schemas"]["Money"];
      energy_mwh: number;
      staged_bytes: number;
    };
    Center: {
      center: string;
      owner: string;
      region?: string | null;
      latitude_micro: number;
      longitude_micro: number;
      time_zone: string;
      engine: string;
      agent?: components["schemas"]["Agent"] | null;
      silent_since_ms?: number | null;
      pools: components["schemas"]["Pool"][];
      attempts: number;
      store_bytes?: number | null;
      pue_thousandths: number;
      lend_percent: number;
      only_tenants: string[];
    };
    Centers: {
      centers: components["schemas"]["Center"][];
    };
    Chip: {
      chip: string;
      vendor: string;
      model: string;
      class: string;
      stack: string;
    };
    Chips: {
      chips: components["schemas"]["Chip"][];
    };
    Dataset: {
      dataset: string;
      tenant: string;
      versions: components["schemas"]["DatasetVersion"][];
    };
    DatasetVersion: {
      version: string;
      bytes: number;
      files: number;
      registered_ms: number;
      residency: string[];
      replicas: string[];
      made_by?: string | null;
    };
    Datasets: {
      datasets: components["schemas"]["Dataset"][];
    };
    End: {
      kind: string;
      name: string;
    };
    Exchange: {
      exchange: string;
      region: string;
      latitude_micro: number;
      longitude_micro: number;
    };
    Exchanges: {
      exchanges: components["schemas"]["Exchange"][];
    };
    Input: {
      name: string;
      dataset: string;
      stream_bps?: number | null;
    };
    Job: {
      job: string;
      name: string;
      tenant: string;
      state: string;
      priority: number;
      submitted_ms: number;
      promised_ms?: number | null;
      started_ms?: number | null;
      ended_ms?: number | null;
      deadline_ms?: number | null;
      center?: string | null;
      pool?: string | null;
      chip?: string | null;
      nodes: number;
      chips_milli: number;
      attempts: number;
      price?: components["schemas"]["Money"] | null;
      outcome?: string | null;
    };
    JobDetail: components["schemas"]["Job"] & {
      asked: components["schemas"]["Asked"];
      tries: components["schemas"]["Attempt"][];
    };
    Jobs: {
      jobs: components["schemas"]["Job"][];
      next?: string | null;
    };
    Link: {
      link: string;
      a: components["schemas"]["End"];
      b: components["schemas"]["End"];
      capacity_bps: number;
      booked_forward_bps: number;
      booked_backward_bps: number;
      latency_us: number;
      carrier: string;
      price_per_gbps_hour: components["schemas"]["Money"];
      risk_group?: string | null;
    };
    Links: {
      links: components["schemas"]["Link"][];
    };
    Money: {
      micros: number;
      currency: string;
    };
    Node: {
      node: number;
      chips: number[];
      share_milli: number;
    };
    Output: {
      name: string;
      dataset: string;
      residency: string[];
    };
    Part: {
      name: string;
      variants: components["schemas"]["Variant"][];
    };
    Plan: {
      candidates: components["schemas"]["Candidate"][];
      standings: components["schemas"]["Standing"][];
      ahead: number;
    };
    Pool: {
      pool: string;
      chip?: string | null;
      nodes: number;
      chips_per_node: number;
      cores_milli: number;
      memory_bytes: number;
      chips_milli: number;
      chips_held_milli: number;
      cores_held_milli: number;
      price_per_hour: components["schemas"]["Money"];
    };
    Problem: {
      type: string;
      title: string;
      status: number;
      detail: string;
    };
    RateStep: {
      from_ms: number;
      until_ms: number;
      rate_bps: number;
    };
    Standing: {
      center: string;
      reason: string;
      text: string;
      may_pass: boolean;
    };
    Transfer: {
      transfer: string;
      dataset: string;
      version: string;
      bytes: number;
      from: string;
      to: string;
      hops: string[];
      steps: components["schemas"]["RateStep"][];
      arrives_ms: number;
      price: components["schemas"]["Money"];
    };
    Transfers: {
      transfers: components["schemas"]["Transfer"][];
    };
    Variant: {
      on: unknown;
      nodes: number;
      chips_per_node_milli: number;
      cores_milli: number;
      memory_bytes: number;
      command: string[];
      image?: string | null;
    };
    Why: {
      job: string;
      state: string;
      summary: string;
      plan?: components["schemas"]["Plan"] | null;
      tries: components["schemas"]["Attempt"][];
    };
  };
}

interface Get<Body, Query = never, Path = undefined, Media extends string = "application/json"> {
  get: {
    parameters: { query?: Query } & ([Path] extends [undefined] ? { path?: never } : { path: Path });
    responses: {
      200: { content: { [K in Media]: Body } };
      default: { content: { "application/problem+json": components["schemas"]["Problem"] } };
    };
  };
}

type Schemas = components["schemas"];

export interface paths {
  "/v1/centers": Get<Schemas["Centers"], never, undefined>;
  "/v1/chips": Get<Schemas["Chips"], never, undefined>;
  "/v1/datasets": Get<Schemas["Datasets"], never, undefined>;
  "/v1/exchanges": Get<Schemas["Exchanges"], never, undefined>;
  "/v1/links": Get<Schemas["Links"], never, undefined>;
  "/v1/transfers": Get<Schemas["Transfers"], never, undefined>;
  "/v1/jobs": Get<Schemas["Jobs"], { state?: string; limit?: number; before?: string }, undefined>;
  "/v1/jobs/{job}": Get<Schemas["JobDetail"], never, { job: string }>;
  "/v1/jobs/{job}/logs": Get<string, { stream?: "stdout" | "stderr"; offset?: number; max?: number; attempt?: number }, { job: string }, "text/plain">;
  "/v1/jobs/{job}/why": Get<Schemas["Why"], never, { job: string }>;
}
