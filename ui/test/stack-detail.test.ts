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

  it("puts members below their group, each with what came before it", () => {
    const node = (type: string, more: object = {}) => ({ type, message: "", frames: [frame(type)], ...more });
    // As the agent gathers them: breadth first.
    const list = parseDetail(
      JSON.stringify([
        node("Group", { left_out: 7 }),
        node("KeyError", { of: 0, relation: "context" }),
        node("A", { of: 0, relation: "member", notes: ["ask Graz", 5] }),
        node("Inner", { of: 0, relation: "member" }),
        node("CauseOfA", { of: 2, relation: "cause" }),
        node("B", { of: 3, relation: "member" }),
      ]),
    )!.reverse();
    expect(list.map((e) => [e.type, e.depth, e.link, e.member?.join("/")])).toEqual([
      ["Group", 0, null, undefined],
      ["A", 1, null, "1/2"],
      ["CauseOfA", 1, "cause", undefined],
      ["Inner", 1, null, "2/2"],
      ["B", 2, null, "1/1"],
      ["KeyError", 0, "context", undefined],
    ]);
    expect(list[0]!.leftOut).toBe(7);
    expect(list[1]!.notes).toEqual(["ask Graz"]);
  });

  it("ends for nodes that name each other", () => {
    const nodes = [1, 2, 0].map((of) => ({
      type: "X",
      message: "",
      of,
      relation: "member",
      frames: [frame("f")],
    }));
    expect(parseDetail(JSON.stringify(nodes))).toHaveLength(3);
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
