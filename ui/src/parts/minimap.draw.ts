// The whole trace in a strip: one thin line per span, drawn once per trace and size, kept as a picture.

import type { CriticalPath, Tree, View } from "./waterfall.model";

export interface MinimapColors {
  line: string;
  text: string;
  bad: string;
  service: (name: string) => string;
}

/** Lines of spans that fit; deeper and later ones share lines. */
export function lanesOf(tree: Tree, height: number): { lane: Int32Array; lanes: number; thick: number } {
  const rows = tree.nodes.length;
  const lane = new Int32Array(rows);
  const most = Math.max(1, Math.floor(height / 2));
  if (rows <= most) {
    for (let i = 0; i < rows; i++) lane[i] = i;
    return { lane, lanes: rows, thick: Math.min(4, Math.max(1, Math.floor(height / Math.max(1, rows)) - 1)) };
  }
  const deepest = tree.max_depth + 1;
  for (let i = 0; i < rows; i++) {
    const depth = tree.nodes[i]!.depth;
    lane[i] = deepest <= most ? depth : Math.floor((depth / deepest) * most);
  }
  const lanes = Math.min(deepest, most);
  return { lane, lanes, thick: Math.max(1, Math.floor(height / lanes) - 1) };
}

/** Draws all spans. A pixel that is filled already is not filled again, so 10,000 spans cost what is seen. */
export function drawMinimap(
  ctx: CanvasRenderingContext2D,
  tree: Tree,
  critical: CriticalPath,
  width: number,
  height: number,
  c: MinimapColors,
): void {
  ctx.clearRect(0, 0, width, height);
  const floor = height - 4;
  const { lane, lanes, thick } = lanesOf(tree, floor);
  const pitch = floor / Math.max(1, lanes);
  const scale = width / (tree.to_ns - tree.from_ns);
  const filled = new Float64Array(lanes).fill(-1);
  const errors: [number, number][] = [];
  ctx.globalAlpha = 0.8;
  for (const node of tree.nodes) {
    const at = lane[node.index]!;
    const x1 = (node.span.start_ns - tree.from_ns) * scale;
    const x2 = Math.max(x1 + 1, (node.end_ns - tree.from_ns) * scale);
    const y = Math.floor(at * pitch);
    if (node.span.status === 2) errors.push([x1, y]);
    if (x2 <= filled[at]! + 0.25 && x2 - x1 <= 1) continue;
    filled[at] = Math.max(filled[at]!, x2);
    ctx.fillStyle = c.service(node.span.service);
    ctx.fillRect(x1, y, x2 - x1, thick);
  }
  ctx.globalAlpha = 1;
  ctx.fillStyle = c.bad;
  for (const [x, y] of errors) ctx.fillRect(x - 1, y - 1, 3, thick + 2);
  ctx.fillStyle = c.text;
  const root = tree.nodes.length ? critical : null;
  if (root) {
    for (const node of tree.roots) {
      for (const [a, b] of root.ofSubtree(node)) {
        ctx.fillRect((a - tree.from_ns) * scale, height - 2, Math.max(1, (b - a) * scale), 1.5);
      }
    }
  }
}

export type Grip = "from" | "to" | "move" | "new";

const GRIP_PX = 6;

/** What a press at `x` takes hold of. */
export function gripAt(x: number, view: View, tree: Tree, width: number): Grip {
  const scale = width / (tree.to_ns - tree.from_ns);
  const x1 = (view.from - tree.from_ns) * scale;
  const x2 = (view.to - tree.from_ns) * scale;
  const whole = x2 - x1 >= width - 1;
  if (whole) return "new";
  if (Math.abs(x - x1) <= GRIP_PX) return "from";
  if (Math.abs(x - x2) <= GRIP_PX) return "to";
  return x > x1 && x < x2 ? "move" : "new";
}
