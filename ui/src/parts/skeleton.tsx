/**
 * Grey shapes with the size of what comes. Show them only when a resource is `slow` (300 ms without data), and
 * keep the space before that: `<Skeleton lines={8} shown={r.slow} />` occupies its height either way.
 */
export interface SkeletonProps {
  /** Rows of text or of a table. */
  lines?: number;
  /** Height of one row in px. Default 32. */
  rowHeight?: number;
  /** One block of this height instead of rows. */
  height?: number;
  /** False keeps the space empty. Default true. */
  shown?: boolean;
}

const widths = [92, 78, 85, 64, 88, 71, 95, 60];

export function Skeleton({ lines = 1, rowHeight = 32, height, shown = true }: SkeletonProps) {
  if (height !== undefined) {
    return (
      <div
        class={`skeleton-block ${shown ? "shown" : ""}`}
        style={{ height: `${height}px` }}
        aria-hidden="true"
      />
    );
  }
  return (
    <div class="skeleton" style={{ height: `${lines * rowHeight}px` }} aria-hidden="true">
      {shown &&
        Array.from({ length: lines }, (_, i) => (
          <div class="skeleton-row" style={{ height: `${rowHeight}px` }} key={i}>
            <span style={{ width: `${widths[i % widths.length]}%` }} />
          </div>
        ))}
    </div>
  );
}
