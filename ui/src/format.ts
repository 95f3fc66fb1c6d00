/**
 * Figures and times as people read them: three significant digits, always a unit, no jumping widths.
 * Points in time come as decimal nanoseconds in text (they exceed 2^53); durations as numbers of nanoseconds.
 */
import { from, resolveTime, to, zoneName } from "./state";

/** Between a figure and its unit: thin enough to belong together, and never broken. */
const gap = "\u202f";
export const missing = "–";

/** Three significant digits, no exponent, no rounding up to a fourth: 0.0123, 1.31, 12.4, 999. */
export function digits(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 999.5) return String(Math.round(value));
  if (size >= 99.95) return value.toFixed(0);
  if (size >= 9.995) return value.toFixed(1);
  if (size >= 0.9995) return value.toFixed(2);
  return Number(value.toPrecision(3)).toFixed(Math.min(6, 2 - Math.floor(Math.log10(size))));
}

/** A figure and its unit apart, for parts that set them in different sizes. */
export interface Quantity {
  figure: string;
  unit: string;
}

const join = (q: Quantity): string => (q.unit ? q.figure + gap + q.unit : q.figure);
const none: Quantity = { figure: missing, unit: "" };
const known = (v: number | null | undefined): v is number => typeof v === "number" && Number.isFinite(v);

type Scale = readonly (readonly [limit: number, unit: string])[];

/** Picks the unit so that the rounded figure stays below a thousand. */
function scaled(value: number, scale: Scale): Quantity {
  let chosen = scale[0]!;
  for (const step of scale) if (Math.abs(value) >= step[0] * 0.9995) chosen = step;
  return { figure: digits(value / chosen[0]), unit: chosen[1] };
}

const durationScale: Scale = [
  [1, "ns"],
  [1e3, "µs"],
  [1e6, "ms"],
  [1e9, "s"],
  [60e9, "min"],
  [3600e9, "h"],
  [86400e9, "d"],
];

export function durationParts(ns: number | null | undefined): Quantity {
  if (!known(ns)) return none;
  if (ns === 0) return { figure: "0", unit: "ms" };
  return scaled(ns, durationScale);
}
/** `12.4 ms` from nanoseconds. */
export const duration = (ns: number | null | undefined): string => join(durationParts(ns));

const countScale: Scale = [
  [1, ""],
  [1e3, "k"],
  [1e6, "M"],
  [1e9, "G"],
  [1e12, "T"],
];

/** `1.31 k`; whole numbers below a thousand stay whole. */
export function count(value: number | null | undefined): string {
  if (!known(value)) return missing;
  if (Number.isInteger(value) && Math.abs(value) < 1000) return String(value);
  return join(scaled(value, countScale));
}

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 6 });
/** `1,310` in full, for titles. */
export const full = (value: number | null | undefined): string =>
  known(value) ? grouped.format(value) : missing;

export function rateParts(perSecond: number | null | undefined): Quantity {
  if (!known(perSecond)) return none;
  if (perSecond === 0) return { figure: "0", unit: "/s" };
  // Per second as long as it reads well: figures of one column stay comparable.
  if (Math.abs(perSecond) < 0.00995) {
    const perMinute = perSecond * 60;
    return Math.abs(perMinute) < 0.0995
      ? { figure: digits(perMinute * 60), unit: "/h" }
      : { figure: digits(perMinute), unit: "/min" };
  }
  const q = scaled(perSecond, countScale);
  return { figure: q.figure, unit: `${q.unit}/s` };
}
/** `1.31 k/s`; rare things per minute or hour. */
export const rate = (perSecond: number | null | undefined): string => join(rateParts(perSecond));

export function ratioParts(value: number | null | undefined): Quantity {
  if (!known(value)) return none;
  const percent = value * 100;
  if (percent === 0) return { figure: "0", unit: "%" };
  if (Math.abs(percent) < 0.01) return { figure: percent > 0 ? "< 0.01" : "> −0.01", unit: "%" };
  // A share that is not whole must not be printed as whole: 99.97 % is not 100 %.
  if (percent > 99.9 && percent < 100) return { figure: "99.9", unit: "%" };
  const text = digits(percent);
  return { figure: percent < 1 ? Number(text).toFixed(2) : text, unit: "%" };
}
/** `0.42 %` from 0…1. */
export const ratio = (value: number | null | undefined): string => join(ratioParts(value));

const byteScale: Scale = [
  [1, "B"],
  [1e3, "kB"],
  [1e6, "MB"],
  [1e9, "GB"],
  [1e12, "TB"],
];

export function bytesParts(value: number | null | undefined): Quantity {
  return known(value) ? scaled(value, byteScale) : none;
}
/** `38.1 MB`, decimal. */
export const bytes = (value: number | null | undefined): string => join(bytesParts(value));

export interface Change {
  text: string;
  direction: "up" | "down" | "same";
  /** new / old - 1; Infinity when the old value was 0. */
  ratio: number;
}

/** The change against the period before; null when there is nothing to compare. `+12 %`, `−8 %`, `3.1×`, `new`. */
export function change(value: number | null | undefined, previous: number | null | undefined): Change | null {
  if (!known(value) || !known(previous)) return null;
  if (previous === 0)
    return value === 0 ? same : { text: "new", direction: "up", ratio: Number.POSITIVE_INFINITY };
  const by = value / previous - 1;
  if (Math.abs(by) < 0.005) return same;
  const direction = by > 0 ? "up" : "down";
  if (by >= 1)
    return {
      text: `${value / previous >= 9.95 ? Math.round(value / previous) : (value / previous).toFixed(1)}×`,
      direction,
      ratio: by,
    };
  return { text: `${by > 0 ? "+" : "−"}${Math.round(Math.abs(by) * 100)}${gap}%`, direction, ratio: by };
}
const same: Change = { text: "±0", direction: "same", ratio: 0 };

