/**
 * Keys of the page. Screens and parts add theirs with `useKeys`; the last added one wins. Keys typed into a
 * field go to the field. The help (`?`) lists what is registered.
 */
import { signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

export interface Key {
  /** `j`, `?`, `Enter`, `Escape`, `mod+k` (Ctrl or ⌘). */
  key: string;
  /** What it does, for the help. Empty hides it there. */
  help: string;
  /** Return false to let others have the key. */
  run: (event: KeyboardEvent) => unknown;
  /** Also while a field has the focus. */
  inFields?: boolean;
}

/** Registered keys, newest last. */
export const keys = signal<readonly Key[]>([]);

export function addKeys(added: readonly Key[]): () => void {
  keys.value = [...keys.peek(), ...added];
  return () => {
    keys.value = keys.peek().filter((k) => !added.includes(k));
  };
}

/** Keys for as long as the component is on the page. Handlers are always the newest ones. */
export function useKeys(list: readonly Key[]): void {
  const newest = useRef(list);
  newest.current = list;
  const names = list.map((k) => k.key).join(" ");
  // Handlers are read through the ref, so that only other keys make new entries. Before the picture is
  // painted: what can be seen can be used, and a key pressed at once is not lost.
  useLayoutEffect(
    () =>
      addKeys(
        newest.current.map((k, i) => ({
          ...k,
          run: (event: KeyboardEvent) => newest.current[i]?.run(event),
        })),
      ),
    [names],
  );
}

export function isField(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

function nameOf(event: KeyboardEvent): string {
  const mod = event.metaKey || event.ctrlKey;
  return (mod ? "mod+" : "") + (event.key.length === 1 && mod ? event.key.toLowerCase() : event.key);
}

export function startKeys(): void {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.altKey) return;
    const name = nameOf(event);
    // Behind an open dialog nothing listens but what also works in fields.
    const field = isField(event.target) || document.querySelector("dialog[open]") !== null;
    const list = keys.peek();
    for (let i = list.length - 1; i >= 0; i--) {
      const key = list[i]!;
      if (key.key !== name || (field && !key.inFields)) continue;
      if (key.run(event) === false) continue;
      event.preventDefault();
      return;
    }
  });
}
