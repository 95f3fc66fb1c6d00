/** What each line of a function or a file cost, beside its text where the process sent it. */
import { useMemo } from "preact/hooks";
import { type QueryParams, useApi } from "../../api";
import { plural, ratio } from "../../format";
import { CopyButton } from "../../parts/copybutton";
import { ErrorState } from "../../parts/errorstate";
import { PanelSection } from "../../parts/sidepanel";
import { Skeleton } from "../../parts/skeleton";
import { param, setParams } from "../../router";
import type { SourceLines } from "./data";
import { commonIndent, type LineRow, lineRows, otherVersions } from "./source";

export interface LinesProps {
  name: string;
  file: string;
  params: QueryParams;
  unit: (v: number) => string;
  live?: boolean;
  /** The application's own code: its text may be known. */
  own: boolean;
}

export function Lines({ name, file, params, unit, live, own }: LinesProps) {
  const whole = param("lines-of") === "file";
  const source = useApi<SourceLines>("/profiles/source", { ...params, file }, { live });
  const rows = useMemo(
    () => (source.data ? lineRows(source.data, whole ? "" : name) : []),
    [source.data, whole, name],
  );
  return (
    <PanelSection
      title={whole ? "Lines of the file" : "Lines"}
      count={source.data ? rows.filter((r) => r.sum).length : undefined}
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
        <LinesTable
          rows={rows}
          file={file}
          functions={whole}
          total={source.data.total}
          unit={unit}
          dim={source.stale}
        />
      )}
      {rows.length > 0 && source.data && (
        <Notes rows={rows} others={otherVersions(source.data.sources, whole ? "" : name)} own={own} />
      )}
    </PanelSection>
  );
}

interface TableProps {
  rows: readonly LineRow[];
  file: string;
  /** Names the function of each line. */
  functions: boolean;
  total: number;
  unit: (v: number) => string;
  dim: boolean;
}

function LinesTable({ rows, file, functions, total, unit, dim }: TableProps) {
  const most = rows.reduce((m, r) => Math.max(m, r.sum), 1);
  const text = rows.some((r) => r.text !== null);
  const indent = commonIndent(rows);
  const share = (v: number) => ratio(total ? v / total : 0);
  const named = functions && !text;
  return (
    <div class={`lines-scroll ${dim ? "dim" : ""}`}>
      <table class={`lines ${text ? "with-text" : ""}`}>
        <thead>
          <tr>
            <th scope="col">Line</th>
            <th scope="col" class="line-own">
              Own
            </th>
            <th scope="col">Total</th>
            <th scope="col">Share</th>
            {named && (
              <th scope="col" class="line-function">
                Function
              </th>
            )}
            <th scope="col" class="line-copy">
              <span class="sr">Copy</span>
            </th>
            {text && (
              <th scope="col" class="line-text">
                Source
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {rows.map((r) => (
            <tr key={r.line} class={`${r.gap ? "gap" : ""} ${r.sum ? "" : "cold"}`}>
              <th scope="row" class="mono">
                {r.line || "?"}
              </th>
              <td class="line-own" title={r.sum ? share(r.own) : undefined}>
                {r.own ? unit(r.own) : r.sum ? <span class="muted">0</span> : ""}
              </td>
              <td title={r.sum ? share(r.sum) : undefined}>{r.sum ? unit(r.sum) : ""}</td>
              <td class="line-heat">
                {r.sum > 0 && (
                  <>
                    <i style={{ width: `${(r.sum / most) * 100}%` }}>
                      <i style={{ width: `${Math.min(100, (r.own / r.sum) * 100)}%` }} />
                    </i>
                    <span>{share(r.sum)}</span>
                  </>
                )}
              </td>
              {named && (
                <td class="line-function ellipsis" title={r.functions.join("\n")}>
                  {r.functions[0]}
                  {r.functions.length > 1 ? ` +${r.functions.length - 1}` : ""}
                </td>
              )}
              <td class="line-copy">
                {r.sum > 0 && <CopyButton text={`${file}:${r.line}`} label={`Copy ${file}:${r.line}`} />}
              </td>
              {text && (
                <td class="line-text">
                  <code style={{ "--heat": `${Math.round((r.sum / most) * 100)}%` }}>
                    {r.text?.slice(indent) ?? ""}
                  </code>
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface NotesProps {
  rows: readonly LineRow[];
  /** Versions with another text. */
  others: readonly string[];
  own: boolean;
}

function Notes({ rows, others, own }: NotesProps) {
  const text = rows.some((r) => r.text !== null);
  const names = others.filter(Boolean);
  return (
    <p class="muted small lines-note">
      Samples name {plural(rows.filter((r) => r.sum).length, "line")} here; the dark part of a bar is the
      line’s own time, the light one what it called.
      {others.length > 0 &&
        ` The text is the newest; ${names.length ? `version ${names.join(", ")} had` : "there was"} another, whose samples stand by their line numbers.`}
      {!text &&
        own &&
        " The agent sends the text of the application’s hottest functions, when their files are as they were at its start."}
    </p>
  );
}
