/**
 * The time range of the page: presets, typing ("last 20m", "14:00 to 15:30", "yesterday"), the zone; beside it
 * the steps back and forth and the live switch. Everything is in the address.
 */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { rangeText, timestamp, zoneLabel } from "../format";
import { useKeys } from "../keys";
import {
  from,
  live,
  relative,
  resolvedRange,
  setLive,
  setRange,
  setZone,
  shiftRange,
  to,
  zone,
  zoneName,
} from "../state";
import { Icon } from "./icon";
import "./timepicker.css";
import { parseRange } from "./timepicker-text";

const presets: [string, string][] = [
  ["now-5m", "5 minutes"],
  ["now-15m", "15 minutes"],
  ["now-30m", "30 minutes"],
  ["now-1h", "1 hour"],
  ["now-3h", "3 hours"],
  ["now-6h", "6 hours"],
  ["now-12h", "12 hours"],
  ["now-1d", "24 hours"],
  ["now-2d", "2 days"],
  ["now-7d", "7 days"],
  ["now-30d", "30 days"],
];

export function TimePicker() {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    if (!open) return;
    const outside = (event: PointerEvent) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);
  useKeys([{ key: "t", help: "Choose the time range", run: () => setOpen(true) }]);
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  const span = resolvedRange();
  const title = `${timestamp(span.from * 1e9, 0)} to ${timestamp(span.to * 1e9, 0)} ${zoneLabel()}`;
  return (
    <div class="timepicker" ref={root}>
      <div class="timepicker-group">
        <button
          type="button"
          class="timepicker-step"
          aria-label="Earlier by half the range"
          title="Earlier  ["
          onClick={() => shiftRange(-0.5)}
        >
          <Icon name="left" size={12} />
        </button>
        <button
          type="button"
          ref={button}
          class="timepicker-range"
          aria-haspopup="dialog"
          aria-expanded={open}
          title={title}
          onClick={() => setOpen(!open)}
        >
          <Icon name="clock" size={14} />
          <span>{rangeText(from.value, to.value)}</span>
        </button>
        <button
          type="button"
          class="timepicker-step"
          aria-label="Later by half the range"
          title="Later  ]"
          disabled={relative.value}
          onClick={() => shiftRange(0.5)}
        >
          <Icon name="right" size={12} />
        </button>
      </div>
      <LiveSwitch />
      {open && <Choice onDone={close} />}
    </div>
  );
}

function LiveSwitch() {
  return (
    <button
      type="button"
      class={`live ${live.value ? "on" : ""}`}
      role="switch"
      aria-checked={live.value}
      aria-label="Live"
      title={
        live.value ? "Live: the page refreshes by itself" : "Held: the range stands still. Click for live."
      }
      onClick={() => setLive(!live.value)}
    >
      <span class={live.value ? "pulse" : "live-off"} aria-hidden="true" />
      <span>Live</span>
    </button>
  );
}

function Choice({ onDone }: { onDone: () => void }) {
  const [text, setText] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => field.current?.focus(), []);
  const parsed = text.trim() ? parseRange(text, Date.now(), zoneName.value) : null;
  const wrong = text.trim() !== "" && !parsed;
  const span = resolvedRange();
  const choose = (start: string, end: string) => {
    setRange(start, end);
    onDone();
  };
  return (
    <div
      class="timepicker-panel"
      role="dialog"
      aria-label="Time range"
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          event.stopPropagation();
          onDone();
        }
      }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (parsed) choose(parsed.from, parsed.to);
        }}
      >
        <input
          ref={field}
          class="input mono"
          value={text}
          onInput={(e) => setText(e.currentTarget.value)}
          placeholder="last 20m, 14:00 to 15:30, yesterday"
          aria-label="Type a time range"
          aria-invalid={wrong}
        />
        <p class={wrong ? "warn" : "muted"} aria-live="polite">
          {wrong
            ? "Not a time range yet."
            : parsed
              ? `↵ ${rangeText(parsed.from, parsed.to)}`
              : `${timestamp(span.from * 1e9, 0)} – ${timestamp(span.to * 1e9, 0)}`}
        </p>
      </form>
      <div class="timepicker-presets" role="group" aria-label="Last">
        {presets.map(([start, name]) => (
          <button
            type="button"
            key={start}
            class={from.value === start && to.value === "now" ? "chosen" : ""}
            onClick={() => choose(start, "now")}
          >
            Last {name}
          </button>
        ))}
      </div>
      <ZoneChoice />
    </div>
  );
}

/** Local, UTC, or any zone the browser knows. */
export function ZoneChoice() {
  const local = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const all = typeof Intl.supportedValuesOf === "function" ? Intl.supportedValuesOf("timeZone") : [];
  return (
    <label class="zone-choice">
      <span>Zone</span>
      <select class="input" value={zone.value} onChange={(e) => setZone(e.currentTarget.value)}>
        <option value="local">Local ({local})</option>
        <option value="UTC">UTC</option>
        {zone.value !== "local" && zone.value !== "UTC" && !all.includes(zone.value) && (
          <option value={zone.value}>{zone.value}</option>
        )}
        {all
          .filter((name) => name !== "UTC")
          .map((name) => (
            <option value={name} key={name}>
              {name}
            </option>
          ))}
      </select>
    </label>
  );
}
