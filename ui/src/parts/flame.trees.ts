/**
 * Trees made of a tree: lines joined to functions, callers below what they call, a function from both sides, the
 * application's own frames alone. Each keeps every value: what has no place any more belongs to the frame above.
 */
import { type FlameNodes, FlameTree, type FrameFunction } from "./flame.model";

/** Nodes of a derived tree; beyond, stacks end early. The most costly stacks come first. */
export const NODES_MAX = 300_000;

/** Finds the child of a node by its function: open addressing over two numbers, no object per node. */
class Children {
  private slots = new Int32Array(1 << 12).fill(-1);
  private n = 0;

  constructor(
    private readonly parent: readonly number[],
    private readonly fn: readonly number[],
  ) {}

  private slot(parent: number, fn: number): number {
    const mask = this.slots.length - 1;
    let at = (Math.imul(parent, 0x9e3779b1) ^ Math.imul(fn + 1, 0x85ebca6b)) >>> 0;
    for (at = (at ^ (at >>> 15)) & mask; ; at = (at + 1) & mask) {
      const node = this.slots[at]!;
      if (node < 0 || (this.parent[node] === parent && this.fn[node] === fn)) return at;
    }
  }

  /** The child, or -1. */
  get(parent: number, fn: number): number {
    return this.slots[this.slot(parent, fn)]!;
  }

  put(node: number): void {
    if (++this.n * 2 > this.slots.length) {
      const old = this.slots;
      this.slots = new Int32Array(old.length * 2).fill(-1);
      for (const x of old) if (x >= 0) this.slots[this.slot(this.parent[x]!, this.fn[x]!)] = x;
    }
    this.slots[this.slot(this.parent[node]!, this.fn[node]!)] = node;
  }
}

class Builder {
  private readonly fn: number[] = [-1];
  private readonly parent: number[] = [0];
  private readonly own: number[] = [0];
  private readonly baseOwn: number[] = [0];
  private readonly children = new Children(this.parent, this.fn);

  constructor(
    private readonly from: FlameTree,
    private readonly functions: readonly FrameFunction[] = from.functions,
  ) {}

  /** Adds a stack of function numbers, outermost first, of `length`. */
  add(stack: ArrayLike<number>, length: number, value: number, base: number): void {
    let at = 0;
    for (let i = 0; i < length; i++) {
      const f = stack[i]!;
      let next = this.children.get(at, f);
      if (next < 0) {
        if (this.fn.length >= NODES_MAX) break;
        next = this.fn.length;
        this.fn.push(f);
        this.parent.push(at);
        this.own.push(0);
        this.baseOwn.push(0);
        this.children.put(next);
      }
      at = next;
    }
    this.own[at] = this.own[at]! + value;
    this.baseOwn[at] = this.baseOwn[at]! + base;
  }

  build(): FlameTree {
    const n = this.fn.length;
    const sum = Float64Array.from(this.own);
    const baseSum = Float64Array.from(this.baseOwn);
    for (let i = n - 1; i > 0; i--) {
      sum[this.parent[i]!]! += sum[i]!;
      baseSum[this.parent[i]!]! += baseSum[i]!;
    }
    const weight = sum.map((v, i) => v + baseSum[i]! * this.from.scale);
    const order = depthFirst(this.parent, weight);
    const place = new Int32Array(n);
    for (let i = 0; i < n; i++) place[order[i]!] = i;
    const pick = (list: ArrayLike<number>) => Float64Array.from(order, (i) => list[i]!);
    const nodes: FlameNodes = {
      fn: pick(this.fn),
      parent: Int32Array.from(order, (i) => place[this.parent[i]!]!),
      own: pick(this.own),
      sum: pick(sum),
      baseOwn: this.from.compared ? pick(this.baseOwn) : null,
      baseSum: this.from.compared ? pick(baseSum) : null,
    };
    return new FlameTree(this.functions, nodes, this.from.total, this.from.baseTotal);
  }
}

/** Depth first, of siblings the heaviest first. Without recursion: stacks may be two thousand deep. */
function depthFirst(parent: readonly number[], weight: Float64Array): Int32Array {
  const n = parent.length;
  const first = new Int32Array(n + 1);
  for (let i = 1; i < n; i++) first[parent[i]! + 1]!++;
  for (let i = 0; i < n; i++) first[i + 1]! += first[i]!;
  const below = new Int32Array(Math.max(0, n - 1));
  const fill = first.slice();
  for (let i = 1; i < n; i++) below[fill[parent[i]!]!++] = i;
  const order = new Int32Array(n);
  const open = [0];
  for (let at = 0; open.length; at++) {
    const node = open.pop()!;
    order[at] = node;
    const siblings = below.subarray(first[node]!, first[node + 1]!);
    if (siblings.length > 1) siblings.sort((a, b) => weight[a]! - weight[b]!);
    for (const child of siblings) open.push(child);
  }
  return order;
}

