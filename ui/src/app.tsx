/** The table of screens, and the one that is shown. A screen whose file does not exist is in no menu. */
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { match, navigate, path } from "./router";
import { Shell } from "./shell/shell";

/** Every screen's default export takes the decoded parts of its path. */
export interface ScreenProps {
  params: Record<string, string>;
}
type Screen = ComponentType<ScreenProps>;

// Files beside these in screens/ are parts of one screen.
const files = import.meta.glob<{ default: Screen }>(
  "./screens/{findings,services,service,traces,trace,logs,errors,profiles,metrics,targets,dashboards,alerts,send-data,settings,not-yet}.tsx",
);

export interface Route {
  pattern: string;
  /** File in screens/, and the entry of the rail that is lit. */
  screen: string;
  /** What the filter bar completes; none hides it. */
  signal?: "span" | "log";
  /** The time range applies. */
  ranged?: boolean;
}

export const routes: Route[] = [
  { pattern: "/services", screen: "services", signal: "span", ranged: true },
  { pattern: "/services/:name", screen: "service", ranged: true },
  { pattern: "/traces", screen: "traces", signal: "span", ranged: true },
  { pattern: "/traces/:id", screen: "trace" },
  { pattern: "/logs", screen: "logs", signal: "log", ranged: true },
  { pattern: "/profiles", screen: "profiles", ranged: true },
  // Not /metrics: there the server's own metrics are.
  { pattern: "/explore", screen: "metrics", ranged: true },
  { pattern: "/targets", screen: "targets" },
  { pattern: "/send-data", screen: "send-data" },
  { pattern: "/settings", screen: "settings" },
];

/** The screen exists in this version. */
export const exists = (screen: string): boolean => `./screens/${screen}.tsx` in files;

const loaded = new Map<string, Screen>();

function load(screen: string): Promise<void> {
  const file = files[`./screens/${screen}.tsx`];
  return file ? file().then((m) => void loaded.set(screen, m.default)) : Promise.resolve();
}

export function currentRoute(): { route: Route | null; params: Record<string, string> } {
  for (const route of routes) {
    const params = match(route.pattern, path.value);
    if (params && exists(route.screen)) return { route, params };
  }
  return { route: null, params: {} };
}

export function App() {
  const { route, params } = currentRoute();
  const screen = route?.screen ?? "not-yet";
  const [, redraw] = useState(0);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    if (path.value === "/" || path.value === "") navigate("/services", { replace: true });
  }, [path.value]);
  useEffect(() => {
    if (loaded.has(screen)) return;
    let alive = true;
    setFailed(false);
    load(screen).then(
      () => alive && redraw((n) => n + 1),
      () => alive && setFailed(true),
    );
    return () => {
      alive = false;
    };
  }, [screen]);
  const Shown = loaded.get(screen);
  return (
    <Shell route={route} params={params}>
      {Shown ? (
        <Shown key={screen} params={params} />
      ) : failed ? (
        <div class="empty" role="alert">
          <h2>This screen could not be loaded</h2>
          <p class="empty-text">The server was perhaps updated since the page was opened.</p>
          <div class="empty-actions">
            <button type="button" class="button" onClick={() => window.location.reload()}>
              Reload the page
            </button>
          </div>
        </div>
      ) : null}
    </Shell>
  );
}
