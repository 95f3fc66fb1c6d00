/** What stands around the canvas of the waterfall: tools and legend, the tip of a row, rows for screen readers. */
import { duration, full, kindName, plural } from "../format";
import { Icon } from "./icon";
import { ServiceName, serviceColor } from "./servicename";
import { shortSql } from "./sql.text";
import type { Row, SpanNode } from "./waterfall.model";
import { rowLabel } from "./waterfall.names";

export interface Hovered {
  row: Row;
  x: number;
  y: number;
}

const UNITS: [number, string][] = [
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "µs"],
  [1, "ns"],
];

/** An offset on the ruler, with as many digits as the step between two ticks asks for. */
export function offsetText(ns: number, step: number): string {
  const size = Math.max(Math.abs(ns), step);
  const [unit, name] = UNITS.find(([u]) => size >= u) ?? [1, "ns"];
  const digits = Math.max(0, Math.min(6, Math.ceil(-Math.log10(step / unit) - 1e-9)));
  return `${(ns / unit).toFixed(digits)}\u202f${name}`;
}

/** Keeps a tip of a known size inside its frame, beside the pointer. */
export function tipPlace(x: number, y: number, width: number, height: number): { left: number; top: number } {
  const wide = Math.min(360, width - 16);
  return {
    left: x + 16 + wide > width ? Math.max(8, x - wide - 12) : x + 16,
    top: y + 150 > height ? Math.max(4, y - 140) : y + 18,
  };
}

export function RowTip(props: { hovered: Hovered; width: number; height: number; top: number }) {
  const { row, x, y } = props.hovered;
  const place = tipPlace(x, y, props.width, props.height);
  const node = row.kind === "span" ? row.node : row.group.nodes[0]!;
  const { span } = node;
  return (
    <div
      class="wf-tip"
      role="presentation"
      style={{ left: `${place.left}px`, top: `${props.top + place.top}px` }}
    >
      <p class="wf-tip-name">{span.name}</p>
      <p class="wf-tip-service">
        <ServiceName name={span.service} max={40} />
        <span class="muted">{kindName(span.kind)}</span>
      </p>
      {span.db_statement && <p class="wf-tip-sql">{shortSql(span.db_statement).slice(0, 200)}</p>}
      {row.kind === "group" ? <GroupFigures row={row} /> : <SpanFigures node={node} />}
    </div>
  );
}

function GroupFigures({ row }: { row: Extract<Row, { kind: "group" }> }) {
  const g = row.group;
  return (
    <dl>
      <dt>runs</dt>
      <dd>{full(g.nodes.length)}</dd>
      <dt>together</dt>
      <dd>{duration(g.total_ns)}</dd>
      <dt>mean</dt>
      <dd>{duration(g.total_ns / g.nodes.length)}</dd>
      <dt>longest</dt>
      <dd>{duration(g.max_ns)}</dd>
      {g.errors > 0 && (
        <>
          <dt>errors</dt>
          <dd class="bad">{full(g.errors)}</dd>
        </>
      )}
    </dl>
  );
}

function SpanFigures({ node }: { node: SpanNode }) {
  const { span } = node;
  return (
    <dl>
      <dt>duration</dt>
      <dd>{duration(span.duration_ns)}</dd>
      <dt>own time</dt>
      <dd>{duration(span.self_ns)}</dd>
      <dt>starts at</dt>
      <dd>{duration(span.start_ns)}</dd>
      {span.status === 2 && (
        <>
          <dt>error</dt>
          <dd class="bad">{span.status_message.slice(0, 160) || "yes"}</dd>
        </>
      )}
      {node.size > 1 && (
        <>
          <dt>below it</dt>
          <dd>{plural(node.size - 1, "span")}</dd>
        </>
      )}
      {node.orphan && (
        <>
          <dt>parent</dt>
          <dd class="warn">not in this trace</dd>
        </>
      )}
    </dl>
  );
}

const AROUND = 12;

