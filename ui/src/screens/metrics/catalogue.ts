/**
 * The list of metrics as a person thinks of them: a histogram is one metric, not three names. Made of the names
 * in storage, the metadata that came with them, and how many series each name has.
 */
import type { Count, Metadata } from "./prometheus";
import { metricUnit } from "./unit";

export type MetricType =
  | "counter"
  | "gauge"
  | "histogram"
  | "native"
  | "summary"
  | "info"
  | "stateset"
  | "unknown";

export interface Metric {
  /** Of the family: without `_bucket`, `_sum`, `_count`. */
  name: string;
  type: MetricType;
  help: string;
  unit: string;
  /** Names in storage that belong to it. */
  names: string[];
  /** Of all its names; undefined when it was not counted. */
  series: number | undefined;
  /** The metadata did not say the type; it was read from the name. */
  guessed: boolean;
}

const types = new Set<string>(["counter", "gauge", "histogram", "summary", "info", "stateset", "unknown"]);

function guess(name: string): MetricType {
  if (/_total$/.test(name)) return "counter";
  if (/_info$/.test(name)) return "info";
  return /_(count|sum|bucket)$/.test(name) ? "counter" : "gauge";
}

/** Families of names, sorted by name. */
export function catalogue(
  names: readonly string[],
  metadata: Readonly<Record<string, readonly Metadata[]>>,
  counts: readonly Count[] = [],
): Metric[] {
  const all = new Set(names);
  const countOf = new Map(counts.map((c) => [c.name, c.value]));
  const families = new Map<string, Metric>();
  for (const name of names) {
    const stem = name.replace(/_(bucket|sum|count|created)$/, "");
    const said = metadata[stem]?.[0];
    const compound =
      said?.type === "histogram" || said?.type === "gaugehistogram" || said?.type === "summary";
    const byBuckets = stem !== name && all.has(`${stem}_bucket`) && all.has(`${stem}_count`);
    const bySummary =
      stem !== name && !byBuckets && all.has(`${stem}_sum`) && all.has(`${stem}_count`) && all.has(stem);
    const family = stem !== name && (compound || byBuckets || bySummary) ? stem : name;
    const meta = metadata[family]?.[0] ?? metadata[name.replace(/_(total|info|created)$/, "")]?.[0];
    let metric = families.get(family);
    if (!metric) {
      const known = meta && types.has(meta.type) && meta.type !== "unknown";
      const type = known
        ? (meta.type as MetricType)
        : byBuckets
          ? "histogram"
          : bySummary ||
              (stem === name &&
                all.has(`${name}_sum`) &&
                all.has(`${name}_count`) &&
                !all.has(`${name}_bucket`))
            ? "summary"
            : meta?.type === "gaugehistogram"
              ? "histogram"
              : guess(name);
      metric = {
        name: family,
        type,
        help: meta?.help ?? "",
        unit: meta?.unit || metricUnit(family),
        names: [],
        series: undefined,
        guessed: !known,
      };
      families.set(family, metric);
    }
    metric.names.push(name);
    const n = countOf.get(name);
    if (n !== undefined) metric.series = (metric.series ?? 0) + n;
  }
  for (const m of families.values()) {
    // A histogram whose samples lie under its own name is a native one.
    if (m.type === "histogram" && !m.names.some((n) => n.endsWith("_bucket"))) m.type = "native";
  }
  return [...families.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** All words occur in the name or the help; names that begin with the text come first, then names that hold it. */
export function searchMetrics(list: readonly Metric[], text: string): readonly Metric[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return list;
  const rank = (m: Metric): number => {
    const name = m.name.toLowerCase();
    if (name.startsWith(words[0]!)) return 0;
    return words.every((w) => name.includes(w)) ? 1 : 2;
  };
  return list
    .filter((m) => {
      const hay = `${m.name} ${m.help} ${m.type}`.toLowerCase();
      return words.every((w) => hay.includes(w));
    })
    .map((m, i) => ({ m, i, r: rank(m) }))
    .sort((a, b) => a.r - b.r || a.i - b.i)
    .map((x) => x.m);
}

export interface Proposal {
  title: string;
  expr: string;
  /** The view it reads best in. */
  view?: "graph" | "table" | "heat";
}

/**
 * What people ask of a metric of this type. `labels` are its labels, most telling first; `window` is the range a
 * rate is taken over.
 */
export function proposals(m: Metric, labels: readonly string[], window = "5m"): Proposal[] {
  const name = /^[A-Za-z_:][\w:]*$/.test(m.name) ? m.name : `{${JSON.stringify(m.name)}}`;
  const by = labels.filter((l) => !["le", "quantile", "__name__", "instance", "job"].includes(l)).slice(0, 1);
  const group = by.length
    ? by
    : labels.includes("instance")
      ? ["instance"]
      : labels.includes("job")
        ? ["job"]
        : [];
  const grouped = (f: string, x: string) =>
    group.length ? `${f} by (${group.join(", ")}) (${x})` : `${f}(${x})`;
  const per = group.length ? `, by ${group.join(", ")}` : "";
  switch (m.type) {
    case "counter":
      return [
        { title: `Rate${per}`, expr: grouped("sum", `rate(${name}[${window}])`) },
        { title: "Rate in all", expr: `sum(rate(${name}[${window}]))` },
        { title: "Busiest five series", expr: `topk(5, rate(${name}[${window}]))` },
        { title: "Grown in the last hour", expr: grouped("sum", `increase(${name}[1h])`), view: "table" },
      ];
    case "histogram": {
      const les = ["le", ...group].join(", ");
      const q = (x: number) => `histogram_quantile(${x}, sum by (${les}) (rate(${name}_bucket[${window}])))`;
      return [
        { title: `95th percentile${per}`, expr: q(0.95) },
        {
          title: `Mean${per}`,
          expr: `${grouped("sum", `rate(${name}_sum[${window}])`)} / ${grouped("sum", `rate(${name}_count[${window}])`)}`,
        },
        { title: `Observations per second${per}`, expr: grouped("sum", `rate(${name}_count[${window}])`) },
        {
          title: "How values spread, as a heat map",
          expr: `sum by (le) (rate(${name}_bucket[${window}]))`,
          view: "heat",
        },
      ];
    }
    case "native":
      return [
        {
          title: `95th percentile${per}`,
          expr: `histogram_quantile(0.95, ${grouped("sum", `rate(${name}[${window}])`)})`,
        },
        { title: `Mean${per}`, expr: `histogram_avg(${grouped("sum", `rate(${name}[${window}])`)})` },
        {
          title: `Observations per second${per}`,
          expr: `histogram_count(${grouped("sum", `rate(${name}[${window}])`)})`,
        },
        { title: "How values spread, as a heat map", expr: `sum(rate(${name}[${window}]))`, view: "heat" },
      ];
    case "summary":
      return [
        {
          title: `Mean${per}`,
          expr: `${grouped("sum", `rate(${name}_sum[${window}])`)} / ${grouped("sum", `rate(${name}_count[${window}])`)}`,
        },
        { title: `Observations per second${per}`, expr: grouped("sum", `rate(${name}_count[${window}])`) },
        ...(m.names.includes(m.name)
          ? [{ title: "Quantiles as the application reports them", expr: name }]
          : []),
      ];
    case "info":
      return [
        { title: "What runs, with its labels", expr: name, view: "table" },
        { title: `How many${per}`, expr: grouped("count", name) },
      ];
    case "stateset":
      return [
        { title: "Which states hold", expr: `${name} == 1`, view: "table" },
        { title: "States over time", expr: name },
      ];
    default:
      return [
        { title: "Every series", expr: name },
        ...(group.length ? [{ title: `Mean${per}`, expr: grouped("avg", name) }] : []),
        { title: "Sum of all", expr: `sum(${name})` },
        { title: "Highest five", expr: `topk(5, ${name})` },
        { title: `Change in an hour${per}`, expr: grouped("sum", `delta(${name}[1h])`) },
      ];
  }
}
