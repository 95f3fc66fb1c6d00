/** No metric has arrived yet: the exact lines that send some, for each way in. */
import { useState } from "preact/hooks";
import { useApi } from "../../api";
import type { Status } from "../../api-types";
import { Command } from "../../parts/command";
import { Empty } from "../../parts/empty";
import { Tabs } from "../../parts/tabs";
import { reachable } from "../send-data-snippets";
import { metricSnippets } from "./snippets";

export function NoMetrics() {
  const status = useApi<Status>("/status");
  const [way, setWay] = useState("scrape");
  const host = window.location.hostname || "127.0.0.1";
  const otlp = reachable(status.data?.endpoints?.otlp_http ?? "", host, `http://${host}:4318`);
  const list = metricSnippets(window.location.origin, otlp);
  const chosen = list.find((s) => s.id === way) ?? list[0]!;
  return (
    <div class="no-metrics">
      <Empty title="No metrics yet" waiting>
        Varan scrapes as Prometheus does, takes what a Prometheus or an OpenTelemetry collector sends on, and
        keeps what the agent measures.
      </Empty>
      <div class="no-metrics-ways">
        <Tabs
          label="Ways to send metrics"
          tabs={list.map((s) => ({ id: s.id, label: s.title }))}
          value={chosen.id}
          onChange={setWay}
        />
        <div role="tabpanel" aria-label={chosen.title} class="no-metrics-steps">
          <p class="muted">{chosen.text}</p>
          {chosen.code.map((code) => (
            <Command key={code} text={code} label={chosen.title} />
          ))}
        </div>
      </div>
    </div>
  );
}
