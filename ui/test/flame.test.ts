// Protects: the figures of a flame graph (no value is lost or counted twice in any of its trees), what is drawn,
// found and walked to, and colours that stay readable and apart in both themes.
import { describe, expect, it } from "vitest";
import { stepTo } from "../src/parts/flame";
import {
  changeColor,
  eachVisible,
  type FlameView,
  frameColor,
  frameLabel,
  nodeAt,
  points,
  ROW,
} from "../src/parts/flame.draw";
import {
  type FlameAnswer,
  type FlameTree,
  flameTree,
  frameKinds,
  SMALLER,
  shortFile,
} from "../src/parts/flame.model";
import { functionTotals, kindTotals, search } from "../src/parts/flame.table";
import { frameText, spoken } from "../src/parts/flame.tip";
import { appOnly, byFunction, callees, callers, inverted } from "../src/parts/flame.trees";
import { tokens } from "../src/theme/tokens";

const APP = "/srv/shop/orders.py";
const FLASK = "/srv/.venv/lib/python3.11/site-packages/flask/app.py";
const JSON_PY = "/usr/lib/python3.11/json/encoder.py";

/** main → flask → {search:10, search:12 → dumps, again → search} */
const answer = (): FlameAnswer => ({
  type: "cpu",
  unit: "nanoseconds",
  total: 110,
  left_out: 10,
  stacks: 5,
  nodes: 7,
  nodes_left_out: 0,
  functions: [
    ["main", APP, "app"],
    ["Flask.dispatch", FLASK, "library"],
    ["search", APP, "app"],
    ["dumps", JSON_PY, "python"],
  ],
  //        1  2  3   4   5   6
  parent: [0, 1, 2, 2, 4, 4],
  function: [0, 1, 2, 2, 3, 2],
  line: [3, 7, 10, 12, 40, 10],
  own: [5, 5, 30, 20, 30, 10],
  sum: [100, 95, 30, 60, 30, 10],
});

const fnOf = (t: FlameTree, name: string) => t.functions.findIndex((f) => f.name === name);
const nodesOf = (t: FlameTree, name: string) =>
  Array.from({ length: t.length }, (_, i) => i).filter((i) => t.name(i) === name);
const view = (change: Partial<FlameView> = {}): FlameView => ({
  focus: 0,
  width: 1000,
  height: 400,
  scroll: 0,
  hover: -1,
  cursor: 0,
  focused: false,
  search: null,
  marked: -1,
  up: false,
  ...change,
});

/** Every node holds what its children hold, and its own; children lie inside their parent. */
function sound(t: FlameTree, whole: number): void {
  const below = new Float64Array(t.length);
  for (let i = t.length - 1; i > 0; i--) {
    const p = t.parent[i]!;
    expect(p).toBeLessThan(i);
    expect(t.end[i]!).toBeLessThanOrEqual(t.end[p]!);
    expect(t.depth[i]).toBe(t.depth[p]! + 1);
    expect(t.start[i]! + t.width[i]!).toBeLessThanOrEqual(t.start[p]! + t.width[p]! + 1e-6);
    below[p]! += t.sum[i]!;
  }
  for (let i = 0; i < t.length; i++) expect(below[i]! + t.own[i]!).toBeCloseTo(t.sum[i]!, 6);
  expect(t.sum[0]).toBeCloseTo(whole, 6);
}

