/** The golden signals side by side on one time axis, with one cursor through all of them. */
import { useMemo } from "preact/hooks";
import type { ServiceDetail } from "../api-types";
import {
  count,
  duration,
  durationParts,
  full,
  rate,
  rateParts,
  ratio,
  ratioParts,
  toSeconds,
} from "../format";
import { Stat } from "../parts/stat";
import { type Marker, type Series, TimeChart } from "../parts/timechart";
import { href } from "../router";
import { condition } from "../state";
import { wholeSteps } from "./service-steps";

interface SignalsProps {
  data: ServiceDetail;
  markers: readonly Marker[];
  dim: boolean;
}

const levelColors: Record<string, Series["color"]> = {
  error: "bad",
  warn: "warn",
  info: 5,
  debug: 8,
  other: "strong",
};

export function Signals({ data, markers, dim }: SignalsProps) {
  const step = data.step_ns / 1e9;
  const common = {
    times: data.times,
    step,
    from: toSeconds(data.from_ns),
    to: toSeconds(data.to_ns),
    markers,
    dim,
    height: 128,
  };
  const name = condition("service", "=", data.service.name);
  const series = useMemo(
    () => ({
      latency: [
        { label: "p50", values: data.p50.points, color: 5, totalText: duration(data.p50.value) },
        { label: "p95", values: data.p95.points, color: 0, totalText: duration(data.p95.value) },
        { label: "p99", values: data.p99.points, color: 3, totalText: duration(data.p99.value) },
      ] satisfies Series[],
      rate: [
        {
          label: "requests",
          values: wholeSteps(data.rate.points, data),
          color: 2,
          kind: "area",
          totalText: rate(data.rate.value),
        },
      ] satisfies Series[],
      errors: [
        {
          label: "failed",
          values: data.errors.points,
          color: "bad",
          kind: "area",
          totalText: ratio(data.errors.value),
        },
      ] satisfies Series[],
    }),
    [data],
  );
  const levels = useMemo<Series[]>(
    () =>
      ["error", "warn", "info", "debug", "other"]
        .filter((l) => data.logs_by_level.levels[l]?.some((v) => v))
        .map((l) => ({
          label: l,
          values: data.logs_by_level.levels[l]!,
          color: levelColors[l],
          total: "sum",
        })),
    [data],
  );
  const lines = levels.reduce((sum, s) => sum + s.values.reduce<number>((a, v) => a + (v ?? 0), 0), 0);
  const failed = data.errors.value ?? 0;
  return (
    <section class="section signals" aria-label="Golden signals">
      <div>
        <Stat
          label="Latency, p95"
          quantity={durationParts(data.p95.value)}
          figure={data.p95}
          better="down"
          format={duration}
          spark={false}
          href={href("/traces", { filter: `${name} AND entry=true`, sort: "slowest" })}
        />
        <TimeChart label="Latency" {...common} series={series.latency} unit={duration} />
      </div>
      <div>
        <Stat
          label="Traffic"
          quantity={rateParts(data.rate.value)}
          figure={data.rate}
          format={rate}
          spark={false}
          href={href("/traces", { filter: `${name} AND entry=true` })}
        />
        <TimeChart label="Requests per second" {...common} series={series.rate} unit={rate} />
      </div>
      <div>
        <Stat
          label="Errors"
          quantity={ratioParts(data.errors.value)}
          figure={data.errors}
          better="down"
          format={ratio}
          spark={false}
          tone={failed >= 0.01 ? "bad" : undefined}
          href={href("/traces", { filter: `${name} AND entry=true AND status=error` })}
        />
        <TimeChart
          label="Share of failed requests"
          {...common}
          series={series.errors}
          unit={ratio}
          least={0.01}
        />
      </div>
      <div>
        <Stat
          label="Log lines"
          quantity={{ figure: count(lines), unit: "" }}
          title={full(lines)}
          href={href("/logs", { filter: name })}
        />
        <TimeChart
          label="Log lines by level"
          {...common}
          times={data.logs_by_level.times}
          series={levels}
          unit={count}
          kind="bar"
          stacked
          least={4}
        />
      </div>
    </section>
  );
}
