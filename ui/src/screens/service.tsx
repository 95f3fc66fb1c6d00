/** One service: the answer, its golden signals on one time axis, and what they are made of. */
import { useMemo } from "preact/hooks";
import { useApi } from "../api";
import type { ServiceDetail } from "../api-types";
import type { ScreenProps } from "../app";
import { ago, plural, rangePhrase, timestamp, toMs, toSeconds } from "../format";
import { Empty } from "../parts/empty";
import { ErrorState } from "../parts/errorstate";
import { lazy } from "../parts/lazy";
import { ServiceName } from "../parts/servicename";
import { Skeleton } from "../parts/skeleton";
import type { Marker } from "../parts/timechart";
import { href } from "../router";
import { condition, range, setRange } from "../state";
import type { ProfileSeries } from "./profiles/data";
import "./services.css";
import "./service.css";
import { Signals } from "./service-signals";
import {
  Dependencies,
  ErrorTypes,
  Operations,
  ResourceFacts,
  SlowestTraces,
  Statements,
} from "./service-tables";

/** A process that is there is noted at least this often; before that, an age would only worry. */
const SEEN_EVERY_MS = 6 * 60_000;

const ServiceCode = lazy(() => import("./profiles/of-service").then((m) => m.ServiceCode));

export default function Service({ params }: ScreenProps) {
  const name = params.name ?? "";
  const answer = useApi<ServiceDetail>(`/services/${encodeURIComponent(name)}`, range.value);
  const { data, error, stale, slow } = answer;
  const cpu = useApi<ProfileSeries>("/profiles/series", {
    ...range.value,
    service: name,
    by: "endpoint",
    type: "cpu",
  });

  const markers = useMemo<Marker[]>(() => {
    if (!data) return [];
    // The version a service was first seen with is no deploy.
    const birth = toSeconds(data.service.first_seen_ns) + 60;
    return data.versions
      .filter((v) => toSeconds(v.first_seen_ns) > birth)
      .map((v) => ({ time: toSeconds(v.first_seen_ns), label: v.version }))
      .filter((v) => v.label && v.time > toSeconds(data.from_ns) && v.time < toSeconds(data.to_ns));
  }, [data]);

  if (error && !data) {
    return error.code === "not_found" ? (
      <Unknown name={name} />
    ) : (
      <ErrorState error={error} what={`the service ${name}`} onRetry={answer.reload} />
    );
  }
  if (!data) return <Loading shown={slow} />;
  const s = data.service;
  return (
    <>
      <section class="section service-head">
        <div class="service-title">
          <h1>
            <ServiceName name={s.name} max={60} />
          </h1>
          <span class="muted">
            {[s.version && `version ${s.version}`, s.language, plural(s.instances, "instance")]
              .filter(Boolean)
              .join(" · ")}
            {Date.now() - toMs(s.last_seen_ns) > SEEN_EVERY_MS && (
              <span title={timestamp(s.last_seen_ns)}> · last seen {ago(s.last_seen_ns)}</span>
            )}
          </span>
          <span class="service-doors">
            <a class="button" href={href("/traces", { filter: condition("service", "=", s.name) })}>
              Traces
            </a>
            <a class="button" href={href("/logs", { filter: condition("service", "=", s.name) })}>
              Logs
            </a>
            <a class="button" href={href("/profiles", { service: s.name })}>
              Profiles
            </a>
          </span>
        </div>
        {data.answer && <AnswerText data={data} dim={stale} />}
      </section>
      <Signals data={data} markers={markers} dim={stale} />
      {data.operations.length === 0 ? (
        <section class="section">
          <Empty
            small
            title={`No requests ${rangePhrase()}`}
            actions={
              <button type="button" class="button" onClick={() => setRange("now-1d", "now")}>
                Look at the last 24 hours
              </button>
            }
          />
        </section>
      ) : (
        <Operations data={data} dim={stale} cpu={cpu.data} />
      )}
      <ServiceCode service={s.name} />
      <Statements data={data} dim={stale} />
      <div class="pair">
        <Dependencies data={data} dim={stale} />
        <ErrorTypes data={data} dim={stale} />
      </div>
      <SlowestTraces data={data} dim={stale} />
      <ResourceFacts data={data} />
    </>
  );
}

/** The answer leads to the traces of the operation it names. */
function AnswerText({ data, dim }: { data: ServiceDetail; dim: boolean }) {
  const named = data.operations.find((o) => data.answer.startsWith(`${o.name} `));
  const filter =
    named && `${condition("service", "=", data.service.name)} AND ${condition("name", "=", named.name)}`;
  return (
    <p class={`answer-text ${dim ? "dim" : ""}`}>
      {filter ? <a href={href("/traces", { filter, sort: "slowest" })}>{data.answer}</a> : data.answer}
    </p>
  );
}

function Unknown({ name }: { name: string }) {
  return (
    <Empty
      title={`No data from ${name} ${rangePhrase()}`}
      waiting
      actions={
        <>
          <button type="button" class="button" onClick={() => setRange("now-1d", "now")}>
            Look at the last 24 hours
          </button>
          <a class="button" href={href("/services")}>
            All services
          </a>
        </>
      }
    >
      The service has another name, or sent nothing in this time.
    </Empty>
  );
}

function Loading({ shown }: { shown: boolean }) {
  return (
    <>
      <section class="section service-head">
        <Skeleton height={28} shown={shown} />
      </section>
      <section class="section signals">
        {[0, 1, 2, 3].map((i) => (
          <Skeleton key={i} height={196} shown={shown} />
        ))}
      </section>
      <section class="section">
        <Skeleton lines={6} shown={shown} />
      </section>
    </>
  );
}
