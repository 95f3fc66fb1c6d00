/** The list of keys (`?`): what the screen and the page listen to at this moment. */
import { keys } from "../keys";
import { Dialog } from "./dialog";

const names: Record<string, string> = {
  Escape: "Esc",
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  " ": "Space",
};

export function keyName(key: string): string {
  const mac = typeof navigator !== "undefined" && /Mac|iPhone|iPad/.test(navigator.platform);
  return key
    .replace(/^mod\+/, mac ? "⌘ " : "Ctrl ")
    .replace(/\S+$/, (k) => names[k] ?? (k.length === 1 ? k : k));
}

export function KeyHelp({ onClose }: { onClose: () => void }) {
  const seen = new Set<string>();
  const list = [...keys.value].reverse().filter((k) => k.help && !seen.has(k.key) && seen.add(k.key));
  return (
    <Dialog label="Keys" onClose={onClose} class="keyhelp">
      <h2>Keys</h2>
      <dl>
        {list.reverse().map((k) => (
          <div key={k.key}>
            <dt>
              <kbd>{keyName(k.key)}</kbd>
            </dt>
            <dd>{k.help}</dd>
          </div>
        ))}
      </dl>
      <p class="muted small">Drag over a chart to zoom the whole page to it.</p>
    </Dialog>
  );
}
