/**
 * The unit of an expression, from the names of its metrics (or their metadata) and what is done to them: seconds
 * of `rate(x_seconds_total[5m])` are seconds per second, their share by a rate of counts are seconds again, a
 * quantile of a histogram has the histogram's unit. What cannot be told has no unit, never a wrong one.
 */
import type { SyntaxNode } from "@lezer/common";
import { parser } from "@prometheus-io/lezer-promql";
import { bytes, count, digits, duration, missing, rate, ratio, timestamp } from "../../format";

export type Base = "seconds" | "bytes" | "ratio" | "percent" | "time" | "celsius" | "volts" | "joules" | "";

export interface Unit {
  base: Base;
  perSecond: boolean;
  /** Grows or shrinks from zero: the axis starts there. */
  zero: boolean;
  /** Buckets: they count, `base` is the unit of what was observed. */
  counts?: boolean;
}

const nothing: Unit = { base: "", perSecond: false, zero: false };
/** The unit of the values themselves. */
const flat = (u: Unit): Unit => (u.counts ? { base: "", perSecond: u.perSecond, zero: u.zero } : u);

const bases: Record<string, Base> = {
  seconds: "seconds",
  bytes: "bytes",
  ratio: "ratio",
  percent: "percent",
  celsius: "celsius",
  volts: "volts",
  joules: "joules",
};

/** What the unit of a metric is called in its metadata, or at the end of its name. */
export function metricUnit(name: string, declared = ""): Base {
  if (bases[declared]) return bases[declared];
  const stem = name.replace(/_(total|bucket|sum|count|created|info)$/, "");
  // A count of a histogram of seconds counts; it has no seconds.
  if (/_(count|info)$/.test(name) && !/_bytes_count$/.test(stem)) return "";
  if (/_(timestamp|time)_seconds$/.test(stem) || /_created$/.test(name)) return "time";
  const last = /_([a-z]+)$/.exec(stem)?.[1] ?? "";
  return bases[last] ?? "";
}

