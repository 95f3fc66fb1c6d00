/** The first and the last step of a range are rarely whole. */
import type { Steps } from "../api-types";
import { toSeconds } from "../format";

/**
 * Rates (of whole steps) where the range covers a step only in part are left out: drawn, they would look like a fall
 * of traffic that never was. A range without a whole step shows what it has, by the time it covers. Ratios and
 * percentiles do not need this.
 */
export function wholeSteps(points: readonly (number | null)[], steps: Steps): (number | null)[] {
  const from = toSeconds(steps.from_ns);
  const to = toSeconds(steps.to_ns);
  const step = steps.step_ns / 1e9;
  const covered = points.map((_, i) => {
    const start = steps.times[i] ?? 0;
    return Math.min(start + step, to) - Math.max(start, from);
  });
  const whole = (i: number) => covered[i]! > step - 0.002;
  if (points.some((_, i) => whole(i))) return points.map((p, i) => (whole(i) ? p : null));
  return points.map((p, i) => (p === null || covered[i]! <= 0 ? null : (p * step) / covered[i]!));
}
