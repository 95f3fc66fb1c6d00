// A trace as a tree and as the rows that are on screen. Pure: no DOM, no colours.
//
// Traces come from the network and may be wrong in every way: parents that never arrived, ids that occur
// twice, circles, chains of 10,000 spans. Nothing here recurses, and every span gets exactly one row.

import type { Span, Trace } from "../api-types";
import { fingerprint } from "./sql.text";

/** From this many alike siblings on they share one row. */
export const REPEAT_MIN = 5;

export interface SpanNode {
  /** Place in the tree's `nodes`, which is depth first: a subtree is `index … index + size - 1`. */
  index: number;
  span: Span;
  parent: SpanNode | null;
  children: SpanNode[];
  depth: number;
  end_ns: number;
  /** Spans in the subtree, this one included. */
  size: number;
  /** Spans with an error status in the subtree, this one included. */
  errors: number;
  /** It names a parent that is not in the trace. */
  orphan: boolean;
}

/** Siblings that do the same again and again. */
export interface Group {
  id: string;
  nodes: SpanNode[];
  from_ns: number;
  to_ns: number;
  /** Sum of the durations. */
  total_ns: number;
  max_ns: number;
  errors: number;
  /** Spans in all subtrees. */
  size: number;
}

export interface Tree {
  nodes: SpanNode[];
  roots: SpanNode[];
  byId: Map<string, SpanNode>;
  /** Earliest start and latest end of all spans, at least 1 µs apart. */
  from_ns: number;
  to_ns: number;
  orphans: number;
  max_depth: number;
}

const byStart = (a: SpanNode, b: SpanNode): number =>
  a.span.start_ns - b.span.start_ns || b.span.duration_ns - a.span.duration_ns;

/** Builds the tree. Circles are opened at their earliest span, which counts as an orphan. */
export function buildTree(spans: readonly Span[]): Tree {
  const all: SpanNode[] = [];
  const byId = new Map<string, SpanNode>();
  for (const span of spans) {
    const node: SpanNode = {
      index: -1,
      span,
      parent: null,
      children: [],
      depth: 0,
      end_ns: span.start_ns + span.duration_ns,
      size: 1,
      errors: span.status === 2 ? 1 : 0,
      orphan: false,
    };
    all.push(node);
    if (!byId.has(span.span_id)) byId.set(span.span_id, node);
  }

  const roots: SpanNode[] = [];
  let orphans = 0;
  for (const node of all) {
    const id = node.span.parent_span_id;
    const parent = id ? byId.get(id) : undefined;
    if (parent && parent !== node) {
      node.parent = parent;
      parent.children.push(node);
      continue;
    }
    if (id) {
      node.orphan = true;
      orphans++;
    }
    roots.push(node);
  }

  const nodes: SpanNode[] = [];
  let max_depth = 0;
  const place = (from: SpanNode[]): void => {
    const stack = [...from].sort(byStart).reverse();
    while (stack.length) {
      const node = stack.pop()!;
      node.index = nodes.length;
      node.depth = node.parent ? node.parent.depth + 1 : 0;
      if (node.depth > max_depth) max_depth = node.depth;
      nodes.push(node);
      node.children.sort(byStart);
      for (let i = node.children.length - 1; i >= 0; i--) stack.push(node.children[i]!);
    }
  };
  place(roots);
  if (nodes.length < all.length) {
    for (const node of [...all].sort(byStart)) {
      if (node.index >= 0) continue;
      // Whatever is left hangs on a circle.
      const parent = node.parent!;
      parent.children.splice(parent.children.indexOf(node), 1);
      node.parent = null;
      node.orphan = true;
      orphans++;
      roots.push(node);
      place([node]);
    }
  }
  roots.sort(byStart);

  let from_ns = Infinity;
  let to_ns = -Infinity;
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i]!;
    if (node.span.start_ns < from_ns) from_ns = node.span.start_ns;
    if (node.end_ns > to_ns) to_ns = node.end_ns;
    if (node.parent) {
      node.parent.size += node.size;
      node.parent.errors += node.errors;
    }
  }
  if (!nodes.length) from_ns = to_ns = 0;
  return { nodes, roots, byId, from_ns, to_ns: Math.max(to_ns, from_ns + 1000), orphans, max_depth };
}

export interface SpanRow {
  kind: "span";
  node: SpanNode;
  depth: number;
  /** null: there is nothing to open. */
  open: boolean | null;
  /** The group whose members are shown one by one. */
  group: Group | null;
}

export interface GroupRow {
  kind: "group";
  group: Group;
  depth: number;
  open: boolean;
  /** The span the repeated ones hang on. */
  node: SpanNode | null;
}

export type Row = SpanRow | GroupRow;

