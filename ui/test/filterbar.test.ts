// Protects: completion knows what the caret stands on, and the editor never chokes on half a filter.
import { describe, expect, test } from "vitest";
import { parts, spotAt } from "../src/parts/filterbar-text";

const kinds = (text: string) =>
  parts(text)
    .filter((p) => p.kind !== "space")
    .map((p) => `${p.kind}:${p.text}`);
/** The caret stands where the bar is. */
const spot = (text: string) => spotAt(text.replace("|", ""), text.indexOf("|"));

test("a whole filter", () => {
  expect(kinds('service=shop AND (duration>200ms OR NOT http.route IN ("/a b", /c)) AND "timeout"')).toEqual([
    "key:service",
    "operator:=",
    "value:shop",
    "keyword:AND",
    "paren:(",
    "key:duration",
    "operator:>",
    "value:200ms",
    "keyword:OR",
    "keyword:NOT",
    "key:http.route",
    "keyword:IN",
    "paren:(",
    'string:"/a b"',
    "paren:,",
    "value:/c",
    "paren:)",
    "paren:)",
    "keyword:AND",
    'string:"timeout"',
  ]);
});

test("odd keys and words that only look like keywords", () => {
  expect(kinds('@"odd key"=1 AND and=5')).toEqual([
    'key:@"odd key"',
    "operator:=",
    "value:1",
    "keyword:AND",
    "key:and",
    "operator:=",
    "value:5",
  ]);
});

test("parts cover the text, whatever it is", () => {
  for (const text of ['a="open', "===", "((((", "a=~", '"', "@", "!x", "a IN (", "ü=ß  ", "a!~'x\\'"]) {
    expect(
      parts(text)
        .map((p) => p.text)
        .join(""),
    ).toBe(text);
  }
});

describe("spot", () => {
  test.each([
    ["|", "key", "", ""],
    ["ser|", "key", "", "ser"],
    ["service=|", "value", "service", ""],
    ["service=sh|", "value", "service", "sh"],
    ["service=shop |", "key", "", ""],
    ["service=shop AND dur|", "key", "", "dur"],
    ['name="GET /ch|"', "value", "name", "GET /ch"],
    ["kind IN (ser|", "value", "kind", "ser"],
    ["kind IN (server, |", "value", "kind", ""],
    ["kind IN (server) AND |", "key", "", ""],
    ['@"odd key"=|', "value", "odd key", ""],
    ["service!=|", "value", "service", ""],
  ])("%s", (text, kind, key, prefix) => expect(spot(text)).toMatchObject({ kind, key, prefix }));
  test("what is replaced is the whole word", () => {
    expect(spot("service=sh|op AND x=1")).toMatchObject({ from: 8, to: 12 });
  });
});
