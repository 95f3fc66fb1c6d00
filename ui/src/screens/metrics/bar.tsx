/** The head of the screens of metrics: explorer, targets, cardinality. */
import type { ComponentChildren } from "preact";
import { Tabs } from "../../parts/tabs";
import { href, navigate } from "../../router";
import "./metrics.css";

const tabs = [
  { id: "explore", label: "Explore", to: "/explore" },
  { id: "targets", label: "Targets", to: "/targets" },
  { id: "cardinality", label: "Cardinality", to: "/explore" },
];

export function MetricsBar({ tab, children }: { tab: string; children?: ComponentChildren }) {
  return (
    <header class="metrics-bar">
      <Tabs
        label="Metrics"
        tabs={tabs}
        value={tab}
        onChange={(id) => {
          const to = tabs.find((t) => t.id === id)!;
          navigate(href(to.to, { tab: id === "cardinality" ? id : null }));
        }}
      />
      <span class="spacer" />
      {children}
    </header>
  );
}
