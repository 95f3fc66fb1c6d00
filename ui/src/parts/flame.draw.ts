/**
 * Draws a flame graph: only the rows and nodes in sight. What is narrower than a pixel is drawn as one block with
 * its neighbours and not entered, so a row costs no more than its pixels. Knows nothing of events or state.
 */

import { middle } from "../format";
import type { Tokens } from "../theme/tokens";
import { type FlameTree, type FrameFunction, type FrameKind, shortFile } from "./flame.model";
import type { Search } from "./flame.table";
import { textWidth } from "./measure";

export const ROW = 18;
/** px; narrower nodes are drawn as one block. */
const LEAST = 1;
const TEXT_LEAST = 24;

export interface FlameView {
  /** The node that fills the width. */
  focus: number;
  width: number;
  height: number;
  /** Rows scrolled past, in px. */
  scroll: number;
  hover: number;
  cursor: number;
  /** The graph has the keyboard: the cursor is drawn. */
  focused: boolean;
  search: Search | null;
  /** A function that is pointed at elsewhere; -1: none. */
  marked: number;
  /** Root at the foot, calls grow upwards. */
  up: boolean;
}

export interface FlamePalette {
  tokens: Tokens;
  font: string;
}

export interface Box {
  x: number;
  w: number;
}

/** Where a node stands: the focus fills the width, its callers too. */
export function boxOf(t: FlameTree, v: FlameView, i: number): Box {
  const f = v.focus;
  if (i <= f && f < t.end[i]!) return { x: 0, w: v.width };
  const k = v.width / (t.width[f]! || 1);
  return { x: (t.start[i]! - t.start[f]!) * k, w: t.width[i]! * k };
}

/** The whole height of the graph. */
export const fullHeight = (t: FlameTree): number => t.rows * ROW;

/** Top of a row on the canvas. */
const rowTop = (v: FlameView, full: number, depth: number): number =>
  (v.up ? full - (depth + 1) * ROW : depth * ROW) - v.scroll;

interface Visit {
  node: (i: number, x: number, w: number, y: number) => void;
  /** Siblings too narrow to be told apart, all in one row. */
  block: (x: number, w: number, y: number) => void;
}

/** Calls `visit` for what is in sight, callers first. Returns how many nodes it looked at. */
export function eachVisible(t: FlameTree, v: FlameView, visit: Visit): number {
  const full = fullHeight(t);
  const top = (depth: number) => rowTop(v, full, depth);
  const unseen = (y: number) => (v.up ? y + ROW <= 0 : y >= v.height);
  let looked = 0;
  for (const i of v.focus > 0 ? [0, ...t.path(v.focus).slice(0, -1)] : []) {
    const y = top(t.depth[i]!);
    if (y + ROW > 0 && y < v.height) visit.node(i, 0, v.width, y);
  }
  const f = v.focus;
  const end = t.end[f]!;
  const k = v.width / (t.width[f]! || 1);
  const left = t.start[f]!;
  let block = -1; // where the run of narrow siblings began
  let blockEnd = 0;
  let blockY = 0;
  const flush = () => {
    if (block >= 0 && blockEnd - block > 0.2) visit.block(block, blockEnd - block, blockY);
    block = -1;
  };
  for (let i = f; i < end; looked++) {
    const w = t.width[i]! * k;
    const y = top(t.depth[i]!);
    if (w < LEAST) {
      const x = (t.start[i]! - left) * k;
      if (block >= 0 && (blockY !== y || x - blockEnd > 0.01)) flush();
      if (block < 0) {
        block = x;
        blockY = y;
      }
      blockEnd = x + w;
      i = t.end[i]!;
      continue;
    }
    if (block >= 0) flush();
    if (unseen(y)) {
      i = t.end[i]!;
      continue;
    }
    if (y + ROW > 0 && y < v.height) visit.node(i, (t.start[i]! - left) * k, w, y);
    i++;
  }
  flush();
  return looked;
}

/** The node at a point, or -1. */
export function nodeAt(t: FlameTree, v: FlameView, x: number, y: number): number {
  const inside = y + v.scroll;
  const depth = Math.floor((v.up ? fullHeight(t) - 1 - inside : inside) / ROW);
  if (depth < 0 || x < 0 || x >= v.width) return -1;
  const above = v.focus > 0 ? [0, ...t.path(v.focus)] : [0];
  if (depth < above.length) return above[depth]!;
  const k = v.width / (t.width[v.focus]! || 1);
  const value = x / k + t.start[v.focus]!;
  for (let i = v.focus; i < t.end[v.focus]!; ) {
    if (value < t.start[i]! || value >= t.start[i]! + t.width[i]!) i = t.end[i]!;
    else if (t.depth[i] === depth) return i;
    else i++;
  }
  return -1;
}

// ---- colours

const hash = (text: string): number => {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  return h >>> 0;
};

/** A mix of two colours of the form #rrggbb: `share` of the second. */
export function mix(a: string, b: string, share: number): string {
  const part = (text: string, at: number) => Number.parseInt(text.slice(at, at + 2), 16);
  const of = (at: number) => Math.round(part(a, at) * (1 - share) + part(b, at) * share);
  return `#${[1, 3, 5].map((at) => of(at).toString(16).padStart(2, "0")).join("")}`;
}

/** The ground is light; on a dark one a strong colour leaves too little contrast for the text. */
const luminous = (t: Tokens): boolean => Number.parseInt(t.surface.slice(1, 3), 16) > 127;

