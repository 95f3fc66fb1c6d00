/**
 * Reads the filter language as far as the editor needs it: which part is what (for colours), and what the caret
 * stands on (for completion). The server's parser is the judge of what is right.
 */
export type PartKind = "key" | "operator" | "value" | "string" | "keyword" | "paren" | "space";

export interface Part {
  kind: PartKind;
  text: string;
  /** Offset in the text. */
  at: number;
}

const endsValue = /[\s(),"']/;
const endsWord = /[\s(),"'=!<>~]/;
const operatorPattern = /^(>=|<=|!=|<>|=~|!~|==|=|>|<|~)/;

function quotedEnd(text: string, start: number): number {
  const quote = text[start];
  let i = start + 1;
  while (i < text.length && text[i] !== quote) i += text[i] === "\\" ? 2 : 1;
  return Math.min(i + 1, text.length);
}

function wordEnd(text: string, start: number, ends: RegExp): number {
  let i = start;
  while (i < text.length && !ends.test(text[i]!)) i++;
  return i;
}

/** Cuts a filter into parts. Never fails: what it cannot name is a value. */
export function parts(text: string): Part[] {
  const list: Part[] = [];
  let at = 0;
  let wantsValue = false;
  let inList = 0;
  const push = (kind: PartKind, end: number) => {
    list.push({ kind, text: text.slice(at, end), at });
    at = end;
  };
  while (at < text.length) {
    const c = text[at]!;
    if (/\s/.test(c)) {
      let end = at + 1;
      while (end < text.length && /\s/.test(text[end]!)) end++;
      push("space", end);
      continue;
    }
    if (c === "(" || c === ")" || c === ",") {
      const before = list.filter((p) => p.kind !== "space").at(-1);
      if (c === "(" && before?.kind === "keyword" && /^in$/i.test(before.text)) inList = 1;
      else if (c === ")") inList = 0;
      push("paren", at + 1);
      wantsValue = false;
      continue;
    }
    const operator = operatorPattern.exec(text.slice(at))?.[0];
    if (operator && !wantsValue) {
      push("operator", at + operator.length);
      wantsValue = true;
      continue;
    }
    if (c === '"' || c === "'") {
      push("string", quotedEnd(text, at));
      wantsValue = false;
      continue;
    }
    if (c === "@" && (text[at + 1] === '"' || text[at + 1] === "'")) {
      push("key", quotedEnd(text, at + 1));
      continue;
    }
    if (wantsValue || inList) {
      push("value", Math.max(at + 1, wordEnd(text, at, endsValue)));
      wantsValue = false;
      continue;
    }
    const end = Math.max(at + 1, wordEnd(text, at, endsWord));
    const word = text.slice(at, end);
    const isKeyword =
      /^(and|or|not|in|exists)$/i.test(word) && !operatorPattern.test(text.slice(end).trimStart());
    push(isKeyword ? "keyword" : "key", end);
  }
  return list;
}

export interface Spot {
  /** What can be typed here. */
  kind: "key" | "value";
  /** The key whose values are wanted. */
  key: string;
  /** What is typed of it so far, without quotes. */
  prefix: string;
  /** What a chosen completion replaces. */
  from: number;
  to: number;
}

const bare = (text: string): string =>
  text
    .replace(/^@/, "")
    .replace(/^["']|["']$/g, "")
    .replace(/\\(["'\\])/g, "$1");

/** What the caret stands on. */
export function spotAt(text: string, caret: number): Spot {
  const list = parts(text);
  const index = list.findIndex((p) => p.at < caret && caret <= p.at + p.text.length);
  const current = index >= 0 ? list[index] : undefined;
  const solid = list
    .slice(0, index >= 0 ? index : list.length)
    .filter((p) => p.kind !== "space" && p.at < caret);
  const before = solid.at(-1);
  const empty = { key: "", prefix: "", from: caret, to: caret };
  const keyOf = (from: number): string => {
    for (let i = from; i >= 0; i--) if (solid[i]?.kind === "key") return bare(solid[i]!.text);
    return "";
  };
  const inList = (): boolean => {
    for (let i = solid.length - 1; i >= 0; i--) {
      const p = solid[i]!;
      if (p.kind === "paren" && p.text === "(") return /^in$/i.test(solid[i - 1]?.text ?? "");
      if (p.kind === "paren" && p.text === ")") return false;
    }
    return false;
  };
  if (current?.kind === "operator") return { ...empty, kind: "value", key: keyOf(solid.length - 1) };
  if (current?.kind === "value" || current?.kind === "string") {
    const typed = bare(text.slice(current.at, caret));
    const range = { from: current.at, to: current.at + current.text.length };
    if (before?.kind === "operator" || inList()) {
      return { kind: "value", key: keyOf(solid.length - 1), prefix: typed, ...range };
    }
    return { kind: "key", key: "", prefix: typed, ...range };
  }
  if (current && (current.kind === "key" || current.kind === "keyword")) {
    const typed = bare(text.slice(current.at, caret));
    return { kind: "key", key: "", prefix: typed, from: current.at, to: current.at + current.text.length };
  }
  if (before?.kind === "operator" || (inList() && (before?.text === "(" || before?.text === ","))) {
    return { ...empty, kind: "value", key: keyOf(solid.length - 1) };
  }
  return { ...empty, kind: "key" };
}
