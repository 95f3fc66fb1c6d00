/** Targets: what is scraped, by pool; which ones fail, why, and what to do about it. */
import { useMemo, useState } from "preact/hooks";
import { useApi } from "../api";
import { ago, count, duration, full, plural, timestamp } from "../format";
import { useKeys } from "../keys";
import { Command } from "../parts/command";
import { Empty } from "../parts/empty";
import { ErrorState } from "../parts/errorstate";
import { Icon } from "../parts/icon";
import { Skeleton } from "../parts/skeleton";
import { href, param, setParams } from "../router";
import { queryParams } from "./metrics/address";
import { MetricsBar } from "./metrics/bar";
import {
  type Answer,
  type Labels,
  labelText,
  type QueryData,
  quoted,
  type Target,
  type TargetsAnswer,
} from "./metrics/prometheus";
import { metricSnippets } from "./metrics/snippets";
import { filterTargets, type Pool, pools, targetAdvice, targetsSentence } from "./metrics/targets-answer";

const DROPPED_SHOWN = 200;
/** Below this width (as metrics.css has it) two columns are left out. */
const NARROW = 900;

export default function Targets() {
  const answer = useApi<Answer<TargetsAnswer>>("/prometheus/api/v1/targets");
  const samples = useApi<Answer<QueryData>>("/prometheus/api/v1/query", { query: "scrape_samples_scraped" });
  const data = answer.data?.data;
  const [health, search] = [param("health"), param("search")];
  const all = data?.activeTargets ?? [];
  const shown = useMemo(() => pools(filterTargets(all, search, health)), [all, search, health]);
  const countOf = useMemo(() => samplesByTarget(samples.data?.data), [samples.data]);
  const field = "target-search";
  useKeys([{ key: "/", help: "Search targets", run: () => document.getElementById(field)?.focus() }]);

  return (
    <div class="metrics">
      <MetricsBar tab="targets" />
      <div class="targets">
        {answer.error && !data ? (
          <ErrorState error={answer.error} what="the targets" onRetry={answer.reload} />
        ) : !data ? (
          <section class="section">
            <Skeleton lines={10} shown={answer.slow} />
          </section>
        ) : !all.length && !data.droppedTargets.length ? (
          <NoTargets />
        ) : (
          <>
            <section class="section targets-head">
              <h1>{targetsSentence(all)}</h1>
              <div class="targets-filter">
                <input
                  id={field}
                  class="input"
                  value={search}
                  placeholder="Search address, job, label, error"
                  aria-label="Search targets"
                  spellcheck={false}
                  onInput={(e) => setParams({ search: e.currentTarget.value })}
                />
                <div class="segmented" role="radiogroup" aria-label="Health">
                  {["", "up", "down", "unknown"].map((h) => {
                    const n = h ? all.filter((t) => t.health === h).length : all.length;
                    if (h === "unknown" && !n) return null;
                    return (
                      <button
                        key={h}
                        type="button"
                        role="radio"
                        aria-checked={health === h}
                        onClick={() => setParams({ health: h })}
                      >
                        {h ? h[0]!.toUpperCase() + h.slice(1) : "All"} <span class="muted">{full(n)}</span>
                      </button>
                    );
                  })}
                </div>
              </div>
            </section>
            {shown.map((pool) => (
              <PoolSection key={pool.name} pool={pool} samples={countOf} />
            ))}
            {!shown.length && (
              <section class="section">
                <p class="muted">No target matches.</p>
              </section>
            )}
            <Dropped answer={data} />
          </>
        )}
      </div>
    </div>
  );
}

const targetKey = (labels: Labels): string => `${labels.job ?? ""}\n${labels.instance ?? ""}`;

function samplesByTarget(data: QueryData | undefined): ReadonlyMap<string, number> {
  if (data?.resultType !== "vector") return new Map();
  return new Map(data.result.map((s) => [targetKey(s.metric), Number(s.value?.[1] ?? Number.NaN)]));
}

function NoTargets() {
  const scrape = metricSnippets(window.location.origin, "").find((s) => s.id === "scrape")!;
  return (
    <div class="no-metrics">
      <Empty title="Nothing is scraped" waiting>
        {scrape.text}
      </Empty>
      <div class="no-metrics-ways no-metrics-steps">
        {scrape.code.map((code) => (
          <Command key={code} text={code} label="Scrape configuration" />
        ))}
      </div>
    </div>
  );
}

