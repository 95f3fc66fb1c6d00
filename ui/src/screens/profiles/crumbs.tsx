/** Where one is in a flame graph: the calls above the one zoomed to, each a way back, and what can be done with it. */
import type { ComponentChildren } from "preact";
import { middle } from "../../format";
import { copyText } from "../../parts/copybutton";
import type { FlameTree } from "../../parts/flame.model";
import { frameText } from "../../parts/flame.tip";
import { Icon } from "../../parts/icon";

export interface CrumbsProps {
  tree: FlameTree;
  focus: number;
  onFocus: (node: number) => void;
  onSandwich: (fn: number) => void;
  onSource: (fn: number) => void;
  /** Stands at the right while nothing is zoomed. */
  children?: ComponentChildren;
}

const HEAD = 1;
const TAIL = 4;

export function Crumbs({ tree, focus, onFocus, onSandwich, onSource, children }: CrumbsProps) {
  const path = tree.path(focus);
  const cut = path.length > HEAD + TAIL + 1;
  const shown = cut ? [...path.slice(0, HEAD), -1, ...path.slice(-TAIL)] : path;
  const fn = tree.fn[focus] ?? -1;
  return (
    <div class="flame-crumbs">
      <nav aria-label="Zoomed to">
        <button type="button" disabled={focus === 0} onClick={() => onFocus(0)}>
          All
        </button>
        {shown.map((node) => (
          <span key={node}>
            <i aria-hidden="true">›</i>
            {node < 0 ? (
              <span
                class="muted"
                title={path
                  .slice(HEAD, -TAIL)
                  .map((n) => tree.name(n))
                  .join("\n")}
              >
                {path.length - HEAD - TAIL} more
              </span>
            ) : (
              <button
                type="button"
                disabled={node === focus}
                aria-current={node === focus ? "true" : undefined}
                title={tree.name(node)}
                onClick={() => onFocus(node)}
              >
                {middle(tree.name(node), node === focus ? 60 : 24)}
              </button>
            )}
          </span>
        ))}
      </nav>
      {focus > 0 ? (
        <span class="flame-actions">
          <button type="button" class="button" onClick={() => onSource(fn)} title="Lines of the function (o)">
            Lines
          </button>
          <button type="button" class="button" onClick={() => onSandwich(fn)} title="Callers and callees (s)">
            Callers and callees
          </button>
          <button
            type="button"
            class="icon-button"
            aria-label="Copy the frame"
            title="Copy the frame (c)"
            onClick={() => copyText(frameText(tree.functions[fn]!))}
          >
            <Icon name="copy" size={14} />
          </button>
        </span>
      ) : (
        <>
          <span class="muted small flame-hint">
            A click zooms; <kbd>↑</kbd> <kbd>↓</kbd> <kbd>Enter</kbd> by keyboard
          </span>
          {children}
        </>
      )}
    </div>
  );
}
