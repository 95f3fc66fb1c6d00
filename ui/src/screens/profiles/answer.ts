/** The sentence a flame graph opens with: what takes most of the time, and on whose behalf. */
import { middle, ratio } from "../../format";
import { points } from "../../parts/flame.draw";
import { type FlameTree, SMALLER, shareChange, shortFile } from "../../parts/flame.model";
import { functionTotals } from "../../parts/flame.table";

export interface Hot {
  fn: number;
  /** Of the total, own. */
  share: number;
  /** The application's function that led there most, and its share of the own time; -1: none, or itself. */
  by: number;
  byShare: number;
}

/** The function with most own time. */
export function hottest(t: FlameTree): Hot | null {
  const top = functionTotals(t).find((r) => t.functions[r.fn]!.name !== SMALLER);
  if (!top?.own || !t.total) return null;
  const by = new Map<number, number>();
  if (t.functions[top.fn]!.kind !== "app")
    for (let i = 1; i < t.length; i++) {
      if (t.fn[i] !== top.fn || !t.own[i]) continue;
      let at = t.parent[i]!;
      while (at > 0 && t.kind(at) !== "app") at = t.parent[at]!;
      if (at > 0) by.set(t.fn[at]!, (by.get(t.fn[at]!) ?? 0) + t.own[i]!);
    }
  const [caller, own] = [...by].sort((a, b) => b[1] - a[1])[0] ?? [-1, 0];
  return { fn: top.fn, share: top.own / t.total, by: caller, byShare: own / top.own };
}

const named = (t: FlameTree, fn: number): string => {
  const f = t.functions[fn]!;
  const name = middle(f.name, 80);
  return f.file ? `${name} (${middle(shortFile(f.file), 80)})` : name;
};

/** `45 % of it in execute (sqlalchemy/engine.py), mostly for search (shop/orders.py)`. */
export function hotSentence(t: FlameTree): string {
  const hot = hottest(t);
  if (!hot) return "";
  const start = `${ratio(hot.share)} of it in ${named(t, hot.fn)}`;
  if (hot.by < 0 || hot.byShare < 0.5) return start;
  return `${start}, ${hot.byShare > 0.95 ? "" : "mostly "}for ${named(t, hot.by)}`;
}

/** In a comparison: the function whose own share moved most. */
export function moved(t: FlameTree): { fn: number; change: number } | null {
  let best: { fn: number; change: number } | null = null;
  for (const r of functionTotals(t)) {
    if (t.functions[r.fn]!.name === SMALLER) continue;
    const change = shareChange(t, r.own, r.baseOwn);
    if (!best || Math.abs(change) > Math.abs(best.change)) best = { fn: r.fn, change };
  }
  return best && Math.abs(best.change) >= 0.001 ? best : null;
}

export function movedSentence(t: FlameTree): string {
  const most = moved(t);
  if (!most) return "the shares of all functions are as before";
  const word = most.change > 0 ? "grew" : "shrank";
  return `${named(t, most.fn)} ${word} most: ${points(most.change)} points of own time`;
}
