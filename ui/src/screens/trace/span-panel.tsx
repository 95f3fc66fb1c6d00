/** Everything about one span, beside the waterfall. */
import { useApi } from "../../api";
import type { LogList, LogRecord, Trace } from "../../api-types";
import { addNs, clock, duration, kindName, plural, ratio, timestamp } from "../../format";
import { CopyButton } from "../../parts/copybutton";
import { ErrorState } from "../../parts/errorstate";
import { addTerm } from "../../parts/facets.filter";
import { attributesOf, KeyValues } from "../../parts/keyvalues";
import { LogLine } from "../../parts/logline";
import { ServiceName } from "../../parts/servicename";
import { LinkButton, PanelSection, SidePanel } from "../../parts/sidepanel";
import { Skeleton } from "../../parts/skeleton";
import { Sql } from "../../parts/sql";
import { Stack } from "../../parts/stack";
import { shortPath } from "../../parts/stack.parse";
import type { SpanNode } from "../../parts/waterfall.model";
import { href, hrefHere, segment } from "../../router";
import { condition } from "../../state";
import type { TraceCosts } from "../profiles/data";
import { codePlace, exceptionsOf, statementOf } from "./code";
import { costOf } from "./costs";

const HEADER = "http.request.header.";

/** The headers of a request that failed, by their own names. A header's values come as a list. */
function headersOf(attributes: Trace["spans"][number]["attributes"]): typeof attributes {
  return attributes
    .filter((a) => a.key.startsWith(HEADER))
    .map((a) => ({ ...a, key: a.key.slice(HEADER.length), value: headerText(a.value) }));
}

function headerText<T>(value: T): T | string {
  try {
    const list: unknown = typeof value === "string" && value.startsWith("[") ? JSON.parse(value) : value;
    return Array.isArray(list) ? list.join(", ") : value;
  } catch {
    return value;
  }
}

export interface SpanPanelProps {
  trace: Trace;
  node: SpanNode;
  onClose: () => void;
}

/** Logs may be written a little before and after the trace they belong to. */
export function logRange(trace: Trace): { from: string; to: string } {
  return { from: addNs(trace.start_ns, -60e9), to: addNs(trace.start_ns, trace.duration_ns + 600e9) };
}

export const logHref = (r: LogRecord, trace: Trace): string =>
  href("/logs", {
    ...logRange(trace),
    live: "0",
    filter: condition("trace_id", "=", trace.trace_id),
    log: `${r.id}_${r.time_ns}`,
  });

export function SpanPanel({ trace, node, onClose }: SpanPanelProps) {
  const { span } = node;
  const statement = statementOf(span);
  const code = codePlace(span.attributes);
  const exceptions = exceptionsOf(span.events);
  const events = span.events.filter((e) => e.name !== "exception");
  const headers = headersOf(span.attributes);
  const attributes = span.attributes.filter((a) => !a.key.startsWith(HEADER));
  const filterHref = (key: string, value: string | number | boolean, exclude: boolean) =>
    href("/traces", {
      filter: addTerm(condition("service", "=", span.service), condition(key, exclude ? "!=" : "=", value)),
    });

  return (
    <SidePanel
      name="span"
      label={`Span ${span.name}`}
      title={span.name}
      onClose={onClose}
      tools={<LinkButton href={() => hrefHere({ span: span.span_id })} label="Copy a link to this span" />}
    >
      <div class="span-summary">
        <p class="span-who">
          <ServiceName name={span.service} href={href(`/services/${segment(span.service)}`)} max={40} />
          <span class="muted">{kindName(span.kind)}</span>
          {span.status === 2 && <span class="span-error">error</span>}
          {span.status === 1 && <span class="good">ok</span>}
        </p>
        <dl class="span-figures">
          <Figure name="duration" value={duration(span.duration_ns)} title={`${span.duration_ns} ns`} />
          <Figure name="own time" value={duration(span.self_ns)} title={`${span.self_ns} ns`} />
          <Figure
            name="of the trace"
            value={ratio(trace.duration_ns ? Math.min(1, span.duration_ns / trace.duration_ns) : 0)}
          />
          <Figure
            name="starts at"
            value={duration(span.start_ns)}
            title={timestamp(addNs(trace.start_ns, span.start_ns), 9)}
          />
        </dl>
        {span.status === 2 && span.status_message && !exceptions.length && (
          <p class="span-message bad">{span.status_message}</p>
        )}
        {node.orphan && (
          <p class="span-note warn">
            Its parent {span.parent_span_id?.slice(0, 8)} is not in this trace: not sent, or late.
          </p>
        )}
      </div>
      <SpanCosts trace={trace} node={node} />
      {statement && (
        <PanelSection title="Statement" tools={<span class="muted small">{span.db_system}</span>}>
          <Sql text={statement} system={span.db_system} />
        </PanelSection>
      )}
      {code && (
        <PanelSection title={statement ? "Issued at" : "Code"}>
          <p class="code-place">
            <code title={code.file}>
              {code.file && shortPath(code.file)}
              {code.line && <b>:{code.line}</b>}
            </code>
            {code.file && (
              <CopyButton
                text={code.line ? `${code.file}:${code.line}` : code.file}
                label="Copy path and line"
              />
            )}
            {code.name && (
              <span class="muted ellipsis" title={code.name}>
                in {code.name}
              </span>
            )}
          </p>
        </PanelSection>
      )}
      {exceptions.map((e, i) => (
        <PanelSection
          key={i}
          title="Exception"
          tools={<span class="muted small">at {duration(e.time_ns)}</span>}
        >
          <Stack text={e.stack} type={e.type} message={e.message} detail={e.detail} />
        </PanelSection>
      ))}
      <SpanLogs trace={trace} node={node} />
      <PanelSection title="Attributes" count={attributes.length}>
        <KeyValues items={attributes} label="Attributes" filterHref={filterHref} />
      </PanelSection>
      {headers.length > 0 && (
        <PanelSection title="Request headers" count={headers.length} folded>
          <KeyValues items={headers} label="Request headers" />
        </PanelSection>
      )}
      {events.length > 0 && (
        <PanelSection title="Events" count={events.length}>
          <ol class="span-events">
            {events.map((e, i) => (
              <li key={i}>
                <p>
                  <span class="mono muted">{duration(e.time_ns)}</span> {e.name}
                </p>
                {e.attributes.length > 0 && (
                  <KeyValues items={e.attributes} label={`Attributes of ${e.name}`} />
                )}
              </li>
            ))}
          </ol>
        </PanelSection>
      )}
      {span.links.length > 0 && (
        <PanelSection title="Links" count={span.links.length}>
          <ol class="span-events">
            {span.links.map((l, i) => (
              <li key={i}>
                <a class="link mono" href={href(`/traces/${l.trace_id}`, { span: l.span_id })}>
                  {l.trace_id.slice(0, 16)}… / {l.span_id}
                </a>
                {l.trace_id === trace.trace_id && <span class="muted"> in this trace</span>}
                {l.attributes.length > 0 && <KeyValues items={l.attributes} label="Attributes of the link" />}
              </li>
            ))}
          </ol>
        </PanelSection>
      )}
      <PanelSection title="Resource" folded>
        <KeyValues items={attributesOf(trace.resources[span.resource])} label="Resource attributes" />
      </PanelSection>
      <PanelSection title="Identity" folded>
        <KeyValues
          label="Identity"
          items={[
            { key: "trace_id", type: "string", value: trace.trace_id },
            { key: "span_id", type: "string", value: span.span_id },
            { key: "parent_span_id", type: "string", value: span.parent_span_id ?? "" },
            { key: "scope", type: "string", value: span.scope },
            { key: "start", type: "string", value: timestamp(addNs(trace.start_ns, span.start_ns), 9) },
          ]}
        />
      </PanelSection>
    </SidePanel>
  );
}

