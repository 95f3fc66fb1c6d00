import { describe, expect, it } from "vitest";
import type { Span } from "../src/api-types";
import {
  axisTicks,
  buildTree,
  CriticalPath,
  clampView,
  foldingThatShows,
  ownSegments,
  type Row,
  rowOf,
  timeByService,
  visibleRows,
  zoomView,
} from "../src/parts/waterfall.model";

let next = 0;
function span(
  id: string,
  parent: string | null,
  start: number,
  duration: number,
  more: Partial<Span> = {},
): Span {
  return {
    span_id: id,
    parent_span_id: parent,
    service: "shop",
    name: `span ${next++}`,
    kind: 1,
    start_ns: start,
    duration_ns: duration,
    self_ns: duration,
    status: 0,
    status_message: "",
    resource: "1",
    scope: "",
    db_system: "",
    db_statement: "",
    attributes: [],
    events: [],
    links: [],
    logs: 0,
    ...more,
  };
}

const all = { closed: new Set<number>(), opened: new Set<string>(), repeat: true };
const shape = (rows: Row[]) =>
  rows.map(
    (r) => " ".repeat(r.depth) + (r.kind === "span" ? r.node.span.span_id : `${r.group.nodes.length}×`),
  );

describe("buildTree", () => {
  it("orders children by their start and counts subtrees", () => {
    const tree = buildTree([
      span("c", "a", 50, 10, { status: 2 }),
      span("a", null, 0, 100),
      span("b", "a", 10, 30),
      span("d", "b", 12, 5),
    ]);
    expect(tree.nodes.map((n) => n.span.span_id)).toEqual(["a", "b", "d", "c"]);
    expect(tree.nodes.map((n) => n.size)).toEqual([4, 2, 1, 1]);
    expect(tree.nodes.map((n) => n.errors)).toEqual([1, 0, 0, 1]);
    expect(tree.max_depth).toBe(2);
  });

  it("makes spans whose parent is missing into roots and says so", () => {
    const tree = buildTree([span("a", "gone", 5, 10), span("b", "a", 6, 2)]);
    expect(tree.roots.map((n) => n.orphan)).toEqual([true]);
    expect(tree.orphans).toBe(1);
  });

  it("opens circles and keeps every span, ids that occur twice included", () => {
    const tree = buildTree([
      span("a", "b", 0, 10),
      span("b", "a", 1, 10),
      span("s", "s", 2, 1),
      span("x", null, 3, 1),
      span("x", null, 4, 1),
    ]);
    expect(tree.nodes.length).toBe(5);
    expect(new Set(tree.nodes.map((n) => n.index)).size).toBe(5);
    expect(tree.byId.get("x")!.span.start_ns).toBe(3);
  });

  it("survives a chain of 10,000 spans", () => {
    const chain = Array.from({ length: 10_000 }, (_, i) =>
      span(`s${i}`, i ? `s${i - 1}` : null, i, 20_000 - i),
    );
    const tree = buildTree(chain);
    expect(tree.max_depth).toBe(9999);
    expect(visibleRows(tree, all).length).toBe(10_000);
    expect(tree.nodes[0]!.size).toBe(10_000);
  });

  it("takes an empty trace", () => {
    const tree = buildTree([]);
    expect(tree.to_ns).toBeGreaterThan(tree.from_ns);
    expect(visibleRows(tree, all)).toEqual([]);
  });
});

