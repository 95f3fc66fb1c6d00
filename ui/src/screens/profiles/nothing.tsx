/** No profile to show, and the exact command that makes one. */
import { useApi } from "../../api";
import type { Status } from "../../api-types";
import { rangePhrase } from "../../format";
import { Empty } from "../../parts/empty";
import { href, setParams } from "../../router";
import { setRange } from "../../state";
import { agentDefault, reachable, runCommand } from "../send-data-snippets";
import { everything } from "./selection";

/** Where profiles are sent, as others reach it. */
function useTarget(): string {
  const status = useApi<Status>("/status", {}, { live: false });
  return reachable(status.data?.endpoints.otlp_http ?? "", window.location.hostname, agentDefault);
}

/** Nothing of any service in this range. */
export function NoProfiles() {
  const http = useTarget();
  return (
    <Empty
      title={`No profiles ${rangePhrase()}`}
      command={runCommand(http)}
      waiting
      actions={
        <>
          <button type="button" class="button" onClick={() => setRange("now-1d", "now")}>
            Look at the last 24 hours
          </button>
          <a class="button" href={href("/send-data", { way: "profiles" })}>
            Other ways to send data
          </a>
        </>
      }
    >
      The agent profiles every process it runs in: CPU, wall time and waiting for the GIL, tied to the
      requests it serves. It is on unless <code>VARAN_PROFILER=off</code> is set. Profiles of pprof, Pyroscope
      and OpenTelemetry are taken too.
    </Empty>
  );
}

/** There are profiles, but none of what is chosen. */
export function NothingChosen({ what }: { what: string }) {
  return (
    <Empty
      small
      title={`No ${what} samples of this selection ${rangePhrase()}`}
      waiting
      actions={
        <>
          <button
            type="button"
            class="button"
            onClick={() => setParams({ ...everything, base: null }, { push: true })}
          >
            Remove the conditions
          </button>
          <button type="button" class="button" onClick={() => setRange("now-1d", "now")}>
            Look at the last 24 hours
          </button>
        </>
      }
    />
  );
}
