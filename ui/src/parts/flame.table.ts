/** Figures of a tree by function: what a search matches, own and total time, whose code the time is spent in. */
import { type FlameTree, type FrameKind, frameKinds, SMALLER } from "./flame.model";

export interface Search {
  /** Per function: whether it matches. */
  functions: Uint8Array;
  /** Value of all stacks that hold a match; of the compared side too. */
  sum: number;
  baseSum: number;
  /** Number of functions. */
  n: number;
}

/** Functions whose name, file or `file:line` holds the text, in any case. Null: nothing is looked for. */
export function search(t: FlameTree, text: string): Search | null {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return null;
  const functions = new Uint8Array(t.functions.length);
  let n = 0;
  for (const [i, f] of t.functions.entries())
    if (f.name.toLowerCase().includes(wanted) || `${f.file}:${f.line}`.toLowerCase().includes(wanted)) {
      functions[i] = 1;
      n++;
    }
  let sum = 0;
  let baseSum = 0;
  for (let i = 1; i < t.length; ) {
    if (functions[t.fn[i]!]) {
      sum += t.sum[i]!;
      baseSum += t.baseSum?.[i] ?? 0;
      i = t.end[i]!;
    } else i++;
  }
  return { functions, sum, baseSum, n };
}

export interface FunctionTotal {
  fn: number;
  own: number;
  sum: number;
  baseOwn: number;
  baseSum: number;
}

/** By function, the highest own time first. A function that stands in a stack several times counts once for it. */
export function functionTotals(t: FlameTree): FunctionTotal[] {
  const rows: FunctionTotal[] = t.functions.map((_, fn) => ({ fn, own: 0, sum: 0, baseOwn: 0, baseSum: 0 }));
  const open = new Uint16Array(t.functions.length);
  const stack: number[] = [];
  for (let i = 1; i < t.length; i++) {
    while (stack.length && t.end[stack[stack.length - 1]!]! <= i) open[t.fn[stack.pop()!]!]!--;
    const fn = t.fn[i]!;
    const row = rows[fn]!;
    row.own += t.own[i]!;
    row.baseOwn += t.baseOwn?.[i] ?? 0;
    if (!open[fn]) {
      row.sum += t.sum[i]!;
      row.baseSum += t.baseSum?.[i] ?? 0;
    }
    open[fn]!++;
    stack.push(i);
  }
  return rows.filter((r) => r.sum || r.baseSum).sort((a, b) => b.own - a.own || b.sum - a.sum);
}

/** Own time by whose code it is spent in, as far as the answer tells: not that of calls left out. */
export function kindTotals(t: FlameTree): { kind: FrameKind; own: number; baseOwn: number }[] {
  const own = { app: 0, library: 0, python: 0, native: 0 };
  const baseOwn = { ...own };
  for (let i = 1; i < t.length; i++) {
    if (t.functions[t.fn[i]!]!.name === SMALLER) continue;
    own[t.kind(i)] += t.own[i]!;
    baseOwn[t.kind(i)] += t.baseOwn?.[i] ?? 0;
  }
  return frameKinds
    .map((kind) => ({ kind, own: own[kind], baseOwn: baseOwn[kind] }))
    .filter((k) => k.own || k.baseOwn);
}
