/** What a trace, or a span of it, did: its samples by CPU, wall time and waiting for the GIL. */
import { useMemo } from "preact/hooks";
import { type QueryParams, useApi } from "../../api";
import type { Trace } from "../../api-types";
import { Empty } from "../../parts/empty";
import { ErrorState } from "../../parts/errorstate";
import { Skeleton } from "../../parts/skeleton";
import type { SpanNode } from "../../parts/waterfall.model";
import { hrefHere, param, setParams } from "../../router";
import { hotSentence } from "../profiles/answer";
import { type TraceCosts, type TypeSum, usePicture } from "../profiles/data";
import { FunctionPanel } from "../profiles/panel";
import { sortTypes, typeWords } from "../profiles/selection";
import { Types } from "../profiles/types";
import { naming, ProfileView, ViewBar, viewName } from "../profiles/view";
import { costOf } from "./costs";
import "../../parts/sidepanel.css";
import "../profiles/profiles.css";

export interface TraceProfileProps {
  trace: Trace;
  selected: SpanNode | null;
}

type Scope = "trace" | "span" | "alone";

const scopeOf = (selected: SpanNode | null): Scope => {
  const wanted = param("scope");
  if (!selected) return "trace";
  return wanted === "trace" || wanted === "alone" ? wanted : "span";
};

function selection(trace: Trace, selected: SpanNode | null): QueryParams {
  const scope = scopeOf(selected);
  if (scope === "trace" || !selected) return { trace_id: trace.trace_id };
  return {
    trace_id: trace.trace_id,
    span_id: selected.span.span_id,
    subtree: scope === "span" ? 1 : null,
  };
}

function typesOf(costs: TraceCosts, selected: SpanNode | null): TypeSum[] {
  const scope = scopeOf(selected);
  if (scope === "trace" || !selected) return sortTypes(costs.types);
  const cost = costOf(selected, costs);
  const sums = scope === "alone" ? cost.own : cost.whole;
  return sortTypes(costs.types.map((t) => ({ ...t, sum: sums[t.type] ?? 0 }))).filter((t) => t.sum > 0);
}

export function TraceProfile({ trace, selected }: TraceProfileProps) {
  const costs = useApi<TraceCosts>("/profiles/trace", { trace_id: trace.trace_id }, { live: false });
  const types = useMemo(
    () => (costs.data ? typesOf(costs.data, selected) : []),
    [costs.data, selected, param("scope")],
  );
  const view = viewName("types");
  const type = types.find((t) => t.type === param("type")) ?? types[0];
  const words = typeWords(type?.type ?? "cpu", type?.unit ?? "nanoseconds");
  const own = param("own") === "1";
  const lines = param("lines") === "1";
  const params = selection(trace, selected);
  const picture = usePicture(type ? { ...params, type: type.type } : null, { lines, own, live: false });
  const { tree } = picture;
  const hot = useMemo(() => (tree ? hotSentence(tree) : ""), [tree]);

  if (!costs.data)
    return costs.error ? (
      <ErrorState error={costs.error} what="the samples of the trace" onRetry={costs.reload} />
    ) : (
      <div class="profile-loading">
        <Skeleton height={320} shown={costs.slow} />
      </div>
    );
  if (!costs.data.types.length) return <NoSamples />;
  return (
    <div class="profiles trace-profile">
      <div class="trace-profile-head">
        {selected && <Scopes selected={selected} />}
        <p class="trace-profile-answer">
          {type && tree?.total
            ? `${words.value(tree.total)} of ${words.title}${hot && `, ${hot}`}`
            : type
              ? "\u00a0"
              : "No sample fell into this span: it was too short, or waited in another process."}
        </p>
      </div>
      {type && (
        <>
          <ViewBar
            tree={view === "types" ? null : tree}
            types={types.length > 1}
            view={view}
            first="types"
            unit={words.value}
          />
          {view === "types" ? (
            <Types
              params={params}
              types={types}
              hrefOf={(t) => hrefHere({ type: t, view: "flame", call: null })}
              onFunction={(t, fn, of, both) =>
                setParams(
                  { ...naming(t, fn), type: of, ...(both ? { view: "sandwich" } : { panel: 1 }) },
                  { push: true },
                )
              }
              own={own}
              lines={lines}
              live={false}
            />
          ) : tree ? (
            <>
              <TypeChoice types={types} chosen={type.type} />
              <ProfileView
                picture={picture}
                tree={tree}
                view={view}
                unit={words.value}
                title={words.title}
                onHold={() => {}}
              />
            </>
          ) : picture.resource.error ? (
            <ErrorState error={picture.resource.error} what="the profile" onRetry={picture.resource.reload} />
          ) : (
            <div class="profile-loading">
              <Skeleton height={320} shown={picture.resource.slow} />
            </div>
          )}
        </>
      )}
    </div>
  );
}

function Scopes({ selected }: { selected: SpanNode }) {
  const scope = scopeOf(selected);
  const words: Record<Scope, string> = {
    trace: "Whole trace",
    span: "Span and below",
    alone: "Span alone",
  };
  return (
    <div class="segmented" role="radiogroup" aria-label="What the samples are of">
      {(Object.keys(words) as Scope[]).map((s) => (
        <button
          type="button"
          key={s}
          role="radio"
          aria-checked={s === scope}
          onClick={() => setParams({ scope: s === "span" ? null : s, call: null })}
        >
          {words[s]}
        </button>
      ))}
    </div>
  );
}

function TypeChoice({ types, chosen }: { types: readonly TypeSum[]; chosen: string }) {
  if (types.length < 2) return null;
  return (
    <div class="trace-profile-head">
      <div class="segmented" role="radiogroup" aria-label="Type of profile">
        {types.map((t) => {
          const words = typeWords(t.type, t.unit);
          return (
            <button
              type="button"
              key={t.type}
              role="radio"
              aria-checked={t.type === chosen}
              title={words.help}
              onClick={() => setParams({ type: t.type, call: null })}
            >
              {words.title} {words.value(t.sum)}
            </button>
          );
        })}
      </div>
    </div>
  );
}

function NoSamples() {
  return (
    <Empty title="No sample fell into this trace" command="varan run -- python app.py" small>
      The agent looks at every thread up to a hundred times a second, so a trace of a few milliseconds may
      hold no sample; the profile of its endpoint does. Samples carry the span they fell into when the
      application runs under the agent with <code>VARAN_PROFILER</code> not <code>off</code>.
    </Empty>
  );
}

/** The function chosen in the trace's profile, beside it. */
export function TraceFunction({ trace, selected }: TraceProfileProps) {
  const type = param("type", "cpu");
  const words = typeWords(type, "nanoseconds");
  const params = { ...selection(trace, selected), type };
  const { tree } = usePicture(params, { lines: param("lines") === "1", own: false, live: false });
  return tree && <FunctionPanel tree={tree} params={params} unit={words.value} live={false} />;
}
