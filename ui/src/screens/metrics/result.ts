/** Answers of queries as charts and tables want them: one grid of times, short labels, figures over the range. */
import type { HistogramValue, Labels, QueryData, SeriesAnswer } from "./prometheus";
import { labelText, sampleValue, seriesText } from "./prometheus";

export interface Grid {
  /** Unix seconds. */
  start: number;
  end: number;
  step: number;
}

export interface DrawnSeries {
  /** Name of the query it answers. */
  query: string;
  /** The series in full, unique within its query. */
  full: string;
  /** What tells it from its neighbours. */
  label: string;
  labels: Labels;
  /** One per step of the grid; null where there is no sample. */
  values: (number | null)[];
  min: number | null;
  max: number | null;
  mean: number | null;
  last: number | null;
}

/** Charts draw so many series of a query; the table shows all. */
export const DRAWN_MAX = 200;

export const gridTimes = (g: Grid): number[] =>
  Array.from({ length: Math.max(0, Math.floor((g.end - g.start) / g.step + 1e-6)) + 1 }, (_, i) =>
    Number((g.start + i * g.step).toFixed(3)),
  );

/**
 * Names of the labels whose values differ between the series, the most telling first: those with most values, since a
 * name is cut at its end. An instance says where, not what, and comes last.
 */
export function varyingLabels(list: readonly { metric: Labels }[]): Set<string> {
  const names = new Set(list.flatMap((s) => Object.keys(s.metric)));
  const values = new Map([...names].map((name) => [name, new Set(list.map((s) => s.metric[name])).size]));
  const varying = [...names].filter((name) => values.get(name)! > 1);
  const rank = (name: string) => (name === "instance" ? -1 : values.get(name)!);
  return new Set(varying.sort((a, b) => rank(b) - rank(a) || (a < b ? -1 : 1)));
}

/** `{code="500"}`, `up`, or the expression when nothing else names it. */
export function shortLabel(metric: Labels, varying: ReadonlySet<string>, expr: string): string {
  const name = varying.has("__name__") ? (metric.__name__ ?? "") : "";
  const keep = new Set([...varying].filter((n) => n !== "__name__"));
  const rest = keep.size ? labelText(metric, keep, true) : "";
  if (name || rest) return (name + rest).replace(/^\{(.*)\}$/, "$1");
  return seriesText(metric) === "{}" ? expr : seriesText(metric);
}

/** What all series have in common, for one line above them: `{job="node"}`. */
export function commonLabels(list: readonly { metric: Labels }[]): string {
  if (list.length < 2) return "";
  const varying = varyingLabels(list);
  const first = list[0]!.metric;
  const keep = new Set(Object.keys(first).filter((n) => !varying.has(n)));
  return (keep.has("__name__") ? (first.__name__ ?? "") : "") + labelText(first, keep);
}

function onGrid(points: readonly (readonly [number, string])[], grid: Grid, n: number): (number | null)[] {
  const values = new Array<number | null>(n).fill(null);
  for (const [t, text] of points) {
    const i = Math.round((t - grid.start) / grid.step);
    const v = sampleValue(text);
    // NaN and ±Inf have no place on an axis; the table shows them.
    if (i >= 0 && i < n && Number.isFinite(v)) values[i] = v;
  }
  return values;
}

function figures(values: readonly (number | null)[]) {
  let [min, max, sum, n] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  let last: number | null = null;
  for (const v of values) {
    if (v === null) continue;
    if (v < min) min = v;
    if (v > max) max = v;
    sum += v;
    n++;
    last = v;
  }
  return n ? { min, max, mean: sum / n, last } : { min: null, max: null, mean: null, last: null };
}

/** The series of a range answer, largest mean first; native histograms are left to the heat map. */
export function drawn(name: string, expr: string, data: QueryData, grid: Grid): DrawnSeries[] {
  if (data.resultType !== "matrix") return [];
  const floats = data.result.filter((s) => s.values?.length);
  const varying = varyingLabels(floats);
  const n = gridTimes(grid).length;
  return floats
    .map((s) => {
      const values = onGrid(s.values!, grid, n);
      return {
        query: name,
        full: seriesText(s.metric),
        label: shortLabel(s.metric, varying, expr),
        labels: s.metric,
        values,
        ...figures(values),
      };
    })
    .sort((a, b) => (b.mean ?? -Infinity) - (a.mean ?? -Infinity) || (a.full < b.full ? -1 : 1));
}

export const hasHistograms = (data: QueryData | undefined): boolean =>
  (data?.resultType === "matrix" || data?.resultType === "vector") &&
  data.result.some((s) => s.histograms?.length || s.histogram);

/** How many series and points an answer has. */
export function counted(data: QueryData): { series: number; points: number } {
  if (data.resultType === "scalar" || data.resultType === "string") return { series: 1, points: 1 };
  let points = 0;
  for (const s of data.result)
    points += (s.values?.length ?? 0) + (s.histograms?.length ?? 0) + (s.value || s.histogram ? 1 : 0);
  return { series: data.result.length, points };
}

// ---- the table

export interface TableRow {
  key: string;
  query: string;
  labels: Labels;
  /** Unix seconds. */
  time: number;
  value: number | null;
  /** As the server printed it, or a histogram in words. */
  text: string;
  /** Samples of a range selector. */
  samples?: readonly (readonly [number, string])[];
}