describe("trees", () => {
  const lines = flameTree(answer());
  const t = byFunction(lines);

  it("keep the answer's figures, by line and by function", () => {
    sound(lines, 100);
    sound(t, 100);
    expect(nodesOf(lines, "search")).toHaveLength(3);
    const outer = nodesOf(t, "search");
    expect(outer.map((i) => t.sum[i])).toEqual([90, 10]);
    expect(t.functions[fnOf(t, "search")]).toMatchObject({ line: 12, kind: "app", file: APP });
  });

  it("name lines where they are told apart, and only there", () => {
    const labels = nodesOf(lines, "search").map((i) => frameLabel(lines.functions[lines.fn[i]!]!));
    for (const label of labels) expect(label).toMatch(/^search:\d+$/);
    expect(new Set(labels).size).toBeGreaterThan(1);
    expect(frameLabel(t.functions[fnOf(t, "search")]!)).toBe("search");
    expect(frameLabel({ name: "joined", file: APP, line: 0, kind: "app", byLine: true })).toBe("joined");
    // Every file has a <module>: its name alone says nothing.
    expect(frameLabel({ name: "<module>", file: "/srv/shop/app.py", line: 0, kind: "app" })).toMatch(
      /^<module> .*app\.py$/,
    );
  });

  it("are turned over without losing a value", () => {
    const up = inverted(t);
    sound(up, 100);
    const top = nodesOf(up, "search").filter((i) => up.depth[i] === 1);
    expect(top.map((i) => up.sum[i])).toEqual([60]);
    expect(up.name(1)).toBe("search");
  });

  it("show a function from both sides, a recursion once", () => {
    const fn = fnOf(t, "search");
    const below = callees(t, fn);
    const above = callers(t, fn);
    sound(below, 90);
    sound(above, 90);
    expect(below.fn[1]).toBe(fn);
    expect(below.sum[1]).toBe(90);
    expect(above.name(2)).toBe("Flask.dispatch");
    expect(above.name(3)).toBe("main");
  });

  it("fold libraries into the call that leads to them", () => {
    const own = appOnly(t);
    sound(own, 100);
    const names = Array.from({ length: own.length }, (_, i) => own.name(i));
    expect(names).toEqual(["All", "main", "search", "dumps", "search", "Flask.dispatch"]);
  });

  it("say what the answer left out", () => {
    const cut = answer();
    for (const list of [cut.parent, cut.function, cut.line!, cut.own, cut.sum]) list.splice(4, 1);
    cut.nodes_left_out = 1;
    const tree = flameTree(cut);
    sound(tree, 100);
    const [small] = nodesOf(tree, SMALLER);
    expect(tree.sum[small!]).toBe(30);
    expect(tree.name(tree.parent[small!]!)).toBe("search");
    sound(inverted(byFunction(tree)), 100);
  });

  it("of nothing are a root", () => {
    const none = answer();
    none.total = none.left_out = 0;
    for (const key of ["functions", "parent", "function", "line", "own", "sum"] as const) none[key] = [];
    for (const tree of [flameTree(none), inverted(flameTree(none)), byFunction(flameTree(none))]) {
      expect(tree.length).toBe(1);
      expect(functionTotals(tree)).toEqual([]);
      expect(nodeAt(tree, view(), 5, 5)).toBe(0);
    }
  });

  it("keep names of nodes over time", () => {
    const later = answer();
    later.total = 200;
    const other = byFunction(flameTree(later));
    for (let i = 1; i < t.length; i++) {
      const same = other.find(t.key(i));
      expect(other.path(same).map((n) => other.name(n))).toEqual(t.path(i).map((n) => t.name(n)));
    }
    expect(t.find("zzzz")).toBe(0);
    expect(t.find("")).toBe(0);
  });
});

describe("a comparison", () => {
  const a = answer();
  a.base_total = 220;
  a.base_left_out = 20;
  a.base_own = [10, 10, 0, 40, 140, 0];
  a.base_sum = [200, 190, 0, 180, 140, 0];
  const t = byFunction(flameTree(a));

  it("is one of shares, and nothing vanishes", () => {
    sound(t, 100);
    expect(t.scale).toBe(0.5);
    const [dumps] = nodesOf(t, "dumps");
    expect(t.change(dumps!)).toBeCloseTo(30 / 110 - 140 / 220);
    for (let i = 1; i < t.length; i++) expect(t.width[i]).toBeGreaterThan(0);
    sound(inverted(t), 100);
    const row = functionTotals(t).find((r) => r.fn === t.fn[dumps!])!;
    expect([row.own, row.baseOwn, row.sum, row.baseSum]).toEqual([30, 140, 30, 140]);
  });

  it("prints points with a sign", () => {
    expect([0.021, -0.25, 0, 0.0001].map(points)).toEqual(["+2.1", "−25", "±0", "±0"]);
  });
});

describe("figures", () => {
  const t = byFunction(flameTree(answer()));

  it("by function: own and total, recursion once", () => {
    const rows = functionTotals(t).map((r) => [t.functions[r.fn]!.name, r.own, r.sum]);
    expect(rows).toEqual([
      ["search", 60, 90],
      ["dumps", 30, 30],
      ["main", 5, 100],
      ["Flask.dispatch", 5, 95],
    ]);
  });

  it("by whose code it is", () => {
    expect(kindTotals(t).map((k) => [k.kind, k.own])).toEqual([
      ["app", 65],
      ["library", 5],
      ["python", 30],
    ]);
  });

  it("of a search count each stack once", () => {
    expect(search(t, "  ")).toBeNull();
    expect(search(t, "SEARCH")).toMatchObject({ n: 1, sum: 90 });
    expect(search(t, "json/enc")).toMatchObject({ n: 1, sum: 30 });
    expect(search(t, "orders.py:12")).toMatchObject({ n: 1 });
    expect(search(t, "nowhere")).toMatchObject({ n: 0, sum: 0 });
  });
});

