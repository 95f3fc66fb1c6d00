import { expect, test } from "vitest";
import {
  autoStep,
  checkedName,
  freeName,
  parseStep,
  readQueries,
  stepText,
  writeQueries,
} from "../src/screens/metrics/address";
import { catalogue, proposals, searchMetrics } from "../src/screens/metrics/catalogue";
import { missingName, namesIn, nearest } from "../src/screens/metrics/hint";
import { labelText, placeOf, plainMessage, selectorOf, seriesText } from "../src/screens/metrics/prometheus";
import {
  commonLabels,
  counted,
  drawn,
  gridTimes,
  heat,
  shortLabel,
  tableRows,
  varyingLabels,
} from "../src/screens/metrics/result";
import { gridOf, type Run, settled } from "../src/screens/metrics/run";
import { axisPrinter, printer, unitOf, unitWords } from "../src/screens/metrics/unit";

const gap = "\u202f";

test("queries survive the address, in their order, with names and hidden ones", () => {
  const queries = [
    { name: "A", expr: 'rate(x{a="b&c"}[5m])', hidden: false },
    { name: "errors", expr: "up == 0", hidden: true },
  ];
  const params = writeQueries(new URLSearchParams("from=now-1h"), queries);
  expect(params.get("from")).toBe("now-1h");
  expect(readQueries(new URLSearchParams(params.toString()))).toEqual(queries);
  expect(readQueries(new URLSearchParams())).toEqual([{ name: "A", expr: "", hidden: false }]);
  expect(writeQueries(params, [{ name: "A", expr: "", hidden: false }]).toString()).toBe("from=now-1h");
});

test("names of queries: the first free letter, and what may be one", () => {
  const named = (names: string[]) => names.map((name) => ({ name, expr: "", hidden: false }));
  expect(freeName(named(["A", "C"]))).toBe("B");
  expect(freeName(named("ABCDEFGHIJKLMNOPQRSTUVWXYZ".split("")))).toBe("A2");
  expect(checkedName(" slow ones ", [])).toBe("slow-ones");
  expect(checkedName("A", ["A"])).toBeNull();
  expect(checkedName("  ", [])).toBeNull();
});

test("steps are round, and read as durations", () => {
  expect(autoStep(900, 400)).toBe(5);
  expect(autoStep(7 * 86400, 400)).toBe(1800);
  expect(parseStep("15")).toBe(15);
  expect(parseStep("1h30m")).toBe(5400);
  expect(parseStep("500ms")).toBe(0.5);
  for (const wrong of ["", "0", "-1", "5 parsecs", "m5"]) expect(parseStep(wrong)).toBeNull();
  expect(stepText(5400)).toBe("1h30m");
  expect(gridOf({ from: 1007, to: 1033 }, 10)).toEqual({ start: 1010, end: 1030, step: 10 });
  expect(gridTimes({ start: 0, end: 0.3, step: 0.1 })).toEqual([0, 0.1, 0.2, 0.3]);
});

test("series are written as selectors that find them", () => {
  expect(seriesText({ __name__: "up", job: 'a"b', instance: "x" })).toBe('up{instance="x", job="a\\"b"}');
  expect(seriesText({ __name__: "http.latency", job: "a" })).toBe('{"http.latency", job="a"}');
  expect(labelText({ "service.name": "a" })).toBe('{"service.name"="a"}');
  expect(selectorOf("http.latency")).toBe('{"http.latency"}');
});

test("messages point into the query, by bytes, over lines", () => {
  const query = "sum(rate(up[5m]) by (job)";
  const message = 'invalid parameter "query": 1:18: parse error: unexpected <by> in aggregation';
  expect(placeOf(message, query)).toEqual({ at: 17, length: 2 });
  expect(plainMessage(message)).toBe("unexpected <by> in aggregation");
  const note = 'PromQL info: metric might not be a counter, name does not end in _total: "up" (1:10)';
  expect(placeOf(note, query)).toEqual({ at: 9, length: 2 });
  expect(plainMessage(note)).toBe('metric might not be a counter, name does not end in _total: "up"');
  expect(placeOf("2:3: parse error: x", "é\nab~c")).toEqual({ at: 4, length: 1 });
  expect(placeOf("1:5: parse error: x", 'é="x')).toEqual({ at: 4 - 1, length: 1 });
  expect(placeOf("9:1: parse error", "up")).toBeNull();
  expect(placeOf("query timed out", "up")).toBeNull();
});

