/** The plot of a time chart: what uPlot is told to draw, and the marks over it. */
import uPlot from "uplot";
import { middle, tidy } from "../format";
import { zoomTo } from "../state";
import { colors } from "../theme/theme";
import type { Tokens } from "../theme/tokens";
import type { Dot, Marker, Series, TimeChartProps } from "./timechart";
import { timeTicks } from "./timechart-data";

const axisFont = "11px system-ui, sans-serif";

/** Where the cursor stands: the step, and px from the plot's left edge. */
export interface CursorAt {
  index: number;
  left: number;
}

function colorOf(tokens: Tokens, series: Series, index: number): string {
  const c = series.color ?? index;
  return typeof c === "number" ? tokens.series[c % tokens.series.length]! : tokens[c];
}

/** Whom the plot tells what happens to it. */
export interface PlotListeners {
  onCursor: (at: CursorAt | null) => void;
  /** The series next to the pointer, as an index into the props' series. */
  onNear: (series: number | null) => void;
  /** Holds a link for each of the props' dots, to be put in their places. */
  dots: () => HTMLElement | null;
}

/** px: the axis of times below the plot, and above the curves what the names of marks need. */
const X_AXIS = 24;
const MARKER_ROOM = 14;

/** The ends of the y axis: from 0 unless told otherwise, below it when values are. */
export function yRange(
  min: number | null,
  max: number | null,
  zero: boolean,
  least: number,
): [number, number] {
  const [low, high] = [min ?? 0, max ?? 0];
  if (zero) {
    const top = Math.max(high * 1.08, least) || (low < 0 ? 0 : 1);
    return [low < 0 ? low * 1.08 : 0, top];
  }
  const pad = high > low ? (high - low) * 0.08 : Math.abs(high) * 0.1 || 1;
  // Near enough to 0 the axis may as well show it.
  return [low >= 0 && low - pad < high * 0.1 ? 0 : low - pad, Math.max(high + pad, least)];
}

/** Steps whose neighbours are gaps: a line would not show them. */
function alone(u: uPlot, series: number): number[] {
  const values = u.data[series]!;
  const found: number[] = [];
  for (let i = 0; i < values.length; i++)
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) found.push(i);
  return found;
}

/** Reads the newest props through `latest`, so that the plot outlives them. */
export function plotOptions(
  latest: { current: TimeChartProps },
  width: number,
  height: number,
  { onCursor, onNear, dots }: PlotListeners,
): uPlot.Options {
  const props = latest.current;
  const t = colors.peek();
  const kind = props.kind ?? "line";
  const bars = uPlot.paths.bars!({ size: [0.86, 40], gap: 0, align: 1 });
  const stacked = !!props.stacked;
  let dragged = false;
  const plotWidth = () => (plot ? plot.bbox.width / devicePixelRatio : width);
  const mostTicks = () => Math.max(2, Math.floor(plotWidth() / 62));
  let plot: uPlot | undefined;
  // Piled series are drawn from the top one down, so that each covers the part beneath it.
  const order = props.series.map((s, i) => ({ s, i }));
  if (stacked) order.reverse();
  return {
    width,
    height,
    padding: [8, 4, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: props.group ?? "page", scales: ["x", null] },
      drag: { x: true, y: false, setScale: false, dist: 6 },
      points: { size: 5, width: 0, fill: (_u, i) => colorOf(t, order[i - 1]!.s, order[i - 1]!.i) },
      y: false,
      ...(props.nearest ? { focus: { prox: 24 } } : {}),
      bind: {
        dblclick: () => null,
      },
    },
    ...(props.nearest ? { focus: { alpha: 0.3 } } : {}),
    select: { show: true, left: 0, top: 0, width: 0, height: 0 },
    scales: {
      x: {
        time: true,
        range: (_u, min, max) => {
          const p = latest.current;
          return [p.from ?? min, p.to ?? max + p.step];
        },
      },
      y: {
        range: (u, min, max) => {
          const { zero, least, markers } = latest.current;
          const [low, high] = yRange(min, max, zero !== false, least ?? 0);
          if (!markers?.length) return [low, high];
          const room = MARKER_ROOM / Math.max(2 * MARKER_ROOM, u.height - X_AXIS);
          return [low, high + (high - low) * room];
        },
      },
    },
    axes: [
      {
        font: axisFont,
        stroke: t.muted,
        size: X_AXIS,
        gap: 4,
        grid: { show: false },
        ticks: { stroke: t.line, width: 1, size: 4 },
        splits: (_u, _axis, min, max) => timeTicks(min, max, mostTicks()).splits,
        values: (u, splits) => {
          const min = u.scales.x!.min ?? 0;
          const max = u.scales.x!.max ?? 1;
          const { label } = timeTicks(min, max, mostTicks());
          // A label that would be cut at the right edge is left out; its tick stays.
          const width = plotWidth();
          return splits.map((t) => {
            const right = ((max - t) / (max - min)) * width;
            return right < label(t).length * 3.2 - 4 ? "" : label(t);
          });
        },
      },
      {
        font: axisFont,
        stroke: t.muted,
        size: (_u, values) =>
          Math.max(props.axisWidth ?? 44, ...(values ?? []).map((v) => String(v).length * 6.4 + 12)),
        gap: 6,
        // Room for two marks also in a low chart.
        space: (_u, _axis, _min, _max, px) => Math.min(32, px * 0.42),
        grid: { stroke: t.line, width: 1 },
        ticks: { show: false },
        ...(props.increments ? { incrs: props.increments } : {}),
        values: (_u, splits) => {
          const labels =
            latest.current.axis?.(splits) ??
            splits.map((v) => (v === 0 ? "0" : tidy(latest.current.unit(v))));
          // A range too small for its unit, such as one without values, says the same twice.
          return labels.map((label, i) => (i > 0 && label === labels[i - 1] ? "" : label));
        },
      },
    ],
    series: [
      {},
      ...order.map(({ s, i }): uPlot.Series => {
        const color = colorOf(t, s, i);
        const own = s.kind ?? kind;
        return {
          label: s.label,
          stroke: own === "bar" ? undefined : color,
          width: own === "bar" ? 0 : 1.5,
          fill:
            own === "bar" || (stacked && own !== "line") ? color : own === "area" ? `${color}22` : undefined,
          paths: own === "bar" ? bars : uPlot.paths.linear!(),
          dash: s.dashed ? [4, 3] : undefined,
          points:
            own === "bar"
              ? { show: false }
              : { show: true, size: 4, width: 0, fill: color, filter: (u, index) => alone(u, index) },
          spanGaps: false,
        };
      }),
    ],
    hooks: {
      setCursor: [
        (u) => {
          const { idx, left } = u.cursor;
          const shown = idx !== null && idx !== undefined && left !== undefined && left >= 0;
          onCursor(shown ? { index: idx, left: left + u.bbox.left / devicePixelRatio } : null);
        },
      ],
      setSelect: [
        (u) => {
          const { left, width: length } = u.select;
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          // Charts that share the cursor share the selection; the one under the pointer acts.
          if (!dragged || length < 6) return;
          dragged = false;
          const a = u.posToVal(left, "x");
          const b = u.posToVal(left + length, "x");
          (latest.current.onZoom ?? zoomTo)(a, b);
        },
      ],
      setSeries: [
        (_u, index, options) => {
          if ((options as { focus?: boolean }).focus)
            onNear(index === null ? null : (order[index - 1]?.i ?? null));
        },
      ],
      draw: [
        (u) => {
          drawMarkers(u, latest.current.markers ?? []);
          placeDots(u, latest.current.dots ?? [], dots());
        },
      ],
      init: [
        (u) => {
          plot = u;
        },
      ],
      ready: [
        (u) => {
          u.over.addEventListener("mousedown", () => {
            dragged = true;
            document.addEventListener(
              "mouseup",
              () =>
                setTimeout(() => {
                  dragged = false;
                }),
              { once: true },
            );
          });
          u.over.addEventListener("click", () => {
            const p = latest.current;
            const i = u.cursor.idx;
            if (p.onPick && i !== null && i !== undefined && p.times[i] !== undefined) p.onPick(p.times[i]!);
          });
        },
      ],
    },
  };
}

