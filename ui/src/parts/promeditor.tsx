/**
 * A field for PromQL. The editor itself (highlighting, completion, marks under mistakes) comes as a chunk of its
 * own when the first field is shown; until then, and when it cannot be loaded, a plain field of the same size
 * takes the text.
 *
 * <PromEditor value={text} label="Query A" onInput={setText} onRun={run} marks={[{ at: 3, length: 4, tone: "bad", text }]} />
 */
import { useEffect, useRef, useState } from "preact/hooks";
import type { EditorHandle } from "./promeditor.view";
import "./promeditor.css";

export interface Mark {
  /** Index into the text. */
  at: number;
  length: number;
  tone: "bad" | "warn" | "info";
  text: string;
}

export interface PromEditorProps {
  value: string;
  /** Names the field, for screen readers. */
  label: string;
  onInput: (text: string) => void;
  /** Enter; Shift-Enter makes a line. */
  onRun: () => void;
  /** Places the server pointed at. */
  marks?: readonly Mark[];
  placeholder?: string;
  autofocus?: boolean;
}

export function PromEditor(props: PromEditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const handle = useRef<EditorHandle | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const [ready, setReady] = useState(false);
  // What was typed comes back as `value`, perhaps after more was typed: then it must not replace that.
  const typed = useRef<string[]>([]);

  useEffect(() => {
    let gone = false;
    import("./promeditor.view").then(
      ({ createEditor }) => {
        if (gone || !host.current) return;
        const focused = host.current.parentElement?.contains(document.activeElement) ?? false;
        handle.current = createEditor(host.current, {
          value: latest.current.value,
          label: latest.current.label,
          placeholder: latest.current.placeholder ?? "",
          onInput: (text) => {
            typed.current.push(text);
            latest.current.onInput(text);
          },
          onRun: () => latest.current.onRun(),
        });
        handle.current.setMarks(latest.current.marks ?? []);
        setReady(true);
        if (focused || latest.current.autofocus) handle.current.focus();
      },
      () => {
        // The plain field stays; it runs queries just as well.
      },
    );
    return () => {
      gone = true;
      handle.current?.destroy();
      handle.current = null;
    };
  }, []);

  useEffect(() => {
    const echo = typed.current.indexOf(props.value);
    typed.current.splice(0, echo < 0 ? Number.POSITIVE_INFINITY : echo + 1);
    if (echo < 0) handle.current?.setValue(props.value);
  }, [props.value]);
  useEffect(() => handle.current?.setMarks(props.marks ?? []), [props.marks]);

  return (
    <div class="promeditor">
      <div ref={host} class="promeditor-host" hidden={!ready} />
      {!ready && (
        <textarea
          class="promeditor-plain"
          rows={1}
          value={props.value}
          aria-label={props.label}
          placeholder={props.placeholder}
          spellcheck={false}
          onInput={(e) => props.onInput(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key !== "Enter" || e.shiftKey) return;
            e.preventDefault();
            props.onRun();
          }}
        />
      )}
    </div>
  );
}