describe("the picture", () => {
  const t = byFunction(flameTree(answer()));

  it("finds the node under a point, zoomed or not", () => {
    for (const focus of [0, nodesOf(t, "search")[0]!]) {
      const v = view({ focus });
      eachVisible(t, v, {
        node: (i, x, w, y) => expect(nodeAt(t, v, x + w / 2, y + ROW / 2)).toBe(i),
        block: () => {},
      });
    }
    expect(nodeAt(t, view(), 999, ROW * 1.5)).toBe(1);
    expect(nodeAt(t, view(), 500, 399)).toBe(-1);
    expect(nodeAt(t, view(), -1, 5)).toBe(-1);
  });

  it("grows upwards for callers", () => {
    const v = view({ up: true, height: t.rows * ROW });
    eachVisible(t, v, {
      node: (i, x, w, y) => {
        expect(y).toBe((t.rows - 1 - t.depth[i]!) * ROW);
        expect(nodeAt(t, v, x + w / 2, y + ROW / 2)).toBe(i);
      },
      block: () => {},
    });
  });

  it("draws no more than a row has pixels, whatever the number of calls", () => {
    const big = answer();
    const n = 200_000;
    big.total = big.left_out = 0;
    big.functions = [["f", APP, "app"]];
    for (const key of ["parent", "function", "line", "own", "sum"] as const) big[key] = [];
    // A thousand calls below the root, each with a chain of 199.
    for (let i = 0; i < n; i++) {
      const first = i % 200 === 0;
      big.parent.push(first ? 0 : i);
      big.function.push(0);
      big.line!.push(0);
      big.own.push(i % 200 === 199 ? 1 : 0);
      big.sum.push(1);
    }
    big.total = n / 200;
    const tree = flameTree(big);
    expect(tree.sum[0]).toBe(1000);
    let drawn = 0;
    const count = () => drawn++;
    const looked = eachVisible(tree, view({ width: 800 }), { node: count, block: count });
    expect(looked).toBeLessThan(2000);
    expect(drawn).toBeLessThan(30);
    const wide = eachVisible(tree, view({ width: 1200, height: 360 }), { node: count, block: count });
    expect(wide).toBeLessThan(21 * 1200 + 2000);
  });

  it("is walked by arrow keys", () => {
    const at = (name: string) => nodesOf(t, name)[0]!;
    expect(stepTo(t, 0, "ArrowDown", false)).toBe(1);
    expect(stepTo(t, at("search"), "ArrowUp", false)).toBe(at("Flask.dispatch"));
    expect(stepTo(t, at("search"), "ArrowUp", true)).toBe(at("search") + 1);
    const inner = nodesOf(t, "search")[1]!;
    expect(stepTo(t, at("dumps"), "ArrowRight", false)).toBe(inner);
    expect(stepTo(t, inner, "ArrowLeft", false)).toBe(at("dumps"));
    expect(stepTo(t, inner, "ArrowRight", false)).toBe(inner);
    expect(stepTo(t, 0, "ArrowLeft", false)).toBe(0);
    expect(stepTo(t, 3, "Home", false)).toBe(0);
    expect(stepTo(t, 3, "x", false)).toBe(-1);
  });
});

describe("words", () => {
  const t = byFunction(flameTree(answer()));

  it("tell a node", () => {
    const unit = (v: number) => `${v} ns`;
    expect(spoken(t, 0, unit)).toMatch(/^All: 100 ns/);
    expect(spoken(t, nodesOf(t, "dumps")[0]!, unit)).toMatch(
      /^dumps, json\/encoder\.py:40: total 30 ns, 27\.3/,
    );
    expect(frameText(t.functions[fnOf(t, "search")]!)).toBe(`search (${APP}:12)`);
  });

  it("shorten files", () => {
    expect([FLASK, JSON_PY, APP, "/srv/a.py", "a/b.py", ""].map(shortFile)).toEqual([
      "flask/app.py",
      "json/encoder.py",
      "shop/orders.py",
      "/srv/a.py",
      "a/b.py",
      "",
    ]);
  });
});

describe.each(["light", "dark"] as const)("colours, %s", (name) => {
  const t = tokens[name];
  const linear = (c: number) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const luminance = (hex: string) =>
    [0.2126, 0.7152, 0.0722].reduce(
      (sum, k, i) => sum + k * linear(Number.parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16) / 255),
      0,
    );
  const contrast = (a: string, b: string) => {
    const [x, y] = [luminance(a), luminance(b)];
    return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
  };

  it("text is readable on every frame", () => {
    for (const kind of frameKinds)
      for (let i = 0; i < 40; i++)
        expect(contrast(t.text, frameColor(t, kind, `/srv/app/file${i}.py`))).toBeGreaterThanOrEqual(4.5);
    for (let change = -1; change <= 1; change += 0.05)
      expect(contrast(t.text, changeColor(t, change))).toBeGreaterThanOrEqual(4.5);
  });

  it("more and less differ by hue and by size", () => {
    expect(changeColor(t, 0.2)).not.toBe(changeColor(t, -0.2));
    expect(contrast(changeColor(t, 0.3), changeColor(t, 0.01))).toBeGreaterThan(1.15);
    expect(contrast(changeColor(t, -0.3), changeColor(t, -0.01))).toBeGreaterThan(1.15);
  });
});
