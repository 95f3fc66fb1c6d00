/**
 * Any number of log lines, one or several rows high; only lines in sight exist. Scrolls inside its parent.
 * Heights of wrapped lines are computed from the width of a character and corrected by what the browser laid out.
 */
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { LogRecord } from "../api-types";
import { useKeys } from "../keys";
import { Icon } from "./icon";
import { type LogColumn, LogLine, type LogLineProps } from "./logline";
import { bodyText, fieldText, wrappedLines } from "./logline.text";

export const LINE_HEIGHT = 20;
const LINE_PAD = 2;
const LINES_MAX = 200;
const OVERSCAN = 12;

export interface LogListProps {
  records: readonly LogRecord[];
  label: string;
  columns?: readonly string[];
  /** The head of a column was pressed: it is not wanted any more. */
  onColumn?: (key: string) => void;
  wrap?: boolean;
  words?: readonly string[];
  selected?: string | null;
  bare?: boolean;
  withDay?: boolean;
  hrefOf: (record: LogRecord) => string;
  onOpen: (record: LogRecord) => void;
  /** The end came into sight. */
  onEnd?: () => void;
  /** Told when the list leaves its top and when it is back. */
  onTop?: (atTop: boolean) => void;
  /** Raised to scroll back to the top. */
  toTop?: number;
  foot?: ComponentChildren;
  dim?: boolean;
}

/** Where each line begins, and where the last one ends. */
export function offsetsOf(heights: ArrayLike<number>): Float64Array {
  const out = new Float64Array(heights.length + 1);
  for (let i = 0; i < heights.length; i++) out[i + 1] = out[i]! + heights[i]!;
  return out;
}

/** The line that holds a point. */
export function lineAt(offsets: Float64Array, y: number): number {
  let low = 0;
  let high = offsets.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (offsets[middle]! <= y) low = middle;
    else high = middle - 1;
  }
  return Math.max(0, low);
}

let charWidth = 0;

function monoWidth(): number {
  if (!charWidth) {
    const ctx = document.createElement("canvas").getContext("2d");
    if (!ctx) return 7.2;
    ctx.font = `12px ${getComputedStyle(document.documentElement).getPropertyValue("--mono")}`;
    charWidth = ctx.measureText("m".repeat(100)).width / 100 || 7.2;
  }
  return charWidth;
}

const COLUMN_LEAST = 8;
const COLUMN_MOST = 28;
const SAMPLED = 300;

/** Columns as wide as what they hold, within reason. They do not shrink while lines come in. */
function useColumns(records: readonly LogRecord[], keys: readonly string[] = []): LogColumn[] {
  const widest = useRef(new Map<string, number>()).current;
  return useMemo(
    () =>
      keys.map((key) => {
        let width = Math.max(COLUMN_LEAST, Math.min(key.length + 3, 20), widest.get(key) ?? 0);
        for (const r of records.slice(0, SAMPLED)) width = Math.max(width, fieldText(r, key).length);
        width = Math.min(width, COLUMN_MOST);
        widest.set(key, width);
        return { key, width };
      }),
    [records, keys, widest],
  );
}

/** A line that is drawn anew only when something of it changed: scrolling leaves most of them as they are. */
function Slot(props: LogLineProps) {
  const { record, columns, wrap, words, bare, withDay, selected, cursor, href, onOpen } = props;
  return useMemo(
    () => (
      <LogLine
        record={record}
        columns={columns}
        wrap={wrap}
        words={words}
        bare={bare}
        withDay={withDay}
        selected={selected}
        cursor={cursor}
        href={href}
        onOpen={onOpen}
      />
    ),
    [record, columns, wrap, words, bare, withDay, selected, cursor, href, onOpen],
  );
}

