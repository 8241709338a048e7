// node mock/main.js [laptop|delta] [--at MS] [--speed N] [--port N]
import { parseArgs } from "node:util";
import { TOKEN, start } from "./server.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { at: { type: "string" }, speed: { type: "string" }, port: { type: "string" } },
});
const { url } = await start({
  name: positionals[0] ?? "laptop",
  at: Number(values.at ?? 20_000),
  speed: Number(values.speed ?? 1),
  port: Number(values.port ?? 7070),
});
console.log(`${url}/#token=${TOKEN}`);
