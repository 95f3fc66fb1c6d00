/**
 * Short messages at the bottom: `toast("Copied")`, `toast("Could not copy", { tone: "bad" })`. They leave by
 * themselves after 4 s; a screen reader hears them.
 */
import { signal } from "@preact/signals";

export interface ToastOptions {
  tone?: "good" | "bad";
  action?: { label: string; run: () => void };
}
interface Message extends ToastOptions {
  id: number;
  text: string;
}

const messages = signal<Message[]>([]);
let next = 0;

export function toast(text: string, options: ToastOptions = {}): void {
  const id = ++next;
  messages.value = [...messages.peek().slice(-2), { id, text, ...options }];
  setTimeout(() => dismiss(id), 4000);
}

function dismiss(id: number): void {
  messages.value = messages.peek().filter((m) => m.id !== id);
}

/** Placed once by the shell. */
export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {messages.value.map((m) => (
        <div class={`toast ${m.tone ?? ""}`} key={m.id}>
          <span>{m.text}</span>
          {m.action && (
            <button
              type="button"
              class="toast-action"
              onClick={() => {
                m.action?.run();
                dismiss(m.id);
              }}
            >
              {m.action.label}
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
