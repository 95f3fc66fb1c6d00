/**
 * A chart over time: lines, areas or bars. One cursor through all charts of a screen, dragging zooms the whole
 * page, the legend is a table of values at the cursor (or over the range), and the same figures are there as a
 * table for screen readers. The y axis starts at 0.
 *
 * <TimeChart label="Latency" times={d.times} step={d.step_ns / 1e9} unit={duration}
 *   series={[{ label: "p50", values: d.p50.points }, { label: "p95", values: d.p95.points }]} />
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { clock, missing } from "../format";
import { zoomTo } from "../state";
import { colors, theme } from "../theme/theme";
import type { Tokens } from "../theme/tokens";
import "./timechart.css";
import { stack, timeTicks } from "./timechart-data";

export interface Series {
  label: string;
  /** One per time; null is a gap. */
  values: readonly (number | null)[];
  /** Index of a series colour, or the name of a token ("bad" for errors). Default: by position. */
  color?: number | "accent" | "bad" | "warn" | "good" | "info" | "muted" | "strong";
  kind?: "line" | "area" | "bar";
  dashed?: boolean;
  /** What the legend shows while the cursor is elsewhere: sum, mean, max or last. Default mean (bars: sum). */
  total?: "sum" | "mean" | "max" | "last" | "none";
  /** Shown instead of a computed total. */
  totalText?: string;
}

export interface Marker {
  /** Unix seconds. */
  time: number;
  label: string;
  tone?: "info" | "warn" | "bad";
}

export interface TimeChartProps {
  /** Names the chart, for screen readers. */
  label: string;
  /** Unix seconds, the start of each step. */
  times: readonly number[];
  /** Seconds of a step. */
  step: number;
  series: readonly Series[];
  /** Prints a value with its unit. */
  unit: (value: number | null) => string;
  kind?: "line" | "area" | "bar";
  /** Pile the series up. */
  stacked?: boolean;
  /** Of the plot without the legend. Default 120. */
  height?: number;
  /**
   * "grid" (default): each series with its value at the cursor, else over the range. "table": a row per series
   * with mean, highest and last value, sortable, for many series. "none".
   */
  legend?: "grid" | "table" | "none";
  /** Bounds of the x axis in Unix seconds; default first and last step. */
  from?: number;
  to?: number;
  markers?: readonly Marker[];
  /** Charts with the same group share the cursor. Default "page". */
  group?: string;
  /** What dragging does; default zooms the page. */
  onZoom?: (from: number, to: number) => void;
  /** What clicking does: the step under the cursor. */
  onPick?: (time: number) => void;
  /** Least upper end of the y axis: 1 for ratios keeps a flat zero line readable. */
  least?: number;
  dim?: boolean;
}

const axisFont = "11px system-ui, sans-serif";

function colorOf(tokens: Tokens, series: Series, index: number): string {
  const c = series.color ?? index;
  return typeof c === "number" ? tokens.series[c % tokens.series.length]! : tokens[c];
}

/** The colour of a series as a CSS value, for legends outside the chart. */
export function seriesCss(series: Pick<Series, "color">, index: number): string {
  const c = series.color ?? index;
  return typeof c === "number" ? `var(--series-${c % 10})` : `var(--${c})`;
}

