/** The bar above every screen: where one is, the filter, the time range, the way to share it. */
import type { Route } from "../app";
import { copyText } from "../parts/copybutton";
import { FilterBar } from "../parts/filterbar";
import { Icon } from "../parts/icon";
import { keyName } from "../parts/keyhelp";
import { ServiceName } from "../parts/servicename";
import { TimePicker } from "../parts/timepicker";
import { href, hrefHere } from "../router";
import { resolvedRange } from "../state";

const titles: Record<string, string> = {
  services: "Services",
  service: "Services",
  traces: "Traces",
  trace: "Traces",
  logs: "Logs",
  profiles: "Profiles",
  metrics: "Metrics",
  targets: "Metrics",
  "send-data": "Send data",
  settings: "Settings",
};
const parents: Record<string, string> = { service: "/services", trace: "/traces", targets: "/explore" };

export interface TopBarProps {
  route: Route | null;
  params: Record<string, string>;
  onSearch: () => void;
}

/** The address with the range as it is now, so that others see the same. */
function share(ranged: boolean): void {
  const span = resolvedRange();
  const here = ranged
    ? hrefHere({ from: Math.floor(span.from * 1000), to: Math.ceil(span.to * 1000), live: null })
    : hrefHere({});
  void copyText(window.location.origin + here, "Link copied, with the time range as it is now");
}

export function TopBar({ route, params, onSearch }: TopBarProps) {
  const screen = route?.screen ?? "";
  const parent = parents[screen];
  return (
    <header class={`topbar ${route?.signal ? "with-filter" : ""}`}>
      <nav class="crumbs" aria-label="Where you are">
        {parent ? <a href={href(parent)}>{titles[screen]}</a> : <span>{titles[screen] ?? "Varan"}</span>}
        {params.name && (
          <>
            <i aria-hidden="true">/</i>
            <ServiceName name={params.name} />
          </>
        )}
        {params.id && (
          <>
            <i aria-hidden="true">/</i>
            <code title={params.id}>{params.id.slice(0, 8)}</code>
          </>
        )}
      </nav>
      {route?.signal ? <FilterBar signal={route.signal} key={route.screen} /> : <span class="topbar-space" />}
      {route?.ranged && <TimePicker />}
      <button
        type="button"
        class="icon-button"
        aria-label="Open anything"
        title={`Open anything  ${keyName("mod+k")}`}
        onClick={onSearch}
      >
        <Icon name="search" />
      </button>
      <button
        type="button"
        class="icon-button topbar-share"
        aria-label="Copy a link to this"
        title="Copy a link to this"
        onClick={() => share(!!route?.ranged)}
      >
        <Icon name="link" />
      </button>
    </header>
  );
}