describe("rows", () => {
  const spans = [
    span("root", null, 0, 1000),
    span("first", "root", 0, 5),
    ...Array.from({ length: 48 }, (_, i) =>
      span(`q${i}`, "root", 10 + i * 10, 5, {
        name: "SELECT",
        db_statement: `SELECT * FROM items WHERE id = ${i}`,
        status: i === 7 ? 2 : 0,
      }),
    ),
    span("last", "root", 600, 5),
  ];
  const tree = buildTree(spans);

  it("shows siblings that repeat as one row, statements alike but for their values", () => {
    const rows = visibleRows(tree, all);
    expect(shape(rows)).toEqual(["root", " first", " 48×", " last"]);
    const row = rows[2]!;
    if (row.kind !== "group") throw new Error("no group");
    expect(row.group.total_ns).toBe(240);
    expect(row.group.errors).toBe(1);
    expect([row.group.from_ns, row.group.to_ns]).toEqual([10, 485]);
  });

  it("shows them one by one when opened or not wanted", () => {
    const group = visibleRows(tree, all)[2]!;
    if (group.kind !== "group") throw new Error("no group");
    expect(visibleRows(tree, { ...all, opened: new Set([group.group.id]) }).length).toBe(52);
    expect(visibleRows(tree, { ...all, repeat: false }).length).toBe(51);
  });

  it("hides what is below a closed row", () => {
    expect(shape(visibleRows(tree, { ...all, closed: new Set([0]) }))).toEqual(["root"]);
  });

  it("opens what hides a span, and finds the row that stands for it until then", () => {
    const node = tree.byId.get("q20")!;
    const shut = { ...all, closed: new Set([0]) };
    expect(rowOf(visibleRows(tree, shut), node)).toBe(0);
    expect(rowOf(visibleRows(tree, all), node)).toBe(2);
    const rows = visibleRows(tree, foldingThatShows(tree, node, shut));
    const row = rows[rowOf(rows, node)]!;
    expect(row.kind === "span" && row.node === node).toBe(true);
  });
});

describe("ownSegments", () => {
  it("leaves out what children cover, also where they overlap or outlast their parent", () => {
    const tree = buildTree([
      span("a", null, 0, 100),
      span("b", "a", 10, 20),
      span("c", "a", 20, 20),
      span("d", "a", 90, 50),
    ]);
    expect([...ownSegments(tree.nodes[0]!)]).toEqual([0, 10, 40, 90]);
    expect([...ownSegments(tree.byId.get("c")!)]).toEqual([20, 40]);
  });
});

describe("CriticalPath", () => {
  const tree = buildTree([span("a", null, 0, 100), span("b", "a", 10, 20), span("c", "b", 12, 10)]);
  const path = new CriticalPath(tree, [
    { span_id: "a", from_ns: 0, to_ns: 10 },
    { span_id: "b", from_ns: 10, to_ns: 12 },
    { span_id: "c", from_ns: 12, to_ns: 22 },
    { span_id: "unknown", from_ns: 0, to_ns: 1 },
    { span_id: "a", from_ns: 5, to_ns: 5 },
  ]);
  it("knows its parts by span and by closed subtree", () => {
    expect(path.of(tree.nodes[0]!)).toEqual([[0, 10]]);
    expect(path.ofSubtree(tree.nodes[1]!)).toEqual([[10, 22]]);
    expect(path.ofSubtree(tree.nodes[0]!)).toEqual([[0, 22]]);
    expect(path.ns).toBe(22);
  });
});

describe("timeByService", () => {
  it("sums self time and counts only entries into the service as its total", () => {
    const rows = timeByService([
      span("a", null, 0, 100, { self_ns: 20 }),
      span("b", "a", 0, 80, { self_ns: 10 }),
      span("c", "b", 0, 70, { self_ns: 70, service: "orders", status: 2 }),
    ]);
    expect(rows.map((r) => [r.service, r.self_ns, r.total_ns, r.spans, r.errors])).toEqual([
      ["orders", 70, 70, 1, 1],
      ["shop", 30, 100, 2, 0],
    ]);
    expect(rows[0]!.share).toBeCloseTo(0.7);
  });
});

describe("view", () => {
  const extent = { from: 0, to: 1e9 };
  it("zooms around a point and stays inside", () => {
    const view = zoomView(extent, 250e6, 0.5, extent);
    expect(view).toEqual({ from: 125e6, to: 625e6 });
    expect(zoomView(view, 300e6, 100, extent)).toEqual(extent);
    expect(clampView({ from: -5e8, to: 0 }, extent)).toEqual({ from: 0, to: 5e8 });
  });
  it("does not zoom closer than digits reach", () => {
    let view = extent;
    for (let i = 0; i < 100; i++) view = zoomView(view, 5e8, 0.5, extent);
    expect(view.to - view.from).toBeCloseTo(50, 3);
  });
  it("puts ticks at round points", () => {
    expect(axisTicks({ from: 0, to: 1e6 }, 5)).toEqual([0, 2e5, 4e5, 6e5, 8e5, 1e6]);
    expect(axisTicks({ from: 3, to: 3.0001 }, 5).length).toBeLessThan(8);
  });
});
