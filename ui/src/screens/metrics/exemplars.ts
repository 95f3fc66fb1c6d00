/** Exemplars of the shown queries as dots that open their traces. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { api } from "../../api";
import { timestamp } from "../../format";
import type { Dot } from "../../parts/timechart";
import { href, segment } from "../../router";
import type { Query } from "./address";
import { type Answer, type ExemplarSeries, sampleValue } from "./prometheus";

/** Dots per query; the highest ones are the ones people look for. */
export const DOTS_MAX = 60;

/** The trace an exemplar belongs to, by the names that are in use. */
export function traceOf(labels: Readonly<Record<string, string>>): string | null {
  const id = labels.trace_id ?? labels.traceID ?? labels.traceId ?? labels.TraceID ?? "";
  return /^[0-9a-f]{32}$/i.test(id) && !/^0+$/.test(id) ? id.toLowerCase() : null;
}

/** Dots of an answer, spread over time: of each slice of the range the highest. */
export function dotsOf(
  answer: readonly ExemplarSeries[],
  from: number,
  to: number,
  print: (v: number) => string,
): Dot[] {
  const slice = (to - from) / DOTS_MAX || 1;
  const best = new Map<number, Dot>();
  for (const { exemplars } of answer) {
    for (const e of exemplars) {
      const trace = traceOf(e.labels);
      const value = sampleValue(e.value);
      if (!trace || !Number.isFinite(value)) continue;
      const at = Math.floor((e.timestamp - from) / slice);
      if ((best.get(at)?.value ?? Number.NEGATIVE_INFINITY) >= value) continue;
      best.set(at, {
        time: e.timestamp,
        value,
        href: href(`/traces/${segment(trace)}`),
        title: `Exemplar ${print(value)} at ${timestamp(e.timestamp * 1e9, 0)}: open trace ${trace.slice(0, 8)}`,
      });
    }
  }
  return [...best.values()].sort((a, b) => a.time - b.time);
}

export function useExemplars(
  queries: readonly Query[],
  on: boolean,
  window: { from: number; to: number; step: number },
  print: (expr: string) => (v: number) => string,
): ReadonlyMap<string, readonly Dot[]> {
  const [answers, setAnswers] = useState<ReadonlyMap<string, readonly ExemplarSeries[]>>(new Map());
  const asked = on ? queries.filter((q) => !q.hidden && q.expr) : [];
  // As often as the graph moves by a step, not with each drawing.
  const [start, end] = [Math.floor(window.from / window.step), Math.ceil(window.to / window.step)];
  const key = JSON.stringify([asked.map((q) => [q.name, q.expr]), start, end, window.step]);
  useEffect(() => {
    const controller = new AbortController();
    if (!asked.length) {
      setAnswers((old) => (old.size ? new Map() : old));
      return;
    }
    Promise.all(
      asked.map((q) =>
        api<Answer<readonly ExemplarSeries[]>>(
          "/prometheus/api/v1/query_exemplars",
          { query: q.expr, start: window.from.toFixed(3), end: window.to.toFixed(3) },
          controller.signal,
        ).then(
          (a): [string, readonly ExemplarSeries[]] => [q.name, a.data ?? []],
          // The query itself says what is wrong with it; without exemplars the graph is still right.
          (): [string, readonly ExemplarSeries[]] => [q.name, []],
        ),
      ),
    ).then((list) => {
      if (!controller.signal.aborted) setAnswers(new Map(list));
    });
    return () => controller.abort();
  }, [key]);
  return useMemo(
    () =>
      new Map(
        asked.map(
          (q) => [q.name, dotsOf(answers.get(q.name) ?? [], window.from, window.to, print(q.expr))] as const,
        ),
      ),
    [answers, key],
  );
}
