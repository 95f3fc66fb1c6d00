/** A metric at a glance: what it is, its labels, and the queries people ask of its type. */
import { useMemo } from "preact/hooks";
import { useApi } from "../../api";
import { count, full } from "../../format";
import { useKeys } from "../../keys";
import { CopyButton } from "../../parts/copybutton";
import { Icon } from "../../parts/icon";
import { Skeleton } from "../../parts/skeleton";
import type { Metric, Proposal } from "./catalogue";
import { proposals } from "./catalogue";
import { typeName } from "./list";
import type { Answer, Labels } from "./prometheus";
import { selectorOf } from "./prometheus";

export interface GlanceProps {
  metric: Metric;
  /** Seconds since the epoch, of the page's range. */
  range: { from: number; to: number };
  onBack: () => void;
  /** Asks it: instead of the current query, or beside it. */
  onAsk: (proposal: Proposal, add: boolean) => void;
  /** Appends a label to the selector of the metric. */
  onLabel: (expr: string) => void;
}

/** Series read to list a metric's labels. */
const SERIES_READ = 2000;

export interface LabelSummary {
  name: string;
  values: { value: string; n: number }[];
}

/** Labels by how telling they are: few values before many, constant ones last. */
export function labelSummary(series: readonly Labels[]): LabelSummary[] {
  const counts = new Map<string, Map<string, number>>();
  for (const labels of series) {
    for (const [name, value] of Object.entries(labels)) {
      if (name === "__name__") continue;
      const of = counts.get(name) ?? new Map<string, number>();
      of.set(value, (of.get(value) ?? 0) + 1);
      counts.set(name, of);
    }
  }
  const order = (l: LabelSummary) => (l.values.length === 1 ? 1e9 : l.values.length);
  return [...counts]
    .map(([name, of]) => ({
      name,
      values: [...of]
        .map(([value, n]) => ({ value, n }))
        .sort((a, b) => b.n - a.n || (a.value < b.value ? -1 : 1)),
    }))
    .sort((a, b) => order(a) - order(b) || (a.name < b.name ? -1 : 1));
}

export function Glance({ metric, range, onBack, onAsk, onLabel }: GlanceProps) {
  // Of a histogram the counts tell its labels; its buckets would repeat them.
  const name = metric.names.find((n) => n.endsWith("_count")) ?? metric.names[0] ?? metric.name;
  const series = useApi<Answer<readonly Labels[]>>(
    "/prometheus/api/v1/series",
    {
      "match[]": selectorOf(name),
      start: Math.floor(range.from / 60) * 60,
      end: Math.ceil(range.to / 60) * 60,
      limit: SERIES_READ,
    },
    { live: false },
  );
  const labels = useMemo(() => labelSummary(series.data?.data ?? []), [series.data]);
  const list = proposals(
    metric,
    labels.filter((l) => l.values.length > 1).map((l) => l.name),
  ).filter((p, i, all) => all.findIndex((other) => other.expr === p.expr) === i);
  useKeys([{ key: "Escape", help: "Back to all metrics", run: onBack }]);
  return (
    <section class="glance" aria-label={`${metric.name} at a glance`}>
      <header>
        <button type="button" class="button plain" onClick={onBack}>
          <Icon name="left" size={12} /> All metrics
        </button>
        <span class="spacer" />
        <CopyButton text={metric.name} label="Copy the name" />
      </header>
      <h2 class="mono">{metric.name}</h2>
      <p class="metric-note">
        <span class={`metric-type ${metric.type}`}>{typeName(metric.type)}</span>
        {metric.unit && <span>{metric.unit}</span>}
        {metric.series !== undefined && (
          <span title={full(metric.series)}>{count(metric.series)} series</span>
        )}
      </p>
      {metric.help ? (
        <p class="glance-help">{metric.help}</p>
      ) : (
        <p class="glance-help muted">
          Its source sent no help{metric.guessed ? "; the type is read from its name" : ""}.
        </p>
      )}
      <h3>Useful queries</h3>
      <ul class="glance-queries">
        {list.map((p) => (
          <li key={p.expr}>
            <button type="button" class="glance-query" onClick={() => onAsk(p, false)} title="Ask this">
              <span>{p.title}</span>
              <code>{p.expr}</code>
            </button>
            <button
              type="button"
              class="icon-button"
              aria-label={`Add as another query: ${p.title}`}
              title="Add as another query"
              onClick={() => onAsk(p, true)}
            >
              <Icon name="plus" size={14} />
            </button>
          </li>
        ))}
      </ul>
      <h3>Labels</h3>
      {!series.data ? (
        series.error ? (
          <p class="muted">{series.error.message}</p>
        ) : (
          <Skeleton lines={5} rowHeight={24} shown={series.slow} />
        )
      ) : !labels.length ? (
        <p class="muted">No series in this range.</p>
      ) : (
        <ul class="glance-labels">
          {labels.map((l) => (
            <li key={l.name}>
              <details>
                <summary>
                  <span class="ellipsis">{l.name}</span>
                  <span class="muted ellipsis">
                    {l.values.length === 1 ? l.values[0]!.value : `${count(l.values.length)} values`}
                  </span>
                </summary>
                <ul>
                  {l.values.slice(0, 50).map((v) => (
                    <li key={v.value}>
                      <button
                        type="button"
                        title={`Ask ${name} with ${l.name} = ${v.value}`}
                        onClick={() => onLabel(`${selectorOf(name)}{${l.name}=${JSON.stringify(v.value)}}`)}
                      >
                        <span class="ellipsis">{v.value || "(empty)"}</span>
                        <span class="muted">{count(v.n)}</span>
                      </button>
                    </li>
                  ))}
                  {l.values.length > 50 && <li class="muted">and {count(l.values.length - 50)} more</li>}
                </ul>
              </details>
            </li>
          ))}
        </ul>
      )}
      {(series.data?.data.length ?? 0) >= SERIES_READ && (
        <p class="muted small">Labels of the first {full(SERIES_READ)} series.</p>
      )}
    </section>
  );
}
