/**
 * The address is the state: path and query parameters, as signals. Links are plain `<a href={href(…)}>`;
 * one listener turns clicks into navigation. `from`, `to` and `live` travel along with every link.
 */
import { batch, computed, signal } from "@preact/signals";

export type ParamValue = string | number | boolean | null | undefined;

/** Parameters that every link inside the page keeps unless it sets them. */
const sticky = ["from", "to", "live"] as const;

interface Place {
  path: string;
  query: string;
  key: number;
}

const here = (): Place =>
  typeof window === "undefined"
    ? { path: "/", query: "", key: 0 }
    : {
        path: window.location.pathname,
        query: window.location.search,
        key: (history.state as { key?: number } | null)?.key ?? 0,
      };

const place = signal<Place>(here());
let lastKey = place.value.key;

/** The path of the screen, such as `/services/shop`. Still percent-encoded. */
export const path = computed(() => place.value.path);
/** All query parameters. Never change them in place: use `setParams`. */
export const params = computed(() => new URLSearchParams(place.value.query));
/** Names the history entry; scroll positions are kept by it. */
export const historyKey = computed(() => place.value.key);

/** One query parameter, or `fallback`. Reading it in a component subscribes the component. */
export function param(name: string, fallback = ""): string {
  return params.value.get(name) ?? fallback;
}

function apply(search: URLSearchParams, changes: Record<string, ParamValue>): void {
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") search.delete(name);
    else search.set(name, String(value));
  }
}

function print(search: URLSearchParams): string {
  const text = search.toString().replace(/%3A/g, ":").replace(/%2F/g, "/").replace(/%2C/g, ",");
  return text ? `?${text}` : "";
}

/**
 * The address of another screen. Keeps the time range; `changes` adds parameters (null removes one).
 * `href("/traces", { filter: "service=shop" })`. Encode path segments with `segment()`.
 */
export function href(to: string, changes: Record<string, ParamValue> = {}): string {
  const search = new URLSearchParams();
  for (const name of sticky) {
    const value = params.value.get(name);
    if (value !== null) search.set(name, value);
  }
  apply(search, changes);
  return to + print(search);
}

/** The address of this screen with some parameters changed. */
export function hrefHere(changes: Record<string, ParamValue>): string {
  const search = new URLSearchParams(params.value);
  apply(search, changes);
  return path.value + print(search);
}

/** One path segment, encoded. */
export const segment = (name: string): string => encodeURIComponent(name);

/** Goes to an address of the page. `replace` leaves no history entry. */
export function navigate(to: string, options: { replace?: boolean } = {}): void {
  const url = new URL(to, window.location.href);
  if (url.href === window.location.href) return;
  const key = options.replace ? place.value.key : ++lastKey;
  if (options.replace) history.replaceState({ key }, "", url);
  else history.pushState({ key }, "", url);
  place.value = { path: url.pathname, query: url.search, key };
}

/** Changes parameters of this screen. Replaces the history entry unless `push` is set. */
export function setParams(changes: Record<string, ParamValue>, options: { push?: boolean } = {}): void {
  navigate(hrefHere(changes), { replace: !options.push });
}

/** Matches `/services/:name` against a path; the decoded parts, or null. */
export function match(pattern: string, actual: string): Record<string, string> | null {
  const want = pattern.split("/");
  const have = actual.replace(/\/+$/, "").split("/");
  if (want.length !== Math.max(have.length, 1)) return null;
  const parts: Record<string, string> = {};
  for (const [i, name] of want.entries()) {
    const value = have[i] ?? "";
    if (name.startsWith(":")) {
      try {
        parts[name.slice(1)] = decodeURIComponent(value);
      } catch {
        return null;
      }
      if (!value) return null;
    } else if (name !== value) return null;
  }
  return parts;
}

function onClick(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const anchor = (event.target as Element | null)?.closest?.("a[href]");
  if (!anchor || anchor.hasAttribute("target") || anchor.hasAttribute("download")) return;
  const url = new URL(anchor.getAttribute("href") ?? "", window.location.href);
  if (url.origin !== window.location.origin) return;
  event.preventDefault();
  navigate(url.href);
}

/** Listens to the browser's history and to clicks on links. Called once. */
export function startRouter(): void {
  if (history.state === null) history.replaceState({ key: 0 }, "");
  window.addEventListener("popstate", () =>
    batch(() => {
      place.value = here();
      lastKey = Math.max(lastKey, place.value.key);
    }),
  );
  document.addEventListener("click", onClick);
}
