// Protects: a typed time range means what its writer meant, in the writer's zone, also when the clocks change.
import { describe, expect, test } from "vitest";
import { fromWall, parseRange, wallTime } from "../src/parts/timepicker-text";

const now = Date.UTC(2026, 2, 2, 14, 3, 21);
const utc = (h: number, m = 0, day = 2) => String(Date.UTC(2026, 2, day, h, m));
const parse = (text: string, zone = "UTC") => parseRange(text, now, zone);

describe("relative", () => {
  test.each([
    ["last 20m", "now-20m"],
    ["20m", "now-20m"],
    ["past 2 hours", "now-2h"],
    ["last hour", "now-1h"],
    ["90 min", "now-90m"],
    ["1.5h", "now-90m"],
    ["24h", "now-1d"],
    ["1w", "now-7d"],
    ["45s", "now-45s"],
  ])("%s", (text, from) => expect(parse(text)).toEqual({ from, to: "now" }));
});

describe("absolute", () => {
  test.each([
    ["10:00 to 11:30", { from: utc(10), to: utc(11, 30) }],
    ["10:00 - 11:30", { from: utc(10), to: utc(11, 30) }],
    ["since 9:15", { from: utc(9, 15), to: "now" }],
    ["yesterday", { from: utc(0, 0, 1), to: utc(0) }],
    ["today", { from: utc(0), to: "now" }],
    ["yesterday 22:00 to 23:00", { from: utc(22, 0, 1), to: utc(23, 0, 1) }],
    ["2026-03-01 10:00 to 12:00", { from: utc(10, 0, 1), to: utc(12, 0, 1) }],
    ["2026-03-01 10:00 - 2026-03-02 09:00", { from: utc(10, 0, 1), to: utc(9) }],
    ["now-1h to now-30m", { from: "now-1h", to: "now-30m" }],
    ["1772458000 to 1772459000", { from: "1772458000", to: "1772459000" }],
  ])("%s", (text, range) => expect(parse(text)).toEqual(range));
  test("in the reader's zone", () => {
    expect(parse("10:00 to 11:00", "America/New_York")).toEqual({ from: utc(15), to: utc(16) });
  });
});

test.each([
  "",
  "soon",
  "last",
  "25:99",
  "2026-13-40 10:00",
  "11:00 to 10:00",
  "0m",
  "10000000h",
  "<script>",
])("not a range: %s", (text) => expect(parse(text)).toBeNull());

describe("wall clocks", () => {
  const berlin = "Europe/Berlin";
  test("before and after the change to summer time", () => {
    const wall = { year: 2026, month: 3, day: 29, hour: 1, minute: 30, second: 0 };
    expect(fromWall(wall, berlin)).toBe(Date.UTC(2026, 2, 29, 0, 30));
    expect(fromWall({ ...wall, hour: 3 }, berlin)).toBe(Date.UTC(2026, 2, 29, 1, 30));
  });
  test("there and back", () => {
    for (let h = 0; h < 24 * 400; h += 7) {
      const ms = Date.UTC(2026, 0, 1, h, 20);
      const there = fromWall(wallTime(ms, berlin), berlin);
      // In the doubled hour of autumn either of the two is right.
      expect([0, 3600e3]).toContain(Math.abs(there - ms));
    }
  });
});
