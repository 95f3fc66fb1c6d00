// Protects: what the Profiles screen asks for and says: types and their units, comparisons, the sentence, lines, what
// spans cost.
import { describe, expect, it } from "vitest";
import { apiUrl } from "../src/api";
import type { Span } from "../src/api-types";
import { type FlameAnswer, flameTree } from "../src/parts/flame.model";
import { buildTree } from "../src/parts/waterfall.model";
import { mostCpu } from "../src/screens/profiles";
import { hotSentence, hottest, moved, movedSentence } from "../src/screens/profiles/answer";
import type { TraceCosts } from "../src/screens/profiles/data";
import { baseOf, lengthText, NONE, sent, sortTypes, typeWords } from "../src/screens/profiles/selection";
import { commonIndent, lineRows, otherVersions, shownTexts } from "../src/screens/profiles/source";
import { costOf } from "../src/screens/trace/costs";

const plain = (text: string) => text.replaceAll("\u202f", " ");

const answer = (): FlameAnswer => ({
  type: "cpu",
  unit: "nanoseconds",
  total: 100,
  left_out: 0,
  stacks: 3,
  nodes: 4,
  nodes_left_out: 0,
  functions: [
    ["main", "/srv/shop/main.py", "app"],
    ["search", "/srv/shop/orders.py", "app"],
    ["execute", "/venv/site-packages/orm/core.py", "library"],
  ],
  parent: [0, 1, 2, 1],
  function: [0, 1, 2, 2],
  own: [10, 0, 70, 20],
  sum: [100, 70, 70, 20],
});

describe("types", () => {
  it("stand as people look at them", () => {
    const types = ["wall", "zzz", "gil_wait", "abc", "cpu"].map((type) => ({ type }));
    expect(sortTypes(types).map((t) => t.type)).toEqual(["cpu", "wall", "gil_wait", "abc", "zzz"]);
  });

  it("have their units", () => {
    const cpu = typeWords("cpu", "nanoseconds");
    expect([cpu.title, plain(cpu.value(1.5e9)), plain(cpu.rate(179e6)), cpu.axis(2e8)]).toEqual([
      "CPU",
      "1.50 s",
      "0.179 cores",
      "0.200",
    ]);
    expect(cpu.rate(null)).toBe("–");
    expect(plain(typeWords("gil_wait", "nanoseconds").rate(5e8))).toBe("0.500 threads");
    expect(plain(typeWords("inuse_space", "bytes").value(38.1e6))).toBe("38.1 MB");
    expect(typeWords("my_kind", "count")).toMatchObject({ title: "my kind" });
    expect(plain(typeWords("my_kind", "nanoseconds").rate(2e6))).toBe("2.00 ms/s");
  });
});

describe("the selection", () => {
  it("sends what has no value as an empty parameter", () => {
    expect(apiUrl("/profiles/flame", { endpoint: sent(NONE), version: sent("") })).toBe(
      "/api/v1/profiles/flame?endpoint=",
    );
  });

  it("compares with another time or version", () => {
    const clock = (ms: number) => `t${ms}`;
    expect(baseOf("", clock)).toBeNull();
    expect(baseOf("nonsense", clock)).toBeNull();
    expect(baseOf("version:1.0", clock)).toEqual({ words: "version 1.0", params: { base_version: "1.0" } });
    expect(baseOf("1000_2000", clock)).toEqual({
      words: "t1000 – t2000",
      params: { base_from: "1000", base_to: "2000" },
    });
    expect(baseOf("previous", clock)).toEqual({
      words: "the 15\u202fmin before",
      params: { base_from: "now-30m", base_to: "now-15m" },
    });
    expect(baseOf("day", clock)?.params).toEqual({ base_from: "now-1455m", base_to: "now-1d" });
    expect(plain(lengthText(7200))).toBe("2 h");
  });
});

describe("the sentence", () => {
  it("names the hottest function and on whose behalf it runs", () => {
    const t = flameTree(answer());
    expect(hottest(t)).toMatchObject({ share: 0.9, byShare: 70 / 90 });
    expect(plain(hotSentence(t))).toBe(
      "90.0 % of it in execute (orm/core.py), mostly for search (shop/orders.py)",
    );
  });

  it("names what moved most", () => {
    const a = { ...answer(), base_total: 200, base_own: [100, 0, 60, 40], base_sum: [200, 60, 60, 40] };
    const t = flameTree(a);
    // execute: 90 % now, 50 % before; main: 10 %, 50 %.
    expect(Math.abs(moved(t)!.change)).toBeCloseTo(0.4);
    expect(movedSentence(t)).toMatch(/(grew|shrank) most: [+−]40 points of own time/);
    expect(
      movedSentence(
        flameTree({ ...answer(), base_total: 100, base_own: [10, 0, 70, 20], base_sum: [100, 70, 70, 20] }),
      ),
    ).toBe("the shares of all functions are as before");
  });

  it("is empty without samples", () => {
    const none = { ...answer(), total: 0, parent: [], function: [], own: [], sum: [] };
    expect(hotSentence(flameTree(none))).toBe("");
  });
});

