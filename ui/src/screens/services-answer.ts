/** The sentence above the services: the one thing that changed most, or that all is well. */
import type { ServiceRow } from "../api-types";
import { count, duration, plural, rate, ratio } from "../format";

export interface Answer {
  text: string;
  tone: "bad" | "warn" | "calm";
  /** The service it speaks of. */
  service: string | null;
}

/** Fewer requests than this say nothing about a percentile. */
const leastRequests = 20;

const known = (v: number | null | undefined): v is number => typeof v === "number";

export function answerServices(services: readonly ServiceRow[], before: string): Answer {
  const busy = services.filter((s) => s.requests >= leastRequests);

  const failing = busy
    .filter((s) => known(s.errors.value) && s.errors.value >= 0.01)
    .map((s) => ({ s, rise: s.errors.value! - (s.errors.previous ?? 0) }))
    // Who fails most requests more than before; a rare job with a high share is not the news.
    .sort((a, b) => b.rise * b.s.requests - a.rise * a.s.requests)[0];
  if (failing && (failing.rise >= 0.01 || failing.s.errors.value! >= 0.05)) {
    const { s } = failing;
    const was = known(s.errors.previous) ? `, it was ${ratio(s.errors.previous)} ${before}` : "";
    return {
      text: `${s.name} fails ${ratio(s.errors.value)} of its requests${was}.`,
      tone: "bad",
      service: s.name,
    };
  }

  const slower = busy
    .filter((s) => known(s.p95.value) && known(s.p95.previous) && s.p95.previous > 0)
    .map((s) => ({ s, times: s.p95.value! / s.p95.previous! }))
    .filter((x) => x.times >= 1.3 && x.s.p95.value! - x.s.p95.previous! > 2e6)
    .sort((a, b) => b.times - a.times)[0];
  if (slower) {
    const { s, times } = slower;
    const how = times >= 2 ? `${times.toFixed(1)}× slower` : `${Math.round((times - 1) * 100)} % slower`;
    const where =
      s.slowest && s.slowest.share >= 0.3
        ? ` ${s.slowest.operation} takes ${ratio(s.slowest.share)} of its time.`
        : "";
    return {
      text: `${s.name} is ${how} than ${before}: p95 ${duration(s.p95.value)}, it was ${duration(s.p95.previous)}.${where}`,
      tone: "warn",
      service: s.name,
    };
  }

  const total = services.reduce((sum, s) => sum + (s.rate.value ?? 0), 0);
  const requests = services.reduce((sum, s) => sum + s.requests, 0);
  const failed = services.reduce((sum, s) => sum + s.requests * (s.errors.value ?? 0), 0);
  const compared = busy.some((s) => known(s.p95.previous));
  const verdict = compared ? `, nothing much slower than ${before}` : "";
  return {
    text: `${plural(services.length, "service")}, ${rate(total)}, ${failed > 0 ? `${ratio(failed / Math.max(requests, 1))} errors` : `no error in ${count(requests)} requests`}${verdict}.`,
    tone: "calm",
    service: null,
  };
}
