/** One trace: what happened, where the time went, span by span. */
import { useMemo, useState } from "preact/hooks";
import { type Resource, useApi } from "../api";
import type { LogList, LogRecord, Trace } from "../api-types";
import type { ScreenProps } from "../app";
import { duration, full, kindName, plural, ratio } from "../format";
import { useKeys } from "../keys";
import { Empty } from "../parts/empty";
import { ErrorState } from "../parts/errorstate";
import { lazy } from "../parts/lazy";
import { LogList as LogLines } from "../parts/logline.list";
import { ServiceName } from "../parts/servicename";
import { Skeleton } from "../parts/skeleton";
import { shortSql } from "../parts/sql.text";
import { type Column, Table } from "../parts/table";
import { Tabs } from "../parts/tabs";
import { Waterfall } from "../parts/waterfall";
import {
  buildTree,
  CriticalPath,
  type ServiceTime,
  type SpanNode,
  type Tree,
  timeByService,
  type View,
} from "../parts/waterfall.model";
import { href, param, setParams } from "../router";
import { condition } from "../state";
import { spanHas } from "./trace/code";
import { TraceHead } from "./trace/head";
import { logHref, logRange, SpanPanel } from "./trace/span-panel";
import "./trace/trace.css";

const TraceProfile = lazy(() => import("./trace/profile").then((m) => m.TraceProfile));
const TraceFunction = lazy(() => import("./trace/profile").then((m) => m.TraceFunction));

export default function TraceScreen({ params }: ScreenProps) {
  const id = params.id ?? "";
  const valid = /^[0-9a-f]{32}$/i.test(id);
  const trace = useApi<Trace>(valid ? `/traces/${id.toLowerCase()}` : null, {}, { live: false });
  if (!valid) {
    return (
      <Empty
        title="This is not a trace id"
        actions={
          <a class="button" href={href("/traces")}>
            To the traces
          </a>
        }
      >
        A trace id has 32 hexadecimal digits; <code>{id.slice(0, 80)}</code> has not.
      </Empty>
    );
  }
  if (trace.data && !trace.stale)
    return <TraceView key={trace.data.trace_id} trace={trace.data} onReload={trace.reload} />;
  if (trace.error?.status === 404) return <NotFound id={id} resource={trace} />;
  if (trace.error) return <ErrorState error={trace.error} what="the trace" onRetry={trace.reload} />;
  return (
    <div class="split-main" aria-busy="true">
      <div class="trace-head">
        <Skeleton lines={3} rowHeight={28} shown={trace.slow} />
      </div>
      <div class="trace-head">
        <Skeleton lines={18} rowHeight={24} shown={trace.slow} />
      </div>
    </div>
  );
}

function NotFound({ id, resource }: { id: string; resource: Resource<Trace> }) {
  return (
    <Empty
      title="There is no such trace"
      command={`varan query traces 'trace_id=${id}'`}
      actions={
        <>
          <button type="button" class="button" onClick={resource.reload}>
            Look again
          </button>
          <a class="button" href={href("/traces")}>
            To the traces
          </a>
        </>
      }
    >
      No span of <code>{id}</code> is stored. It may still be on the way (a few seconds), have been sampled
      away, or be older than what this server keeps.
    </Empty>
  );
}

/** `from_to` in nanoseconds from the start. */
function parseZoom(text: string): View | null {
  const m = /^(-?\d+)_(-?\d+)$/.exec(text);
  return m && Number(m[2]) > Number(m[1]) ? { from: Number(m[1]), to: Number(m[2]) } : null;
}

