/**
 * New log lines as they are written, over server-sent events. While the reader looks further down they wait and
 * are counted; the newest lines are kept when more arrive than anyone can read.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { apiUrl } from "../../api";
import type { LogRecord } from "../../api-types";

/** Lines held at most, shown and waiting each. */
export const TAIL_MAX = 5000;
/** Lines are drawn this often, not one by one. */
const BATCH_MS = 150;
const RETRY_MS = 5000;

export interface Tail {
  /** Newest first. */
  lines: readonly LogRecord[];
  waiting: readonly LogRecord[];
  /** More waited than are kept. */
  overflow: boolean;
  /** Lines the server left out because the page was too slow. */
  dropped: number;
  state: "off" | "connecting" | "open" | "lost";
}

export const emptyTail: Tail = { lines: [], waiting: [], overflow: false, dropped: 0, state: "off" };

/** Latest first; those of one moment as they came. Processes send in their own time, so lines come out of order. */
const byTime = (a: LogRecord, b: LogRecord): number =>
  a.time_ns === b.time_ns ? 0 : a.time_ns < b.time_ns ? 1 : -1;

/** Takes lines in the order they came; puts them where their time belongs, or lets them wait. */
export function take(tail: Tail, arrived: readonly LogRecord[], hold: boolean): Tail {
  const newest = [...arrived].reverse();
  if (hold) {
    const waiting = [...newest, ...tail.waiting];
    return {
      ...tail,
      waiting: waiting.slice(0, TAIL_MAX),
      overflow: tail.overflow || waiting.length > TAIL_MAX,
    };
  }
  return {
    ...tail,
    lines: [...newest, ...tail.waiting, ...tail.lines].sort(byTime).slice(0, TAIL_MAX),
    waiting: [],
    overflow: false,
  };
}

export const release = (tail: Tail): Tail => take(tail, [], false);

export function useTail(on: boolean, filter: string, hold: boolean, onOpen: () => void): [Tail, () => void] {
  const [tail, setTail] = useState<Tail>(emptyTail);
  const latest = useRef({ hold, onOpen });
  latest.current = { hold, onOpen };

  useEffect(() => {
    setTail(emptyTail);
    if (!on) return;
    setTail({ ...emptyTail, state: "connecting" });
    let arrived: LogRecord[] = [];
    let timer = 0;
    let again = 0;
    let source: EventSource;
    const flush = () => {
      timer = 0;
      const batch = arrived;
      arrived = [];
      setTail((t) => take(t, batch, latest.current.hold));
    };
    const onOpened = () => {
      setTail((t) => ({ ...t, state: "open" }));
      // Lines written between the list and the stream are in neither: the list is read once more.
      latest.current.onOpen();
    };
    const onLog = (event: Event) => {
      try {
        arrived.push(JSON.parse((event as MessageEvent<string>).data) as LogRecord);
      } catch {
        return;
      }
      if (arrived.length > TAIL_MAX) arrived = arrived.slice(-TAIL_MAX);
      if (!timer) timer = window.setTimeout(flush, BATCH_MS);
    };
    const onDropped = (event: Event) => {
      let n = 0;
      try {
        n = Number((JSON.parse((event as MessageEvent<string>).data) as { count: number }).count) || 0;
      } catch {
        return;
      }
      setTail((t) => ({ ...t, dropped: t.dropped + n }));
    };
    const connect = () => {
      source = new EventSource(apiUrl("/logs/tail", { filter }));
      source.addEventListener("open", onOpened);
      source.addEventListener("log", onLog);
      source.addEventListener("dropped", onDropped);
      source.addEventListener("error", () => {
        setTail((t) => ({ ...t, state: "lost" }));
        // The browser tries again by itself unless the server refused.
        if (source.readyState === EventSource.CLOSED) again = window.setTimeout(connect, RETRY_MS);
      });
    };
    connect();
    return () => {
      clearTimeout(timer);
      clearTimeout(again);
      source.close();
    };
  }, [on, filter]);

  return [tail, () => setTail(release)];
}
