/** What a service's figures are made of: operations, statements, dependencies, errors, slow traces. */
import type { ComponentChildren } from "preact";
import type { Dependency, ErrorType, Operation, ServiceDetail, Statement, TraceSummary } from "../api-types";
import {
  ago,
  count,
  digits,
  duration,
  full,
  kindName,
  missing,
  plural,
  rate,
  ratio,
  tidy,
  timestamp,
} from "../format";
import { Breakdown, BreakdownLegend } from "../parts/breakdown";
import { ChangeMark } from "../parts/change";
import { Name } from "../parts/name";
import { ServiceName } from "../parts/servicename";
import { Sparkline } from "../parts/sparkline";
import { type Column, Table } from "../parts/table";
import { href, segment } from "../router";
import { condition } from "../state";
import type { ProfileSeries } from "./profiles/data";
import { wholeSteps } from "./service-steps";

interface PartProps {
  data: ServiceDetail;
  dim: boolean;
}

function Part({
  title,
  note,
  children,
}: {
  title: string;
  note?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class="section table-section" aria-label={title}>
      <header>
        <h2>{title}</h2>
        {note && <span class="muted small">{note}</span>}
      </header>
      {children}
    </section>
  );
}

/** `cpu`: what each endpoint used of the processor, when the service is profiled. */
export function Operations({ data, dim, cpu }: PartProps & { cpu?: ProfileSeries }) {
  const used = new Map(cpu?.series.map((s) => [s.value, s.sum]));
  const service = condition("service", "=", data.service.name);
  const most = Math.max(...data.operations.map((o) => o.share), 0.001);
  const columns: Column<Operation>[] = [
    {
      key: "name",
      title: "Operation",
      width: 150,
      grow: true,
      value: (o) => o.name,
      render: (o) => (
        <span class="operation" title={`${o.name} (${kindName(o.kind)})`}>
          <Name text={o.name} />
          {o.kind !== 2 && <span class="muted small">{kindName(o.kind)}</span>}
        </span>
      ),
    },
    {
      key: "share",
      title: "Share of time",
      help: "Of the time all operations took together; the bar is cut by where the time went",
      width: used.size ? 180 : 236,
      value: (o) => o.share,
      descFirst: true,
      render: (o) => (
        <span class="share-cell">
          <Breakdown parts={o.breakdown} scale={o.share / most} />
          <span class="num" title={`${duration(o.time_ns)} in all`}>
            {ratio(o.share)}
          </span>
        </span>
      ),
    },
    {
      key: "rate",
      title: "Requests",
      width: 128,
      align: "right",
      value: (o) => o.rate.value,
      render: (o) => (
        <span class="figure-cell" title={plural(o.requests, "request")}>
          <Sparkline
            points={wholeSteps(o.rate.points, data)}
            label="requests over time"
            width={40}
            color="var(--muted)"
          />
          <span>{rate(o.rate.value)}</span>
        </span>
      ),
    },
    {
      key: "errors",
      title: "Errors",
      width: 72,
      align: "right",
      value: (o) => o.errors.value,
      render: (o) => <span class={(o.errors.value ?? 0) >= 0.01 ? "bad" : ""}>{ratio(o.errors.value)}</span>,
    },
    {
      key: "p50",
      title: "p50",
      width: 72,
      align: "right",
      from: 1000,
      value: (o) => o.p50.value,
      render: (o) => duration(o.p50.value),
    },
    {
      key: "p95",
      title: "p95",
      width: 170,
      align: "right",
      value: (o) => o.p95.value,
      render: (o) => (
        <span class="figure-cell">
          <Sparkline points={o.p95.points} label="p95 over time" width={40} />
          <ChangeMark value={o.p95.value} previous={o.p95.previous} better="down" format={duration} />
          <span>{duration(o.p95.value)}</span>
        </span>
      ),
    },
    {
      key: "p99",
      title: "p99",
      width: 72,
      align: "right",
      value: (o) => o.p99.value,
      render: (o) => duration(o.p99.value),
    },
  ];
  if (used.size)
    columns.push({
      key: "cpu",
      title: "CPU",
      help: "Time on a processor, by the samples of the profiler; leads to its flame graph",
      width: 72,
      align: "right",
      from: 1000,
      value: (o) => used.get(o.name) ?? null,
      render: (o) =>
        used.has(o.name) ? (
          <a class="link" href={href("/profiles", { service: data.service.name, endpoint: o.name })}>
            {duration(used.get(o.name))}
          </a>
        ) : (
          <span class="muted">{missing}</span>
        ),
    });
  return (
    <Part title="Operations" note={<BreakdownLegend />}>
      <Table
        name="operations"
        label="Operations"
        rows={data.operations}
        columns={columns}
        rowKey={(o) => `${o.kind}/${o.name}`}
        href={(o) =>
          href("/traces", { filter: `${service} AND ${condition("name", "=", o.name)}`, sort: "slowest" })
        }
        initialSort={{ key: "share", desc: true }}
        dim={dim}
      />
    </Part>
  );
}

