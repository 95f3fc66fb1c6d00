// Measures how smooth a large flame graph is in a browser: the page of a running server, with a made-up profile in
// place of the server's answer. Prints how long the tree takes to build, and the time between frames while the
// pointer crosses the graph, while it is scrolled, searched and zoomed.
//
//   node scripts/flame-frames.mjs http://127.0.0.1:8272 [calls, default 200000]
import { chromium } from "playwright-core";

const [server, wanted] = process.argv.slice(2);
const calls = Number(wanted ?? 200_000);
if (!server || !(calls > 0)) {
  console.error("usage: node scripts/flame-frames.mjs SERVER [CALLS]");
  process.exit(2);
}

/** Stacks 40 deep whose calls share their callers' time by chance, of 5,000 functions; the same each time. */
function profile() {
  let seed = 1;
  const chance = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const functions = Array.from({ length: 5000 }, (_, i) => [
    `Module${i % 97}.function_${i}`,
    `/srv/app/package${i % 31}/module${i % 97}.py`,
    ["app", "library", "python", "native"][i % 4],
  ]);
  const a = { parent: [], function: [], line: [], own: [], sum: [] };
  const total = 1e12;
  const open = [{ parent: 0, value: total, depth: 0 }];
  while (open.length && a.parent.length < calls) {
    const at = open.pop();
    let left = at.value;
    const below = [];
    for (let i = 0; i < 3 && at.depth < 40 && left > 1000; i++) {
      below.push(Math.floor(left * (0.5 + chance() * 0.4)));
      left -= below[i];
    }
    if (at.depth) {
      a.parent.push(at.parent);
      a.function.push(Math.floor(chance() * functions.length));
      a.line.push(1 + Math.floor(chance() * 400));
      a.own.push(left);
      a.sum.push(at.value);
    }
    // Depth first: what is pushed last, the heaviest, comes next.
    const parent = a.parent.length;
    for (const value of below.reverse()) open.push({ parent, value, depth: at.depth + 1 });
  }
  const head = { type: "cpu", unit: "nanoseconds", total, left_out: 0, stacks: calls, nodes: calls };
  return { ...head, nodes_left_out: 0, functions, ...a };
}

const answer = JSON.stringify(profile());
const nodes = JSON.parse(answer).parent.length;
const types = [{ type: "cpu", unit: "nanoseconds", sum: 1e12 }];
const answers = {
  summary: { services: [{ service: "made-up", types }], versions: [], endpoints: [], threads: [] },
  series: { from_ns: "0", to_ns: "1000000000", step_ns: 1e9, times: [0], by: "type", series: [] },
};

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
await page.route("**/api/v1/profiles/*", (route) => {
  const name = new URL(route.request().url()).pathname.split("/").pop();
  return route.fulfill({
    contentType: "application/json",
    body: name === "flame" ? answer : JSON.stringify(answers[name] ?? {}),
  });
});
await page.addInitScript(() => {
  window.frames_ = [];
  let last = 0;
  const each = (now) => {
    if (last) window.frames_.push(now - last);
    last = now;
    requestAnimationFrame(each);
  };
  requestAnimationFrame(each);
});
page.on("pageerror", (error) => console.error(error.message));
await page.goto(`${server}/profiles?live=0`);
const canvas = page.locator("canvas.flame-canvas");
await canvas.waitFor({ timeout: 120_000 });
const whole = Number(/of (\d+) calls/.exec(await canvas.getAttribute("aria-label"))[1]);
console.log(`${nodes} calls in the answer, ${whole} frames in the picture`);

async function measure(name, act) {
  await page.evaluate(() => {
    window.frames_.length = 0;
  });
  await act();
  const times = (await page.evaluate(() => window.frames_)).sort((a, b) => a - b);
  const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  console.log(
    `${name.padEnd(10)} ${String(times.length).padStart(4)} frames, median ${at(0.5).toFixed(1)} ms, p95 ${at(0.95).toFixed(1)} ms, longest ${at(1).toFixed(1)} ms`,
  );
}

const box = await canvas.boundingBox();
await measure("idle", () => page.waitForTimeout(1000));
await measure("pointer", async () => {
  for (let i = 0; i < 60; i++)
    await page.mouse.move(box.x + (box.width * (i + 1)) / 62, box.y + 20 + ((i * 37) % 200));
});
await measure("scroll", async () => {
  for (let i = 0; i < 30; i++) await page.mouse.wheel(0, i < 15 ? 40 : -40);
});
await measure("zoom", async () => {
  for (const x of [0.1, 0.3, 0.05, 0.2]) {
    await page.mouse.click(box.x + box.width * x, box.y + 70);
    await page.waitForTimeout(100);
  }
});
await page.keyboard.press("Escape");
await measure("search", () => page.getByRole("searchbox").pressSequentially("function_12", { delay: 30 }));
await browser.close();
