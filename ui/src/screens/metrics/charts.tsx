/** The graphs of the explorer: queries of one unit share a graph, all graphs share the cursor and the zoom. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { plural } from "../../format";
import { Skeleton } from "../../parts/skeleton";
import { Table } from "../../parts/table";
import { type Dot, seriesCss, TimeChart } from "../../parts/timechart";
import type { Query } from "./address";
import { HeatChart } from "./heat";
import {
  commonLabels,
  DRAWN_MAX,
  type DrawnSeries,
  drawn,
  type Grid,
  gridTimes,
  hasHistograms,
  heat,
} from "./result";
import { type Run, settled } from "./run";
import {
  axisIncrements,
  axisPrinter,
  type Declared,
  printer,
  type Unit,
  unitKey,
  unitOf,
  unitWords,
} from "./unit";

export interface ChartsProps {
  queries: readonly Query[];
  runs: ReadonlyMap<string, Run>;
  window: { from: number; to: number };
  declared: Declared;
  /** Draws buckets as a heat map where there are any. */
  heat: boolean;
  /** The one series shown, as `A/up{…}`; null shows all. */
  only: string | null;
  onOnly: (key: string | null) => void;
  dots: ReadonlyMap<string, readonly Dot[]>;
}

interface Group {
  unit: Unit;
  grid: Grid;
  stale: boolean;
  queries: { name: string; expr: string; series: DrawnSeries[]; common: string }[];
}

const HEIGHT = 280;
const keyOf = (s: DrawnSeries): string => `${s.query}/${s.full}`;

/** Queries with an answer, gathered by unit, in the order of the queries. */
export function grouped(
  queries: readonly Query[],
  runs: ReadonlyMap<string, Run>,
  declared: Declared,
): Group[] {
  const groups = new Map<string, Group>();
  for (const q of queries) {
    const run = runs.get(q.name);
    if (q.hidden || !run?.data || !run.grid || run.data.resultType !== "matrix") continue;
    const series = drawn(q.name, run.expr, run.data, run.grid);
    if (!series.length) continue;
    const unit = unitOf(run.expr, declared);
    const key = `${unitKey(unit)}@${run.grid.step}`;
    const group = groups.get(key) ?? { unit, grid: run.grid, stale: false, queries: [] };
    // One that starts at 0 shares its axis with one that need not: 0 wins.
    group.unit = { ...group.unit, zero: group.unit.zero || unit.zero };
    group.grid = run.grid;
    group.stale ||= run.stale;
    group.queries.push({ name: q.name, expr: run.expr, series, common: commonLabels(run.data.result) });
    groups.set(key, group);
  }
  return [...groups.values()];
}

export function Charts(props: ChartsProps) {
  const { runs, declared } = props;
  const { ready: queries, pending } = settled(props.queries, runs);
  const answers = queries.map((q) => runs.get(q.name)?.data);
  const groups = useMemo(
    () => grouped(queries, runs, declared),
    [queries.map((q) => q.name).join(), declared, ...answers],
  );
  const heats = queries.filter((q) => {
    const run = runs.get(q.name);
    return !q.hidden && run?.data && (props.heat || hasHistograms(run.data));
  });
  return (
    <>
      {heats.map((q) => {
        const run = runs.get(q.name)!;
        const data = run.grid ? heat(run.data!, run.grid) : null;
        return data ? (
          <HeatChart
            key={`heat-${q.name}`}
            label={`Query ${q.name}: ${run.expr}`}
            data={data}
            step={run.grid!.step}
            window={props.window}
            unit={printer(unitOf(`histogram_quantile(0.5, ${run.expr})`, declared))}
            dim={run.stale}
          />
        ) : null;
      })}
      {groups
        .filter((g) => !(props.heat && g.queries.every((q) => q.series.some((s) => "le" in s.labels))))
        .map((g) => (
          <GroupChart key={unitKey(g.unit) + g.queries.map((q) => q.name).join()} group={g} {...props} />
        ))}
      {pending && (
        <div class="explore-chart" key={`pending-${queries.length}`}>
          <Skeleton height={HEIGHT} />
        </div>
      )}
    </>
  );
}

