/**
 * The waterfall of a trace: names on the left, bars over time on the right, drawn on a canvas, only rows in sight.
 * Scrolls natively; Ctrl + wheel (or pinch) zooms around the pointer, dragging pans, a double click zooms to a
 * span. Arrow keys move and fold, Enter opens. A grid of rows around the cursor stands behind it for screen readers.
 *
 * <Waterfall tree={tree} critical={path} selected={node} marked={null} onSelect={…} zoom={null} onZoom={…} … />
 */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { duration } from "../format";
import { useKeys } from "../keys";
import { colors } from "../theme/theme";
import { Minimap } from "./minimap";
import { serviceHex } from "./servicename";
import { onEdge, type Place, startDrag } from "./waterfall.drag";
import { drawWaterfall } from "./waterfall.draw";
import { type Geometry, indentOf, type Palette, plotWidth, timeToX, xToTime } from "./waterfall.geometry";
import {
  type CriticalPath,
  clampView,
  type Folding,
  foldingThatShows,
  panView,
  type Row,
  rowOf,
  type SpanNode,
  type Tree,
  type View,
  visibleRows,
  zoomView,
} from "./waterfall.model";
import { drawRuler } from "./waterfall.names";
import { HiddenRows, type Hovered, offsetText, RowTip, Tools } from "./waterfall.parts";
import "./waterfall.css";

export interface WaterfallProps {
  tree: Tree;
  critical: CriticalPath;
  /** The span the side panel shows. */
  selected: SpanNode | null;
  onSelect: (node: SpanNode | null) => void;
  /** Spans to point out; the others step back. */
  marked: ReadonlySet<number> | null;
  /** The stretch of time shown, null: all of it. Told when it comes to rest. */
  zoom: View | null;
  onZoom: (view: View | null) => void;
  repeat: boolean;
  onRepeat: (on: boolean) => void;
}

const ROW = 24;
const ROW_NARROW = 40;
const RULER = 24;
const NARROW = 480;
const NAMES_LEAST = 160;
/** Share of the width that the names may take. */
const NAMES_MOST = 0.45;

function storedNames(): number {
  try {
    return Number(localStorage.getItem("varan.waterfall.names")) || 380;
  } catch {
    return 380;
  }
}

function storeNames(width: number): void {
  try {
    localStorage.setItem("varan.waterfall.names", String(width));
  } catch {
    // The width then lasts as long as the page.
  }
}

