import { describe, expect, it } from "vitest";
import { parseDetail } from "../src/parts/stack.detail";

const frame = (name: string, more: object = {}) => ({
  file: "/srv/shop/stock.py",
  function: name,
  line: 12,
  own: true,
  ...more,
});

describe("parseDetail", () => {
  it("reads frames with source and variables, the top exception last", () => {
    const list = parseDetail(
      JSON.stringify([
        { type: "shop.OutOfStock", message: "no lamp", frames: [frame("place")] },
        {
          type: "KeyError",
          message: "'lamp'",
          of: 0,
          relation: "cause",
          frames: [
            frame("reserve", {
              first: 11,
              source: ["def f():", "    return stock[item]"],
              variables: { item: "'lamp'" },
            }),
          ],
        },
      ]),
    )!;
    expect(list.map((e) => [e.type, e.link])).toEqual([
      ["KeyError", "cause"],
      ["shop.OutOfStock", null],
    ]);
    expect(list[0]!.frames[0]).toMatchObject({
      name: "reserve",
      source: "return stock[item]",
      around: { first: 11 },
      variables: [["item", "'lamp'"]],
    });
  });

  it("folds recursion", () => {
    const frames = Array.from({ length: 60 }, () => frame("again"));
    const list = parseDetail(JSON.stringify([{ type: "RecursionError", message: "", frames }]))!;
    expect(list[0]!.frames).toHaveLength(1);
    expect(list[0]!.frames[0]!.repeated).toBe(59);
  });

  it("takes nothing that has another shape", () => {
    for (const text of [
      "",
      "{",
      "{}",
      "[]",
      "[1, null]",
      '[{"type": 1, "frames": [3, {}]}]',
      '[{"frames": "x"}]',
    ])
      expect(() => parseDetail(text)).not.toThrow();
    expect(parseDetail("{}")).toBeNull();
    expect(parseDetail("[1]")).toBeNull();
    expect(parseDetail('[{"type": "X", "frames": []}]')).toBeNull();
  });
});
