/**
 * Asks the queries of the explorer: each by itself, all over the same grid of times. Former answers stay while new
 * ones are on their way; what nobody waits for any more is aborted.
 */
import { effect } from "@preact/signals";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, api } from "../../api";
import { live, resolvedRange, tick } from "../../state";
import { autoStep, type Query } from "./address";
import type { Answer, QueryData } from "./prometheus";
import type { Grid } from "./result";

export interface Run {
  /** The expression that `data` answers. */
  expr: string;
  data?: QueryData;
  grid?: Grid;
  warnings: readonly string[];
  infos: readonly string[];
  error?: ApiError;
  /** Of the newest answer, in milliseconds, as the page waited. */
  ms?: number;
  loading: boolean;
  /** `data` answers a former question. */
  stale: boolean;
}

export interface Asked {
  queries: readonly Query[];
  /** Over the range, or at its end. */
  kind: "range" | "instant";
  /** Seconds; null lets the width decide. */
  step: number | null;
  /** Points a chart of this width can show. */
  points: number;
  /** The page's range as it stands in the address: a change asks again. */
  range: { from: string; to: string };
}

/** The grid of a range: points at multiples of the step, so that they stay where they are as time goes on. */
export function gridOf(range: { from: number; to: number }, step: number): Grid {
  const start = Math.ceil(range.from / step - 1e-9) * step;
  const end = Math.floor(range.to / step + 1e-9) * step;
  const round = (t: number) => Number(t.toFixed(3));
  return { start: round(start), end: round(Math.max(start, end)), step };
}

/**
 * The queries that can be shown: all before the first that has no answer yet. Those behind it wait, so that
 * nothing moves down when it comes.
 */
export function settled(
  queries: readonly Query[],
  runs: ReadonlyMap<string, Run>,
): { ready: readonly Query[]; pending: boolean } {
  const shown = queries.filter((q) => !q.hidden && q.expr.trim());
  const at = shown.findIndex((q) => {
    const run = runs.get(q.name);
    return !run || (run.loading && !run.data && !run.error);
  });
  return at < 0 ? { ready: shown, pending: false } : { ready: shown.slice(0, at), pending: true };
}

async function ask(expr: string, kind: Asked["kind"], grid: Grid, end: number, signal: AbortSignal) {
  return kind === "range"
    ? api<Answer<QueryData>>(
        "/prometheus/api/v1/query_range",
        { query: expr, start: grid.start, end: grid.end, step: grid.step },
        signal,
      )
    : api<Answer<QueryData>>("/prometheus/api/v1/query", { query: expr, time: end.toFixed(3) }, signal);
}

export function useRuns(asked: Asked): {
  runs: ReadonlyMap<string, Run>;
  /** Of the newest question. */
  window: { from: number; to: number; step: number };
  again: () => void;
} {
  const [, redraw] = useState(0);
  const runs = useRef(new Map<string, Run>()).current;
  const kinds = useRef(new Map<string, string>()).current;
  const window = useRef({ from: 0, to: 1, step: 15 });
  const newest = useRef(asked);
  newest.current = asked;
  const controller = useRef<AbortController | null>(null);
  const shown = asked.queries.filter((q) => !q.hidden && q.expr.trim());
  const key = JSON.stringify([
    shown.map((q) => [q.name, q.expr]),
    asked.kind,
    asked.step,
    asked.points,
    asked.range,
  ]);

  const go = useCallback(() => {
    controller.current?.abort();
    const mine = new AbortController();
    controller.current = mine;
    const a = newest.current;
    const range = resolvedRange();
    const step = a.step ?? autoStep(range.to - range.from, a.points);
    const grid = gridOf(range, step);
    window.current = { ...range, step };
    const draw = () => redraw((n) => n + 1);
    const wanted = a.queries.filter((q) => !q.hidden && q.expr.trim());
    for (const name of [...runs.keys()]) if (!a.queries.some((q) => q.name === name)) runs.delete(name);
    for (const q of wanted) {
      const asks = JSON.stringify([q.expr, a.kind]);
      const before = runs.get(q.name);
      const run: Run = before ?? { expr: q.expr, warnings: [], infos: [], loading: true, stale: false };
      // An answer of another kind cannot be shown meanwhile.
      if (before && !kinds.get(q.name)?.endsWith(`"${a.kind}"]`)) run.data = undefined;
      run.stale = !!run.data && kinds.get(q.name) !== asks;
      run.loading = true;
      runs.set(q.name, run);
      const begun = performance.now();
      ask(q.expr, a.kind, grid, range.to, mine.signal).then(
        (answer) => {
          if (mine.signal.aborted) return;
          kinds.set(q.name, asks);
          runs.set(q.name, {
            expr: q.expr,
            data: answer.data,
            grid,
            warnings: answer.warnings ?? [],
            infos: answer.infos ?? [],
            ms: performance.now() - begun,
            loading: false,
            stale: false,
          });
          draw();
        },
        (error) => {
          if (mine.signal.aborted || (error as Error).name === "AbortError") return;
          const known = error instanceof ApiError ? error : new ApiError("internal", String(error), 0, "");
          // What failed must not look answered: the former curve goes.
          runs.set(q.name, {
            expr: q.expr,
            warnings: [],
            infos: [],
            error: known,
            ms: performance.now() - begun,
            loading: false,
            stale: false,
          });
          draw();
        },
      );
    }
    draw();
  }, [runs, kinds]);

  useEffect(() => {
    go();
    let seen = tick.peek();
    const stop = effect(() => {
      const now = tick.value;
      if (now === seen) return;
      seen = now;
      if (live.peek()) go();
    });
    return () => {
      stop();
      controller.current?.abort();
    };
  }, [key, go]);

  return { runs, window: window.current, again: go };
}
