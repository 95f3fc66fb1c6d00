/** Metrics: the list, queries in PromQL, their graphs and values; and the cardinality of what is stored. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useApi } from "../api";
import type { ScreenProps } from "../app";
import { ErrorState } from "../parts/errorstate";
import { Icon } from "../parts/icon";
import { navigate, param, params, path, setParams } from "../router";
import { range, resolvedRange } from "../state";
import {
  freeName,
  parseStep,
  QUERIES_MAX,
  type Query,
  readQueries,
  stepText,
  writeQueries,
} from "./metrics/address";
import { MetricsBar } from "./metrics/bar";
import { Cardinality } from "./metrics/cardinality";
import { catalogue, type Metric, type Proposal, proposals } from "./metrics/catalogue";
import { Charts } from "./metrics/charts";
import { useExemplars } from "./metrics/exemplars";
import { Glance } from "./metrics/glance";
import { MetricList } from "./metrics/list";
import { NoMetrics } from "./metrics/nometrics";
import type { Answer, MetadataAnswer, TsdbStatus } from "./metrics/prometheus";
import { QueryRow } from "./metrics/row";
import { useRuns } from "./metrics/run";
import { printer, unitOf } from "./metrics/unit";
import { Values } from "./metrics/values";
import "./metrics/metrics.css";
import "../parts/sidepanel.css";

/** Names whose series are counted beside the list. */
const COUNTED_MAX = 10_000;

export default function Metrics(_: ScreenProps) {
  return param("tab") === "cardinality" ? (
    <div class="metrics">
      <MetricsBar tab="cardinality" />
      <Cardinality />
    </div>
  ) : (
    <Explorer />
  );
}

/** Every metric the server knows, with what is known of it. */
function useCatalogue() {
  // Names of the last day: the list stays when one zooms into a minute.
  const names = useApi<Answer<readonly string[]>>("/prometheus/api/v1/label/__name__/values");
  const metadata = useApi<MetadataAnswer>("/prometheus/api/v1/metadata");
  const status = useApi<Answer<TsdbStatus>>(
    "/prometheus/api/v1/status/tsdb",
    { limit: COUNTED_MAX },
    { live: false },
  );
  const metrics = useMemo(
    () =>
      names.data
        ? catalogue(names.data.data, metadata.data?.data ?? {}, status.data?.data.seriesCountByMetricName)
        : undefined,
    [names.data, metadata.data, status.data],
  );
  const declared = useMemo(() => {
    const units = metadata.data?.data ?? {};
    return (metric: string) => units[metric]?.[0]?.unit ?? "";
  }, [metadata.data]);
  return { names, metrics, declared };
}

