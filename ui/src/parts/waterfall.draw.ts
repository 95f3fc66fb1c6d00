// Draws the waterfall: only the rows on screen, straight onto a canvas. Knows nothing of events or state.

import { shortSql } from "./sql.text";
import {
  axisTicks,
  type CriticalPath,
  type Group,
  ownSegments,
  type Row,
  type SpanNode,
  type View,
} from "./waterfall.model";

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
const INDENT = 14;
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

function measure(ctx: CanvasRenderingContext2D, text: string): number {
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

export function drawWaterfall(ctx: CanvasRenderingContext2D, scene: Scene, g: Geometry, p: Palette): void {
  const { rows } = scene;
  ctx.clearRect(0, 0, g.width, g.height);
  ctx.textBaseline = "middle";
  const first = Math.max(0, Math.floor(g.scroll / g.row));
  const last = Math.min(rows.length, Math.ceil((g.scroll + g.height) / g.row));

  for (let i = first; i < last; i++) drawRowGround(ctx, scene, g, p, i);
  drawGrid(ctx, scene.view, g, p);

  // Bars first and clipped, then the names over a clean column.
  ctx.save();
  ctx.beginPath();
  ctx.rect(g.names, 0, g.width - g.names, g.height);
  ctx.clip();
  for (let i = first; i < last; i++) {
    const row = rows[i]!;
    const y = i * g.row - g.scroll;
    if (row.kind === "span") drawSpan(ctx, row.node, row.open === false, scene, g, p, y);
    else drawGroup(ctx, row.group, scene, g, p, y);
  }
  ctx.restore();

  for (let i = first; i < last; i++) drawName(ctx, rows[i]!, scene, g, p, i * g.row - g.scroll);
  if (g.names) {
    ctx.fillStyle = p.line;
    ctx.fillRect(g.names - 1, 0, 1, g.height);
  }
}

function drawRowGround(ctx: CanvasRenderingContext2D, s: Scene, g: Geometry, p: Palette, i: number): void {
  const row = s.rows[i]!;
  const y = i * g.row - g.scroll;
  const selected = row.kind === "span" && row.node.index === s.selected;
  if (selected || i === s.hover) {
    ctx.globalAlpha = selected ? 0.13 : 0.05;
    ctx.fillStyle = selected ? p.accent : p.text;
    ctx.fillRect(0, y, g.width, g.row);
    ctx.globalAlpha = 1;
  }
  if (selected) {
    ctx.fillStyle = p.accent;
    ctx.fillRect(0, y, 2, g.row);
  }
  if (i === s.cursor && s.focused) {
    ctx.strokeStyle = p.accent;
    ctx.lineWidth = 1;
    ctx.strokeRect(1.5, y + 0.5, g.width - 3, g.row - 1);
  }
}

function drawGrid(ctx: CanvasRenderingContext2D, view: View, g: Geometry, p: Palette): void {
  ctx.fillStyle = p.line;
  ctx.globalAlpha = 0.6;
  for (const t of axisTicks(view, plotWidth(g) / 110)) {
    const x = Math.round(timeToX(t, view, g));
    if (x >= g.names) ctx.fillRect(x, 0, 1, g.height);
  }
  ctx.globalAlpha = 1;
}

interface Bar {
  top: number;
  height: number;
}

const barOf = (g: Geometry, y: number): Bar =>
  g.names ? { top: y + 6, height: g.row - 13 } : { top: y + g.row - 17, height: 10 };

/** Fills ranges of time, merging those that fall onto one pixel. `ranges`: pairs, ascending by start. */
function fillRanges(
  ctx: CanvasRenderingContext2D,
  count: number,
  at: (i: number) => readonly [number, number],
  view: View,
  g: Geometry,
  top: number,
  height: number,
  least: number,
): void {
  let from = Number.NaN;
  let to = 0;
  for (let i = 0; i < count; i++) {
    const [a, b] = at(i);
    if (b < view.from || a > view.to) continue;
    const x1 = Math.max(g.names - 4, timeToX(a, view, g));
    const x2 = Math.max(x1 + least, Math.min(g.width + 4, timeToX(b, view, g)));
    if (from === from && x1 <= to + 0.5) {
      if (x2 > to) to = x2;
    } else {
      if (from === from) ctx.fillRect(from, top, to - from, height);
      from = x1;
      to = x2;
    }
  }
  if (from === from) ctx.fillRect(from, top, to - from, height);
}

function drawSpan(
  ctx: CanvasRenderingContext2D,
  node: SpanNode,
  closed: boolean,
  s: Scene,
  g: Geometry,
  p: Palette,
  y: number,
): void {
  const { span } = node;
  const bar = barOf(g, y);
  const x1 = timeToX(span.start_ns, s.view, g);
  const x2 = Math.max(x1 + 2, timeToX(node.end_ns, s.view, g));
  const dim = s.marked && !s.marked.has(node.index) ? 0.35 : 1;

  if (x2 >= g.names && x1 <= g.width) {
    const left = Math.max(g.names - 4, x1);
    const right = Math.min(g.width + 4, x2);
    ctx.fillStyle = p.service(span.service);
    ctx.globalAlpha = 0.34 * dim;
    roundRect(ctx, left, bar.top, right - left, bar.height);
    // Where it worked itself: full colour. A closed row shows its whole subtree's bar the same way.
    ctx.globalAlpha = dim;
    const own = ownSegments(node);
    fillRanges(ctx, own.length / 2, (i) => [own[i * 2]!, own[i * 2 + 1]!], s.view, g, bar.top, bar.height, 1);
    if (span.status === 2) {
      ctx.fillStyle = p.bad;
      ctx.fillRect(left, bar.top, right - left, 2);
      ctx.fillRect(left, bar.top + bar.height - 2, right - left, 2);
    }
    drawEvents(ctx, node, s.view, g, p, bar);
  } else {
    drawBeyond(ctx, x2 < g.names, g, p, bar);
  }
  ctx.globalAlpha = 1;
  drawCritical(ctx, closed ? s.critical.ofSubtree(node) : s.critical.of(node), s, g, p, bar);
  ctx.globalAlpha = dim;
  drawDuration(ctx, s.duration(span.duration_ns), x1, x2, span.status === 2, g, p, bar);
  ctx.globalAlpha = 1;
}

function drawGroup(
  ctx: CanvasRenderingContext2D,
  group: Group,
  s: Scene,
  g: Geometry,
  p: Palette,
  y: number,
): void {
  const bar = barOf(g, y);
  const x1 = timeToX(group.from_ns, s.view, g);
  const x2 = Math.max(x1 + 2, timeToX(group.to_ns, s.view, g));
  const dim = s.marked && !group.nodes.some((n) => s.marked!.has(n.index)) ? 0.35 : 1;
  const { nodes } = group;
  if (x2 >= g.names && x1 <= g.width) {
    ctx.fillStyle = p.service(nodes[0]!.span.service);
    ctx.globalAlpha = 0.16 * dim;
    const left = Math.max(g.names - 4, x1);
    roundRect(ctx, left, bar.top, Math.min(g.width + 4, x2) - left, bar.height);
    ctx.globalAlpha = dim;
    // A hair of air between two runs keeps them countable as long as there is room.
    fillRanges(
      ctx,
      nodes.length,
      (i) => [nodes[i]!.span.start_ns, nodes[i]!.end_ns],
      s.view,
      g,
      bar.top,
      bar.height,
      1,
    );
    if (group.errors) {
      ctx.fillStyle = p.bad;
      const failed = nodes.filter((n) => n.errors);
      fillRanges(
        ctx,
        failed.length,
        (i) => [failed[i]!.span.start_ns, failed[i]!.end_ns],
        s.view,
        g,
        bar.top,
        3,
        2,
      );
    }
  } else {
    drawBeyond(ctx, x2 < g.names, g, p, bar);
  }
  ctx.globalAlpha = 1;
  if (!s.critical.empty) {
    const parts = nodes.flatMap((n) => [...s.critical.ofSubtree(n)]);
    drawCritical(ctx, parts, s, g, p, bar);
  }
  ctx.globalAlpha = dim;
  drawDuration(ctx, `Σ ${s.duration(group.total_ns)}`, x1, x2, group.errors > 0, g, p, bar);
  ctx.globalAlpha = 1;
}

/** Small triangle at the edge: the bar lies outside the view on that side. */
function drawBeyond(ctx: CanvasRenderingContext2D, left: boolean, g: Geometry, p: Palette, bar: Bar): void {
  const x = left ? g.names + 5 : g.width - 8;
  const d = left ? -3 : 3;
  const y = bar.top + bar.height / 2;
  ctx.fillStyle = p.muted;
  ctx.beginPath();
  ctx.moveTo(x + d, y);
  ctx.lineTo(x - d, y - 4);
  ctx.lineTo(x - d, y + 4);
  ctx.fill();
}

function drawEvents(
  ctx: CanvasRenderingContext2D,
  node: SpanNode,
  view: View,
  g: Geometry,
  p: Palette,
  bar: Bar,
): void {
  let lastX = -10;
  for (const event of node.span.events) {
    const x = timeToX(event.time_ns, view, g);
    if (x < g.names || x > g.width || Math.abs(x - lastX) < 2) continue;
    lastX = x;
    const exception = event.name === "exception";
    ctx.fillStyle = exception ? p.bad : p.text;
    ctx.fillRect(Math.round(x) - 0.5, bar.top - 2, 1.5, bar.height + 4);
    if (exception) diamond(ctx, x, bar.top - 2, 3);
    else {
      ctx.beginPath();
      ctx.arc(x, bar.top - 2, 2, 0, Math.PI * 2);
      ctx.fill();
    }
  }
}

function drawCritical(
  ctx: CanvasRenderingContext2D,
  parts: readonly (readonly [number, number])[],
  s: Scene,
  g: Geometry,
  p: Palette,
  bar: Bar,
): void {
  if (!parts.length) return;
  ctx.fillStyle = p.text;
  ctx.globalAlpha = 0.85;
  fillRanges(ctx, parts.length, (i) => parts[i]!, s.view, g, bar.top + bar.height + 2, 2, 1);
  ctx.globalAlpha = 1;
}

function drawDuration(
  ctx: CanvasRenderingContext2D,
  text: string,
  x1: number,
  x2: number,
  failed: boolean,
  g: Geometry,
  p: Palette,
  bar: Bar,
): void {
  ctx.font = `11px ${p.font}`;
  const width = measure(ctx, text);
  const y = bar.top + bar.height / 2 + 0.5;
  let x = Math.min(x2, g.width) + 6;
  if (failed) {
    if (x2 >= g.names && x1 <= g.width) {
      ctx.fillStyle = p.bad;
      diamond(ctx, Math.min(x + 4, g.width - 8), y - 0.5, 4.5);
      x += 13;
    }
  }
  ctx.fillStyle = p.muted;
  if (x + width <= g.width - 4 && x >= g.names) ctx.fillText(text, x, y);
  else if (x1 - width - 6 > g.names + 4 && x1 < g.width) ctx.fillText(text, x1 - width - 6, y);
}

function drawName(
  ctx: CanvasRenderingContext2D,
  row: Row,
  s: Scene,
  g: Geometry,
  p: Palette,
  y: number,
): void {
  const span = row.kind === "span" ? row.node.span : row.group.nodes[0]!.span;
  const errors = row.kind === "span" ? row.node.errors : row.group.errors;
  const x0 = indentOf(row.depth, g);
  const right = g.names ? g.names - 8 : g.width - 8;
  const cy = g.names ? y + g.row / 2 : y + 11;
  const open = row.open;

  ctx.save();
  ctx.beginPath();
  ctx.rect(0, y, g.names ? g.names - 1 : g.width, g.row);
  ctx.clip();

  // Lines that lead from parents down to their children.
  ctx.fillStyle = p.line;
  for (let d = 1; d <= row.depth; d++) {
    const x = indentOf(d, g) - INDENT + 4;
    if (x < x0) ctx.fillRect(Math.round(x), y, 1, g.row);
  }
  if (open !== null) {
    ctx.fillStyle = p.muted;
    triangle(ctx, x0 + 4, cy, open);
  }
  let x = x0 + 13;
  ctx.fillStyle = p.service(span.service);
  if (row.kind === "group") {
    ctx.fillRect(x, cy - 5, 2, 10);
    ctx.fillRect(x + 3, cy - 5, 2, 10);
  } else {
    ctx.fillRect(x, cy - 5, 3, 10);
  }
  x += 10;

  const dim = s.marked && !isMarked(row, s.marked);
  ctx.globalAlpha = dim ? 0.5 : 1;
  let end = right;
  if (open !== true && row.kind === "span" && row.node.size > 1) {
    end = tailText(ctx, `+${row.node.size - 1}`, end, cy, p);
  }
  if (errors && (open !== true || span.status === 2)) {
    ctx.fillStyle = p.bad;
    diamond(ctx, end - 5, cy, 4.5);
    ctx.fillStyle = p.bg;
    ctx.fillRect(end - 5.5, cy - 2.5, 1.2, 3);
    ctx.fillRect(end - 5.5, cy + 1.3, 1.2, 1.2);
    end -= 16;
  }
  if (row.kind === "group") {
    ctx.font = `600 12px ${p.font}`;
    const times = `× ${row.group.nodes.length}`;
    const width = measure(ctx, times);
    ctx.fillStyle = p.text;
    ctx.fillText(times, end - width, cy + 0.5);
    end -= width + 8;
  }
  const { service, label, code } = rowLabel(row);
  ctx.font = code ? `12px ${p.mono}` : `13px ${p.font}`;
  ctx.fillStyle = p.text;
  const shown = fitText(ctx, label, end - x);
  ctx.fillText(shown, x, cy + 0.5);
  x += measure(ctx, shown) + 8;
  ctx.font = `11px ${p.font}`;
  ctx.fillStyle = p.muted;
  if (service && end - x > 30) ctx.fillText(fitText(ctx, service, end - x), x, cy + 0.5);
  ctx.globalAlpha = 1;
  ctx.restore();
}

function tailText(ctx: CanvasRenderingContext2D, text: string, end: number, cy: number, p: Palette): number {
  ctx.font = `11px ${p.font}`;
  ctx.fillStyle = p.muted;
  const width = measure(ctx, text);
  ctx.fillText(text, end - width, cy + 0.5);
  return end - width - 8;
}

const isMarked = (row: Row, marked: ReadonlySet<number>): boolean =>
  row.kind === "span" ? marked.has(row.node.index) : row.group.nodes.some((n) => marked.has(n.index));

/** What a row is called; the service only where it differs from the row above it in the tree. */
export function rowLabel(row: Row): { service: string; label: string; code: boolean } {
  const node = row.kind === "span" ? row.node : row.group.nodes[0]!;
  const { span } = node;
  const statement = span.db_statement;
  const changes = node.parent?.span.service !== span.service;
  return {
    service: changes ? span.service : "",
    label: statement ? oneLine(statement) : span.name,
    code: Boolean(statement),
  };
}

const shorts = new Map<string, string>();

function oneLine(sql: string): string {
  let text = shorts.get(sql);
  if (text === undefined) {
    if (shorts.size > 2000) shorts.clear();
    text = shortSql(sql);
    shorts.set(sql, text);
  }
  return text;
}

function roundRect(ctx: CanvasRenderingContext2D, x: number, y: number, w: number, h: number): void {
  if (w < 6) {
    ctx.fillRect(x, y, w, h);
    return;
  }
  ctx.beginPath();
  ctx.roundRect(x, y, w, h, 2);
  ctx.fill();
}

function diamond(ctx: CanvasRenderingContext2D, x: number, y: number, r: number): void {
  ctx.beginPath();
  ctx.moveTo(x, y - r);
  ctx.lineTo(x + r, y);
  ctx.lineTo(x, y + r);
  ctx.lineTo(x - r, y);
  ctx.fill();
}

function triangle(ctx: CanvasRenderingContext2D, x: number, y: number, open: boolean): void {
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

/** The ruler above the rows. */
export function drawRuler(
  ctx: CanvasRenderingContext2D,
  view: View,
  origin: number,
  g: Geometry,
  p: Palette,
  format: (ns: number, step: number) => string,
  cursor: number | null,
): void {
  ctx.clearRect(0, 0, g.width, g.height);
  ctx.font = `11px ${p.font}`;
  ctx.textBaseline = "middle";
  const ticks = axisTicks(view, plotWidth(g) / 110);
  const step = ticks.length > 1 ? ticks[1]! - ticks[0]! : view.to - view.from;
  for (const t of ticks) {
    const x = Math.round(timeToX(t, view, g));
    if (x < g.names) continue;
    ctx.fillStyle = p.line;
    ctx.fillRect(x, g.height - 6, 1, 6);
    ctx.fillStyle = p.muted;
    const text = format(t - origin, step);
    if (x + 4 + measure(ctx, text) < g.width) ctx.fillText(text, x + 4, g.height / 2);
  }
  if (cursor !== null) {
    const x = timeToX(cursor, view, g);
    if (x >= g.names) {
      const text = format(cursor - origin, step / 100);
      const width = measure(ctx, text) + 10;
      const left = Math.min(Math.max(g.names, x - width / 2), g.width - width);
      ctx.fillStyle = p.text;
      ctx.beginPath();
      ctx.roundRect(left, 3, width, g.height - 6, 3);
      ctx.fill();
      ctx.fillStyle = p.bg;
      ctx.fillText(text, left + 5, g.height / 2 + 0.5);
    }
  }
}