/** Moves the links of the dots to where their times and values are; those outside are hidden. */
function placeDots(u: uPlot, list: readonly Dot[], host: HTMLElement | null): void {
  if (!host) return;
  const scale = devicePixelRatio;
  const [left, top] = [u.bbox.left / scale, u.bbox.top / scale];
  const [width, height] = [u.bbox.width / scale, u.bbox.height / scale];
  for (const [i, dot] of list.entries()) {
    const link = host.children[i] as HTMLElement | undefined;
    if (!link) continue;
    const x = u.valToPos(dot.time, "x");
    const y = dot.value === null ? height - 5 : u.valToPos(dot.value, "y");
    link.hidden = !(x >= 0 && x <= width);
    // Above the axis they stay at its upper edge: they are the ones to look at.
    link.style.transform = `translate(${left + x}px, ${top + Math.max(2, Math.min(height - 5, y))}px)`;
  }
}

/** The label, shortened to what there is room for. */
function fitted(ctx: CanvasRenderingContext2D, label: string, room: number): string {
  const width = ctx.measureText(label).width;
  if (width <= room) return label;
  const letters = Math.floor((room / width) * label.length);
  return letters < 4 ? "" : middle(label, letters);
}

function drawMarkers(u: uPlot, markers: readonly Marker[]): void {
  const t = colors.peek();
  const { ctx, bbox } = u;
  const gap = 4 * devicePixelRatio;
  const edge = bbox.left + bbox.width;
  const placed = markers
    .map((m) => ({ m, x: Math.round(u.valToPos(m.time, "x", true)) }))
    .filter(({ x }) => x >= bbox.left && x <= edge)
    .sort((a, b) => a.x - b.x);
  let taken = bbox.left;
  ctx.save();
  for (const [i, { m, x }] of placed.entries()) {
    const color = t[m.tone ?? "info"];
    ctx.strokeStyle = color;
    ctx.fillStyle = color;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.font = `${10 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textBaseline = "alphabetic";
    // Behind the mark, or before it where that leaves more of the label; never into the next one's.
    const behind = (placed[i + 1]?.x ?? edge) - x - 2 * gap;
    const before = x - taken - 2 * gap;
    const turned = ctx.measureText(m.label).width > behind && before > behind;
    const label = fitted(ctx, m.label, turned ? before : behind);
    ctx.textAlign = turned ? "right" : "left";
    const width = ctx.measureText(label).width;
    const at = x + (turned ? -gap : gap);
    // On a ground of its own: a curve that crosses the letters makes others of them.
    ctx.fillStyle = t.surface;
    if (label) ctx.fillRect(turned ? at - width - gap / 2 : at - gap / 2, bbox.top, width + gap, 3.5 * gap);
    ctx.fillStyle = color;
    ctx.fillText(label, at, bbox.top + 2.5 * gap);
    taken = turned ? x : x + gap + width;
  }
  ctx.restore();
}
