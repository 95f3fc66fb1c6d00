/** Profiles: what programs spend their time on, by function and line, over time, compared, from both sides. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { type QueryParams, useApi } from "../api";
import { clock, rangePhrase } from "../format";
import { ErrorState } from "../parts/errorstate";
import type { FlameAnswer, FlameTree } from "../parts/flame.model";
import { Skeleton } from "../parts/skeleton";
import { hrefHere, param, setParams } from "../router";
import { range, zoomTo } from "../state";
import { hotSentence, movedSentence } from "./profiles/answer";
import { TypeCards } from "./profiles/cards";
import { ALL, Selection } from "./profiles/choices";
import { type ProfileSeries, type ProfileSummary, type TypeSum, usePicture } from "./profiles/data";
import { NoProfiles, NothingChosen } from "./profiles/nothing";
import { FunctionPanel } from "./profiles/panel";
import { type Base, baseOf, narrowed, sortTypes, typeWords } from "./profiles/selection";
import { Types } from "./profiles/types";
import { naming, ProfileView, ViewBar, viewName } from "./profiles/view";
import "../parts/sidepanel.css";
import "./profiles/profiles.css";

export default function Profiles() {
  const wanted = param("service");
  const type = param("type", "cpu");
  const narrow = narrowed();
  const summary = useApi<ProfileSummary>("/profiles/summary", {
    ...range.value,
    service: wanted === ALL ? null : wanted,
    type,
  });
  const first = useMemo(() => mostCpu(summary.data), [summary.data]);
  const service = wanted || first;
  // Named in the address: the choices are then of this service alone, and it stays when another takes the lead.
  useEffect(() => {
    if (!wanted && first) setParams({ service: first });
  }, [wanted, first]);
  const known = summary.data?.services.find((s) => s.service === service);
  const base = baseOf(param("base"), (ms) => clock(ms * 1e6, 0));
  const selection: QueryParams = { ...range.value, service: service === ALL ? null : service, ...narrow };

  if (!summary.data)
    return summary.error ? (
      <ErrorState error={summary.error} what="the profiles" onRetry={summary.reload} />
    ) : (
      <section class="section">
        <Skeleton lines={3} shown={summary.slow} />
        <Skeleton height={420} shown={summary.slow} />
      </section>
    );
  if (!summary.data.services.length && !summary.stale) return <NoProfiles />;
  return (
    <Shown
      key={service}
      summary={summary.data}
      service={service}
      types={sortTypes(known?.types ?? allTypes(summary.data, service))}
      type={type}
      selection={selection}
      base={base}
    />
  );
}

const allTypes = (s: ProfileSummary, service: string): TypeSum[] => {
  const sums = new Map<string, TypeSum>();
  for (const t of s.services.filter((x) => service === ALL || x.service === service).flatMap((x) => x.types))
    sums.set(t.type, { ...t, sum: t.sum + (sums.get(t.type)?.sum ?? 0) });
  return [...sums.values()];
};

/** The service that used most CPU; without CPU profiles the most costly one. */
export function mostCpu(s: ProfileSummary | undefined): string {
  const cpu = (x: ProfileSummary["services"][number]) => x.types.find((t) => t.type === "cpu")?.sum ?? 0;
  return s?.services.reduce((a, b) => (cpu(b) > cpu(a) ? b : a), s.services[0]!)?.service ?? "";
}

interface ShownProps {
  summary: ProfileSummary;
  service: string;
  types: TypeSum[];
  type: string;
  selection: QueryParams;
  base: Base | null;
}

