/**
 * An exception with its stack: what was raised, the application's own frames open, frames of libraries folded.
 * Innermost call first; chained exceptions one below the other. Texts that are no Python traceback stay text. With
 * the agent's detail a frame opens to the source around and its variables; the innermost own one is open.
 *
 * <Stack text={stacktrace} type="ValueError" message="no lamp left" />
 */
import { useMemo, useState } from "preact/hooks";
import { plural } from "../format";
import { CopyButton } from "./copybutton";
import { Icon } from "./icon";
import { parseDetail } from "./stack.detail";
import { type Frame, frameRuns, type PyException, parseTraceback, shortPath } from "./stack.parse";
import "./stack.css";

export interface StackProps {
  text: string;
  type?: string;
  message?: string;
  /** The attribute varan.exception.detail, or "". */
  detail?: string;
}

export function Stack({ text, type, message, detail }: StackProps) {
  const list = useMemo(() => (detail && parseDetail(detail)) || parseTraceback(text), [text, detail]);
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
              why={i > 0 ? reasonOf(e) : null}
              type={i === 0 ? type : undefined}
              first={i === 0}
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

function reasonOf(e: PyException): string {
  if (e.link) return e.link === "cause" ? "caused by" : "raised while handling";
  return e.member ? `${e.member[0]} of ${e.member[1]} in the group` : "with";
}

function Exception(props: { exception: PyException; why: string | null; type?: string; first: boolean }) {
  const { exception, why } = props;
  const runs = frameRuns(exception.frames);
  const anyOwn = runs.some((r) => r.own);
  const innermost = props.first ? runs.find((r) => r.own)?.frames[0] : undefined;
  // The qualified name of the event says more than the last line of the traceback.
  const type = props.type?.endsWith(exception.type) ? props.type : exception.type;
  return (
    <section class="stack-exception" style={{ "--depth": Math.min(exception.depth, 4) }}>
      {why && <p class="stack-why">{why}</p>}
      <ExceptionHead type={type} message={exception.message} />
      {exception.notes?.map((note, i) => (
        <p key={i} class="stack-note">
          {note}
        </p>
      ))}
      {(runs.length > 0 || exception.leftOut) && (
        <ol>
          {runs.map((run, i) =>
            run.own || (!anyOwn && i === 0 && run.frames.length === 1) ? (
              run.frames.map((frame, k) => (
                <FrameLine key={`${i}.${k}`} frame={frame} open={frame === innermost} />
              ))
            ) : (
              <LibraryRun key={i} frames={run.frames} open={false} />
            ),
          )}
          {exception.leftOut && (
            <li class="stack-left">{plural(exception.leftOut, "outer frame")} left out</li>
          )}
        </ol>
      )}
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

function FrameLine({ frame, open: first = false }: { frame: Frame; open?: boolean }) {
  const [open, setOpen] = useState(first);
  const more = frame.around !== undefined || frame.variables !== undefined;
  const name = frame.name || "<module>";
  return (
    <li class={`frame ${frame.own ? "own" : ""}`}>
      <div class="frame-head">
        {more ? (
          <button type="button" class="frame-name" onClick={() => setOpen(!open)} aria-expanded={open}>
            <Icon name={open ? "down" : "right"} size={10} /> {name}
          </button>
        ) : (
          <span class="frame-name">{name}</span>
        )}
        <span class="frame-place" title={`${frame.file}:${frame.line}`}>
          {shortPath(frame.file)}:<b>{frame.line}</b>
        </span>
        <CopyButton text={`${frame.file}:${frame.line}`} label={`Copy ${frame.file}:${frame.line}`} />
      </div>
      {open && frame.around ? (
        <SourceAround frame={frame} around={frame.around} />
      ) : (
        frame.source && (
          <pre class="frame-source">
            <span class="frame-line">{frame.line}</span>
            <code>
              <Marked source={frame.source} mark={frame.mark} />
            </code>
          </pre>
        )
      )}
      {open && frame.variables && <Variables items={frame.variables} />}
      {frame.repeated > 0 && (
        <p class="muted small">called itself {plural(frame.repeated, "more time", "more times")}</p>
      )}
    </li>
  );
}

/** The lines without the margin that all of them have. */
function SourceAround({ frame, around }: { frame: Frame; around: NonNullable<Frame["around"]> }) {
  const margins = around.lines.filter((l) => l.trim()).map((l) => l.length - l.trimStart().length);
  const margin = Math.min(...margins, 80);
  return (
    <pre class="frame-source around">
      {around.lines.map((line, i) => (
        <div key={i} class={around.first + i === frame.line ? "at" : ""}>
          <span class="frame-line">{around.first + i}</span>
          <code>{line.slice(margin) || " "}</code>
        </div>
      ))}
    </pre>
  );
}

function Variables({ items }: { items: [string, string][] }) {
  return (
    <table class="frame-variables">
      <caption class="sr">Local variables</caption>
      <tbody>
        {items.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td class={value === "***" || value === "[scrubbed]" ? "muted" : ""}>{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
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
