/** One query: its name, the field, what it answered or what is wrong with it. */
import { useMemo, useState } from "preact/hooks";
import { count, duration, full, plural } from "../../format";
import { Icon } from "../../parts/icon";
import { type Mark, PromEditor } from "../../parts/promeditor";
import { checkedName, NAME_MAX, type Query } from "./address";
import { missingName } from "./hint";
import { placeOf, plainMessage } from "./prometheus";
import { counted } from "./result";
import type { Run } from "./run";

export interface QueryRowProps {
  query: Query;
  run: Run | undefined;
  /** Names of the other queries. */
  others: readonly string[];
  /** All metrics' names; undefined until they are known. */
  metrics: readonly string[] | undefined;
  onRun: (expr: string) => void;
  onRename: (name: string) => void;
  onHide: () => void;
  /** Null when it is the only one. */
  onRemove: (() => void) | null;
  autofocus: boolean;
}

export function QueryRow(props: QueryRowProps) {
  const { query, run } = props;
  const [draft, setDraft] = useState(query.expr);
  const [known, setKnown] = useState(query.expr);
  // The address changed (back, a proposal): the field follows.
  if (known !== query.expr) {
    setKnown(query.expr);
    setDraft(query.expr);
  }
  const edited = draft !== query.expr;
  const marks = useMemo(() => marksOf(run, query.expr), [run?.error, run?.warnings, run?.infos, query.expr]);
  const label = `Query ${query.name}`;
  return (
    <div class={`query-row ${query.hidden ? "hidden-query" : ""}`} role="group" aria-label={label}>
      <div class="query-line">
        <NameField name={query.name} others={props.others} onRename={props.onRename} />
        <PromEditor
          value={draft}
          label={label}
          placeholder="PromQL, such as rate(http_requests_total[5m])"
          onInput={setDraft}
          onRun={() => props.onRun(draft)}
          marks={marks}
          autofocus={props.autofocus}
        />
        <button
          type="button"
          class={`button query-run ${edited ? "primary" : ""}`}
          onClick={() => props.onRun(draft)}
          title="Ask (Enter)"
        >
          {edited ? "Run" : <Icon name="refresh" size={12} />}
          {!edited && <span class="sr">Run query {query.name} again</span>}
        </button>
        <button
          type="button"
          class="icon-button"
          aria-pressed={query.hidden}
          aria-label={query.hidden ? `Show query ${query.name}` : `Hide query ${query.name}`}
          title={query.hidden ? "Show" : "Hide"}
          onClick={props.onHide}
        >
          <Icon name={query.hidden ? "eyeOff" : "eye"} size={14} />
        </button>
        <button
          type="button"
          class="icon-button"
          aria-label={`Remove query ${query.name}`}
          title="Remove"
          disabled={!props.onRemove}
          onClick={() => props.onRemove?.()}
        >
          <Icon name="close" size={14} />
        </button>
      </div>
      <Said query={query} run={run} metrics={props.metrics} onRun={props.onRun} />
    </div>
  );
}

function NameField(props: { name: string; others: readonly string[]; onRename: (name: string) => void }) {
  const [text, setText] = useState(props.name);
  const [known, setKnown] = useState(props.name);
  if (known !== props.name) {
    setKnown(props.name);
    setText(props.name);
  }
  const commit = () => {
    const name = checkedName(text, props.others);
    if (name && name !== props.name) props.onRename(name);
    else setText(props.name);
  };
  return (
    <input
      class="query-name"
      value={text}
      maxLength={NAME_MAX}
      style={{ width: `${Math.max(28, text.length * 8 + 14)}px` }}
      aria-label={`Name of query ${props.name}`}
      title="Rename"
      spellcheck={false}
      onInput={(e) => setText(e.currentTarget.value)}
      onFocus={(e) => e.currentTarget.select()}
      onBlur={commit}
      onKeyDown={(e) => {
        if (e.key === "Enter") e.currentTarget.blur();
        if (e.key === "Escape") {
          setText(props.name);
          e.currentTarget.value = props.name;
          e.currentTarget.blur();
        }
      }}
    />
  );
}

