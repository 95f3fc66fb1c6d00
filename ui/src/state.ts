/**
 * What the whole page shares: the time range, whether it is live, the filter, the time zone. Range, live and
 * filter are in the address; the zone is a setting of the reader. `tick` counts up each time live data is due.
 */
import { computed, effect, signal } from "@preact/signals";
import { params, setParams } from "./router";

export const defaultFrom = "now-15m";

/** Start of the range as the API takes it: `now-15m`, or a point in time. */
export const from = computed(() => params.value.get("from") ?? defaultFrom);
/** End of the range: `now`, or a point in time. */
export const to = computed(() => params.value.get("to") ?? "now");
/** The range moves with the clock. */
export const relative = computed(() => to.value.startsWith("now"));
/** Data refreshes by itself. */
export const live = computed(() => relative.value && params.value.get("live") !== "0");
/** The filter of the screen, in the filter language. */
export const filter = computed(() => params.value.get("filter") ?? "");

/** `from` and `to`, ready to be passed to `useApi`. */
export const range = computed(() => ({ from: from.value, to: to.value }));

const unitSeconds: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };

/** Seconds since the epoch of `now-15m`, RFC 3339 or a Unix number of any unit (told apart by size). */
export function resolveTime(text: string, nowSeconds: number): number | null {
  if (text === "now") return nowSeconds;
  const relativeMatch = /^now\s*([+-])\s*(\d+(?:\.\d+)?)\s*([smhdw])$/.exec(text);
  if (relativeMatch) {
    const span = Number(relativeMatch[2]) * (unitSeconds[relativeMatch[3] ?? "s"] ?? 1);
    return relativeMatch[1] === "-" ? nowSeconds - span : nowSeconds + span;
  }
  if (/^\d+(\.\d+)?$/.test(text)) {
    const value = Number(text);
    if (value >= 1e17) return value / 1e9;
    if (value >= 1e14) return value / 1e6;
    if (value >= 1e11) return value / 1e3;
    return value;
  }
  const parsed = Date.parse(text);
  return Number.isNaN(parsed) ? null : parsed / 1000;
}

/** The range in seconds since the epoch, by this machine's clock. */
export function resolvedRange(nowMs = Date.now()): { from: number; to: number } {
  const now = nowMs / 1000;
  const end = resolveTime(to.peek(), now) ?? now;
  const start = resolveTime(from.peek(), now) ?? end - 900;
  return start < end ? { from: start, to: end } : { from: end - 900, to: end };
}

interface RangeText {
  from: string;
  to: string;
  live: string | null;
}

const zooms: RangeText[] = [];

function current(): RangeText {
  return { from: from.peek(), to: to.peek(), live: params.peek().get("live") };
}

function write(next: RangeText): void {
  const isDefault = next.from === defaultFrom && next.to === "now";
  setParams(
    { from: isDefault ? null : next.from, to: isDefault ? null : next.to, live: next.live },
    { push: true },
  );
}

/** Sets the range: relative (`now-1h`, `now`) or absolute (seconds or milliseconds as text). */
export function setRange(start: string, end: string): void {
  zooms.push(current());
  if (zooms.length > 50) zooms.shift();
  write({ from: start, to: end, live: null });
}

/** Zooms the page to a span of a chart, in seconds since the epoch. */
export function zoomTo(start: number, end: number): void {
  if (!(end - start >= 0.001)) return;
  setRange(String(Math.floor(start * 1000)), String(Math.ceil(end * 1000)));
}

/** Goes back to the range before the last change of it. */
export function undoZoom(): boolean {
  const last = zooms.pop();
  if (!last) return false;
  write(last);
  return true;
}

/** Moves the range by a share of its length: -0.5 is half a length into the past. */
export function shiftRange(share: number): void {
  const now = resolvedRange();
  const by = (now.to - now.from) * share;
  zoomTo(now.from + by, now.to + by);
}

/** Turns live on (the same length, up to now) or off (holds the range where it is). */
export function setLive(on: boolean): void {
  const now = resolvedRange();
  if (!on) {
    write({ from: String(Math.floor(now.from * 1000)), to: String(Math.ceil(now.to * 1000)), live: "0" });
    return;
  }
  const seconds = Math.max(1, Math.round(now.to - now.from));
  write(
    relative.value ? { ...current(), live: null } : { from: relativeFrom(seconds), to: "now", live: null },
  );
}

/** `now-15m` for 900. */
export function relativeFrom(seconds: number): string {
  for (const unit of ["d", "h", "m"] as const) {
    const size = unitSeconds[unit] ?? 1;
    if (seconds >= size && seconds % size === 0) return `now-${seconds / size}${unit}`;
  }
  return `now-${seconds}s`;
}

export function setFilter(text: string): void {
  setParams({ filter: text || null }, { push: true });
}

/** Joins a condition to a filter text with AND. */
export function andFilter(text: string, condition: string): string {
  if (!text.trim()) return condition;
  if (text.includes(condition)) return text;
  return / OR /i.test(text) ? `(${text.trim()}) AND ${condition}` : `${text.trim()} AND ${condition}`;
}

/** A key as the language writes it: odd ones are quoted behind an `@`. */
export function filterKey(key: string): string {
  const plain = /^[A-Za-z_][\w.\-/]*$/.test(key) && !/^(and|or|not|in|exists)$/i.test(key);
  return plain ? key : `@${quote(key)}`;
}

/** A value as the language writes it: quoted when it would otherwise end early or be read as a pattern. */
export function filterValue(value: string | number | boolean): string {
  if (typeof value !== "string") return String(value);
  return /^[^\s(),"'*?\\=!<>~][^\s(),"'*?\\]*$/.test(value) ? value : quote(value);
}

function quote(text: string): string {
  const escapes: Record<string, string> = { "\n": "\\n", "\t": "\\t", "\r": "\\r" };
  return `"${text.replace(/["\\]/g, "\\$&").replace(/[\n\t\r]/g, (c) => escapes[c]!)}"`;
}

/** `key=value`, `duration>200ms`, with quotes where the language needs them. */
export function condition(key: string, operator: string, value: string | number | boolean): string {
  return filterKey(key) + operator + filterValue(value);
}

// ---- the clock of live data

/** Counts up each time live data is due. `useApi` listens to it. */
export const tick = signal(0);

/** Seconds between refreshes: short ranges move fast, long ones slowly. */
export function refreshSeconds(rangeSeconds: number): number {
  if (rangeSeconds <= 1800) return 5;
  if (rangeSeconds <= 3 * 3600) return 10;
  if (rangeSeconds <= 24 * 3600) return 30;
  return 60;
}

/** Starts the clock; it rests while the page is hidden. Called once. */
export function startClock(): void {
  effect(() => {
    if (!live.value) return;
    const span = resolvedRange();
    const period = refreshSeconds(span.to - span.from) * 1000;
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") tick.value++;
    }, period);
    const onVisible = () => {
      if (document.visibilityState === "visible") tick.value++;
    };
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  });
}

// ---- time zone

/** `local`, `UTC`, or an IANA name. */
export const zone = signal<string>(readZone());

function readZone(): string {
  try {
    return localStorage.getItem("varan.zone") ?? "local";
  } catch {
    return "local";
  }
}

export function setZone(name: string): void {
  zone.value = name;
  try {
    localStorage.setItem("varan.zone", name);
  } catch {
    // Kept for as long as the page lives.
  }
}

/** The name of the zone in force, as Intl takes it. */
export const zoneName = computed(() =>
  zone.value === "local" ? Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC" : zone.value,
);
