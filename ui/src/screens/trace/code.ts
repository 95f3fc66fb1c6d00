/** What the attributes of a span say about the code that made it, under old and new semantic names. */
import type { Attribute, Span, SpanEvent } from "../../api-types";
import { valueText } from "../../parts/keyvalues";
import { DETAIL_KEY } from "../../parts/stack.detail";

export function attribute(items: readonly Attribute[], ...names: string[]): string {
  for (const name of names) {
    const found = items.find((a) => a.key === name);
    if (found) return valueText(found.value);
  }
  return "";
}

export interface CodePlace {
  file: string;
  line: string;
  name: string;
}

/** The line that issued the span, null when it is not known. */
export function codePlace(items: readonly Attribute[]): CodePlace | null {
  const file = attribute(items, "code.file.path", "code.filepath");
  const line = attribute(items, "code.line.number", "code.lineno");
  const space = attribute(items, "code.namespace");
  const name = attribute(items, "code.function.name", "code.function");
  if (!file && !name) return null;
  return { file, line, name: space && !name.includes(".") ? `${space}.${name}` : name };
}

/** The statement as it was sent: the attribute keeps it whole, the column only normalised. */
export const statementOf = (span: Span): string =>
  attribute(span.attributes, "db.query.text", "db.statement") || span.db_statement;

export interface RaisedException {
  type: string;
  message: string;
  stack: string;
  detail: string;
  time_ns: number;
}

/** The exceptions recorded on a span, the last one first. */
export function exceptionsOf(events: readonly SpanEvent[]): RaisedException[] {
  return events
    .filter((e) => e.name === "exception")
    .map((e) => ({
      type: attribute(e.attributes, "exception.type"),
      message: attribute(e.attributes, "exception.message"),
      stack: attribute(e.attributes, "exception.stacktrace"),
      detail: attribute(e.attributes, DETAIL_KEY),
      time_ns: e.time_ns,
    }))
    .reverse();
}

/** Whether a span has a text anywhere a reader would look for it. `wanted` is in lower case. */
export function spanHas(span: Span, wanted: string): boolean {
  const has = (text: string) => text.toLowerCase().includes(wanted);
  return (
    has(span.name) ||
    has(span.service) ||
    has(span.db_statement) ||
    has(span.status_message) ||
    span.span_id === wanted ||
    span.attributes.some((a) => has(a.key) || has(valueText(a.value))) ||
    span.events.some((e) => has(e.name) || e.attributes.some((a) => has(valueText(a.value))))
  );
}