/** From this many calls of one statement in one request it looks like a loop. */
const loopCalls = 10;

const firstStatements = 20;

export function Statements({ data, dim }: PartProps) {
  if (!data.statements.length) return null;
  const service = condition("service", "=", data.service.name);
  const most = Math.max(...data.statements.map((s) => s.share), 0.001);
  const columns: Column<Statement>[] = [
    {
      key: "statement",
      title: "Statement",
      width: 260,
      grow: true,
      value: (s) => s.statement,
      render: (s) => (
        <code class="ellipsis statement" title={s.statement}>
          {s.statement}
        </code>
      ),
    },
    {
      key: "system",
      title: "System",
      width: 84,
      from: 1000,
      value: (s) => s.system,
      render: (s) => <span class="muted ellipsis">{s.system}</span>,
    },
    {
      key: "share",
      title: "Share of time",
      help: "Of the service's time",
      width: 150,
      value: (s) => s.share,
      descFirst: true,
      render: (s) => (
        <span class="share-cell">
          <Breakdown parts={{ own: 0, database: 1, network: 0, messaging: 0 }} scale={s.share / most} />
          <span class="num" title={`${duration(s.time_ns)} in all`}>
            {ratio(s.share)}
          </span>
        </span>
      ),
    },
    {
      key: "per_request",
      title: "Per request",
      help: "Calls of the statement in one request. Many calls are a loop that one query can replace.",
      width: 104,
      align: "right",
      value: (s) => s.calls_per_request,
      render: (s) => (
        <span class={(s.calls_per_request ?? 0) >= loopCalls ? "warn" : ""}>
          {s.calls_per_request === null
            ? "–"
            : `${tidy(s.calls_per_request < 1 ? s.calls_per_request.toFixed(2) : digits(s.calls_per_request))}×`}
        </span>
      ),
    },
    {
      key: "calls",
      title: "Calls",
      width: 80,
      align: "right",
      value: (s) => s.calls,
      render: (s) => <span title={full(s.calls)}>{count(s.calls)}</span>,
    },
    {
      key: "p95",
      title: "p95",
      width: 80,
      align: "right",
      value: (s) => s.p95,
      render: (s) => duration(s.p95),
    },
  ];
  return (
    <Part title="Statements" note="SQL without its values">
      <Table
        name="statements"
        label="Statements"
        rows={data.statements.slice(0, firstStatements)}
        columns={columns}
        rowKey={(s) => `${s.system}/${s.statement}`}
        href={(s) =>
          href("/traces", {
            filter: `${service} AND ${condition("statement", "=", s.statement)}`,
            sort: "slowest",
          })
        }
        initialSort={{ key: "share", desc: true }}
        dim={dim}
        keys={false}
      />
    </Part>
  );
}

export function Dependencies({ data, dim }: PartProps) {
  const service = data.service.name;
  const columns: Column<Dependency>[] = [
    {
      key: "name",
      title: "Name",
      width: 140,
      grow: true,
      value: (d) => d.name,
      render: (d) => (
        <span class="dependency">
          <span class="muted" aria-hidden="true">
            {d.direction === "out" ? "→" : "←"}
          </span>
          <span class="sr">{d.direction === "out" ? "calls" : "called by"}</span>
          {d.type === "service" ? (
            <ServiceName name={d.name} href={href(`/services/${segment(d.name)}`)} />
          ) : (
            <>
              <Name text={d.name} />
              <span class="muted small">{d.system || d.type}</span>
            </>
          )}
        </span>
      ),
    },
    {
      key: "rate",
      title: "Calls",
      width: 84,
      align: "right",
      value: (d) => d.rate,
      render: (d) => <span title={full(d.calls)}>{rate(d.rate)}</span>,
    },
    {
      key: "errors",
      title: "Errors",
      width: 64,
      align: "right",
      value: (d) => d.errors,
      render: (d) => <span class={d.errors >= 0.01 ? "bad" : ""}>{ratio(d.errors)}</span>,
    },
    {
      key: "p95",
      title: "p95",
      width: 76,
      align: "right",
      value: (d) => d.p95,
      render: (d) => duration(d.p95),
    },
  ];
  const filterOf = (d: Dependency): string => {
    if (d.direction === "in") return `${condition("service", "=", service)} AND kind=server`;
    if (d.type === "service") return `${condition("service", "=", d.name)} AND kind=server`;
    return `${condition("service", "=", service)} AND ${condition("peer", "=", d.name)}`;
  };
  return (
    <Part title="Dependencies" note="→ it calls, ← calls it">
      <Table
        name="dependencies"
        label="Dependencies"
        rows={data.dependencies}
        columns={columns}
        rowKey={(d) => `${d.direction}/${d.type}/${d.name}`}
        href={(d) => href("/traces", { filter: filterOf(d) })}
        dim={dim}
        keys={false}
        empty={<p class="table-empty muted">It calls nothing, and nothing that reports calls it.</p>}
      />
    </Part>
  );
}

