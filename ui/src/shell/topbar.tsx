/** The bar above every screen: where one is, the filter, the time range. */
import type { Route } from "../app";
import { ServiceName } from "../parts/servicename";
import { href } from "../router";

const titles: Record<string, string> = {
  services: "Services",
  service: "Services",
  traces: "Traces",
  trace: "Traces",
  logs: "Logs",
  "send-data": "Send data",
  settings: "Settings",
};
const parents: Record<string, string> = { service: "/services", trace: "/traces" };

export function TopBar({ route, params }: { route: Route | null; params: Record<string, string> }) {
  const screen = route?.screen ?? "";
  const parent = parents[screen];
  return (
    <header class="topbar">
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
    </header>
  );
}