export interface Folding {
  /** Nodes whose children are hidden, by index. */
  closed: ReadonlySet<number>;
  /** Groups whose members are shown. */
  opened: ReadonlySet<string>;
  /** Show repeated siblings as one row. */
  repeat: boolean;
}

const groupCache = new WeakMap<SpanNode[], (SpanNode | Group)[]>();

function repeatKey(span: Span): string {
  const text = span.db_statement ? fingerprint(span.db_statement) : span.name;
  return `${span.service}\n${span.kind}\n${text}`;
}

/** Siblings in order of their start; those that repeat stand together where the first one stood. */
export function groupSiblings(siblings: SpanNode[]): (SpanNode | Group)[] {
  if (siblings.length < REPEAT_MIN) return siblings;
  const known = groupCache.get(siblings);
  if (known) return known;
  const alike = new Map<string, SpanNode[]>();
  for (const node of siblings) {
    const key = repeatKey(node.span);
    const list = alike.get(key);
    if (list) list.push(node);
    else alike.set(key, [node]);
  }
  const out: (SpanNode | Group)[] = [];
  for (const node of siblings) {
    const list = alike.get(repeatKey(node.span))!;
    if (list.length < REPEAT_MIN) out.push(node);
    else if (list[0] === node) out.push(makeGroup(list));
  }
  groupCache.set(siblings, out);
  return out;
}

function makeGroup(nodes: SpanNode[]): Group {
  const group: Group = {
    id: `g${nodes[0]!.index}`,
    nodes,
    from_ns: Infinity,
    to_ns: -Infinity,
    total_ns: 0,
    max_ns: 0,
    errors: 0,
    size: 0,
  };
  for (const node of nodes) {
    group.from_ns = Math.min(group.from_ns, node.span.start_ns);
    group.to_ns = Math.max(group.to_ns, node.end_ns);
    group.total_ns += node.span.duration_ns;
    group.max_ns = Math.max(group.max_ns, node.span.duration_ns);
    group.errors += node.errors;
    group.size += node.size;
  }
  return group;
}

const isGroup = (item: SpanNode | Group): item is Group => "total_ns" in item;

/** The rows on screen, from top to bottom. */
export function visibleRows(tree: Tree, folding: Folding): Row[] {
  const rows: Row[] = [];
  interface Item {
    item: SpanNode | Group;
    depth: number;
    parent: SpanNode | null;
    group: Group | null;
  }
  const stack: Item[] = [];
  const push = (siblings: SpanNode[], depth: number, parent: SpanNode | null): void => {
    const items = folding.repeat ? groupSiblings(siblings) : siblings;
    for (let i = items.length - 1; i >= 0; i--) stack.push({ item: items[i]!, depth, parent, group: null });
  };
  push(tree.roots, 0, null);
  while (stack.length) {
    const { item, depth, parent, group } = stack.pop()!;
    if (isGroup(item)) {
      const open = folding.opened.has(item.id);
      rows.push({ kind: "group", group: item, depth, open, node: parent });
      if (open) {
        for (let i = item.nodes.length - 1; i >= 0; i--) {
          stack.push({ item: item.nodes[i]!, depth: depth + 1, parent, group: item });
        }
      }
      continue;
    }
    const open = item.children.length ? !folding.closed.has(item.index) : null;
    rows.push({ kind: "span", node: item, depth, open, group });
    if (open) push(item.children, depth + 1, item);
  }
  return rows;
}

/** What must be opened so that the node has a row of its own. */
export function foldingThatShows(tree: Tree, node: SpanNode, folding: Folding): Folding {
  const closed = new Set(folding.closed);
  const opened = new Set(folding.opened);
  for (let at: SpanNode | null = node; at; at = at.parent) {
    if (at !== node) closed.delete(at.index);
    if (!folding.repeat) continue;
    for (const item of groupSiblings(at.parent ? at.parent.children : tree.roots)) {
      if (isGroup(item) && item.nodes.includes(at)) opened.add(item.id);
    }
  }
  return { closed, opened, repeat: folding.repeat };
}

/** Place of the row that stands for the node: its own, its group's, or that of its nearest shown ancestor. */
export function rowOf(rows: readonly Row[], node: SpanNode): number {
  const exact = rows.findIndex((row) => row.kind === "span" && row.node === node);
  if (exact >= 0) return exact;
  let best = -1;
  rows.forEach((row, i) => {
    const holds =
      row.kind === "group" ? row.group.nodes.some((m) => contains(m, node)) : contains(row.node, node);
    if (holds) best = i;
  });
  return best;
}

const contains = (a: SpanNode, b: SpanNode): boolean => b.index >= a.index && b.index < a.index + a.size;

const ownCache = new WeakMap<SpanNode, Float64Array>();

