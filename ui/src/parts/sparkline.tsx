/**
 * A small line without axes, for tables and figures. Starts at 0, breaks at gaps.
 *
 * <Sparkline points={row.rate.points} label="requests per second" color="var(--accent)" />
 */
export interface SparklineProps {
  points: readonly (number | null)[];
  /** What it shows, for screen readers. */
  label: string;
  width?: number;
  height?: number;
  color?: string;
  /** Fill the area beneath. Default true. */
  area?: boolean;
}

export function Sparkline({
  points,
  label,
  width = 80,
  height = 20,
  color = "var(--accent)",
  area = true,
}: SparklineProps) {
  const max = points.reduce<number>((m, p) => (p !== null && p > m ? p : m), 0);
  const n = points.length;
  const x = (i: number) => (n < 2 ? width / 2 : (i / (n - 1)) * (width - 2) + 1);
  const y = (v: number) => (max > 0 ? height - 1.5 - (v / max) * (height - 3) : height - 1.5);
  let line = "";
  let fill = "";
  let open = -1;
  const close = (i: number) => {
    if (open >= 0) fill += `L${x(i).toFixed(1)} ${height}L${x(open).toFixed(1)} ${height}Z`;
    open = -1;
  };
  points.forEach((p, i) => {
    if (p === null) {
      close(i - 1);
      return;
    }
    const at = `${x(i).toFixed(1)} ${y(p).toFixed(1)}`;
    if (open < 0) {
      open = i;
      line += `M${at}`;
      fill += `M${at}`;
      // A lone point between gaps would be invisible as a line.
      if (i + 1 >= n || points[i + 1] === null) line += "h.01";
    } else {
      line += `L${at}`;
      fill += `L${at}`;
    }
  });
  close(n - 1);
  return (
    <svg class="sparkline" width={width} height={height} role="img" aria-label={label}>
      {area && fill && max > 0 && <path d={fill} fill={color} opacity="0.12" />}
      {line && max === 0 && <path d={line} fill="none" stroke="var(--strong)" stroke-width="1" />}
      {line && max > 0 && (
        <path
          d={line}
          fill="none"
          stroke={color}
          stroke-width="1.3"
          stroke-linejoin="round"
          stroke-linecap="round"
        />
      )}
      {!line && <path d={`M1 ${height - 1.5}H${width - 1}`} stroke="var(--line)" fill="none" />}
    </svg>
  );
}
