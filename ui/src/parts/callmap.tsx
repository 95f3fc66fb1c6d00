/**
 * The map of calls: who calls whom, traffic as width, errors as colour and in figures. Nodes lead to their
 * service, edges to the traces over them.
 *
 * <CallMapView services={d.services} edges={d.edges} />
 */
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Edge, ServiceRow } from "../api-types";
import { duration, rate, ratio } from "../format";
import { href, segment } from "../router";
import { condition } from "../state";
import "./callmap.css";
import { layoutCallMap, type MapEdge, type MapNode } from "./callmap-layout";
import { textWidth } from "./measure";
import { shorten } from "./name";
import { serviceMark, shapePath } from "./servicename";

export interface CallMapProps {
  services: readonly ServiceRow[];
  edges: readonly Edge[];
  dim?: boolean;
}

const rowHeight = 40;
const nodeHeight = 26;
const pad = 12;
const mostHeight = 340;

/** How high the map was the last time, for the shape that stands in for it while it loads; null: not known. */
export function mapHeight(): number | null {
  try {
    const height = Number(localStorage.getItem("varan.map"));
    return height >= 40 && height <= mostHeight + 4 ? height : null;
  } catch {
    return null;
  }
}

function keepHeight(height: number): void {
  try {
    localStorage.setItem("varan.map", String(height));
  } catch {
    // The next skeleton is then a guess.
  }
}

/** The traces over an edge, as a filter. */
export function edgeFilter(e: Edge): string {
  return e.server_type === "service"
    ? `${condition("service", "=", e.server)} AND kind=server`
    : `${condition("service", "=", e.client)} AND ${condition("peer", "=", e.server)}`;
}

const edgeText = (e: Edge): string =>
  `${e.client} → ${e.server}: ${rate(e.rate)}, ${ratio(e.errors)} errors, p95 ${duration(e.p95)}`;

export function CallMapView({ services, edges, dim }: CallMapProps) {
  const host = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = host.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    setWidth(element.clientWidth);
    return () => observer.disconnect();
  }, []);

  const map = useMemo(
    () =>
      layoutCallMap(
        services.map((s) => ({ name: s.name, rate: s.rate.value ?? 0 })),
        edges,
      ),
    [services, edges],
  );
  const columns = map.layers.length;
  const rows = Math.max(1, ...map.layers.map((l) => l.length));
  const nodeWidth = Math.max(148, Math.min(196, (width - pad * 2) / Math.max(columns, 1) - 56));
  const gapWidth = Math.min(150, columns > 1 ? (width - pad * 2 - nodeWidth * columns) / (columns - 1) : 0);
  const gap = Math.max(48, gapWidth);
  const drawnWidth = pad * 2 + columns * nodeWidth + (columns - 1) * gap;
  const height = rows * rowHeight + pad;
  const shownHeight = Math.min(height, mostHeight) + 4;
  useLayoutEffect(() => keepHeight(shownHeight), [shownHeight]);
  const most = Math.max(...map.edges.map((e) => e.edge.rate), 0.001);

  const at = (n: MapNode) => {
    const inLayer = map.layers[n.layer]!.length;
    return {
      x: pad + n.layer * (nodeWidth + gap),
      y: pad / 2 + (n.row + (rows - inLayer) / 2 + 0.5) * rowHeight,
    };
  };

  return (
    <div class={`callmap ${dim ? "dim" : ""}`} ref={host} style={{ height: `${shownHeight}px` }}>
      {width > 0 && (
        <svg width={Math.max(drawnWidth, 1)} height={height} role="group" aria-label="Map of calls">
          {map.nodes.map((n) => (
            <NodeBox key={n.key} n={n} {...at(n)} width={nodeWidth} />
          ))}
          {map.edges.map((e) => (
            <EdgeLine
              key={`${e.from.key}>${e.to.key}`}
              e={e}
              a={at(e.from)}
              b={at(e.to)}
              nodeWidth={nodeWidth}
              most={most}
              height={height}
            />
          ))}
        </svg>
      )}
      {map.hidden > 0 && <p class="muted small">{map.hidden} more calls with less traffic are not drawn.</p>}
    </div>
  );
}

