import { describe, expect, it } from "vitest";
import type { DurationHistogram } from "../src/api-types";
import {
  boxOf,
  cellAt,
  countIn,
  durationTicks,
  heat,
  heatColor,
  heatGeometry,
  heatScale,
  parseBox,
  printBox,
  shownBuckets,
} from "../src/parts/heatmap.draw";
import { tokens } from "../src/theme/tokens";

const bounds = [0, ...Array.from({ length: 24 }, (_, i) => 1000 * 2 ** i)];
const empty = () => new Array<number>(24).fill(0);

function histogram(change: (counts: number[][]) => void = () => {}): DurationHistogram {
  const counts = Array.from({ length: 10 }, empty);
  change(counts);
  return {
    from_ns: "0",
    to_ns: "0",
    step_ns: 30e9,
    times: Array.from({ length: 10 }, (_, i) => 1000 + i * 30),
    bounds_ns: bounds,
    counts,
    errors: new Array(10).fill(0),
    total: 0,
    p50: null,
    p95: null,
    p99: null,
  };
}

describe("heat map", () => {
  const h = histogram((c) => {
    c[2]![10] = 5;
    c[3]![12] = 7;
  });
  const s = heatScale(h, heatGeometry(600, 200));

  it("shows the filled durations with some air, at least a decade", () => {
    const [a, b] = shownBuckets(h);
    expect(a).toBeLessThan(10);
    expect(b).toBeGreaterThan(13);
    expect(bounds[b]! / bounds[a]!).toBeGreaterThanOrEqual(10);
    expect(shownBuckets(histogram())).toEqual([0, 24]);
  });

  it("maps there and back", () => {
    expect(s.time(s.x(1100))).toBeCloseTo(1100, 6);
    expect(s.ns(s.y(3e6))).toBeCloseTo(3e6, 0);
    expect(s.y(1e6)).toBeGreaterThan(s.y(2e6));
  });

  it("finds cells and the box between two of them", () => {
    const at = cellAt(h, s, s.x(1065), s.y(Math.sqrt(bounds[10]! * bounds[11]!)));
    expect(at).toEqual([2, 10]);
    const box = boxOf(h, [3, 12], [2, 10]);
    expect(box).toEqual({ from: 1060, to: 1120, min_ns: bounds[10], max_ns: bounds[13] });
    expect(countIn(h, box)).toBe(12);
    expect(cellAt(h, s, 1, 1)).toBeNull();
  });

  it("keeps a box in the address and refuses nonsense", () => {
    const box = { from: 1700000000.5, to: 1700000030, min_ns: 1000, max_ns: 64000 };
    expect(parseBox(printBox(box))).toEqual(box);
    for (const text of ["", "1_2_3", "2_1_1_2", "1_2_5_5", "a_b_c_d", "1_2_-1_4", "1_Infinity_1_2"]) {
      expect(parseBox(text)).toBeNull();
    }
  });

  it("ticks at round durations", () => {
    expect(durationTicks(1e5, 1e9, 6)).toEqual([1e5, 1e6, 1e7, 1e8, 1e9]);
    expect(durationTicks(1e6, 2e7, 8)).toEqual([1e6, 2e6, 5e6, 1e7, 2e7]);
    expect(durationTicks(1, 1e12, 5).length).toBeLessThanOrEqual(5);
  });

  it("lets one request be seen beside thousands", () => {
    expect(heat(0, 100)).toBe(0);
    expect(heat(1, 10_000)).toBeGreaterThan(0.15);
    expect(heat(10_000, 10_000)).toBeCloseTo(1);
    expect(heatColor(0, tokens.light)).toBe("rgb(255,255,255)");
    expect(heatColor(0.75, tokens.dark)).toBe("rgb(86,193,199)");
  });
});
