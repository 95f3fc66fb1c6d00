/**
 * Details beside a list, without losing the list. Resizable by its edge (mouse or arrow keys), closed by Escape;
 * on narrow screens it covers the screen. The caller keeps in the address what it shows.
 *
 * <div class="split"><div class="split-main">…</div>{span && <SidePanel name="span" label="Span" title={…} onClose={…}>…</SidePanel>}</div>
 */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { useKeys } from "../keys";
import { copyText } from "./copybutton";
import { Icon } from "./icon";
import "./sidepanel.css";

export interface SidePanelProps {
  /** The width is kept under this name. */
  name: string;
  label: string;
  title: ComponentChildren;
  /** Its width until somebody drags it, in px. */
  start?: number;
  /** Buttons left of the close button. */
  tools?: ComponentChildren;
  onClose: () => void;
  children: ComponentChildren;
}

const LEAST = 320;
const START = 480;

function storedWidth(name: string, start: number): number {
  try {
    return Number(localStorage.getItem(`varan.panel.${name}`)) || start;
  } catch {
    return start;
  }
}

/** A width that leaves room for the list. */
export function panelWidth(wanted: number, window: number): number {
  return Math.round(Math.max(LEAST, Math.min(wanted, window * 0.6)));
}

export function SidePanel({ name, label, title, start = START, tools, onClose, children }: SidePanelProps) {
  const [wanted, setWanted] = useState(() => storedWidth(name, start));
  const width = panelWidth(wanted, typeof window === "undefined" ? 1280 : window.innerWidth);
  useKeys([{ key: "Escape", help: "Close the panel", run: onClose }]);

  const keep = (value: number) => {
    setWanted(value);
    try {
      localStorage.setItem(`varan.panel.${name}`, String(value));
    } catch {
      // The width then lasts as long as the page.
    }
  };
  const onPointerDown = (event: PointerEvent) => {
    event.preventDefault();
    const handle = event.currentTarget as HTMLElement;
    const start = event.clientX;
    handle.setPointerCapture(event.pointerId);
    const at = (e: PointerEvent) => panelWidth(width + start - e.clientX, window.innerWidth);
    const move = (e: PointerEvent) => setWanted(at(e));
    const up = (e: PointerEvent) => {
      handle.removeEventListener("pointermove", move);
      keep(at(e));
    };
    handle.addEventListener("pointermove", move);
    handle.addEventListener("pointerup", up, { once: true });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const by = event.key === "ArrowLeft" ? 24 : event.key === "ArrowRight" ? -24 : 0;
    if (!by) return;
    event.preventDefault();
    keep(panelWidth(width + by, window.innerWidth));
  };

  return (
    <aside class="sidepanel" aria-label={label} style={{ "--panel-width": `${width}px` }}>
      <div
        class="sidepanel-edge"
        role="separator"
        aria-orientation="vertical"
        aria-label="Width of the panel"
        aria-valuenow={width}
        tabIndex={0}
        onPointerDown={onPointerDown}
        onKeyDown={onKeyDown}
        onDblClick={() => keep(START)}
      />
      <header class="sidepanel-head">
        <div class="sidepanel-title">{title}</div>
        {tools}
        <button type="button" class="icon-button" onClick={onClose} aria-label="Close" title="Close (Esc)">
          <Icon name="close" size={14} />
        </button>
      </header>
      <div class="sidepanel-body">{children}</div>
    </aside>
  );
}

/** Copies the address of what the panel shows. */
export function LinkButton({ href, label }: { href: () => string; label: string }) {
  return (
    <button
      type="button"
      class="icon-button"
      title={label}
      aria-label={label}
      onClick={() => copyText(window.location.origin + href(), "Link copied")}
    >
      <Icon name="link" size={14} />
    </button>
  );
}

/** A titled part of a panel. */
export function PanelSection(props: {
  title: string;
  count?: number;
  tools?: ComponentChildren;
  /** Folded at first. */
  folded?: boolean;
  children: ComponentChildren;
}) {
  const head = (
    <>
      <h2>{props.title}</h2>
      {props.count !== undefined && <span class="tab-count">{props.count}</span>}
    </>
  );
  if (props.folded !== undefined) {
    return (
      <details class="panel-section" open={!props.folded}>
        <summary>
          <Icon name="right" size={12} />
          {head}
        </summary>
        {props.children}
      </details>
    );
  }
  return (
    <section class="panel-section">
      <header>
        {head}
        <span class="spacer" />
        {props.tools}
      </header>
      {props.children}
    </section>
  );
}
