/** Traces: how long requests took over time, what sets the slow ones apart, and the traces themselves. */
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useApi } from "../api";
import type { Comparison, DurationHistogram, FacetList, Status, TraceList, TraceSummary } from "../api-types";
import { ago, count, duration, full, middle, plural, ratio, timestamp } from "../format";
import { Empty } from "../parts/empty";
import { ErrorState } from "../parts/errorstate";
import { Facets } from "../parts/facets";
import { addTerm } from "../parts/facets.filter";
import { HEATMAP_HEIGHT, Heatmap } from "../parts/heatmap";
import { type Box, countIn, parseBox, printBox } from "../parts/heatmap.draw";
import { Icon } from "../parts/icon";
import { Name } from "../parts/name";
import { ServiceName } from "../parts/servicename";
import { Skeleton } from "../parts/skeleton";
import { type Column, Table } from "../parts/table";
import { href, param, setParams } from "../router";
import { filter, range, setFilter, zoomTo } from "../state";
import { NothingSent } from "./nothing-sent";
import { boxParams, Compare, standsOut } from "./traces/compare";
import { ROWS_MAX, usePages } from "./traces/pages";
import "../parts/sidepanel.css";
import "./traces/traces.css";

const PAGE = 100;

/** "1,310 requests: half within 12 ms, 95 % within 80 ms, 99 % within 1.2 s; 0.42 % failed." */
export function durationSentence(h: DurationHistogram): string {
  if (!h.total) return "No requests in this range";
  const failed = h.errors.reduce((a, b) => a + b, 0);
  const rest = failed ? `${ratio(Math.min(1, failed / h.total))} failed` : "none failed";
  return `${plural(h.total, "request")}: half within ${duration(h.p50)}, 95 % within ${duration(h.p95)}, 99 % within ${duration(h.p99)}; ${rest}`;
}

/** The filter of the list: that of the page, and the box. */
export function boxFilter(text: string, box: Box | null): string {
  if (!box) return text;
  const terms = ["entry=true"];
  if (box.min_ns > 0) terms.push(`duration>=${Math.round(box.min_ns)}ns`);
  if (box.max_ns < Number.MAX_SAFE_INTEGER) terms.push(`duration<${Math.round(box.max_ns)}ns`);
  return terms.reduce(addTerm, text);
}