test("labels: what differs names a series, what is common stands once", () => {
  const list = [
    { metric: { __name__: "up", job: "a", zone: "x" } },
    { metric: { __name__: "up", job: "b", zone: "x" } },
  ];
  expect([...varyingLabels(list)]).toEqual(["job"]);
  expect(shortLabel(list[0]!.metric, varyingLabels(list), "up")).toBe('job="a"');
  expect(shortLabel({}, new Set(), "1 + 1")).toBe("1 + 1");
  expect(commonLabels(list)).toBe('up{zone="x"}');
  expect(commonLabels(list.slice(1))).toBe("");
  const routes = ["/", "/a", "/b"].map((route, i) => ({
    metric: { instance: `host-${i}`, method: i ? "GET" : "PUT", route },
  }));
  expect([...varyingLabels(routes)]).toEqual(["route", "method", "instance"]);
  expect(shortLabel(routes[1]!.metric, varyingLabels(routes), "x")).toBe(
    'route="/a", method="GET", instance="host-1"',
  );
});

test("answers are laid on the grid; gaps, NaN and Inf are gaps", () => {
  const grid = { start: 100, end: 130, step: 10 };
  const data = {
    resultType: "matrix" as const,
    result: [
      {
        metric: { a: "1" },
        values: [
          [100, "1"],
          [120, "3"],
        ] as const,
      },
      {
        metric: { a: "2" },
        values: [
          [110, "NaN"],
          [120, "+Inf"],
          [130, "7"],
        ] as const,
      },
    ],
  };
  const series = drawn("A", "x", data, grid);
  expect(series.map((s) => s.label)).toEqual(['a="2"', 'a="1"']);
  expect(series[1]!.values).toEqual([1, null, 3, null]);
  expect(series[1]).toMatchObject({ min: 1, max: 3, mean: 2, last: 3 });
  expect(series[0]!.values).toEqual([null, null, null, 7]);
  expect(counted(data)).toEqual({ series: 2, points: 5 });
});

test("instant answers become rows, also scalars and range selectors", () => {
  expect(tableRows("A", { resultType: "scalar", result: [5, "+Inf"] })[0]).toMatchObject({
    value: Number.POSITIVE_INFINITY,
    time: 5,
  });
  const matrix = {
    resultType: "matrix" as const,
    result: [
      {
        metric: {},
        values: [
          [1, "1"],
          [2, "4"],
        ] as const,
      },
    ],
  };
  expect(tableRows("A", matrix)[0]).toMatchObject({
    value: 4,
    time: 2,
    samples: [
      [1, "1"],
      [2, "4"],
    ],
  });
});

test("classic buckets become cells of what each adds; empty ends are cut", () => {
  const grid = { start: 0, end: 10, step: 10 };
  const bucket = (le: string, a: string, b: string) => ({
    metric: { le },
    values: [
      [0, a],
      [10, b],
    ] as const,
  });
  const result = [
    bucket("+Inf", "7", "11"),
    bucket("1", "2", "3"),
    bucket("0.1", "0", "0"),
    bucket("2", "5", "9"),
    bucket("3", "6", "10"),
    bucket("4", "7", "11"),
  ];
  const map = heat({ resultType: "matrix", result }, grid)!;
  expect(map.rows.map((r) => r.upper)).toEqual([1, 2, 3, 4]);
  expect(map.cells).toEqual([
    [2, 3],
    [3, 6],
    [1, 1],
    [1, 1],
  ]);
  expect(map.max).toBe(6);
  expect(heat({ resultType: "matrix", result: [] }, grid)).toBeNull();
});