/** The colour of each kind, and how much of it is left on the ground. Kinds differ in lightness too. */
const kindTint: Record<FrameKind, (t: Tokens) => [string, number]> = {
  app: (t) => [t.series[1]!, luminous(t) ? 0.62 : 0.44],
  library: (t) => [t.series[0]!, 0.36],
  python: (t) => [t.series[2]!, 0.2],
  native: (t) => [t.muted, 0.16],
};

/** The colour of a frame: by whose code it is; files of one kind differ by a shade. */
export function frameColor(tokens: Tokens, kind: FrameKind, file = ""): string {
  const [color, strength] = kindTint[kind](tokens);
  const shade = file ? ((hash(file) % 5) / 5 - 0.4) * 0.1 : 0;
  return mix(tokens.surface, color, strength + shade);
}

/** In a comparison more is orange, less is blue, by the size of the change: apart for every eye; signs say it too. */
export function changeColor(tokens: Tokens, change: number): string {
  const size = Math.abs(change);
  if (size < 0.0005) return mix(tokens.surface, tokens.muted, 0.14);
  const strength = 0.16 + Math.min(1, Math.sqrt(size / 0.25)) * (luminous(tokens) ? 0.52 : 0.28);
  return mix(tokens.surface, change > 0 ? tokens.series[1]! : tokens.series[0]!, strength);
}

const painted = new WeakMap<readonly object[], { tokens: Tokens; colors: string[] }>();

/** Colours per function, made once per tree's functions and theme. */
function colorsOf(t: FlameTree, tokens: Tokens): string[] {
  const known = painted.get(t.functions);
  if (known?.tokens === tokens) return known.colors;
  const colors = t.functions.map((f) => frameColor(tokens, f.kind, f.file));
  painted.set(t.functions, { tokens, colors });
  return colors;
}

// ---- texts

const widths = new Map<string, number>();

function widthOf(text: string, font: string): number {
  const key = font + text;
  let w = widths.get(key);
  if (w === undefined) {
    if (widths.size > 20_000) widths.clear();
    w = textWidth(text, font);
    widths.set(key, w);
  }
  return w;
}

/** The text, or its head and tail, or nothing. */
function label(text: string, room: number, font: string): string {
  const whole = widthOf(text, font);
  if (whole <= room) return text;
  for (let keep = Math.floor((room / whole) * text.length); keep >= 4; keep--) {
    const short = keep < 9 ? `${text.slice(0, keep - 1)}…` : middle(text, keep);
    if (widthOf(short, font) <= room) return short;
  }
  return "";
}

/** What stands in a frame: where lines are told apart, with its line; of names that many share, with the file. */
export function frameLabel(f: FrameFunction): string {
  const name = f.byLine && f.line ? `${f.name}:${f.line}` : f.name;
  return f.name === "<module>" && f.file ? `${name} ${shortFile(f.file)}` : name;
}

/** `+2.1`, in points. */
export function points(change: number): string {
  const size = Math.abs(change) * 100;
  if (size < 0.05) return "±0";
  return `${change > 0 ? "+" : "−"}${size < 10 ? size.toFixed(1) : Math.round(size)}`;
}

export function drawFlame(ctx: CanvasRenderingContext2D, t: FlameTree, v: FlameView, p: FlamePalette): void {
  const { tokens } = p;
  const font = `12px ${p.font}`;
  const colors = colorsOf(t, tokens);
  const root = mix(tokens.surface, tokens.muted, 0.1);
  const blockColor = mix(tokens.surface, tokens.muted, 0.24);
  const found = v.search?.functions;
  ctx.clearRect(0, 0, v.width, v.height);
  ctx.font = font;
  ctx.textBaseline = "middle";
  eachVisible(t, v, {
    node: (i, x, w, y) => {
      const fn = t.fn[i]!;
      const hit = found && i > 0 ? found[fn] === 1 : false;
      const above = i < v.focus && v.focus > 0;
      ctx.globalAlpha = found && !hit ? 0.32 : above ? 0.55 : 1;
      ctx.fillStyle = i === 0 ? root : t.compared ? changeColor(tokens, t.change(i)) : colors[fn]!;
      ctx.fillRect(x, y, w > 3 ? w - 1 : Math.max(w - 0.3, 0.7), ROW - 1);
      ctx.globalAlpha = 1;
      if (hit) {
        ctx.fillStyle = tokens.accent;
        ctx.fillRect(x, y + ROW - 3, Math.max(w - 1, 1), 2);
      }
      if (w > TEXT_LEAST) {
        ctx.fillStyle = (found && !hit && i > 0) || above ? tokens.muted : tokens.text;
        const name = i === 0 ? "All" : frameLabel(t.functions[fn]!);
        const more = i > 0 && t.compared && w > 90 ? `${points(t.change(i))}  ` : "";
        const text = label(more + name, w - 9, font);
        if (text) ctx.fillText(text, x + 4, y + ROW / 2);
      }
      if (v.marked >= 0 && fn === v.marked) outline(ctx, tokens.accent, 2, x, y, w);
      if (i === v.hover) outline(ctx, tokens.text, 1, x, y, w);
      if (i === v.cursor && v.focused) outline(ctx, tokens.accent, 2, x, y, w);
    },
    block: (x, w, y) => {
      ctx.globalAlpha = found ? 0.32 : 1;
      ctx.fillStyle = blockColor;
      ctx.fillRect(x, y, Math.max(w, 0.5), ROW - 1);
      ctx.globalAlpha = 1;
    },
  });
}

function outline(
  ctx: CanvasRenderingContext2D,
  color: string,
  width: number,
  x: number,
  y: number,
  w: number,
): void {
  ctx.strokeStyle = color;
  ctx.lineWidth = width;
  ctx.strokeRect(x + width / 2, y + width / 2, Math.max(w - 1 - width, 1), ROW - 1 - width);
}
