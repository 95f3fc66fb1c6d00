/**
 * A statement, laid out and coloured, its parameters marked, with a button that copies it.
 *
 * <Sql text={span.db_statement} system="postgresql" />
 */
import { useMemo } from "preact/hooks";
import { CopyButton } from "./copybutton";
import { formatSql, sqlText, type Token } from "./sql.text";
import "./sql.css";

export interface SqlProps {
  text: string;
  system?: string;
}

export function Sql({ text, system }: SqlProps) {
  const lines = useMemo(() => formatSql(text), [text]);
  return (
    <div class="sql">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: long lines scroll, also by keyboard */}
      <pre tabIndex={0} role="group" aria-label={system ? `Statement for ${system}` : "Statement"}>
        {lines.map((line, i) => (
          <span class="sql-line" key={i} style={{ "--indent": `${line.indent * 2}ch` }}>
            {line.tokens.map((token, k) => (
              <SqlToken key={k} token={token} first={k === 0} />
            ))}
          </span>
        ))}
      </pre>
      <CopyButton text={() => sqlText(lines)} label="Copy the statement" />
    </div>
  );
}

function SqlToken({ token, first }: { token: Token; first: boolean }) {
  const space = token.spaced && !first ? " " : "";
  if (token.kind === "name" || token.kind === "punctuation") return <>{space + token.text}</>;
  return (
    <>
      {space}
      <span class={`sql-${token.kind}`}>{token.text}</span>
    </>
  );
}
