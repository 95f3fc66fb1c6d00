/**
 * How a figure changed against the period before. Coloured only when it matters: `better` says which direction
 * is good, and changes below `threshold` (a share, default 0.2) stay grey. Growth of traffic has no better.
 *
 * <ChangeMark value={p95.value} previous={p95.previous} better="down" format={duration} />
 */
import { change } from "../format";

export interface ChangeMarkProps {
  value: number | null | undefined;
  previous: number | null | undefined;
  better?: "up" | "down";
  threshold?: number;
  /** Prints the former value in the title. */
  format?: (value: number | null | undefined) => string;
}

export function ChangeMark({ value, previous, better, threshold = 0.2, format }: ChangeMarkProps) {
  const c = change(value, previous);
  if (!c) return <span class="change muted" />;
  const tone =
    c.direction === "same" || !better || Math.abs(c.ratio) < threshold
      ? "muted"
      : c.direction === better
        ? "good"
        : "warn";
  const before = format ? `${format(previous)} in the period before` : "against the period before";
  return (
    <span class={`change ${tone}`} title={before}>
      {c.direction === "same" ? "±0" : c.text}
      {c.direction !== "same" && <span aria-hidden="true">{c.direction === "up" ? "↑" : "↓"}</span>}
      <span class="sr">{c.direction === "same" ? "unchanged" : c.direction}</span>
    </span>
  );
}