function PoolSection({ pool, samples }: { pool: Pool; samples: ReadonlyMap<string, number> }) {
  const failing = pool.targets.length - pool.up;
  return (
    <section class="section pool" aria-label={`Pool ${pool.name}`}>
      <header>
        <h2>{pool.name}</h2>
        <span class={failing ? "bad" : "good"}>
          {pool.up} of {pool.targets.length} up
        </span>
        <span class="spacer" />
        <a class="link" href={href("/explore", queryParams(`up{job=${quoted(pool.name)}}`))}>
          up over time
        </a>
      </header>
      <table class="targets-table">
        <thead>
          <tr>
            <th scope="col">Target</th>
            <th scope="col">Health</th>
            <th scope="col" class="wide">
              Labels
            </th>
            <th scope="col" class="num">
              Last scrape
            </th>
            <th scope="col" class="num">
              Took
            </th>
            <th scope="col" class="num wide">
              Samples
            </th>
          </tr>
        </thead>
        <tbody>
          {pool.targets.map((t) => (
            <TargetRow
              key={t.scrapeUrl + labelText(t.labels)}
              target={t}
              samples={samples.get(targetKey(t.labels))}
            />
          ))}
        </tbody>
      </table>
    </section>
  );
}

const healthWords = {
  up: ["up", "good"],
  down: ["down", "bad"],
  unknown: ["not yet scraped", "muted"],
} as const;

function TargetRow({ target: t, samples }: { target: Target; samples: number | undefined }) {
  const [open, setOpen] = useState(false);
  const [word, tone] = healthWords[t.health] ?? healthWords.unknown;
  const scraped = Date.parse(t.lastScrape);
  const never = !(scraped > 0);
  const advice = targetAdvice(t);
  return (
    <>
      <tr class={t.health}>
        <td>
          <button
            type="button"
            class="target-url"
            aria-expanded={open}
            onClick={() => setOpen(!open)}
            title={`${t.scrapeUrl}\n${open ? "Hide" : "Show"} labels as discovered`}
          >
            <Icon name={open ? "down" : "right"} size={10} />
            <span class="ellipsis">{t.scrapeUrl.replace(/^http:\/\//, "")}</span>
          </button>
        </td>
        <td>
          <span class={`health ${tone}`}>
            <i class={t.health} aria-hidden="true" />
            {word}
          </span>
        </td>
        <td class="wide">
          <code class="ellipsis target-labels" title={labelText(t.labels)}>
            {labelText(t.labels).replace(/^\{(.*)\}$/, "$1")}
          </code>
        </td>
        <td class="num" title={never ? undefined : timestamp(scraped * 1e6)}>
          {never ? "–" : ago(scraped * 1e6)}
        </td>
        <td class="num" title={t.scrapeInterval && `every ${t.scrapeInterval}, at most ${t.scrapeTimeout}`}>
          {never ? "–" : duration(t.lastScrapeDuration * 1e9)}
        </td>
        <td class="num wide" title={samples === undefined ? undefined : full(samples)}>
          {samples === undefined || Number.isNaN(samples) ? "–" : count(samples)}
        </td>
      </tr>
      {(t.lastError || open) && (
        <tr class="target-more">
          <td colSpan={window.innerWidth <= NARROW ? 4 : 6}>
            {t.lastError && (
              <p class="target-error">
                <span class="bad">{t.lastError}</span>
                {advice && <span> {advice}</span>}
              </p>
            )}
            {open && (
              <div class="target-details">
                <LabelList title="Labels of its series" labels={t.labels} />
                <LabelList title="As discovered, before relabelling" labels={t.discoveredLabels} />
              </div>
            )}
          </td>
        </tr>
      )}
    </>
  );
}

function LabelList({ title, labels }: { title: string; labels: Labels }) {
  return (
    <div>
      <h3>{title}</h3>
      <dl class="target-pairs">
        {Object.entries(labels)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, value]) => (
            <div key={name}>
              <dt class="mono">{name}</dt>
              <dd class="mono">{value || "(empty)"}</dd>
            </div>
          ))}
      </dl>
    </div>
  );
}

function Dropped({ answer }: { answer: TargetsAnswer }) {
  const counts = Object.values(answer.droppedTargetCounts ?? {});
  const n = counts.length ? counts.reduce((a, b) => a + b, 0) : answer.droppedTargets.length;
  if (!n) return null;
  return (
    <section class="section">
      <details class="dropped">
        <summary>{plural(n, "target")} dropped by relabelling</summary>
        <ul>
          {answer.droppedTargets.slice(0, DROPPED_SHOWN).map((t, i) => (
            <li key={i}>
              <code>{labelText(t.discoveredLabels)}</code>
            </li>
          ))}
        </ul>
        {n > DROPPED_SHOWN && <p class="muted">and {full(n - DROPPED_SHOWN)} more</p>}
      </details>
    </section>
  );
}
