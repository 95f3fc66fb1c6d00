/**
 * Keys and their values, one per line. A click on a value filters by it; the buttons rule it out or copy it.
 * Long values are cut until opened, structured ones are shown as JSON, each as its type says.
 *
 * <KeyValues items={span.attributes} label="Attributes" filterHref={(key, value) => href("/traces", …)} />
 */
import { useState } from "preact/hooks";
import type { Attribute } from "../api-types";
import { bytes, full } from "../format";
import { CopyButton } from "./copybutton";
import { Icon } from "./icon";
import "./keyvalues.css";

export interface KeyValuesProps {
  items: readonly Attribute[];
  label: string;
  /** Address of a list with this value only, or without it. */
  filterHref?: (key: string, value: string | number | boolean, exclude: boolean) => string | null;
  /** A click on a key: shows it as a column. */
  onKey?: (key: string) => void;
  /** Keys that are shown as columns. */
  columns?: readonly string[];
}

const LONG = 280;

/** A value as text: what is shown, copied and searched. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A plain object (resource attributes) as a sorted list. */
export function attributesOf(map: Record<string, unknown> | undefined): Attribute[] {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ({ key, value, type: typeOf(value) }));
}

function typeOf(value: unknown): Attribute["type"] {
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "double";
  if (Array.isArray(value)) return "array";
  return value !== null && typeof value === "object" ? "map" : "string";
}

/** Sorted by key, those of one group (`http.`, `db.`) side by side. */
export const sortedAttributes = (items: readonly Attribute[]): Attribute[] =>
  [...items].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));

export function KeyValues({ items, label, filterHref, onKey, columns }: KeyValuesProps) {
  if (!items.length) return <p class="muted small">None.</p>;
  return (
    <dl class="keyvalues" aria-label={label}>
      {sortedAttributes(items).map((item, i) => (
        <div class="kv" key={`${item.key}\n${i}`}>
          <dt title={item.key}>
            {onKey ? (
              <button
                type="button"
                onClick={() => onKey(item.key)}
                aria-pressed={columns?.includes(item.key)}
                title={
                  columns?.includes(item.key)
                    ? `${item.key}: remove the column`
                    : `${item.key}: show as a column`
                }
              >
                <KeyName name={item.key} />
              </button>
            ) : (
              <KeyName name={item.key} />
            )}
          </dt>
          <Value item={item} filterHref={filterHref} />
        </div>
      ))}
    </dl>
  );
}

/** The last part of a key is what one looks for; its groups step back. */
function KeyName({ name }: { name: string }) {
  const dot = name.lastIndexOf(".");
  return (
    <>
      {dot > 0 && <span class="kv-group">{name.slice(0, dot + 1)}</span>}
      {name.slice(dot + 1)}
    </>
  );
}

function Value({ item, filterHref }: { item: Attribute; filterHref: KeyValuesProps["filterHref"] }) {
  const [open, setOpen] = useState(false);
  const text = valueText(item.value);
  const structured = item.type === "array" || item.type === "map";
  const long = text.length > LONG || text.split("\n", 5).length > 4;
  const plain = ["string", "number", "boolean"].includes(typeof item.value) && text.length <= 1000;
  const only = plain ? filterHref?.(item.key, item.value as string, false) : null;
  const without = plain ? filterHref?.(item.key, item.value as string, true) : null;
  const pretty = structured && open ? JSON.stringify(item.value, null, 2) : text;
  const shown = long && !open ? `${text.slice(0, LONG)}…` : pretty;
  return (
    <dd class={`kv-${item.type}`}>
      <span class={`kv-value ${open ? "open" : ""}`} title={title(item)}>
        {text === "" ? (
          <span class="muted">{item.type === "empty" ? "empty" : '""'}</span>
        ) : only ? (
          <a href={only} title={`${title(item)}\nClick: only these`}>
            {shown}
          </a>
        ) : (
          shown
        )}
        {(long || (structured && text.length > 40)) && (
          <button type="button" class="kv-more" onClick={() => setOpen(!open)} aria-expanded={open}>
            {open ? "less" : long ? `all ${full(text.length)} characters` : "open"}
          </button>
        )}
        {item.type === "bytes" && (
          <span class="muted"> {bytes(Math.floor((text.replace(/=+$/, "").length * 3) / 4))}</span>
        )}
      </span>
      <span class="kv-tools">
        {without && (
          <a
            class="icon-button"
            href={without}
            title="All but these"
            aria-label={`All but ${item.key} ${text}`}
          >
            ≠
          </a>
        )}
        {only && (
          <a class="icon-button" href={only} title="Only these" aria-label={`Only ${item.key} ${text}`}>
            <Icon name="filter" size={12} />
          </a>
        )}
        <CopyButton
          text={() => (structured ? JSON.stringify(item.value, null, 2) : text)}
          label={`Copy ${item.key}`}
        />
      </span>
    </dd>
  );
}

const title = (item: Attribute): string =>
  typeof item.value === "number" && Number.isInteger(item.value) && Math.abs(item.value) >= 1000
    ? `${item.type} ${full(item.value)}`
    : item.type;