/** Places of a run's error, warnings and infos in the text. */
export function marksOf(run: Run | undefined, expr: string): Mark[] {
  if (!run || run.expr !== expr) return [];
  const list: [string, Mark["tone"]][] = [
    ...(run.error ? [[run.error.message, "bad"] as [string, Mark["tone"]]] : []),
    ...run.warnings.map((w): [string, Mark["tone"]] => [w, "warn"]),
    ...run.infos.map((w): [string, Mark["tone"]] => [w, "info"]),
  ];
  return list.flatMap(([message, tone]) => {
    const place = placeOf(message, expr);
    return place ? [{ ...place, tone, text: plainMessage(message) }] : [];
  });
}

const advice: Record<string, string> = {
  timeout: "A shorter range, a longer step or narrower matchers make it faster.",
  network: "Is `varan serve` running? The page asks again when data is due.",
  execution: "",
  too_many_rows: "Narrower matchers or an aggregation such as sum by (…) read less.",
};

function Said({ query, run, metrics, onRun }: Pick<QueryRowProps, "query" | "run" | "metrics" | "onRun">) {
  if (query.hidden) return <p class="query-said muted">Hidden</p>;
  if (!query.expr)
    return <p class="query-said muted">Enter asks; Ctrl-Space completes names, labels, functions.</p>;
  if (!run || (!run.data && !run.error)) return <p class="query-said muted">{run ? "Asking …" : ""}</p>;
  return (
    <div class={`query-said ${run.stale ? "dim" : ""}`} aria-live="polite">
      {run.error ? (
        <Message tone="bad" message={run.error.message} expr={query.expr} advice={advice[run.error.code]} />
      ) : (
        run.data && <Counted run={run} metrics={metrics} onRun={onRun} />
      )}
      {run.warnings.map((w) => (
        <Message key={w} tone="warn" message={w} expr={query.expr} />
      ))}
      {run.infos.map((w) => (
        <Message key={w} tone="info" message={w} expr={query.expr} />
      ))}
    </div>
  );
}

function Counted({ run, metrics, onRun }: { run: Run } & Pick<QueryRowProps, "metrics" | "onRun">) {
  const { series, points } = counted(run.data!);
  const read = run.data!.stats?.samples?.totalQueryableSamples;
  const took = run.ms !== undefined && ` · ${duration(run.ms * 1e6)}`;
  const missing = useMemo(
    () => (series || !metrics?.length ? null : missingName(run.expr, metrics)),
    [series, metrics, run.expr],
  );
  if (missing) {
    const { name, instead } = missing;
    return (
      <p>
        No metric is called <code>{name}</code>.
        {instead && (
          <>
            {" Ask "}
            <button type="button" class="link" onClick={() => onRun(run.expr.replaceAll(name, instead))}>
              {instead}
            </button>
            {" instead?"}
          </>
        )}
      </p>
    );
  }
  return (
    <p class="muted">
      {series ? (
        <>
          {plural(series, "series", "series")} · <span title={full(points)}>{plural(points, "sample")}</span>
          {read !== undefined && ` of ${count(read)} read`}
        </>
      ) : (
        "No data: nothing matches in this range"
      )}
      {took}
    </p>
  );
}

function Message(props: { tone: Mark["tone"]; message: string; expr: string; advice?: string }) {
  const place = placeOf(props.message, props.expr);
  const word = { bad: "Error", warn: "Warning", info: "Note" }[props.tone];
  return (
    <div class={`query-message said-${props.tone}`} role={props.tone === "bad" ? "alert" : undefined}>
      <b>{word}</b> <span>{plainMessage(props.message)}</span>
      {place && (
        <pre class="filter-excerpt">
          {props.expr.slice(0, place.at)}
          <mark class={`mark-${props.tone}`}>
            {props.expr.slice(place.at, place.at + place.length) || " "}
          </mark>
          {props.expr.slice(place.at + place.length)}
        </pre>
      )}
      {props.advice && <span class="muted"> {props.advice}</span>}
    </div>
  );
}
