// Heat map of durations over time: geometry, colours of cells, drawing. Pure but for the canvas it draws on.

import type { DurationHistogram } from "../api-types";
import type { Tokens } from "../theme/tokens";
import { timeTicks } from "./timechart-data";

export interface HeatGeometry {
  width: number;
  height: number;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** A box of the map: seconds since the epoch, and nanoseconds. */
export interface Box {
  from: number;
  to: number;
  min_ns: number;
  max_ns: number;
}

/** Height of the strip of errors below the cells. */
export const ERROR_STRIP = 8;
const ERROR_GAP = 3;

export const heatGeometry = (width: number, height: number): HeatGeometry => ({
  width,
  height,
  left: 56,
  right: width < 520 ? 8 : 84,
  top: 8,
  bottom: 22 + ERROR_STRIP + ERROR_GAP,
});

const plotW = (g: HeatGeometry): number => Math.max(10, g.width - g.left - g.right);
const plotH = (g: HeatGeometry): number => Math.max(10, g.height - g.top - g.bottom);

/** Seconds the map covers. */
export function timeExtent(h: DurationHistogram): [number, number] {
  const first = h.times[0] ?? 0;
  const last = h.times[h.times.length - 1] ?? first;
  return [first, last + Math.max(1e-3, h.step_ns / 1e9)];
}

/**
 * The bounds that are shown: from the fastest to the slowest filled bucket, and some air, at least one decade.
 * Open ends (0 below, infinity above) get a finite place.
 */
export function shownBuckets(h: DurationHistogram): [number, number] {
  const n = Math.max(0, h.bounds_ns.length - 1);
  let first = n;
  let last = -1;
  for (const column of h.counts) {
    for (let i = 0; i < n; i++) {
      if (!column[i]) continue;
      if (i < first) first = i;
      if (i > last) last = i;
    }
  }
  if (last < 0) return [0, n];
  first = Math.max(0, first - 1);
  last = Math.min(n, last + 2);
  const ratio = () => bound(h, last) / bound(h, first);
  while (ratio() < 10 && (first > 0 || last < n)) {
    if (last < n) last++;
    if (ratio() < 10 && first > 0) first--;
  }
  return [first, last];
}

/** A bound as a number above zero, so that it has a logarithm. */
export function bound(h: DurationHistogram, i: number): number {
  const value = h.bounds_ns[i] ?? 1;
  if (value > 0 && Number.isFinite(value)) return value;
  return value > 0 ? (h.bounds_ns[i - 1] ?? 1e9) * 2 : Math.max(1, (h.bounds_ns[i + 1] ?? 1000) / 2);
}

export interface HeatScale {
  g: HeatGeometry;
  x: (seconds: number) => number;
  y: (ns: number) => number;
  time: (x: number) => number;
  ns: (y: number) => number;
  buckets: [number, number];
}

export function heatScale(h: DurationHistogram, g: HeatGeometry): HeatScale {
  const [t0, t1] = timeExtent(h);
  const buckets = shownBuckets(h);
  const low = Math.log(bound(h, buckets[0]));
  const high = Math.max(low + 1e-6, Math.log(bound(h, buckets[1])));
  const w = plotW(g);
  const hgt = plotH(g);
  const clamp01 = (v: number): number => Math.min(1, Math.max(0, v));
  return {
    g,
    buckets,
    x: (s) => g.left + ((s - t0) / (t1 - t0)) * w,
    y: (ns) => g.top + (1 - (Math.log(Math.max(1, ns)) - low) / (high - low)) * hgt,
    time: (x) => t0 + clamp01((x - g.left) / w) * (t1 - t0),
    ns: (y) => Math.exp(low + (1 - clamp01((y - g.top) / hgt)) * (high - low)),
  };
}

/** Round durations for the axis: 1 ms, 10 ms, 100 ms, 1 s, and steps between them when there are few. */
export function durationTicks(low: number, high: number, most: number): number[] {
  const pick = (steps: number[]): number[] => {
    const out: number[] = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++) {
      for (const m of steps) {
        const value = m * 10 ** power;
        if (value >= low * 0.999 && value <= high * 1.001) out.push(value);
      }
    }
    return out;
  };
  for (const steps of [[1, 2, 5], [1, 3], [1]]) {
    const ticks = pick(steps);
    if (ticks.length <= most) return ticks;
  }
  const ticks = pick([1]);
  const every = Math.ceil(ticks.length / most);
  return ticks.filter((_, i) => i % every === 0);
}