/** Nodes with a value of their own, the most costly first. */
function leaves(t: FlameTree, from = 1, to = t.length): number[] {
  const cost = (i: number) => t.own[i]! + (t.baseOwn ? t.baseOwn[i]! * t.scale : 0);
  const list: number[] = [];
  for (let i = from; i < to; i++) if (cost(i) > 0) list.push(i);
  return list.sort((a, b) => cost(b) - cost(a));
}

const deepest = (t: FlameTree) => new Int32Array(t.rows + 1);

/** A tree by lines as one by functions; each function gets the line on which most of its time passes. */
export function byFunction(t: FlameTree): FlameTree {
  const ids = new Map<string, number>();
  const functions: FrameFunction[] = [];
  const of = new Int32Array(t.functions.length);
  for (const [i, f] of t.functions.entries()) {
    const key = `${f.file}\0${f.name}`;
    let at = ids.get(key);
    if (at === undefined) {
      at = functions.length;
      ids.set(key, at);
      functions.push({ ...f, byLine: false });
    }
    of[i] = at;
  }
  const cost = new Float64Array(t.functions.length);
  for (let i = 1; i < t.length; i++) cost[t.fn[i]!]! += t.sum[i]!;
  const most = new Float64Array(functions.length).fill(-1);
  for (const [i, f] of t.functions.entries()) {
    const at = of[i]!;
    if (f.line && cost[i]! > most[at]!) {
      most[at] = cost[i]!;
      functions[at]!.line = f.line;
    }
  }
  const b = new Builder(t, functions);
  const stack = deepest(t);
  for (let i = 1; i < t.length; i++) {
    stack[t.depth[i]! - 1] = of[t.fn[i]!]!;
    const base = t.baseOwn?.[i] ?? 0;
    if (t.own[i] || base) b.add(stack, t.depth[i]!, t.own[i]!, base);
  }
  return b.build();
}

/** Callers below what they call: where own time is spent, and on whose behalf. */
export function inverted(t: FlameTree): FlameTree {
  const b = new Builder(t);
  const stack = deepest(t);
  for (const i of leaves(t)) {
    let n = 0;
    for (let at = i; at > 0; at = t.parent[at]!) stack[n++] = t.fn[at]!;
    b.add(stack, n, t.own[i]!, t.baseOwn?.[i] ?? 0);
  }
  return b.build();
}

/** The outermost nodes of a function: inner ones of a recursion are parts of them. */
function outermost(t: FlameTree, fn: number): number[] {
  const list: number[] = [];
  for (let i = 1; i < t.length; ) {
    if (t.fn[i] === fn) {
      list.push(i);
      i = t.end[i]!;
    } else i++;
  }
  return list;
}

/** What the function calls, over all places it is called from. Its own node is the only child of the root. */
export function callees(t: FlameTree, fn: number): FlameTree {
  const b = new Builder(t);
  const stack = deepest(t);
  for (const top of outermost(t, fn))
    for (let i = top; i < t.end[top]!; i++) {
      const depth = t.depth[i]! - t.depth[top]!;
      stack[depth] = t.fn[i]!;
      const base = t.baseOwn?.[i] ?? 0;
      if (t.own[i] || base) b.add(stack, depth + 1, t.own[i]!, base);
    }
  return b.build();
}

/** Who calls the function, the nearest first. */
export function callers(t: FlameTree, fn: number): FlameTree {
  const b = new Builder(t);
  const stack = deepest(t);
  for (const top of outermost(t, fn)) {
    let n = 0;
    for (let at = top; at > 0; at = t.parent[at]!) stack[n++] = t.fn[at]!;
    b.add(stack, n, t.sum[top]!, t.baseSum?.[top] ?? 0);
  }
  return b.build();
}

/** Frames of libraries fold into the application's call that leads to them; the first of them stays as its end. */
export function appOnly(t: FlameTree): FlameTree {
  const b = new Builder(t);
  const stack = deepest(t);
  for (const i of leaves(t)) {
    const path = t.path(i);
    let n = 0;
    let last = -1;
    for (const [k, at] of path.entries())
      if (t.kind(at) === "app") {
        stack[n++] = t.fn[at]!;
        last = k;
      }
    if (last + 1 < path.length) stack[n++] = t.fn[path[last + 1]!]!;
    b.add(stack, n, t.own[i]!, t.baseOwn?.[i] ?? 0);
  }
  return b.build();
}
