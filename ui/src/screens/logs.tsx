/** Logs: how many of which level over time, the lines, one line with everything around it, and new lines live. */
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { type ApiError, api, useApi } from "../api";
import type { FacetList, LogHistogram, LogList, LogRecord, Status } from "../api-types";
import { count, full, plural } from "../format";
import { copyText } from "../parts/copybutton";
import { Empty } from "../parts/empty";
import { ErrorState } from "../parts/errorstate";
import { Facets } from "../parts/facets";
import { Icon } from "../parts/icon";
import { LogList as Lines } from "../parts/logline.list";
import { asText, searchedWords } from "../parts/logline.text";
import { Skeleton } from "../parts/skeleton";
import { type Series, TimeChart } from "../parts/timechart";
import { toast } from "../parts/toast";
import { hrefHere, param, setParams } from "../router";
import { filter, live, range, resolvedRange, setFilter } from "../state";
import { LogPanel, placeOf } from "./logs/log-panel";
import { useTail } from "./logs/tail";
import { NothingSent } from "./nothing-sent";
import { mergeRows, ROWS_MAX, usePages } from "./traces/pages";
import "./logs/logs.css";

const PAGE = 200;
const DOWNLOAD_MAX = 10_000;
const COLUMNS_MAX = 6;
const CHART_HEIGHT = 96;

const LEVELS = ["error", "warn", "info", "debug", "other"] as const;
const levelColor: Record<string, Series["color"]> = {
  error: "bad",
  warn: "warn",
  info: "info",
  debug: "strong",
  other: "muted",
};

/** "10,100 lines; 160 errors, most of them …" */
export function logSentence(h: LogHistogram): string {
  if (!h.total) return "No log lines in this range";
  const sum = (level: string) => (h.levels[level] ?? []).reduce<number>((a, b) => a + (b ?? 0), 0);
  const errors = sum("error");
  const warnings = sum("warn");
  const bad = [errors ? plural(errors, "error") : "", warnings ? plural(warnings, "warning") : ""]
    .filter(Boolean)
    .join(" and ");
  return `${plural(h.total, "line")}; ${bad || "no errors or warnings"}`;
}

