import { describe, expect, it } from "vitest";
import type { LogRecord } from "../src/api-types";
import {
  asText,
  bodyText,
  fieldText,
  oneLine,
  pieces,
  searchedWords,
  wrappedLines,
} from "../src/parts/logline.text";

const record = (more: Partial<LogRecord> = {}): LogRecord => ({
  id: "1",
  time_ns: "1700000000123456789",
  observed_ns: "0",
  severity: "error",
  severity_number: 17,
  severity_text: "ERROR",
  service: "shop",
  body: "order 12 failed",
  trace_id: null,
  span_id: null,
  scope: "app",
  event_name: "",
  resource: "1",
  attributes: [{ key: "user.id", type: "int", value: 7 }],
  ...more,
});

describe("log lines", () => {
  it("shows bodies of every type", () => {
    expect(bodyText(record())).toBe("order 12 failed");
    expect(bodyText(record({ body: { a: [1] } }))).toBe('{"a":[1]}');
    expect(bodyText(record({ body: null, event_name: "started" }))).toBe("started");
    expect(oneLine("a\n  b\u001b[31m c\u001b[0m")).toBe("a ⏎ b c");
  });

  it("finds fields and attributes", () => {
    expect(fieldText(record(), "user.id")).toBe("7");
    expect(fieldText(record(), "scope")).toBe("app");
    expect(fieldText(record(), "none")).toBe("");
  });

  it("marks what was searched and what varies, and loses nothing", () => {
    expect(searchedWords('service=shop AND "timed out" AND name="x y" AND ("boom")')).toEqual([
      "timed out",
      "boom",
    ]);
    const text = "Timed out after 30s for 10.0.0.1:80";
    const list = pieces(text, ["timed out"]);
    expect(list.map((p) => p.text).join("")).toBe(text);
    expect(list[0]).toEqual({ text: "Timed out", kind: "hit" });
    expect(list.filter((p) => p.kind === "var").map((p) => p.text)).toEqual(["30s", "10.0.0.1:80"]);
    const long = "1 ".repeat(5000);
    expect(
      pieces(long, [])
        .map((p) => p.text)
        .join(""),
    ).toBe(long);
    expect(
      pieces("aaaa".repeat(500), ["a"])
        .map((p) => p.text)
        .join(""),
    ).toBe("aaaa".repeat(500));
  });

  it("counts wrapped lines", () => {
    expect(wrappedLines("", 80, 50)).toBe(1);
    expect(wrappedLines("x".repeat(81), 80, 50)).toBe(2);
    expect(wrappedLines("a\nb\n", 80, 50)).toBe(3);
    expect(wrappedLines("\n".repeat(1000), 80, 50)).toBe(50);
  });

  it("prints lines for a download", () => {
    expect(asText([record()])).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.123456 ERROR shop order 12 failed$/);
  });
});
