/** What is different about the requests in a box of the heat map: values inside against outside. */
import type { Resource } from "../../api";
import type { Comparison } from "../../api-types";
import { middle, ratio } from "../../format";
import { ErrorState } from "../../parts/errorstate";
import { type Standing, standingKey } from "../../parts/facets";
import { toggleTerm } from "../../parts/facets.filter";
import type { Box } from "../../parts/heatmap.draw";
import { Skeleton } from "../../parts/skeleton";
import { filter, setFilter } from "../../state";

const SHOWN = 6;
const VALUES = 2;

export function boxParams(box: Box): Record<string, string> {
  return {
    min_ns: String(Math.round(box.min_ns)),
    max_ns: String(Math.round(box.max_ns)),
    box_from: String(Math.round(box.from * 1000)),
    box_to: String(Math.round(box.to * 1000)),
  };
}

/** "94 % of them have service.version 1.4.2, against 12 % of the others." */
export function compareSentence(c: Comparison): string {
  // What they have says more than what they lack.
  let best: { key: string; value: string; inside: number; outside: number } | null = null;
  for (const f of c.facets) {
    for (const v of f.values) {
      if (v.inside - v.outside > (best ? best.inside - best.outside : 0.1)) best = { key: f.key, ...v };
    }
  }
  if (!best) return "";
  return `${ratio(best.inside)} of them have ${best.key} ${best.value || "(empty)"}, against ${ratio(best.outside)} of the others.`;
}

/** Values clearly more frequent inside the box than outside, for the facets. */
export function standsOut(c: Comparison | undefined): Map<string, Standing> {
  const out = new Map<string, Standing>();
  for (const f of c?.facets ?? []) {
    for (const v of f.values) if (v.inside - v.outside >= 0.2) out.set(standingKey(f.key, v.value), v);
  }
  return out;
}

export function Compare({ compared }: { compared: Resource<Comparison> }) {
  if (!compared.data) {
    return (
      <div class="compare">
        {compared.error ? (
          <ErrorState small error={compared.error} what="the comparison" onRetry={compared.reload} />
        ) : (
          <Skeleton lines={8} rowHeight={24} shown={compared.slow} />
        )}
      </div>
    );
  }
  const facets = compared.data.facets.slice(0, SHOWN);
  const sentence = compareSentence(compared.data);
  return (
    <div class={`compare ${compared.stale ? "dim" : ""}`}>
      <p class="compare-answer">{sentence || "Nothing sets these requests clearly apart from the others."}</p>
      <div class="compare-facets">
        {facets.map((f) => (
          <section key={f.key}>
            <h2 title={f.key}>{middle(f.key, 36)}</h2>
            <ul>
              {f.values.slice(0, VALUES).map((v) => (
                <li key={v.value}>
                  <button
                    type="button"
                    onClick={() => setFilter(toggleTerm(filter.value, f.key, v.value, false))}
                    title={`${f.key}=${v.value}\n${ratio(v.inside)} inside, ${ratio(v.outside)} outside. Click: only these.`}
                  >
                    <span class="ellipsis">{v.value === "" ? "(empty)" : middle(v.value, 32)}</span>
                    <span class="compare-bars" aria-hidden="true">
                      <i class="inside" style={{ width: `${v.inside * 100}%` }} />
                      <i class="outside" style={{ width: `${v.outside * 100}%` }} />
                    </span>
                    <span class="compare-figures">
                      <b>{ratio(v.inside)}</b>
                      <span class="muted">{ratio(v.outside)}</span>
                    </span>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        ))}
      </div>
    </div>
  );
}
