/**
 * A table for ten rows or a hundred thousand: only rows in sight exist. Sticky head, sorting, resizable
 * columns (kept per `name`), j/k/Enter/Home/End, copying as CSV or JSON. Live updates keep scroll and selection:
 * rows are known by `rowKey`.
 *
 * <Table name="traces" label="Traces" rows={list} rowKey={(t) => t.trace_id} columns={[
 *     { key: "start", title: "Start", width: 90, value: (t) => t.start_ns, render: (t) => ago(t.start_ns) }, …]}
 *   href={(t) => href(`/traces/${t.trace_id}`)} fill onEnd={loadMore} />
 *
 * Two shapes: `fill` takes the height of its parent (a flex column) and scrolls inside; otherwise the table is
 * as high as its rows and the screen scrolls. Rows are `rowHeight` px (default 32).
 */
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { useKeys } from "../keys";
import { navigate } from "../router";
import { copyText } from "./copybutton";
import { Icon } from "./icon";
import "./table.css";

export interface Column<T> {
  key: string;
  title: string;
  /** Explains the column, on hover of the head. */
  help?: string;
  /** Pixels; default 110. The first column without a width takes what is left. */
  width?: number;
  /** Pixels on a phone (below 720 px). */
  narrow?: number;
  /** Shares what is left with the other growing columns; `width` is then the least. */
  grow?: boolean;
  align?: "left" | "right";
  /** Sorted by, and copied. Without it the column cannot be sorted. */
  value?: (row: T) => string | number | null | undefined;
  /** What is shown; default the value. */
  render?: (row: T) => ComponentChildren;
  /** Left out on screens narrower than this many px. */
  from?: number;
  /** First click sorts descending (figures). Default: true for right-aligned columns. */
  descFirst?: boolean;
}

export interface Sort {
  key: string;
  desc: boolean;
}

export interface TableProps<T> {
  /** Says what the table lists, for screen readers. */
  label: string;
  /** Column widths are kept under this name. */
  name: string;
  rows: readonly T[];
  columns: readonly Column<T>[];
  rowKey: (row: T) => string;
  /** Address a row opens; the row is a link (middle click works). */
  href?: (row: T) => string | null;
  /** Called on click or Enter instead of following `href`. */
  onOpen?: (row: T) => void;
  /** Key of the row shown elsewhere (a side panel); marked. */
  selected?: string | null;
  /** How rows are sorted at first. Without it: as they come. */
  initialSort?: Sort;
  /** Sorting done by the caller (the server): given both, the table does not sort. */
  sort?: Sort | null;
  onSort?: (sort: Sort) => void;
  rowHeight?: number;
  fill?: boolean;
  /** Data of former parameters: dimmed. */
  dim?: boolean;
  /** Called when the end comes into sight, for the next page. */
  onEnd?: () => void;
  /** Shown instead of rows when there are none. */
  empty?: ComponentChildren;
  /** Beneath the last row: "loading more", "that is all". */
  foot?: ComponentChildren;
  rowClass?: (row: T) => string;
  /** j/k/Enter work on this table while no field has the focus. Default true; one table per screen. */
  keys?: boolean;
}

type Widths = Record<string, number>;
const widthsOf = (name: string): Widths => {
  try {
    return JSON.parse(localStorage.getItem(`varan.columns.${name}`) ?? "{}") as Widths;
  } catch {
    return {};
  }
};

/** Sorts a copy by a column's value; empty values go last in both directions. */
export function sortRows<T>(rows: readonly T[], column: Column<T> | undefined, desc: boolean): readonly T[] {
  const value = column?.value;
  if (!value) return rows;
  const empty = (v: unknown) => v === null || v === undefined || v === "";
  return rows
    .map((row, i) => ({ row, i, v: value(row) }))
    .sort((a, b) => {
      if (empty(a.v) || empty(b.v)) return empty(a.v) === empty(b.v) ? a.i - b.i : empty(a.v) ? 1 : -1;
      const order =
        typeof a.v === "number" && typeof b.v === "number"
          ? a.v - b.v
          : String(a.v).localeCompare(String(b.v), "en", { numeric: true });
      return (desc ? -order : order) || a.i - b.i;
    })
    .map((x) => x.row);
}

