// Fails when the script that the page waits for has grown past what a page this size may weigh.
import { readFileSync, readdirSync, statSync } from "node:fs";

const BUDGET = 150 * 1024;
const dist = new URL("../dist/", import.meta.url);
const size = (path) => statSync(new URL(path, dist)).size;
const first = [...readFileSync(new URL("index.html", dist), "utf8").matchAll(/(?:src|href)="([^"]+\.js)"/g)];
const bytes = first.reduce((sum, [, path]) => sum + size(path), 0);
const all = readdirSync(new URL("assets/", dist)).filter((name) => name.endsWith(".js"));
const total = all.reduce((sum, name) => sum + size(`assets/${name}`), 0);
const kib = (n) => `${(n / 1024).toFixed(1)} KiB`;
console.log(`scripts: ${kib(bytes)} at first (budget ${kib(BUDGET)}), ${kib(total)} with what comes later`);
if (bytes === 0 || bytes > BUDGET) {
  console.error("over budget: take something out, or raise BUDGET in scripts/budget.js and say why");
  process.exit(1);
}