/** Column and bucket below a point; null outside the cells. */
export function cellAt(h: DurationHistogram, s: HeatScale, x: number, y: number): [number, number] | null {
  const { g } = s;
  if (x < g.left || x >= g.left + plotW(g) || y < g.top || y > g.top + plotH(g)) return null;
  const [t0, t1] = timeExtent(h);
  const column = Math.min(h.times.length - 1, Math.floor(((s.time(x) - t0) / (t1 - t0)) * h.times.length));
  const ns = s.ns(y);
  for (let i = s.buckets[0]; i < s.buckets[1]; i++) {
    if (ns < bound(h, i + 1) || i === s.buckets[1] - 1) return [column, i];
  }
  return null;
}

/** The box of whole cells that two points span. */
export function boxOf(h: DurationHistogram, a: [number, number], b: [number, number]): Box {
  const step = h.step_ns / 1e9;
  const [c1, c2] = [Math.min(a[0], b[0]), Math.max(a[0], b[0])];
  const [r1, r2] = [Math.min(a[1], b[1]), Math.max(a[1], b[1])];
  return {
    from: h.times[c1] ?? 0,
    to: (h.times[c2] ?? 0) + step,
    min_ns: h.bounds_ns[r1] ?? 0,
    max_ns: h.bounds_ns[r2 + 1] ?? Number.MAX_SAFE_INTEGER,
  };
}

/** How many lie in a box, counting whole cells. */
export function countIn(h: DurationHistogram, box: Box): number {
  let n = 0;
  h.times.forEach((t, c) => {
    if (t < box.from - 1e-6 || t >= box.to - 1e-6) return;
    for (let i = 0; i + 1 < h.bounds_ns.length; i++) {
      if (h.bounds_ns[i]! >= box.min_ns && h.bounds_ns[i + 1]! <= box.max_ns) n += h.counts[c]?.[i] ?? 0;
    }
  });
  return n;
}

/** `from_to_min_max` for the address: seconds and nanoseconds. */
export const printBox = (b: Box): string =>
  [
    Math.round(b.from * 1000) / 1000,
    Math.round(b.to * 1000) / 1000,
    Math.round(b.min_ns),
    Math.round(b.max_ns),
  ].join("_");

export function parseBox(text: string): Box | null {
  const parts = text.split("_").map(Number);
  if (parts.length !== 4 || parts.some((n) => !Number.isFinite(n) || n < 0)) return null;
  const [from, to, min_ns, max_ns] = parts as [number, number, number, number];
  return to > from && max_ns > min_ns ? { from, to, min_ns, max_ns } : null;
}

/** 0…1 for a cell: the square root of the logarithm's share keeps single requests visible beside thousands. */
export const heat = (count: number, most: number): number =>
  count <= 0 ? 0 : most <= 1 ? 0.55 : 0.18 + 0.82 * (Math.log(count) / Math.log(most)) ** 0.9;

function mix(a: string, b: string, share: number): string {
  const part = (hex: string, i: number): number => Number.parseInt(hex.slice(1 + i * 2, 3 + i * 2), 16);
  const one = (i: number): number => Math.round(part(a, i) + (part(b, i) - part(a, i)) * share);
  return `rgb(${one(0)},${one(1)},${one(2)})`;
}

/** Colour of a cell: from the ground to the accent, the densest ones on towards the text. */
export function heatColor(value: number, c: Tokens): string {
  return value <= 0.75 ? mix(c.surface, c.accent, value / 0.75) : mix(c.accent, c.text, (value - 0.75) * 1.6);
}

