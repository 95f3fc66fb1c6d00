/** The answers at one moment, as a table: a column per label that differs, sorted by any of them. */
import { useMemo } from "preact/hooks";
import { full, timestamp } from "../../format";
import { Empty } from "../../parts/empty";
import { type Column, Table } from "../../parts/table";
import type { Query } from "./address";
import { labelText } from "./prometheus";
import { commonLabels, type TableRow, tableRows, varyingLabels } from "./result";
import { type Run, settled } from "./run";
import { type Declared, printer, unitOf } from "./unit";

const COLUMNS_MAX = 6;

export function Values(props: {
  queries: readonly Query[];
  runs: ReadonlyMap<string, Run>;
  declared: Declared;
}) {
  const answered = settled(props.queries, props.runs).ready.filter((q) => props.runs.get(q.name)?.data);
  return (
    <>
      {answered.map((q) => (
        <One
          key={q.name}
          query={q}
          run={props.runs.get(q.name)!}
          several={answered.length > 1}
          declared={props.declared}
        />
      ))}
    </>
  );
}

function One(props: { query: Query; run: Run; several: boolean; declared: Declared }) {
  const { query, run } = props;
  const data = run.data!;
  const rows = useMemo(() => tableRows(query.name, data), [query.name, data]);
  const print = printer(unitOf(run.expr, props.declared));
  const columns = useMemo<Column<TableRow>[]>(() => {
    // Labels that every row has come first: an empty column would lead the eye to nothing.
    const lacks = (name: string) => rows.reduce((n, r) => n + (r.labels[name] ? 0 : 1), 0);
    const varying = [...varyingLabels(rows.map((r) => ({ metric: r.labels })))].sort(
      (a, b) => lacks(a) - lacks(b) || (a < b ? -1 : 1),
    );
    const named = varying.slice(0, COLUMNS_MAX);
    const rest = new Set(varying.slice(COLUMNS_MAX));
    const list: Column<TableRow>[] = named.map((name, i) => ({
      key: `label-${name}`,
      title: name === "__name__" ? "metric" : name,
      grow: i === 0 || undefined,
      width: 150,
      narrow: 110,
      // The value is always in sight: the first two labels and it fit a phone.
      from: i < 2 ? undefined : 330 + 130 * (i - 1),
      value: (r) => r.labels[name] ?? "",
    }));
    if (rest.size)
      list.push({ key: "rest", title: "other labels", width: 220, value: (r) => labelText(r.labels, rest) });
    if (!varying.length)
      list.push({
        key: "series",
        title: "series",
        grow: true,
        width: 200,
        value: (r) => (r.labels.__name__ ?? "") + labelText(r.labels) || run.expr,
      });
    if (rows.some((r) => r.samples))
      list.push({
        key: "samples",
        title: "samples",
        align: "right",
        width: 90,
        value: (r) => r.samples?.length ?? 0,
      });
    list.push({
      key: "value",
      title: rows.some((r) => r.samples) ? "last value" : "value",
      align: "right",
      width: 150,
      narrow: 110,
      value: (r) => r.value,
      render: (r) => <span title={r.text}>{r.value === null ? r.text : print(r.value)}</span>,
    });
    return list;
  }, [rows, run.expr]);
  const common =
    data.resultType === "vector" || data.resultType === "matrix" ? commonLabels(data.result) : "";
  const time = rows[0]?.time;
  return (
    <section class="explore-values" aria-label={`Values of query ${query.name}`}>
      <p class="explore-caption muted">
        {props.several && <b class="query-mark">{query.name}</b>}
        {time !== undefined && <span>at {timestamp(time * 1e9, 0)}</span>}
        {common && (
          <span class="ellipsis" title={common}>
            in common <code>{common}</code>
          </span>
        )}
      </p>
      <Table
        label={`Values of query ${query.name}`}
        name="metric-values"
        rows={rows}
        rowKey={(r) => r.key}
        rowHeight={26}
        columns={columns}
        dim={run.stale}
        empty={
          <Empty small title="No series at this moment">
            Nothing matches at the end of the range. A series is found for five minutes after its last sample.
          </Empty>
        }
        foot={rows.length > 20 ? `${full(rows.length)} rows` : undefined}
      />
    </section>
  );
}
