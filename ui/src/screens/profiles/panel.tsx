/** One function: what it cost, and line by line where. Beside the graph, with an address of its own. */
import { useMemo } from "preact/hooks";
import { type QueryParams, useApi } from "../../api";
import { plural, ratio } from "../../format";
import { CopyButton } from "../../parts/copybutton";
import { ErrorState } from "../../parts/errorstate";
import { type FlameTree, kindNames } from "../../parts/flame.model";
import { functionTotals } from "../../parts/flame.table";
import { frameText, placeOf } from "../../parts/flame.tip";
import { LinkButton, PanelSection, SidePanel } from "../../parts/sidepanel";
import { Skeleton } from "../../parts/skeleton";
import { hrefHere, param, setParams } from "../../router";
import type { SourceLines } from "./data";
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
      {file && <Lines name={name} file={file} params={params} unit={unit} live={live} />}
    </SidePanel>
  );
}

interface LinesProps {
  name: string;
  file: string;
  params: QueryParams;
  unit: (v: number) => string;
  live?: boolean;
}

interface LineRow {
  line: number;
  own: number;
  sum: number;
  functions: string[];
}

/** Lines that several functions share (nested ones) are one row. */
export function lineRows(lines: SourceLines["lines"], name: string): LineRow[] {
  const rows = new Map<number, LineRow>();
  for (const l of lines) {
    if (name && l.function !== name) continue;
    const row = rows.get(l.line) ?? { line: l.line, own: 0, sum: 0, functions: [] };
    row.own += l.own;
    row.sum += l.sum;
    if (!row.functions.includes(l.function)) row.functions.push(l.function);
    rows.set(l.line, row);
  }
  return [...rows.values()].sort((a, b) => a.line - b.line);
}

function Lines({ name, file, params, unit, live }: LinesProps) {
  const whole = param("lines-of") === "file";
  const source = useApi<SourceLines>("/profiles/source", { ...params, file }, { live });
  const rows = useMemo(
    () => (source.data ? lineRows(source.data.lines, whole ? "" : name) : []),
    [source.data, whole, name],
  );
  const total = source.data?.total ?? 0;
  const most = rows.reduce((m, r) => Math.max(m, r.sum), 1);
  const share = (v: number) => ratio(total ? v / total : 0);
  return (
    <PanelSection
      title={whole ? "Lines of the file" : "Lines"}
      count={source.data ? rows.length : undefined}
      tools={
        <button
          type="button"
          class="link small"
          onClick={() => setParams({ "lines-of": whole ? null : "file" })}
        >
          {whole ? "Only this function" : "The whole file"}
        </button>
      }
    >
      {source.error && !source.data ? (
        <ErrorState small error={source.error} what="the lines" onRetry={source.reload} />
      ) : !source.data ? (
        <Skeleton lines={6} shown={source.slow} />
      ) : rows.length === 0 ? (
        <p class="muted">No line of it is known.</p>
      ) : (
        <table class={`lines ${source.stale ? "dim" : ""}`}>
          <thead>
            <tr>
              <th scope="col">Line</th>
              <th scope="col">Own</th>
              <th scope="col">Total</th>
              <th scope="col">Share</th>
              {whole && (
                <th scope="col" class="line-function">
                  Function
                </th>
              )}
              <th scope="col">
                <span class="sr">Copy</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((r) => (
              <tr key={r.line}>
                <th scope="row" class="mono">
                  {r.line || "?"}
                </th>
                <td title={share(r.own)}>{r.own ? unit(r.own) : <span class="muted">0</span>}</td>
                <td title={share(r.sum)}>{unit(r.sum)}</td>
                <td class="line-heat">
                  <i style={{ width: `${(r.sum / most) * 100}%` }}>
                    <i style={{ width: `${r.sum ? Math.min(100, (r.own / r.sum) * 100) : 0}%` }} />
                  </i>
                  <span>{share(r.sum)}</span>
                </td>
                {whole && (
                  <td class="line-function ellipsis" title={r.functions.join("\n")}>
                    {r.functions[0]}
                    {r.functions.length > 1 ? ` +${r.functions.length - 1}` : ""}
                  </td>
                )}
                <td>
                  <CopyButton text={`${file}:${r.line}`} label={`Copy ${file}:${r.line}`} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {rows.length > 0 && (
        <p class="muted small lines-note">
          Samples name {plural(rows.length, "line")} here; the dark part of a bar is the line’s own time, the
          light one what it called.
        </p>
      )}
    </PanelSection>
  );
}
