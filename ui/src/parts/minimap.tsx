/**
 * The whole trace in a strip above the waterfall. Dragging chooses the stretch of time that is shown, the edges
 * of the chosen stretch can be moved, its middle shifts it, a double click shows everything again.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { colors } from "../theme/theme";
import { drawMinimap, gripAt } from "./minimap.draw";
import { serviceHex } from "./servicename";
import { type CriticalPath, clampView, type Tree, VIEW_MIN_NS, type View, zoomView } from "./waterfall.model";
import "./minimap.css";

export interface MinimapProps {
  tree: Tree;
  critical: CriticalPath;
  view: View;
  onView: (view: View) => void;
  format: (ns: number) => string;
}

export const MINIMAP_HEIGHT = 52;

export function Minimap({ tree, critical, view, onView, format }: MinimapProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const latest = useRef({ view, onView });
  latest.current = { view, onView };
  const palette = colors.value;

  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    const element = canvas.current;
    if (!element || !width) return;
    const ratio = devicePixelRatio || 1;
    element.width = Math.round(width * ratio);
    element.height = Math.round(MINIMAP_HEIGHT * ratio);
    const ctx = element.getContext("2d")!;
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawMinimap(ctx, tree, critical, width, MINIMAP_HEIGHT, {
      line: palette.line,
      text: palette.text,
      bad: palette.bad,
      service: serviceHex,
    });
  }, [tree, critical, width, palette]);

  const extent = { from: tree.from_ns, to: tree.to_ns };
  const length = extent.to - extent.from;

  const onPointerDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    const element = event.currentTarget as HTMLElement;
    const left = element.getBoundingClientRect().left;
    const wide = element.clientWidth;
    const start = latest.current.view;
    const x0 = event.clientX - left;
    const grip = gripAt(x0, start, tree, wide);
    const time = (x: number) => extent.from + (Math.min(Math.max(0, x), wide) / wide) * length;
    element.setPointerCapture(event.pointerId);
    const move = (e: PointerEvent) => {
      const x = e.clientX - left;
      const at = time(x);
      if (grip === "move") {
        const by = ((x - x0) / wide) * length;
        latest.current.onView(clampView({ from: start.from + by, to: start.to + by }, extent));
      } else if (grip === "from") {
        latest.current.onView({ from: Math.min(at, start.to - VIEW_MIN_NS), to: start.to });
      } else if (grip === "to") {
        latest.current.onView({ from: start.from, to: Math.max(at, start.from + VIEW_MIN_NS) });
      } else if (Math.abs(x - x0) > 3) {
        const a = time(x0);
        latest.current.onView(clampView({ from: Math.min(a, at), to: Math.max(a, at) }, extent));
      }
    };
    const up = () => {
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointercancel", up);
    };
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", up, { once: true });
    element.addEventListener("pointercancel", up, { once: true });
  };

  const onWheel = (event: WheelEvent) => {
    event.preventDefault();
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const at = extent.from + ((event.clientX - box.left) / box.width) * length;
    onView(
      zoomView(view, Math.min(Math.max(at, view.from), view.to), Math.exp(event.deltaY * 0.002), extent),
    );
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const step = (view.to - view.from) * 0.2;
    let next: View | null = null;
    if (event.key === "ArrowLeft") next = { from: view.from - step, to: view.to - step };
    else if (event.key === "ArrowRight") next = { from: view.from + step, to: view.to + step };
    else if (event.key === "+" || event.key === "=")
      next = zoomView(view, (view.from + view.to) / 2, 0.6, extent);
    else if (event.key === "-") next = zoomView(view, (view.from + view.to) / 2, 1 / 0.6, extent);
    else if (event.key === "0" || event.key === "Home") next = extent;
    if (!next) return;
    event.preventDefault();
    onView(clampView(next, extent));
  };

  const share = (t: number) => ((t - extent.from) / length) * 100;
  const zoomed = view.to - view.from < length * 0.9999;
  return (
    <div
      class={`minimap ${zoomed ? "zoomed" : ""}`}
      style={{ height: `${MINIMAP_HEIGHT}px` }}
      role="slider"
      tabIndex={0}
      aria-label="Shown stretch of the trace"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(share((view.from + view.to) / 2))}
      aria-valuetext={`${format(view.from - extent.from)} to ${format(view.to - extent.from)} of ${format(length)}`}
      onPointerDown={onPointerDown}
      onDblClick={() => onView(extent)}
      onWheel={onWheel}
      onKeyDown={onKeyDown}
    >
      <canvas ref={canvas} />
      {zoomed && (
        <>
          <div class="minimap-off" style={{ left: 0, width: `${share(view.from)}%` }} />
          <div class="minimap-off" style={{ left: `${share(view.to)}%`, right: 0 }} />
          <div
            class="minimap-window"
            style={{ left: `${share(view.from)}%`, width: `${share(view.to) - share(view.from)}%` }}
          >
            <i />
            <i />
          </div>
        </>
      )}
    </div>
  );
}
