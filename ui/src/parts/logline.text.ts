/** A log record as text: its body, its fields, its height when it wraps, its lines in a download. */
import type { LogRecord } from "../api-types";
import { timestamp } from "../format";
import { valueText } from "./keyvalues";

export type Level = "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "";

/** Columns that are no attributes. */
export const FIELDS = ["service", "severity", "scope", "event_name", "trace_id", "span_id"] as const;

/** The body in one text; structured bodies as JSON. */
export function bodyText(record: LogRecord): string {
  const { body } = record;
  if (typeof body === "string") return body || record.event_name;
  return body === null || body === undefined ? record.event_name : JSON.stringify(body);
}

/** First line, without the colours a terminal would show. */
export const oneLine = (text: string): string => clean(text).replace(/\s*\r?\n\s*/g, " ⏎ ");

// biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colours begin with the escape character
const ANSI = /\u001b\[[0-9;?]*[A-Za-z]/g;
export const clean = (text: string): string => (text.includes("\u001b") ? text.replace(ANSI, "") : text);

/** A field's value as text, "" when the record has none. */
export function fieldText(record: LogRecord, key: string): string {
  if ((FIELDS as readonly string[]).includes(key)) {
    return valueText((record as unknown as Record<string, unknown>)[key]);
  }
  const found = record.attributes.find((a) => a.key === key);
  return found ? valueText(found.value) : "";
}

/** Lines a text takes in `columns` characters of a monospaced font. */
export function wrappedLines(text: string, columns: number, most: number): number {
  let lines = 0;
  let start = 0;
  while (start <= text.length && lines < most) {
    const end = text.indexOf("\n", start);
    const length = (end < 0 ? text.length : end) - start;
    lines += Math.max(1, Math.ceil(length / Math.max(1, columns)));
    if (end < 0) break;
    start = end + 1;
  }
  return Math.min(lines, most);
}

export interface Piece {
  text: string;
  kind: "text" | "hit" | "var";
}

/** Words in quotes of a filter: what the full text search looked for. */
export function searchedWords(filter: string): string[] {
  const out: string[] = [];
  const pattern = /(^|[\s(])"((?:[^"\\]|\\.)+)"/g;
  for (let m = pattern.exec(filter); m; m = pattern.exec(filter)) out.push(m[2]!.replace(/\\(.)/g, "$1"));
  return out;
}

const VARIABLE =
  /\b(?:[0-9a-f]{8}-[0-9a-f-]{27}|0x[0-9a-f]+|\d+(?:[.:]\d+)*)(?:ms|us|µs|ns|s|%|kB|MB|B)?\b/gi;
const PIECES_MAX = 60;

/** A body cut into plain text, figures that vary from line to line, and what was searched for. */
export function pieces(text: string, words: readonly string[]): Piece[] {
  const out: Piece[] = [];
  const plain = (part: string): void => {
    let at = 0;
    for (const m of part.matchAll(VARIABLE)) {
      if (out.length > PIECES_MAX) break;
      if (m.index > at) out.push({ text: part.slice(at, m.index), kind: "text" });
      out.push({ text: m[0], kind: "var" });
      at = m.index + m[0].length;
    }
    if (at < part.length) out.push({ text: part.slice(at), kind: "text" });
  };
  const wanted = words.filter(Boolean).map((w) => w.toLowerCase());
  if (!wanted.length) {
    plain(text);
    return out;
  }
  const lower = text.toLowerCase();
  let at = 0;
  while (at < text.length && out.length < PIECES_MAX) {
    let next = -1;
    let length = 0;
    for (const word of wanted) {
      const i = lower.indexOf(word, at);
      if (i >= 0 && (next < 0 || i < next)) {
        next = i;
        length = word.length;
      }
    }
    if (next < 0) break;
    if (next > at) plain(text.slice(at, next));
    out.push({ text: text.slice(next, next + length), kind: "hit" });
    at = next + length;
  }
  if (at < text.length) plain(text.slice(at));
  return out;
}

/** Records for a download: one line of text each. */
export function asText(records: readonly LogRecord[]): string {
  return records
    .map((r) => {
      const level = (r.severity_text || r.severity || "-").toUpperCase().padEnd(5);
      const trace = r.trace_id ? ` trace_id=${r.trace_id}` : "";
      return `${timestamp(r.time_ns, 6)} ${level} ${r.service} ${clean(bodyText(r))}${trace}`;
    })
    .join("\n");
}
