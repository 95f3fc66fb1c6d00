/**
 * The filter, one language everywhere. Completes keys and values with their counts, colours what it reads, shows
 * an error under its column, remembers what was asked. Enter applies; the filter lives in the address.
 *
 * <FilterBar signal="span" />
 */
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type ApiError, api, toApiError } from "../api";
import type { AttributeKeys, AttributeValues } from "../api-types";
import { count } from "../format";
import { useKeys } from "../keys";
import { filter, filterKey, filterValue, range, setFilter } from "../state";
import "./filterbar.css";
import { parts, type Spot, spotAt } from "./filterbar-text";
import { Icon } from "./icon";

export interface FilterBarProps {
  /** Whose keys are completed. */
  signal: "span" | "log";
}

interface Choice {
  label: string;
  /** Beside the label: a count or a type. */
  note: string;
  insert: string;
  /** What the key means. */
  help?: string;
  kind: "key" | "value" | "recent";
}

const historyLength = 30;
const historyKey = (signal: string) => `varan.filters.${signal}`;

function readHistory(signal: string): string[] {
  try {
    const list = JSON.parse(localStorage.getItem(historyKey(signal)) ?? "[]") as unknown;
    return Array.isArray(list) ? list.filter((x): x is string => typeof x === "string") : [];
  } catch {
    return [];
  }
}

function keepHistory(signal: string, text: string): void {
  try {
    const list = [text, ...readHistory(signal).filter((x) => x !== text)].slice(0, historyLength);
    localStorage.setItem(historyKey(signal), JSON.stringify(list));
  } catch {
    // Without storage there is no history.
  }
}

async function choices(signal: string, spot: Spot, text: string, abort: AbortSignal): Promise<Choice[]> {
  if (spot.kind === "value") {
    if (!spot.key) return [];
    const answer = await api<AttributeValues>(
      "/attributes/values",
      { signal, key: spot.key, prefix: spot.prefix, limit: 30, ...range.peek() },
      abort,
    );
    return answer.values.map((v) => ({
      label: v.value,
      note: count(v.count),
      insert: `${filterValue(v.value)} `,
      kind: "value",
    }));
  }
  const answer = await api<AttributeKeys>("/attributes", { signal, prefix: spot.prefix, limit: 30 }, abort);
  const keys = answer.keys.map(
    (k): Choice => ({
      label: k.key,
      note: k.count ? count(k.count) : k.type,
      help: k.help,
      insert: filterKey(k.key) + (k.type === "duration" ? ">" : k.key === "level" ? ">=" : "="),
      kind: "key",
    }),
  );
  const recent = readHistory(signal)
    .filter((h) => h !== text)
    .slice(0, 5)
    .map((h): Choice => ({ label: h, note: "recent", insert: h, kind: "recent" }));
  return text.trim() ? keys : [...recent, ...keys];
}