export interface HeatScene {
  hover: [number, number] | null;
  box: Box | null;
  /** Being drawn right now, in pixels. */
  drag: { x1: number; y1: number; x2: number; y2: number } | null;
  formatDuration: (ns: number) => string;
  font: string;
}

export function drawHeatmap(
  ctx: CanvasRenderingContext2D,
  h: DurationHistogram,
  s: HeatScale,
  scene: HeatScene,
  c: Tokens,
): void {
  const { g } = s;
  const w = plotW(g);
  const height = plotH(g);
  ctx.clearRect(0, 0, g.width, g.height);
  ctx.font = `11px ${scene.font}`;
  drawAxes(ctx, h, s, scene, c, w, height);

  let most = 0;
  for (const column of h.counts) for (const n of column) if (n > most) most = n;
  const columns = h.times.length;
  const edge = (i: number): number => Math.round(g.left + (i / Math.max(1, columns)) * w);
  h.counts.forEach((column, i) => {
    const x = edge(i);
    const wide = Math.max(1, edge(i + 1) - x - (w / columns > 4 ? 1 : 0));
    for (let k = s.buckets[0]; k < s.buckets[1]; k++) {
      const n = column[k];
      if (!n) continue;
      const y2 = Math.round(s.y(bound(h, k)));
      const y1 = Math.round(s.y(bound(h, k + 1)));
      ctx.fillStyle = heatColor(heat(n, most), c);
      ctx.fillRect(x, y1, wide, Math.max(1, y2 - y1 - (y2 - y1 > 4 ? 1 : 0)));
    }
    const errors = h.errors[i] ?? 0;
    if (errors) {
      const total = Math.max(
        errors,
        column.reduce((a, b) => a + b, 0),
      );
      const size = Math.max(2, Math.round((errors / total) * ERROR_STRIP));
      ctx.fillStyle = c.bad;
      ctx.fillRect(x, g.top + height + ERROR_GAP + ERROR_STRIP - size, wide, size);
    }
  });

  drawMarks(ctx, h, s, scene, c, w, height);
  if (scene.hover && !scene.drag) {
    const [col, k] = scene.hover;
    const y1 = s.y(bound(h, k + 1));
    ctx.strokeStyle = c.text;
    ctx.lineWidth = 1;
    ctx.strokeRect(
      edge(col) - 0.5,
      Math.round(y1) - 0.5,
      edge(col + 1) - edge(col),
      Math.round(s.y(bound(h, k)) - y1),
    );
  }
  const area = scene.drag ?? (scene.box ? boxPixels(scene.box, s) : null);
  if (area) drawBox(ctx, area, c, g, w, height, scene.drag !== null);
}

function boxPixels(box: Box, s: HeatScale): { x1: number; y1: number; x2: number; y2: number } {
  return { x1: s.x(box.from), x2: s.x(box.to), y1: s.y(box.max_ns), y2: s.y(Math.max(1, box.min_ns)) };
}

function drawBox(
  ctx: CanvasRenderingContext2D,
  a: { x1: number; y1: number; x2: number; y2: number },
  c: Tokens,
  g: HeatGeometry,
  w: number,
  height: number,
  dragging: boolean,
): void {
  const x1 = Math.max(g.left, Math.min(a.x1, a.x2));
  const x2 = Math.min(g.left + w, Math.max(a.x1, a.x2));
  const y1 = Math.max(g.top, Math.min(a.y1, a.y2));
  const y2 = Math.min(g.top + height, Math.max(a.y1, a.y2));
  if (x2 <= x1 || y2 <= y1) return;
  // Everything outside steps back, so that what is chosen keeps its colours.
  ctx.fillStyle = c.surface;
  ctx.globalAlpha = dragging ? 0.35 : 0.6;
  ctx.fillRect(g.left, g.top, w, y1 - g.top);
  ctx.fillRect(g.left, y2, w, g.top + height - y2);
  ctx.fillRect(g.left, y1, x1 - g.left, y2 - y1);
  ctx.fillRect(x2, y1, g.left + w - x2, y2 - y1);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = c.text;
  ctx.lineWidth = 1.5;
  ctx.strokeRect(x1, y1, x2 - x1, y2 - y1);
}