function Shown({ summary, service, types, type, selection, base }: ShownProps) {
  const [held, setHeld] = useState(false);
  const [picking, setPicking] = useState(false);
  const now = types.find((t) => t.type === type) ?? types[0] ?? { type, unit: "nanoseconds", sum: 0 };
  const words = typeWords(now.type, now.unit);
  const view = viewName();
  const asked = { ...selection, type: now.type };
  const lines = param("lines") === "1";
  const own = param("own") === "1";
  const picture = usePicture({ ...asked, ...base?.params }, { lines, own, held });
  const { answer, tree } = picture;
  const series = useApi<ProfileSeries>("/profiles/series", selection);
  const panel = param("panel") === "1" && param("fn") !== "";
  const said = useMemo(
    () => (tree && answer ? sentence(answer, tree, service, now, base) : "\u00a0"),
    [tree, answer, service, now.type, now.unit, base?.words, range.value],
  );
  const onZoom = (from: number, to: number) => {
    if (!picking) return zoomTo(from, to);
    setPicking(false);
    setParams({ base: `${Math.floor(from * 1000)}_${Math.ceil(to * 1000)}` }, { push: true });
  };
  return (
    <div class="split profiles">
      <div class="split-main">
        <section class="section profiles-head">
          <h1 class={`answer ${picture.resource.stale ? "dim" : ""}`}>{said}</h1>
          <Selection
            summary={summary}
            service={service}
            base={base}
            onPick={() => setPicking(true)}
            asked={asked}
          />
          {picking && (
            <p class="picking" role="status">
              Drag over a chart to choose the time to compare with.
              <button type="button" class="button" onClick={() => setPicking(false)}>
                Cancel
              </button>
            </p>
          )}
          <TypeCards
            series={series.data}
            stale={series.stale}
            types={types}
            chosen={now.type}
            onZoom={onZoom}
            picking={picking}
          />
        </section>
        <section class="profile-view">
          <ViewBar
            tree={view === "types" ? null : tree}
            types={types.length > 1}
            view={view}
            unit={words.value}
          />
          {base && tree && answer && !answer.base_total && (
            <p class="profile-note warn">
              There is nothing to compare with: no {words.title} samples in {base.words}.
            </p>
          )}
          {view === "types" ? (
            <Types
              params={{ ...selection, ...base?.params }}
              types={types}
              hrefOf={(t) => hrefHere({ type: t, view: null, call: null })}
              onFunction={(tree, fn, t, both) =>
                setParams(
                  { ...naming(tree, fn), type: t, ...(both ? { view: "sandwich" } : { panel: 1 }) },
                  { push: true },
                )
              }
              own={own}
              lines={lines}
            />
          ) : !tree ? (
            picture.resource.error ? (
              <ErrorState
                error={picture.resource.error}
                what="the profile"
                onRetry={picture.resource.reload}
              />
            ) : (
              <div class="profile-loading">
                <Skeleton height={420} shown={picture.resource.slow} />
              </div>
            )
          ) : tree.length <= 1 ? (
            <div class="profile-loading">
              <NothingChosen what={words.title} />
            </div>
          ) : (
            <ProfileView
              picture={picture}
              tree={tree}
              view={view}
              unit={words.value}
              title={words.title}
              onHold={setHeld}
            />
          )}
        </section>
      </div>
      {panel && picture.whole && <FunctionPanel tree={picture.whole} params={asked} unit={words.value} />}
    </div>
  );
}

/** "orders: 9.92 s CPU in the last 15 min, 45 % of it in execute (sqlalchemy/engine.py), mostly for search." */
function sentence(
  answer: FlameAnswer,
  tree: FlameTree,
  service: string,
  { type, unit }: TypeSum,
  base: Base | null,
): string {
  const words = typeWords(type, unit);
  const title = /[A-Z]{3}/.test(words.title) ? words.title : words.title.toLowerCase();
  const who = service === ALL ? "All services" : service;
  const start = `${who}: ${words.value(answer.total)} of ${title}`;
  if (!answer.total) return `${start} ${rangePhrase()}`;
  if (!base || !answer.base_total) {
    const hot = hotSentence(tree);
    return `${start} ${rangePhrase()}${hot && `, ${hot}`}`;
  }
  return `${start}, ${words.value(answer.base_total)} in ${base.words}; ${movedSentence(tree)}`;
}
