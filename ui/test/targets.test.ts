import { expect, test } from "vitest";
import { yRange } from "../src/parts/timechart-plot";
import { dotsOf, traceOf } from "../src/screens/metrics/exemplars";
import { labelSummary } from "../src/screens/metrics/glance";
import type { Target } from "../src/screens/metrics/prometheus";
import { filterTargets, pools, targetAdvice, targetsSentence } from "../src/screens/metrics/targets-answer";

const target = (
  pool: string,
  health: Target["health"],
  lastError = "",
  url = "http://10.0.0.1:9100/metrics",
): Target => ({
  discoveredLabels: {},
  labels: { job: pool, instance: "10.0.0.1:9100" },
  scrapePool: pool,
  scrapeUrl: url,
  lastError,
  lastScrape: "0001-01-01T00:00:00Z",
  lastScrapeDuration: 0,
  health,
  scrapeTimeout: "10s",
});

test("targets by pool, and the sentence of their state", () => {
  const list = [target("b", "up"), target("a", "down", "x"), target("b", "up")];
  expect(pools(list).map((p) => [p.name, p.up, p.targets.length])).toEqual([
    ["a", 0, 1],
    ["b", 2, 2],
  ]);
  expect(targetsSentence(list)).toBe("1 of 3 targets is down: a");
  expect(targetsSentence([target("a", "up"), target("a", "up")])).toBe("All 2 targets are up");
  expect(targetsSentence([])).toBe("No targets are scraped");
});

test("an error says what to do", () => {
  const advice = (error: string) => targetAdvice(target("a", "down", error));
  expect(advice('Get "http://10.0.0.1:9100/metrics": dial tcp: connect: connection refused')).toContain(
    "Nothing listens at 10.0.0.1:9100",
  );
  expect(advice("context deadline exceeded")).toContain("scrape_timeout (10s)");
  expect(advice("server returned HTTP status 404 Not Found")).toContain("/metrics");
  expect(advice("server returned HTTP status 401 Unauthorized")).toContain("basic_auth");
  expect(advice("x509: certificate signed by unknown authority")).toContain("TLS");
  expect(advice('Get "http://10.0.0.1:9100/metrics": Couldn\'t connect to server')).toContain(
    "Nothing listens",
  );
  expect(advice("SSL connect error")).toContain("TLS");
  expect(advice("Timeout was reached")).toContain("scrape_timeout");
  expect(advice("")).toBe("");
});

test("targets are found by health and words", () => {
  const list = [target("web", "up"), target("db", "down", "refused")];
  expect(filterTargets(list, "job=db refused", "")).toHaveLength(1);
  expect(filterTargets(list, "", "up").map((t) => t.scrapePool)).toEqual(["web"]);
  expect(filterTargets(list, "nothing", "")).toEqual([]);
});

test("exemplars open their traces: the highest of each slice", () => {
  const id = "0af7651916cd43dd8448eb211c80319c";
  expect(traceOf({ traceID: id.toUpperCase() })).toBe(id);
  expect(traceOf({ trace_id: "0".repeat(32) })).toBeNull();
  const exemplar = (timestamp: number, value: string, trace = id) => ({
    timestamp,
    value,
    labels: { trace_id: trace },
  });
  const dots = dotsOf(
    [
      {
        seriesLabels: {},
        exemplars: [exemplar(1, "0.1"), exemplar(2, "0.5"), exemplar(599, "1"), exemplar(3, "NaN")],
      },
    ],
    0,
    600,
    String,
  );
  expect(dots.map((d) => d.value)).toEqual([0.5, 1]);
  expect(dots[0]!.href).toBe(`/traces/${id}`);
});

test("labels of a metric: telling ones first, constant ones last", () => {
  const list = labelSummary([
    { __name__: "x", job: "a", route: "/" },
    { __name__: "x", job: "a", route: "/b" },
  ]);
  expect(list.map((l) => l.name)).toEqual(["route", "job"]);
  expect(list[1]!.values).toEqual([{ value: "a", n: 2 }]);
});

test("axes start at 0 for rates, near the values for levels, below 0 when values are", () => {
  expect(yRange(5, 10, true, 0)[0]).toBe(0);
  expect(yRange(-5, 10, true, 0)[0]).toBeLessThan(-5);
  const [low, high] = yRange(990, 1010, false, 0);
  expect(low).toBeGreaterThan(900);
  expect(high).toBeGreaterThan(1010);
  expect(yRange(0.1, 10, false, 0)[0]).toBe(0);
  expect(yRange(5, 5, false, 0)).toEqual([4.5, 5.5]);
  expect(yRange(null, null, true, 0)).toEqual([0, 1]);
});