function drawAxes(
  ctx: CanvasRenderingContext2D,
  h: DurationHistogram,
  s: HeatScale,
  scene: HeatScene,
  c: Tokens,
  w: number,
  height: number,
): void {
  const { g } = s;
  ctx.textBaseline = "middle";
  ctx.textAlign = "right";
  const [low, high] = [bound(h, s.buckets[0]), bound(h, s.buckets[1])];
  for (const ns of durationTicks(low, high, Math.max(2, Math.floor(height / 26)))) {
    const y = Math.round(s.y(ns));
    ctx.fillStyle = c.line;
    ctx.fillRect(g.left, y, w, 1);
    ctx.fillStyle = c.muted;
    // Ticks are round: 10 ms, not 10.0 ms.
    ctx.fillText(scene.formatDuration(ns).replace(/\.0+(?!\d)/, ""), g.left - 8, y);
  }
  ctx.textAlign = "center";
  const [t0, t1] = timeExtent(h);
  const ticks = timeTicks(t0, t1, Math.max(2, Math.floor(w / 96)));
  for (const t of ticks.splits) {
    const x = s.x(t);
    ctx.fillStyle = c.line;
    ctx.fillRect(Math.round(x), g.top + height + ERROR_GAP + ERROR_STRIP, 1, 4);
    ctx.fillStyle = c.muted;
    const text = ticks.label(t);
    const half = ctx.measureText(text).width / 2;
    ctx.fillText(text, Math.min(Math.max(x, half), g.width - half), g.height - 8);
  }
  ctx.fillStyle = c.line;
  ctx.fillRect(g.left, g.top + height, w, 1);
  ctx.textAlign = "left";
}

function drawMarks(
  ctx: CanvasRenderingContext2D,
  h: DurationHistogram,
  s: HeatScale,
  scene: HeatScene,
  c: Tokens,
  w: number,
  height: number,
): void {
  const { g } = s;
  const marks = (
    [
      ["p50", h.p50],
      ["p95", h.p95],
      ["p99", h.p99],
    ] as const
  )
    .filter((m): m is readonly [(typeof m)[0], number] => m[1] !== null && m[1] !== undefined)
    .map(([name, ns]) => ({ name, ns, y: s.y(ns), at: s.y(ns) }))
    .filter((m) => m.y >= g.top - 1 && m.y <= g.top + height + 1);
  // Labels keep a line of distance; the marks themselves stay where they are.
  for (let i = 1; i < marks.length; i++) marks[i]!.at = Math.min(marks[i]!.at, marks[i - 1]!.at - 13);
  let room = g.top + 4;
  for (let i = marks.length - 1; i >= 0; i--) {
    marks[i]!.at = Math.max(marks[i]!.at, room);
    room = marks[i]!.at + 13;
  }
  ctx.textBaseline = "middle";
  for (const m of marks) {
    ctx.strokeStyle = c.text;
    ctx.globalAlpha = 0.55;
    ctx.lineWidth = 1;
    ctx.setLineDash([4, 3]);
    ctx.beginPath();
    ctx.moveTo(g.left, Math.round(m.y) + 0.5);
    ctx.lineTo(g.left + w, Math.round(m.y) + 0.5);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.globalAlpha = 1;
    const text = `${m.name} ${scene.formatDuration(m.ns)}`;
    if (g.right > 40) {
      ctx.fillStyle = c.text;
      ctx.fillText(text, g.left + w + 6, m.at);
    } else {
      const width = ctx.measureText(text).width + 6;
      ctx.fillStyle = c.surface;
      ctx.globalAlpha = 0.85;
      ctx.fillRect(g.left + w - width, m.at - 7, width, 14);
      ctx.globalAlpha = 1;
      ctx.fillStyle = c.text;
      ctx.fillText(text, g.left + w - width + 3, m.at);
    }
  }
}
