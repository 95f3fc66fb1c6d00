/** Where the series come from: metrics, labels and pairs that have most of them, and how near the limit is. */
import type { ComponentChildren } from "preact";
import { useApi } from "../../api";
import { bytes, bytesParts, count, full, plural, ratio, timestamp } from "../../format";
import { ErrorState } from "../../parts/errorstate";
import { Skeleton } from "../../parts/skeleton";
import { Stat } from "../../parts/stat";
import { Table } from "../../parts/table";
import { href } from "../../router";
import { queryParams } from "./address";
import { type Answer, type Count, quoted, selectorOf, type TsdbStatus } from "./prometheus";

const ROWS = 50;

/** "node_cpu_seconds_total has 41 % of all 1,310 series." */
export function cardinalitySentence(status: TsdbStatus): string {
  const n = status.headStats.numSeries;
  const top = status.seriesCountByMetricName[0];
  if (!n || !top) return "No series are stored";
  const limit = status.headStats.seriesLimit;
  const share = `${top.name} has ${ratio(top.value / n)} of ${full(n)} series`;
  return limit && n / limit > 0.8
    ? `${ratio(n / limit)} of the ${full(limit)} series allowed are in use; ${share}`
    : share;
}

/** Whether most series are new, where there were samples before. */
const churns = (head: TsdbStatus["headStats"]): boolean =>
  head.numSeries > 0 &&
  (head.seriesAdded1h ?? 0) / head.numSeries > 0.5 &&
  head.minTime > 0 &&
  Date.now() - head.minTime > 2 * 3600e3;

export function Cardinality() {
  const answer = useApi<Answer<TsdbStatus>>("/prometheus/api/v1/status/tsdb", { limit: ROWS });
  const status = answer.data?.data;
  if (answer.error && !status)
    return <ErrorState error={answer.error} what="the cardinality" onRetry={answer.reload} />;
  if (!status)
    return (
      <div class="cardinality">
        <Skeleton lines={12} shown={answer.slow} />
      </div>
    );
  const head = status.headStats;
  const whole = (n: number | undefined) => ({ figure: n === undefined ? "–" : full(n), unit: "" });
  return (
    <div class={`cardinality ${answer.stale ? "dim" : ""}`}>
      <section class="section">
        <h1>{cardinalitySentence(status)}</h1>
        <div class="cardinality-stats">
          <Stat label="Series" quantity={whole(head.numSeries)} />
          {head.numLabelPairs !== undefined && (
            <Stat label="Pairs of label and value" quantity={whole(head.numLabelPairs)} />
          )}
          {head.seriesAdded1h !== undefined && (
            <Stat
              label="New in the last hour"
              quantity={whole(head.seriesAdded1h)}
              tone={churns(head) ? "warn" : undefined}
              title="Series seen for the first time"
            />
          )}
          {head.seriesGone1h !== undefined && (
            <Stat
              label="Gone in the last hour"
              quantity={whole(head.seriesGone1h)}
              title="Series without a sample since"
            />
          )}
          {!!head.seriesLimit && <Stat label="Limit" quantity={whole(head.seriesLimit)} />}
          {!!head.seriesRefused && (
            <Stat label="Refused, over the limit" quantity={whole(head.seriesRefused)} tone="bad" />
          )}
          {head.samplesPerSecond !== undefined && (
            <Stat label="Samples" quantity={{ figure: count(head.samplesPerSecond), unit: "/s" }} />
          )}
          {!!head.indexBytes && <Stat label="Label index in memory" quantity={bytesParts(head.indexBytes)} />}
        </div>
        <p class="muted small">
          Every different set of labels is a series of its own. A label with ids, addresses or free text
          multiplies them: drop it with <code>metric_relabel_configs</code>, or do not set it.
          {head.minTime > 0 && ` Samples since ${timestamp(head.minTime * 1e6, 0)}.`}
        </p>
      </section>
      <div class="cardinality-tables">
        <Counts
          title="Metrics with most series"
          name="by-metric"
          head="metric"
          unit="series"
          rows={status.seriesCountByMetricName}
          total={head.numSeries}
          to={(c) =>
            href("/explore", { ...queryParams(`count by (job) (${selectorOf(c.name)})`), metric: c.name })
          }
        />
        <Counts
          title="Labels with most values"
          name="by-label"
          head="label"
          unit="values"
          rows={status.labelValueCountByLabelName}
          to={(c) =>
            href("/explore", {
              ...queryParams(`topk(20, count by (__name__) ({${c.name}!=""}))`),
              view: "table",
            })
          }
        />
        <Counts
          title="Pairs with most series"
          name="by-pair"
          head="pair"
          unit="series"
          rows={status.seriesCountByLabelValuePair}
          total={head.numSeries}
          to={(c) => {
            const at = c.name.indexOf("=");
            const matcher = `${c.name.slice(0, at)}=${quoted(c.name.slice(at + 1))}`;
            return href("/explore", {
              ...queryParams(`topk(20, count by (__name__) ({${matcher}}))`),
              view: "table",
            });
          }}
        />
        <Counts
          title="Labels that take most memory"
          name="by-bytes"
          head="label"
          unit="memory"
          rows={status.memoryInBytesByLabelName}
          print={bytes}
        />
      </div>
    </div>
  );
}

function Counts(props: {
  title: string;
  name: string;
  head: string;
  unit: string;
  rows: readonly Count[];
  total?: number;
  to?: (c: Count) => string;
  print?: (v: number) => ComponentChildren;
}) {
  const { rows, total } = props;
  if (!rows?.length) return null;
  const most = rows.reduce((m, c) => Math.max(m, c.value), 1);
  return (
    <section aria-label={props.title}>
      <h2>
        {props.title} {rows.length >= ROWS && <span class="muted">first {plural(ROWS, "row")}</span>}
      </h2>
      <Table
        label={props.title}
        name={props.name}
        rows={rows}
        rowKey={(c) => c.name}
        rowHeight={26}
        href={props.to}
        keys={props.name === "by-metric"}
        initialSort={{ key: "n", desc: true }}
        columns={[
          {
            key: "name",
            title: props.head,
            grow: true,
            width: 160,
            value: (c) => c.name,
            render: (c) => (
              <span class="count-name" style={{ "--share": c.value / most }} title={c.name}>
                <span class="ellipsis">{c.name}</span>
              </span>
            ),
          },
          {
            key: "n",
            title: props.unit,
            align: "right",
            width: 96,
            value: (c) => c.value,
            render: (c) => (
              <span title={full(c.value)}>{props.print ? props.print(c.value) : full(c.value)}</span>
            ),
          },
          ...(total
            ? [
                {
                  key: "share",
                  title: "share",
                  align: "right" as const,
                  width: 72,
                  value: (c: Count) => c.value / total,
                  render: (c: Count) => ratio(c.value / total),
                },
              ]
            : []),
        ]}
      />
    </section>
  );
}
