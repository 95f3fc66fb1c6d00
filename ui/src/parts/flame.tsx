/**
 * A flame graph on a canvas: a click or Enter zooms to a call, Escape shows all again, arrow keys walk from caller
 * to callee and between siblings. What is under the pointer or the cursor is told beside it, and to screen readers;
 * a table of the same functions belongs beside every graph.
 *
 * <Flame tree={tree} unit={duration} search={found} focus={node} onFocus={setNode} label="CPU time" />
 */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { colors } from "../theme/theme";
import { copyText } from "./copybutton";
import "./flame.css";
import { boxOf, drawFlame, type FlameView, fullHeight, nodeAt, ROW } from "./flame.draw";
import type { FlameTree } from "./flame.model";
import type { Search } from "./flame.table";
import { FlameTip, frameText, spoken } from "./flame.tip";

export interface FlameProps {
  tree: FlameTree;
  label: string;
  /** Prints a value. */
  unit: (value: number) => string;
  search?: Search | null;
  /** The node that fills the width; 0 shows all. */
  focus: number;
  onFocus: (node: number) => void;
  /** "s": the function from both sides. */
  onSandwich?: (fn: number) => void;
  /** "o": the lines of the function. */
  onSource?: (fn: number) => void;
  /** Most px; the graph scrolls inside of them. Without it the graph is as high as its calls; the screen scrolls. */
  maxHeight?: number;
  /** Calls grow upwards: for callers. */
  up?: boolean;
  dim?: boolean;
  /** A function that is pointed at in another graph; -1: none. */
  marked?: number;
  onPoint?: (fn: number) => void;
}