function write(queries: readonly Query[], more: Record<string, string | null> = {}): void {
  const next = writeQueries(params.peek(), queries);
  for (const [name, value] of Object.entries(more)) {
    if (value === null) next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString();
  navigate(path.peek() + (text ? `?${text}` : ""));
}

function Explorer() {
  const { names, metrics, declared } = useCatalogue();
  const queries = useMemo(() => readQueries(params.value), [params.value]);
  const view = ["table", "heat"].includes(param("view")) ? param("view") : "graph";
  const exemplars = param("exemplars", "1") === "1";
  const chosen = metrics?.find((m) => m.name === param("metric"));
  const [listOpen, setListOpen] = useState(false);
  const [added, setAdded] = useState<string | null>(null);
  const main = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(800);
  const step = parseStep(param("step"));

  useEffect(() => {
    const element = main.current;
    if (!element) return;
    // In steps, so that dragging a panel does not ask anew with each pixel.
    const read = () => setWidth(Math.max(200, Math.round(element.clientWidth / 200) * 200));
    read();
    const observer = new ResizeObserver(read);
    observer.observe(element);
    return () => observer.disconnect();
  }, [names.data === undefined]);

  const { runs, window, again } = useRuns({
    queries,
    kind: view === "table" ? "instant" : "range",
    step,
    points: Math.round(width / 2),
    range: range.value,
  });
  const print = (expr: string) => printer({ ...unitOf(expr, declared), perSecond: false });
  const dots = useExemplars(queries, exemplars && view === "graph", window, print);

  if (names.error && !names.data)
    return (
      <div class="metrics">
        <MetricsBar tab="explore" />
        <ErrorState error={names.error} what="the metrics" onRetry={names.reload} />
      </div>
    );
  const nothing = names.data && !names.data.data.length && !queries.some((q) => q.expr);

  /** Asks a proposal: in the place of the query that is nobody's own, or as another one. */
  const ask = (proposal: Proposal, add: boolean, more: Record<string, string | null> = {}) => {
    const shown = { view: proposal.view && proposal.view !== "graph" ? proposal.view : null, ...more };
    const last = queries[queries.length - 1]!;
    if (add && last.expr && queries.length < QUERIES_MAX)
      write([...queries, { name: freeName(queries), expr: proposal.expr, hidden: false }], more);
    else
      write(
        queries.map((q) => (q === last ? { ...q, expr: proposal.expr, hidden: false } : q)),
        shown,
      );
    setListOpen(false);
  };
  const open = (m: Metric) => {
    const first = proposals(m, ["job"])[0]!;
    const only = queries.length === 1 ? queries[0]! : null;
    const fresh = !only?.expr || chosen?.names.some((n) => only.expr.includes(n));
    if (only && fresh) ask(first, false, { metric: m.name, view: null, only: null });
    else setParams({ metric: m.name }, { push: true });
  };

  const rename = (q: Query, name: string) => write(queries.map((x) => (x === q ? { ...x, name } : x)));
  const add = () => {
    const name = freeName(queries);
    setAdded(name);
    write([...queries, { name, expr: "", hidden: false }]);
  };
  const anyShown = queries.some((q) => !q.hidden && runs.get(q.name)?.data);

  return (
    <div class="metrics">
      <MetricsBar tab="explore">
        <button
          type="button"
          class="button metric-toggle"
          aria-expanded={listOpen}
          onClick={() => setListOpen(!listOpen)}
        >
          <Icon name="search" size={12} /> Metrics
        </button>
      </MetricsBar>
      {nothing ? (
        <NoMetrics />
      ) : (
        <div class="split">
          <aside class={`metric-column ${listOpen ? "open" : ""}`} aria-label="Metrics">
            <button type="button" class="metric-close button" onClick={() => setListOpen(false)}>
              Done
            </button>
            {chosen ? (
              <Glance
                metric={chosen}
                range={resolvedRange()}
                onBack={() => setParams({ metric: null }, { push: true })}
                onAsk={(p, more) => ask(p, more)}
                onLabel={(expr) =>
                  ask(
                    { title: "", expr },
                    queries.some((q) => q.expr),
                  )
                }
              />
            ) : (
              <MetricList
                metrics={metrics}
                slow={names.slow}
                search={param("search")}
                onSearch={(search) => setParams({ search })}
                onOpen={open}
              />
            )}
          </aside>
          <div class="split-main explore" ref={main}>
            <section class="queries" aria-label="Queries">
              {queries.map((q) => (
                <QueryRow
                  key={q.name}
                  query={q}
                  run={runs.get(q.name)}
                  others={queries.filter((x) => x !== q).map((x) => x.name)}
                  metrics={names.data?.data}
                  autofocus={added === q.name}
                  onRun={(expr) => {
                    if (expr === q.expr) again();
                    else
                      write(queries.map((x) => (x === q ? { ...x, expr: expr.trim(), hidden: false } : x)));
                  }}
                  onRename={(name) => rename(q, name)}
                  onHide={() => write(queries.map((x) => (x === q ? { ...x, hidden: !x.hidden } : x)))}
                  onRemove={queries.length > 1 ? () => write(queries.filter((x) => x !== q)) : null}
                />
              ))}
            </section>
            <div class="explore-bar">
              <button type="button" class="button" onClick={add} disabled={queries.length >= QUERIES_MAX}>
                <Icon name="plus" size={12} /> Add query
              </button>
              <span class="spacer" />
              {view === "graph" && (
                <button
                  type="button"
                  class="button"
                  aria-pressed={exemplars}
                  onClick={() => setParams({ exemplars: exemplars ? "0" : null })}
                >
                  Exemplars
                </button>
              )}
              {view !== "table" && <StepField step={step} auto={window.step} />}
              <div class="segmented" role="radiogroup" aria-label="View">
                {(
                  [
                    ["graph", "Graph"],
                    ["table", "Table"],
                    ["heat", "Heat map"],
                  ] as const
                ).map(([id, title]) => (
                  <button
                    key={id}
                    type="button"
                    role="radio"
                    aria-checked={view === id}
                    onClick={() => setParams({ view: id === "graph" ? null : id }, { push: true })}
                  >
                    {title}
                  </button>
                ))}
              </div>
            </div>
            {view === "table" ? (
              <Values queries={queries} runs={runs} declared={declared} />
            ) : (
              <Charts
                queries={queries}
                runs={runs}
                window={window}
                declared={declared}
                heat={view === "heat"}
                only={param("only") || null}
                onOnly={(only) => setParams({ only })}
                dots={dots}
              />
            )}
            {!anyShown && !queries.some((q) => q.expr) && (
              <p class="explore-hint muted">
                Choose a metric from the list: its most useful query is asked at once. Or type PromQL above.
              </p>
            )}
          </div>
        </div>
      )}
    </div>
  );
}

function StepField({ step, auto }: { step: number | null; auto: number }) {
  const [text, setText] = useState<string | null>(null);
  const commit = () => {
    if (text === null) return;
    const seconds = parseStep(text);
    if (!text.trim()) setParams({ step: null });
    else if (seconds !== null) setParams({ step: stepText(seconds) });
    setText(null);
  };
  return (
    <label class="step-field" title="Seconds between points; empty lets the width decide. 15s, 1m, 1h30m">
      <span class="muted">Step</span>
      <input
        class="input"
        value={text ?? (step === null ? "" : stepText(step))}
        placeholder={`auto ${stepText(auto)}`}
        spellcheck={false}
        aria-invalid={text !== null && !!text.trim() && parseStep(text) === null}
        onInput={(e) => setText(e.currentTarget.value)}
        onBlur={commit}
        onKeyDown={(e) => {
          if (e.key === "Enter") commit();
          if (e.key === "Escape") setText(null);
        }}
      />
    </label>
  );
}
