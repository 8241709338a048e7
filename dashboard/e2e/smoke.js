// Opens the built page in a real browser against the mock server and looks at it.
// `node e2e/smoke.js` writes pictures to e2e/shots.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";
import { TOKEN, start } from "../mock/server.js";

const SHOTS = new URL("shots/", import.meta.url).pathname;
mkdirSync(SHOTS, { recursive: true });
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });

async function open(url, width, height, colorScheme = "light") {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  const page = await context.newPage();
  page.on("console", (m) => m.type() === "error" && !m.text().includes("Failed to load resource") && problems.push(m.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(url);
  return page;
}

const problems = [];
const shot = (page, name) => page.screenshot({ path: `${SHOTS}${name}.png` });

try {
  const laptop = await start({ name: "laptop", at: 38_000 });
  const page = await open(`${laptop.url}/#token=${TOKEN}`, 1280, 800);
  await page.locator("tbody tr").first().waitFor();
  assert.equal(new URL(page.url()).hash, "", "the token leaves the address bar");
  assert.equal(await page.locator("svg g.center").count(), 3);
  assert.equal(await page.locator("svg .labels text").count(), 4, "every site of a small network has its name");
  await page.waitForTimeout(9_000);
  await shot(page, "laptop-wide");

  const before = await page.locator("tbody tr").count();
  await page.waitForFunction((n) => document.querySelectorAll("tbody tr").length > n, before);

  await page.getByRole("button", { name: /Center lingang/ }).hover();
  await page.locator(".card").getByText("nvidia-a100").waitFor();
  await shot(page, "laptop-center");
  await page.mouse.move(5, 5);

  await page.getByRole("button", { name: "Details of job-10" }).click();
  await page.getByText("Why it waits").waitFor();
  await page.getByText("the gang wants 8").waitFor();
  await shot(page, "laptop-why");
  await page.keyboard.press("Escape");
  await page.locator("tr", { hasText: "running" }).first().click();
  await page.locator("pre").getByText("loss").first().waitFor();
  await shot(page, "laptop-job");
  await page.getByLabel("Close").click();
  await page.getByPlaceholder(/Filter/).fill("no such thing");
  await page.getByText("No job matches").waitFor();
  await page.getByPlaceholder(/Filter/).fill("");

  laptop.cut();
  await page.getByText("Connection lost at").waitFor();
  await shot(page, "laptop-lost");
  laptop.mend();
  await page.getByText("Connection lost at").waitFor({ state: "hidden" });

  const dark = await open(`${laptop.url}/#token=${TOKEN}`, 1280, 800, "dark");
  await dark.waitForTimeout(5_000);
  await shot(dark, "laptop-dark");
  const narrow = await open(`${laptop.url}/#token=${TOKEN}`, 480, 900);
  await narrow.locator("tbody tr").first().waitFor();
  await narrow.waitForTimeout(1_500);
  await shot(narrow, "laptop-narrow");
  const sideways = await narrow.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(sideways <= 0, `a narrow page scrolls sideways by ${sideways} px`);
  await narrow.locator("tbody tr").nth(2).click();
  await narrow.waitForTimeout(800);
  await shot(narrow, "laptop-narrow-job");

  const refused = await open(`${laptop.url}/#token=ptl_wrong`, 480, 900);
  await refused.getByText("does not accept this token").waitFor();
  await shot(refused, "sign-in");
  await refused.getByLabel("Token").fill(TOKEN);
  await refused.getByRole("button", { name: "Open the chart" }).click();
  await refused.locator("tbody tr").first().waitFor();
  await laptop.stop();

  const delta = await start({ name: "delta", at: 120_000 });
  const wide = await open(`${delta.url}/#token=${TOKEN}`, 1280, 800);
  await wide.locator("tbody tr").first().waitFor();
  assert.equal(await wide.locator("svg g.center").count(), 25);
  await wide.waitForTimeout(6_000);
  await shot(wide, "delta-wide");
  const wider = await open(`${delta.url}/#token=${TOKEN}`, 1920, 1080, "dark");
  await wider.waitForTimeout(3_000);
  await shot(wider, "delta-wider-dark");
  const thin = await open(`${delta.url}/#token=${TOKEN}`, 480, 900);
  await thin.locator("tbody tr").first().waitFor();
  await thin.waitForTimeout(1_500);
  await shot(thin, "delta-narrow");
  await delta.stop();
  assert.deepEqual(problems, []);
  console.log(`smoke: good; pictures in ${SHOTS}`);
} finally {
  await browser.close();
}