/** Rows around the cursor as elements, so that a screen reader finds what the canvas shows. */
export function HiddenRows(props: { rows: readonly Row[]; cursor: number; selected: SpanNode | null }) {
  const first = Math.max(0, props.cursor - AROUND);
  const part = props.rows.slice(first, props.cursor + AROUND + 1);
  return (
    <div class="sr" role="rowgroup">
      {part.map((row, i) => {
        const { label } = rowLabel(row);
        const node = row.kind === "span" ? row.node : row.group.nodes[0]!;
        return (
          <div
            key={first + i}
            id={`wf-row-${first + i}`}
            role="row"
            aria-rowindex={first + i + 1}
            aria-level={row.depth + 1}
            aria-expanded={row.open ?? undefined}
            aria-selected={row.kind === "span" && row.node === props.selected}
          >
            <span role="gridcell">
              {label}
              {row.kind === "group" ? `, ${row.group.nodes.length} times` : ""}
            </span>
            <span role="gridcell">{node.span.service}</span>
            <span role="gridcell">
              {duration(row.kind === "group" ? row.group.total_ns : node.span.duration_ns)}
            </span>
            <span role="gridcell">starts at {duration(node.span.start_ns)}</span>
            {(row.kind === "group" ? row.group.errors > 0 : node.span.status === 2) && (
              <span role="gridcell">error</span>
            )}
          </div>
        );
      })}
    </div>
  );
}

export interface ToolsProps {
  services: readonly string[];
  /** Something is folded. */
  closed: boolean;
  foldable: boolean;
  onExpand: () => void;
  onCollapse: () => void;
  repeat: boolean;
  onRepeat: (on: boolean) => void;
  /** Length of the stretch in sight, null: all of it. */
  shown: number | null;
  /** Scales the view; 0 shows everything. */
  onZoom: (factor: number) => void;
}

/** The row of buttons above the minimap. */
export function Tools(props: ToolsProps) {
  const { shown, onZoom } = props;
  return (
    <div class="wf-tools">
      <button type="button" class="button plain" onClick={props.onExpand} disabled={!props.closed}>
        Expand all
      </button>
      <button type="button" class="button plain" onClick={props.onCollapse} disabled={!props.foldable}>
        Collapse
      </button>
      <button
        type="button"
        class="button plain"
        aria-pressed={props.repeat}
        onClick={() => props.onRepeat(!props.repeat)}
        title="Show spans that repeat under one parent as one row"
      >
        Fold repeats
      </button>
      <Legend services={props.services} />
      <span class="spacer" />
      <span class="wf-zoom">
        {shown !== null && (
          <button
            type="button"
            class="button plain"
            onClick={() => onZoom(0)}
            title="Show the whole trace (0)"
          >
            {duration(shown)} shown
            <Icon name="close" size={12} />
          </button>
        )}
        <button
          type="button"
          class="button plain"
          aria-label="Zoom out"
          title="Zoom out (−)"
          disabled={shown === null}
          onClick={() => onZoom(2)}
        >
          −
        </button>
        <button
          type="button"
          class="button plain"
          aria-label="Zoom in"
          title="Zoom in (+, Ctrl + wheel)"
          onClick={() => onZoom(0.5)}
        >
          +
        </button>
      </span>
    </div>
  );
}

const SERVICES_SHOWN = 6;

function Legend({ services }: { services: readonly string[] }) {
  return (
    <div class="wf-legend" aria-hidden="true">
      {services.slice(0, SERVICES_SHOWN).map((name) => (
        <span key={name} title={name}>
          <i style={{ background: serviceColor(name) }} />
          <span class="ellipsis">{name}</span>
        </span>
      ))}
      {services.length > SERVICES_SHOWN && <span>+{services.length - SERVICES_SHOWN}</span>}
      <span class="wf-legend-line" title="What the trace waited for from start to end">
        <i />
        critical path
      </span>
    </div>
  );
}
