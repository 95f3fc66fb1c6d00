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
import { theme } from "../theme/theme";
import "./timechart.css";
import { stack } from "./timechart-data";
import { type CursorAt, plotOptions } from "./timechart-plot";

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

/** A single event with a value of its own, such as an exemplar; a link. */
export interface Dot {
  /** Unix seconds. */
  time: number;
  /** On the y axis; null puts it at the foot. */
  value: number | null;
  href: string;
  title: string;
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
  /** False lets the y axis begin near the lowest value, for levels such as a temperature. Default true. */
  zero?: boolean;
  /** Prints the marks of the y axis together, so that they share a unit; default each by `unit`. */
  axis?: (splits: readonly number[]) => string[];
  /** Least width of the y axis in px, so that charts above each other share their left edge. Default 44. */
  axisWidth?: number;
  /** Distances between marks of the y axis, for units that are not decimal. */
  increments?: number[];
  /** The series next to the pointer stands out, with its name and value beside the pointer. */
  nearest?: boolean;
  /** Index of the series that stands out, chosen elsewhere. */
  focus?: number | null;
  /** Told where the cursor is: the index of the step. */
  onCursor?: (index: number | null) => void;
  /** Single events over the curves. */
  dots?: readonly Dot[];
  dim?: boolean;
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
  const [at, setAt] = useState<CursorAt | null>(null);
  const [near, setNear] = useState<number | null>(null);
  const dots = useRef<HTMLDivElement>(null);
  const cursor = at?.index ?? null;
  const moved = useRef((next: CursorAt | null) => {
    setAt(next);
    latest.current.onCursor?.(next?.index ?? null);
  }).current;

  const data = useMemo(() => stack(times, series, !!props.stacked), [times, series, props.stacked]);
  // What the plot must be built anew for; everything else is set on the living plot.
  const shape = JSON.stringify([
    series.map((s) => [s.label, s.color, s.kind, s.dashed]),
    kind,
    props.stacked,
    props.group,
    props.nearest,
    theme.value,
  ]);

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const u = new uPlot(
      plotOptions(latest, element.clientWidth || 300, height, {
        onCursor: moved,
        onNear: setNear,
        dots: () => dots.current,
      }),
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
  }, [data, props.from, props.to, props.markers, props.least, props.zero]);
  useEffect(() => plot.current?.redraw(false, false), [props.dots]);
  useEffect(() => {
    const i = props.focus;
    plot.current?.setSeries(i === null || i === undefined ? null : i + 1, { focus: true });
  }, [props.focus]);
  const pointed = at && near !== null ? series[near] : undefined;

  return (
    <figure class={`timechart ${props.dim ? "dim" : ""}`} aria-label={props.label}>
      <div class="timechart-plot" style={{ height: `${height}px` }}>
        <div ref={host} aria-hidden="true" />
        {at && times[at.index] !== undefined && (
          <span class="timechart-time" style={{ left: `${at.left}px` }} aria-hidden="true">
            {clock(times[at.index]! * 1e9, 0)}
          </span>
        )}
        {pointed && at && (
          <span
            class={`timechart-near ${at.left > (host.current?.clientWidth ?? 0) / 2 ? "left" : ""}`}
            style={{ left: `${at.left}px` }}
            aria-hidden="true"
          >
            <i style={{ background: seriesCss(pointed, near!) }} />
            <span class="ellipsis">{pointed.label}</span>
            <b>{props.unit(pointed.values[at.index] ?? null)}</b>
          </span>
        )}
        {!!props.dots?.length && (
          <div class="timechart-dots" ref={dots}>
            {props.dots.map((d) => (
              <a key={`${d.time}/${d.href}`} href={d.href} title={d.title}>
                <span class="sr">{d.title}</span>
              </a>
            ))}
          </div>
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
      {!!props.markers?.length && (
        <figcaption class="sr">
          {props.markers.map((m) => `${m.label} since ${clock(m.time * 1e9, 0)}`).join(", ")}
        </figcaption>
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
    <details class="chart-table" onToggle={(e) => setOpen((e.currentTarget as HTMLDetailsElement).open)}>
      <summary>{props.label} as a table</summary>
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