export default function Traces() {
  const boxText = param("box");
  const box = useMemo(() => parseBox(boxText), [boxText]);
  const sort = param("sort", "recent") === "slowest" ? "slowest" : "recent";
  const [scrolled, setScrolled] = useState(false);
  const [facetsOpen, setFacetsOpen] = useState(false);
  const main = useRef<HTMLDivElement>(null);

  const asked = { ...range.value, filter: filter.value };
  const histogram = useApi<DurationHistogram>("/traces/histogram", asked);
  const facets = useApi<FacetList>("/traces/facets", asked);
  const compared = useApi<Comparison>(
    box ? "/traces/compare" : null,
    box ? { ...asked, ...boxParams(box) } : {},
    { live: false },
  );
  const standing = useMemo(() => standsOut(compared.data), [compared.data]);
  const status = useApi<Status>("/status", {}, { live: true });
  const times = box
    ? { from: String(Math.round(box.from * 1000)), to: String(Math.round(box.to * 1000)) }
    : range.value;
  const list = usePages<TraceList, TraceSummary>(
    "/traces",
    { ...times, filter: boxFilter(filter.value, box), sort, limit: PAGE },
    (a) => ({ rows: a.traces, next_cursor: a.next_cursor }),
    (t) => t.trace_id,
    { hold: scrolled, live: !box },
  );

  useEffect(() => {
    const element = main.current;
    if (!element) return;
    const read = () => setScrolled(element.scrollTop > 8);
    element.addEventListener("scroll", read, { passive: true });
    return () => element.removeEventListener("scroll", read);
  }, []);

  const setBox = (next: Box | null) => setParams({ box: next ? printBox(next) : null }, { push: true });
  const error = list.first.error ?? histogram.error;
  const first = list.first.data as TraceList | undefined;
  const never = status.data?.has_data.spans === false;

  if (error?.isFilter) return <ErrorState error={error} what="the traces" />;
  if (list.first.error && !first && !histogram.data) {
    const retry = () => {
      list.first.reload();
      histogram.reload();
      facets.reload();
    };
    return <ErrorState error={list.first.error} what="the traces" onRetry={retry} />;
  }
  if (never && first && !first.traces.length) return <NoSpans status={status.data} />;
  const nothing = first && !list.rows.length && !list.first.stale;
  return (
    <div class="split">
      <aside class={`facet-column ${facetsOpen ? "open" : ""}`} aria-label="Facets">
        <button type="button" class="facet-close button" onClick={() => setFacetsOpen(false)}>
          Done
        </button>
        <Facets
          resource={facets}
          filter={filter.value}
          onFilter={setFilter}
          label="Spans by"
          standing={standing}
        />
      </aside>
      <div class="split-main" ref={main}>
        <section class="traces-top">
          <Answer histogram={histogram.data} stale={histogram.stale} />
          {histogram.data ? (
            <Heatmap
              data={histogram.data}
              label="Durations of requests over time"
              box={box}
              onBox={setBox}
              dim={histogram.stale}
            />
          ) : histogram.error ? (
            <ErrorState small error={histogram.error} what="the durations" onRetry={histogram.reload} />
          ) : (
            <Skeleton height={HEATMAP_HEIGHT} shown={histogram.slow} />
          )}
          {box && <BoxBar box={box} histogram={histogram.data} onClose={() => setBox(null)} />}
          {box && <Compare compared={compared} />}
        </section>
        <div class="traces-bar">
          <button
            type="button"
            class="button facet-toggle"
            onClick={() => setFacetsOpen(true)}
            aria-expanded={facetsOpen}
          >
            <Icon name="filter" size={12} /> Facets
          </button>
          <h2>{box ? "Traces in the box" : "Traces"}</h2>
          {list.waiting > 0 && (
            <button
              type="button"
              class="button new-rows"
              onClick={() => {
                list.release();
                main.current?.scrollTo({ top: 0 });
              }}
            >
              <Icon name="up" size={12} /> {count(list.waiting)}
              {list.waiting >= PAGE ? "+" : ""} new
            </button>
          )}
          <span class="spacer" />
          <div class="segmented" role="radiogroup" aria-label="Order">
            {(["recent", "slowest"] as const).map((s) => (
              <button
                type="button"
                key={s}
                role="radio"
                aria-checked={sort === s}
                onClick={() => setParams({ sort: s === "recent" ? null : s }, { push: true })}
              >
                {s === "recent" ? "Newest" : "Slowest"}
              </button>
            ))}
          </div>
        </div>
        <div class="traces-list">
          {!first && list.first.error ? (
            <ErrorState error={list.first.error} what="the traces" onRetry={list.first.reload} />
          ) : !first ? (
            <Skeleton lines={14} rowHeight={32} shown={list.first.slow} />
          ) : nothing ? (
            <Nothing box={box} onBox={() => setBox(null)} />
          ) : (
            <List
              rows={list.rows}
              order={sort}
              dim={list.first.stale}
              onEnd={list.more ? list.loadMore : undefined}
              foot={
                list.moreError ? (
                  <button type="button" class="link" onClick={list.loadMore}>
                    Could not load more: {list.moreError.message} Try again
                  </button>
                ) : list.more ? (
                  "Loading more …"
                ) : list.full ? (
                  `The page keeps ${full(ROWS_MAX)} traces; a narrower range or filter finds the others`
                ) : (
                  `${full(list.rows.length)} ${list.rows.length === 1 ? "trace" : "traces"}, that is all${first.truncated ? " this question may read; a narrower range or filter finds more" : ""}`
                )
              }
            />
          )}
        </div>
      </div>
    </div>
  );
}

function Answer({ histogram, stale }: { histogram: DurationHistogram | undefined; stale: boolean }) {
  return <h1 class={`answer ${stale ? "dim" : ""}`}>{histogram ? durationSentence(histogram) : "\u00a0"}</h1>;
}

function BoxBar({
  box,
  histogram,
  onClose,
}: {
  box: Box;
  histogram: DurationHistogram | undefined;
  onClose: () => void;
}) {
  const n = histogram ? countIn(histogram, box) : null;
  const slowest = box.max_ns >= Number.MAX_SAFE_INTEGER ? "and slower" : `– ${duration(box.max_ns)}`;
  return (
    <div class="boxbar">
      <b>
        {n !== null && n > 0 ? `${count(n)} ${n === 1 ? "request" : "requests"}, ` : ""}
        {duration(box.min_ns)} {slowest}
      </b>
      <span class="muted">
        {timestamp(box.from * 1e9, 0).slice(11)} – {timestamp(box.to * 1e9, 0).slice(11)}
      </span>
      <span class="spacer" />
      <button
        type="button"
        class="button"
        onClick={() => setParams({ filter: boxFilter(filter.value, box), box: null }, { push: true })}
        title="Adds these durations to the filter"
      >
        <Icon name="filter" size={12} /> Filter to these durations
      </button>
      <button
        type="button"
        class="button"
        onClick={() => zoomTo(box.from, box.to)}
        title="Shows only this time"
      >
        <Icon name="search" size={12} /> Zoom to this time
      </button>
      <button
        type="button"
        class="icon-button"
        onClick={onClose}
        aria-label="Remove the box"
        title="Remove the box"
      >
        <Icon name="close" size={14} />
      </button>
    </div>
  );
}

