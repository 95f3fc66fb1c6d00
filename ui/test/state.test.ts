// Protects: times are read as the API reads them, and conditions come out as the filter language wants them.
import { describe, expect, test } from "vitest";
import { andFilter, condition, filterKey, refreshSeconds, relativeFrom, resolveTime } from "../src/state";

describe("resolveTime", () => {
  const now = 1_772_460_000;
  test.each([
    ["now", now],
    ["now-15m", now - 900],
    ["now-1d", now - 86400],
    ["1772460000", now],
    ["1772460000000", now],
    ["1772460000000000", now],
    ["1772460000000000000", now],
    ["2026-03-02T14:00:00Z", now],
    ["soon", null],
    ["", null],
  ])("%s", (text, seconds) => expect(resolveTime(text, now)).toBe(seconds));
});

test.each([
  [900, "now-15m"],
  [3600, "now-1h"],
  [86400, "now-1d"],
  [90, "now-90s"],
])("relativeFrom %s", (seconds, text) => expect(relativeFrom(seconds)).toBe(text));

describe("conditions", () => {
  test.each([
    ["service", "shop-gateway", "service=shop-gateway"],
    ["name", "GET /checkout", 'name="GET /checkout"'],
    ["http.route", "/items/{id}", "http.route=/items/{id}"],
    ["body", 'say "hi"\\n', 'body="say \\"hi\\"\\\\n"'],
    ["body", "two\nlines", 'body="two\\nlines"'],
    ["peer", "a*b", 'peer="a*b"'],
    ["x", "=1", 'x="=1"'],
    ["x", "", 'x=""'],
    ["customer tier", "gold", '@"customer tier"=gold'],
    ["and", "x", '@"and"=x'],
  ])("%s %s", (key, value, text) => expect(condition(key, "=", value)).toBe(text));
  test("numbers and truth stay bare", () => {
    expect(condition("http.response.status_code", ">=", 500)).toBe("http.response.status_code>=500");
    expect(condition("entry", "=", true)).toBe("entry=true");
  });
  test("plain keys are not quoted", () =>
    expect(filterKey("http.request.header.x-id")).toBe("http.request.header.x-id"));
});

test("joining keeps what was there together", () => {
  expect(andFilter("", "a=1")).toBe("a=1");
  expect(andFilter("a=1", "b=2")).toBe("a=1 AND b=2");
  expect(andFilter("a=1 OR c=3", "b=2")).toBe("(a=1 OR c=3) AND b=2");
  expect(andFilter("a=1 AND b=2", "b=2")).toBe("a=1 AND b=2");
});

test("short ranges refresh more often", () => {
  expect(refreshSeconds(900)).toBeLessThan(refreshSeconds(86400 * 7));
});
