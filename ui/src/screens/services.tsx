/** Services: is anything wrong, and where? A sentence, the map of calls, the table. */
import { useMemo } from "preact/hooks";
import { useApi } from "../api";
import type { ServiceList, ServiceRow, Status } from "../api-types";
import type { ScreenProps } from "../app";
import { ago, duration, full, rangePhrase, rate, ratio, timestamp } from "../format";
import { CallMapView, mapHeight } from "../parts/callmap";
import { ChangeMark } from "../parts/change";
import { Empty } from "../parts/empty";
import { ErrorState } from "../parts/errorstate";
import { ServiceName } from "../parts/servicename";
import { Skeleton } from "../parts/skeleton";
import { Sparkline } from "../parts/sparkline";
import { type Column, Table } from "../parts/table";
import { href, segment } from "../router";
import { condition, filter, range, relative, setFilter, setRange } from "../state";
import "./services.css";
import { NothingSent } from "./nothing-sent";
import { wholeSteps } from "./service-steps";
import { answerServices } from "./services-answer";

const toService = (name: string) => href(`/services/${segment(name)}`);

const columns: Column<ServiceRow>[] = [
  {
    key: "name",
    title: "Service",
    width: 160,
    narrow: 98,
    grow: true,
    value: (s) => s.name,
    render: (s) => (
      <span class="service-cell">
        <ServiceName name={s.name} max={30} />
        <span class="muted small ellipsis" title={`Last seen ${timestamp(s.last_seen_ns)}`}>
          {[s.namespace, s.language, s.instances > 1 ? `${s.instances} instances` : ""]
            .filter(Boolean)
            .join(" · ")}
        </span>
      </span>
    ),
  },
  {
    key: "rate",
    title: "Requests",
    help: "Requests per second that enter the service",
    width: 132,
    narrow: 80,
    align: "right",
    value: (s) => s.rate.value,
    render: (s) => (
      <span class="figure-cell" title={`${full(s.requests)} requests`}>
        <Sparkline
          points={s.rate.points}
          label="requests per second over time"
          width={56}
          color="var(--muted)"
        />
        <span>{rate(s.rate.value)}</span>
      </span>
    ),
  },
  {
    key: "errors",
    title: "Errors",
    help: "Share of requests that failed",
    width: 124,
    narrow: 60,
    align: "right",
    value: (s) => s.errors.value,
    render: (s) => (
      <a
        class="figure-cell door"
        href={href("/traces", {
          filter: `${condition("service", "=", s.name)} AND entry=true AND status=error`,
        })}
      >
        <Sparkline points={s.errors.points} label="errors over time" width={56} color="var(--bad)" />
        <span class={(s.errors.value ?? 0) >= 0.01 ? "bad" : ""}>{ratio(s.errors.value)}</span>
      </a>
    ),
  },
  {
    key: "p50",
    title: "p50",
    help: "Half of the requests are faster",
    width: 64,
    align: "right",
    from: 1000,
    value: (s) => s.p50.value,
    render: (s) => duration(s.p50.value),
  },
  {
    key: "p95",
    title: "p95",
    help: "95 of 100 requests are faster; change against the period before",
    width: 184,
    narrow: 60,
    align: "right",
    value: (s) => s.p95.value,
    render: (s) => (
      <span class="figure-cell">
        <Sparkline points={s.p95.points} label="p95 over time" width={56} color="var(--accent)" />
        <ChangeMark value={s.p95.value} previous={s.p95.previous} better="down" format={duration} />
        <span>{duration(s.p95.value)}</span>
      </span>
    ),
  },
  {
    key: "p99",
    title: "p99",
    help: "99 of 100 requests are faster; change against the period before",
    width: 120,
    from: 720,
    align: "right",
    value: (s) => s.p99.value,
    render: (s) => (
      <span class="figure-cell">
        <ChangeMark value={s.p99.value} previous={s.p99.previous} better="down" format={duration} />
        <span>{duration(s.p99.value)}</span>
      </span>
    ),
  },
  {
    key: "slowest",
    title: "Slowest operation",
    help: "The operation with the highest p95",
    width: 130,
    grow: true,
    from: 1100,
    value: (s) => s.slowest?.operation,
    render: (s) =>
      s.slowest && (
        <a
          class="slowest door"
          title={`${s.slowest.operation}: p95 ${duration(s.slowest.p95)}, ${ratio(s.slowest.share)} of the time`}
          href={href("/traces", {
            filter: `${condition("service", "=", s.name)} AND ${condition("name", "=", s.slowest.operation)}`,
            sort: "slowest",
          })}
        >
          <span class="ellipsis">{s.slowest.operation}</span>
          <span class="muted">{duration(s.slowest.p95)}</span>
        </a>
      ),
  },
  {
    key: "version",
    title: "Version",
    width: 72,
    from: 1360,
    value: (s) => s.version,
    render: (s) => (
      <span
        class="muted ellipsis"
        title={`${s.version || "No version sent"}, last seen ${ago(s.last_seen_ns)}`}
      >
        {s.version || "–"}
      </span>
    ),
  },
];

