/**
 * What a click on a value does to the filter's text. Only the conditions that stand side by side at the top are
 * understood (`a=1 AND b!=2`); everything else is left as the reader wrote it.
 */
import { condition } from "../state";

/** The conditions joined by AND at the top; null when the text joins them otherwise. */
export function topTerms(filter: string): string[] | null {
  const text = filter.trim();
  if (!text) return [];
  const terms: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === '"' || c === "'") {
      i++;
      while (i < text.length && text[i] !== c) i += text[i] === "\\" ? 2 : 1;
    } else if (c === "(") depth++;
    else if (c === ")") depth--;
    else if (depth === 0 && (i === 0 || /[\s)]/.test(text[i - 1]!))) {
      if (/^or[\s(]/i.test(text.slice(i))) return null;
      const and = /^and(?=[\s(])/i.exec(text.slice(i));
      if (and) {
        terms.push(text.slice(start, i).trim());
        start = i + and[0].length;
        i = start - 1;
      }
    }
  }
  terms.push(text.slice(start).trim());
  return terms.filter(Boolean);
}

/** A value as the language takes it: numbers bare, so that they compare as numbers. */
export function termFor(key: string, value: string, exclude: boolean): string {
  const number = /^-?\d{1,15}(\.\d{1,9})?$/.test(value);
  return condition(key, exclude ? "!=" : "=", number ? Number(value) : value);
}

export type Chosen = "in" | "out" | null;

const same = (a: string, b: string): boolean => a.replace(/\s+/g, "") === b.replace(/\s+/g, "");

/** Both ways to write a value: bare and in quotes. */
function spellings(key: string, value: string, exclude: boolean): string[] {
  return [termFor(key, value, exclude), `${key}${exclude ? "!=" : "="}${JSON.stringify(value)}`];
}

/** Whether the filter asks for a value or rules it out. */
export function chosen(filter: string, key: string, value: string): Chosen {
  const terms = topTerms(filter) ?? [];
  const has = (exclude: boolean) => spellings(key, value, exclude).some((s) => terms.some((t) => same(t, s)));
  return has(false) ? "in" : has(true) ? "out" : null;
}

/** The filter without a condition. */
export function dropTerm(filter: string, key: string, value: string, exclude: boolean): string {
  const terms = topTerms(filter);
  if (!terms) return filter;
  const gone = spellings(key, value, exclude);
  return terms.filter((t) => !gone.some((g) => same(t, g))).join(" AND ");
}

/** The filter with one more condition, which may itself be several joined by AND. */
export function addTerm(filter: string, term: string): string {
  const terms = topTerms(filter);
  if (terms === null) return `(${filter.trim()}) AND ${term}`;
  return terms.some((t) => same(t, term)) ? filter : [...terms, term].join(" AND ");
}

/** The filter after a click on a value: asked for once, no longer asked for on the second click. */
export function toggleTerm(filter: string, key: string, value: string, exclude: boolean): string {
  const now = chosen(filter, key, value);
  if (now === (exclude ? "out" : "in")) return dropTerm(filter, key, value, exclude);
  const rest = now ? dropTerm(filter, key, value, now === "out") : filter;
  return addTerm(rest, termFor(key, value, exclude));
}

/** Values of a key that the filter rules out at the top: they are in no answer, but must be seen to be freed. */
export function excluded(filter: string, key: string): string[] {
  const out: string[] = [];
  for (const term of topTerms(filter) ?? []) {
    const m = /^([\w.:/-]+)\s*!=\s*(?:"((?:[^"\\]|\\.)*)"|(\S+))$/.exec(term);
    if (m && m[1] === key) out.push(m[3] ?? m[2]!.replace(/\\(.)/g, "$1"));
  }
  return out;
}