describe("lines", () => {
  const lines = [
    { function: "f", file: "a.py", line: 7, own: 1, sum: 5 },
    { function: "f.<locals>.g", file: "a.py", line: 7, own: 2, sum: 2 },
    { function: "f", file: "a.py", line: 3, own: 0, sum: 1 },
  ];
  it("are those of the function, or of the file together", () => {
    expect(lineRows({ lines, sources: [] }, "f").map((r) => [r.line, r.own, r.sum])).toEqual([
      [3, 0, 1],
      [7, 1, 5],
    ]);
    expect(
      lineRows({ lines, sources: [] }, "").map((r) => [r.line, r.own, r.sum, r.functions.length]),
    ).toEqual([
      [3, 0, 1, 1],
      [7, 3, 7, 2],
    ]);
  });
  const source = (text: string, more: object = {}) => ({
    function: "f",
    first_line: 6,
    text,
    version: "2",
    seen_ns: "1",
    ...more,
  });
  it("have their text, and say where lines are left out", () => {
    const rows = lineRows({ lines, sources: [source("    def f():\r\n        go()\n")] }, "f");
    expect(rows.map((r) => [r.line, r.sum, r.text, r.gap])).toEqual([
      [3, 1, null, false],
      [6, 0, "    def f():", true],
      [7, 5, "        go()", false],
    ]);
    expect(commonIndent(rows)).toBe(4);
  });
  it("have the newest version's text, of each function of that name", () => {
    const texts = [
      source("def f():\n  new"),
      source("def f():\n  moved", { first_line: 20 }),
      source("def f():\n  edited before", { first_line: 7 }),
      source("def f():\n  old", { version: "1", first_line: 90 }),
      source("def h():", { function: "h", version: "1", first_line: 40 }),
    ];
    expect(shownTexts(texts, "f").map((s) => s.first_line)).toEqual([6, 20]);
    expect(shownTexts(texts, "").map((s) => s.first_line)).toEqual([6, 20, 40]);
    expect(otherVersions(texts, "f")).toEqual(["2", "1"]);
    expect(otherVersions(texts.slice(0, 2), "f")).toEqual([]);
    const parts = [source("def f():"), source("def f():\n  go()")];
    expect(shownTexts(parts, "f").map((s) => s.text)).toEqual(["def f():\n  go()"]);
    expect(otherVersions(parts, "f")).toEqual([]);
  });
});

describe("services and spans", () => {
  it("the service with most CPU comes first", () => {
    const types = (cpu: number, wall: number) => [
      { type: "cpu", unit: "nanoseconds", sum: cpu },
      { type: "wall", unit: "nanoseconds", sum: wall },
    ];
    const services = [
      { service: "idle", types: types(1, 1000) },
      { service: "busy", types: types(10, 20) },
    ];
    const rest = { versions: [], endpoints: [], threads: [], processes: [] };
    expect(mostCpu({ services, ...rest })).toBe("busy");
    expect(mostCpu({ services: [], ...rest })).toBe("");
    expect(mostCpu(undefined)).toBe("");
  });

  it("a span costs what it and those below it cost", () => {
    const span = (span_id: string, parent_span_id: string | null) =>
      ({ span_id, parent_span_id, service: "a", name: "", start_ns: 0, duration_ns: 9, self_ns: 1 }) as Span;
    const tree = buildTree([span("1", null), span("2", "1"), span("3", "2")]);
    const costs: TraceCosts = {
      types: [],
      spans: [
        { span_id: "2", service: "a", values: { cpu: 5, wall: 9 } },
        { span_id: "3", service: "a", values: { cpu: 2 } },
      ],
    };
    expect(costOf(tree.byId.get("1")!, costs)).toEqual({ own: {}, whole: { cpu: 7, wall: 9 } });
    expect(costOf(tree.byId.get("2")!, costs)).toEqual({
      own: { cpu: 5, wall: 9 },
      whole: { cpu: 7, wall: 9 },
    });
  });
});
