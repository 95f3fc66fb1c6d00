/**
 * Asking the server. `api()` is one request; `useApi()` keeps what a component shows: it answers from memory at
 * once, asks again when its parameters change or when live data is due, keeps the former answer meanwhile
 * (`stale`), and aborts what nobody waits for any more. The shapes of the answers are in api-types.ts.
 */
import { effect, signal } from "@preact/signals";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { live, tick } from "./state";

export type QueryParams = Record<string, string | number | boolean | null | undefined>;

/** What went wrong, as the server said it. `column` counts from 1 in the filter. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status: number,
    readonly url: string,
    readonly column?: number,
    readonly length?: number,
    readonly hint?: string,
  ) {
    super(message);
    this.name = "ApiError";
  }
  /** The filter is at fault, not the server. */
  get isFilter(): boolean {
    return this.code === "filter_syntax" || this.code === "filter_key";
  }
}

const base = "/api/v1";

/** A parameter that is sent empty, where that means something else than leaving it out. */
export const blank = "\0";

/** The last request found no server. The shell says so; screens keep what they have. */
export const unreachable = signal(false);

/**
 * The address of a resource; parameters that are null, undefined or "" are left out (`blank` is sent empty). Paths below `/prometheus/`
 * are Prometheus' own API and taken as they are.
 */
export function apiUrl(path: string, params: QueryParams = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "")
      search.set(name, value === blank ? "" : String(value));
  }
  const text = search.toString();
  return (path.startsWith("/prometheus/") ? path : base + path) + (text ? `?${text}` : "");
}

/** Turns the server's error object into an ApiError. Exported for parts that get errors inside an answer. */
export function toApiError(error: unknown, status: number, url: string): ApiError {
  const e = (error ?? {}) as Record<string, unknown>;
  const number = (v: unknown) => (typeof v === "number" ? v : undefined);
  return new ApiError(
    typeof e.code === "string" ? e.code : "internal",
    typeof e.message === "string" ? e.message : `The server answered with status ${status}.`,
    status,
    url,
    number(e.column),
    number(e.length),
    typeof e.hint === "string" ? e.hint : undefined,
  );
}

async function request<T>(url: string, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, { signal, headers: { accept: "application/json" } });
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    unreachable.value = true;
    throw new ApiError("network", "The server does not answer.", 0, url);
  }
  unreachable.value = false;
  let body: unknown;
  try {
    body = await response.json();
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    throw new ApiError(
      "internal",
      `The answer is not JSON (status ${response.status}).`,
      response.status,
      url,
    );
  }
  if (!response.ok) {
    const said = body as { error?: unknown; errorType?: unknown } | null;
    // Prometheus' shape: the message is the error, its kind stands beside it.
    const error =
      typeof said?.error === "string" ? { code: said.errorType, message: said.error } : said?.error;
    throw toApiError(error, response.status, url);
  }
  return body as T;
}

/** One GET request. Throws ApiError, or the fetch's AbortError. */
export function api<T>(path: string, params: QueryParams = {}, signal?: AbortSignal): Promise<T> {
  return request<T>(apiUrl(path, params), signal);
}

export interface Resource<T> {
  /** The newest answer; while `stale`, that of the former parameters. */
  data: T | undefined;
  error: ApiError | undefined;
  /** A request is under way. */
  loading: boolean;
  /** `data` answers former parameters: dim it. */
  stale: boolean;
  /** Nothing to show yet and more than 300 ms have passed: show a skeleton now, not before. */
  slow: boolean;
  /** Asks again now. */
  reload: () => void;
}

export interface UseApiOptions {
  /** Ask again when live data is due. Default true. */
  live?: boolean;
}

const memory = new Map<string, unknown>();
const memoryEntries = 60;

function remember(url: string, data: unknown): void {
  memory.delete(url);
  memory.set(url, data);
  if (memory.size > memoryEntries) memory.delete(memory.keys().next().value as string);
}

interface Slot<T> {
  url: string | null;
  dataUrl: string | null;
  data: T | undefined;
  error: ApiError | undefined;
  loading: boolean;
  slow: boolean;
}

/**
 * The answer to `path` with `params`, kept fresh. `path` null asks nothing (yet).
 * `const traces = useApi<TraceList>("/traces", { ...range.value, filter: filter.value });`
 */
export function useApi<T>(
  path: string | null,
  params: QueryParams = {},
  options: UseApiOptions = {},
): Resource<T> {
  const url = path === null ? null : apiUrl(path, params);
  const [, redraw] = useState(0);
  const slot = useRef<Slot<T>>({
    url: null,
    dataUrl: null,
    data: undefined,
    error: undefined,
    loading: false,
    slow: false,
  }).current;
  const wantsLive = options.live !== false;

  if (slot.url !== url) {
    slot.url = url;
    slot.error = undefined;
    slot.slow = false;
    slot.loading = url !== null;
    if (url !== null && memory.has(url)) {
      slot.data = memory.get(url) as T;
      slot.dataUrl = url;
    }
  }

  const ask = useRef<() => void>(() => {});
  useEffect(() => {
    if (url === null) return;
    let alive = true;
    let running: AbortController | undefined;
    let retry: ReturnType<typeof setTimeout> | undefined;
    const draw = () => redraw((n) => n + 1);
    const run = async () => {
      if (running) return;
      const controller = new AbortController();
      running = controller;
      clearTimeout(retry);
      slot.loading = true;
      try {
        const data = await request<T>(url, controller.signal);
        if (!alive) return;
        remember(url, data);
        slot.data = data;
        slot.dataUrl = url;
        slot.error = undefined;
      } catch (error) {
        if (!alive || (error as Error).name === "AbortError") return;
        slot.error = error instanceof ApiError ? error : new ApiError("internal", String(error), 0, url);
        // A server that restarts or is busy comes back; nobody should have to press a button for it.
        if (slot.error.status === 0 || slot.error.status >= 500 || slot.error.code === "overloaded") {
          retry = setTimeout(run, 3000);
        }
      } finally {
        running = undefined;
        if (alive) {
          slot.loading = false;
          slot.slow = false;
          draw();
        }
      }
    };
    const slowTimer = setTimeout(() => {
      if (slot.loading && slot.dataUrl !== url) {
        slot.slow = true;
        draw();
      }
    }, 300);
    ask.current = run;
    void run();
    let seen = tick.peek();
    const stop = effect(() => {
      const now = tick.value;
      if (now === seen) return;
      seen = now;
      if (wantsLive && live.peek()) void run();
    });
    return () => {
      alive = false;
      running?.abort();
      clearTimeout(retry);
      clearTimeout(slowTimer);
      stop();
    };
  }, [url, wantsLive, slot]);

  const reload = useCallback(() => ask.current(), []);
  return {
    data: url === null ? undefined : slot.data,
    error: slot.error,
    loading: slot.loading,
    stale: slot.data !== undefined && slot.dataUrl !== url,
    slow: slot.slow && slot.data === undefined,
    reload,
  };
}
