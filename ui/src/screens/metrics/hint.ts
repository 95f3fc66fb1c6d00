/** Why a query may have found nothing: a metric that does not exist, and the one that may be meant. */
import { parser } from "@prometheus-io/lezer-promql";

/** Names compared with a mistyped one; of longer lists only the beginning is read. */
const NAMES_READ = 20_000;

/** The metrics that selectors of a query name. */
export function namesIn(expr: string): string[] {
  const found = new Set<string>();
  parser.parse(expr).iterate({
    enter: (node) => {
      const name = node.name === "VectorSelector" ? node.node.getChild("Identifier") : null;
      if (name) found.add(expr.slice(name.from, name.to));
    },
  });
  return [...found];
}

/** Letters to change, add or leave out, at most `most`; `most + 1` when there are more. */
function distance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    if (Math.min(...next) > most) return most + 1;
    row = next;
  }
  return row[b.length]!;
}

/** The name that is likely meant: one with a suffix that was left out or is too many, or the nearest. */
export function nearest(name: string, names: readonly string[]): string | null {
  const all = new Set(names);
  const stem = name.replace(/_(total|bucket|count|sum)$/, "");
  for (const other of [stem, ...["_total", "_bucket", "_count", "_sum"].map((s) => stem + s)])
    if (other !== name && all.has(other)) return other;
  let most = Math.max(2, Math.floor(name.length / 5));
  let best: string | null = null;
  for (const other of names.slice(0, NAMES_READ)) {
    const d = distance(name, other, most);
    if (d > most || (best && d === most)) continue;
    [best, most] = [other, d];
  }
  return best;
}

/** The first metric of a query that nobody sent, and the one that may be meant. */
export function missingName(
  expr: string,
  names: readonly string[],
): { name: string; instead: string | null } | null {
  const all = new Set(names);
  const name = namesIn(expr).find((n) => !all.has(n));
  return name === undefined ? null : { name, instead: nearest(name, names) };
}
