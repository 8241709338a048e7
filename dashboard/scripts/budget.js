// Fails when the built scripts have grown past what a page this size may weigh.
import { readdirSync, statSync } from "node:fs";

const BUDGET = 150 * 1024;
const dir = new URL("../dist/assets/", import.meta.url);
const scripts = readdirSync(dir).filter((name) => name.endsWith(".js"));
const bytes = scripts.reduce((sum, name) => sum + statSync(new URL(name, dir)).size, 0);
console.log(`scripts: ${(bytes / 1024).toFixed(1)} KiB of ${BUDGET / 1024} KiB`);
if (bytes > BUDGET) {
  console.error("over budget: take something out, or raise BUDGET in scripts/budget.js and say why");
  process.exit(1);
}