function TraceView({ trace, onReload }: { trace: Trace; onReload: () => void }) {
  const tree = useMemo(() => buildTree(trace.spans), [trace]);
  const critical = useMemo(() => new CriticalPath(tree, trace.critical_path), [tree, trace]);
  const tab = param("tab", "waterfall");
  const selected = tree.byId.get(param("span")) ?? null;
  const finding = param("finding") === "" ? -1 : Number(param("finding"));
  const find = param("find");
  const zoomText = param("zoom");
  const zoom = useMemo(() => parseZoom(zoomText), [zoomText]);

  const marked = useMemo(() => {
    const wanted = find.trim().toLowerCase();
    if (wanted) {
      return new Set(tree.nodes.filter((n) => spanHas(n.span, wanted)).map((n) => n.index));
    }
    const ids = trace.findings[finding]?.span_ids;
    if (!ids) return null;
    return new Set(ids.flatMap((s) => tree.byId.get(s)?.index ?? []));
  }, [tree, trace, finding, find]);

  const select = (node: SpanNode | null) =>
    setParams({ span: node?.span.span_id ?? null }, { push: !selected });
  const close = () => setParams({ span: null });
  const services = useMemo(() => timeByService(trace.spans), [trace]);

  return (
    <div class="split">
      <div class="split-main trace">
        <TraceHead
          trace={trace}
          tree={tree}
          finding={finding}
          onFinding={(i) => setParams({ finding: i < 0 ? null : i, find: null, tab: null })}
          onReload={onReload}
          onService={(name) => setParams({ find: find === name ? null : name, finding: null, tab: null })}
        />
        <div class="trace-tabs">
          <Tabs
            label="Views of the trace"
            value={tab}
            onChange={(next) => setParams({ tab: next === "waterfall" ? null : next })}
            tabs={[
              { id: "waterfall", label: "Waterfall" },
              { id: "logs", label: "Logs", count: trace.logs },
              { id: "services", label: "By service", count: services.length },
              { id: "spans", label: "Spans" },
              { id: "profile", label: "Profile" },
            ]}
          />
          <span class="spacer" />
          {tab === "waterfall" && (
            <Find tree={tree} text={find} marked={marked} selected={selected} onSelect={select} />
          )}
        </div>
        {tab === "logs" ? (
          <TraceLogs trace={trace} selected={selected} />
        ) : tab === "services" ? (
          <div class="trace-table">
            <ByService rows={services} />
          </div>
        ) : tab === "spans" ? (
          <div class="trace-table">
            <SpanTable tree={tree} selected={selected} onSelect={select} />
          </div>
        ) : tab === "profile" ? (
          <TraceProfile trace={trace} selected={selected} />
        ) : (
          <Waterfall
            tree={tree}
            critical={critical}
            selected={selected}
            onSelect={select}
            marked={marked}
            zoom={zoom}
            onZoom={(v) => setParams({ zoom: v ? `${Math.round(v.from)}_${Math.round(v.to)}` : null })}
            repeat={param("repeat") !== "0"}
            onRepeat={(on) => setParams({ repeat: on ? null : "0" })}
          />
        )}
      </div>
      {tab === "profile" && param("panel") === "1" ? (
        <TraceFunction trace={trace} selected={selected} />
      ) : (
        selected && <SpanPanel key={selected.span.span_id} trace={trace} node={selected} onClose={close} />
      )}
    </div>
  );
}

interface FindProps {
  tree: Tree;
  text: string;
  marked: ReadonlySet<number> | null;
  selected: SpanNode | null;
  onSelect: (node: SpanNode) => void;
}

/** Looks for a text in all spans; Enter walks through those that have it. */
function Find({ tree, text, marked, selected, onSelect }: FindProps) {
  const [box, setBox] = useState<HTMLInputElement | null>(null);
  useKeys([
    {
      key: "/",
      help: "Find in the trace",
      run: () => {
        box?.focus();
        box?.select();
      },
    },
  ]);
  const step = (by: number) => {
    if (!marked?.size) return;
    const list = [...marked].sort((a, b) => a - b);
    const at = selected ? list.indexOf(selected.index) : -1;
    const next = list[(at + by + list.length) % list.length] ?? list[0]!;
    onSelect(tree.nodes[at < 0 && by < 0 ? list[list.length - 1]! : next]!);
  };
  return (
    <span class="trace-find">
      {text && marked && (
        <span class="muted small" role="status">
          {marked.size ? `${full(marked.size)} of ${plural(tree.nodes.length, "span")}` : "no span"}
        </span>
      )}
      <input
        ref={setBox}
        class="input"
        type="search"
        placeholder="Find in the trace"
        aria-label="Find in the trace"
        value={text}
        onInput={(e) => setParams({ find: e.currentTarget.value || null, finding: null })}
        onKeyDown={(e) => {
          if (e.key === "Enter") step(e.shiftKey ? -1 : 1);
          else if (e.key === "Escape") {
            setParams({ find: null });
            e.currentTarget.blur();
          } else return;
          e.preventDefault();
          e.stopPropagation();
        }}
      />
    </span>
  );
}

function TraceLogs({ trace, selected }: { trace: Trace; selected: SpanNode | null }) {
  const filter = condition("trace_id", "=", trace.trace_id);
  const logs = useApi<LogList>(
    "/logs",
    { ...logRange(trace), filter, order: "asc", limit: 1000 },
    { live: false },
  );
  if (!logs.data) {
    return logs.error ? (
      <ErrorState error={logs.error} what="the logs of the trace" onRetry={logs.reload} />
    ) : (
      <div class="loglist-loading">
        <Skeleton lines={12} rowHeight={22} shown={logs.slow} />
      </div>
    );
  }
  if (!logs.data.logs.length) {
    return (
      <Empty title="No log line carries this trace's id" command="varan run -- python app.py" small>
        Lines get it by themselves when the application runs under the agent, or from OpenTelemetry's logging
        handler.
      </Empty>
    );
  }
  const open = (r: LogRecord) => {
    if (r.span_id) setParams({ span: r.span_id }, { push: !selected });
  };
  const chosen = selected
    ? (logs.data.logs.find((r) => r.span_id === selected.span.span_id)?.id ?? null)
    : null;
  return (
    <LogLines
      label="Logs of the trace"
      records={logs.data.logs}
      selected={chosen}
      hrefOf={(r) => logHref(r, trace)}
      onOpen={open}
      foot={
        logs.data.next_cursor && (
          <p class="loglist-foot">
            The first {full(logs.data.logs.length)} lines.{" "}
            <a class="link" href={href("/logs", { ...logRange(trace), live: "0", filter })}>
              All of them in Logs
            </a>
          </p>
        )
      }
    />
  );
}

