// Protects: figures have three significant digits and a unit, never a rounding that lies; times keep nanoseconds.
import { afterEach, describe, expect, test } from "vitest";
import * as f from "../src/format";
import { oneLine, shorten } from "../src/parts/name";
import { zone } from "../src/state";

const plain = (text: string) => text.replace(/\u202f/g, " ");

afterEach(() => {
  zone.value = "local";
});

test.each([
  [0, "0 ms"],
  [1, "1.00 ns"],
  [999, "999 ns"],
  [999.6, "1.00 µs"],
  [12_400_000, "12.4 ms"],
  [999_600_000, "1.00 s"],
  [59.9e9, "59.9 s"],
  [90e9, "1.50 min"],
  [7.2e12, "2.00 h"],
  [1.9e14, "2.20 d"],
  [null, "–"],
  [Number.NaN, "–"],
])("duration %s", (ns, text) => expect(plain(f.duration(ns))).toBe(text));

test.each([
  [0, "0"],
  [7, "7"],
  [999, "999"],
  [1000, "1.00 k"],
  [1310, "1.31 k"],
  [999_949, "1.00 M"],
  [1.5, "1.50"],
  [null, "–"],
])("count %s", (n, text) => expect(plain(f.count(n))).toBe(text));

test.each([
  [0, "0 /s"],
  [1310, "1.31 k/s"],
  [38.16, "38.2 /s"],
  [0.8, "0.800 /s"],
  [0.042, "0.0420 /s"],
  [0.0042, "0.252 /min"],
  [0.0005, "1.80 /h"],
])("rate %s", (n, text) => expect(plain(f.rate(n))).toBe(text));

test.each([
  [0, "0 %"],
  [0.0042, "0.42 %"],
  [0.00001, "< 0.01 %"],
  [0.031, "3.10 %"],
  [1, "100 %"],
  [0.9999, "99.9 %"],
  [null, "–"],
])("ratio %s", (n, text) => expect(plain(f.ratio(n))).toBe(text));

test.each([
  [38_100_000, "38.1 MB"],
  [512, "512 B"],
  [81e9, "81.0 GB"],
])("bytes %s", (n, text) => expect(plain(f.bytes(n))).toBe(text));

describe("change", () => {
  test("small changes are none", () => expect(f.change(1.001, 1)?.direction).toBe("same"));
  test("shares", () => expect(plain(f.change(112, 100)!.text)).toBe("+12 %"));
  test("falls carry a minus", () => expect(plain(f.change(40, 100)!.text)).toBe("−60 %"));
  test("multiples from twice on", () => expect(f.change(812, 262)!.text).toBe("3.1×"));
  test("large multiples without a fraction", () => expect(f.change(1000, 10)!.text).toBe("100×"));
  test("from nothing", () => expect(f.change(3, 0)!.text).toBe("new"));
  test("nothing to compare", () => expect(f.change(3, null)).toBeNull());
});

describe("time", () => {
  const ns = "1772460201482913007";
  test("milliseconds of nanoseconds beyond 2^53", () => expect(f.toMs(ns)).toBeCloseTo(1772460201482.913, 3));
  test("all nine digits are kept", () => {
    zone.value = "UTC";
    expect(f.clock(ns, 9)).toBe("14:03:21.482913007");
    expect(f.timestamp(ns)).toBe("2026-03-02 14:03:21.482");
  });
  test("the zone counts", () => {
    zone.value = "Asia/Kolkata";
    expect(f.clock(ns, 0)).toBe("19:33:21");
  });
  test("an unknown zone falls back to UTC", () => {
    zone.value = "Mars/Olympus";
    expect(f.clock(ns, 0)).toBe("14:03:21");
  });
  test("offsets are added exactly", () => expect(f.addNs(ns, 5)).toBe("1772460201482913012"));
  test("relative under an hour", () => {
    const now = f.toMs(ns);
    expect(f.ago(ns, now + 1000)).toBe("now");
    expect(plain(f.ago(ns, now + 42_000))).toBe("42 s ago");
    expect(plain(f.ago(ns, now + 59 * 60_000))).toBe("59 min ago");
    zone.value = "UTC";
    expect(f.ago(ns, now + 3_700_000)).toBe("14:03:21");
    expect(f.ago(ns, now + 90_000_000)).toBe("2026-03-02 14:03");
  });
});

describe("names", () => {
  test("short ones stay", () => expect(f.middle("shop", 10)).toBe("shop"));
  test("head and tail stay", () => {
    const short = f.middle("app.views.checkout.handlers.place_order", 22);
    expect(short).toHaveLength(22);
    expect(short.startsWith("app.views")).toBe(true);
    expect(short.endsWith("place_order")).toBe(true);
  });
});

test("a name takes the room it has", () => {
  const width = (text: string) => text.length * 7;
  const name = "app.views.checkout.handlers.place_order";
  expect(shorten(name, 1000, width)).toBe(name);
  expect(shorten(name, 7 * 20, width)).toHaveLength(20);
  expect(shorten(name, 0, width).length).toBeLessThanOrEqual(3);
});

test("ranges in words", () => {
  zone.value = "UTC";
  expect(f.rangeText("now-15m", "now")).toBe("Last 15 min");
  expect(f.rangeText("1772460000", "1772463600")).toMatch(/03-02 14:00 – 15:00$/);
  expect(f.rangeText("nonsense", "now")).toBe("Unknown range");
});

test("a name stands on one line, whatever it holds", () => {
  expect(oneLine("Traceback (most recent call last):\n  File \"a.py\", line 1\r\nKeyError: 'x'\n")).toBe(
    "Traceback (most recent call last): File \"a.py\", line 1 KeyError: 'x'",
  );
  expect(oneLine("GET  /orders")).toBe("GET  /orders");
});