const perSecond = new Set(["rate", "irate", "deriv"]);
const same = new Set([
  ...["increase", "delta", "idelta", "abs", "ceil", "floor", "round", "sort", "sort_desc", "clamp"],
  ...["clamp_min", "clamp_max", "sort_by_label", "sort_by_label_desc", "label_replace", "label_join"],
  ...["avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "last_over_time", "info"],
  ...["first_over_time", "quantile_over_time", "stddev_over_time", "mad_over_time", "predict_linear"],
  ...["histogram_quantile", "histogram_avg", "histogram_sum", "histogram_stddev", "holt_winters"],
  ...["double_exponential_smoothing"],
]);
/** Which argument carries the unit, when it is not the first. */
const argument: Record<string, number> = { histogram_quantile: 1, quantile_over_time: 1 };
const sameAggregates = new Set([
  ...["sum", "avg", "min", "max", "topk", "bottomk", "quantile", "stddev", "limitk", "limit_ratio"],
]);

/** Units that metadata declares, by metric. */
export type Declared = (metric: string) => string;

class Walker {
  constructor(
    readonly text: string,
    readonly declared: Declared,
  ) {}

  of(node: SyntaxNode | null): Unit {
    if (!node) return nothing;
    switch (node.name) {
      case "VectorSelector":
        return this.selector(node);
      case "FunctionCall":
        return this.call(node);
      case "AggregateExpr":
        return this.aggregate(node);
      case "BinaryExpr":
        return this.binary(node);
      case "NumberDurationLiteral":
      case "StringLiteral":
        return nothing;
      default:
        return this.of(node.firstChild);
    }
  }

  word(node: SyntaxNode | null): string {
    return node ? this.text.slice(node.from, node.to) : "";
  }

  selector(node: SyntaxNode): Unit {
    const name = this.word(node.getChild("Identifier")) || this.named(node);
    if (!name) return nothing;
    const family = name.replace(/_(bucket|sum|count)$/, "");
    const base = metricUnit(name, /_count$/.test(name) ? "" : this.declared(name) || this.declared(family));
    const zero = /_(total|count|sum|bucket)$/.test(name) || base === "ratio";
    return { base, perSecond: false, zero, counts: /_bucket$/.test(name) };
  }

  named(node: SyntaxNode): string {
    const m = /__name__\s*=\s*"([^"]+)"|\{\s*"([^"]+)"/.exec(this.word(node));
    return m?.[1] ?? m?.[2] ?? "";
  }

  arguments(node: SyntaxNode): SyntaxNode[] {
    const list: SyntaxNode[] = [];
    const body = node.getChild("FunctionCallBody");
    for (let child = body?.firstChild ?? null; child; child = child.nextSibling)
      if (!/^[(),⚠]$/.test(child.name)) list.push(child);
    return list;
  }

  call(node: SyntaxNode): Unit {
    const name = this.word(node.firstChild);
    const list = this.arguments(node);
    const inner = this.of(list[argument[name] ?? 0] ?? null);
    if (perSecond.has(name)) return { ...inner, perSecond: true, zero: name !== "deriv" };
    // Of a histogram the quantile is taken of rates of its buckets: the unit is that of what was observed.
    if (name === "histogram_quantile" || name === "histogram_avg" || name === "histogram_stddev")
      return { base: inner.base, perSecond: false, zero: true };
    if (name === "histogram_count") return { base: "", perSecond: inner.perSecond, zero: true };
    if (name === "histogram_fraction") return { base: "ratio", perSecond: false, zero: true };
    if (name === "time" || name === "timestamp") return { base: "time", perSecond: false, zero: false };
    if (name === "increase") return { ...inner, zero: true };
    if (/^(count_over_time|changes|resets|absent|absent_over_time|present_over_time)$/.test(name))
      return { ...nothing, zero: true };
    return same.has(name) ? inner : nothing;
  }

  aggregate(node: SyntaxNode): Unit {
    const name = this.word(node.firstChild);
    if (name === "count" || name === "count_values" || name === "group") return { ...nothing, zero: true };
    const list = this.arguments(node);
    return sameAggregates.has(name) ? this.of(list[list.length - 1] ?? null) : nothing;
  }

  binary(node: SyntaxNode): Unit {
    const operator = node.firstChild?.nextSibling?.name ?? "";
    const [left, right] = [node.firstChild, node.lastChild];
    const a = flat(this.of(left));
    const b = flat(this.of(right));
    const number = (n: SyntaxNode | null) =>
      n && /^-?[\d.]+(e[+-]?\d+)?$/i.test(this.word(n)) ? Number(this.word(n)) : null;
    const zero = a.zero && b.zero;
    if (node.getChild("BoolModifier")) return nothing;
    switch (operator) {
      case "Div":
        return divided(a, b, number(right), number(left) !== null);
      case "Mul": {
        const factor = number(right) ?? number(left);
        const other = number(right) !== null ? a : b;
        if (factor === 100 && other.base === "ratio") return { ...other, base: "percent" };
        if (factor === null) return a.base === "" ? b : b.base === "" ? a : nothing;
        return factor === 1 ? other : scaledBy(other, factor);
      }
      case "Sub":
        if (a.base === "time" && b.base === "time") return { base: "seconds", perSecond: false, zero: true };
        return number(left) === 1 && b.base === "ratio" ? b : { ...joined(a, b), zero: false };
      case "Add":
        return { ...joined(a, b), zero };
      case "Or":
        return joined(a, b);
      case "Pow":
      case "Mod":
      case "Atan2":
        return nothing;
      default:
        // Comparisons filter, sets choose: what is left is the left side.
        return a;
    }
  }
}

/** A value times a number is no longer in the unit, except for the few factors that lead to another. */
function scaledBy(unit: Unit, factor: number): Unit {
  if (unit.base === "" && !unit.perSecond) return unit;
  // Bits of bytes, minutes of seconds: figures with the old unit would be wrong.
  return factor === 1 ? unit : { ...nothing, zero: unit.zero };
}

function divided(a: Unit, b: Unit, by: number | null, fromNumber: boolean): Unit {
  if (by !== null) return scaledBy(a, 1 / by);
  if (fromNumber) return nothing;
  const zero = a.zero;
  if (a.base === b.base && a.perSecond === b.perSecond)
    return { base: "ratio", perSecond: false, zero: true };
  if (b.base === "" && a.perSecond === b.perSecond) return { base: a.base, perSecond: false, zero };
  if (b.base === "seconds" && !a.perSecond && !b.perSecond) return { base: a.base, perSecond: true, zero };
  return nothing;
}

function joined(a: Unit, b: Unit): Unit {
  if (a.base === b.base && a.perSecond === b.perSecond) return { ...a, zero: a.zero && b.zero };
  return nothing;
}

export function unitOf(query: string, declared: Declared = () => ""): Unit {
  try {
    return flat(new Walker(query, declared).of(parser.parse(query).topNode));
  } catch {
    return nothing;
  }
}

export const unitKey = (u: Unit): string => u.base + (u.perSecond ? "/s" : "");

const words: Record<Base, string> = {
  seconds: "seconds",
  bytes: "bytes",
  ratio: "share",
  percent: "percent",
  time: "points in time",
  celsius: "°C",
  volts: "V",
  joules: "J",
  "": "",
};
/** What an axis measures, in words: `seconds per second`; nothing when the unit is not known. */
export const unitWords = (u: Unit): string =>
  u.perSecond ? (u.base ? `${words[u.base]} per second` : "per second") : words[u.base];

const gap = "\u202f";

/** Any number without a unit: 1.31 k, −0.042. */
function plain(value: number): string {
  const size = Math.abs(value);
  return size !== 0 && size < 1e-5 ? value.toExponential(2) : count(value);
}

/** Prints a value with its unit: `12.4 ms`, `38.1 MB/s`, `42 %`. */
export function printer(u: Unit): (value: number | null | undefined) => string {
  const finite = (print: (v: number) => string) => (v: number | null | undefined) => {
    if (v === null || v === undefined || Number.isNaN(v))
      return v === null || v === undefined ? missing : "NaN";
    if (!Number.isFinite(v)) return v > 0 ? "+Inf" : "−Inf";
    return print(v);
  };
  const per = u.perSecond ? "/s" : "";
  switch (u.base) {
    case "seconds":
      return finite((v) => (v === 0 ? `0${gap}s${per}` : duration(v * 1e9) + per));
    case "bytes":
      return finite((v) => bytes(v) + per);
    case "ratio":
      return finite((v) => (u.perSecond ? plain(v) + per : ratio(v)));
    case "percent":
      return finite((v) => `${digits(v)}${gap}%${per}`);
    case "time":
      return finite((v) => timestamp(v * 1e9, 0));
    case "celsius":
      return finite((v) => `${digits(v)}${gap}°C${per}`);
    case "volts":
      return finite((v) => `${digits(v)}${gap}V${per}`);
    case "joules":
      return finite((v) => (u.perSecond ? `${digits(v)}${gap}W` : `${count(v)}${gap}J`));
    default:
      return finite((v) => (u.perSecond ? rate(v) : plain(v)));
  }
}

type Steps = readonly (readonly [size: number, unit: string])[];
const decimal: Steps = [
  [1, ""],
  [1e3, "k"],
  [1e6, "M"],
  [1e9, "G"],
  [1e12, "T"],
];
const byteSteps: Steps = [
  [1, "B"],
  [1e3, "kB"],
  [1e6, "MB"],
  [1e9, "GB"],
  [1e12, "TB"],
];
const secondSteps: Steps = [
  [1e-9, "ns"],
  [1e-6, "µs"],
  [1e-3, "ms"],
  [1, "s"],
  [60, "min"],
  [3600, "h"],
  [86400, "d"],
];

function stepsOf(u: Unit): { steps: Steps; factor: number; suffix: string } | null {
  const per = u.perSecond ? "/s" : "";
  switch (u.base) {
    case "seconds":
      return { steps: secondSteps, factor: 1, suffix: per };
    case "bytes":
      return { steps: byteSteps, factor: 1, suffix: per };
    case "ratio":
      return { steps: [[1, "%"]], factor: 100, suffix: per };
    case "percent":
      return { steps: [[1, "%"]], factor: 1, suffix: per };
    case "celsius":
      return { steps: [[1, "°C"]], factor: 1, suffix: per };
    case "volts":
      return { steps: [[1, "V"]], factor: 1, suffix: per };
    case "joules":
      return {
        steps: decimal.map(([n, p]) => [n, p + (u.perSecond ? "W" : "J")] as const),
        factor: 1,
        suffix: "",
      };
    case "time":
      return null;
    default:
      return { steps: decimal, factor: 1, suffix: per };
  }
}

/** Prints the marks of an axis: one unit for all, as many digits as tell neighbours apart. */
export function axisPrinter(u: Unit): (splits: readonly number[]) => string[] {
  const known = stepsOf(u);
  if (!known) return (splits) => splits.map((v) => timestamp(v * 1e9, 0).slice(5, 16));
  const { steps, factor, suffix } = known;
  return (splits) => {
    const top = splits.reduce((m, v) => Math.max(m, Math.abs(v)), 0) * factor;
    const [size, unit] = [...steps].reverse().find(([n]) => top >= n) ?? steps[0]!;
    const apart = splits.length > 1 ? (Math.abs(splits[1]! - splits[0]!) * factor) / size : 1;
    const places = Math.min(9, Math.max(0, -Math.floor(Math.log10(apart || 1) + 1e-9)));
    // 2.5 needs the place that 2 and 3 do not.
    const more = Math.abs(apart * 10 ** places - Math.round(apart * 10 ** places)) > 1e-6 ? 1 : 0;
    const tail = unit + suffix;
    return splits.map((v) => {
      if (v === 0) return "0";
      const figure = ((v * factor) / size).toFixed(places + more);
      return (tail ? figure + gap + tail : figure).replace("-", "−");
    });
  };
}

/** Distances between marks where ten is not the base: minutes, hours, days. */
export function axisIncrements(u: Unit, top: number): number[] | undefined {
  if (u.base !== "seconds" || u.perSecond || top < 120) return undefined;
  const hours = [3600, 7200, 10800, 21600, 43200];
  const days = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 20000].map((d) => d * 86400);
  return [10, 20, 30, 60, 120, 300, 600, 900, 1800, ...hours, ...days];
}
