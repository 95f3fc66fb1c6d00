/**
 * How long requests took, over time: a heat map with a logarithmic axis of durations, percentile marks and a
 * strip of errors. Dragging chooses a box; with the keyboard, arrows move a cell, Shift + arrows span a box,
 * Enter takes it, Escape lets it go.
 *
 * <Heatmap data={histogram} box={box} onBox={setBox} label="Durations of requests" />
 */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { DurationHistogram } from "../api-types";
import { clock, count, duration, full } from "../format";
import { colors } from "../theme/theme";
import {
  type Box,
  bound,
  boxOf,
  cellAt,
  drawHeatmap,
  type HeatScale,
  heatGeometry,
  heatScale,
} from "./heatmap.draw";
import "./heatmap.css";

export interface HeatmapProps {
  data: DurationHistogram;
  label: string;
  box: Box | null;
  onBox: (box: Box | null) => void;
  height?: number;
  dim?: boolean;
}

type Cell = [number, number];

export const HEATMAP_HEIGHT = 200;

export function Heatmap({ data, label, box, onBox, height = HEATMAP_HEIGHT, dim }: HeatmapProps) {
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [hover, setHover] = useState<Cell | null>(null);
  const [drag, setDrag] = useState<{ x1: number; y1: number; x2: number; y2: number } | null>(null);
  const [anchor, setAnchor] = useState<Cell | null>(null);
  const palette = colors.value;
  const scale = useMemo<HeatScale>(
    () => heatScale(data, heatGeometry(Math.max(width, 60), height)),
    [data, width, height],
  );

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const shown = anchor && hover ? boxOf(data, anchor, hover) : box;
  useLayoutEffect(() => {
    const element = canvas.current;
    if (!element || !width) return;
    const ratio = devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (element.width !== w || element.height !== h) {
      element.width = w;
      element.height = h;
    }
    const ctx = element.getContext("2d")!;
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    const font = getComputedStyle(document.documentElement).getPropertyValue("--font") || "sans-serif";
    drawHeatmap(ctx, data, scale, { hover, box: shown, drag, formatDuration: duration, font }, palette);
  }, [data, scale, hover, shown, drag, palette, width, height]);

  const place = (e: PointerEvent) => {
    const r = canvas.current!.getBoundingClientRect();
    return { x: e.clientX - r.left, y: e.clientY - r.top };
  };
  const clampCell = (x: number, y: number): Cell => {
    const { g } = scale;
    const inX = Math.min(Math.max(x, g.left), g.width - g.right - 0.01);
    const inY = Math.min(Math.max(y, g.top), g.height - g.bottom - 0.01);
    return cellAt(data, scale, inX, inY) ?? [0, scale.buckets[0]];
  };

  const onPointerDown = (event: PointerEvent) => {
    if (event.button !== 0 || !data.times.length) return;
    const element = event.currentTarget as HTMLElement;
    const a = place(event);
    const outside = !cellAt(data, scale, a.x, a.y);
    element.setPointerCapture(event.pointerId);
    let last: { x1: number; y1: number; x2: number; y2: number } | null = null;
    const move = (e: PointerEvent) => {
      const b = place(e);
      if (!last && Math.hypot(b.x - a.x, b.y - a.y) < 5) return;
      last = { x1: a.x, y1: a.y, x2: b.x, y2: b.y };
      setDrag(last);
    };
    const done = (e: PointerEvent) => {
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerup", done);
      element.removeEventListener("pointercancel", done);
      setDrag(null);
      setAnchor(null);
      setHover(null);
      if (e.type === "pointercancel") return;
      if (last) onBox(boxOf(data, clampCell(last.x1, last.y1), clampCell(last.x2, last.y2)));
      else if (box) onBox(null);
      else if (!outside) {
        const cell = clampCell(a.x, a.y);
        if (data.counts[cell[0]]?.[cell[1]]) onBox(boxOf(data, cell, cell));
      }
    };
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", done);
    element.addEventListener("pointercancel", done);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const by: Record<string, Cell> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, 1],
      ArrowDown: [0, -1],
    };
    const step = by[event.key];
    if (step) {
      const at: Cell = hover ?? [
        data.times.length - 1,
        Math.floor((scale.buckets[0] + scale.buckets[1]) / 2),
      ];
      const next: Cell = [
        Math.min(Math.max(at[0] + step[0], 0), data.times.length - 1),
        Math.min(Math.max(at[1] + step[1], scale.buckets[0]), scale.buckets[1] - 1),
      ];
      setAnchor(event.shiftKey ? (anchor ?? at) : null);
      setHover(next);
    } else if (event.key === "Enter" && hover) {
      onBox(boxOf(data, anchor ?? hover, hover));
      setAnchor(null);
    } else if (event.key === "Escape" && (anchor || box)) {
      setAnchor(null);
      if (box) onBox(null);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div class={`heatmap ${dim ? "dim" : ""}`} ref={host} style={{ height: `${height}px` }}>
      {/* biome-ignore lint/a11y/noInteractiveElementToNoninteractiveRole: the keys are the picture's own */}
      <canvas
        ref={canvas}
        role="application"
        tabIndex={0}
        aria-label={`${label}. ${summary(data)} Arrow keys move, Shift with arrows chooses a box, Enter takes it.`}
        onPointerDown={onPointerDown}
        onPointerMove={(e) => {
          if (e.buttons || e.pointerType !== "mouse") return;
          const p = place(e);
          const next = cellAt(data, scale, p.x, p.y);
          if (next?.[0] !== hover?.[0] || next?.[1] !== hover?.[1]) setHover(next);
        }}
        onPointerLeave={() => {
          if (!anchor) setHover(null);
        }}
        onBlur={() => {
          setHover(null);
          setAnchor(null);
        }}
        onKeyDown={onKeyDown}
      />
      {hover && !drag && <CellTip data={data} cell={hover} scale={scale} />}
      <HeatTable data={data} label={label} />
    </div>
  );
}

