import { describe, expect, it } from "vitest";
import type { Comparison, DurationHistogram, LogHistogram, LogRecord, Span, Trace } from "../src/api-types";
import { lineAt, offsetsOf } from "../src/parts/logline.list";
import { gripAt, lanesOf } from "../src/parts/minimap.draw";
import { panelWidth } from "../src/parts/sidepanel";
import { buildTree } from "../src/parts/waterfall.model";
import { offsetText, tipPlace } from "../src/parts/waterfall.parts";
import { logSentence } from "../src/screens/logs";
import { emptyTail, release, TAIL_MAX, take } from "../src/screens/logs/tail";
import { codePlace, exceptionsOf, spanHas, statementOf } from "../src/screens/trace/code";
import { timeSentence } from "../src/screens/trace/head";
import { boxFilter, durationSentence } from "../src/screens/traces";
import { boxParams, compareSentence } from "../src/screens/traces/compare";
import { mergeRows } from "../src/screens/traces/pages";

const plain = (text: string) => text.replace(/\u202f/g, " ");
const text = (key: string, value: unknown) => ({ key, type: "string" as const, value });

const span = (more: Partial<Span> = {}): Span => ({
  span_id: "s",
  parent_span_id: null,
  service: "shop",
  name: "GET /",
  kind: 2,
  start_ns: 0,
  duration_ns: 100,
  self_ns: 100,
  status: 0,
  status_message: "",
  resource: "",
  scope: "",
  db_system: "",
  db_statement: "",
  attributes: [],
  events: [],
  links: [],
  logs: 0,
  ...more,
});

describe("the sentences that open a screen", () => {
  const h = {
    total: 1310,
    p50: 12e6,
    p95: 80e6,
    p99: 1.2e9,
    errors: [3, 10],
  } as unknown as DurationHistogram;
  it("traces", () => {
    expect(plain(durationSentence(h))).toBe(
      "1.31 k requests: half within 12.0 ms, 95 % within 80.0 ms, 99 % within 1.20 s; 0.99 % failed",
    );
    expect(durationSentence({ ...h, total: 0 })).toBe("No requests in this range");
    expect(durationSentence({ ...h, errors: [0] })).toContain("none failed");
  });
  it("logs", () => {
    const logs: LogHistogram = {
      times: [1],
      step_ns: 1,
      total: 30,
      levels: { error: [1, null], warn: [2], info: [27] },
    };
    expect(logSentence(logs)).toBe("30 lines; 1 error and 2 warnings");
    expect(logSentence({ ...logs, levels: {} })).toBe("30 lines; no errors or warnings");
  });
  it("a trace, when one part stands out", () => {
    const trace = {
      time_by: [{ category: "database", service: "orders", ns: 7, share: 0.7 }],
    } as unknown as Trace;
    expect(plain(timeSentence(trace))).toBe("70.0 % of it was spent in the database, called by orders");
    expect(plain(timeSentence(trace, "the 405 µs"))).toMatch(/^70.0 % of the 405 µs was spent/);
    expect(timeSentence({ ...trace, time_by: [] })).toBe("");
  });
  it("a comparison: what they have, not what they lack", () => {
    const c: Comparison = {
      facets: [
        {
          key: "version",
          score: 1,
          values: [
            { value: "1", inside: 0.06, outside: 0.88 },
            { value: "2", inside: 0.94, outside: 0.12 },
          ],
        },
      ],
    };
    expect(plain(compareSentence(c))).toBe("94.0 % of them have version 2, against 12.0 % of the others.");
    expect(compareSentence({ facets: [] })).toBe("");
  });
});

describe("a box of the heat map", () => {
  const box = { from: 1000.5, to: 1060, min_ns: 1e6, max_ns: 5e6 };
  it("narrows the list and is asked about", () => {
    expect(boxFilter("service=shop", box)).toBe(
      "service=shop AND entry=true AND duration>=1000000ns AND duration<5000000ns",
    );
    expect(boxFilter("a=1 OR b=2", box)).toMatch(/^\(a=1 OR b=2\) AND entry=true/);
    expect(boxFilter("", { ...box, min_ns: 0, max_ns: Number.MAX_SAFE_INTEGER })).toBe("entry=true");
    expect(boxFilter("x=1", null)).toBe("x=1");
    expect(boxParams(box)).toEqual({
      min_ns: "1000000",
      max_ns: "5000000",
      box_from: "1000500",
      box_to: "1060000",
    });
  });
});