export function Flame(props: FlameProps) {
  const { tree, up = false } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [hover, setHover] = useState(-1);
  const [pointer, setPointer] = useState({ x: 0, y: 0 });
  const [cursor, setCursor] = useState(0);
  const [focused, setFocused] = useState(false);
  const [scroll, setScroll] = useState(0);
  const [room, setRoom] = useState(600);
  const focus = props.focus < tree.length ? props.focus : 0;
  const full = fullHeight(tree);
  const inside = props.maxHeight !== undefined;
  const height = Math.max(2 * ROW, Math.min(full, props.maxHeight ?? room));

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    setWidth(element.clientWidth);
    return () => observer.disconnect();
  }, []);
  // Newer data keep the cursor and the place scrolled to.
  const kept = useRef({ tree, key: "" });
  useLayoutEffect(() => {
    if (kept.current.tree !== tree) {
      setHover(-1);
      setCursor(tree.find(kept.current.key));
      kept.current.tree = tree;
    } else kept.current.key = tree.key(Math.min(cursor, tree.length - 1));
  }, [tree, cursor]);
  useLayoutEffect(() => {
    if (up && inside && scroller.current) scroller.current.scrollTop = full - height;
  }, [up, full, height, inside]);
  // The canvas is as high as what scrolls, and shows the part of the graph that is in sight.
  useLayoutEffect(() => {
    const own = scroller.current;
    const outer = inside ? own : (own?.closest<HTMLElement>(".split-main, main") ?? null);
    if (!own || !outer) return;
    const read = () => {
      if (!inside) setRoom(outer.clientHeight);
      setScroll(
        inside
          ? own.scrollTop
          : Math.max(0, outer.getBoundingClientRect().top - own.getBoundingClientRect().top),
      );
    };
    read();
    outer.addEventListener("scroll", read, { passive: true });
    window.addEventListener("resize", read);
    return () => {
      outer.removeEventListener("scroll", read);
      window.removeEventListener("resize", read);
    };
  }, [inside, full]);

  const view: FlameView = {
    focus,
    width,
    height,
    scroll: Math.max(0, Math.min(scroll, full - height)),
    hover,
    cursor: Math.min(cursor, tree.length - 1),
    focused,
    search: props.search ?? null,
    marked: props.marked ?? -1,
    up,
  };
  const tokens = colors.value;
  useLayoutEffect(() => {
    const frame = requestAnimationFrame(() => {
      const element = canvas.current;
      const ctx = element?.getContext("2d");
      if (!element || !ctx || !width) return;
      const scale = devicePixelRatio || 1;
      const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
      if (element.width !== w || element.height !== h) {
        element.width = w;
        element.height = h;
      }
      ctx.setTransform(scale, 0, 0, scale, 0, 0);
      const font = getComputedStyle(document.documentElement).getPropertyValue("--font") || "sans-serif";
      drawFlame(ctx, tree, view, { tokens, font });
    });
    return () => cancelAnimationFrame(frame);
  });

  const reveal = (node: number) => {
    const own = scroller.current;
    const box = inside ? own : own?.closest(".split-main, main");
    if (!own || !box || node === 0) return;
    const seen = box.getBoundingClientRect();
    const row = up ? full - (tree.depth[node]! + 1) * ROW : tree.depth[node]! * ROW;
    const top = own.getBoundingClientRect().top - seen.top + row - (inside ? own.scrollTop : 0);
    if (top < 0 || top + ROW > seen.height)
      box.scrollTop += top - (up ? seen.height - 4 * ROW : Math.min(3 * ROW, seen.height / 3));
  };
  useEffect(() => reveal(focus), [tree, focus]);

  const placeOf = (event: MouseEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const point = (event: PointerEvent) => {
    const at = placeOf(event);
    const node = nodeAt(tree, view, at.x, at.y);
    setPointer(at);
    if (node !== hover) {
      setHover(node);
      props.onPoint?.(node > 0 ? tree.fn[node]! : -1);
    }
  };
  const leave = () => {
    setHover(-1);
    props.onPoint?.(-1);
  };
  const zoom = (node: number) => {
    if (node < 0) return;
    setCursor(node);
    if (node !== focus) props.onFocus(node);
  };
  const walk = (to: number) => {
    setHover(-1);
    setCursor(to);
    reveal(to);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // Pointed at, a call need not be walked to.
    const fn = tree.fn[hover >= 0 ? hover : view.cursor]!;
    const step = stepTo(tree, view.cursor, event.key, up);
    if (step >= 0) walk(step);
    else if (event.key === "Enter" || event.key === " ") zoom(view.cursor);
    else if (event.key === "Escape" && focus > 0) props.onFocus(0);
    else if (event.key === "Backspace" && focus > 0) zoom(tree.parent[focus]!);
    else if (event.key === "s" && fn >= 0 && props.onSandwich) props.onSandwich(fn);
    else if (event.key === "o" && fn >= 0 && props.onSource) props.onSource(fn);
    else if (event.key === "c" && fn >= 0) void copyText(frameText(tree.functions[fn]!));
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const told = hover >= 0 ? hover : focused ? view.cursor : -1;
  const box = told >= 0 ? boxOf(tree, view, told) : null;
  const rowY = (depth: number) => (up ? full - (depth + 1) * ROW : depth * ROW);
  const above = inside ? view.scroll : 0; // rows that are scrolled out of the part itself
  const place =
    hover >= 0
      ? { x: pointer.x + 14, y: pointer.y + 18 + view.scroll - above }
      : box && { x: Math.max(0, box.x) + 8, y: rowY(tree.depth[told]!) + ROW + 4 - above };
  return (
    <div class={`flame ${props.dim ? "dim" : ""}`}>
      <div
        class={inside ? "flame-scroll" : ""}
        ref={scroller}
        style={{ height: `${inside ? height : full}px` }}
      >
        <div style={{ height: `${full}px` }}>
          <canvas
            ref={canvas}
            class="flame-canvas"
            style={{ width: `${width}px`, height: `${height}px` }}
            tabIndex={0}
            role="img"
            aria-label={`${props.label}: flame graph of ${tree.length - 1} calls. Arrow keys walk, Enter zooms, Escape shows all, c copies. The table of functions holds the same figures.`}
            onPointerMove={point}
            onPointerLeave={leave}
            onClick={(e) => {
              // What is there now: a finger did not point before, and newer data may have come since.
              const at = placeOf(e);
              zoom(nodeAt(tree, view, at.x, at.y));
            }}
            onFocus={(e) => setFocused(e.currentTarget.matches(":focus-visible"))}
            onBlur={() => setFocused(false)}
            onKeyDown={(e) => {
              setFocused(true);
              onKeyDown(e);
            }}
          />
        </div>
      </div>
      {place && told >= 0 && (
        <FlameTip tree={tree} node={told} unit={props.unit} x={place.x} y={place.y} width={width} up={up} />
      )}
      <span class="sr" aria-live="polite">
        {focused && hover < 0 ? spoken(tree, view.cursor, props.unit) : ""}
      </span>
    </div>
  );
}

/** Where an arrow key leads from a node; -1: not a key of movement. */
export function stepTo(t: FlameTree, at: number, key: string, up: boolean): number {
  const [deeper, higher] = up ? ["ArrowUp", "ArrowDown"] : ["ArrowDown", "ArrowUp"];
  const parent = t.parent[at]!;
  if (key === deeper) return t.end[at]! > at + 1 ? at + 1 : at;
  if (key === higher) return parent;
  if (key === "Home") return 0;
  if (key === "ArrowRight") return at > 0 && t.end[at]! < t.end[parent]! ? t.end[at]! : at;
  if (key !== "ArrowLeft") return -1;
  let before = at;
  for (let i = parent + 1; at > 0 && i < at; i = t.end[i]!) before = i;
  return before;
}
