/** CPU, wall time and GIL wait over time, beside each other on one axis, with releases marked on it. */
import { useMemo } from "preact/hooks";
import { tidy, toSeconds } from "../../format";
import { Skeleton } from "../../parts/skeleton";
import { type Marker, TimeChart } from "../../parts/timechart";
import { setParams } from "../../router";
import { wholeSteps } from "../service-steps";
import type { ProfileSeries, TypeSum } from "./data";
import { typeWords } from "./selection";

/** Over the steps in which anything was sampled. */
const mean = (points: readonly number[] | undefined): number | null => {
  const used = points?.filter((v) => v > 0) ?? [];
  return used.length ? used.reduce((a, b) => a + b, 0) / used.length : null;
};

export interface TypeCardsProps {
  series: ProfileSeries | undefined;
  stale: boolean;
  types: readonly TypeSum[];
  chosen: string;
  onZoom: (from: number, to: number) => void;
  picking: boolean;
}

/** A click on a type's name looks at that one. */
export function TypeCards({ series, stale, types, chosen, onZoom, picking }: TypeCardsProps) {
  const markers = useMemo<Marker[]>(
    () => series?.releases.map((r) => ({ time: toSeconds(r.time_ns), label: r.version })) ?? [],
    [series],
  );
  if (!series) return <Skeleton height={128} shown={false} />;
  const of = (t: TypeSum) => series.series.find((s) => s.type === t.type);
  return (
    <div
      class={`type-cards ${picking ? "picking-on" : ""}`}
      style={{ "--types": String(Math.min(4, types.length)) }}
      role="radiogroup"
      aria-label="Type of profile"
    >
      {types.map((t, i) => {
        const words = typeWords(t.type, t.unit);
        const line = of(t);
        const sum = line?.sum ?? 0;
        return (
          <div key={t.type} class={`type-card ${t.type === chosen ? "chosen" : ""}`}>
            <button
              type="button"
              role="radio"
              aria-checked={t.type === chosen}
              title={words.help}
              onClick={() =>
                setParams({ type: t.type === "cpu" ? null : t.type, call: null }, { push: true })
              }
            >
              <span>{words.title}</span>
              <b>{words.value(sum)}</b>
              <span class="type-average">{words.rate(mean(line?.points))} on average</span>
            </button>
            <TimeChart
              label={`${words.title} over time`}
              times={series.times}
              step={series.step_ns / 1e9}
              from={toSeconds(series.from_ns)}
              to={toSeconds(series.to_ns)}
              series={[
                {
                  label: words.title,
                  values: wholeSteps(line?.points ?? series.times.map(() => 0), series),
                  color: i,
                  kind: "area",
                },
              ]}
              unit={words.rate}
              height={92}
              axis={(splits) => splits.map((v) => tidy(words.axis(v)))}
              legend="none"
              nearest
              markers={markers}
              onZoom={onZoom}
              dim={stale}
            />
          </div>
        );
      })}
    </div>
  );
}
