/** A labelled choice between values, with what each of them cost. */
import { middle, ratio } from "../../format";

export interface Choice {
  value: string;
  label: string;
  /** Of the whole, behind the label. */
  share?: number;
  /** More about it, when it is pointed at. */
  title?: string;
}

export interface ChooseProps {
  label: string;
  value: string;
  choices: readonly Choice[];
  onChange: (value: string) => void;
}

export function Choose({ label, value, choices, onChange }: ChooseProps) {
  // What the address names and the range does not hold can still be seen and taken back.
  const missing = !choices.some((c) => c.value === value);
  return (
    <label class={`choose ${value ? "chosen" : ""}`}>
      <span class="muted">{label}</span>
      <select
        class="input"
        value={value}
        onChange={(e) => onChange(e.currentTarget.value)}
        aria-label={label}
      >
        {missing && <option value={value}>{middle(value, 60)}</option>}
        {choices.map((c) => (
          <option key={c.value} value={c.value} title={c.title ?? c.label}>
            {middle(c.label, 60)}
            {c.share !== undefined ? ` · ${ratio(c.share)}` : ""}
          </option>
        ))}
      </select>
    </label>
  );
}
