/** Draws the waterfall: only the rows on screen, straight onto a canvas. Knows nothing of events or state. */
import {
  diamond,
  type Geometry,
  measure,
  type Palette,
  plotWidth,
  roundRect,
  type Scene,
  timeToX,
} from "./waterfall.geometry";
import { axisTicks, type Group, ownSegments, type SpanNode, type View } from "./waterfall.model";
import { drawName } from "./waterfall.names";

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
  let open = false;
  let from = 0;
  let to = 0;
  for (let i = 0; i < count; i++) {
    const [a, b] = at(i);
    if (b < view.from || a > view.to) continue;
    const x1 = Math.max(g.names - 4, timeToX(a, view, g));
    const x2 = Math.max(x1 + least, Math.min(g.width + 4, timeToX(b, view, g)));
    if (open && x1 <= to + 0.5) {
      if (x2 > to) to = x2;
    } else {
      if (open) ctx.fillRect(from, top, to - from, height);
      open = true;
      from = x1;
      to = x2;
    }
  }
  if (open) ctx.fillRect(from, top, to - from, height);
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
