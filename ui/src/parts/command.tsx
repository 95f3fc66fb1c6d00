/**
 * A block of code to copy: a command, settings, a configuration file.
 *
 * <Command text="varan run -- python app.py" />
 */
import { CopyButton } from "./copybutton";

export interface CommandProps {
  text: string;
  /** What it is, for screen readers. */
  label?: string;
}

export function Command({ text, label = "Command" }: CommandProps) {
  return (
    <div class="command">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: long lines scroll, also by keyboard */}
      <pre tabIndex={0} role="group" aria-label={label}>
        {text}
      </pre>
      <CopyButton text={text} label={`Copy: ${label.toLowerCase()}`} />
    </div>
  );
}
