/** The answers of /api/v1/profiles/…, and what the screens hold of them. */
import { useMemo, useRef } from "preact/hooks";
import { type QueryParams, type Resource, useApi } from "../../api";
import type { Steps } from "../../api-types";
import { type FlameAnswer, type FlameTree, flameTree } from "../../parts/flame.model";
import { appOnly, byFunction } from "../../parts/flame.trees";

export interface TypeSum {
  type: string;
  unit: string;
  sum: number;
}

export interface ProfileSummary {
  services: { service: string; types: TypeSum[] }[];
  versions: { value: string; sum: number }[];
  endpoints: { value: string; sum: number }[];
  threads: { value: string; sum: number }[];
  /** Of one service alone, most costly first. */
  processes: ProcessSum[];
}

export interface ProcessSum {
  /** What `process` of a selection takes. */
  value: string;
  sum: number;
  version: string;
  first_ns: string;
  last_ns: string;
  instance: string;
  pid: string;
  host: string;
}

export interface ProfileSeries extends Steps {
  series: { value: string; type: string; unit: string; sum: number; points: number[] }[];
  /** Versions of the service that appeared in the range. */
  releases: { version: string; time_ns: string }[];
}

export interface SourceLines {
  total: number;
  file: string;
  lines: { function: string; file: string; line: number; own: number; sum: number }[];
  /** The text of functions, as their processes had it; newest first. */
  sources: SourceText[];
}

export interface SourceText {
  function: string;
  first_line: number;
  text: string;
  version: string;
  seen_ns: string;
}

export interface TraceCosts {
  types: TypeSum[];
  spans: { span_id: string; service: string; values: Record<string, number> }[];
}

/** Calls a picture holds at most; the server leaves out the smallest. */
const NODES = 30_000;

export interface TreeOptions {
  /** A frame per line, not per function. */
  lines: boolean;
  /** Without the frames of libraries. */
  own: boolean;
  /** Keep showing what is there: somebody looks at it closely. */
  held?: boolean;
  live?: boolean;
}

export interface Picture {
  answer: FlameAnswer | undefined;
  tree: FlameTree | null;
  /** Without folding: what figures of a function are taken from. */
  whole: FlameTree | null;
  resource: Resource<FlameAnswer>;
}

/** The tree of a selection. `params` null asks nothing. */
export function usePicture(params: QueryParams | null, options: TreeOptions): Picture {
  const resource = useApi<FlameAnswer>(
    params && "/profiles/flame",
    params ? { ...params, lines: 1, nodes: NODES } : {},
    { live: options.live },
  );
  const kept = useRef<{ key: string; answer: FlameAnswer | undefined }>({ key: "", answer: undefined });
  const key = JSON.stringify(params);
  if (!options.held || kept.current.key !== key || !kept.current.answer || resource.stale)
    kept.current = { key, answer: resource.data };
  const { answer } = kept.current;
  const whole = useMemo(() => {
    if (!answer) return null;
    // Nothing on the other side is no comparison.
    const lines = flameTree(
      answer.base_total === 0 ? { ...answer, base_own: undefined, base_sum: undefined } : answer,
    );
    return options.lines ? lines : byFunction(lines);
  }, [answer, options.lines]);
  const tree = useMemo(() => (whole && options.own ? appOnly(whole) : whole), [whole, options.own]);
  return { answer, tree, whole, resource };
}