export default function Logs() {
  const order = param("order") === "asc" ? "asc" : "desc";
  const wrap = param("wrap") === "1";
  const selected = param("log");
  const columnText = param("columns");
  const columns = useMemo(() => columnText.split(",").filter(Boolean).slice(0, COLUMNS_MAX), [columnText]);
  const [atTop, setAtTop] = useState(true);
  const [toTop, setToTop] = useState(0);
  const [facetsOpen, setFacetsOpen] = useState(false);

  const asked = { ...range.value, filter: filter.value };
  const histogram = useApi<LogHistogram>("/logs/histogram", asked);
  const facets = useApi<FacetList>("/logs/facets", asked);
  const status = useApi<Status>("/status", {}, { live: true });
  const list = usePages<LogList, LogRecord>(
    "/logs",
    { ...asked, order, limit: PAGE },
    (a) => ({ rows: a.logs, next_cursor: a.next_cursor }),
    (r) => r.id,
    { hold: false, live: false },
  );
  // An open line holds the list still, as scrolling does.
  const hold = !atTop || selected !== "";
  const tailing = live.value && order === "desc" && list.first.data !== undefined && !list.first.stale;
  const reload = useRef(list.first.reload);
  reload.current = list.first.reload;
  const [tail, release] = useTail(tailing, filter.value, hold, () => reload.current());

  const first = list.first.data as LogList | undefined;
  const records = useMemo(
    () => (tail.lines.length ? mergeRows(tail.lines, list.rows, (r) => r.id) : list.rows),
    [tail.lines, list.rows],
  );
  const known = useMemo(() => {
    const shown = new Set(records.map((r) => r.id));
    return tail.waiting.filter((r) => !shown.has(r.id)).length;
  }, [records, tail.waiting]);
  const current = selected ? records.find((r) => placeOf(r) === selected) : undefined;
  const words = useMemo(() => searchedWords(filter.value), [filter.value]);

  const open = (r: LogRecord) =>
    setParams({ log: placeOf(r) === selected ? null : placeOf(r) }, { push: !selected });
  const close = () => setParams({ log: null });
  const toggleColumn = (key: string) => {
    const next = columns.includes(key)
      ? columns.filter((c) => c !== key)
      : [...columns, key].slice(-COLUMNS_MAX);
    setParams({ columns: next.join(",") || null });
  };
  const showNew = () => {
    release();
    setToTop((n) => n + 1);
  };

  const error = list.first.error ?? histogram.error;
  if (error?.isFilter) return <ErrorState error={error} what="the logs" />;
  if (list.first.error && !first && !histogram.data) {
    const retry = () => {
      list.first.reload();
      histogram.reload();
      facets.reload();
    };
    return <ErrorState error={list.first.error} what="the logs" onRetry={retry} />;
  }
  if (status.data?.has_data.logs === false && first && !records.length)
    return <NoLogs status={status.data} />;

  return (
    <div class="split">
      <aside class={`facet-column ${facetsOpen ? "open" : ""}`} aria-label="Facets">
        <button type="button" class="facet-close button" onClick={() => setFacetsOpen(false)}>
          Done
        </button>
        <Facets resource={facets} filter={filter.value} onFilter={setFilter} label="Lines by" />
      </aside>
      <div class="split-main logs-main">
        <section class="logs-top">
          <h1 class={`answer ${histogram.stale ? "dim" : ""}`}>
            {histogram.data ? logSentence(histogram.data) : "\u00a0"}
          </h1>
          {histogram.data ? (
            <LevelChart data={histogram.data} dim={histogram.stale} />
          ) : histogram.error ? (
            <ErrorState small error={histogram.error} what="the counts by level" onRetry={histogram.reload} />
          ) : (
            <Skeleton height={CHART_HEIGHT + 20} shown={histogram.slow} />
          )}
        </section>
        <div class="logs-bar">
          <button
            type="button"
            class="button facet-toggle"
            onClick={() => setFacetsOpen(true)}
            aria-expanded={facetsOpen}
          >
            <Icon name="filter" size={12} /> Facets
          </button>
          <TailState tail={tail} on={tailing} hold={hold} />
          <span class="spacer" />
          <button
            type="button"
            class="button plain"
            aria-pressed={wrap}
            onClick={() => setParams({ wrap: wrap ? null : "1" })}
            title="Show all of a line"
          >
            Wrap
          </button>
          <button
            type="button"
            class="button plain"
            onClick={() => setParams({ order: order === "desc" ? "asc" : null }, { push: true })}
            aria-label={order === "desc" ? "Newest first" : "Oldest first"}
            title={
              order === "desc"
                ? "Newest first; click for oldest first"
                : "Oldest first; click for newest first"
            }
          >
            <Icon name={order === "desc" ? "down" : "up"} size={12} />{" "}
            <span class="bar-label">{order === "desc" ? "Newest first" : "Oldest first"}</span>
          </button>
          <Download />
        </div>
        <div class="logs-list">
          {known > 0 && (
            <button type="button" class="button new-lines" onClick={showNew}>
              <Icon name="up" size={12} /> {count(known)}
              {tail.overflow ? "+" : ""} new {known === 1 ? "line" : "lines"}
            </button>
          )}
          {!first && list.first.error ? (
            <ErrorState error={list.first.error} what="the logs" onRetry={list.first.reload} />
          ) : !first ? (
            <div class="loglist-loading">
              <Skeleton lines={24} rowHeight={22} shown={list.first.slow} />
            </div>
          ) : !records.length ? (
            <Nothing />
          ) : (
            <Lines
              label="Log lines"
              records={records}
              columns={columns}
              onColumn={toggleColumn}
              wrap={wrap}
              words={words}
              selected={current?.id ?? null}
              hrefOf={(r) => hrefHere({ log: placeOf(r) })}
              onOpen={open}
              onEnd={list.more ? list.loadMore : undefined}
              onTop={setAtTop}
              toTop={toTop}
              dim={list.first.stale}
              foot={
                <p class="loglist-foot">
                  {list.moreError ? (
                    <button type="button" class="link" onClick={list.loadMore}>
                      Could not load more: {list.moreError.message} Try again
                    </button>
                  ) : list.more ? (
                    "Loading more …"
                  ) : list.full ? (
                    `The page keeps ${full(ROWS_MAX)} lines; a narrower range or filter finds the others`
                  ) : (
                    `${full(records.length)} ${records.length === 1 ? "line" : "lines"}, that is all in this range`
                  )}
                </p>
              }
            />
          )}
        </div>
      </div>
      {selected && (
        <LogPanel
          key={selected}
          place={selected}
          known={current}
          columns={columns}
          onColumn={toggleColumn}
          onClose={close}
        />
      )}
    </div>
  );
}

function LevelChart({ data, dim }: { data: LogHistogram; dim: boolean }) {
  const series = useMemo<Series[]>(
    () =>
      LEVELS.filter((l) => l !== "other" || (data.levels[l] ?? []).some((n) => n)).map((level) => ({
        label: level,
        values: data.levels[level] ?? [],
        color: levelColor[level],
        total: "sum",
      })),
    [data],
  );
  return (
    <TimeChart
      label="Log lines by level"
      times={data.times}
      step={data.step_ns / 1e9}
      series={series}
      unit={count}
      kind="bar"
      stacked
      height={CHART_HEIGHT}
      least={5}
      dim={dim}
    />
  );
}