/** Without idle zeros, for axes: `2 s`, not `2.00 s`. */
export function tidy(label: string): string {
  return label.replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "");
}

// ---- time

/** Milliseconds since the epoch (with a fraction) of decimal nanoseconds. */
export function toMs(ns: string | number): number {
  if (typeof ns === "number") return ns / 1e6;
  const big = BigInt(ns);
  return Number(big / 1000000n) + Number(big % 1000000n) / 1e6;
}
export const toSeconds = (ns: string | number): number => toMs(ns) / 1000;

/** Adds an offset in nanoseconds to a point in time. */
export const addNs = (ns: string, offset: number): string => String(BigInt(ns) + BigInt(Math.round(offset)));

const formats = new Map<string, Intl.DateTimeFormat>();
function format(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const zone = zoneName.value;
  const key = zone + JSON.stringify(options);
  let f = formats.get(key);
  if (!f) {
    try {
      f = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone });
    } catch {
      f = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC" });
    }
    formats.set(key, f);
  }
  return f;
}

const hms: Intl.DateTimeFormatOptions = {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
};

const fraction = (ns: string | number, places: number): string => {
  const rest =
    typeof ns === "string" ? ns.slice(-9).padStart(9, "0") : String(Math.round(ns % 1e9)).padStart(9, "0");
  return rest.slice(0, places);
};

/** `14:03:21.482` in the chosen zone. */
export function clock(ns: string | number, places: 0 | 3 | 6 | 9 = 3): string {
  const text = format(hms).format(new Date(Math.floor(toMs(ns))));
  return places ? `${text}.${fraction(ns, places)}` : text;
}

/** `2026-03-02`. */
export function day(ns: string | number): string {
  const parts = format({ year: "numeric", month: "2-digit", day: "2-digit" }).formatToParts(
    new Date(toMs(ns)),
  );
  const get = (type: string) => parts.find((p) => p.type === type)?.value ?? "";
  return `${get("year")}-${get("month")}-${get("day")}`;
}

/** `2026-03-02 14:03:21.482`. */
export const timestamp = (ns: string | number, places: 0 | 3 | 6 | 9 = 3): string =>
  `${day(ns)} ${clock(ns, places)}`;

/** Relative under an hour (`12 s ago`), else the time of day, else with the day. Put `timestamp` into the title. */
export function ago(ns: string | number, nowMs = Date.now()): string {
  const ms = nowMs - toMs(ns);
  if (ms < -2000) return timestamp(ns, 0);
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 5) return "now";
  if (s < 60) return `${s}${gap}s ago`;
  if (s < 3600) return `${Math.floor(s / 60)}${gap}min ago`;
  const today = day(nowMs * 1e6) === day(ns);
  return today ? clock(ns, 0) : timestamp(ns, 0).slice(0, 16);
}

/** The short name of the zone in force, such as `UTC` or `CET`. */
export function zoneLabel(): string {
  const parts = format({ timeZoneName: "short" }).formatToParts(new Date());
  return parts.find((p) => p.type === "timeZoneName")?.value ?? zoneName.value;
}

// ---- ranges

const words: Record<string, string> = { s: "s", m: "min", h: "h", d: "d", w: "w" };

/** The range in words: `Last 15 min`, `14:00 – 14:30`, `03-02 14:00 – 03-03 10:00`. */
export function rangeText(start: string, end: string): string {
  const m = /^now-(\d+)([smhdw])$/.exec(start);
  if (m && end === "now") return `Last ${m[1]} ${words[m[2]!]}`;
  const now = Date.now() / 1000;
  const a = resolveTime(start, now);
  const b = resolveTime(end, now);
  if (a === null || b === null) return "Unknown range";
  const [na, nb, nn] = [a * 1e9, b * 1e9, now * 1e9];
  const places = b - a < 10 ? 3 : 0;
  const short = (ns: number) =>
    b - a < 120 ? clock(String(BigInt(Math.round(ns / 1e6)) * 1000000n), places) : clock(ns, 0).slice(0, 5);
  if (end === "now") return `${day(na) === day(nn) ? "" : `${day(na).slice(5)} `}${short(na)} – now`;
  if (day(na) === day(nb))
    return `${day(na) === day(nn) ? "" : `${day(na).slice(5)} `}${short(na)} – ${short(nb)}`;
  return `${day(na).slice(5)} ${clock(na, 0).slice(0, 5)} – ${day(nb).slice(5)} ${clock(nb, 0).slice(0, 5)}`;
}

/** The page's range for a sentence: `in the last 15 min`, `between 14:00 and 14:30`. */
export function rangePhrase(): string {
  const text = rangeText(from.value, to.value);
  if (text.startsWith("Last ")) return `in the last ${text.slice(5)}`;
  return `between ${text.replace(" – ", " and ")}`;
}

// ---- names

/** Keeps head and tail of a long name: `app.views…place_order`. */
export function middle(text: string, max: number): string {
  if (text.length <= max) return text;
  const tail = Math.ceil((max - 1) * 0.55);
  return `${text.slice(0, max - 1 - tail)}…${text.slice(text.length - tail)}`;
}

const kinds = ["", "internal", "server", "client", "producer", "consumer"];
/** The kind of a span by OTLP's number. */
export const kindName = (kind: number): string => kinds[kind] ?? "";

export const plural = (n: number, one: string, many = `${one}s`): string =>
  `${count(n)} ${n === 1 ? one : many}`;
