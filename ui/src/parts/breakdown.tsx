/**
 * Where time goes: own code, database, network, messaging, as one bar. The colours of the four are the same
 * everywhere; the title and the screen reader get the figures.
 *
 * <Breakdown parts={{ own: 0.1, database: 0.7, network: 0.2, messaging: 0 }} />
 */
import { ratio } from "../format";

export type Category = "own" | "database" | "network" | "messaging";

export const categories: readonly { id: Category; label: string; color: number }[] = [
  { id: "own", label: "own code", color: 0 },
  { id: "database", label: "database", color: 1 },
  { id: "network", label: "network", color: 2 },
  { id: "messaging", label: "messaging", color: 3 },
];

/** The colour of a category as a CSS value. */
export const categoryColor = (id: Category): string =>
  `var(--series-${categories.find((c) => c.id === id)?.color ?? 8})`;

export interface BreakdownProps {
  /** Shares, 0…1; they need not reach 1. */
  parts: Record<Category, number> | null;
  /** Length of the whole bar as a share of its place. Default 1. */
  scale?: number;
  height?: number;
}

export function Breakdown({ parts, scale = 1, height = 8 }: BreakdownProps) {
  const width = `${Math.max(0, Math.min(1, scale)) * 100}%`;
  if (!parts) {
    return (
      <span class="breakdown" style={{ height: `${height}px` }} title="Not known where the time goes">
        <span style={{ width, background: "var(--strong)" }} />
      </span>
    );
  }
  const text = categories
    .filter((c) => parts[c.id] > 0)
    .map((c) => `${c.label} ${ratio(parts[c.id])}`)
    .join(", ");
  return (
    <span class="breakdown" style={{ height: `${height}px` }} role="img" aria-label={text} title={text}>
      <span style={{ width }}>
        {categories.map(
          (c) =>
            parts[c.id] > 0 && (
              <i key={c.id} style={{ flexGrow: parts[c.id], background: `var(--series-${c.color})` }} />
            ),
        )}
      </span>
    </span>
  );
}

/** What the colours mean. */
export function BreakdownLegend() {
  return (
    <span class="breakdown-legend">
      {categories.map((c) => (
        <span key={c.id}>
          <i style={{ background: `var(--series-${c.color})` }} />
          {c.label}
        </span>
      ))}
    </span>
  );
}