export function LogList(props: LogListProps) {
  const { records, wrap } = props;
  const columns = useColumns(records, props.columns);
  const columnChars = columns.reduce((n, c) => n + c.width, 0);
  const scroller = useRef<HTMLDivElement>(null);
  const body = useRef<HTMLDivElement>(null);
  const [frame, setFrame] = useState({ top: 0, height: 600, width: 800 });
  const measured = useRef(new Map<string, number>()).current;
  const [corrected, setCorrected] = useState(0);
  const [cursor, setCursor] = useState<string | null>(null);

  const bodyWidth = useMemo(() => {
    const narrow = frame.width <= 720;
    const service = props.bare || frame.width <= 620 ? 0 : 18 * 7.3 + 12;
    const fixed = narrow
      ? 14 + 8 + 12 * 7.3 + 5 * 7.3 + 16
      : 26 + (17 + columnChars) * 7.3 + (2 + columns.length) * 12 + service;
    return Math.max(120, frame.width - fixed);
  }, [frame.width, columnChars, columns.length, props.bare]);

  useMemo(() => measured.clear(), [bodyWidth, wrap]);
  const offsets = useMemo(() => {
    if (!wrap) {
      const flat = new Float64Array(records.length + 1);
      for (let i = 0; i <= records.length; i++) flat[i] = i * (LINE_HEIGHT + LINE_PAD);
      return flat;
    }
    const perLine = Math.floor(bodyWidth / monoWidth());
    return offsetsOf(
      records.map(
        (r) =>
          measured.get(r.id) ??
          wrappedLines(bodyText(r).slice(0, 4000), perLine, LINES_MAX) * LINE_HEIGHT + LINE_PAD,
      ),
    );
  }, [records, wrap, bodyWidth, corrected]);
  const total = offsets[records.length] ?? 0;

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    let waiting = 0;
    const read = () => {
      waiting = 0;
      const top = element.scrollTop - (body.current?.offsetTop ?? 0);
      setFrame((f) =>
        f.top === top && f.height === element.clientHeight && f.width === element.clientWidth
          ? f
          : { top, height: element.clientHeight, width: element.clientWidth },
      );
    };
    const later = () => {
      if (!waiting) waiting = requestAnimationFrame(read);
    };
    read();
    element.addEventListener("scroll", later, { passive: true });
    const observer = new ResizeObserver(later);
    observer.observe(element);
    return () => {
      cancelAnimationFrame(waiting);
      element.removeEventListener("scroll", later);
      observer.disconnect();
    };
  }, []);

  const first = Math.max(0, lineAt(offsets, frame.top) - OVERSCAN);
  const last = Math.min(records.length, lineAt(offsets, frame.top + frame.height) + OVERSCAN + 1);
  const shown = records.slice(first, last);

  // What the browser laid out counts, not the estimate.
  useLayoutEffect(() => {
    if (!wrap || !body.current) return;
    let changed = false;
    for (const line of body.current.querySelectorAll<HTMLElement>(".log-slot")) {
      const id = line.dataset.id!;
      const height = line.offsetHeight;
      const index = Number(line.dataset.index);
      const assumed = (offsets[index + 1] ?? 0) - (offsets[index] ?? 0);
      if (height && Math.abs(height - assumed) > 0.5 && measured.get(id) !== height) {
        measured.set(id, height);
        changed = true;
      }
    }
    if (changed) setCorrected((n) => n + 1);
  });

  const latest = useRef(props);
  latest.current = props;
  const open = useCallback((r: LogRecord) => {
    setCursor(r.id);
    latest.current.onOpen(r);
  }, []);
  const atTop = frame.top <= 4;
  useEffect(() => latest.current.onTop?.(atTop), [atTop]);
  useEffect(() => {
    if (props.toTop) scroller.current?.scrollTo({ top: 0 });
  }, [props.toTop]);
  const atEnd = last >= records.length && records.length > 0;
  useEffect(() => {
    if (atEnd) latest.current.onEnd?.();
  }, [atEnd, records.length]);

  const move = (by: number) => {
    if (!records.length) return false;
    const from = records.findIndex((r) => r.id === (cursor ?? props.selected));
    const to = Math.max(
      0,
      Math.min(records.length - 1, from < 0 ? lineAt(offsets, Math.max(0, frame.top)) : from + by),
    );
    const record = records[to]!;
    setCursor(record.id);
    const element = scroller.current!;
    const above = body.current?.offsetTop ?? 0;
    const y = above + offsets[to]!;
    const end = above + offsets[to + 1]!;
    if (y - above < element.scrollTop) element.scrollTop = y - above;
    else if (end > element.scrollTop + element.clientHeight) element.scrollTop = end - element.clientHeight;
    // With the panel open, j and k walk through the lines.
    if (props.selected) props.onOpen(record);
    return true;
  };
  useKeys([
    { key: "j", help: "Next line", run: () => move(1) },
    { key: "k", help: "Line before", run: () => move(-1) },
    {
      key: "Enter",
      help: "Open the line",
      run: (event) => {
        const record = records.find((r) => r.id === cursor);
        if (!record || (event.target as HTMLElement).closest("a,button,input,[role=tab]")) return false;
        props.onOpen(record);
        return true;
      },
    },
  ]);

  return (
    <div
      class={`loglist ${props.dim ? "dim" : ""}`}
      ref={scroller}
      role="feed"
      aria-label={props.label}
      aria-busy={props.dim}
    >
      {columns.length > 0 && (
        <div class="loglist-head">
          <span class="log-time">time</span>
          <span class="log-level">level</span>
          {!props.bare && <span class="log-service">service</span>}
          {columns.map((c) => (
            <button
              type="button"
              class="log-field"
              key={c.key}
              style={{ "--w": `${c.width}ch` }}
              title={`${c.key}: remove the column`}
              onClick={() => props.onColumn?.(c.key)}
            >
              <span class="ellipsis">{c.key}</span>
              <Icon name="close" size={10} />
            </button>
          ))}
          <span class="log-body">message</span>
        </div>
      )}
      <div class="loglist-body" ref={body} style={{ height: `${total}px` }}>
        <div style={{ transform: `translateY(${offsets[first] ?? 0}px)` }}>
          {shown.map((record, i) => (
            <div
              class="log-slot"
              key={record.id}
              data-id={record.id}
              data-index={first + i}
              role="article"
              aria-posinset={first + i + 1}
              aria-setsize={records.length}
            >
              <Slot
                record={record}
                columns={columns}
                wrap={wrap}
                words={props.words}
                bare={props.bare}
                withDay={props.withDay}
                selected={record.id === props.selected}
                cursor={record.id === cursor}
                href={props.hrefOf(record)}
                onOpen={open}
              />
            </div>
          ))}
        </div>
      </div>
      {props.foot}
    </div>
  );
}