describe("lists that grow", () => {
  it("keeps each row once, newer ones first", () => {
    expect(mergeRows(["c", "b"], ["b", "a"], (x) => x)).toEqual(["c", "b", "a"]);
  });
  const line = (id: number): LogRecord => ({ id: String(id) }) as LogRecord;
  it("shows new lines on top, or lets them wait and counts them", () => {
    let tail = take(emptyTail, [line(1), line(2)], false);
    expect(tail.lines.map((r) => r.id)).toEqual(["2", "1"]);
    tail = take(tail, [line(3)], true);
    tail = take(tail, [line(4)], true);
    expect([tail.lines.length, tail.waiting.map((r) => r.id)]).toEqual([2, ["4", "3"]]);
    tail = release(tail);
    expect([tail.lines.map((r) => r.id), tail.waiting.length]).toEqual([["4", "3", "2", "1"], 0]);
  });
  it("puts lines that came late where they belong", () => {
    const at = (id: number, time_ns: string) => ({ ...line(id), time_ns });
    const tail = take(take(emptyTail, [at(1, "10"), at(2, "30")], false), [at(3, "20"), at(4, "30")], false);
    expect(tail.lines.map((r) => r.id)).toEqual(["4", "2", "3", "1"]);
  });
  it("bounds what is held", () => {
    const many = Array.from({ length: TAIL_MAX + 10 }, (_, i) => line(i));
    const held = take(emptyTail, many, true);
    expect([held.waiting.length, held.overflow]).toEqual([TAIL_MAX, true]);
    expect(held.waiting[0]!.id).toBe(String(TAIL_MAX + 9));
    expect(release(held).lines.length).toBe(TAIL_MAX);
  });
  it("finds the line at a height", () => {
    const offsets = offsetsOf([20, 40, 20]);
    expect([...offsets]).toEqual([0, 20, 60, 80]);
    expect([-5, 0, 19, 20, 59, 60, 500].map((y) => lineAt(offsets, y))).toEqual([0, 0, 0, 1, 1, 2, 2]);
    expect(lineAt(offsetsOf([]), 10)).toBe(0);
  });
});

describe("what a span says about code", () => {
  it("reads old and new names", () => {
    const modern = [
      text("code.file.path", "/a.py"),
      text("code.line.number", 3),
      text("code.function.name", "m.f"),
    ];
    expect(codePlace(modern)).toEqual({ file: "/a.py", line: "3", name: "m.f" });
    const old = [
      text("code.filepath", "/a.py"),
      text("code.lineno", 3),
      text("code.namespace", "m"),
      text("code.function", "f"),
    ];
    expect(codePlace(old)).toEqual({ file: "/a.py", line: "3", name: "m.f" });
    expect(codePlace([])).toBeNull();
  });
  it("prefers the statement as it was sent", () => {
    expect(
      statementOf(span({ db_statement: "SELECT ?", attributes: [text("db.query.text", "SELECT 1")] })),
    ).toBe("SELECT 1");
    expect(statementOf(span({ db_statement: "SELECT ?" }))).toBe("SELECT ?");
  });
  it("lists exceptions, the last one first", () => {
    const event = (type: string) => ({
      time_ns: 1,
      name: "exception",
      attributes: [text("exception.type", type)],
    });
    expect(
      exceptionsOf([event("A"), { time_ns: 2, name: "log", attributes: [] }, event("B")]).map((e) => e.type),
    ).toEqual(["B", "A"]);
  });
  it("finds a text anywhere in a span", () => {
    const s = span({
      attributes: [text("user.id", 4711)],
      events: [{ time_ns: 0, name: "x", attributes: [text("k", "Boom")] }],
    });
    expect(["get /", "4711", "user.id", "boom", "shop"].map((w) => spanHas(s, w))).toEqual([
      true,
      true,
      true,
      true,
      true,
    ]);
    expect(spanHas(s, "nothing")).toBe(false);
  });
});

describe("the waterfall's surroundings", () => {
  it("prints offsets with the digits the ruler needs", () => {
    expect(
      [offsetText(0, 2e8), offsetText(2e8, 2e8), offsetText(1.5e9, 5e8), offsetText(1234567, 1000)].map(
        plain,
      ),
    ).toEqual(["0 ms", "200 ms", "1.5 s", "1.235 ms"]);
  });
  it("keeps tips inside", () => {
    expect(tipPlace(10, 10, 800, 600)).toEqual({ left: 26, top: 28 });
    expect(tipPlace(780, 590, 800, 600).left).toBeLessThan(440);
    expect(tipPlace(5, 5, 300, 200).left).toBeGreaterThanOrEqual(8);
  });
  it("takes hold of the edges, the middle or nothing of the shown stretch", () => {
    const tree = buildTree([span({ duration_ns: 100_000 })]);
    const view = { from: 25_000, to: 75_000 };
    expect([250, 750, 500, 10].map((x) => gripAt(x, view, tree, 1000))).toEqual([
      "from",
      "to",
      "move",
      "new",
    ]);
    expect(gripAt(500, { from: 0, to: 100_000 }, tree, 1000)).toBe("new");
  });
  it("packs any number of spans into the strip", () => {
    const chain = Array.from({ length: 500 }, (_, i) =>
      span({ span_id: `s${i}`, parent_span_id: i ? `s${i - 1}` : null }),
    );
    const { lane, lanes } = lanesOf(buildTree(chain), 48);
    expect(lanes).toBeLessThanOrEqual(24);
    expect(Math.max(...lane)).toBeLessThan(lanes);
  });
  it("leaves the list its room beside a panel", () => {
    expect([panelWidth(100, 1280), panelWidth(480, 1280), panelWidth(5000, 1280)]).toEqual([320, 480, 768]);
  });
});
