/** Where things stand on the canvas of the waterfall, and the small shapes it is made of. */
import type { CriticalPath, Row, View } from "./waterfall.model";

export interface Palette {
  bg: string;
  surface: string;
  raised: string;
  line: string;
  text: string;
  muted: string;
  accent: string;
  bad: string;
  font: string;
  mono: string;
  service: (name: string) => string;
}

export interface Geometry {
  width: number;
  height: number;
  /** Width of the column of names; 0: names stand above the bars (narrow screens). */
  names: number;
  row: number;
  scroll: number;
}

export interface Scene {
  rows: readonly Row[];
  view: View;
  critical: CriticalPath;
  hover: number;
  cursor: number;
  focused: boolean;
  /** Index of the span the side panel shows, -1: none. */
  selected: number;
  /** Spans a finding points at, by index. */
  marked: ReadonlySet<number> | null;
  duration: (ns: number) => string;
}

/** Space right of the last bar, so that its duration can be read. */
export const PAD_LEFT = 8;
export const PAD_RIGHT = 72;
export const INDENT = 14;
const INDENT_MAX = 12;

export const plotLeft = (g: Geometry): number => g.names + PAD_LEFT;
export const plotWidth = (g: Geometry): number => Math.max(20, g.width - plotLeft(g) - PAD_RIGHT);
export const timeToX = (t: number, view: View, g: Geometry): number =>
  plotLeft(g) + ((t - view.from) / (view.to - view.from)) * plotWidth(g);
export const xToTime = (x: number, view: View, g: Geometry): number =>
  view.from + ((x - plotLeft(g)) / plotWidth(g)) * (view.to - view.from);

/** Left edge of a row's triangle. Deep trees are not indented for ever. */
export function indentOf(depth: number, g: Geometry): number {
  const most = g.names ? INDENT_MAX + Math.floor(Math.max(0, g.names - 280) / 30) : 6;
  return 8 + Math.min(depth, most) * INDENT;
}

const widths = new Map<string, number>();
const WIDTHS_MAX = 20_000;

/** Width of a text in the font in force; remembered, for measuring costs more than drawing. */
export function measure(ctx: CanvasRenderingContext2D, text: string): number {
  const key = `${ctx.font}\n${text}`;
  let width = widths.get(key);
  if (width === undefined) {
    if (widths.size > WIDTHS_MAX) widths.clear();
    width = ctx.measureText(text).width;
    widths.set(key, width);
  }
  return width;
}

/** Shortens a text to a width, keeping its head and its tail. */
export function fitText(ctx: CanvasRenderingContext2D, text: string, width: number): string {
  if (width < 8) return "";
  const whole = text.length > 300 ? text.slice(0, 300) : text;
  const full = measure(ctx, whole);
  if (full <= width) return whole;
  let keep = Math.floor((whole.length * width) / full) - 1;
  for (; keep > 1; keep--) {
    const tail = Math.floor(keep * 0.3);
    const cut = `${whole.slice(0, keep - tail)}…${tail ? whole.slice(-tail) : ""}`;
    if (measure(ctx, cut) <= width) return cut;
  }
  return "…";
}

export function roundRect(ctx: CanvasRenderingContext2D, x: number, y: number, w: number, h: number): void {
  if (w < 6) {
    ctx.fillRect(x, y, w, h);
    return;
  }
  ctx.beginPath();
  ctx.roundRect(x, y, w, h, 2);
  ctx.fill();
}

export function diamond(ctx: CanvasRenderingContext2D, x: number, y: number, r: number): void {
  ctx.beginPath();
  ctx.moveTo(x, y - r);
  ctx.lineTo(x + r, y);
  ctx.lineTo(x, y + r);
  ctx.lineTo(x - r, y);
  ctx.fill();
}

export function triangle(ctx: CanvasRenderingContext2D, x: number, y: number, open: boolean): void {
  ctx.beginPath();
  if (open) {
    ctx.moveTo(x - 4, y - 2);
    ctx.lineTo(x + 4, y - 2);
    ctx.lineTo(x, y + 3);
  } else {
    ctx.moveTo(x - 2, y - 4);
    ctx.lineTo(x + 3, y);
    ctx.lineTo(x - 2, y + 4);
  }
  ctx.fill();
}
