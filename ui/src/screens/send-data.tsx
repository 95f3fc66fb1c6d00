/** Send data: exact commands for each way in, with this server's addresses, and whether something arrives. */

import { useApi } from "../api";
import type { Status } from "../api-types";
import type { ScreenProps } from "../app";
import { count, full } from "../format";
import { Command } from "../parts/command";
import { Tabs } from "../parts/tabs";
import { href, param, setParams } from "../router";
import "./send-data.css";
import { reachable, snippets } from "./send-data-snippets";

export default function SendData(_: ScreenProps) {
  const status = useApi<Status>("/status");
  const host = window.location.hostname || "127.0.0.1";
  const http = reachable(status.data?.endpoints.otlp_http ?? "", host, `http://${host}:4318`);
  const grpc = reachable(
    status.data?.endpoints.otlp_grpc ?? "",
    host,
    // Once the server has spoken, no address means that it does not take gRPC.
    status.data ? "" : `http://${host}:4317`,
  );
  const list = snippets(http, grpc, window.location.origin);
  const chosen = list.find((s) => s.id === param("way")) ?? list[0]!;
  const received = status.data?.received;
  return (
    <div class="send-data">
      <section class="section">
        <h1>Send data</h1>
        <p class="muted">
          Varan takes OpenTelemetry (OTLP) over HTTP and gRPC, and what Prometheus and Pyroscope send. The
          agent sends the same, with nothing to set up.
        </p>
        <div class="arrivals" role="status">
          <Arrival what="Spans" n={received?.spans} to={href("/services")} />
          <Arrival what="Log lines" n={received?.logs} to={href("/logs")} />
          <Arrival what="Samples of metrics" n={received?.samples} to={href("/explore")} />
          {!!status.data?.refused && (
            <span class="warn">
              {full(status.data.refused)} refused under pressure; the senders were told to try again.
            </span>
          )}
          {!!status.data?.rejected && (
            <span class="warn">{full(status.data.rejected)} rejected as not readable.</span>
          )}
        </div>
      </section>
      <section class="section">
        <Tabs
          label="Ways to send data"
          tabs={list.map((s) => ({ id: s.id, label: s.title }))}
          value={chosen.id}
          onChange={(way) => setParams({ way })}
        />
        <div class="send-steps" role="tabpanel" aria-label={chosen.title}>
          <p>{chosen.text}</p>
          {chosen.steps.map((step) => (
            <div key={step.title} class="send-step">
              <h2>{step.title}</h2>
              {step.text && <p class="muted">{step.text}</p>}
              <Command text={step.code} label={step.title} />
            </div>
          ))}
        </div>
      </section>
      <section class="section">
        <h2>Addresses</h2>
        <dl class="facts">
          <dt>OTLP over HTTP</dt>
          <dd class="mono">{http}</dd>
          <dt>OTLP over gRPC</dt>
          <dd class="mono">{grpc || "off"}</dd>
          <dt>Page and API</dt>
          <dd class="mono">{window.location.origin}</dd>
        </dl>
      </section>
    </div>
  );
}

function Arrival({ what, n, to }: { what: string; n: number | undefined; to: string }) {
  return (
    <a class="arrival" href={to} title={n === undefined ? undefined : `${full(n)} since the server started`}>
      <span class={n ? "pulse" : "live-off"} aria-hidden="true" />
      <span>{what}</span>
      <b>{n === undefined ? "…" : n ? count(n) : "waiting"}</b>
    </a>
  );
}