/** Stretches of a span in which none of its children ran: pairs of start and end. */
export function ownSegments(node: SpanNode): Float64Array {
  const known = ownCache.get(node);
  if (known) return known;
  const out: number[] = [];
  let at = node.span.start_ns;
  for (const child of node.children) {
    const start = Math.min(child.span.start_ns, node.end_ns);
    if (start > at) out.push(at, start);
    if (child.end_ns > at) at = child.end_ns;
    if (at >= node.end_ns) break;
  }
  if (at < node.end_ns || (!out.length && !node.children.length)) out.push(at, node.end_ns);
  const segments = Float64Array.from(out);
  ownCache.set(node, segments);
  return segments;
}

/** The critical path by the row that shows it. */
export class CriticalPath {
  private own = new Map<number, [number, number][]>();
  private whole = new Map<number, [number, number][]>();
  readonly ns: number;

  constructor(tree: Tree, parts: Trace["critical_path"]) {
    let ns = 0;
    for (const part of parts) {
      const node = tree.byId.get(part.span_id);
      if (!node || !(part.to_ns > part.from_ns)) continue;
      ns += part.to_ns - part.from_ns;
      const list = this.own.get(node.index);
      if (list) list.push([part.from_ns, part.to_ns]);
      else this.own.set(node.index, [[part.from_ns, part.to_ns]]);
    }
    for (const list of this.own.values()) list.sort((a, b) => a[0] - b[0]);
    this.ns = ns;
  }

  get empty(): boolean {
    return this.own.size === 0;
  }

  of(node: SpanNode): readonly [number, number][] {
    return this.own.get(node.index) ?? [];
  }

  /** With everything below it: for a row whose children are hidden. */
  ofSubtree(node: SpanNode): readonly [number, number][] {
    const known = this.whole.get(node.index);
    if (known) return known;
    const all: [number, number][] = [];
    if (this.own.size < node.size) {
      for (const [index, list] of this.own) {
        if (index >= node.index && index < node.index + node.size) all.push(...list);
      }
    } else {
      for (let i = node.index; i < node.index + node.size; i++) all.push(...(this.own.get(i) ?? []));
    }
    const merged = mergeRanges(all);
    this.whole.set(node.index, merged);
    return merged;
  }
}

export function mergeRanges(ranges: [number, number][]): [number, number][] {
  const out: [number, number][] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = out[out.length - 1];
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  return out;
}

export interface ServiceTime {
  service: string;
  spans: number;
  errors: number;
  self_ns: number;
  /** Sum of the durations of spans that enter the service. */
  total_ns: number;
  share: number;
}

/** Self time by service, largest first. Shares are of all self time, for spans may run side by side. */
export function timeByService(spans: readonly Span[]): ServiceTime[] {
  const parents = new Map(spans.map((s) => [s.span_id, s]));
  const by = new Map<string, ServiceTime>();
  let sum = 0;
  for (const span of spans) {
    let row = by.get(span.service);
    if (!row) {
      row = { service: span.service, spans: 0, errors: 0, self_ns: 0, total_ns: 0, share: 0 };
      by.set(span.service, row);
    }
    row.spans++;
    if (span.status === 2) row.errors++;
    row.self_ns += span.self_ns;
    sum += span.self_ns;
    const parent = span.parent_span_id ? parents.get(span.parent_span_id) : undefined;
    if (!parent || parent.service !== span.service) row.total_ns += span.duration_ns;
  }
  const rows = [...by.values()];
  for (const row of rows) row.share = sum > 0 ? row.self_ns / sum : 0;
  return rows.sort((a, b) => b.self_ns - a.self_ns);
}

// ---- what part of the time is on screen -------------------------------------------------------------

export interface View {
  from: number;
  to: number;
}

/** Narrowest view: beyond it a double has no digits left to show. */
export const VIEW_MIN_NS = 50;

/** Moves and shrinks a view into the extent, keeping its length where that is possible. */
export function clampView(view: View, extent: View): View {
  const whole = extent.to - extent.from;
  const length = Math.min(whole, Math.max(VIEW_MIN_NS, view.to - view.from));
  const from = Math.min(Math.max(view.from, extent.from), extent.to - length);
  return { from, to: from + length };
}

/** Scales the view by `factor` (below 1: closer) around a point that stays where it is. */
export function zoomView(view: View, at: number, factor: number, extent: View): View {
  const length = Math.max(VIEW_MIN_NS, (view.to - view.from) * factor);
  const share = (at - view.from) / (view.to - view.from);
  const from = at - length * share;
  return clampView({ from, to: from + length }, extent);
}

export function panView(view: View, by: number, extent: View): View {
  return clampView({ from: view.from + by, to: view.to + by }, extent);
}

/** Round points of an axis, about `count` of them. */
export function axisTicks(view: View, count: number): number[] {
  const rough = (view.to - view.from) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? 10 * power;
  const out: number[] = [];
  for (let i = Math.ceil(view.from / step); i * step <= view.to; i++) out.push(i * step);
  return out;
}