function NoSpans({ status }: { status: Status | undefined }) {
  return (
    <NothingSent title="No trace has arrived yet">
      Start an application under the agent, without a change to its code
      {status?.endpoints.otlp_http ? (
        <>
          , or point any OpenTelemetry SDK at <code>{status.endpoints.otlp_http}</code>
        </>
      ) : null}
      .
    </NothingSent>
  );
}

function Nothing({ box, onBox }: { box: Box | null; onBox: () => void }) {
  return (
    <Empty
      small
      title={
        box
          ? "No trace lies in the box"
          : filter.value
            ? "No trace matches the filter in this range"
            : "No traces in this range"
      }
      waiting={!box}
      actions={
        <>
          {box && (
            <button type="button" class="button" onClick={onBox}>
              Remove the box
            </button>
          )}
          {!box && filter.value && (
            <button type="button" class="button" onClick={() => setFilter("")}>
              Clear the filter
            </button>
          )}
          {!box && (
            <button
              type="button"
              class="button"
              onClick={() => setParams({ from: "now-1d", to: null }, { push: true })}
            >
              Look at the last 24 hours
            </button>
          )}
        </>
      }
    />
  );
}

interface ListProps {
  rows: readonly TraceSummary[];
  /** Sorted by the server. */
  order: "recent" | "slowest";
  dim: boolean;
  onEnd?: () => void;
  foot: ComponentChildren;
}

function List({ rows, order, dim, onEnd, foot }: ListProps) {
  const slowest = rows.reduce((m, t) => Math.max(m, t.duration_ns), 1);
  const narrow = window.innerWidth < 560;
  const columns: Column<TraceSummary>[] = [
    {
      key: "start",
      title: "Start",
      width: narrow ? 78 : 96,
      value: (t) => t.start_ns,
      render: (t) => <span title={timestamp(t.start_ns, 6)}>{ago(t.start_ns)}</span>,
    },
    {
      key: "root",
      title: "Request",
      grow: true,
      width: narrow ? 120 : 180,
      value: (t) => (t.root ? `${t.root.service} ${t.root.name}` : ""),
      render: (t) => <Root trace={t} />,
    },
    {
      key: "duration",
      title: "Duration",
      width: narrow ? 68 : 150,
      align: "right",
      value: (t) => t.duration_ns,
      render: (t) => (
        <span class="duration-cell" title={`${full(t.duration_ns)} ns`}>
          <i style={{ width: `${Math.max(1, (t.duration_ns / slowest) * 100)}%` }} aria-hidden="true" />
          <span>{duration(t.duration_ns)}</span>
        </span>
      ),
    },
    {
      key: "spans",
      title: "Spans",
      width: 64,
      align: "right",
      from: 720,
      value: (t) => t.spans,
      render: (t) => <span title={full(t.spans)}>{count(t.spans)}</span>,
    },
    {
      key: "errors",
      title: "Errors",
      width: 60,
      align: "right",
      from: 560,
      value: (t) => t.errors,
      render: (t) => (t.errors ? <span class="bad">{count(t.errors)}</span> : <span class="muted">0</span>),
    },
    {
      key: "services",
      title: "Services",
      width: 110,
      from: 1000,
      value: (t) => t.services.join(" "),
      render: (t) => <Services names={t.services} />,
    },
  ];
  return (
    <Table
      label="Traces"
      name="traces"
      rows={rows}
      rowKey={(t) => t.trace_id}
      columns={columns}
      sort={{ key: order === "slowest" ? "duration" : "start", desc: true }}
      href={(t) => href(`/traces/${t.trace_id}`)}
      dim={dim}
      onEnd={onEnd}
      foot={foot}
      rowClass={(t) => (t.root?.status === 2 ? "failed" : "")}
    />
  );
}

function Root({ trace }: { trace: TraceSummary }) {
  const { root } = trace;
  if (!root) {
    return (
      <span class="root-cell muted" title="The first span of this trace has not arrived">
        root not here yet · {middle(trace.services.join(", "), 40)}
      </span>
    );
  }
  return (
    <span class="root-cell">
      <ServiceName name={root.service} max={22} />
      <Name text={root.name} />
      {root.http_status !== null && root.http_status >= 400 && (
        <span class={`http ${root.http_status >= 500 ? "bad" : "muted"}`}>{root.http_status}</span>
      )}
    </span>
  );
}

const MARKS = 6;

function Services({ names }: { names: readonly string[] }) {
  return (
    <span class="service-marks" title={names.join("\n")}>
      {names.slice(0, MARKS).map((n) => (
        <ServiceName key={n} name={n} markOnly />
      ))}
      <span class="muted">{names.length > MARKS ? `+${names.length - MARKS}` : ""}</span>
    </span>
  );
}