interface Point {
  x: number;
  y: number;
}

function EdgeLine(props: {
  e: MapEdge;
  a: Point;
  b: Point;
  nodeWidth: number;
  most: number;
  height: number;
}) {
  const { e, a, b, nodeWidth } = props;
  const width = 1 + 5 * Math.sqrt(e.edge.rate / props.most);
  const errors = e.edge.errors;
  const tint = errors <= 0 ? 0 : Math.min(100, 30 + errors * 700);
  const color = tint ? `color-mix(in srgb, var(--bad) ${tint.toFixed(0)}%, var(--strong))` : "var(--strong)";
  const [x1, y1, x2, y2] = [a.x + nodeWidth, a.y, b.x, b.y];
  const bend = Math.max(24, (x2 - x1) / 2);
  const low = Math.min(props.height - 4, Math.max(y1, y2) + rowHeight * 0.55);
  const path = e.back
    ? `M${a.x + nodeWidth / 2} ${y1 + nodeHeight / 2}C${a.x + nodeWidth / 2} ${low} ${b.x + nodeWidth / 2} ${low} ${b.x + nodeWidth / 2} ${y2 + nodeHeight / 2}`
    : `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  return (
    <a
      href={href("/traces", { filter: edgeFilter(e.edge) })}
      class="callmap-edge"
      aria-label={`${edgeText(e.edge)}. Open its traces`}
    >
      <title>{edgeText(e.edge)}</title>
      <path d={path} class="hit" />
      <path d={path} class="line" stroke={color} stroke-width={width.toFixed(1)} />
      {errors >= 0.01 && !e.back && (
        <text x={(x1 + x2) / 2} y={(y1 + y2) / 2 - width / 2 - 4} text-anchor="middle" class="callmap-errors">
          {ratio(errors)}
        </text>
      )}
    </a>
  );
}

const letters: Record<string, string> = { database: "DB", messaging: "MQ", http: "↗", external: "↗" };

function NodeBox({ n, x, y, width }: { n: MapNode; width: number } & Point) {
  const isService = n.type === "service";
  const mark = serviceMark(n.name);
  const traffic = rate(n.rate);
  const family = getComputedStyle(document.body).fontFamily;
  const room = width - 26 - 9 - 10 - textWidth(traffic, `400 11px ${family}`);
  const label = shorten(n.name, room, (t) => textWidth(t, `500 12px ${family}`));
  const box = (
    <>
      <title>{`${n.name}${isService ? "" : ` (${n.system || n.type})`}, ${rate(n.rate)}`}</title>
      <rect
        x={x}
        y={y - nodeHeight / 2}
        width={width}
        height={nodeHeight}
        rx="6"
        class={isService ? "" : "other"}
      />
      {isService ? (
        <path
          d={shapePath(mark.shape, 4)}
          transform={`translate(${x + 14} ${y})`}
          fill={`var(--series-${mark.color})`}
        />
      ) : (
        <text x={x + 14} y={y + 3} class="callmap-type" text-anchor="middle">
          {letters[n.type] ?? "•"}
        </text>
      )}
      <text x={x + 26} y={y + 4} class="callmap-name">
        {label}
      </text>
      <text x={x + width - 9} y={y + 4} class="callmap-rate" text-anchor="end">
        {traffic}
      </text>
    </>
  );
  return isService ? (
    <a
      href={href(`/services/${segment(n.name)}`)}
      class="callmap-node"
      aria-label={`${n.name}, ${rate(n.rate)}`}
    >
      {box}
    </a>
  ) : (
    <g class="callmap-node">{box}</g>
  );
}
