/** What a view of profiles is of: parameters of the page's address, and those of the API they become. */
import type { QueryParams } from "../../api";
import { blank } from "../../api";
import { bytes, count, digits, duration, missing, rate, tidy } from "../../format";
import { param } from "../../router";
import { from, relative, relativeFrom, resolvedRange, to } from "../../state";
import type { ProcessSum } from "./data";

/** In the address: what has no value, such as work outside of requests. The API takes an empty parameter. */
export const NONE = "(none)";

/** Narrowing parameters, in the order in which they stand on the screen. */
export const narrowing = ["version", "endpoint", "thread"] as const;
export type Narrowing = (typeof narrowing)[number];

export const narrowingWords: Record<Narrowing, { title: string; all: string; none: string }> = {
  version: { title: "Version", all: "All", none: "No version" },
  endpoint: { title: "Endpoint", all: "All", none: "Outside of requests" },
  thread: { title: "Thread", all: "All", none: "No name" },
};

/** A value of the address as the API takes it. */
export const sent = (value: string): string => (value === NONE ? blank : value);

/** Version, endpoint, thread and process of the address. */
export function narrowed(): QueryParams {
  return {
    version: sent(param("version")),
    endpoint: sent(param("endpoint")),
    thread: sent(param("thread")),
    process: param("process"),
  };
}

/** Takes back whatever narrows a selection. */
export const everything = { version: null, endpoint: null, thread: null, process: null } as const;

/** `4711`, with the host where there are several; what runs now and what has ended are told apart by the caller. */
export function processName(p: ProcessSum, hosts: boolean): string {
  const name = p.pid || p.instance || "No name";
  return hosts && p.host ? `${name} on ${p.host}` : name;
}

// ---- types

export interface TypeWords {
  title: string;
  help: string;
  /** A sum. */
  value: (v: number | null) => string;
  /** A sum per second. */
  rate: (v: number | null) => string;
  /** The same for the marks of an axis, without the unit where the head of the chart says it. */
  axis: (v: number) => string;
}

const known: Record<string, [title: string, help: string, perSecond: string]> = {
  cpu: ["CPU", "Time on a processor", "cores"],
  wall: ["Wall", "Time that passed, also while waiting", "threads"],
  gil_wait: ["GIL wait", "Time spent waiting for the interpreter’s lock", "threads"],
  alloc_space: ["Allocated", "Memory allocated, freed since or not", ""],
  inuse_space: ["In use", "Memory allocated and not freed yet", ""],
  alloc_objects: ["Allocations", "Number of allocations", ""],
  inuse_objects: ["Objects", "Objects not freed yet", ""],
  exceptions: ["Exceptions", "Exceptions raised", ""],
  lock: ["Lock wait", "Time spent waiting for locks", "threads"],
};
const order = Object.keys(known);

/** Types as people look at them: CPU first, unknown ones last by name. */
export function sortTypes<T extends { type: string }>(types: readonly T[]): T[] {
  const place = (t: T) => (order.indexOf(t.type) + order.length) % order.length || 0;
  const rank = (t: T) => (order.includes(t.type) ? place(t) : order.length);
  return [...types].sort((a, b) => rank(a) - rank(b) || a.type.localeCompare(b.type));
}

const thin = "\u202f";

export function typeWords(type: string, unit: string): TypeWords {
  const [title, help, per] = known[type] ?? [type.replaceAll("_", " "), `Profile of type ${type}`, ""];
  if (unit === "nanoseconds") {
    const rateOf = (v: number | null) =>
      v === null ? missing : per ? `${digits(v / 1e9)}${thin}${per}` : `${duration(v)}/s`;
    return { title, help, value: duration, rate: rateOf, axis: per ? (v) => digits(v / 1e9) : rateOf };
  }
  if (unit === "bytes") {
    const rateOf = (v: number | null) => `${bytes(v)}/s`;
    return { title, help, value: bytes, rate: rateOf, axis: bytes };
  }
  return { title, help, value: count, rate, axis: rate };
}

// ---- what it is compared with

export interface Base {
  /** In a sentence: `the 15 min before`. */
  words: string;
  params: QueryParams;
}

const relatives: Record<string, [seconds: number, words: string]> = {
  day: [86400, "the same time yesterday"],
  week: [7 * 86400, "the same time a week before"],
};

/** `2 h`, `15 min`. */
export const lengthText = (seconds: number): string => tidy(duration(Math.round(seconds) * 1e9));

/** The API's parameters for a comparison of the address: previous, day, week, FROM_TO in ms, or version:NAME. */
export function baseOf(text: string, clockText: (ms: number) => string): Base | null {
  if (!text) return null;
  if (text.startsWith("version:"))
    return {
      words: `version ${text.slice(8) || NONE}`,
      params: { base_version: sent(text.slice(8) || NONE) },
    };
  const chosen = /^(\d+)_(\d+)$/.exec(text);
  if (chosen)
    return {
      words: `${clockText(Number(chosen[1]))} – ${clockText(Number(chosen[2]))}`,
      params: { base_from: chosen[1], base_to: chosen[2] },
    };
  const now = resolvedRange();
  const length = now.to - now.from;
  const back = relatives[text] ?? (text === "previous" ? [length, `the ${lengthText(length)} before`] : null);
  if (!back) return null;
  const [seconds, words] = back as [number, string];
  // A moving range is compared with a moving one: its address stays the same.
  const moving = relative.value && /^now-\d+[smhdw]$/.test(from.value) && to.value === "now";
  return {
    words,
    params: moving
      ? {
          base_from: relativeFrom(Math.round(seconds + length)),
          base_to: relativeFrom(Math.round(seconds)),
        }
      : {
          base_from: String(Math.floor((now.from - seconds) * 1000)),
          base_to: String(Math.floor((now.to - seconds) * 1000)),
        },
  };
}
