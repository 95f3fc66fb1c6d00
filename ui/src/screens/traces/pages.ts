/**
 * A list that comes in pages and stays where it is. The first page is kept fresh by `useApi`; what the reader
 * loaded beyond it is appended. While the list is scrolled, new rows wait and are only counted.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type ApiError, api, apiUrl, type QueryParams, type Resource, useApi } from "../../api";

export interface Page<T> {
  rows: readonly T[];
  next_cursor: string | null;
}

/** More rows than this are not kept: nobody scrolls through them, a narrower question finds what is wanted. */
export const ROWS_MAX = 20_000;

export interface Pages<T> {
  rows: readonly T[];
  first: Resource<unknown>;
  /** There is more to load. */
  more: boolean;
  /** There is more than the page keeps. */
  full: boolean;
  loadingMore: boolean;
  moreError: ApiError | null;
  loadMore: () => void;
  /** Rows that wait until the reader asks for them. */
  waiting: number;
  /** Shows what waits. */
  release: () => void;
}

/** Newer rows first, each key once; what was loaded beyond the first page stays. */
export function mergeRows<T>(fresh: readonly T[], rest: readonly T[], keyOf: (row: T) => string): T[] {
  const seen = new Set<string>();
  const out: T[] = [];
  for (const row of [...fresh, ...rest]) {
    const key = keyOf(row);
    if (seen.has(key)) continue;
    seen.add(key);
    out.push(row);
  }
  return out;
}

export function usePages<A, T>(
  path: string,
  params: QueryParams,
  read: (answer: A) => Page<T>,
  keyOf: (row: T) => string,
  options: { hold: boolean; live?: boolean },
): Pages<T> {
  const first = useApi<A>(path, params, { live: options.live });
  const url = apiUrl(path, params);
  const [extra, setExtra] = useState<{ url: string; rows: T[]; cursor: string | null } | null>(null);
  const [loadingMore, setLoading] = useState(false);
  const [moreError, setError] = useState<ApiError | null>(null);
  const held = useRef<{ url: string; rows: readonly T[] } | null>(null);
  const running = useRef<AbortController | null>(null);

  useEffect(() => {
    setExtra(null);
    setError(null);
    return () => running.current?.abort();
  }, [url]);

  const page = first.data ? read(first.data) : null;
  const mine = extra?.url === url ? extra : null;
  const newest = useMemo(
    () => (first.data ? mergeRows(read(first.data).rows, mine?.rows ?? [], keyOf) : []),
    [first.data, mine],
  );

  // Held rows are those of the last answer that was shown, plus pages loaded since.
  let rows: readonly T[] = newest;
  let waiting = 0;
  if (options.hold && held.current?.url === url && !first.stale) {
    const shown = mergeRows(held.current.rows, mine?.rows ?? [], keyOf);
    const known = new Set(shown.map(keyOf));
    waiting = page ? page.rows.filter((r) => !known.has(keyOf(r))).length : 0;
    rows = shown;
  } else if (page && !first.stale) {
    held.current = { url, rows: newest };
  }

  const cursor = mine ? mine.cursor : (page?.next_cursor ?? null);
  const full = cursor !== null && rows.length >= ROWS_MAX;
  const more = cursor !== null && !full;
  const loadMore = () => {
    if (!more || loadingMore || first.stale) return;
    const controller = new AbortController();
    running.current = controller;
    setLoading(true);
    setError(null);
    api<A>(path, { ...params, cursor }, controller.signal)
      .then((answer) => {
        const next = read(answer);
        // The first page moves on while later ones are read: what it showed until now is kept with them.
        setExtra((now) => ({
          url,
          rows: mergeRows(now?.url === url ? now.rows : [...rows], next.rows, keyOf),
          cursor: next.next_cursor,
        }));
      })
      .catch((error: ApiError) => {
        if (error.name !== "AbortError") setError(error);
      })
      .finally(() => {
        if (running.current === controller) setLoading(false);
      });
  };
  const [, redraw] = useState(0);
  const release = () => {
    held.current = null;
    redraw((n) => n + 1);
  };
  return { rows, first, more, full, loadingMore, moreError, loadMore, waiting, release };
}
