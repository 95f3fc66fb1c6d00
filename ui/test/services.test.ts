// Protects: the first sentence names the service a person must look at; the map of calls stays put and ends.
import { describe, expect, test } from "vitest";
import type { Edge, Figure, ServiceRow } from "../src/api-types";
import { layoutCallMap } from "../src/parts/callmap-layout";
import { score } from "../src/parts/palette-match";
import { serviceMark } from "../src/parts/servicename";
import { reachable, snippets } from "../src/screens/send-data-snippets";
import { wholeSteps } from "../src/screens/service-steps";
import { answerServices } from "../src/screens/services-answer";

const figure = (value: number | null, previous: number | null = value): Figure => ({
  value,
  previous,
  points: [],
});
const service = (name: string, more: Partial<ServiceRow> = {}): ServiceRow => ({
  name,
  namespace: "",
  version: "",
  language: "python",
  instances: 1,
  rate: figure(10),
  errors: figure(0),
  p50: figure(1e6),
  p95: figure(10e6),
  p99: figure(20e6),
  saturation: null,
  requests: 9000,
  last_seen_ns: "0",
  slowest: null,
  ...more,
});

describe("answer", () => {
  const ask = (...list: ServiceRow[]) => answerServices(list, "before");
  test("all is well", () => {
    const a = ask(service("a"), service("b"));
    expect(a.tone).toBe("calm");
    expect(a.text).toContain("2 services");
    expect(a.text).toContain("no error in");
  });
  test("errors that rose come first, by how many requests they hit", () => {
    const a = ask(
      service("rare", { errors: figure(0.5, 0), requests: 30 }),
      service("busy", { errors: figure(0.03, 0.001) }),
      service("slow", { p95: figure(80e6, 10e6) }),
    );
    expect(a).toMatchObject({ service: "busy", tone: "bad" });
  });
  test("then what became slower", () => {
    const a = ask(service("a"), service("slow", { p95: figure(31e6, 10e6) }));
    expect(a).toMatchObject({ service: "slow", tone: "warn" });
    expect(a.text).toContain("3.1× slower");
  });
  test("a handful of requests says nothing", () => {
    expect(ask(service("a", { requests: 3, errors: figure(0.33, 0) })).tone).toBe("calm");
  });
  test("without a period before there is no comparison", () => {
    expect(ask(service("a", { p95: figure(10e6, null) })).text).not.toContain("slower");
  });
});

describe("map of calls", () => {
  const edge = (client: string, server: string, calls = 10, type = "service"): Edge => ({
    client,
    server,
    server_type: type,
    system: "",
    rate: calls / 10,
    errors: 0,
    p95: 1,
    calls,
  });
  test("callers stand left of whom they call, also across levels", () => {
    const map = layoutCallMap(
      [],
      [edge("a", "b"), edge("b", "c"), edge("a", "c"), edge("c", "db", 5, "database")],
    );
    expect(Object.fromEntries(map.nodes.map((n) => [n.name, n.layer]))).toEqual({ a: 0, b: 1, c: 2, db: 3 });
  });
  test("circles and calls to oneself end", () => {
    const map = layoutCallMap([], [edge("a", "b"), edge("b", "c"), edge("c", "a"), edge("a", "a")]);
    expect(map.edges).toHaveLength(3);
    expect(map.edges.filter((e) => e.back)).toHaveLength(1);
  });
  test("the order of the answer does not move anything", () => {
    const edges = [edge("a", "b"), edge("a", "c"), edge("d", "c"), edge("b", "e"), edge("c", "e")];
    const place = (list: Edge[]) => layoutCallMap([], list).nodes.map((n) => [n.name, n.layer, n.row]);
    expect(place([...edges].reverse())).toEqual(place(edges));
  });
  test("very many calls are cut, and counted", () => {
    const many = Array.from({ length: 500 }, (_, i) => edge(`s${i}`, `s${i + 1}`, i + 1));
    const map = layoutCallMap([], many);
    expect(map.edges.length + map.hidden).toBe(500);
    expect(map.edges.length).toBeLessThanOrEqual(60);
  });
  test("thousands of services that call nobody do not fill the map", () => {
    const services = Array.from({ length: 5000 }, (_, i) => ({ name: `s${i}`, rate: 1 }));
    expect(layoutCallMap(services, [edge("s1", "s2")]).nodes).toHaveLength(2);
    expect(layoutCallMap(services.slice(0, 5), [edge("s1", "s2")]).nodes).toHaveLength(5);
  });
  test("a queue before its consumer is no service", () => {
    const map = layoutCallMap(
      [{ name: "mailer", rate: 1 }],
      [{ ...edge("mails", "mailer"), system: "rabbitmq" }],
    );
    expect(map.nodes.map((n) => [n.name, n.type])).toEqual([
      ["mailer", "service"],
      ["mails", "messaging"],
    ]);
  });
  test("a database and a service of one name are two", () => {
    expect(layoutCallMap([], [edge("a", "x"), edge("a", "x", 3, "database")]).nodes).toHaveLength(3);
  });
});

