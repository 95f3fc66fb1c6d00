// Takes pictures of every screen of a running server, light and dark, wide and narrow, for eyes to look at; says
// what the console said, what overflows, and how far things jumped. SHOTS=metrics,targets takes only those.
//
//   node scripts/shots.mjs http://127.0.0.1:8272 /tmp/shots [trace-id] [service] [histogram]
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const [server, out, trace, service, metric] = process.argv.slice(2);
if (!server || !out) {
  console.error("usage: node scripts/shots.mjs SERVER FOLDER [TRACE-ID] [SERVICE] [HISTOGRAM]");
  process.exit(2);
}
mkdirSync(out, { recursive: true });

const ask = encodeURIComponent;
const expr = `histogram_quantile(0.95, sum by (le, route) (rate(${metric}_bucket[5m])))`;
const only = process.env.SHOTS?.split(",");
const screens = [
  ["services", "/services"],
  ["service", service && `/services/${encodeURIComponent(service)}`],
  ["traces", "/traces"],
  ["trace", trace && `/traces/${trace}`],
  ["logs", "/logs"],
  ["metrics", "/explore"],
  [
    "metrics-graph",
    `/explore?q.A=${ask("sum by (job) (rate(scrape_samples_scraped[5m]))")}&q.B=${ask("up")}`,
  ],
  ["metrics-wrong", `/explore?q.A=${ask("sum(rate(up[5m]) by (job)")}`],
  ["metrics-table", `/explore?q.A=${ask("scrape_samples_scraped")}&view=table`],
  ...(metric
    ? [
        ["metrics-glance", `/explore?metric=${ask(metric)}&q.A=${ask(expr)}`],
        ["metrics-heat", `/explore?view=heat&q.A=${ask(`sum by (le) (rate(${metric}_bucket[5m]))`)}`],
      ]
    : []),
  ["cardinality", "/explore?tab=cardinality"],
  ["targets", "/targets"],
  ["send-data", "/send-data"],
  ["settings", "/settings"],
];
const sizes = [
  [1280, 800],
  [390, 844],
];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
let wrong = 0;
const complain = (name, text) => {
  wrong++;
  console.log(`${name}: ${text}`);
};
for (const [name, path] of screens) {
  if (!path || (only && !only.includes(name))) continue;
  for (const colorScheme of ["light", "dark"]) {
    for (const [width, height] of sizes) {
      const title = `${name}-${colorScheme}-${width}`;
      const context = await browser.newContext({ viewport: { width, height }, colorScheme });
      const page = await context.newPage();
      page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) complain(title, message.text());
      });
      page.on("pageerror", (error) => complain(title, error.message));
      await page.addInitScript(() => {
        window.shifted = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
        }).observe({ type: "layout-shift", buffered: true });
      });
      // Requests under way; the live tail never ends and does not count.
      let asking = 0;
      const counts = (request) => request.url().includes("/api/") && !request.url().includes("/tail");
      page.on("request", (request) => counts(request) && asking++);
      page.on("requestfinished", (request) => counts(request) && asking--);
      page.on("requestfailed", (request) => counts(request) && asking--);
      await page.goto(server + path);
      await page.waitForSelector("main > *", { timeout: 10_000 });
      const end = Date.now() + 10_000;
      for (let calm = 0; calm < 4 && Date.now() < end; calm = asking === 0 ? calm + 1 : 0) {
        await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100))));
      }
      const state = await page.evaluate(() => ({
        over: document.documentElement.scrollWidth - window.innerWidth,
        shifted: window.shifted,
      }));
      if (state.over > 0) complain(title, `overflows by ${state.over} px`);
      if (state.shifted > 0.01) complain(title, `layout shift ${state.shifted.toFixed(3)}`);
      await page.screenshot({ path: `${out}/${title}.png` });
      await context.close();
    }
  }
}
await browser.close();
console.log(wrong ? `${wrong} complaints` : "no complaints");
process.exit(wrong ? 1 : 0);
