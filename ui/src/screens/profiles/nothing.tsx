/** No profile to show, and the exact command that makes one. */
import { rangePhrase } from "../../format";
import { Empty } from "../../parts/empty";
import { setParams } from "../../router";
import { setRange } from "../../state";
import { NothingSent } from "../nothing-sent";
import { everything } from "./selection";

/** Nothing of any service in this range. */
export function NoProfiles() {
  return (
    <NothingSent
      title={`No profiles ${rangePhrase()}`}
      way="profiles"
      actions={
        <button type="button" class="button" onClick={() => setRange("now-1d", "now")}>
          Look at the last 24 hours
        </button>
      }
    >
      The agent profiles every process it runs in: CPU, wall time and waiting for the GIL, tied to the
      requests it serves. It is on unless <code>VARAN_PROFILER=off</code> is set. Profiles of pprof, Pyroscope
      and OpenTelemetry are taken too.
    </NothingSent>
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