export default function Services(_: ScreenProps) {
  const answer = useApi<ServiceList>("/services", { ...range.value, filter: filter.value });
  const { data, error, stale, slow } = answer;
  const services = useMemo(
    () => data?.services.map((s) => ({ ...s, rate: { ...s.rate, points: wholeSteps(s.rate.points, data) } })),
    [data],
  );
  const before = relative.value ? "in the period before" : "in the period before it";
  const sentence = useMemo(() => services?.length && answerServices(services, before), [services, before]);

  if (error && (!data || error.isFilter)) {
    return <ErrorState error={error} what="the services" onRetry={answer.reload} />;
  }
  if (services && services.length === 0 && !stale) return <NoServices />;
  // Before 300 ms there is nothing; after that, shapes with the sizes of the last time.
  if (!data && !slow) return null;
  return (
    <>
      <section class="section answer-section">
        {sentence ? (
          <h1 class={`answer ${stale ? "dim" : ""}`}>
            <i class={`answer-mark ${sentence.tone}`} aria-hidden="true" />
            {sentence.service ? <a href={toService(sentence.service)}>{sentence.text}</a> : sentence.text}
          </h1>
        ) : (
          <Skeleton lines={1} rowHeight={28} shown={slow} />
        )}
      </section>
      <section class="section map-section" aria-label="Map of calls">
        {data ? (
          data.edges.length > 0 ? (
            <CallMapView services={services ?? []} edges={data.edges} dim={stale} />
          ) : (
            <p class="muted small">No calls between services or to databases {rangePhrase()}.</p>
          )
        ) : (
          <Skeleton height={mapHeight() ?? 128} shown={slow} />
        )}
      </section>
      <section class="section flush" aria-label="Services">
        {services ? (
          <Table
            name="services"
            label="Services"
            rows={services}
            columns={columns}
            rowKey={(s) => `${s.namespace}/${s.name}`}
            href={(s) => toService(s.name)}
            initialSort={{ key: "rate", desc: true }}
            rowHeight={44}
            dim={stale}
          />
        ) : (
          // Rows under a map of unknown height would jump when it comes.
          mapHeight() !== null && <Skeleton lines={6} rowHeight={44} shown={slow} />
        )}
      </section>
    </>
  );
}

function NoServices() {
  const status = useApi<Status>("/status");
  if (!status.data) return null;
  if (!status.data.has_data.spans) {
    return (
      <NothingSent title="Nothing has been received yet">
        Start your application under the agent. No change of its code is needed; its services appear here
        within seconds of the first request.
      </NothingSent>
    );
  }
  return (
    <Empty
      title={filter.value ? "No service matches the filter" : `No requests ${rangePhrase()}`}
      waiting
      actions={
        <>
          {filter.value && (
            <button type="button" class="button" onClick={() => setFilter("")}>
              Clear the filter
            </button>
          )}
          <button type="button" class="button" onClick={() => setRange("now-1d", "now")}>
            Look at the last 24 hours
          </button>
          <a class="button" href={href("/send-data")}>
            How to send data
          </a>
        </>
      }
    >
      {filter.value ? (
        <>
          Asked for <code>{filter.value}</code> {rangePhrase()}.
        </>
      ) : (
        "The server has older data."
      )}
    </Empty>
  );
}
