/** Where a service's time goes in its code, on the service's own screen. */
import { type QueryParams, useApi } from "../../api";
import { href, navigate } from "../../router";
import { range } from "../../state";
import type { ProfileSeries } from "./data";
import { sortTypes } from "./selection";
import { Types } from "./types";
import { naming } from "./view";
import "./profiles.css";

const HEIGHT = 200;

/** Nothing when there are no profiles of the service. */
export function ServiceCode({ service }: { service: string }) {
  const series = useApi<ProfileSeries>("/profiles/series", { ...range.value, service });
  const types = sortTypes(series.data?.series ?? []).filter((t) => t.sum > 0);
  if (!types.length) return null;
  const params: QueryParams = { ...range.value, service };
  const to = (more: Record<string, string | number | null>) => href("/profiles", { service, ...more });
  return (
    <section class="section profiles service-code" aria-label="Code">
      <header>
        <h2>Code</h2>
        <span class="muted small">Samples of all processes; frames of libraries are folded</span>
        <span class="spacer" />
        <a class="button" href={to({})}>
          Open in Profiles
        </a>
      </header>
      <Types
        params={params}
        types={types}
        hrefOf={(type) => to({ type: type === "cpu" ? null : type })}
        onFunction={(tree, fn, type, both) =>
          navigate(to({ ...naming(tree, fn), type, ...(both ? { view: "sandwich" } : { panel: 1 }) }))
        }
        own
        lines={false}
        maxHeight={HEIGHT}
      />
    </section>
  );
}
