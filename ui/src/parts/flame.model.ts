/**
 * Trees of calls as flat arrays: nodes stand in depth-first order, so a subtree is a run [i, end[i]), and what is
 * too narrow to see is skipped as a whole. A node's width is the value of its stacks; in a comparison the mean of
 * both sides brought to one size, so that nothing vanishes and children never exceed their parent.
 */

/** The answer of /api/v1/profiles/flame. Node 0, the root, is not in the arrays; `parent` counts it. */
export interface FlameAnswer {
  type: string;
  unit: string;
  total: number;
  /** Value of stacks beyond the server's limit. */
  left_out: number;
  base_total?: number;
  base_left_out?: number;
  stacks: number;
  nodes: number;
  /** Calls too small to be in the answer; their value is in the nodes above them. */
  nodes_left_out: number;
  functions: [name: string, file: string, kind: FrameKind][];
  parent: number[];
  function: number[];
  /** With `lines=1`: the same function at another line is another node. */
  line?: number[];
  own: number[];
  sum: number[];
  base_own?: number[];
  base_sum?: number[];
}

/** Whose code it is: the application's, an installed package's, Python's own, compiled. */
export type FrameKind = "app" | "library" | "python" | "native";

export const frameKinds: readonly FrameKind[] = ["app", "library", "python", "native"];

export const kindNames: Record<FrameKind, string> = {
  app: "Own code",
  library: "Libraries",
  python: "Python’s own",
  native: "Native",
};

export interface FrameFunction {
  name: string;
  file: string;
  /** The line in a tree by lines; else the one on which most of its time passes. 0: not known. */
  line: number;
  kind: FrameKind;
  /** A frame of one line, or of several that hardly count (line 0), beside others of the function. */
  byLine?: boolean;
}

/** Arrays of one entry per node, parents before children, node 0 the root. */
export interface FlameNodes {
  fn: ArrayLike<number>;
  parent: ArrayLike<number>;
  own: ArrayLike<number>;
  sum: ArrayLike<number>;
  baseOwn?: ArrayLike<number> | null;
  baseSum?: ArrayLike<number> | null;
}

const mixHash = (a: number, b: number): number => {
  const h = Math.imul(a ^ b, 0x85ebca6b);
  return Math.imul(h ^ (h >>> 13), 0xc2b2ae35) ^ (h >>> 16);
};

function textHash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h;
}

export class FlameTree {
  /** Per node: index of its function, -1 at the root. */
  readonly fn: Int32Array;
  readonly parent: Int32Array;
  readonly depth: Uint16Array;
  /** First node behind the subtree. */
  readonly end: Int32Array;
  /** Where it begins and how wide it is, in the unit of the values. */
  readonly start: Float64Array;
  readonly width: Float64Array;
  readonly own: Float64Array;
  readonly sum: Float64Array;
  readonly baseSum: Float64Array | null;
  readonly baseOwn: Float64Array | null;
  readonly rows: number;
  private keys: Uint32Array | null = null;

  constructor(
    readonly functions: readonly FrameFunction[],
    nodes: FlameNodes,
    /** Of the whole selection, and of what it is compared with: what shares are shares of. */
    readonly total: number,
    readonly baseTotal = 0,
  ) {
    const n = nodes.fn.length;
    this.fn = Int32Array.from(nodes.fn);
    this.parent = Int32Array.from(nodes.parent);
    this.own = Float64Array.from(nodes.own);
    this.sum = Float64Array.from(nodes.sum);
    this.baseOwn = nodes.baseOwn ? Float64Array.from(nodes.baseOwn) : null;
    this.baseSum = nodes.baseSum ? Float64Array.from(nodes.baseSum) : null;
    this.depth = new Uint16Array(n);
    this.end = new Int32Array(n);
    this.start = new Float64Array(n);
    this.width = this.widths();
    const cursor = new Float64Array(n);
    let rows = 1;
    for (let i = 1; i < n; i++) {
      const p = this.parent[i]!;
      this.depth[i] = this.depth[p]! + 1;
      this.start[i] = cursor[p]!;
      cursor[i] = cursor[p]!;
      cursor[p] = cursor[p]! + this.width[i]!;
      if (this.depth[i]! >= rows) rows = this.depth[i]! + 1;
    }
    for (let i = n - 1; i >= 0; i--) {
      if (this.end[i]! < i + 1) this.end[i] = i + 1;
      const p = this.parent[i]!;
      if (i > 0 && this.end[p]! < this.end[i]!) this.end[p] = this.end[i]!;
    }
    this.rows = rows;
  }

  private widths(): Float64Array {
    const base = this.baseSum;
    if (!base) return this.sum;
    const scale = this.scale;
    return this.sum.map((v, i) => (v + base[i]! * scale) / 2);
  }

  get length(): number {
    return this.fn.length;
  }

  get compared(): boolean {
    return this.baseSum !== null;
  }

  /** Brings the compared side to the size of this one: shares are compared, not totals. */
  get scale(): number {
    return this.baseSum && this.baseTotal > 0 && this.total > 0 ? this.total / this.baseTotal : 1;
  }

  /** Change of the node's share, -1 … 1 (0.02: two points more of the whole). */
  change(i: number): number {
    return this.baseSum ? shareChange(this, this.sum[i]!, this.baseSum[i]!) : 0;
  }

  name(i: number): string {
    return this.functions[this.fn[i]!]?.name ?? "All";
  }

  file(i: number): string {
    return this.functions[this.fn[i]!]?.file ?? "";
  }

