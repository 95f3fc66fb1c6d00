/** The first and the last step of a range are rarely whole. */
import type { Steps } from "../api-types";
import { toSeconds } from "../format";

/**
 * Rates and counts of steps that the range covers only in part are left out: drawn, they would look like a
 * fall of traffic that never was. Ratios and percentiles do not need this.
 */
export function wholeSteps(points: readonly (number | null)[], steps: Steps): (number | null)[] {
  const from = toSeconds(steps.from_ns);
  const to = toSeconds(steps.to_ns);
  const step = steps.step_ns / 1e9;
  return points.map((p, i) => {
    const start = steps.times[i] ?? 0;
    return start < from - 0.001 || start + step > to + 0.001 ? null : p;
  });
}