function TailState({ tail, on, hold }: { tail: ReturnType<typeof useTail>[0]; on: boolean; hold: boolean }) {
  const text = !on
    ? ""
    : tail.state === "lost"
      ? "Live tail interrupted, reconnecting …"
      : tail.state === "connecting"
        ? "Connecting …"
        : hold
          ? "Live tail paused while you read"
          : "Live tail";
  return (
    <span class={`tail-state ${tail.state} ${hold ? "held" : ""}`} role="status">
      {on && <i aria-hidden="true" />}
      <span class="ellipsis">{text}</span>
      {tail.dropped > 0 && (
        <span
          class="warn small"
          title="They came faster than the page could take them. They are stored: reload the list to see them."
        >
          {plural(tail.dropped, "line")} skipped
        </span>
      )}
    </span>
  );
}

/** Reads the answer page by page, so that a download has more than what was scrolled to. */
async function readAll(signal: AbortSignal): Promise<{ logs: LogRecord[]; all: boolean }> {
  const logs: LogRecord[] = [];
  let cursor: string | null = null;
  // Points in time, not "now": pages must belong to one range.
  const span = resolvedRange();
  const asked = {
    from: Math.floor(span.from * 1000),
    to: Math.ceil(span.to * 1000),
    filter: filter.peek(),
    order: "desc",
    limit: 1000,
  };
  for (;;) {
    const page: LogList = await api<LogList>("/logs", { ...asked, cursor }, signal);
    logs.push(...page.logs);
    cursor = page.next_cursor;
    if (!cursor) return { logs, all: true };
    if (logs.length >= DOWNLOAD_MAX) return { logs, all: false };
  }
}

function save(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const a = document.createElement("a");
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function Download() {
  const [open, setOpen] = useState(false);
  const [running, setRunning] = useState<AbortController | null>(null);
  const root = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => {
    if (!open) return;
    const away = (e: Event) => {
      if (!root.current?.contains(e.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", away);
    return () => document.removeEventListener("pointerdown", away);
  }, [open]);
  const run = async (how: "text" | "json" | "copy") => {
    setOpen(false);
    const controller = new AbortController();
    setRunning(controller);
    try {
      const { logs, all } = await readAll(controller.signal);
      const stamp = new Date().toISOString().replace(/[:.]/g, "-").slice(0, 19);
      if (how === "text") save(`logs-${stamp}.log`, "text/plain", `${asText(logs)}\n`);
      else if (how === "json") save(`logs-${stamp}.json`, "application/json", JSON.stringify(logs, null, 1));
      else await copyText(asText(logs), "");
      toast(
        `${plural(logs.length, "line")} ${how === "copy" ? "copied" : "saved"}${all ? "" : `; there are more than the ${full(DOWNLOAD_MAX)} a download holds`}`,
      );
    } catch (error) {
      if ((error as Error).name !== "AbortError") toast((error as ApiError).message, { tone: "bad" });
    } finally {
      setRunning(null);
    }
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape closes the menu from anywhere in it
    <span
      class="menu-holder"
      ref={root}
      onKeyDown={(e) => {
        if (e.key !== "Escape" || !open) return;
        setOpen(false);
        e.stopPropagation();
        e.preventDefault();
      }}
    >
      <button
        type="button"
        class="button plain"
        aria-label={running ? "Stop the download" : "Download"}
        aria-haspopup="menu"
        aria-expanded={open}
        onClick={() => (running ? running.abort() : setOpen(!open))}
        title={running ? "Stop" : "Download what the filter finds"}
      >
        <Icon name="download" size={12} />{" "}
        <span class={running ? "" : "bar-label"}>{running ? "Reading … stop" : "Download"}</span>
      </button>
      {open && (
        <div class="menu" role="menu">
          <button type="button" role="menuitem" onClick={() => run("text")}>
            As text
          </button>
          <button type="button" role="menuitem" onClick={() => run("json")}>
            As JSON
          </button>
          <button type="button" role="menuitem" onClick={() => run("copy")}>
            Copy as text
          </button>
        </div>
      )}
    </span>
  );
}

function NoLogs({ status }: { status: Status | undefined }) {
  return (
    <NothingSent title="No log line has arrived yet">
      Under the agent, whatever the application writes with Python's <code>logging</code> arrives with the id
      of its trace
      {status?.endpoints.otlp_http ? (
        <>
          . Any OpenTelemetry SDK can send its logs to <code>{status.endpoints.otlp_http}/v1/logs</code>
        </>
      ) : null}
      .
    </NothingSent>
  );
}

function Nothing() {
  return (
    <Empty
      small
      title={filter.value ? "No line matches the filter in this range" : "No log lines in this range"}
      waiting
      actions={
        <>
          {filter.value && (
            <button type="button" class="button" onClick={() => setFilter("")}>
              Clear the filter
            </button>
          )}
          <button
            type="button"
            class="button"
            onClick={() => setParams({ from: "now-1d", to: null }, { push: true })}
          >
            Look at the last 24 hours
          </button>
        </>
      }
    />
  );
}