export function Waterfall(props: WaterfallProps) {
  const { tree, critical, selected, marked } = props;
  const extent = useMemo(() => ({ from: tree.from_ns, to: tree.to_ns }), [tree]);
  const [view, setView] = useState<View>(() => (props.zoom ? clampView(props.zoom, extent) : extent));
  const [closed, setClosed] = useState<ReadonlySet<number>>(new Set());
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
  const [cursor, setCursor] = useState(0);
  const [focused, setFocused] = useState(false);
  const [hovered, setHovered] = useState<Hovered | null>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [names, setNames] = useState(storedNames);
  const palette = colors.value;

  const folding: Folding = useMemo(
    () => ({ closed, opened, repeat: props.repeat }),
    [closed, opened, props.repeat],
  );
  const rows = useMemo(() => visibleRows(tree, folding), [tree, folding]);

  const scroller = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const ruler = useRef<HTMLCanvasElement>(null);
  const narrow = size.width > 0 && size.width < NARROW;
  const row = narrow ? ROW_NARROW : ROW;
  const nameWidth = narrow ? 0 : Math.max(NAMES_LEAST, Math.min(names, size.width * NAMES_MOST));

  // What the drawing needs besides props: read by handlers that must not wait for a render.
  const now = useRef({ hover: -1, at: null as number | null, frame: 0, scroll: 0 }).current;

  const geometry = (): Geometry => ({
    width: size.width,
    height: size.height,
    names: nameWidth,
    row,
    scroll: now.scroll,
  });

  const paint = () => {
    now.frame = 0;
    const main = canvas.current?.getContext("2d");
    const top = ruler.current?.getContext("2d");
    if (!main || !top || !size.width) return;
    const style = getComputedStyle(document.documentElement);
    const p: Palette = {
      bg: palette.bg,
      surface: palette.surface,
      raised: palette.raised,
      line: palette.line,
      text: palette.text,
      muted: palette.muted,
      accent: palette.accent,
      bad: palette.bad,
      font: style.getPropertyValue("--font") || "sans-serif",
      mono: style.getPropertyValue("--mono") || "monospace",
      service: serviceHex,
    };
    const g = geometry();
    drawWaterfall(
      main,
      {
        rows,
        view,
        critical,
        hover: now.hover,
        cursor,
        focused,
        selected: selected?.index ?? -1,
        marked,
        duration,
      },
      g,
      p,
    );
    if (now.at !== null) {
      const x = timeToX(now.at, view, g);
      main.fillStyle = p.muted;
      main.globalAlpha = 0.6;
      main.fillRect(Math.round(x), 0, 1, g.height);
      main.globalAlpha = 1;
    }
    drawRuler(top, view, { ...g, height: RULER }, p, offsetText, now.at);
  };
  const paintNow = useRef(paint);
  paintNow.current = paint;
  const schedule = () => {
    if (!now.frame) now.frame = requestAnimationFrame(() => paintNow.current());
  };

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    // Measured before the first paint, so that nothing moves after it.
    setSize({ width: element.clientWidth, height: element.clientHeight });
    const observer = new ResizeObserver(() => {
      setSize({ width: element.clientWidth, height: element.clientHeight });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      cancelAnimationFrame(now.frame);
      now.frame = 0;
    };
  }, [now]);

  useLayoutEffect(() => {
    const ratio = devicePixelRatio || 1;
    for (const [element, height] of [
      [canvas.current, size.height],
      [ruler.current, RULER],
    ] as const) {
      if (!element) continue;
      element.width = Math.round(size.width * ratio);
      element.height = Math.round(height * ratio);
      element.getContext("2d")?.setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    cancelAnimationFrame(now.frame);
    paintNow.current();
  }, [size, now]);
  useEffect(schedule);

  // The zoom goes into the address once it rests.
  const told = useRef(props.zoom);
  useEffect(() => {
    const whole = view.from <= extent.from && view.to >= extent.to;
    const timer = setTimeout(() => {
      told.current = whole ? null : view;
      props.onZoom(told.current);
    }, 250);
    return () => clearTimeout(timer);
  }, [view]);
  useEffect(() => {
    if (props.zoom === told.current) return;
    const same =
      props.zoom &&
      told.current &&
      props.zoom.from === Math.round(told.current.from) &&
      props.zoom.to === Math.round(told.current.to);
    if (same) return;
    told.current = props.zoom;
    setView(props.zoom ? clampView(props.zoom, extent) : extent);
  }, [props.zoom?.from, props.zoom?.to]);

  const reveal = (index: number) => {
    const element = scroller.current;
    if (!element || index < 0) return;
    const y = index * row;
    if (y < element.scrollTop) element.scrollTop = Math.max(0, y - row);
    else if (y + row > element.scrollTop + element.clientHeight)
      element.scrollTop = y + row * 2 - element.clientHeight;
  };

  // A span chosen elsewhere (address, finding, log) gets its row, opened and in sight.
  useEffect(() => {
    if (!selected || !size.height) return;
    const at = rows.findIndex((r) => r.kind === "span" && r.node === selected);
    if (at >= 0) {
      setCursor(at);
      reveal(at);
      return;
    }
    const next = foldingThatShows(tree, selected, folding);
    setClosed(next.closed);
    setOpened(next.opened);
    const list = visibleRows(tree, next);
    const found = rowOf(list, selected);
    setCursor(Math.max(0, found));
    requestAnimationFrame(() => reveal(found));
  }, [selected, tree, size.height > 0]);

  // The first of the spans pointed out comes into sight.
  useEffect(() => {
    if (!marked?.size) return;
    const at = rows.findIndex((r) =>
      r.kind === "span" ? marked.has(r.node.index) : r.group.nodes.some((n) => marked.has(n.index)),
    );
    if (at >= 0) reveal(at);
  }, [marked]);

  const toggle = (r: Row) => {
    if (r.kind === "group") {
      const next = new Set(opened);
      if (!next.delete(r.group.id)) next.add(r.group.id);
      setOpened(next);
    } else if (r.open !== null) {
      const next = new Set(closed);
      if (!next.delete(r.node.index)) next.add(r.node.index);
      setClosed(next);
    }
  };
  const zoomTo = (from: number, to: number) => {
    const air = Math.max((to - from) * 0.08, 100);
    setView(clampView({ from: from - air, to: to + air }, extent));
  };
  const zoomRow = (r: Row) =>
    r.kind === "group" ? zoomTo(r.group.from_ns, r.group.to_ns) : zoomTo(r.node.span.start_ns, r.node.end_ns);
  const act = (r: Row | undefined) => {
    if (!r) return;
    if (r.kind === "group") toggle(r);
    else props.onSelect(r.node === selected ? null : r.node);
  };
  const moveTo = (index: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, index));
    setCursor(next);
    reveal(next);
    const r = rows[next];
    // With the panel open the arrows walk through the spans.
    if (selected && r?.kind === "span") props.onSelect(r.node);
  };
  const parentOf = (r: Row): number => {
    for (let i = rows.indexOf(r) - 1; i >= 0; i--) if (rows[i]!.depth < r.depth) return i;
    return 0;
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const r = rows[cursor];
    const page = Math.max(1, Math.floor(size.height / row) - 1);
    const middle = (view.from + view.to) / 2;
    const length = view.to - view.from;
    switch (event.key) {
      case "ArrowDown":
        moveTo(cursor + 1);
        break;
      case "ArrowUp":
        moveTo(cursor - 1);
        break;
      case "PageDown":
        moveTo(cursor + page);
        break;
      case "PageUp":
        moveTo(cursor - page);
        break;
      case "Home":
        moveTo(0);
        break;
      case "End":
        moveTo(rows.length - 1);
        break;
      case "ArrowRight":
        if (event.shiftKey) setView(panView(view, length * 0.2, extent));
        else if (r?.open === false) toggle(r);
        else if (r?.open) moveTo(cursor + 1);
        break;
      case "ArrowLeft":
        if (event.shiftKey) setView(panView(view, -length * 0.2, extent));
        else if (r?.open) toggle(r);
        else if (r) moveTo(parentOf(r));
        break;
      case "Enter":
        act(r);
        break;
      case " ":
        if (r) toggle(r);
        break;
      case "+":
      case "=":
        setView(zoomView(view, middle, 0.6, extent));
        break;
      case "-":
        setView(zoomView(view, middle, 1 / 0.6, extent));
        break;
      case "0":
        setView(extent);
        break;
      case "f":
        if (r) zoomRow(r);
        break;
      default:
        return;
    } // prettier-ignore
    event.preventDefault();
    event.stopPropagation();
  };
  useKeys([
    { key: "j", help: "Next span", run: () => moveTo(cursor + 1) },
    { key: "k", help: "Span before", run: () => moveTo(cursor - 1) },
    { key: "f", help: "Zoom to the span", run: () => (rows[cursor] ? zoomRow(rows[cursor]) : false) },
    { key: "0", help: "Show the whole trace", run: () => setView(extent) },
  ]);

  // ---- pointer
  const place = (event: MouseEvent): Place => {
    const box = canvas.current!.getBoundingClientRect();
    const x = event.clientX - box.left;
    const y = event.clientY - box.top;
    return { x, y, index: Math.floor((y + now.scroll) / row) };
  };
  const hover = (event: PointerEvent | null) => {
    const p = event ? place(event) : null;
    const index = p && p.index < rows.length ? p.index : -1;
    now.at = p && p.x > nameWidth ? xToTime(p.x, view, geometry()) : null;
    if (now.at !== null && (now.at < view.from || now.at > view.to)) now.at = null;
    if (index !== now.hover || !p) {
      now.hover = index;
      setHovered(
        p && index >= 0 && event?.pointerType === "mouse" ? { row: rows[index]!, x: p.x, y: p.y } : null,
      );
    } else if (hovered && p) setHovered({ ...hovered, x: p.x, y: p.y });
    schedule();
  };

  const pointers = useRef(new Map<number, number>()).current;
  const onClick = (p: Place) => {
    const r = rows[p.index];
    if (!r) return;
    setCursor(p.index);
    setHovered(null);
    const left = indentOf(r.depth, geometry());
    const onMark =
      r.open !== null &&
      p.x >= left - 6 &&
      p.x <= left + 14 &&
      (nameWidth > 0 || p.y + now.scroll - p.index * row < 24);
    if (onMark || (r.kind === "group" && p.x < nameWidth)) toggle(r);
    else act(r);
  };
  const onPointerDown = (event: PointerEvent) =>
    startDrag(event, {
      place,
      geometry: geometry(),
      view,
      extent,
      pointers,
      scroller: scroller.current,
      setView,
      setNames: (width, done) => {
        const next = Math.round(Math.max(NAMES_LEAST, Math.min(width, size.width * NAMES_MOST)));
        setNames(next);
        if (done) storeNames(next);
      },
      onMove: () => setHovered(null),
      onClick,
    });

  const onWheel = (event: WheelEvent) => {
    const p = place(event);
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      const at = Math.min(Math.max(xToTime(p.x, view, geometry()), view.from), view.to);
      setView((v) => zoomView(v, at, Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.008), extent));
    } else if (sideways) {
      event.preventDefault();
      const by = (event.deltaX || event.deltaY) / plotWidth(geometry());
      setView((v) => panView(v, by * (v.to - v.from), extent));
    }
  };

  const services = useMemo(() => [...new Set(tree.nodes.map((n) => n.span.service))], [tree]);
  const foldable = useMemo(() => tree.nodes.filter((n) => n.children.length).map((n) => n.index), [tree]);
  const zoomed = view.to - view.from < (extent.to - extent.from) * 0.9999;
  const current = rows[cursor];

  return (
    <div class="wf" style={{ "--names": `${nameWidth}px` }}>
      <Tools
        services={services}
        closed={closed.size > 0}
        foldable={foldable.length > 1}
        onExpand={() => setClosed(new Set())}
        onCollapse={() => {
          setClosed(new Set(foldable.filter((i) => tree.nodes[i]!.depth >= 1)));
          scroller.current?.scrollTo({ top: 0 });
        }}
        repeat={props.repeat}
        onRepeat={props.onRepeat}
        shown={zoomed ? view.to - view.from : null}
        onZoom={(factor) =>
          setView(factor ? zoomView(view, (view.from + view.to) / 2, factor, extent) : extent)
        }
      />
      <div class="wf-mini">
        <Minimap tree={tree} critical={critical} view={view} onView={setView} format={duration} />
      </div>
      <canvas class="wf-ruler" ref={ruler} style={{ height: `${RULER}px` }} onWheel={onWheel} />
      <div
        class="wf-rows"
        ref={scroller}
        role="treegrid"
        aria-label="Spans of the trace"
        aria-rowcount={rows.length}
        aria-activedescendant={current ? `wf-row-${cursor}` : undefined}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onFocus={() => setFocused(true)}
        onBlur={() => setFocused(false)}
        onScroll={(e) => {
          now.scroll = e.currentTarget.scrollTop;
          if (hovered) setHovered(null);
          schedule();
        }}
      >
        <div class="wf-space" role="presentation" style={{ height: `${Math.max(rows.length * row, 1)}px` }}>
          <canvas
            ref={canvas}
            class="wf-canvas"
            style={{ height: `${size.height}px` }}
            onPointerDown={onPointerDown}
            onPointerMove={(e) => {
              e.currentTarget.style.cursor = onEdge(place(e).x, geometry()) ? "col-resize" : "";
              if (!e.buttons) hover(e);
            }}
            onPointerLeave={() => hover(null)}
            onDblClick={(e) => {
              const r = rows[place(e).index];
              if (r) zoomRow(r);
            }}
            onWheel={onWheel}
          />
          <HiddenRows rows={rows} cursor={cursor} selected={selected} />
        </div>
      </div>
      {hovered && (
        <RowTip
          hovered={hovered}
          width={size.width}
          height={size.height}
          top={scroller.current?.offsetTop ?? 0}
        />
      )}
    </div>
  );
}
