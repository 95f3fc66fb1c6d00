/**
 * Places the nodes of the map of calls: callers to the left of whom they call, as few crossings as a few sweeps
 * find. The same services give the same picture, so that live updates move nothing.
 */
import type { Edge } from "../api-types";

export interface MapNode {
  key: string;
  name: string;
  /** "service", or what else is called: database, messaging, external, … */
  type: string;
  system: string;
  layer: number;
  /** Place within the layer, 0 first. */
  row: number;
  /** Requests per second it answers. */
  rate: number;
}

export interface MapEdge {
  from: MapNode;
  to: MapNode;
  edge: Edge;
  /** Points against the direction of the map: part of a circle of calls. */
  back: boolean;
}

export interface CallMap {
  nodes: MapNode[];
  edges: MapEdge[];
  layers: MapNode[][];
  /** Edges left out because there were too many, least traffic first. */
  hidden: number;
}

const mostEdges = 60;
const mostNodes = 30;

const serverKey = (e: Edge): string =>
  e.server_type === "service" ? e.server : `${e.server_type}:${e.server}`;

export function layoutCallMap(
  services: readonly { name: string; rate: number }[],
  all: readonly Edge[],
): CallMap {
  const byTraffic = [...all].sort(
    (a, b) => b.calls - a.calls || a.client.localeCompare(b.client) || a.server.localeCompare(b.server),
  );
  const used = byTraffic.slice(0, mostEdges);
  const nodes = new Map<string, MapNode>();
  const node = (key: string, name: string, type: string, system: string): MapNode => {
    let n = nodes.get(key);
    if (!n) {
      n = { key, name, type, system, layer: 0, row: 0, rate: 0 };
      nodes.set(key, n);
    }
    return n;
  };
  const known = new Set(services.map((s) => s.name));
  for (const e of used) if (e.server_type === "service") known.add(e.server);
  const called = new Set(used.flatMap((e) => [e.client, e.server]));
  const alone = services.filter((s) => !called.has(s.name));
  // Those that call nothing and are called by nobody: drawn as long as there is room.
  const drawn =
    called.size + alone.length <= mostNodes ? services : services.filter((s) => called.has(s.name));
  for (const s of drawn) node(s.name, s.name, "service", "").rate = s.rate;
  for (const e of used) {
    // A queue that hands messages to a consumer stands as its client, and is no service.
    const queue = e.system !== "" && !known.has(e.client);
    node(e.client, e.client, queue ? "messaging" : "service", queue ? e.system : "");
    const n = node(serverKey(e), e.server, e.server_type, e.system);
    if (e.server_type !== "service") n.rate += e.rate;
  }
  const names = [...nodes.keys()].sort();
  const out = new Map<string, { to: string; edge: Edge }[]>(names.map((k) => [k, []]));
  const indegree = new Map<string, number>(names.map((k) => [k, 0]));
  for (const edge of used) {
    const to = serverKey(edge);
    if (to === edge.client) continue;
    out.get(edge.client)!.push({ to, edge });
    indegree.set(to, indegree.get(to)! + 1);
  }
  for (const list of out.values()) list.sort((a, b) => a.to.localeCompare(b.to));

  // Depth first from those nobody calls; an edge back to a node on the path closes a circle.
  const back = new Set<Edge>();
  const state = new Map<string, "open" | "done">();
  const finished: string[] = [];
  const visit = (key: string): void => {
    state.set(key, "open");
    for (const { to, edge } of out.get(key)!) {
      if (state.get(to) === "open") back.add(edge);
      else if (!state.has(to)) visit(to);
    }
    state.set(key, "done");
    finished.push(key);
  };
  const starts = [...names].sort((a, b) => indegree.get(a)! - indegree.get(b)! || a.localeCompare(b));
  for (const key of starts) if (!state.has(key)) visit(key);

  // Longest path from the left; the reverse of the order of finishing is a topological order.
  for (const key of finished.reverse()) {
    const from = nodes.get(key)!;
    for (const { to, edge } of out.get(key)!) {
      const target = nodes.get(to)!;
      if (!back.has(edge)) target.layer = Math.max(target.layer, from.layer + 1);
    }
  }
  const edges: MapEdge[] = used
    .filter((e) => serverKey(e) !== e.client)
    .map((e) => ({ from: nodes.get(e.client)!, to: nodes.get(serverKey(e))!, edge: e, back: back.has(e) }));

  const layers: MapNode[][] = [];
  for (const key of names) {
    const n = nodes.get(key)!;
    while (layers.length <= n.layer) layers.push([]);
    layers[n.layer]!.push(n);
  }
  order(layers, edges);
  return { nodes: names.map((k) => nodes.get(k)!), edges, layers, hidden: all.length - used.length };
}

/** Barycentres, left to right and back, a few times: neighbours draw nodes to their height. */
function order(layers: MapNode[][], edges: readonly MapEdge[]): void {
  for (const layer of layers)
    layer.forEach((n, i) => {
      n.row = i;
    });
  const height = (n: MapNode) => n.row - (layers[n.layer]!.length - 1) / 2;
  for (let sweep = 0; sweep < 6; sweep++) {
    const forward = sweep % 2 === 0;
    for (const layer of forward ? layers : [...layers].reverse()) {
      const weight = new Map<MapNode, number>();
      for (const n of layer) {
        const near = edges
          .filter((e) => (forward ? e.to === n : e.from === n))
          .map((e) => (forward ? e.from : e.to));
        weight.set(n, near.length ? near.reduce((sum, m) => sum + height(m), 0) / near.length : height(n));
      }
      layer.sort((a, b) => weight.get(a)! - weight.get(b)! || a.key.localeCompare(b.key));
      layer.forEach((n, i) => {
        n.row = i;
      });
    }
  }
}
