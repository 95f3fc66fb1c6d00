/**
 * One line of a log: its level as a thin bar and a word, time, service, chosen fields, body. Used by the log
 * screen, a span's logs and a line's context.
 *
 * <LogLine record={r} columns={[]} wrap={false} onOpen={…} />
 */
import type { LogRecord } from "../api-types";
import { clock, day, middle, timestamp } from "../format";
import { bodyText, clean, fieldText, oneLine, pieces } from "./logline.text";
import { serviceColor } from "./servicename";
import "./logline.css";

/** A field shown on every line. */
export interface LogColumn {
  key: string;
  /** In characters. */
  width: number;
}

export interface LogLineProps {
  record: LogRecord;
  /** Fields between time and body. */
  columns?: readonly LogColumn[];
  /** All lines of the body instead of one. */
  wrap?: boolean;
  /** Searched words, marked. */
  words?: readonly string[];
  selected?: boolean;
  cursor?: boolean;
  /** The line the others stand around. */
  current?: boolean;
  /** Without the name of the service, where all lines are of one. */
  bare?: boolean;
  href?: string;
  onOpen?: (record: LogRecord) => void;
  /** Print the day as well. */
  withDay?: boolean;
}

const BODY_MAX = 4000;

export function LogLine(props: LogLineProps) {
  const { record, columns = [], wrap, words = [] } = props;
  const text = bodyText(record);
  const body = wrap ? clean(text).slice(0, BODY_MAX) : oneLine(text.slice(0, 1000));
  const level = record.severity || "none";
  const content = (
    <>
      <span class="log-time" title={timestamp(record.time_ns, 9)}>
        {props.withDay && <span class="muted">{day(record.time_ns).slice(5)} </span>}
        {clock(record.time_ns, 3)}
      </span>
      <span class="log-level">
        {record.severity || record.severity_text.slice(0, 5).toLowerCase() || "–"}
      </span>
      {!props.bare && (
        <span class="log-service" title={record.service}>
          <i style={{ background: serviceColor(record.service) }} aria-hidden="true" />
          {middle(record.service, 18)}
        </span>
      )}
      {columns.map(({ key, width }) => {
        const value = fieldText(record, key);
        return (
          <span class="log-field" key={key} title={`${key}: ${value}`} style={{ "--w": `${width}ch` }}>
            {value || <span class="muted">–</span>}
          </span>
        );
      })}
      <span class="log-body">
        {pieces(body, words).map((p, i) =>
          p.kind === "text" ? (
            p.text
          ) : p.kind === "hit" ? (
            <mark key={i}>{p.text}</mark>
          ) : (
            <span class="log-var" key={i}>
              {p.text}
            </span>
          ),
        )}
        {wrap && text.length > BODY_MAX && (
          <span class="muted"> … {text.length - BODY_MAX} more characters</span>
        )}
      </span>
    </>
  );
  const name = `log level-${level} ${wrap ? "wrap" : ""} ${props.selected ? "selected" : ""} ${props.cursor ? "cursor" : ""} ${props.current ? "current" : ""}`;
  return props.href ? (
    <a
      class={name}
      href={props.href}
      onClick={(event) => {
        if (!props.onOpen || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
        event.preventDefault();
        if (!window.getSelection()?.toString()) props.onOpen(record);
      }}
      draggable={false}
    >
      {content}
    </a>
  ) : (
    <div class={name}>{content}</div>
  );
}