  kind(i: number): FrameKind {
    return this.functions[this.fn[i]!]?.kind ?? "native";
  }

  /** Nodes from below the root to the node. */
  path(i: number): number[] {
    const list: number[] = [];
    for (let at = i; at > 0; at = this.parent[at]!) list.push(at);
    return list.reverse();
  }

  /** Names a node by the functions above it: the same in the tree of another moment. */
  key(i: number): string {
    return i > 0 ? this.hashes()[i]!.toString(36) : "";
  }

  /** The node of a key, or 0. */
  find(key: string): number {
    if (!key) return 0;
    const wanted = Number.parseInt(key, 36);
    const hashes = this.hashes();
    for (let i = 1; i < hashes.length; i++) if (hashes[i] === wanted) return i;
    return 0;
  }

  private hashes(): Uint32Array {
    if (this.keys) return this.keys;
    const of = this.functions.map((f) => mixHash(textHash(f.name), textHash(f.file)));
    const keys = new Uint32Array(this.length);
    keys[0] = 1;
    for (let i = 1; i < keys.length; i++) keys[i] = mixHash(keys[this.parent[i]!]! * 31, of[this.fn[i]!]!);
    this.keys = keys;
    return keys;
  }
}

/** How far a share of the whole moved between two sides. */
export function shareChange(t: Pick<FlameTree, "total" | "baseTotal">, now: number, before: number): number {
  return (t.total > 0 ? now / t.total : 0) - (t.baseTotal > 0 ? before / t.baseTotal : 0);
}

/** What stands in the picture for calls that the answer leaves out. */
export const SMALLER = "(smaller calls)";

/** Nodes with the calls that the answer leaves out: a call whose parts do not add up gets one more. */
class Taken {
  readonly fn = [-1];
  readonly parent = [0];
  readonly own = [0];
  readonly sum: number[];
  readonly baseOwn = [0];
  readonly baseSum: number[];
  /** What of a node's value no child accounts for yet. */
  private rest: number[];
  private baseRest: number[];
  private readonly path = [0];

  constructor(
    sum: number,
    base: number,
    private readonly smaller: number,
  ) {
    this.sum = [sum];
    this.baseSum = [base];
    this.rest = [sum];
    this.baseRest = [base];
  }

  /** Nodes come in depth-first order; `parent` counts as in this list. */
  add(fn: number, parent: number, own: number, sum: number, baseOwn: number, baseSum: number): number {
    while (this.path[this.path.length - 1] !== parent) this.close();
    const at = this.push(fn, parent, own, sum, baseOwn, baseSum);
    this.path.push(at);
    return at;
  }

  finish(): void {
    while (this.path.length) this.close();
  }

  private push(
    fn: number,
    parent: number,
    own: number,
    sum: number,
    baseOwn: number,
    baseSum: number,
  ): number {
    this.fn.push(fn);
    this.parent.push(parent);
    this.own.push(own);
    this.sum.push(sum);
    this.baseOwn.push(baseOwn);
    this.baseSum.push(baseSum);
    this.rest[parent]! -= sum;
    this.baseRest[parent]! -= baseSum;
    this.rest.push(sum - own);
    this.baseRest.push(baseSum - baseOwn);
    return this.fn.length - 1;
  }

  private close(): void {
    const at = this.path.pop()!;
    const [value, base] = [Math.max(0, this.rest[at]!), Math.max(0, this.baseRest[at]!)];
    if (value || base) this.push(this.smaller, at, value, value, base, base);
  }
}

/** The tree of an answer as it stands: with lines, a function and its line are one frame. */
export function flameTree(a: FlameAnswer): FlameTree {
  const functions: FrameFunction[] = [{ name: SMALLER, file: "", line: 0, kind: "native" }];
  const known = new Map<number, number>();
  const nodes = new Taken(a.total - a.left_out, (a.base_total ?? 0) - (a.base_left_out ?? 0), 0);
  const place = new Int32Array(a.function.length + 1);
  for (const [i, f] of a.function.entries()) {
    const line = a.line?.[i] ?? 0;
    const id = f * 0x4000000 + line;
    let at = known.get(id);
    if (at === undefined) {
      at = functions.length;
      known.set(id, at);
      const [name, file, kind] = a.functions[f]!;
      functions.push({ name, file, line, kind, byLine: a.line !== undefined });
    }
    place[i + 1] = nodes.add(
      at,
      place[a.parent[i]!]!,
      a.own[i]!,
      a.sum[i]!,
      a.base_own?.[i] ?? 0,
      a.base_sum?.[i] ?? 0,
    );
  }
  nodes.finish();
  const { fn, parent, own, sum } = nodes;
  const base = a.base_sum ? { baseOwn: nodes.baseOwn, baseSum: nodes.baseSum } : {};
  return new FlameTree(functions, { fn, parent, own, sum, ...base }, a.total, a.base_total ?? 0);
}

/** `flask/app.py`: without the folder of packages; of the application's own files the last folder and the name. */
export function shortFile(file: string): string {
  const path = file.replaceAll("\\", "/");
  const inside = /\/(?:site|dist)-packages\/(.*)$/.exec(path);
  if (inside) return inside[1]!;
  const own = /\/lib(?:64)?\/(?:python|pypy)\d(?:\.\d+)?t?\/(.*)$/.exec(path);
  if (own) return own[1]!;
  const parts = path.split("/");
  return parts.length > 3 ? parts.slice(-2).join("/") : path;
}
