/** The frame of every screen: rail, top bar, and the place the screen scrolls in. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Route } from "../app";
import { exists } from "../app";
import { useKeys } from "../keys";
import { Icon, type IconName } from "../parts/icon";
import { KeyHelp } from "../parts/keyhelp";
import { Palette } from "../parts/palette";
import "../parts/parts.css";
import { Toasts } from "../parts/toast";
import { historyKey, href, path } from "../router";
import { shiftRange, undoZoom } from "../state";
import "./shell.css";
import { Notice } from "./notice";
import { TopBar } from "./topbar";

interface Entry {
  screen: string;
  title: string;
  path: string;
  icon: IconName;
  /** Other screens that belong to it. */
  also?: string[];
}

const upper: Entry[] = [
  { screen: "findings", title: "Findings", path: "/findings", icon: "findings" },
  { screen: "services", title: "Services", path: "/services", icon: "services", also: ["service"] },
  { screen: "traces", title: "Traces", path: "/traces", icon: "traces", also: ["trace"] },
  { screen: "logs", title: "Logs", path: "/logs", icon: "logs" },
  { screen: "errors", title: "Errors", path: "/errors", icon: "errors" },
  { screen: "profiles", title: "Profiles", path: "/profiles", icon: "profiles" },
  { screen: "metrics", title: "Metrics", path: "/explore", icon: "metrics", also: ["targets"] },
  { screen: "dashboards", title: "Dashboards", path: "/dashboards", icon: "dashboards" },
  { screen: "alerts", title: "Alerts", path: "/alerts", icon: "alerts" },
];
const lower: Entry[] = [
  { screen: "send-data", title: "Send data", path: "/send-data", icon: "send" },
  { screen: "settings", title: "Settings", path: "/settings", icon: "settings" },
];

/** The entries whose screens exist. */
export const entries = () => [...upper, ...lower].filter((e) => exists(e.screen));

export interface ShellProps {
  route: Route | null;
  params: Record<string, string>;
  children: ComponentChildren;
}

function storedRail(): boolean {
  try {
    return localStorage.getItem("varan.rail") === "small";
  } catch {
    return false;
  }
}

export function Shell({ route, params, children }: ShellProps) {
  const [small, setSmall] = useState(storedRail);
  const [layer, setLayer] = useState<"palette" | "keys" | null>(null);
  const main = useRef<HTMLElement>(null);
  const scrolls = useRef(new Map<number, number>()).current;

  const toggle = () => {
    setSmall(!small);
    try {
      localStorage.setItem("varan.rail", small ? "wide" : "small");
    } catch {
      // Lasts as long as the page then.
    }
  };

  // A new screen starts at its top; going back returns to where one was.
  useEffect(() => {
    const element = main.current;
    if (!element) return;
    element.scrollTop = scrolls.get(historyKey.value) ?? 0;
    const key = historyKey.value;
    const keep = () => scrolls.set(key, element.scrollTop);
    element.addEventListener("scroll", keep, { passive: true });
    return () => element.removeEventListener("scroll", keep);
  }, [path.value]);

  useKeys([
    { key: "mod+k", help: "Open anything", inFields: true, run: () => setLayer(layer ? null : "palette") },
    { key: "?", help: "This list", run: () => setLayer(layer ? null : "keys") },
    { key: "[", help: "Earlier by half the range", run: () => (route?.ranged ? shiftRange(-0.5) : false) },
    { key: "]", help: "Later by half the range", run: () => (route?.ranged ? shiftRange(0.5) : false) },
    { key: "z", help: "Undo the last zoom", run: () => (route?.ranged ? undoZoom() : false) },
  ]);

  const link = (e: Entry) => {
    const current = route?.screen === e.screen || !!e.also?.includes(route?.screen ?? "");
    return (
      <a
        key={e.screen}
        href={href(e.path)}
        class={current ? "current" : ""}
        aria-current={current ? "page" : undefined}
        title={small ? e.title : undefined}
      >
        <Icon name={e.icon} />
        <span class="rail-text">{e.title}</span>
      </a>
    );
  };

  return (
    <div class={`shell ${small ? "small-rail" : ""}`}>
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <nav class="rail" aria-label="Screens">
        <a class="brand" href={href("/services")} aria-label="Varan">
          <Logo />
          <span class="rail-text">Varan</span>
        </a>
        <div class="rail-part">{upper.filter((e) => exists(e.screen)).map(link)}</div>
        <div class="rail-part rail-lower">
          {lower.filter((e) => exists(e.screen)).map(link)}
          <button
            type="button"
            class="rail-toggle"
            onClick={toggle}
            aria-label={small ? "Widen the rail" : "Narrow the rail"}
            aria-expanded={!small}
          >
            <Icon name="rail" />
            <span class="rail-text">Collapse</span>
          </button>
        </div>
      </nav>
      <div class="page">
        <TopBar route={route} params={params} onSearch={() => setLayer("palette")} />
        <main id="main" ref={main} tabIndex={-1}>
          {children}
        </main>
        <Notice />
      </div>
      {layer === "palette" && <Palette onClose={() => setLayer(null)} screens={entries()} />}
      {layer === "keys" && <KeyHelp onClose={() => setLayer(null)} />}
      <Toasts />
    </div>
  );
}

function Logo() {
  return (
    <svg width="20" height="20" viewBox="0 0 16 16" aria-hidden="true">
      <rect width="16" height="16" rx="4" fill="var(--accent)" />
      <path
        d="M3.5 4.5 8 12l4.5-7.5"
        fill="none"
        stroke="var(--on-accent)"
        stroke-width="2"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
      <circle cx="8" cy="5" r="1.2" fill="var(--on-accent)" />
    </svg>
  );
}
