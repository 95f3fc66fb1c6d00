/** Targets by pool, and what to do about the ones that fail. */
import { plural } from "../../format";
import type { Target } from "./prometheus";

export interface Pool {
  name: string;
  targets: Target[];
  up: number;
}

export function pools(targets: readonly Target[]): Pool[] {
  const byName = new Map<string, Pool>();
  for (const t of targets) {
    const pool = byName.get(t.scrapePool) ?? { name: t.scrapePool, targets: [], up: 0 };
    pool.targets.push(t);
    if (t.health === "up") pool.up++;
    byName.set(t.scrapePool, pool);
  }
  return [...byName.values()].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}

/** "All 4 targets are up", "2 of 4 targets are down: broken". */
export function targetsSentence(targets: readonly Target[]): string {
  if (!targets.length) return "No targets are scraped";
  const down = targets.filter((t) => t.health === "down");
  const waiting = targets.filter((t) => t.health === "unknown").length;
  if (down.length) {
    const names = [...new Set(down.map((t) => t.scrapePool))];
    const shown = names.slice(0, 3).join(", ") + (names.length > 3 ? " …" : "");
    const verb = down.length === 1 ? "is" : "are";
    return `${down.length} of ${plural(targets.length, "target")} ${verb} down: ${shown}`;
  }
  if (waiting) return `${plural(waiting, "target")} of ${targets.length} not yet scraped, the others are up`;
  return targets.length === 1 ? "The only target is up" : `All ${targets.length} targets are up`;
}

const rules: [RegExp, (t: Target) => string][] = [
  [
    /connection refused|couldn.?t connect/i,
    (t) => `Nothing listens at ${hostOf(t)}. Is the exporter running, and on this port?`,
  ],
  [
    /no such host|resolve host|name.*(not|unknown)|getaddrinfo/i,
    (t) => `The name in ${hostOf(t)} does not resolve from here.`,
  ],
  [
    /deadline exceeded|time ?out|timed ?out/i,
    (t) =>
      `It took longer than scrape_timeout${t.scrapeTimeout ? ` (${t.scrapeTimeout})` : ""}. Raise it, or make the exporter answer faster.`,
  ],
  [/\b401\b|\b403\b/, () => "It wants to know who asks: set basic_auth or authorization of the job."],
  [/\b404\b/, (t) => `There is nothing at ${pathOf(t)}: set metrics_path of the job.`],
  [/\b5\d\d\b/, () => "The exporter itself failed; its log says why."],
  [
    /x509|certificate|first record does not look like|\btls\b|\bssl\b/i,
    () => "TLS does not come about. Check scheme, and ca_file or server_name in tls_config.",
  ],
  [/no route|unreachable/i, (t) => `No network path leads to ${hostOf(t)}.`],
  [
    /sample.?limit|label.*limit|limit/i,
    () =>
      "It exposes more than the job's limits allow. Drop series by metric_relabel_configs, or raise the limit.",
  ],
  [
    /expected|unexpected|parse|invalid|unsupported|content.?type/i,
    () => "What it answers is not the Prometheus text format or OpenMetrics. Is the path right?",
  ],
];

function urlOf(t: Target): URL | null {
  try {
    return new URL(t.scrapeUrl);
  } catch {
    return null;
  }
}
const hostOf = (t: Target): string => urlOf(t)?.host ?? t.scrapeUrl;
const pathOf = (t: Target): string => urlOf(t)?.pathname ?? t.scrapeUrl;

/** What to do about a target's last error; empty when there is no advice. */
export function targetAdvice(t: Target): string {
  if (!t.lastError) return "";
  return rules.find(([pattern]) => pattern.test(t.lastError))?.[1](t) ?? "";
}

/** All words occur in the address, the pool, the labels or the error. */
export function filterTargets(targets: readonly Target[], text: string, health: string): Target[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return targets.filter((t) => {
    if (health && t.health !== health) return false;
    const hay = [
      t.scrapeUrl,
      t.scrapePool,
      t.lastError,
      ...Object.entries(t.labels).map(([k, v]) => `${k}=${v}`),
    ]
      .join(" ")
      .toLowerCase();
    return words.every((w) => hay.includes(w));
  });
}
