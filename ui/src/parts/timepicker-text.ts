/**
 * Reads a time range as people type it: `last 20m`, `2h`, `now-1h to now`, `14:00 - 15:30`, `yesterday`,
 * `2026-03-02 10:00 to 2026-03-02 11:00`. Wall times are those of the reader's zone.
 */
import { relativeFrom } from "../state";

export interface TypedRange {
  from: string;
  to: string;
}

const units: [RegExp, number][] = [
  [/^s(ec(ond)?s?)?$/, 1],
  [/^m(in(ute)?s?)?$/, 60],
  [/^h((ou)?rs?)?$/, 3600],
  [/^d(ays?)?$/, 86400],
  [/^w(eeks?)?$/, 604800],
];

const longest = 400 * 86400;

function spanSeconds(text: string): number | null {
  const m = /^(\d+(?:\.\d+)?)?\s*([a-z]+)$/.exec(text);
  if (!m) return null;
  const unit = units.find(([pattern]) => pattern.test(m[2]!))?.[1];
  if (!unit) return null;
  const seconds = Math.round(Number(m[1] ?? 1) * unit);
  return seconds >= 1 && seconds <= longest ? seconds : null;
}

interface Wall {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

/** The wall clock of a zone at a moment. */
export function wallTime(ms: number, zone: string): Wall {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  }).formatToParts(new Date(ms));
  const get = (type: string) => Number(parts.find((p) => p.type === type)?.value ?? 0);
  return {
    year: get("year"),
    month: get("month"),
    day: get("day"),
    hour: get("hour"),
    minute: get("minute"),
    second: get("second"),
  };
}

/** The moment (ms) at which the wall clock of a zone shows this; in a gap of summer time, the moment after it. */
export function fromWall(w: Wall, zone: string): number {
  const wanted = Date.UTC(w.year, w.month - 1, w.day, w.hour, w.minute, w.second);
  let guess = wanted;
  // The offset at the guess corrects the guess; a second round settles days on which the offset changes.
  for (let i = 0; i < 2; i++) {
    const shown = wallTime(guess, zone);
    guess +=
      wanted - Date.UTC(shown.year, shown.month - 1, shown.day, shown.hour, shown.minute, shown.second);
  }
  return guess;
}

/** `2026-03-02 14:00`, `03-02 14:00`, `14:00`, `today`, `yesterday 9:30`, `now`, `now-5m`, Unix numbers. */
function point(
  text: string,
  nowMs: number,
  zone: string,
  dayOf?: Wall,
): { text: string; ms: number; wall?: Wall } | null {
  if (text === "now") return { text, ms: nowMs };
  const relative = /^now\s*-\s*(.+)$/.exec(text);
  if (relative) {
    const seconds = spanSeconds(relative[1]!);
    return seconds ? { text: relativeFrom(seconds), ms: nowMs - seconds * 1000 } : null;
  }
  if (/^\d{10}(\d{3}|\d{6}|\d{9})?$/.test(text)) {
    return { text, ms: Number(text) / 10 ** (text.length - 13) };
  }
  if (/^\d{4}-\d\d-\d\dt.*(z|[+-]\d\d:?\d\d)$/.test(text)) {
    const ms = Date.parse(text.toUpperCase());
    return Number.isNaN(ms) ? null : { text: String(ms), ms };
  }
  const m =
    /^(?:(today|yesterday|(?:(\d{4})-)?(\d{1,2})-(\d{1,2}))(?:[t ]+|$))?(?:(\d{1,2}):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?$/.exec(
      text,
    );
  if (!m || (!m[1] && !m[5])) return null;
  const today = wallTime(nowMs, zone);
  const wall: Wall = {
    ...(dayOf ?? today),
    hour: Number(m[5] ?? 0),
    minute: Number(m[6] ?? 0),
    second: Number(m[7] ?? 0),
  };
  if (m[1] === "today" || m[1] === "yesterday")
    Object.assign(wall, { year: today.year, month: today.month, day: today.day });
  if (m[3]) Object.assign(wall, { year: Number(m[2] ?? today.year), month: Number(m[3]), day: Number(m[4]) });
  if (
    wall.hour > 24 ||
    wall.minute > 59 ||
    wall.second > 59 ||
    wall.month < 1 ||
    wall.month > 12 ||
    wall.day < 1 ||
    wall.day > 31
  ) {
    return null;
  }
  let ms = fromWall(wall, zone);
  if (m[1] === "yesterday") ms = fromWall({ ...wall, day: wall.day - 1 }, zone);
  return { text: String(ms), ms, wall: m[1] === "yesterday" ? wallTime(ms, zone) : wall };
}

/** The range a text means, or null. */
export function parseRange(input: string, nowMs: number, zone: string): TypedRange | null {
  const text = input.trim().toLowerCase().replace(/\s+/g, " ");
  if (!text) return null;
  const seconds = spanSeconds(text.replace(/^(the )?(last|past|-) ?/, ""));
  if (seconds) return { from: relativeFrom(seconds), to: "now" };
  const since = /^(?:since|from) (.+)$/.exec(text);
  const cut = / to | until | - | – |\.\./.exec(text);
  if (!cut) {
    if (text === "yesterday") {
      const end = point("today", nowMs, zone)!;
      const start = point("yesterday", nowMs, zone)!;
      return { from: start.text, to: end.text };
    }
    const start = point(since?.[1] ?? text, nowMs, zone);
    return start && start.ms < nowMs && start.text !== "now" ? { from: start.text, to: "now" } : null;
  }
  const start = point(
    text
      .slice(0, cut.index)
      .replace(/^from /, "")
      .trim(),
    nowMs,
    zone,
  );
  if (!start) return null;
  const end = point(text.slice(cut.index + cut[0].length).trim(), nowMs, zone, start.wall);
  return end && start.ms < end.ms ? { from: start.text, to: end.text } : null;
}
