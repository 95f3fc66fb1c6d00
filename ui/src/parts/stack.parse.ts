// Python tracebacks as text, read into exceptions and frames. What is not a traceback stays text.
//
// The format is that of CPython's traceback module, 3.9 to 3.14: chained exceptions, exception groups,
// repeated lines, markers under the source line, notes, syntax errors.

export interface Frame {
  file: string;
  line: number;
  name: string;
  /** The line of source, "" when it is not known. */
  source: string;
  /** Columns of the source that were being run, from 0, end exclusive. */
  mark: [number, number] | null;
  /** The application's own code, not a library's. */
  own: boolean;
  /** How often the frame came again right below itself. */
  repeated: number;
  /** The lines around, when the sender knew them. */
  around?: { first: number; lines: string[] };
  /** Local variables, in their order in the function. */
  variables?: [string, string][];
}

export interface PyException {
  type: string;
  message: string;
  /** Outermost call first, as Python prints them. */
  frames: Frame[];
  /** How the next exception of the list came about: it was raised from this one, or while handling it. */
  link: "cause" | "context" | null;
  /** Depth within exception groups. */
  depth: number;
  /** Which member of its group it is, from 1, and of how many. */
  member?: [number, number];
  /** What add_note() has added, when the sender tells it apart from the message. */
  notes?: string[];
  /** Outer frames that the sender has left out. */
  leftOut?: number;
}

/** Longer texts are cut before they are read. */
export const STACK_MAX = 256 * 1024;
const FRAMES_MAX = 2000;

const HEAD = /^(?:Exception Group )?Traceback \(most recent call last\):$/;
const FRAME = /^ {2}File "(.*)", line (\d+)(?:, in (.*))?$/;
const REPEATED = /^ {2}\[Previous line repeated (\d+) more times?\]$/;
const ERROR = /^([A-Za-z_][\w.<>]*)(?:: ?(.*))?$/;
const GROUP_RULE = /^\+?[+-]*-{10,}.*$/;
const CAUSE = "The above exception was the direct cause of the following exception:";
const CONTEXT = "During handling of the above exception, another exception occurred:";

/** Whether a file belongs to Python or to an installed package. */
export function isLibrary(file: string): boolean {
  const path = file.replaceAll("\\", "/");
  return (
    /(^|\/)(site|dist)-packages\//.test(path) ||
    /\/lib(64)?\/python\d(\.\d+)?t?\//i.test(path) ||
    /\/(Lib|python\d+\.zip)\//.test(path) ||
    (path.startsWith("<") && path !== "<stdin>" && path !== "<string>")
  );
}

/** Exceptions in the order Python prints them: the one that reached the top is the last. null: not a traceback. */
export function parseTraceback(text: string): PyException[] | null {
  const lines = text.slice(0, STACK_MAX).split(/\r?\n/);
  const out: PyException[] = [];
  let now: PyException | null = null;
  let messageOf: PyException | null = null;
  let frames = 0;

  for (let i = 0; i < lines.length; i++) {
    const { line, depth } = stripGroup(lines[i]!);
    if (HEAD.test(line.trimStart())) {
      now = { type: "", message: "", frames: [], link: null, depth };
      messageOf = null;
      continue;
    }
    const chain = line.trim();
    if (chain === CAUSE || chain === CONTEXT) {
      const last = out[out.length - 1];
      if (last) last.link = chain === CAUSE ? "cause" : "context";
      now = messageOf = null;
      continue;
    }
    if (now) {
      const m = FRAME.exec(line);
      if (m && frames < FRAMES_MAX) {
        frames++;
        const frame = makeFrame(m);
        now.frames.push(frame);
        i += readSource(lines, i + 1, frame);
        continue;
      }
      const repeated = REPEATED.exec(line);
      if (repeated) {
        const last = now.frames[now.frames.length - 1];
        if (last) last.repeated = Number(repeated[1]);
        continue;
      }
      const error = line.startsWith(" ") ? null : ERROR.exec(line);
      if (error) {
        now.type = error[1]!;
        now.message = error[2] ?? "";
        out.push(now);
        messageOf = now;
        now = null;
      }
      continue;
    }
    // Messages and notes may have lines of their own, up to the next blank line before a chain or a rule.
    if (messageOf && !GROUP_RULE.test(chain) && depth === messageOf.depth) {
      messageOf.message += `\n${line}`;
    } else if (GROUP_RULE.test(chain)) {
      messageOf = null;
    } else if (!out.length || !chain) {
    } else if (depth > 0) {
      // A member of a group that was never raised has no traceback of its own.
      const error = ERROR.exec(line);
      if (error) {
        messageOf = { type: error[1]!, message: error[2] ?? "", frames: [], link: null, depth };
        out.push(messageOf);
      }
    }
  }
  // A cut text still has frames worth showing.
  if (now?.frames.length) out.push(now);
  for (const e of out) e.message = e.message.trim();
  return out.some((e) => e.frames.length) ? out : null;
}

/** Removes the margin of exception groups (`  | `) and says how deep it stood. */
function stripGroup(line: string): { line: string; depth: number } {
  const m = /^(\s*)([|+])(?: |$)/.exec(line);
  if (!m) return { line, depth: 0 };
  const depth = Math.floor(m[1]!.length / 2);
  return { line: line.slice(m[0].length), depth: Math.max(1, depth) };
}

function makeFrame(m: RegExpExecArray): Frame {
  const file = m[1]!;
  return {
    file,
    line: Number(m[2]),
    name: m[3] ?? "",
    source: "",
    mark: null,
    own: !isLibrary(file),
    repeated: 0,
  };
}

/** Reads the source line and its markers below a frame; returns how many lines that were. */
function readSource(lines: string[], at: number, frame: Frame): number {
  const source = stripGroup(lines[at] ?? "").line;
  if (!/^ {4}\S/.test(source)) return 0;
  frame.source = source.slice(4);
  let used = 1;
  // Statements of several lines (3.13 on) come one below the other, each with its own marker.
  for (;;) {
    const line = stripGroup(lines[at + used] ?? "").line;
    if (!/^ {4}/.test(line)) return used;
    const marker = /^ {4}(\s*)([~^]+[~^\s]*)$/.exec(line);
    if (marker) {
      if (!frame.mark) frame.mark = [marker[1]!.length, marker[1]!.length + marker[2]!.trimEnd().length];
    } else if (frame.mark === null || /\S/.test(line)) {
      frame.source += `\n${line.slice(4)}`;
    }
    used++;
  }
}

export interface FrameRun {
  own: boolean;
  frames: Frame[];
}

/** Frames in runs of own and library code, innermost call first. */
export function frameRuns(frames: readonly Frame[]): FrameRun[] {
  const runs: FrameRun[] = [];
  for (let i = frames.length - 1; i >= 0; i--) {
    const frame = frames[i]!;
    const last = runs[runs.length - 1];
    if (last && last.own === frame.own) last.frames.push(frame);
    else runs.push({ own: frame.own, frames: [frame] });
  }
  return runs;
}

/** A path as one reads it: from the package on for libraries, without the folders before the project for own code. */
export function shortPath(file: string): string {
  const path = file.replaceAll("\\", "/");
  const library =
    /(?:site|dist)-packages\/(.+)$/.exec(path) ?? /\/lib(?:64)?\/python[\d.]+t?\/(.+)$/.exec(path);
  if (library) return library[1]!;
  const parts = path.split("/");
  return parts.length > 4 ? `…/${parts.slice(-3).join("/")}` : path;
}
