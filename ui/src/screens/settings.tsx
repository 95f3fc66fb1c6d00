/** Settings: how the page looks and reads to this reader, and how the server is. */

import { useApi } from "../api";
import type { Status } from "../api-types";
import type { ScreenProps } from "../app";
import { bytes, duration, full, plural } from "../format";
import { ErrorState } from "../parts/errorstate";
import { Skeleton } from "../parts/skeleton";
import { ZoneChoice } from "../parts/timepicker";
import { chooseTheme, type ThemeChoice, themeChoice } from "../theme/theme";
import "./send-data.css";
import "./settings.css";

const themes: [ThemeChoice, string][] = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

export default function Settings(_: ScreenProps) {
  const status = useApi<Status>("/status");
  const s = status.data;
  return (
    <div class="send-data">
      <section class="section">
        <h1>Settings</h1>
        <p class="muted">Kept in this browser.</p>
        <div class="setting">
          <span id="theme-label">Theme</span>
          <div class="segments" role="radiogroup" aria-labelledby="theme-label">
            {themes.map(([id, label]) => (
              <label key={id}>
                <input
                  type="radio"
                  name="theme"
                  value={id}
                  checked={themeChoice.value === id}
                  onChange={() => chooseTheme(id)}
                />
                <span>{label}</span>
              </label>
            ))}
          </div>
        </div>
        <div class="setting zone-setting">
          <ZoneChoice />
        </div>
      </section>
      <section class="section">
        <h2>Server</h2>
        {s?.notice && <p class="notice warn">{s.notice}</p>}
        {s ? (
          <dl class="facts">
            <dt>Version</dt>
            <dd>{s.version}</dd>
            <dt>Running for</dt>
            <dd>{duration(s.uptime_s * 1e9)}</dd>
            <dt>Storage engine</dt>
            <dd>
              {s.engine.transport} {s.engine.version}
            </dd>
            <dt>Disk</dt>
            <dd>
              {bytes(s.disk.used_bytes)} used, {bytes(s.disk.free_bytes)} free
            </dd>
            <dt>Data is kept</dt>
            <dd>{plural(s.retention_days, "day")}</dd>
            <dt>Received since start</dt>
            <dd>
              {full(s.received.spans)} spans, {full(s.received.logs)} log lines, {full(s.received.samples)}{" "}
              samples
            </dd>
            <dt>Waiting to be written</dt>
            <dd>{bytes(s.queue_bytes)}</dd>
            <dt>Refused under pressure</dt>
            <dd class={s.refused ? "warn" : ""}>{full(s.refused)}</dd>
            <dt>Rejected as not readable</dt>
            <dd class={s.rejected ? "warn" : ""}>{full(s.rejected)}</dd>
            <dt>OTLP over HTTP</dt>
            <dd class="mono">{s.endpoints.otlp_http || "off"}</dd>
            <dt>OTLP over gRPC</dt>
            <dd class="mono">{s.endpoints.otlp_grpc || "off"}</dd>
          </dl>
        ) : status.error ? (
          <ErrorState error={status.error} what="the server's state" onRetry={status.reload} small />
        ) : (
          <Skeleton lines={11} rowHeight={24} shown={status.slow} />
        )}
      </section>
    </div>
  );
}