test("one bucket alone keeps its neighbours, so that there is a scale", () => {
  const bucket = (le: string, v: string) => ({ metric: { le }, values: [[0, v]] as const });
  const result = [
    bucket("0.1", "0"),
    bucket("0.2", "3"),
    bucket("0.4", "3"),
    bucket("1", "3"),
    bucket("+Inf", "3"),
  ];
  const uppers = (list: typeof result) =>
    heat({ resultType: "matrix", result: list }, { start: 0, end: 0, step: 1 })!.rows.map((r) => r.upper);
  expect(uppers(result)).toEqual([0.2, 0.4, 1, Number.POSITIVE_INFINITY]);
  expect(uppers(result.slice(0, 3))).toEqual([0.1, 0.2, 0.4]);
});

test("native buckets become cells", () => {
  const h = {
    count: "3",
    sum: "4",
    buckets: [
      [0, "1", "2", "2"],
      [0, "0.5", "1", "1"],
    ] as const,
  };
  const result = [{ metric: {}, histograms: [[10, h]] as const }];
  const map = heat({ resultType: "matrix", result }, { start: 0, end: 10, step: 10 })!;
  expect(map.rows.map((r) => r.lower)).toEqual([0.5, 1]);
  expect(map.cells).toEqual([
    [null, 1],
    [null, 2],
  ]);
});

test("units follow what is done to a metric", () => {
  const unit = (q: string) => {
    const u = unitOf(q);
    return u.base + (u.perSecond ? "/s" : "");
  };
  expect(unit("process_resident_memory_bytes")).toBe("bytes");
  expect(unit('rate(node_network_receive_bytes_total{device="eth0"}[5m])')).toBe("bytes/s");
  expect(unit("sum by (job) (rate(http_requests_total[5m]))")).toBe("/s");
  expect(unit("histogram_quantile(0.95, sum by (le) (rate(x_seconds_bucket[5m])))")).toBe("seconds");
  expect(unit("rate(x_seconds_sum[5m]) / rate(x_seconds_count[5m])")).toBe("seconds");
  expect(unit("sum(rate(errors_total[5m])) / sum(rate(all_total[5m]))")).toBe("ratio");
  expect(unit("100 * (1 - free_bytes / size_bytes)")).toBe("percent");
  expect(unit("time() - process_start_time_seconds")).toBe("seconds");
  expect(unit("process_start_time_seconds")).toBe("time");
  expect(unit("count(up)")).toBe("");
  expect(unit("x_seconds_count")).toBe("");
  expect(unit("x_seconds_bucket")).toBe("");
  expect(unit("sum by (le) (rate(x_seconds_bucket[5m]))")).toBe("/s");
  expect(unit('rate(x_seconds_bucket{le="1"}[5m]) / rate(x_seconds_count[5m])')).toBe("ratio");
  expect(unit("8 * rate(x_bytes_total[1m])")).toBe("");
  expect(unit("max_over_time(rate(x_bytes_total[1m])[1h:1m])")).toBe("bytes/s");
  expect(unit("x_bytes > 5")).toBe("bytes");
  expect(unit("sum(")).toBe("");
  expect(unitOf("queue_wait", () => "seconds").base).toBe("seconds");
  expect(unitOf("rate(x_total[5m])").zero).toBe(true);
  expect(unitOf("room_temperature_celsius").zero).toBe(false);
  expect(unitWords(unitOf("rate(x_bytes_total[1m])"))).toBe("bytes per second");
});

