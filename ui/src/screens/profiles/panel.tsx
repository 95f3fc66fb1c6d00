/** One function: what it cost, and line by line where. Beside the graph, with an address of its own. */
import { useMemo } from "preact/hooks";
import type { QueryParams } from "../../api";
import { ratio } from "../../format";
import { CopyButton } from "../../parts/copybutton";
import { type FlameTree, kindNames } from "../../parts/flame.model";
import { functionTotals } from "../../parts/flame.table";
import { frameText, placeOf } from "../../parts/flame.tip";
import { LinkButton, SidePanel } from "../../parts/sidepanel";
import { hrefHere, param, setParams } from "../../router";
import { Lines } from "./lines";
import { chosen, openSandwich } from "./view";

export interface FunctionPanelProps {
  /** By functions or by lines, without folding. */
  tree: FlameTree;
  /** The selection, with its type and without what it is compared with. */
  params: QueryParams;
  unit: (v: number) => string;
  live?: boolean;
}

const close = () => setParams({ panel: null });

export function FunctionPanel({ tree, params, unit, live }: FunctionPanelProps) {
  const name = param("fn");
  const file = param("file");
  const fn = chosen(tree);
  const f = tree.functions[fn] ?? { name, file, line: 0, kind: "app" as const };
  const figures = useMemo(() => functionTotals(tree).find((r) => r.fn === fn), [tree, fn]);
  const share = (v: number) => ratio(tree.total ? v / tree.total : 0);
  return (
    <SidePanel
      name="profile"
      start={620}
      label={`Function ${name}`}
      title={name}
      onClose={close}
      tools={<LinkButton href={() => hrefHere({})} label="Copy a link to this function" />}
    >
      <div class="fn-summary">
        <p class="fn-place">
          <i class={`kind ${f.kind}`} />
          <span class="muted">{kindNames[f.kind]}</span>
          {file && (
            <>
              <code class="ellipsis" title={placeOf(f)}>
                {placeOf(f)}
              </code>
              <CopyButton text={placeOf(f)} label="Copy path and line" />
            </>
          )}
        </p>
        {figures ? (
          <dl class="fn-figures">
            <div>
              <dt>own</dt>
              <dd>
                {unit(figures.own)} <span class="muted">{share(figures.own)}</span>
              </dd>
            </div>
            <div>
              <dt>total</dt>
              <dd>
                {unit(figures.sum)} <span class="muted">{share(figures.sum)}</span>
              </dd>
            </div>
          </dl>
        ) : (
          <p class="muted">No sample of this selection has it.</p>
        )}
        {fn >= 0 && (
          <p class="fn-actions">
            <button type="button" class="button" onClick={() => openSandwich(tree, fn)}>
              Callers and callees
            </button>
            <CopyButton text={frameText(f)} label="Copy the frame">
              Copy
            </CopyButton>
          </p>
        )}
      </div>
      {file && (
        <Lines name={name} file={file} params={params} unit={unit} live={live} own={f.kind === "app"} />
      )}
    </SidePanel>
  );
}