test("a service keeps its mark, and marks are spread", () => {
  expect(serviceMark("orders")).toEqual(serviceMark("orders"));
  const colors = new Set(Array.from({ length: 100 }, (_, i) => serviceMark(`service-${i}`).color));
  expect(colors.size).toBe(10);
});

test("the palette finds what is meant", () => {
  expect(score("shop-gateway", "gate")).toBeGreaterThan(score("aggregate", "gate"));
  expect(score("shop-gateway", "sg")).toBeGreaterThan(0);
  expect(score("shop-gateway", "xyz")).toBe(0);
});

describe("snippets", () => {
  const page = "http://mon:8272";
  test("a Prometheus writes to the page's address", () => {
    const way = snippets("http://mon:4318", "", page).find((s) => s.id === "prometheus")!;
    expect(way.steps.map((s) => s.code).join()).toContain(`${page}/prometheus/api/v1/write`);
    expect(new Set(way.steps.map((s) => s.title)).size).toBe(way.steps.length);
  });
  test("the default address needs no words", () => {
    expect(snippets("http://127.0.0.1:4318", "http://127.0.0.1:4317", page)[0]!.steps[0]!.code).toBe(
      "varan run -- python app.py",
    );
  });
  test("another address is told", () => {
    const [python, otel] = snippets("http://mon:4318", "http://mon:4317", page);
    expect(python!.steps[0]!.code).toContain("VARAN_ENDPOINT=http://mon:4318 ");
    expect(otel!.steps[1]!.code).toContain("OTEL_EXPORTER_OTLP_ENDPOINT=http://mon:4317");
  });
  test("a server without gRPC does not offer it", () => {
    const text = JSON.stringify(snippets("http://mon:4318", "", page));
    expect(text).not.toMatch(/grpc/i);
  });
  test.each([
    ["", "http://h:4318"],
    ["127.0.0.1:4318", "http://127.0.0.1:4318"],
    ["http://0.0.0.0:4318", "http://h:4318"],
    ["http://[::]:4318", "http://h:4318"],
  ])("address %s", (address, url) => expect(reachable(address, "h", "http://h:4318")).toBe(url));
});

test("rates of steps that the range covers in part", () => {
  const steps = (from: number, to: number) => ({
    from_ns: `${from}000000000`,
    to_ns: `${to}000000000`,
    step_ns: 30e9,
    times: [60, 90, 120],
  });
  // Left out beside whole ones, and told by the time they cover when there is no other.
  expect(wholeSteps([1, 2, null], steps(75, 135))).toEqual([null, 2, null]);
  expect(wholeSteps([1, 2, 3], steps(60, 150))).toEqual([1, 2, 3]);
  expect(wholeSteps([1, 2, null], steps(75, 100))).toEqual([2, 6, null]);
  expect(wholeSteps([], steps(60, 150))).toEqual([]);
});
