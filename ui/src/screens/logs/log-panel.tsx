/** One log record beside the list: all of it, where it came from, and what was written around it. */
import { useState } from "preact/hooks";
import { useApi } from "../../api";
import type { LogContext, LogRecord } from "../../api-types";
import { ago, timestamp, zoneLabel } from "../../format";
import { CopyButton } from "../../parts/copybutton";
import { ErrorState } from "../../parts/errorstate";
import { addTerm } from "../../parts/facets.filter";
import { Icon } from "../../parts/icon";
import { KeyValues } from "../../parts/keyvalues";
import { LogLine } from "../../parts/logline";
import { bodyText, clean } from "../../parts/logline.text";
import { ServiceName } from "../../parts/servicename";
import { LinkButton, PanelSection, SidePanel } from "../../parts/sidepanel";
import { Skeleton } from "../../parts/skeleton";
import { Stack } from "../../parts/stack";
import { DETAIL_KEY } from "../../parts/stack.detail";
import { parseTraceback } from "../../parts/stack.parse";
import { href, hrefHere, segment } from "../../router";
import { condition, filter } from "../../state";
import { attribute } from "../trace/code";

/** Attributes that the stack shows. */
const SHOWN_AS_STACK: readonly string[] = ["exception.stacktrace", DETAIL_KEY];

export interface LogPanelProps {
  /** `id_time` of the address. */
  place: string;
  /** The record when the list has it already. */
  known: LogRecord | undefined;
  columns: readonly string[];
  onColumn: (key: string) => void;
  onClose: () => void;
}

export const placeOf = (r: LogRecord): string => `${r.id}_${r.time_ns}`;

export function LogPanel({ place, known, columns, onColumn, onClose }: LogPanelProps) {
  const [id = "", time_ns = ""] = place.split("_");
  const asked = useApi<LogRecord>(known ? null : `/logs/${segment(id)}`, { time_ns }, { live: false });
  const record = known ?? (asked.stale ? undefined : asked.data);
  const title = record ? (
    <span class={`level-${record.severity || "none"}`}>
      <span class="log-level">{record.severity_text || record.severity || "log"}</span>{" "}
      <span class="muted">{timestamp(record.time_ns, 3)}</span>
    </span>
  ) : (
    "Log record"
  );
  return (
    <SidePanel
      name="log"
      label="Log record"
      title={title}
      onClose={onClose}
      tools={
        record && (
          <>
            <CopyButton text={() => JSON.stringify(record, null, 2)} label="Copy as JSON" />
            <LinkButton
              href={() => hrefHere({ log: placeOf(record), live: "0" })}
              label="Copy a link to this line"
            />
          </>
        )
      }
    >
      {record ? (
        <Body record={record} columns={columns} onColumn={onColumn} />
      ) : asked.error ? (
        <ErrorState small error={asked.error} what="the log record" onRetry={asked.reload} />
      ) : (
        <div class="panel-section">
          <Skeleton lines={8} rowHeight={24} shown={asked.slow} />
        </div>
      )}
    </SidePanel>
  );
}

const LEVEL_KEY = "severity";

function Body({
  record,
  columns,
  onColumn,
}: {
  record: LogRecord;
  columns: readonly string[];
  onColumn: (key: string) => void;
}) {
  const text = clean(bodyText(record));
  const structured = typeof record.body === "object" && record.body !== null;
  const stack = attribute(record.attributes, "exception.stacktrace");
  const traceback = parseTraceback(text) !== null;
  const ownStack = !stack && traceback;
  // The stack is shown as one; the message is what stands before it.
  const message = traceback ? text.slice(0, text.indexOf("Traceback (most recent call last)")).trim() : text;
  const filterHref = (key: string, value: string | number | boolean, exclude: boolean) =>
    hrefHere({ filter: addTerm(filter.value, condition(key, exclude ? "!=" : "=", value)), log: null });
  const fields = [
    { key: "service", type: "string" as const, value: record.service },
    { key: LEVEL_KEY, type: "string" as const, value: record.severity },
    { key: "scope", type: "string" as const, value: record.scope },
    ...(record.event_name ? [{ key: "event.name", type: "string" as const, value: record.event_name }] : []),
  ].filter((f) => f.value);
  return (
    <>
      <div class="panel-section">
        <p class="log-who">
          <ServiceName name={record.service} href={href(`/services/${segment(record.service)}`)} max={40} />
          <span class="muted" title={`${timestamp(record.time_ns, 9)} ${zoneLabel()}`}>
            {ago(record.time_ns)}
          </span>
        </p>
        {(message || structured) && (
          <pre class="log-text">{structured ? JSON.stringify(record.body, null, 2) : message}</pre>
        )}
        {record.trace_id && (
          <p class="log-links">
            <a class="button" href={href(`/traces/${record.trace_id}`, { span: record.span_id })}>
              <Icon name="traces" size={14} /> {record.span_id ? "Open its span" : "Open its trace"}
            </a>
            <a
              class="button plain"
              href={hrefHere({ filter: condition("trace_id", "=", record.trace_id), log: null })}
            >
              All lines of this trace
            </a>
          </p>
        )}
      </div>
      {(stack || ownStack) && (
        <PanelSection title="Exception">
          <Stack
            text={stack || text}
            type={attribute(record.attributes, "exception.type")}
            message={attribute(record.attributes, "exception.message")}
            detail={attribute(record.attributes, DETAIL_KEY)}
          />
        </PanelSection>
      )}
      <PanelSection
        title="Fields"
        count={fields.length + record.attributes.filter((a) => !SHOWN_AS_STACK.includes(a.key)).length}
        tools={<span class="muted small">a key becomes a column</span>}
      >
        <KeyValues
          items={[...fields, ...record.attributes.filter((a) => !SHOWN_AS_STACK.includes(a.key))]}
          label="Fields"
          filterHref={filterHref}
          onKey={onColumn}
          columns={columns}
        />
      </PanelSection>
      <Context record={record} />
    </>
  );
}

const STEP = 20;
const MOST = 200;

function Context({ record }: { record: LogRecord }) {
  const [around, setAround] = useState({ before: 8, after: 8 });
  const context = useApi<LogContext>("/logs/context", { id: record.id, ...around }, { live: false });
  const data = context.data;
  // While more is read, what is known stays; of another line it does not.
  const mine = data?.logs[data.index]?.id === record.id ? data : undefined;
  const more = (side: "before" | "after") => (
    <button
      type="button"
      class="context-more"
      onClick={() => setAround({ ...around, [side]: Math.min(MOST, around[side] + STEP) })}
      disabled={
        around[side] >= MOST ||
        !mine ||
        (side === "before" ? mine.index < around.before : mine.logs.length - 1 - mine.index < around.after)
      }
    >
      <Icon name={side === "before" ? "up" : "down"} size={10} /> {STEP} more {side}
    </button>
  );
  return (
    <PanelSection title="Around it, in the same process">
      {context.error && !mine ? (
        <ErrorState small error={context.error} what="the lines around it" onRetry={context.reload} />
      ) : (
        <div class="log-context">
          {more("before")}
          {mine ? (
            mine.logs.map((r) => (
              <LogLine
                key={r.id}
                record={r}
                bare
                current={r.id === record.id}
                href={hrefHere({ log: placeOf(r) })}
              />
            ))
          ) : (
            <Skeleton lines={17} rowHeight={22} shown={context.slow} />
          )}
          {more("after")}
        </div>
      )}
    </PanelSection>
  );
}
