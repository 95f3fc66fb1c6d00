/**
 * Opens anything (Ctrl/⌘ K): screens, services, endpoints, metrics, a trace by its id, time ranges, settings. What is
 * typed as a filter goes to the traces.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useApi } from "../api";
import type { AttributeValues, ServiceList } from "../api-types";
import { rangeText } from "../format";
import { href, navigate, segment } from "../router";
import { condition, live, range, setLive, setRange, setZone } from "../state";
import { chooseTheme } from "../theme/theme";
import { Dialog } from "./dialog";
import { Icon, type IconName } from "./icon";
import "./palette.css";
import { zoneName } from "../state";
import { score } from "./palette-match";
import { ServiceName } from "./servicename";
import { parseRange } from "./timepicker-text";

export interface PaletteProps {
  onClose: () => void;
  /** Screens of the rail. */
  screens: { title: string; path: string; icon: IconName }[];
}

interface Item {
  group: string;
  label: string;
  icon?: IconName;
  service?: string;
  note?: string;
  run: () => void;
}

const mostShown = 40;
/** Names of metrics that can be found; the explorer finds all. */
const METRICS_MAX = 5000;

export function Palette({ onClose, screens }: PaletteProps) {
  const [typed, setTyped] = useState("");
  const [chosen, setChosen] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const services = useApi<ServiceList>("/services", range.value, { live: false });
  const metrics = useApi<{ data: readonly string[] }>(
    "/prometheus/api/v1/label/__name__/values",
    { limit: METRICS_MAX },
    { live: false },
  );
  const names = useApi<AttributeValues>(
    "/attributes/values",
    { signal: "span", key: "name", limit: 200, ...range.value },
    { live: false },
  );

  const items = useMemo<Item[]>(() => {
    const go = (to: string) => () => navigate(to);
    return [
      ...screens.map((s) => ({ group: "Screens", label: s.title, icon: s.icon, run: go(href(s.path)) })),
      ...(services.data?.services ?? []).map((s) => ({
        group: "Services",
        label: s.name,
        service: s.name,
        run: go(href(`/services/${segment(s.name)}`)),
      })),
      ...(names.data?.values ?? []).map((v) => ({
        group: "Operations",
        label: v.value,
        icon: "traces" as const,
        run: go(href("/traces", { filter: condition("name", "=", v.value) })),
      })),
      ...(metrics.data?.data ?? []).map((name) => ({
        group: "Metrics",
        label: name,
        icon: "metrics" as const,
        run: go(href("/explore", { metric: name, "q.A": name })),
      })),
      ...(
        [
          ["Theme: light", () => chooseTheme("light")],
          ["Theme: dark", () => chooseTheme("dark")],
          ["Theme: as the system", () => chooseTheme("system")],
          ["Zone: local time", () => setZone("local")],
          ["Zone: UTC", () => setZone("UTC")],
          [live.value ? "Live: hold" : "Live: on", () => setLive(!live.value)],
        ] as const
      ).map(([label, run]) => ({ group: "Settings", label, icon: "settings" as const, run })),
    ];
  }, [screens, services.data, names.data, metrics.data, live.value]);

  const shown = useMemo<Item[]>(() => {
    const text = typed.trim();
    const special: Item[] = [];
    if (/^[0-9a-f]{32}$/i.test(text)) {
      special.push({
        group: "Trace",
        label: text.toLowerCase(),
        icon: "traces",
        run: () => navigate(href(`/traces/${text.toLowerCase()}`)),
      });
    }
    const time = text ? parseRange(text, Date.now(), zoneName.peek()) : null;
    if (time) {
      special.push({
        group: "Time range",
        label: rangeText(time.from, time.to),
        icon: "clock",
        run: () => setRange(time.from, time.to),
      });
    }
    if (/[=<>~]/.test(text)) {
      special.push({
        group: "Traces",
        label: text,
        note: "filter",
        icon: "filter",
        run: () => navigate(href("/traces", { filter: text })),
      });
    }
    const scored = items
      .map((item, i) => ({
        item,
        i,
        s: score(item.label, text) + (text && item.group === "Services" ? 5 : 0),
      }))
      .filter((x) =>
        text ? score(x.item.label, text) > 0 : x.item.group !== "Operations" && x.item.group !== "Metrics",
      );
    if (text) scored.sort((a, b) => b.s - a.s || a.i - b.i);
    return [...special, ...scored.slice(0, mostShown).map((x) => x.item)];
  }, [items, typed]);

  useEffect(() => setChosen(0), [typed]);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [chosen]);

  const run = (item: Item | undefined) => {
    if (!item) return;
    onClose();
    item.run();
  };

  return (
    <Dialog label="Open anything" onClose={onClose} class="palette">
      <div class="palette-field">
        <Icon name="search" />
        <input
          value={typed}
          onInput={(e) => setTyped(e.currentTarget.value)}
          placeholder="Service, operation, metric, trace id, time range, setting"
          aria-label="Search"
          role="combobox"
          aria-expanded="true"
          aria-controls="palette-list"
          aria-activedescendant={shown.length ? `palette-${chosen}` : undefined}
          spellcheck={false}
          autocomplete="off"
          onKeyDown={(event) => {
            if (event.key === "ArrowDown" || event.key === "ArrowUp") {
              event.preventDefault();
              const by = event.key === "ArrowDown" ? 1 : -1;
              if (shown.length) setChosen((c) => (c + by + shown.length) % shown.length);
            } else if (event.key === "Enter") {
              event.preventDefault();
              run(shown[chosen]);
            }
          }}
        />
        <kbd>Esc</kbd>
      </div>
      <div class="palette-list" id="palette-list" role="listbox" aria-label="Results" ref={list}>
        {shown.map((item, i) => (
          <div
            key={`${item.group}/${item.label}`}
            id={`palette-${i}`}
            role="option"
            aria-selected={i === chosen}
            class="palette-item"
            onClick={() => run(item)}
            onPointerMove={() => setChosen(i)}
          >
            {item.service ? (
              <ServiceName name={item.service} max={50} />
            ) : (
              <>
                {item.icon && <Icon name={item.icon} size={14} />}
                <span class="ellipsis">{item.label}</span>
              </>
            )}
            <span class="palette-group">{item.note ?? item.group}</span>
          </div>
        ))}
        {!shown.length && <p class="palette-none muted">Nothing has that name in this time range.</p>}
      </div>
    </Dialog>
  );
}
