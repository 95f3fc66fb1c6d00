// Protects: piled series add up, gaps do not break the pile, the time axis has round points in the reader's zone.
import { afterEach, expect, test } from "vitest";
import { tidy } from "../src/format";
import { stack, timeTicks } from "../src/parts/timechart-data";
import { zone } from "../src/state";

afterEach(() => {
  zone.value = "local";
});

test("piling up, the sum first", () => {
  const { plot } = stack([1, 2], [{ values: [1, null] }, { values: [10, 20] }], true);
  expect(plot).toEqual([
    [1, 2],
    [11, 20],
    [1, 0],
  ]);
});
test("side by side, gaps stay gaps", () => {
  expect(stack([1, 2], [{ values: [1, null] }], false).plot[1]).toEqual([1, null]);
});
test.each([
  [900, "14:05"],
  [20, "14:03:25"],
  [4 * 3600, "15:00"],
  [10 * 86400, "03-04"],
])("ticks over %s s", (span, first) => {
  zone.value = "UTC";
  const from = Date.UTC(2026, 2, 2, 14, 3, 21) / 1000;
  const { splits, label } = timeTicks(from, from + span, 5);
  expect(splits.length).toBeGreaterThan(1);
  expect(splits.length).toBeLessThanOrEqual(6);
  expect(label(splits[0]!)).toBe(first);
});
test("days begin at the reader's midnight", () => {
  zone.value = "Asia/Kolkata";
  const from = Date.UTC(2026, 2, 2, 14) / 1000;
  const { splits } = timeTicks(from, from + 5 * 86400, 6);
  expect((splits[0]! + 5.5 * 3600) % 86400).toBe(0);
});
test.each([
  ["2.00 s", "2 s"],
  ["2.50 s", "2.5 s"],
  ["40.0 k/s", "40 k/s"],
  ["100 ms", "100 ms"],
  ["0.05 %", "0.05 %"],
])("axis label %s", (label, short) => expect(tidy(label)).toBe(short));