const serviceColumns: Column<ServiceTime>[] = [
  {
    key: "service",
    title: "Service",
    grow: true,
    width: 140,
    value: (r) => r.service,
    render: (r) => <ServiceName name={r.service} max={48} />,
  },
  {
    key: "self",
    title: "Own time",
    align: "right",
    width: 100,
    value: (r) => r.self_ns,
    render: (r) => duration(r.self_ns),
    help: "Time in which none of its children ran, summed over its spans",
  },
  {
    key: "share",
    title: "Share",
    align: "right",
    width: 160,
    value: (r) => r.share,
    render: (r) => (
      <span class="share">
        <i style={{ width: `${r.share * 100}%` }} />
        <span>{ratio(r.share)}</span>
      </span>
    ),
  },
  {
    key: "total",
    title: "In service",
    align: "right",
    width: 100,
    from: 720,
    value: (r) => r.total_ns,
    render: (r) => duration(r.total_ns),
    help: "Durations of the spans that enter the service, summed",
  },
  {
    key: "spans",
    title: "Spans",
    align: "right",
    width: 80,
    value: (r) => r.spans,
    render: (r) => full(r.spans),
  },
  {
    key: "errors",
    title: "Errors",
    align: "right",
    width: 80,
    value: (r) => r.errors,
    render: (r) => <span class={r.errors ? "bad" : "muted"}>{full(r.errors)}</span>,
  },
];

function ByService({ rows }: { rows: readonly ServiceTime[] }) {
  return (
    <Table
      label="Own time by service"
      name="trace-services"
      rows={rows}
      rowKey={(r) => r.service}
      columns={serviceColumns}
      fill
      onOpen={(r) => setParams({ find: r.service, tab: null })}
    />
  );
}

function SpanTable({
  tree,
  selected,
  onSelect,
}: {
  tree: Tree;
  selected: SpanNode | null;
  onSelect: (node: SpanNode) => void;
}) {
  const columns: Column<SpanNode>[] = [
    {
      key: "name",
      title: "Span",
      grow: true,
      width: 180,
      value: (n) => n.span.name,
      render: (n) =>
        n.span.db_statement ? (
          <code class="ellipsis" title={n.span.db_statement}>
            {shortSql(n.span.db_statement)}
          </code>
        ) : (
          <span class="ellipsis" title={n.span.name}>
            {n.span.name}
          </span>
        ),
    },
    {
      key: "service",
      title: "Service",
      width: 160,
      from: 720,
      value: (n) => n.span.service,
      render: (n) => <ServiceName name={n.span.service} />,
    },
    { key: "kind", title: "Kind", width: 80, from: 1100, value: (n) => kindName(n.span.kind) },
    {
      key: "start",
      title: "Starts at",
      align: "right",
      width: 90,
      descFirst: false,
      value: (n) => n.span.start_ns,
      render: (n) => duration(n.span.start_ns),
    },
    {
      key: "duration",
      title: "Duration",
      align: "right",
      width: 90,
      value: (n) => n.span.duration_ns,
      render: (n) => duration(n.span.duration_ns),
    },
    {
      key: "self",
      title: "Own time",
      align: "right",
      width: 90,
      from: 720,
      value: (n) => n.span.self_ns,
      render: (n) => duration(n.span.self_ns),
    },
    {
      key: "status",
      title: "Status",
      width: 70,
      value: (n) => (n.span.status === 2 ? "error" : n.span.status === 1 ? "ok" : ""),
      render: (n) => (n.span.status === 2 ? <span class="bad">error</span> : n.span.status === 1 ? "ok" : ""),
    },
  ];
  return (
    <Table
      label="Spans of the trace"
      name="trace-spans"
      rows={tree.nodes}
      rowKey={(n) => String(n.index)}
      columns={columns}
      initialSort={{ key: "self", desc: true }}
      selected={selected ? String(selected.index) : null}
      onOpen={onSelect}
      fill
    />
  );
}
