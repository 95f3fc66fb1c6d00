/** Buckets over time as a heat map: a row per bucket, darker where more was observed. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { clock, count, tidy } from "../../format";
import { timeTicks } from "../../parts/timechart-data";
import { zoomTo } from "../../state";
import { colors } from "../../theme/theme";
import type { Heat } from "./result";

export interface HeatChartProps {
  label: string;
  data: Heat;
  /** Seconds of a column. */
  step: number;
  window: { from: number; to: number };
  /** Prints a bound. */
  unit: (v: number | null) => string;
  dim: boolean;
}

const HEIGHT = 240;
const LEFT = 64;
const FOOT = 24;
const TOP = 8;

interface At {
  column: number;
  row: number;
}

/** How dark a cell is: from the faintest that can be seen, by the root of its share, so that tails show. */
export const shade = (value: number, max: number): number =>
  max > 0 && value > 0 ? 0.08 + 0.92 * Math.sqrt(value / max) : 0;

export function HeatChart({ label, data, step, window, unit, dim }: HeatChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [at, setAt] = useState<At | null>(null);
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const palette = colors.value;
  const plot = Math.max(1, width - LEFT - 4);
  const rowHeight = (HEIGHT - FOOT - TOP) / data.rows.length;
  const xOf = (t: number) => LEFT + ((t - window.from) / (window.to - window.from)) * plot;
  const timeAt = (x: number) => window.from + ((x - LEFT) / plot) * (window.to - window.from);

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    const element = canvas.current;
    const pen = element?.getContext("2d");
    if (!element || !pen || !width) return;
    const scale = devicePixelRatio;
    element.width = width * scale;
    element.height = HEIGHT * scale;
    pen.scale(scale, scale);
    pen.clearRect(0, 0, width, HEIGHT);
    pen.fillStyle = palette.accent;
    // A column is what happened in the step before its time.
    const cell = Math.max(1, (step / (window.to - window.from)) * plot);
    data.cells.forEach((row, r) => {
      const y = HEIGHT - FOOT - (r + 1) * rowHeight;
      row.forEach((v, c) => {
        if (!v) return;
        // Whole pixels of the screen: cells that overlap or leave gaps would draw stripes.
        const right = Math.round(xOf(data.times[c]!) * scale) / scale;
        const left = Math.max(LEFT, Math.round((xOf(data.times[c]!) - cell) * scale) / scale);
        if (right <= LEFT) return;
        pen.globalAlpha = shade(v, data.max);
        pen.fillRect(left, y + 0.5, right - left - (cell > 8 ? 1 : 0), Math.max(0.5, rowHeight - 1));
      });
    });
    pen.globalAlpha = 1;
    pen.fillStyle = palette.muted;
    pen.font = "11px system-ui, sans-serif";
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    const every = Math.max(1, Math.ceil(14 / rowHeight));
    data.rows.forEach((r, i) => {
      if (i % every === 0)
        pen.fillText(
          Number.isFinite(r.upper) ? tidy(unit(r.upper)) : "more",
          LEFT - 8,
          HEIGHT - FOOT - (i + 1) * rowHeight,
        );
    });
    const { splits, label: text } = timeTicks(window.from, window.to, Math.max(2, Math.floor(plot / 62)));
    pen.textAlign = "center";
    for (const t of splits) {
      const x = xOf(t);
      if (x > LEFT + 12 && x < width - 20) pen.fillText(text(t), x, HEIGHT - 10);
    }
    pen.strokeStyle = palette.line;
    pen.strokeRect(LEFT + 0.5, TOP + 0.5, plot - 1, HEIGHT - FOOT - TOP);
  }, [data, width, palette, window.from, window.to, step]);

  const locate = (event: MouseEvent): At | null => {
    const box = host.current!.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const row = Math.floor((HEIGHT - FOOT - y) / rowHeight);
    const column = data.times.findIndex((t) => t >= timeAt(x));
    return x >= LEFT && row >= 0 && row < data.rows.length && column >= 0 ? { row, column } : null;
  };
  const hovered = at && data.rows[at.row] ? data.rows[at.row]! : null;
  const bound = (v: number) => (Number.isFinite(v) ? unit(v) : v > 0 ? "more" : "less");
  return (
    <section class="explore-chart">
      <p class="explore-caption muted">
        <span class="ellipsis" title={label}>
          {label}
        </span>
      </p>
      <div
        class={`heat ${dim ? "dim" : ""}`}
        ref={host}
        style={{ height: `${HEIGHT}px` }}
        role="img"
        aria-label={`Heat map of ${label}: ${data.rows.length} buckets from ${bound(data.rows[0]!.lower)} to ${bound(data.rows[data.rows.length - 1]!.upper)}`}
        onMouseMove={(e) => {
          setAt(locate(e));
          if (drag) setDrag([drag[0], e.clientX - host.current!.getBoundingClientRect().left]);
        }}
        onMouseLeave={() => {
          setAt(null);
          setDrag(null);
        }}
        onMouseDown={(e) => {
          const x = e.clientX - host.current!.getBoundingClientRect().left;
          setDrag([x, x]);
        }}
        onMouseUp={() => {
          if (drag && Math.abs(drag[1] - drag[0]) > 6)
            zoomTo(timeAt(Math.max(LEFT, Math.min(...drag))), timeAt(Math.max(...drag)));
          setDrag(null);
        }}
      >
        <canvas ref={canvas} style={{ width: "100%", height: `${HEIGHT}px` }} />
        {drag && Math.abs(drag[1] - drag[0]) > 6 && (
          <span
            class="heat-drag"
            style={{
              left: `${Math.min(...drag)}px`,
              width: `${Math.abs(drag[1] - drag[0])}px`,
              bottom: `${FOOT}px`,
            }}
          />
        )}
      </div>
      <p class="explore-note" aria-hidden="true">
        {hovered && at
          ? `${clock(data.times[at.column]! * 1e9, 0)}  ${bound(hovered.lower)} to ${bound(hovered.upper)}: ${count(data.cells[at.row]![at.column] ?? 0)}`
          : "The stronger the colour, the more was observed. Drag to zoom."}
      </p>
    </section>
  );
}