export function ErrorTypes({ data, dim }: PartProps) {
  const service = condition("service", "=", data.service.name);
  const columns: Column<ErrorType>[] = [
    {
      key: "type",
      title: "Type",
      width: 140,
      grow: true,
      value: (e) => e.type,
      render: (e) => <Name text={e.type} />,
    },
    {
      key: "count",
      title: "Count",
      width: 72,
      align: "right",
      value: (e) => e.count,
      render: (e) => <span title={full(e.count)}>{count(e.count)}</span>,
    },
    {
      key: "last",
      title: "Last",
      width: 96,
      align: "right",
      value: (e) => e.last_ns,
      render: (e) => <span title={timestamp(e.last_ns)}>{ago(e.last_ns)}</span>,
    },
    {
      key: "trace",
      title: "Trace",
      width: 72,
      align: "right",
      render: (e) =>
        e.trace_id && (
          <a class="link mono" href={href(`/traces/${e.trace_id}`)} title={`Open trace ${e.trace_id}`}>
            {e.trace_id.slice(0, 7)}
          </a>
        ),
    },
  ];
  return (
    <Part title="Errors by type">
      <Table
        name="error-types"
        label="Errors by type"
        rows={data.errors_by_type}
        columns={columns}
        rowKey={(e) => e.type}
        href={(e) =>
          href("/traces", { filter: `${service} AND ${condition("exception.type", "=", e.type)}` })
        }
        dim={dim}
        keys={false}
        empty={<p class="table-empty muted">No errors in this time.</p>}
      />
    </Part>
  );
}

export function SlowestTraces({ data, dim }: PartProps) {
  if (!data.slowest_traces.length) return null;
  const most = Math.max(...data.slowest_traces.map((t) => t.duration_ns), 1);
  const columns: Column<TraceSummary>[] = [
    {
      key: "root",
      title: "Trace",
      width: 200,
      grow: true,
      value: (t) => t.root?.name ?? t.trace_id,
      render: (t) => (
        <span class="dependency">
          {t.root ? (
            <>
              <ServiceName name={t.root.service} max={24} />
              <Name text={t.root.name} />
            </>
          ) : (
            <span class="muted">root not received</span>
          )}
        </span>
      ),
    },
    {
      key: "duration",
      title: "Duration",
      width: 200,
      value: (t) => t.duration_ns,
      descFirst: true,
      render: (t) => (
        <span class="share-cell">
          <span class="breakdown" style={{ height: "8px" }}>
            <span style={{ width: `${(t.duration_ns / most) * 100}%`, background: "var(--series-0)" }} />
          </span>
          <span class="num">{duration(t.duration_ns)}</span>
        </span>
      ),
    },
    {
      key: "spans",
      title: "Spans",
      width: 64,
      align: "right",
      value: (t) => t.spans,
      render: (t) => count(t.spans),
    },
    {
      key: "errors",
      title: "Errors",
      width: 64,
      align: "right",
      value: (t) => t.errors,
      render: (t) => <span class={t.errors ? "bad" : "muted"}>{count(t.errors)}</span>,
    },
    {
      key: "start",
      title: "Start",
      width: 100,
      align: "right",
      value: (t) => t.start_ns,
      render: (t) => <span title={timestamp(t.start_ns)}>{ago(t.start_ns)}</span>,
    },
  ];
  return (
    <Part title="Slowest traces">
      <Table
        name="slowest-traces"
        label="Slowest traces"
        rows={data.slowest_traces}
        columns={columns}
        rowKey={(t) => t.trace_id}
        href={(t) => href(`/traces/${t.trace_id}`)}
        dim={dim}
        keys={false}
      />
    </Part>
  );
}

/** What the newest instance says of itself. */
export function ResourceFacts({ data }: { data: ServiceDetail }) {
  const list = Object.entries(data.service.attributes).sort(([a], [b]) => a.localeCompare(b));
  if (!list.length) return null;
  return (
    <section class="section">
      <details class="resource">
        <summary>
          <h2>Resource of the newest instance</h2>{" "}
          <span class="muted small">{plural(list.length, "attribute")}</span>
        </summary>
        <dl class="facts">
          {list.map(([key, value]) => (
            <>
              <dt key={key} class="mono">
                {key}
              </dt>
              <dd class="mono">{typeof value === "string" ? value : JSON.stringify(value)}</dd>
            </>
          ))}
        </dl>
      </details>
    </section>
  );
}