export function FilterBar({ signal }: FilterBarProps) {
  const applied = filter.value;
  const [text, setText] = useState(applied);
  const [focused, setFocused] = useState(false);
  const [list, setList] = useState<Choice[]>([]);
  const [open, setOpen] = useState(false);
  const [chosen, setChosen] = useState(-1);
  const [error, setError] = useState<ApiError | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const mirror = useRef<HTMLDivElement>(null);
  const spot = useRef<Spot>({ kind: "key", key: "", prefix: "", from: 0, to: 0 });
  const request = useRef<AbortController | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  const caretAfter = useRef<number | null>(null);
  const id = useId();

  // A filter set elsewhere (a facet, a link, going back) comes in, and is checked like a typed one.
  useEffect(() => {
    setText(applied);
    setError(null);
    if (!applied) return;
    const abort = new AbortController();
    check(signal, applied, abort.signal).then(setError, () => {});
    return () => abort.abort();
  }, [applied, signal]);

  useLayoutEffect(() => {
    if (caretAfter.current !== null && input.current) {
      input.current.setSelectionRange(caretAfter.current, caretAfter.current);
      caretAfter.current = null;
      suggest();
    }
    if (mirror.current && input.current) mirror.current.scrollLeft = input.current.scrollLeft;
  }, [text]);

  useKeys([{ key: "/", help: "Go to the filter", run: () => input.current?.focus() }]);

  /** What is listed must fit what is typed now; the server's answer follows in a moment. */
  const narrow = (element: HTMLInputElement) => {
    const at = spotAt(element.value, element.selectionStart ?? element.value.length);
    const same = at.kind === spot.current.kind && at.key === spot.current.key;
    spot.current = at;
    const typed = at.prefix.toLowerCase();
    setList((l) =>
      same ? l.filter((c) => c.kind !== "recent" && c.label.toLowerCase().includes(typed)) : [],
    );
    setChosen(-1);
  };

  const suggest = (delay = 60) => {
    const element = input.current;
    if (!element) return;
    clearTimeout(timer.current);
    timer.current = setTimeout(async () => {
      request.current?.abort();
      const abort = new AbortController();
      request.current = abort;
      const value = element.value;
      const at = spotAt(value, element.selectionStart ?? value.length);
      spot.current = at;
      try {
        const found = await choices(signal, at, value, abort.signal);
        if (abort.signal.aborted || document.activeElement !== element) return;
        // Nothing to complete when the one suggestion is already there.
        const only = found.length === 1 && found[0]!.label === at.prefix;
        setList(only ? [] : found);
        setChosen(-1);
        setOpen(true);
      } catch {
        // Completion is a help; typing goes on without it.
      }
    }, delay);
  };

  const pick = (choice: Choice) => {
    const at = spot.current;
    if (choice.kind === "recent") {
      caretAfter.current = choice.insert.length;
      setText(choice.insert);
    } else {
      const rest = text.slice(at.to).replace(/^\s+/, "");
      const next = text.slice(0, at.from) + choice.insert + rest;
      caretAfter.current = at.from + choice.insert.length;
      setText(next);
    }
    setError(null);
    setList([]);
    input.current?.focus();
  };

  const apply = async (value: string) => {
    const wanted = value.trim();
    clearTimeout(timer.current);
    request.current?.abort();
    setOpen(false);
    if (wanted) {
      const problem = await check(signal, wanted).catch(() => null);
      setError(problem);
      if (problem) return;
      keepHistory(signal, wanted);
    } else setError(null);
    setText(wanted);
    setFilter(wanted);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const shown = open && list.length > 0;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!shown) suggest(0);
      else {
        const n = list.length;
        setChosen((c) => (event.key === "ArrowDown" ? (c + 1) % n : c <= 0 ? n - 1 : c - 1));
      }
    } else if (event.key === "Tab" && shown && !event.shiftKey && text) {
      event.preventDefault();
      pick(list[Math.max(chosen, 0)]!);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (shown && chosen >= 0) pick(list[chosen]!);
      else void apply(text);
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      if (shown) setOpen(false);
      else {
        setText(applied);
        setError(null);
        input.current?.blur();
      }
    }
  };

  const shown = open && focused && list.length > 0;
  return (
    <div class={`filterbar ${error ? "wrong" : ""} ${focused ? "focused" : ""}`} role="search">
      <Icon name="filter" size={14} />
      <div class="filterbar-field">
        <div class="filterbar-mirror" ref={mirror} aria-hidden="true">
          <Coloured text={text} error={error} />
        </div>
        <input
          ref={input}
          value={text}
          placeholder={
            signal === "log" ? 'Filter: level>=warn AND "timeout"' : "Filter: service=shop AND duration>200ms"
          }
          aria-label="Filter"
          role="combobox"
          aria-expanded={shown}
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={shown && chosen >= 0 ? `${id}-${chosen}` : undefined}
          aria-invalid={!!error}
          aria-describedby={error ? `${id}-error` : undefined}
          spellcheck={false}
          autocomplete="off"
          autocapitalize="off"
          enterkeyhint="search"
          maxLength={4096}
          onInput={(e) => {
            setText(e.currentTarget.value);
            setError(null);
            narrow(e.currentTarget);
            suggest();
          }}
          onScroll={(e) => {
            if (mirror.current) mirror.current.scrollLeft = e.currentTarget.scrollLeft;
          }}
          onKeyDown={onKeyDown}
          onClick={() => suggest(0)}
          onFocus={() => {
            setFocused(true);
            suggest(0);
          }}
          onBlur={() => {
            setFocused(false);
            setOpen(false);
          }}
        />
      </div>
      {text && (
        <button
          type="button"
          class="filterbar-clear"
          aria-label="Clear the filter"
          title="Clear the filter"
          onMouseDown={(e) => e.preventDefault()}
          onClick={() => {
            setText("");
            void apply("");
          }}
        >
          <Icon name="close" size={12} />
        </button>
      )}
      {text.trim() !== applied && !error && <kbd class="filterbar-enter">↵</kbd>}
      {!text && !focused && <kbd class="filterbar-enter">/</kbd>}
      {error && (
        <div
          class="filterbar-error"
          id={`${id}-error`}
          role="alert"
          style={{ "--column": Math.max(0, (error.column ?? 1) - 1) }}
        >
          <strong>{error.message}</strong>
          {error.hint && <span>{error.hint}</span>}
        </div>
      )}
      {shown && !error && (
        <div class="filterbar-list" id={`${id}-list`} role="listbox" aria-label="Completions">
          {list.map((c, i) => (
            <div
              key={`${c.kind}${c.label}`}
              id={`${id}-${i}`}
              role="option"
              aria-selected={i === chosen}
              class={`choice ${c.kind}`}
              ref={(element) => {
                if (i === chosen) element?.scrollIntoView({ block: "nearest" });
              }}
              onMouseDown={(e) => e.preventDefault()}
              onClick={() => pick(c)}
            >
              <span class="ellipsis" title={c.label}>
                {c.label || "(empty)"}
              </span>
              {c.help && <span class="choice-help ellipsis">{c.help}</span>}
              <span class="choice-note">{c.note}</span>
            </div>
          ))}
        </div>
      )}
    </div>
  );
}

async function check(signal: string, text: string, abort?: AbortSignal): Promise<ApiError | null> {
  const answer = await api<{ ok?: boolean; error?: unknown }>(
    "/filter/check",
    { signal, filter: text },
    abort,
  );
  return answer.error ? toApiError(answer.error, 400, "/filter/check") : null;
}

function Coloured({ text, error }: { text: string; error: ApiError | null }) {
  if (error?.column) {
    // Columns count characters, not UTF-16 units.
    const characters = [...text];
    const at = Math.min(error.column - 1, characters.length);
    const end = at + Math.max(1, error.length ?? 1);
    return (
      <>
        {characters.slice(0, at).join("")}
        <u>{characters.slice(at, end).join("") || "\u00a0"}</u>
        {characters.slice(end).join("")}
      </>
    );
  }
  return (
    <>
      {parts(text).map((p) => (
        <span key={p.at} class={`f-${p.kind}`}>
          {p.text}
        </span>
      ))}
    </>
  );
}