test("values and axes print their unit", () => {
  const print = (q: string, v: number) => printer(unitOf(q))(v);
  expect(print("x_seconds", 0.0124)).toBe(`12.4${gap}ms`);
  expect(print("rate(x_bytes_total[1m])", 38.1e6)).toBe(`38.1${gap}MB/s`);
  expect(print("cache_hit_ratio", 0.4)).toBe(`40.0${gap}%`);
  expect(print("up", Number.NaN)).toBe("NaN");
  expect(print("up", Number.NEGATIVE_INFINITY)).toBe("−Inf");
  const axis = (q: string, splits: number[]) => axisPrinter(unitOf(q))(splits);
  expect(axis("x_seconds", [0, 0.25, 0.5])).toEqual(["0", `250${gap}ms`, `500${gap}ms`]);
  expect(axis("x_bytes", [1e9, 1.0005e9])).toEqual([`1.0000${gap}GB`, `1.0005${gap}GB`]);
  expect(axis("up", [1000.1, 1000.2])).toEqual([`1.0001${gap}k`, `1.0002${gap}k`]);
  expect(axis("cache_hit_ratio", [0, 0.5, 1])).toEqual(["0", `50${gap}%`, `100${gap}%`]);
});

const metadata = {
  http_seconds: [{ type: "histogram", help: "Time.", unit: "" }],
  hits_total: [{ type: "counter", help: "Hits.", unit: "" }],
  size_bytes: [{ type: "summary", help: "", unit: "bytes" }],
};

test("names become metrics: a histogram is one, not three", () => {
  const names = [
    ...["http_seconds_bucket", "http_seconds_count", "http_seconds_sum", "hits_total", "up"],
    ...["size_bytes", "size_bytes_count", "size_bytes_sum", "old_bucket", "old_count", "old_sum", "native"],
  ];
  const counts = [
    { name: "http_seconds_bucket", value: 30 },
    { name: "http_seconds_count", value: 3 },
  ];
  const native = { native: [{ type: "histogram", help: "", unit: "" }] };
  const list = catalogue(names, { ...metadata, ...native }, counts);
  expect(list.map((m) => `${m.name} ${m.type}`)).toEqual([
    "hits_total counter",
    "http_seconds histogram",
    "native native",
    "old histogram",
    "size_bytes summary",
    "up gauge",
  ]);
  const http = list[1]!;
  expect(http).toMatchObject({ unit: "seconds", series: 33, guessed: false, help: "Time." });
  expect(list[3]!.guessed).toBe(true);
  expect(searchMetrics(list, "time").map((m) => m.name)).toEqual(["http_seconds"]);
  expect(searchMetrics(list, "s").map((m) => m.name)[0]).toBe("size_bytes");
  expect(proposals(http, ["route", "le"])[0]!.expr).toBe(
    "histogram_quantile(0.95, sum by (le, route) (rate(http_seconds_bucket[5m])))",
  );
  expect(proposals(list[0]!, [])[0]!.expr).toBe("sum(rate(hits_total[5m]))");
});

test("what has no answer yet holds back what stands behind it", () => {
  const queries = ["A", "B", "C"].map((name) => ({ name, expr: "up", hidden: false }));
  const run = (data: boolean): Run => ({
    expr: "up",
    warnings: [],
    infos: [],
    loading: !data,
    stale: false,
    data: data ? { resultType: "matrix", result: [] } : undefined,
  });
  const runs = new Map([
    ["A", run(true)],
    ["B", run(false)],
    ["C", run(true)],
  ]);
  expect(settled(queries, runs)).toMatchObject({ pending: true, ready: [{ name: "A" }] });
  runs.set("B", run(true));
  expect(settled(queries, runs)).toMatchObject({ pending: false });
});

test("a metric that nobody sent, and what may be meant", () => {
  const names = ["http_requests_total", "http_seconds_bucket", "http_seconds_count", "up"];
  expect(namesIn('sum(rate(a_total{x="y"}[5m])) / on (job) b')).toEqual(["a_total", "b"]);
  expect(nearest("http_requests", names)).toBe("http_requests_total");
  expect(nearest("http_seconds", names)).toBe("http_seconds_bucket");
  expect(nearest("htp_request_total", names)).toBe("http_requests_total");
  expect(nearest("weather", names)).toBeNull();
  expect(missingName("rate(http_requests[5m])", names)).toEqual({
    name: "http_requests",
    instead: "http_requests_total",
  });
  expect(missingName("up == 7", names)).toBeNull();
  expect(missingName("sum(", names)).toBeNull();
});
