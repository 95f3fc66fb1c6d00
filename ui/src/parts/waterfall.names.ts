/** The names of the rows and the ruler above the bars of the waterfall. */
import { shortSql } from "./sql.text";
import {
  diamond,
  fitText,
  type Geometry,
  INDENT,
  indentOf,
  measure,
  type Palette,
  plotWidth,
  type Scene,
  timeToX,
  triangle,
} from "./waterfall.geometry";
import { axisTicks, type Row, type View } from "./waterfall.model";

/** The left column of a row: triangle, colour of the service, name, repetitions, errors. */
export function drawName(
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
  const hidden = row.kind === "span" ? row.node.size - 1 : row.group.size - row.group.nodes.length;
  if (open !== true && hidden > 0) end = tailText(ctx, `+${hidden}`, end, cy, p);
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

/** The ruler above the rows. */
export function drawRuler(
  ctx: CanvasRenderingContext2D,
  view: View,
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
    const text = format(t, step);
    if (x + 4 + measure(ctx, text) < g.width) ctx.fillText(text, x + 4, g.height / 2);
  }
  if (cursor !== null) {
    const x = timeToX(cursor, view, g);
    if (x >= g.names) {
      const text = format(cursor, step / 100);
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
