/**
 * Nothing to show, and what to do about it. `command` is the exact line that fills the screen. When the screen
 * refreshes by itself (`waiting`), it says that it listens and goes away with the first data.
 *
 * <Empty title="No traces in the last 15 min" command="varan run -- python app.py" waiting>
 *   Traces arrive by OTLP from any OpenTelemetry SDK.
 * </Empty>
 */
import type { ComponentChildren } from "preact";
import { live } from "../state";
import { Command } from "./command";

export interface EmptyProps {
  title: string;
  /** The exact command that fills the screen, with a copy button. */
  command?: string;
  /** One or two sentences. */
  children?: ComponentChildren;
  /** Buttons or links. */
  actions?: ComponentChildren;
  /** The screen turns live when data comes. */
  waiting?: boolean;
  /** Less space, for a section of a screen. */
  small?: boolean;
}

export function Empty({ title, command, children, actions, waiting, small }: EmptyProps) {
  return (
    <div class={`empty ${small ? "small-empty" : ""}`}>
      <h2>{title}</h2>
      {children && <div class="empty-text prose">{children}</div>}
      {command && <Command text={command} />}
      {actions && <div class="empty-actions">{actions}</div>}
      {waiting && live.value && (
        <p class="empty-waiting" role="status">
          <span class="pulse" aria-hidden="true" />
          Listening. The screen fills by itself when the first data comes.
        </p>
      )}
    </div>
  );
}