const costWords: [type: string, name: string][] = [
  ["cpu", "CPU"],
  ["wall", "wall"],
  ["gil_wait", "GIL wait"],
];

/** What the span and those below it did, by the samples that fell into them. */
function SpanCosts({ trace, node }: { trace: Trace; node: SpanNode }) {
  const costs = useApi<TraceCosts>("/profiles/trace", { trace_id: trace.trace_id }, { live: false });
  if (!costs.data?.types.length) return null;
  const { whole } = costOf(node, costs.data);
  const shown = costWords.filter(([type]) => whole[type]);
  if (!shown.length) return null;
  return (
    <PanelSection
      title="Samples"
      tools={
        <a class="link small" href={hrefHere({ tab: "profile", scope: null, view: null, panel: null })}>
          What did this span do?
        </a>
      }
    >
      <dl class="span-figures">
        {shown.map(([type, name]) => (
          <Figure
            key={type}
            name={name}
            value={`≈ ${duration(whole[type])}`}
            title="With the spans below it. Each sample stands for the time since the one before: of a short span it may be more than the span took"
          />
        ))}
      </dl>
    </PanelSection>
  );
}

function Figure({ name, value, title }: { name: string; value: string; title?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd title={title}>{value}</dd>
    </div>
  );
}

const LOGS_SHOWN = 50;

function SpanLogs({ trace, node }: { trace: Trace; node: SpanNode }) {
  const { span } = node;
  const filter = `${condition("trace_id", "=", trace.trace_id)} AND ${condition("span_id", "=", span.span_id)}`;
  const logs = useApi<LogList>(
    span.logs ? "/logs" : null,
    { ...logRange(trace), filter, order: "asc", limit: LOGS_SHOWN },
    { live: false },
  );
  if (!span.logs) return null;
  const lines = logs.stale ? undefined : logs.data?.logs;
  return (
    <PanelSection
      title="Logs"
      count={span.logs}
      tools={
        span.logs > LOGS_SHOWN && (
          <a class="link small" href={href("/logs", { ...logRange(trace), live: "0", filter })}>
            {plural(span.logs, "line")} in Logs
          </a>
        )
      }
    >
      {logs.error && !lines ? (
        <ErrorState small error={logs.error} what="the logs of the span" onRetry={logs.reload} />
      ) : (
        <div class="span-logs" style={{ minHeight: `${Math.min(span.logs, 8) * 22}px` }}>
          {lines ? (
            lines.map((r) => <LogLine key={r.id} record={r} wrap bare href={logHref(r, trace)} />)
          ) : (
            <Skeleton lines={Math.min(span.logs, 8)} rowHeight={22} shown={logs.slow} />
          )}
        </div>
      )}
      {lines?.length === 0 && (
        <p class="muted small">None within ten minutes of {clock(trace.start_ns, 0)}.</p>
      )}
    </PanelSection>
  );
}