export function TimeChart(props: TimeChartProps) {
  const { times, series, height = 120, kind = "line", legend = "grid" } = props;
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const [at, setAt] = useState<{ index: number; left: number } | null>(null);
  const cursor = at?.index ?? null;

  const data = useMemo(() => stack(times, series, !!props.stacked), [times, series, props.stacked]);
  // What the plot must be built anew for; everything else is set on the living plot.
  const shape = JSON.stringify([
    series.map((s) => [s.label, s.color, s.kind, s.dashed]),
    kind,
    props.stacked,
    props.group,
    theme.value,
  ]);

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const u = new uPlot(
      options(latest, element.clientWidth || 300, height, setAt),
      data.plot as uPlot.AlignedData,
      element,
    );
    plot.current = u;
    const observer = new ResizeObserver(() => {
      const width = element.clientWidth;
      if (width > 0 && (width !== u.width || height !== u.height)) u.setSize({ width, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current = null;
      u.destroy();
    };
  }, [shape, height]);

  useEffect(() => {
    plot.current?.setData(data.plot as uPlot.AlignedData, true);
  }, [data, props.from, props.to, props.markers, props.least]);

  return (
    <figure class={`timechart ${props.dim ? "dim" : ""}`} aria-label={props.label}>
      <div class="timechart-plot" style={{ height: `${height}px` }} aria-hidden="true">
        <div ref={host} />
        {at && times[at.index] !== undefined && (
          <span class="timechart-time" style={{ left: `${at.left}px` }}>
            {clock(times[at.index]! * 1e9, 0)}
          </span>
        )}
      </div>
      {legend !== "none" && (
        <Legend
          series={series}
          times={times}
          unit={props.unit}
          cursor={cursor}
          kind={kind}
          table={legend === "table"}
        />
      )}
      <ChartTable label={props.label} series={series} times={times} unit={props.unit} />
    </figure>
  );
}

function total(s: Series, kind: string): number | null {
  const how = s.total ?? ((s.kind ?? kind) === "bar" ? "sum" : "mean");
  const known = s.values.filter((v): v is number => v !== null);
  if (!known.length || how === "none") return null;
  if (how === "last") return known[known.length - 1]!;
  if (how === "max") return known.reduce((a, b) => Math.max(a, b));
  const sum = known.reduce((a, b) => a + b, 0);
  return how === "sum" ? sum : sum / known.length;
}

interface LegendProps {
  series: readonly Series[];
  times: readonly number[];
  unit: (v: number | null) => string;
  cursor: number | null;
  kind: string;
  table: boolean;
}

function Legend(props: LegendProps) {
  if (props.table) return <LegendTable {...props} />;
  const { series, cursor, unit, kind } = props;
  return (
    <div class="legend" aria-hidden="true">
      {series.map((s, i) => (
        <span class="legend-item" key={s.label}>
          <i class={(s.kind ?? kind) === "line" ? "dash" : ""} style={{ background: seriesCss(s, i) }} />
          <span class="ellipsis" title={s.label}>
            {s.label}
          </span>
          <b>{cursor !== null ? unit(s.values[cursor] ?? null) : (s.totalText ?? unit(total(s, kind)))}</b>
        </span>
      ))}
    </div>
  );
}

const statistics = ["mean", "max", "last"] as const;

function LegendTable({ series, times, unit, cursor }: LegendProps) {
  const [sort, setSort] = useState<{ by: "name" | (typeof statistics)[number]; desc: boolean } | null>(null);
  const rows = series.map((s, i) => ({
    s,
    i,
    name: s.label,
    mean: total({ ...s, total: "mean" }, "line"),
    max: total({ ...s, total: "max" }, "line"),
    last: total({ ...s, total: "last" }, "line"),
  }));
  if (sort) {
    rows.sort((a, b) => {
      const order =
        sort.by === "name"
          ? a.name.localeCompare(b.name)
          : (a[sort.by] ?? Number.NEGATIVE_INFINITY) - (b[sort.by] ?? Number.NEGATIVE_INFINITY);
      return (sort.desc ? -order : order) || a.i - b.i;
    });
  }
  const head = (by: "name" | (typeof statistics)[number], title: string) => (
    <th scope="col" aria-sort={sort?.by === by ? (sort.desc ? "descending" : "ascending") : "none"}>
      <button
        type="button"
        onClick={() => setSort({ by, desc: sort?.by === by ? !sort.desc : by !== "name" })}
      >
        {title}
      </button>
    </th>
  );
  return (
    <div class="legend-table">
      <table>
        <thead>
          <tr>
            {head(
              "name",
              cursor !== null && times[cursor] !== undefined ? clock(times[cursor]! * 1e9, 0) : "Series",
            )}
            {cursor !== null && <th scope="col">at cursor</th>}
            {statistics.map((by) => head(by, by))}
          </tr>
        </thead>
        <tbody>
          {rows.map((r) => (
            <tr key={r.name}>
              <td title={r.name}>
                <i style={{ background: seriesCss(r.s, r.i) }} />
                {r.name}
              </td>
              {cursor !== null && <td>{unit(r.s.values[cursor] ?? null)}</td>}
              {statistics.map((by) => (
                <td key={by}>{unit(r[by])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The figures behind the picture; built only when someone asks for them or reads the page aloud. */
function ChartTable(props: {
  label: string;
  series: readonly Series[];
  times: readonly number[];
  unit: (v: number | null) => string;
}) {
  const [open, setOpen] = useState(false);
  return (
    <details class="sr" onToggle={(e) => setOpen((e.currentTarget as HTMLDetailsElement).open)}>
      <summary tabIndex={-1}>{props.label} as a table</summary>
      {open && (
        <table>
          <thead>
            <tr>
              <th scope="col">Time</th>
              {props.series.map((s) => (
                <th scope="col" key={s.label}>
                  {s.label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {props.times.map((t, i) => (
              <tr key={t}>
                <th scope="row">{clock(t * 1e9, 0)}</th>
                {props.series.map((s) => (
                  <td key={s.label}>{s.values[i] === null ? missing : props.unit(s.values[i] ?? null)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </details>
  );
}

function options(
  latest: { current: TimeChartProps },
  width: number,
  height: number,
  onCursor: (at: { index: number; left: number } | null) => void,
): uPlot.Options {
  const props = latest.current;
  const t = colors.peek();
  const kind = props.kind ?? "line";
  const bars = uPlot.paths.bars!({ size: [0.86, 40], gap: 0, align: 1 });
  const stacked = !!props.stacked;
  let dragged = false;
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
      bind: {
        dblclick: () => null,
      },
    },
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
        range: (_u, _min, max) => [0, Math.max((max ?? 0) * 1.08, latest.current.least ?? 0) || 1],
      },
    },
    axes: [
      {
        font: axisFont,
        stroke: t.muted,
        size: 24,
        gap: 4,
        grid: { show: false },
        ticks: { stroke: t.line, width: 1, size: 4 },
        splits: (u, _axis, min, max) =>
          timeTicks(min, max, Math.max(2, Math.floor(u.bbox.width / devicePixelRatio / 62))).splits,
        values: (u, splits) => {
          const most = Math.max(2, Math.floor(u.bbox.width / devicePixelRatio / 62));
          const { label } = timeTicks(u.scales.x!.min!, u.scales.x!.max!, most);
          return splits.map(label);
        },
      },
      {
        font: axisFont,
        stroke: t.muted,
        size: (_u, values) => Math.max(44, ...(values ?? []).map((v) => String(v).length * 6.4 + 12)),
        gap: 6,
        space: 32,
        grid: { stroke: t.line, width: 1 },
        ticks: { show: false },
        values: (_u, splits) => splits.map((v) => (v === 0 ? "0" : tidy(latest.current.unit(v)))),
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
          points: { show: false },
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
      draw: [(u) => drawMarkers(u, latest.current.markers ?? [])],
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

function drawMarkers(u: uPlot, markers: readonly Marker[]): void {
  const t = colors.peek();
  const { ctx, bbox } = u;
  ctx.save();
  for (const m of markers) {
    const x = Math.round(u.valToPos(m.time, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
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
    const right = x + 60 * devicePixelRatio > bbox.left + bbox.width;
    ctx.textAlign = right ? "right" : "left";
    ctx.strokeStyle = t.surface;
    ctx.lineWidth = 3 * devicePixelRatio;
    ctx.strokeText(m.label, x + (right ? -4 : 4) * devicePixelRatio, bbox.top + 8 * devicePixelRatio);
    ctx.fillText(m.label, x + (right ? -4 : 4) * devicePixelRatio, bbox.top + 8 * devicePixelRatio);
  }
  ctx.restore();
}

/** Axis labels without idle zeros: `2 s`, not `2.00 s`. */
export function tidy(label: string): string {
  return label.replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "");
}
