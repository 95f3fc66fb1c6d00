/**
 * An exception with its stack: what was raised, the application's own frames open, frames of libraries folded.
 * Innermost call first; chained exceptions one below the other. Texts that are no Python traceback stay text.
 *
 * <Stack text={stacktrace} type="ValueError" message="no lamp left" />
 */
import { useMemo, useState } from "preact/hooks";
import { plural } from "../format";
import { CopyButton } from "./copybutton";
import { Icon } from "./icon";
import { type Frame, frameRuns, type PyException, parseTraceback, shortPath } from "./stack.parse";
import "./stack.css";

export interface StackProps {
  text: string;
  type?: string;
  message?: string;
}

export function Stack({ text, type, message }: StackProps) {
  const list = useMemo(() => parseTraceback(text), [text]);
  const [raw, setRaw] = useState(false);
  const exceptions = list ? [...list].reverse() : [];
  return (
    <div class="stack">
      {(!list || raw) && (type || message) && <ExceptionHead type={type ?? ""} message={message ?? ""} />}
      {list && !raw
        ? exceptions.map((e, i) => (
            <Exception
              key={i}
              exception={e}
              why={i > 0 ? (e.link ?? "member") : null}
              type={i === 0 ? type : undefined}
            />
          ))
        : text && (
            // biome-ignore lint/a11y/noNoninteractiveTabindex: long lines scroll, also by keyboard
            <pre class="stack-raw" tabIndex={0}>
              {text}
            </pre>
          )}
      {text && (
        <div class="stack-tools">
          {list && (
            <button type="button" class="button plain" onClick={() => setRaw(!raw)} aria-pressed={raw}>
              As text
            </button>
          )}
          <CopyButton text={text} label="Copy the traceback">
            Copy
          </CopyButton>
        </div>
      )}
    </div>
  );
}

function ExceptionHead({ type, message }: { type: string; message: string }) {
  const dot = type.lastIndexOf(".");
  return (
    <p class="stack-head">
      <span class="stack-type">
        {dot > 0 && <span class="stack-module">{type.slice(0, dot + 1)}</span>}
        {type.slice(dot + 1)}
      </span>
      {message && <span class="stack-message">{message}</span>}
    </p>
  );
}

const reasons = {
  cause: "caused by",
  context: "raised while handling",
  member: "with",
} as const;

function Exception(props: { exception: PyException; why: keyof typeof reasons | null; type?: string }) {
  const { exception, why } = props;
  const runs = frameRuns(exception.frames);
  const anyOwn = runs.some((r) => r.own);
  // The qualified name of the event says more than the last line of the traceback.
  const type = props.type?.endsWith(exception.type) ? props.type : exception.type;
  return (
    <section class="stack-exception">
      {why && <p class="stack-why">{reasons[why]}</p>}
      <ExceptionHead type={type} message={exception.message} />
      <ol>
        {runs.map((run, i) =>
          run.own || (!anyOwn && i === 0 && run.frames.length === 1) ? (
            run.frames.map((frame, k) => <FrameLine key={`${i}.${k}`} frame={frame} />)
          ) : (
            <LibraryRun key={i} frames={run.frames} open={false} />
          ),
        )}
      </ol>
    </section>
  );
}

function LibraryRun({ frames, open: first }: { frames: Frame[]; open: boolean }) {
  const [open, setOpen] = useState(first);
  const packages = [...new Set(frames.map((f) => shortPath(f.file).split("/")[0]!))];
  const names = packages.slice(0, 3).join(", ") + (packages.length > 3 ? ", …" : "");
  return (
    <>
      <li class="stack-fold">
        <button type="button" onClick={() => setOpen(!open)} aria-expanded={open}>
          <Icon name={open ? "down" : "right"} size={10} />
          {plural(frames.length, "frame")} in {names}
        </button>
      </li>
      {open && frames.map((frame, i) => <FrameLine key={i} frame={frame} />)}
    </>
  );
}

function FrameLine({ frame }: { frame: Frame }) {
  return (
    <li class={`frame ${frame.own ? "own" : ""}`}>
      <div class="frame-head">
        <span class="frame-name">{frame.name || "<module>"}</span>
        <span class="frame-place" title={`${frame.file}:${frame.line}`}>
          {shortPath(frame.file)}:<b>{frame.line}</b>
        </span>
        <CopyButton text={`${frame.file}:${frame.line}`} label={`Copy ${frame.file}:${frame.line}`} />
      </div>
      {frame.source && (
        <pre class="frame-source">
          <span class="frame-line">{frame.line}</span>
          <code>
            <Marked source={frame.source} mark={frame.mark} />
          </code>
        </pre>
      )}
      {frame.repeated > 0 && (
        <p class="muted small">called itself {plural(frame.repeated, "more time", "more times")}</p>
      )}
    </li>
  );
}

function Marked({ source, mark }: { source: string; mark: [number, number] | null }) {
  const first = source.split("\n", 1)[0]!;
  if (!mark || mark[1] > first.length || (mark[0] === 0 && mark[1] >= first.trimEnd().length))
    return <>{source}</>;
  return (
    <>
      {source.slice(0, mark[0])}
      <mark>{source.slice(mark[0], mark[1])}</mark>
      {source.slice(mark[1])}
    </>
  );
}
