/** The list of metrics beside the explorer: search, type, how many series; only rows in sight exist. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { count, full } from "../../format";
import { useKeys } from "../../keys";
import { Icon } from "../../parts/icon";
import { Skeleton } from "../../parts/skeleton";
import { type Metric, type MetricType, searchMetrics } from "./catalogue";

export interface MetricListProps {
  metrics: readonly Metric[] | undefined;
  slow: boolean;
  search: string;
  onSearch: (text: string) => void;
  onOpen: (metric: Metric) => void;
}

const ROW = 40;
const types: Record<MetricType, string> = {
  counter: "counter",
  gauge: "gauge",
  histogram: "histogram",
  native: "native histogram",
  summary: "summary",
  info: "info",
  stateset: "states",
  unknown: "unknown type",
};
export const typeName = (t: MetricType): string => types[t];

export function MetricList({ metrics, slow, search, onSearch, onOpen }: MetricListProps) {
  const field = useRef<HTMLInputElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ first: 0, last: 40 });
  const [cursor, setCursor] = useState(0);
  const found = useMemo(() => searchMetrics(metrics ?? [], search), [metrics, search]);
  useKeys([{ key: "/", help: "Search metrics", run: () => field.current?.focus() }]);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const read = () => {
      const first = Math.max(0, Math.floor(element.scrollTop / ROW) - 6);
      setView({ first, last: first + Math.ceil(element.clientHeight / ROW) + 12 });
    };
    read();
    element.addEventListener("scroll", read, { passive: true });
    const observer = new ResizeObserver(read);
    observer.observe(element);
    return () => {
      element.removeEventListener("scroll", read);
      observer.disconnect();
    };
  }, []);
  useEffect(() => {
    setCursor(0);
    box.current?.scrollTo({ top: 0 });
  }, [search]);

  const move = (to: number) => {
    const i = Math.max(0, Math.min(found.length - 1, to));
    setCursor(i);
    const element = box.current;
    if (!element) return;
    if (i * ROW < element.scrollTop) element.scrollTop = i * ROW;
    else if ((i + 1) * ROW > element.scrollTop + element.clientHeight)
      element.scrollTop = (i + 1) * ROW - element.clientHeight;
  };

  return (
    <div class="metric-list">
      <div class="metric-search">
        <Icon name="search" size={14} />
        <input
          ref={field}
          value={search}
          placeholder={metrics ? `Search ${full(metrics.length)} metrics` : "Search metrics"}
          aria-label="Search metrics by name, help and type"
          role="combobox"
          aria-expanded="true"
          aria-controls="metric-options"
          aria-activedescendant={found.length ? `metric-${cursor}` : undefined}
          spellcheck={false}
          autocomplete="off"
          onInput={(e) => onSearch(e.currentTarget.value)}
          onKeyDown={(e) => {
            const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[e.key];
            if (by) {
              e.preventDefault();
              move(cursor + by);
            } else if (e.key === "Enter" && found[cursor]) {
              e.preventDefault();
              onOpen(found[cursor]);
            } else if (e.key === "Escape") {
              if (search) onSearch("");
              else e.currentTarget.blur();
            }
          }}
        />
      </div>
      <div class="metric-rows" ref={box}>
        {!metrics ? (
          <div class="metric-waiting">
            <Skeleton lines={14} rowHeight={ROW} shown={slow} />
          </div>
        ) : !found.length ? (
          <p class="metric-none muted">
            {metrics.length ? `No metric has “${search}” in its name or help.` : "No metrics in this range."}
          </p>
        ) : (
          <div
            id="metric-options"
            role="listbox"
            aria-label="Metrics"
            style={{ height: `${found.length * ROW}px`, position: "relative" }}
          >
            {found.slice(view.first, view.last).map((m, i) => {
              const index = view.first + i;
              return (
                <div
                  key={m.name}
                  id={`metric-${index}`}
                  role="option"
                  aria-selected={index === cursor}
                  aria-setsize={found.length}
                  aria-posinset={index + 1}
                  class={`metric-row ${index === cursor ? "cursor" : ""}`}
                  style={{ top: `${index * ROW}px` }}
                  title={m.help ? `${m.name}\n${m.help}` : m.name}
                  onClick={() => onOpen(m)}
                >
                  <span class="metric-name ellipsis">{m.name}</span>
                  <span class="metric-note">
                    <span class={`metric-type ${m.type}`}>{typeName(m.type)}</span>
                    {m.unit && <span>{m.unit}</span>}
                    {m.series !== undefined && (
                      <span class="metric-series" title={`${full(m.series)} series`}>
                        {count(m.series)}
                      </span>
                    )}
                  </span>
                </div>
              );
            })}
          </div>
        )}
      </div>
    </div>
  );
}
