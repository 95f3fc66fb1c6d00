/** From costs by line and the text of functions to rows that can be read as code. Pure. */
import type { SourceLines, SourceText } from "./data";

export interface LineRow {
  line: number;
  own: number;
  sum: number;
  functions: string[];
  /** The line's text; null: not known. */
  text: string | null;
  /** Lines before this one are left out. */
  gap: boolean;
}

/** Lines that several functions share (nested ones) are one row. `name` "" takes the whole file. */
export function lineRows(
  { lines, sources }: Pick<SourceLines, "lines" | "sources">,
  name: string,
): LineRow[] {
  const rows = new Map<number, LineRow>();
  const rowOf = (line: number) => {
    const row = rows.get(line) ?? { line, own: 0, sum: 0, functions: [], text: null, gap: false };
    rows.set(line, row);
    return row;
  };
  for (const s of shownTexts(sources, name))
    for (const [i, text] of linesOf(s).entries()) rowOf(s.first_line + i).text ??= text;
  for (const l of lines) {
    if (name && l.function !== name) continue;
    const row = rowOf(l.line);
    row.own += l.own;
    row.sum += l.sum;
    if (!row.functions.includes(l.function)) row.functions.push(l.function);
  }
  const sorted = [...rows.values()].sort((a, b) => a.line - b.line);
  sorted.forEach((r, i) => {
    r.gap = i > 0 && r.line > sorted[i - 1]!.line + 1;
  });
  return sorted;
}

/** Its lines, without what a last line break would begin. */
const linesOf = (s: SourceText): string[] => s.text.replace(/\r?\n$/, "").split(/\r?\n/);
const end = (s: SourceText): number => s.first_line + linesOf(s).length;

/** `whole` is the text that `part` begins. */
const begins = (whole: SourceText, part: SourceText): boolean =>
  whole.first_line === part.first_line && whole.text.startsWith(part.text);

/**
 * Of each function the text of its newest version. Several functions of one name may stand in a file, but not in the
 * same place: there the newest counts.
 */
export function shownTexts(sources: readonly SourceText[], name: string): SourceText[] {
  const shown: SourceText[] = [];
  for (const s of sources) {
    if (name && s.function !== name) continue;
    // Processes that saw less of it at work sent less of it.
    const part = shown.findIndex((o) => o.function === s.function && begins(s, o));
    if (part >= 0) {
      shown[part] = s;
      continue;
    }
    const same = shown.filter((o) => o.function === s.function);
    if (same.every((o) => o.version === s.version && (o.first_line >= end(s) || end(o) <= s.first_line)))
      shown.push(s);
  }
  return shown;
}

/** Versions whose text is not the one that is shown. */
export function otherVersions(sources: readonly SourceText[], name: string): string[] {
  const shown = shownTexts(sources, name);
  const others = sources.filter((s) => (!name || s.function === name) && !shown.some((o) => begins(o, s)));
  return [...new Set(others.map((s) => s.version))];
}

/** Spaces that all lines begin with. */
export function commonIndent(rows: readonly LineRow[]): number {
  const widths = rows.filter((r) => r.text?.trim()).map((r) => /^[ \t]*/.exec(r.text!)![0].length);
  return widths.length ? Math.min(...widths) : 0;
}