function summary(h: DurationHistogram): string {
  return `${full(h.total)} requests, p50 ${duration(h.p50)}, p95 ${duration(h.p95)}, p99 ${duration(h.p99)}.`;
}

function CellTip({ data, cell, scale }: { data: DurationHistogram; cell: Cell; scale: HeatScale }) {
  const [column, bucket] = cell;
  const from = data.times[column] ?? 0;
  const to = from + data.step_ns / 1e9;
  const n = data.counts[column]?.[bucket] ?? 0;
  const errors = data.errors[column] ?? 0;
  const x = scale.x(from);
  const right = x > scale.g.width / 2;
  const y = Math.max(4, Math.min(scale.y(bound(data, bucket + 1)), scale.g.height - 90));
  const places = data.step_ns < 1e9 ? 3 : 0;
  return (
    <div
      class="heatmap-tip"
      role="status"
      style={
        right
          ? { right: `${scale.g.width - x + 10}px`, top: `${y}px` }
          : { left: `${scale.x(to) + 10}px`, top: `${y}px` }
      }
    >
      <b>{count(n)}</b> {n === 1 ? "request" : "requests"}
      <div>
        {duration(data.bounds_ns[bucket])} – {duration(data.bounds_ns[bucket + 1])}
      </div>
      <div class="muted">
        {clock(from * 1e9, places)} – {clock(to * 1e9, places)}
      </div>
      {errors > 0 && <div class="bad">{count(errors)} failed in this step</div>}
    </div>
  );
}

/** What the picture shows as figures, by step. */
function HeatTable({ data, label }: { data: DurationHistogram; label: string }) {
  const [open, setOpen] = useState(false);
  return (
    <details class="sr" onToggle={(e) => setOpen((e.currentTarget as HTMLDetailsElement).open)}>
      <summary tabIndex={-1}>{label} as a table</summary>
      {open && (
        <table>
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col">Requests</th>
              <th scope="col">Errors</th>
              <th scope="col">Slowest up to</th>
            </tr>
          </thead>
          <tbody>
            {data.times.map((t, i) => {
              const column = data.counts[i] ?? [];
              const last = column.findLastIndex((n) => n > 0);
              return (
                <tr key={t}>
                  <th scope="row">{clock(t * 1e9, 0)}</th>
                  <td>{full(column.reduce((a, b) => a + b, 0))}</td>
                  <td>{full(data.errors[i] ?? 0)}</td>
                  <td>{last < 0 ? "none" : duration(data.bounds_ns[last + 1])}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
    </details>
  );
}