function GroupChart({ group, window, only, onOnly, dots, queries }: ChartsProps & { group: Group }) {
  const [cursor, setCursor] = useState<number | null>(null);
  const [focus, setFocus] = useState<number | null>(null);
  const { unit, grid } = group;
  const several = queries.filter((q) => !q.hidden && q.expr).length > 1;
  const all = useMemo(() => group.queries.flatMap((q) => q.series), [group]);
  const kept = useMemo(() => group.queries.flatMap((q) => q.series.slice(0, DRAWN_MAX)), [group]);
  const shown = useMemo(() => {
    const indexed = kept.map((s, i) => ({ s, i }));
    const one = only ? indexed.filter((x) => keyOf(x.s) === only) : [];
    return one.length ? one : indexed;
  }, [kept, only]);
  const times = useMemo(() => gridTimes(grid), [grid]);
  const series = useMemo(
    () =>
      shown.map(({ s, i }) => ({
        label: several ? `${s.query} ${s.label}` : s.label,
        values: s.values,
        color: i % 10,
      })),
    [shown, several],
  );
  const print = printer(unit);
  const top = shown.reduce((m, { s }) => Math.max(m, Math.abs(s.max ?? 0), Math.abs(s.min ?? 0)), 0);
  const marks = useMemo(
    () =>
      group.queries
        .flatMap((q) => dots.get(q.name) ?? [])
        .map((d) => (unit.perSecond ? { ...d, value: null } : d)),
    [group, dots, unit.perSecond],
  );
  const rest = all.length - kept.length;
  return (
    <section class="explore-chart" aria-label={`Graph of ${group.queries.map((q) => q.name).join(", ")}`}>
      <p class="explore-caption muted">
        {unitWords(unit) && <span>{unitWords(unit)}</span>}
        {group.queries.map(
          (q) =>
            q.common && (
              <span key={q.name} class="ellipsis" title={q.common}>
                {several ? `${q.name}: ` : ""}in common <code>{q.common}</code>
              </span>
            ),
        )}
      </p>
      <TimeChart
        label={`Query ${group.queries.map((q) => q.name).join(", ")}`}
        times={times}
        step={grid.step}
        series={series}
        unit={print}
        axis={axisPrinter(unit)}
        increments={axisIncrements(unit, top)}
        axisWidth={64}
        zero={unit.zero}
        height={HEIGHT}
        legend="none"
        from={window.from}
        to={window.to}
        nearest
        focus={focus}
        onCursor={setCursor}
        dots={marks}
        dim={group.stale}
      />
      {rest > 0 && (
        <p class="explore-note">
          The graph draws the {DRAWN_MAX} series with the highest mean; {plural(rest, "other")} left out.{" "}
          <code>topk(10, …)</code> or <code>sum by (…)</code> tells more.
        </p>
      )}
      <Legend
        rows={kept}
        several={several}
        cursor={cursor}
        print={print}
        only={only && kept.some((s) => keyOf(s) === only) ? only : null}
        onOnly={onOnly}
        onFocus={(key) => {
          const i = shown.findIndex(({ s }) => keyOf(s) === key);
          setFocus(key === null || i < 0 ? null : i);
        }}
        dim={group.stale}
      />
    </section>
  );
}

interface LegendRow {
  s: DrawnSeries;
  key: string;
  color: number;
  at: number | null;
}

function Legend(props: {
  rows: readonly DrawnSeries[];
  several: boolean;
  cursor: number | null;
  print: (v: number | null | undefined) => string;
  only: string | null;
  onOnly: (key: string | null) => void;
  onFocus: (key: string | null) => void;
  dim: boolean;
}) {
  const { cursor, print, only } = props;
  const host = useRef<HTMLDivElement>(null);
  const rows: LegendRow[] = props.rows.map((s, i) => ({
    s,
    key: keyOf(s),
    color: i % 10,
    at: cursor === null ? s.last : (s.values[cursor] ?? null),
  }));
  const focus = useRef(props.onFocus);
  focus.current = props.onFocus;
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const over = (e: Event) =>
      focus.current(
        (e.target as Element).closest<HTMLElement>(".tr")?.querySelector<HTMLElement>("[data-series]")
          ?.dataset.series ?? null,
      );
    const out = () => focus.current(null);
    element.addEventListener("mouseover", over);
    element.addEventListener("mouseleave", out);
    return () => {
      element.removeEventListener("mouseover", over);
      element.removeEventListener("mouseleave", out);
    };
  }, []);
  return (
    <div class="explore-legend" ref={host}>
      <Table
        label="Series of the graph"
        name="series"
        rows={rows}
        rowKey={(r) => r.key}
        rowHeight={26}
        dim={props.dim}
        onOpen={(r) => props.onOnly(only === r.key ? null : r.key)}
        rowClass={(r) => (only && only !== r.key ? "off" : "")}
        columns={[
          {
            key: "series",
            title: only ? "Series (one shown; click it again for all)" : "Series (click shows one alone)",
            grow: true,
            width: 200,
            narrow: 150,
            value: (r) => r.s.full,
            render: (r) => (
              <span class="legend-name" data-series={r.key} title={r.s.full}>
                <i style={{ background: seriesCss({ color: r.color }, 0) }} />
                {props.several && <b class="query-mark">{r.s.query}</b>}
                <span class="ellipsis">{r.s.label}</span>
              </span>
            ),
          },
          {
            key: "at",
            title: cursor === null ? "Last" : "At cursor",
            align: "right",
            width: 104,
            narrow: 90,
            value: (r) => r.at,
            render: (r) => <span title={String(r.at)}>{print(r.at)}</span>,
          },
          ...(["mean", "min", "max"] as const).map((k) => ({
            key: k,
            title: k[0]!.toUpperCase() + k.slice(1),
            align: "right" as const,
            width: 96,
            from: k === "mean" ? 560 : 900,
            value: (r: LegendRow) => r.s[k],
            render: (r: LegendRow) => <span title={String(r.s[k])}>{print(r.s[k])}</span>,
          })),
        ]}
      />
    </div>
  );
}
