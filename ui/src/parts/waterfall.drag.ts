/** What a pressed pointer does on the waterfall: pan, pinch, move the edge of the names, or just click. */
import { type Geometry, plotWidth, xToTime } from "./waterfall.geometry";
import { panView, type View, zoomView } from "./waterfall.model";

export interface Place {
  x: number;
  y: number;
  /** Row below the pointer; may be beyond the last one. */
  index: number;
}

export interface Drag {
  place: (event: MouseEvent) => Place;
  geometry: Geometry;
  view: View;
  extent: View;
  /** Pressed pointers and where they are; lives as long as the waterfall. */
  pointers: Map<number, number>;
  scroller: HTMLElement | null;
  setView: (view: View) => void;
  /** `done` when the edge is let go. */
  setNames: (width: number, done: boolean) => void;
  /** The pointer began to move: not a click any more. */
  onMove: () => void;
  onClick: (place: Place) => void;
}

/** Nearer than this to the edge of the names, the edge is taken hold of. */
const EDGE_PX = 5;
/** A click may tremble this far. */
const CLICK_PX = 4;

export const onEdge = (x: number, g: Geometry): boolean => g.names > 0 && Math.abs(x - g.names) < EDGE_PX;

export function startDrag(event: PointerEvent, d: Drag): void {
  if (event.button !== 0) return;
  const element = event.currentTarget as HTMLElement;
  const { geometry: g, view: start, pointers } = d;
  const from = d.place(event);
  const scroll = g.scroll;
  const edge = onEdge(from.x, g);
  let moved = false;
  pointers.set(event.pointerId, from.x);
  const pinch = pointers.size === 2 ? ([...pointers.values()] as [number, number]) : null;

  const move = (e: PointerEvent) => {
    const at = d.place(e);
    pointers.set(e.pointerId, at.x);
    if (pinch && pointers.size === 2) {
      const [a, b] = [...pointers.values()] as [number, number];
      const factor = Math.max(10, Math.abs(pinch[0] - pinch[1])) / Math.max(10, Math.abs(a - b));
      d.setView(zoomView(start, xToTime((pinch[0] + pinch[1]) / 2, start, g), factor, d.extent));
      moved = true;
      return;
    }
    if (pointers.size > 1) return;
    const dx = at.x - from.x;
    const dy = at.y - from.y;
    if (!moved) {
      if (Math.hypot(dx, dy) < CLICK_PX) return;
      moved = true;
      element.setPointerCapture(e.pointerId);
      d.onMove();
    }
    if (edge) {
      d.setNames(g.names + dx, false);
      return;
    }
    if (from.x > g.names) d.setView(panView(start, (-dx / plotWidth(g)) * (start.to - start.from), d.extent));
    if (e.pointerType === "mouse" && d.scroller) d.scroller.scrollTop = scroll - dy;
  };
  const done = (e: PointerEvent) => {
    pointers.delete(e.pointerId);
    element.removeEventListener("pointermove", move);
    element.removeEventListener("pointerup", done);
    element.removeEventListener("pointercancel", done);
    if (edge && moved) d.setNames(g.names + d.place(e).x - from.x, true);
    if (!moved && e.type !== "pointercancel") d.onClick(from);
  };
  element.addEventListener("pointermove", move);
  element.addEventListener("pointerup", done);
  element.addEventListener("pointercancel", done);
}
