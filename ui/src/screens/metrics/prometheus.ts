/** The shapes of Prometheus' HTTP API (/prometheus/api/v1), as far as the page reads them. */

/** Name and labels of a series; the metric's name is `__name__`. */
export type Labels = Readonly<Record<string, string>>;

/** Unix seconds and the value in decimal, `NaN` or `±Inf`. */
export type Point = readonly [time: number, value: string];

export interface HistogramValue {
  count: string;
  sum: string;
  /** Which ends belong to the bucket (0 the upper, 1 the lower, 2 none, 3 both), its bounds, its count. */
  buckets?: readonly (readonly [ends: number, lower: string, upper: string, count: string])[];
}

export interface SeriesAnswer {
  metric: Labels;
  value?: Point;
  values?: readonly Point[];
  histogram?: readonly [number, HistogramValue];
  histograms?: readonly (readonly [number, HistogramValue])[];
}

interface Of<Type extends string, Result> {
  resultType: Type;
  result: Result;
  stats?: QueryStats;
}
export type QueryData =
  | Of<"matrix", readonly SeriesAnswer[]>
  | Of<"vector", readonly SeriesAnswer[]>
  | Of<"scalar", Point>
  | Of<"string", Point>;

export interface QueryStats {
  samples?: { totalQueryableSamples?: number };
}

export interface Answer<T> {
  status: "success";
  data: T;
  /** What may make the answer wrong. */
  warnings?: readonly string[];
  /** What may not be what was meant. */
  infos?: readonly string[];
}

export interface Metadata {
  type: string;
  help: string;
  unit: string;
}
export type MetadataAnswer = Answer<Readonly<Record<string, readonly Metadata[]>>>;

export interface Count {
  name: string;
  value: number;
}

export interface TsdbStatus {
  headStats: {
    numSeries: number;
    numLabelPairs?: number;
    minTime: number;
    maxTime: number;
    /** Beyond Prometheus' own fields: what Varan adds. */
    seriesAdded1h?: number;
    seriesGone1h?: number;
    seriesLimit?: number;
    seriesRefused?: number;
    samplesPerSecond?: number;
    indexBytes?: number;
  };
  seriesCountByMetricName: readonly Count[];
  labelValueCountByLabelName: readonly Count[];
  memoryInBytesByLabelName: readonly Count[];
  seriesCountByLabelValuePair: readonly Count[];
}

export interface Exemplar {
  labels: Labels;
  value: string;
  /** Unix seconds. */
  timestamp: number;
}
export interface ExemplarSeries {
  seriesLabels: Labels;
  exemplars: readonly Exemplar[];
}

export interface Target {
  discoveredLabels: Labels;
  labels: Labels;
  scrapePool: string;
  scrapeUrl: string;
  globalUrl?: string;
  lastError: string;
  /** RFC 3339; the year 1 when there was none yet. */
  lastScrape: string;
  /** Seconds. */
  lastScrapeDuration: number;
  health: "up" | "down" | "unknown";
  scrapeInterval?: string;
  scrapeTimeout?: string;
}
export interface TargetsAnswer {
  activeTargets: readonly Target[];
  droppedTargets: readonly { discoveredLabels: Labels }[];
  droppedTargetCounts?: Readonly<Record<string, number>>;
}

/** The number a sample's text stands for. */
export function sampleValue(text: string): number {
  if (text === "+Inf" || text === "Inf") return Number.POSITIVE_INFINITY;
  if (text === "-Inf") return Number.NEGATIVE_INFINITY;
  return Number(text);
}

const escapes: Record<string, string> = { "\\": "\\\\", '"': '\\"', "\n": "\\n" };
/** A string of PromQL, quoted. */
export const quoted = (text: string): string => `"${text.replace(/[\\"\n]/g, (c) => escapes[c]!)}"`;

/** A name stands bare, or must be quoted inside the braces. */
const bareName = /^[A-Za-z_:][\w:]*$/;
const bareLabel = /^[A-Za-z_]\w*$/;

/** `{job="api", code="500"}` of some labels, by name or in the order of `keep`; nothing when there are none. */
export function labelText(labels: Labels, keep?: ReadonlySet<string>, ordered = false): string {
  const places = ordered && keep ? new Map([...keep].map((name, i) => [name, i])) : null;
  const parts = Object.entries(labels)
    .filter(([name]) => name !== "__name__" && (!keep || keep.has(name)))
    .sort(([a], [b]) => (places ? places.get(a)! - places.get(b)! : a < b ? -1 : 1))
    .map(([name, value]) => `${bareLabel.test(name) ? name : quoted(name)}=${quoted(value)}`);
  return parts.length ? `{${parts.join(", ")}}` : "";
}

/** `up{job="api"}`: the series as a selector that finds it. */
export function seriesText(labels: Labels): string {
  const name = labels.__name__ ?? "";
  const rest = labelText(labels);
  if (!name) return rest || "{}";
  if (bareName.test(name)) return name + rest;
  return rest ? `{${quoted(name)}, ${rest.slice(1)}` : `{${quoted(name)}}`;
}

/** The metric's name as an expression starts with it. */
export const selectorOf = (name: string): string => (bareName.test(name) ? name : `{${quoted(name)}}`);

export interface Place {
  /** Index into the text, in UTF-16 units. */
  at: number;
  length: number;
}

/**
 * Where in `query` a message of the engine points: `1:7: parse error: …`, or `… (1:7)` behind a warning. Columns
 * count from 1, in bytes. The place spans the word that stands there.
 */
export function placeOf(message: string, query: string): Place | null {
  const m = /(?:^|: )(\d+):(\d+): /.exec(message) ?? /\((\d+):(\d+)\)\s*$/.exec(message);
  if (!m) return null;
  const lines = query.split("\n");
  const row = Number(m[1]) - 1;
  const line = lines[row];
  if (line === undefined) return null;
  const bytes = new TextEncoder().encode(line).subarray(0, Number(m[2]) - 1);
  const column = new TextDecoder().decode(bytes).length;
  const before = lines.slice(0, row).reduce((sum, l) => sum + l.length + 1, 0);
  const at = Math.min(before + column, query.length);
  const word = /^[\w:.]+/.exec(query.slice(at))?.[0].length ?? 1;
  return { at, length: Math.max(1, Math.min(word, query.length - at)) };
}

/** The message without the place and the words around it, for a reader who sees the place marked. */
export function plainMessage(message: string): string {
  return message
    .replace(/^invalid parameter "query": /, "")
    .replace(/^\d+:\d+: /, "")
    .replace(/^(parse error|PromQL (?:warning|info)): /, "")
    .replace(/\s*\(\d+:\d+\)\s*$/, "");
}
