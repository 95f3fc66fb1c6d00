/**
 * Values with their counts and shares, by key. A click asks for a value, alt-click (or the button that shows on
 * hover) rules it out, the same click again frees it. With `standing` values that differ from the rest are marked.
 *
 * <Facets resource={facets} filter={filter.value} onFilter={setFilter} label="Traces by" />
 */
import { useState } from "preact/hooks";
import type { Resource } from "../api";
import type { FacetList } from "../api-types";
import { count, full, middle, ratio } from "../format";
import { chosen, dropTerm, excluded, toggleTerm } from "./facets.filter";
import { Icon } from "./icon";
import { Name } from "./name";
import { serviceColor } from "./servicename";
import { Skeleton } from "./skeleton";
import "./facets.css";

export interface FacetsProps {
  resource: Resource<FacetList>;
  filter: string;
  onFilter: (filter: string) => void;
  label: string;
  /** Values that stand out against the rest, by `standingKey`: how often they are inside and outside. */
  standing?: ReadonlyMap<string, Standing>;
}

export interface Standing {
  inside: number;
  outside: number;
}

export const standingKey = (key: string, value: string): string => `${key}\n${value}`;

/** Keys whose values carry a colour or a meaning of their own. */
const toneOf = (key: string, value: string): string | undefined => {
  if (key === "service") return serviceColor(value);
  if ((key === "status" || key === "severity") && /^(error|fatal)$/.test(value)) return "var(--bad)";
  if (key === "severity" && value === "warn") return "var(--warn)";
  return undefined;
};

export function Facets({ resource, filter, onFilter, label, standing }: FacetsProps) {
  const { data } = resource;
  if (!data) {
    if (resource.error) {
      return (
        <div class="facets">
          <p class="facets-note muted">
            The facets could not be loaded: {resource.error.message}{" "}
            <button type="button" class="link" onClick={resource.reload}>
              Try again
            </button>
          </p>
        </div>
      );
    }
    return (
      <div class="facets facets-loading" aria-busy="true">
        <Skeleton lines={14} rowHeight={26} shown={resource.slow} />
      </div>
    );
  }
  const facets = data.facets.filter((f) => f.values.length || excluded(filter, f.key).length);
  return (
    <nav class={`facets ${resource.stale ? "dim" : ""}`} aria-label={label}>
      {facets.map((facet) => (
        <FacetGroup key={facet.key} facet={facet} filter={filter} onFilter={onFilter} standing={standing} />
      ))}
      {data.sampled < 1 && (
        <p class="facets-note muted">Counted over {ratio(data.sampled)} of the rows; counts are estimates.</p>
      )}
    </nav>
  );
}

const SHORT = 6;

function FacetGroup(props: {
  facet: FacetList["facets"][number];
  filter: string;
  onFilter: (filter: string) => void;
  standing?: ReadonlyMap<string, Standing>;
}) {
  const { facet, filter, onFilter } = props;
  const [folded, setFolded] = useState(false);
  const [all, setAll] = useState(false);
  const sum = facet.values.reduce((n, v) => n + v.count, 0);
  const out = excluded(filter, facet.key).filter((v) => !facet.values.some((f) => f.value === v));
  const shown = all ? facet.values : facet.values.slice(0, SHORT);
  const more = facet.values.length - shown.length;
  const beyond = facet.distinct - facet.values.length;
  return (
    <section class="facet">
      <button
        type="button"
        class="facet-key"
        aria-expanded={!folded}
        onClick={() => setFolded(!folded)}
        title={facet.key}
      >
        <Icon name={folded ? "right" : "down"} size={10} />
        <span class="ellipsis">{middle(facet.key, 28)}</span>
        <span class="facet-distinct">{facet.distinct > 1 ? count(facet.distinct) : ""}</span>
      </button>
      {!folded && (
        <ul>
          {shown.map((v) => (
            <FacetValue
              key={v.value}
              name={facet.key}
              value={v.value}
              count={v.count}
              share={sum ? v.count / sum : 0}
              filter={filter}
              onFilter={onFilter}
              standing={props.standing?.get(standingKey(facet.key, v.value))}
            />
          ))}
          {out.map((value) => (
            <li class="facet-value out" key={`!${value}`}>
              <button
                type="button"
                class="facet-pick"
                onClick={() => onFilter(dropTerm(filter, facet.key, value, true))}
                title={`${value} is ruled out; click to free it`}
              >
                <span class="ellipsis">{value || "(empty)"}</span>
                <Icon name="close" size={10} />
              </button>
            </li>
          ))}
          {(more > 0 || all) && facet.values.length > SHORT && (
            <li>
              <button type="button" class="facet-more" onClick={() => setAll(!all)}>
                {all ? "Fewer" : `${more} more`}
              </button>
            </li>
          )}
          {(all || more === 0) && beyond > 0 && (
            <li class="facet-more muted">
              and {facet.truncated ? "more than " : ""}
              {count(beyond)} rarer
            </li>
          )}
        </ul>
      )}
    </section>
  );
}

function FacetValue(props: {
  name: string;
  value: string;
  count: number;
  share: number;
  filter: string;
  onFilter: (filter: string) => void;
  standing?: Standing;
}) {
  const { name, value, filter, onFilter, standing } = props;
  const state = chosen(filter, name, value);
  const tone = toneOf(name, value);
  const toggle = (exclude: boolean) => onFilter(toggleTerm(filter, name, value, exclude));
  const title = `${value || "(empty)"}\n${full(props.count)} (${ratio(props.share)})\nClick: only these. Alt-click: all but these.`;
  return (
    <li class={`facet-value ${state ?? ""}`} style={{ "--share": props.share, "--tone": tone }}>
      <button
        type="button"
        class="facet-pick"
        aria-pressed={state === "in"}
        onClick={(e) => toggle(e.altKey)}
        title={title}
      >
        {tone && <i aria-hidden="true" />}
        <Name text={value || "(empty)"} title={title} />
        {standing && (
          <span
            class="facet-standing"
            title={`${ratio(standing.inside)} of what is in the box, ${ratio(standing.outside)} of the rest`}
          >
            ↑ {Math.round(standing.inside * 100)} %
          </span>
        )}
        <span class="facet-count">{count(props.count)}</span>
      </button>
      <button
        type="button"
        class="facet-not"
        onClick={() => toggle(true)}
        aria-label={state === "out" ? `Allow ${name} ${value} again` : `Rule out ${name} ${value}`}
        title="All but these"
      >
        ≠
      </button>
    </li>
  );
}