const histogramText = (h: HistogramValue): string =>
  `${h.count} observations, sum ${h.sum}, ${h.buckets?.length ?? 0} buckets`;

/** Rows of an instant answer. */
export function tableRows(query: string, data: QueryData): TableRow[] {
  if (data.resultType === "scalar" || data.resultType === "string") {
    const [time, text] = data.result;
    const value = data.resultType === "scalar" ? sampleValue(text) : null;
    return [{ key: query, query, labels: {}, time, value, text }];
  }
  return data.result.map((s, i) => row(query, s, i));
}

function row(query: string, s: SeriesAnswer, i: number): TableRow {
  const key = `${query}/${seriesText(s.metric)}/${i}`;
  const base = { key, query, labels: s.metric };
  if (s.value) return { ...base, time: s.value[0], value: sampleValue(s.value[1]), text: s.value[1] };
  if (s.histogram)
    return {
      ...base,
      time: s.histogram[0],
      value: Number(s.histogram[1].count),
      text: histogramText(s.histogram[1]),
    };
  const samples = s.values ?? [];
  const last = samples[samples.length - 1];
  if (last) return { ...base, time: last[0], value: sampleValue(last[1]), text: last[1], samples };
  const h = s.histograms?.[s.histograms.length - 1];
  return h
    ? { ...base, time: h[0], value: Number(h[1].count), text: histogramText(h[1]) }
    : { ...base, time: 0, value: null, text: "" };
}

// ---- the heat map

export interface Heat {
  times: number[];
  /** Upper and lower bound of each row, lowest first. */
  rows: { lower: number; upper: number }[];
  /** Observations (or their rate) by row, then time. */
  cells: (number | null)[][];
  max: number;
}

/** Sums of all series' buckets, of classic histograms (`le`) or native ones; null when there are none. */
export function heat(data: QueryData, grid: Grid): Heat | null {
  if (data.resultType !== "matrix") return null;
  const native = data.result.some((s) => s.histograms?.length);
  return native ? nativeHeat(data.result, grid) : classicHeat(data.result, grid);
}

function classicHeat(list: readonly SeriesAnswer[], grid: Grid): Heat | null {
  const times = gridTimes(grid);
  const byLe = new Map<number, (number | null)[]>();
  for (const s of list) {
    const le = sampleValue(s.metric.le ?? "");
    if (s.metric.le === undefined || Number.isNaN(le) || !s.values) continue;
    const into = byLe.get(le) ?? new Array<number | null>(times.length).fill(null);
    onGrid(s.values, grid, times.length).forEach((v, i) => {
      if (v !== null) into[i] = (into[i] ?? 0) + v;
    });
    byLe.set(le, into);
  }
  const bounds = [...byLe.keys()].sort((a, b) => a - b);
  if (bounds.length < 2) return null;
  // Buckets count everything up to their bound; a cell is what a bucket adds to the one below.
  const cells = bounds.map((le, r) => {
    const [own, below] = [byLe.get(le)!, r ? byLe.get(bounds[r - 1]!)! : null];
    return own.map((v, i) => (v === null ? null : Math.max(0, v - (below?.[i] ?? 0))));
  });
  const rows = bounds.map((upper, r) => ({ lower: r ? bounds[r - 1]! : Number.NEGATIVE_INFINITY, upper }));
  return trimmed(times, rows, cells);
}

function nativeHeat(list: readonly SeriesAnswer[], grid: Grid): Heat | null {
  const times = gridTimes(grid);
  const cellsOf = new Map<string, { lower: number; upper: number; cells: (number | null)[] }>();
  for (const s of list) {
    for (const [t, h] of s.histograms ?? []) {
      const i = Math.round((t - grid.start) / grid.step);
      if (i < 0 || i >= times.length) continue;
      for (const [, lower, upper, n] of h.buckets ?? []) {
        const key = `${lower}/${upper}`;
        let row = cellsOf.get(key);
        if (!row) {
          row = {
            lower: sampleValue(lower),
            upper: sampleValue(upper),
            cells: new Array(times.length).fill(null),
          };
          cellsOf.set(key, row);
        }
        row.cells[i] = (row.cells[i] ?? 0) + sampleValue(n);
      }
    }
  }
  const rows = [...cellsOf.values()].sort((a, b) => a.upper - b.upper || a.lower - b.lower);
  if (!rows.length) return null;
  return trimmed(
    times,
    rows,
    rows.map((r) => r.cells),
  );
}

/** So many rows a heat map has if there are buckets for them: one alone would be a coloured block without a scale. */
const ROWS_LEAST = 4;

/** Without the empty rows at both ends, so that the picture is of what happened. */
function trimmed(times: number[], rows: Heat["rows"], cells: (number | null)[][]): Heat | null {
  const used = cells.map((row) => row.some((v) => v !== null && v > 0));
  let [first, last] = [used.indexOf(true), used.lastIndexOf(true)];
  if (first < 0) return null;
  while (last - first + 1 < Math.min(ROWS_LEAST, rows.length)) {
    if (last + 1 < rows.length) last++;
    else first--;
  }
  let max = 0;
  for (const row of cells) for (const v of row) if (v !== null && v > max) max = v;
  return { times, rows: rows.slice(first, last + 1), cells: cells.slice(first, last + 1), max };
}
