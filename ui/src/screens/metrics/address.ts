/**
 * The explorer's state is the address: `q.A=up&q.B=rate(x[5m])&hide=B&step=30&view=table`. Queries stand in the
 * order of the address; a query's name is what follows the dot.
 */
import type { ParamValue } from "../../router";

export interface Query {
  /** A letter, or what the reader renamed it to. */
  name: string;
  expr: string;
  hidden: boolean;
}

export const QUERIES_MAX = 12;
export const NAME_MAX = 16;

const prefix = "q.";

/** Queries of an address; one empty query when it has none. */
export function readQueries(params: URLSearchParams): Query[] {
  const hidden = new Set((params.get("hide") ?? "").split(","));
  const list: Query[] = [];
  for (const [key, expr] of params) {
    const name = key.startsWith(prefix) ? key.slice(prefix.length) : "";
    if (!name || list.length >= QUERIES_MAX || list.some((q) => q.name === name)) continue;
    list.push({ name, expr, hidden: hidden.has(name) });
  }
  return list.length ? list : [{ name: "A", expr: "", hidden: false }];
}

/** What must change in `params` so that it holds `queries`. Empty queries are not kept, unless among others. */
export function writeQueries(params: URLSearchParams, queries: readonly Query[]): URLSearchParams {
  const next = new URLSearchParams(params);
  for (const key of [...next.keys()]) if (key.startsWith(prefix)) next.delete(key);
  for (const q of queries) if (q.expr || queries.length > 1) next.append(prefix + q.name, q.expr);
  const hidden = queries.filter((q) => q.hidden).map((q) => q.name);
  if (hidden.length) next.set("hide", hidden.join(","));
  else next.delete("hide");
  return next;
}

/** Parameters that open the explorer with one query, for links from elsewhere. */
export const queryParams = (expr: string): Record<string, ParamValue> => ({ [`${prefix}A`]: expr });

/** The first free letter: A…Z, then A2…. */
export function freeName(queries: readonly Query[]): string {
  const used = new Set(queries.map((q) => q.name));
  for (let round = 1; ; round++) {
    for (let i = 0; i < 26; i++) {
      const name = String.fromCharCode(65 + i) + (round > 1 ? round : "");
      if (!used.has(name)) return name;
    }
  }
}

/** A name as it may stand in the address, or null: no commas, not used, not long. */
export function checkedName(text: string, others: readonly string[]): string | null {
  const name = text
    .trim()
    .replace(/[,\s]+/g, "-")
    .slice(0, NAME_MAX);
  return name && !others.includes(name) ? name : null;
}

const niceSteps = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800,
];

/** Seconds between points so that at most `points` of them cover the range; a round number. */
export function autoStep(rangeSeconds: number, points: number): number {
  const least = rangeSeconds / Math.max(points, 10);
  return niceSteps.find((s) => s >= least) ?? Math.ceil(least / 604800) * 604800;
}

const unitSeconds: Record<string, number> = {
  ms: 0.001,
  s: 1,
  m: 60,
  h: 3600,
  d: 86400,
  w: 604800,
  y: 31536000,
};

/** Seconds of `15`, `15s`, `1h30m`; null when it is none or not above 0. */
export function parseStep(text: string): number | null {
  const t = text.trim();
  if (/^\d+(\.\d+)?$/.test(t)) return Number(t) > 0 ? Number(t) : null;
  if (!/^(\d+(ms|[smhdwy]))+$/.test(t)) return null;
  let sum = 0;
  for (const [, n, unit] of t.matchAll(/(\d+)(ms|[smhdwy])/g)) sum += Number(n) * unitSeconds[unit!]!;
  return sum > 0 ? sum : null;
}

/** `1h30m` of seconds. */
export function stepText(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)}ms`;
  let rest = Math.round(seconds);
  let text = "";
  for (const unit of ["d", "h", "m", "s"]) {
    const size = unitSeconds[unit]!;
    const n = Math.floor(rest / size);
    if (n) text += n + unit;
    rest -= n * size;
  }
  return text || "0s";
}
