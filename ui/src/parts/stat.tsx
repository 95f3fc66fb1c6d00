/**
 * One figure with its unit, its change against the period before, and a sparkline. With `href` it is a door.
 *
 * <Stat label="p95" quantity={durationParts(f.value)} figure={f} better="down" format={duration} />
 */
import type { Figure } from "../api-types";
import type { Quantity } from "../format";
import { ChangeMark } from "./change";
import { Sparkline } from "./sparkline";

export interface StatProps {
  label: string;
  quantity: Quantity;
  figure?: Figure;
  better?: "up" | "down";
  format?: (value: number | null | undefined) => string;
  href?: string;
  /** Colour of the sparkline; false leaves it out. */
  spark?: string | false;
  /** `bad` only for errors. */
  tone?: "bad" | "warn";
  title?: string;
}

export function Stat({ label, quantity, figure, better, format, href, spark, tone, title }: StatProps) {
  const body = (
    <>
      <span class="stat-label">{label}</span>
      <span class="stat-figure">
        <span class={`stat-value ${tone ?? ""}`}>{quantity.figure}</span>
        <span class="stat-unit">{quantity.unit}</span>
        {figure && (
          <ChangeMark value={figure.value} previous={figure.previous} better={better} format={format} />
        )}
      </span>
      {figure && spark !== false && (
        <Sparkline
          points={figure.points}
          label={`${label} over time`}
          color={spark}
          width={120}
          height={24}
        />
      )}
    </>
  );
  return href ? (
    <a class="stat" href={href} title={title}>
      {body}
    </a>
  ) : (
    <div class="stat" title={title}>
      {body}
    </div>
  );
}
