/** What a frame is, in words: beside the pointer, for screen readers, and to copy. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { middle, ratio } from "../format";
import { points } from "./flame.draw";
import { type FlameTree, type FrameFunction, kindNames, SMALLER, shortFile } from "./flame.model";

/** `file:line`, the line where it is known. */
export const placeOf = (f: FrameFunction, file = f.file): string => (f.line ? `${file}:${f.line}` : file);

/** A frame to paste elsewhere: `search (/srv/shop/orders.py:88)`. */
export const frameText = (f: FrameFunction): string => (f.file ? `${f.name} (${placeOf(f)})` : f.name);

const share = (t: FlameTree, v: number) => ratio(t.total ? v / t.total : 0);

/** One sentence on a node. */
export function spoken(t: FlameTree, i: number, unit: (v: number) => string): string {
  const f = t.functions[t.fn[i]!];
  const sum = `${unit(t.sum[i]!)}, ${share(t, t.sum[i]!)}`;
  if (!f) return `All: ${sum}`;
  const change = t.compared ? `, ${points(t.change(i))} points` : "";
  return `${f.name}${f.file ? `, ${placeOf(f, shortFile(f.file))}` : ""}: total ${sum}; own ${unit(t.own[i]!)}${change}`;
}

/** Names may be of any length; a tip is not. */
const NAME_MOST = 240;

interface TipProps {
  tree: FlameTree;
  node: number;
  unit: (value: number) => string;
  x: number;
  y: number;
  /** Of the graph: the tip stays inside. */
  width: number;
  up: boolean;
}

export function FlameTip({ tree, node, unit, x, y, width }: TipProps) {
  const element = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState({ w: 260, h: 90 });
  useLayoutEffect(() => {
    const box = element.current;
    if (box && (box.offsetWidth !== size.w || box.offsetHeight !== size.h))
      setSize({ w: box.offsetWidth, h: box.offsetHeight });
  });
  const f = tree.functions[tree.fn[node]!];
  const left = Math.max(0, Math.min(x, width - size.w - 4));
  // Above the pointer where the window ends.
  const parent = element.current?.parentElement?.getBoundingClientRect();
  const top = parent && parent.top + y + size.h > window.innerHeight - 8 ? y - size.h - 28 : y;
  const base = tree.baseSum?.[node];
  const change = tree.change(node);
  return (
    <div class="flame-tip" ref={element} style={{ left: `${left}px`, top: `${top}px` }} aria-hidden="true">
      <b>{f ? middle(f.name, NAME_MOST) : "All"}</b>
      {f?.name === SMALLER ? (
        <span class="muted">Calls too small for the picture, together</span>
      ) : f ? (
        <span class="muted flame-tip-file">
          {f.byLine && !f.line && f.file ? "several lines of " : ""}
          {f.file ? middle(placeOf(f, shortFile(f.file)), NAME_MOST) : "no file"} ·{" "}
          {kindNames[f.kind].toLowerCase()}
        </span>
      ) : null}
      <dl>
        <dt>Total</dt>
        <dd>{unit(tree.sum[node]!)}</dd>
        <dd>{share(tree, tree.sum[node]!)}</dd>
        {f && (
          <>
            <dt>Own</dt>
            <dd>{unit(tree.own[node]!)}</dd>
            <dd>{share(tree, tree.own[node]!)}</dd>
          </>
        )}
        {base !== undefined && (
          <>
            <dt>Before</dt>
            <dd>{unit(base)}</dd>
            <dd>{ratio(tree.baseTotal ? base / tree.baseTotal : 0)}</dd>
            <dt>Change</dt>
            <dd />
            <dd>
              {change > 0.0005 ? "▲ " : change < -0.0005 ? "▼ " : ""}
              {points(change)} points
            </dd>
          </>
        )}
      </dl>
    </div>
  );
}