/** The rows as CSV (RFC 4180), by the columns' values. */
export function toCsv<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  const cell = (v: unknown) => {
    const text = v === null || v === undefined ? "" : String(v);
    return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  const used = columns.filter((c) => c.value);
  return [
    used.map((c) => cell(c.title || c.key)),
    ...rows.map((row) => used.map((c) => cell(c.value?.(row)))),
  ]
    .map((line) => `${line.join(",")}\r\n`)
    .join("");
}

const overscan = 8;

export function Table<T>(props: TableProps<T>) {
  const { rows, columns, rowKey, rowHeight = 32, fill } = props;
  const [ownSort, setOwnSort] = useState<Sort | null>(props.initialSort ?? null);
  const sort = props.onSort ? (props.sort ?? null) : ownSort;
  const [widths, setWidths] = useState<Widths>(() => widthsOf(props.name));
  const [cursor, setCursor] = useState<string | null>(null);
  const [view, setView] = useState({ first: 0, last: 60, width: 9999 });
  const root = useRef<HTMLDivElement>(null);
  const body = useRef<HTMLDivElement>(null);

  const shown = useMemo(() => columns.filter((c) => !c.from || view.width >= c.from), [columns, view.width]);
  const sorted = useMemo(
    () =>
      props.onSort || !sort
        ? rows
        : sortRows(
            rows,
            columns.find((c) => c.key === sort.key),
            sort.desc,
          ),
    [rows, columns, sort?.key, sort?.desc, props.onSort !== undefined],
  );

  // The scroller: the table itself, or the nearest scrolling ancestor.
  useLayoutEffect(() => {
    const element = root.current;
    const rowsElement = body.current;
    if (!element || !rowsElement) return;
    let scroller: HTMLElement | null = element;
    if (!fill) {
      scroller = element.parentElement;
      while (scroller && !/(auto|scroll)/.test(getComputedStyle(scroller).overflowY))
        scroller = scroller.parentElement;
    }
    const target = scroller ?? document.documentElement;
    let frame = 0;
    const measure = () => {
      frame = 0;
      const top = target.getBoundingClientRect().top - rowsElement.getBoundingClientRect().top;
      const first = Math.max(0, Math.floor(top / rowHeight) - overscan);
      const last = Math.ceil((top + target.clientHeight) / rowHeight) + overscan;
      const width = window.innerWidth;
      setView((v) =>
        v.first === first && v.last === last && v.width === width ? v : { first, last, width },
      );
    };
    const onScroll = () => {
      if (!frame) frame = requestAnimationFrame(measure);
    };
    measure();
    target.addEventListener("scroll", onScroll, { passive: true });
    const observer = new ResizeObserver(onScroll);
    observer.observe(target);
    return () => {
      cancelAnimationFrame(frame);
      target.removeEventListener("scroll", onScroll);
      observer.disconnect();
    };
  }, [fill, rowHeight, rows.length === 0]);

  const onEnd = useRef(props.onEnd);
  onEnd.current = props.onEnd;
  useEffect(() => {
    if (rows.length > 0 && view.last >= rows.length) onEnd.current?.();
  }, [view.last >= rows.length, rows.length]);

  const open = (row: T) => {
    setCursor(rowKey(row));
    if (props.onOpen) props.onOpen(row);
    else {
      const to = props.href?.(row);
      if (to) navigate(to);
    }
  };

  const at = () => sorted.findIndex((r) => rowKey(r) === (cursor ?? props.selected));
  const moveTo = (index: number) => {
    if (!sorted.length) return;
    const i = Math.max(0, Math.min(sorted.length - 1, index));
    setCursor(rowKey(sorted[i]!));
    const element = root.current;
    const rowsElement = body.current;
    if (!element || !rowsElement) return;
    const head = 32;
    if (fill) {
      const y = rowsElement.offsetTop + i * rowHeight;
      if (y < element.scrollTop + head) element.scrollTop = y - head;
      else if (y + rowHeight > element.scrollTop + element.clientHeight)
        element.scrollTop = y + rowHeight - element.clientHeight;
    } else
      requestAnimationFrame(() => rowsElement.querySelector(".cursor")?.scrollIntoView({ block: "nearest" }));
  };
  const active = props.keys !== false;
  const openable = props.onOpen || props.href;
  const step = (by: number) => () => (active && sorted.length ? moveTo(at() + by) : false);
  useKeys([
    { key: "j", help: active ? "Next row" : "", run: step(1) },
    {
      key: "k",
      help: active ? "Row before" : "",
      run: () => (active && sorted.length ? moveTo(Math.max(0, at() - 1)) : false),
    },
    {
      key: "Enter",
      help: active && openable ? "Open the row" : "",
      run: (event) => {
        const row = sorted[at()];
        const target = event.target as HTMLElement;
        if (!active || cursor === null || !row || !openable || target.closest("a,button,[role=tab]"))
          return false;
        open(row);
      },
    },
  ]);

  const sortBy = (c: Column<T>) => {
    if (!c.value) return;
    const descFirst = c.descFirst ?? c.align === "right";
    const next = { key: c.key, desc: sort?.key === c.key ? !sort.desc : descFirst };
    if (props.onSort) props.onSort(next);
    else setOwnSort(next);
  };

  const resize = (event: PointerEvent, c: Column<T>) => {
    event.preventDefault();
    event.stopPropagation();
    const handle = event.currentTarget as HTMLElement;
    const cell = handle.parentElement!;
    const start = event.clientX;
    const width = cell.getBoundingClientRect().width;
    handle.setPointerCapture(event.pointerId);
    const move = (e: PointerEvent) =>
      setWidths((w) => ({ ...w, [c.key]: Math.max(40, Math.round(width + e.clientX - start)) }));
    const up = () => {
      handle.removeEventListener("pointermove", move);
      setWidths((w) => {
        try {
          localStorage.setItem(`varan.columns.${props.name}`, JSON.stringify(w));
        } catch {
          // Widths then last as long as the page.
        }
        return w;
      });
    };
    handle.addEventListener("pointermove", move);
    handle.addEventListener("pointerup", up, { once: true });
    handle.addEventListener("pointercancel", up, { once: true });
  };
  const unsize = (c: Column<T>) =>
    setWidths((w) => {
      const { [c.key]: _, ...rest } = w;
      try {
        localStorage.setItem(`varan.columns.${props.name}`, JSON.stringify(rest));
      } catch {
        // As above.
      }
      return rest;
    });

  const phone = view.width < 720;
  const widthOf = (c: Column<T>) => (phone ? c.narrow : undefined) ?? c.width;
  const anyGrow = shown.some((c) => c.grow || !c.width);
  const grid = shown
    .map((c, i) => {
      const set = widths[c.key];
      if (set) return `${set}px`;
      if (c.grow || !c.width || (!anyGrow && i === 0)) return `minmax(${widthOf(c) ?? 120}px, 1fr)`;
      return `${widthOf(c)}px`;
    })
    .join(" ");
  const least =
    shown.reduce((sum, c) => sum + (widths[c.key] ?? widthOf(c) ?? 120), 0) + (shown.length - 1) * 16 + 24;

  const first = Math.min(view.first, Math.max(0, sorted.length - 1));
  const part = sorted.slice(first, view.last);

  return (
    <div
      class={`table ${fill ? "fill" : ""}`}
      role="grid"
      aria-label={props.label}
      aria-rowcount={sorted.length + 1}
      aria-colcount={shown.length}
      aria-busy={props.dim}
      ref={root}
    >
      <div class="table-inner" role="presentation" style={{ "--columns": grid, minWidth: `${least}px` }}>
        <div class="table-head" role="row" aria-rowindex={1}>
          {shown.map((c) => {
            const dir = sort?.key === c.key ? (sort.desc ? "descending" : "ascending") : undefined;
            return (
              <div
                class={`th ${c.align === "right" ? "num" : ""}`}
                role="columnheader"
                aria-sort={c.value ? (dir ?? "none") : undefined}
                key={c.key}
                title={c.help}
              >
                {c.value && (props.onSort || !props.sort) ? (
                  <button type="button" onClick={() => sortBy(c)} class={dir ? "sorted" : ""}>
                    <span class="ellipsis">{c.title}</span>
                    {dir && <Icon name={dir === "descending" ? "down" : "up"} size={10} />}
                  </button>
                ) : (
                  <span class="ellipsis">{c.title}</span>
                )}
                <span
                  class="resize"
                  aria-hidden="true"
                  onPointerDown={(e) => resize(e, c)}
                  onDblClick={() => unsize(c)}
                />
              </div>
            );
          })}
          <CopyMenu rows={sorted} columns={columns} />
        </div>
        <div
          class={`table-body ${props.dim ? "dim" : ""}`}
          role="rowgroup"
          ref={body}
          style={{ height: `${sorted.length * rowHeight}px` }}
        >
          <div
            class="table-window"
            role="presentation"
            style={{ transform: `translateY(${first * rowHeight}px)` }}
          >
            {part.map((row, i) => {
              const key = rowKey(row);
              const to = props.href?.(row) ?? undefined;
              return (
                <div
                  key={key}
                  role="row"
                  aria-rowindex={first + i + 2}
                  aria-selected={key === props.selected}
                  class={`tr ${openable ? "open" : ""} ${key === props.selected ? "selected" : ""} ${key === cursor ? "cursor" : ""} ${props.rowClass?.(row) ?? ""}`}
                  style={{ height: `${rowHeight}px` }}
                  onClick={(event) => {
                    if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.shiftKey) return;
                    const inside = (event.target as HTMLElement).closest("a,button");
                    if (inside && !inside.classList.contains("row-link")) return;
                    if (window.getSelection()?.toString()) return;
                    if (!openable) return;
                    event.preventDefault();
                    open(row);
                  }}
                >
                  {shown.map((c, ci) => (
                    <div class={`td ${c.align === "right" ? "num" : ""}`} role="gridcell" key={c.key}>
                      {ci === 0 && to ? (
                        <a class="row-link" href={to}>
                          {c.render ? c.render(row) : (c.value?.(row) ?? "")}
                        </a>
                      ) : c.render ? (
                        c.render(row)
                      ) : (
                        <span class="ellipsis">{c.value?.(row) ?? ""}</span>
                      )}
                    </div>
                  ))}
                </div>
              );
            })}
          </div>
        </div>
        {sorted.length === 0 && props.empty}
        {props.foot && <div class="table-foot">{props.foot}</div>}
      </div>
    </div>
  );
}

function CopyMenu<T>({ rows, columns }: { rows: readonly T[]; columns: readonly Column<T>[] }) {
  if (!rows.length) return null;
  const json = () => {
    const used = columns.filter((c) => c.value);
    return JSON.stringify(
      rows.map((row) => Object.fromEntries(used.map((c) => [c.key, c.value?.(row) ?? null]))),
      null,
      2,
    );
  };
  return (
    <span class="table-copy">
      <button
        type="button"
        onClick={() => copyText(toCsv(rows, columns), `${rows.length} rows copied as CSV`)}
      >
        CSV
      </button>
      <button type="button" onClick={() => copyText(json(), `${rows.length} rows copied as JSON`)}>
        JSON
      </button>
    </span>
  );
}
