/** What a time chart computes before it draws: piling series up, and round points on the time axis. */
import { clock, day } from "../format";

export interface Stacked {
  /** Times and one array per series, in drawing order. */
  plot: (readonly (number | null)[])[];
}

/** Piled series come out last first, each the sum of itself and those before it; gaps count as 0. */
export function stack(
  times: readonly number[],
  series: readonly { values: readonly (number | null)[] }[],
  stacked: boolean,
): Stacked {
  if (!stacked) return { plot: [times, ...series.map((s) => s.values)] };
  const sums = new Array<number>(times.length).fill(0);
  const piled = series.map((s) =>
    times.map((_, i) => {
      sums[i] = sums[i]! + (s.values[i] ?? 0);
      return sums[i]!;
    }),
  );
  return { plot: [times, ...piled.reverse()] };
}

const steps = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
  3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800,
];

/** Round times between two points (Unix seconds), at most `most` of them, and how each is written. */
export function timeTicks(
  min: number,
  max: number,
  most: number,
): { splits: number[]; label: (t: number) => string } {
  const step = steps.find((s) => (max - min) / s <= most) ?? Math.ceil((max - min) / most / 86400) * 86400;
  // Steps of hours and days start at midnight where the reader is; whole-minute offsets cover all zones.
  const offset = step >= 3600 ? zoneOffset(min) : 0;
  const splits: number[] = [];
  for (let t = Math.ceil((min + offset) / step) * step - offset; t <= max && splits.length < 100; t += step) {
    splits.push(Math.round(t * 1000) / 1000);
  }
  const label = (t: number): string => {
    const ns = t * 1e9;
    if (step >= 86400) return day(ns).slice(5);
    if (max - min > 86400 && clock(ns, 0).startsWith("00:00")) return day(ns).slice(5);
    if (step < 1) return clock(String(BigInt(Math.round(t * 1000)) * 1000000n), 3).slice(3);
    return step < 60 ? clock(ns, 0) : clock(ns, 0).slice(0, 5);
  };
  return { splits, label };
}

/** Seconds the reader's zone is ahead of UTC at a time. */
function zoneOffset(t: number): number {
  const ns = Math.floor(t) * 1e9;
  const local = Date.parse(`${day(ns)}T${clock(ns, 0)}Z`) / 1000;
  return local - Math.floor(t);
}
