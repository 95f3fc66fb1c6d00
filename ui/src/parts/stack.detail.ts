// An exception in full, as Varan's agent sends it (attribute varan.exception.detail): the frames of the whole chain
// with source around them and local variables. What does not have that shape is not taken.

import type { Frame, PyException } from "./stack.parse";

export const DETAIL_KEY = "varan.exception.detail";

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const whole = (value: unknown): number => (Number.isInteger(value) ? (value as number) : 0);
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function readFrame(value: unknown): Frame | null {
  if (!isRecord(value)) return null;
  const line = whole(value.line);
  const lines = Array.isArray(value.source) ? value.source.map(text) : [];
  const first = whole(value.first);
  const variables = isRecord(value.variables)
    ? Object.entries(value.variables).map(([name, v]): [string, string] => [name, text(v)])
    : [];
  return {
    file: text(value.file),
    line,
    name: text(value.function),
    source: (lines[line - first] ?? "").trim(),
    mark: null,
    own: value.own === true,
    repeated: 0,
    around: lines.length ? { first, lines } : undefined,
    variables: variables.length ? variables : undefined,
  };
}

/** Frames that are the same one after another, as in a recursion, become one. */
function fold(frames: Frame[]): Frame[] {
  const out: Frame[] = [];
  for (const frame of frames) {
    const last = out[out.length - 1];
    if (last && last.file === frame.file && last.line === frame.line && last.name === frame.name) {
      frame.repeated = last.repeated + 1;
      out[out.length - 1] = frame;
    } else out.push(frame);
  }
  return out;
}

/** In the order of parseTraceback(): the exception that reached the top is the last. null: not such a text. */
export function parseDetail(json: string): PyException[] | null {
  let nodes: unknown;
  try {
    nodes = JSON.parse(json);
  } catch {
    return null;
  }
  if (!Array.isArray(nodes)) return null;
  const records = nodes.map((node) => (isRecord(node) ? node : {}));
  const out = inOrder(records).map(({ node, depth, member }) => readException(node, depth, member));
  return out.some((e) => e.frames.length) ? out.reverse() : null;
}

function readException(node: Record<string, unknown>, depth: number, member?: [number, number]): PyException {
  const frames = Array.isArray(node.frames) ? node.frames : [];
  const notes = Array.isArray(node.notes) ? node.notes.map(text).filter(Boolean) : [];
  return {
    type: text(node.type),
    message: text(node.message).trim(),
    frames: fold(frames.map(readFrame).filter((f): f is Frame => f !== null)),
    link: node.relation === "cause" || node.relation === "context" ? node.relation : null,
    depth,
    member,
    notes: notes.length ? notes : undefined,
    leftOut: whole(node.left_out) || undefined,
  };
}

interface Placed {
  node: Record<string, unknown>;
  depth: number;
  member?: [number, number];
}

/** Each exception before its members, these before what came before it. The sender tells whose each is (`of`). */
function inOrder(nodes: Record<string, unknown>[]): Placed[] {
  const below = nodes.map((): number[] => []);
  nodes.forEach((node, i) => {
    const of = whole(node.of);
    if (i > 0) below[of < i ? of : 0]!.push(i);
  });
  const out: Placed[] = [];
  const place = (i: number, depth: number, member?: [number, number]) => {
    out.push({ node: nodes[i]!, depth, member });
    const members = below[i]!.filter((k) => nodes[k]!.relation === "member");
    members.forEach((k, n) => void place(k, depth + 1, [n + 1, members.length]));
    for (const k of below[i]!) if (nodes[k]!.relation !== "member") place(k, depth);
  };
  if (nodes.length) place(0, 0);
  return out;
}
