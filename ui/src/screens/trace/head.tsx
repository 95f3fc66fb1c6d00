/** The head of a trace: what it was, how long it took, where its time went, what stands out. */
import type { Trace } from "../../api-types";
import { ago, duration, full, middle, plural, ratio, timestamp, zoneLabel } from "../../format";
import { CopyButton } from "../../parts/copybutton";
import { Icon } from "../../parts/icon";
import { ServiceName, serviceColor } from "../../parts/servicename";
import { shortSql } from "../../parts/sql.text";
import type { Tree } from "../../parts/waterfall.model";
import { href, segment } from "../../router";

const words: Record<string, string> = {
  database: "database",
  network: "waiting for the network",
  messaging: "messaging",
  own: "own code",
};

/** "70 % of it was database work of orders": the largest part, when there is one worth a sentence. `whole`: of what. */
export function timeSentence(trace: Trace, whole = "it"): string {
  const top = [...trace.time_by].sort((a, b) => b.share - a.share)[0];
  if (!top || top.share < 0.3) return "";
  const what: Record<string, string> = {
    database: `was spent in the database, called by ${top.service}`,
    network: `was spent waiting for the network, in ${top.service}`,
    messaging: `was spent on messaging, in ${top.service}`,
    own: `was own code of ${top.service}`,
  };
  return `${ratio(top.share)} of ${whole} ${what[top.category] ?? `was ${top.category} in ${top.service}`}`;
}

export interface HeadProps {
  trace: Trace;
  tree: Tree;
  finding: number;
  onFinding: (index: number) => void;
  /** Marks the spans of a service. */
  onService: (name: string) => void;
  onReload: () => void;
}

export function TraceHead({ trace, tree, finding, onFinding, onService, onReload }: HeadProps) {
  const root = tree.roots.find((n) => !n.orphan) ?? tree.roots[0];
  const errors = tree.roots.reduce((n, r) => n + r.errors, 0);
  // What was asked for may have been answered, or given up, before all work of the trace ended.
  const took = root && !root.orphan ? root.span.duration_ns : trace.duration_ns;
  const goesOn = trace.duration_ns > took * 1.05;
  // The shares are of what was waited for, not of the work that went on behind it.
  const sentence = timeSentence(trace, goesOn ? `the ${duration(took)}` : "it");
  const start = timestamp(trace.start_ns, 3);
  return (
    <header class="trace-head">
      <div class="trace-title">
        <h1>
          <span class="trace-name" title={root?.span.name}>
            {middle(root?.span.name ?? "Trace", 90)}
          </span>{" "}
          <span class="trace-took">
            {root?.span.status === 2 ? "failed after" : "took"} {duration(took)}
            {goesOn && `, work went on until ${duration(trace.duration_ns)}`}
          </span>
          {sentence && <span class="trace-why">; {sentence}</span>}
        </h1>
        <CopyButton text={trace.trace_id} label="Copy the trace id" />
      </div>
      <p class="trace-facts">
        {root && (
          <ServiceName
            name={root.span.service}
            href={href(`/services/${segment(root.span.service)}`)}
            max={32}
          />
        )}
        <span title={`${start} ${zoneLabel()}`}>
          {start} <span class="muted">{zoneLabel()}</span>
          {/ago|now/.test(ago(trace.start_ns)) && <span class="muted"> · {ago(trace.start_ns)}</span>}
        </span>
        <span>
          {full(trace.spans.length)} {trace.spans.length === 1 ? "span" : "spans"}
        </span>
        <span>{plural(trace.services.length, "service")}</span>
        <span class={errors ? "bad" : "muted"}>{errors ? plural(errors, "error") : "no errors"}</span>
        {root && (
          <a
            class="link"
            href={href("/traces", {
              filter: `service=${JSON.stringify(root.span.service)} AND name=${JSON.stringify(root.span.name)}`,
            })}
          >
            others of this endpoint
          </a>
        )}
      </p>
      <TimeBar trace={trace} onService={onService} />
      {trace.findings.length > 0 && (
        <ul class="trace-findings" aria-label="Findings">
          {trace.findings.map((f, i) => (
            <li key={i}>
              <button
                type="button"
                class="finding"
                aria-pressed={i === finding}
                onClick={() => onFinding(i === finding ? -1 : i)}
              >
                <Icon name="findings" size={14} />
                <span title={f.text}>{shortSql(f.text)}</span>
                <span class="finding-share">
                  {trace.duration_ns > 0 ? ratio(Math.min(1, f.ns / trace.duration_ns)) : ""}
                </span>
              </button>
            </li>
          ))}
        </ul>
      )}
      <Notices trace={trace} tree={tree} onReload={onReload} />
    </header>
  );
}

function Notices({ trace, tree, onReload }: { trace: Trace; tree: Tree; onReload: () => void }) {
  const notes: string[] = [];
  if (trace.truncated) {
    notes.push(
      `The trace has more spans than the ${full(trace.spans.length)} shown; sums and shares count only these.`,
    );
  }
  if (trace.skewed)
    notes.push(
      "Clocks of the services disagree: some spans begin before their parents. They are drawn as sent.",
    );
  if (tree.orphans) {
    notes.push(
      `${plural(tree.orphans, "span")} ${tree.orphans === 1 ? "names a parent" : "name parents"} that ${tree.orphans === 1 ? "is" : "are"} not here: not sent, sampled away, or still on the way.`,
    );
  }
  return (
    <>
      {notes.map((text) => (
        <p class="trace-note" key={text}>
          {text}
        </p>
      ))}
      {tree.orphans > 0 && (
        <button type="button" class="link small" onClick={onReload}>
          Look again
        </button>
      )}
    </>
  );
}

/** Parts below this are summed up: a sliver cannot be read or pressed. */
const SLIVER = 0.015;

function TimeBar({ trace, onService }: { trace: Trace; onService: (name: string) => void }) {
  const sorted = [...trace.time_by].filter((t) => t.share > 0).sort((a, b) => b.share - a.share);
  const parts = sorted.filter((t, i) => t.share >= SLIVER && i < 8);
  const rest = sorted.slice(parts.length);
  if (!parts.length) return null;
  const restShare = rest.reduce((n, t) => n + t.share, 0);
  return (
    <div class="timeby">
      <div class="timeby-bar" aria-hidden="true">
        {parts.map((t) => (
          <i
            key={t.category + t.service}
            class={`by-${t.category}`}
            style={{ flexGrow: t.share, "--color": serviceColor(t.service) }}
            title={`${words[t.category]} (${t.service}): ${duration(t.ns)}, ${ratio(t.share)}`}
          />
        ))}
        {restShare > 0 && (
          <i class="by-rest" style={{ flexGrow: restShare }} title={`everything else: ${ratio(restShare)}`} />
        )}
      </div>
      <ul aria-label="Time went to">
        {parts.map((t) => (
          <li key={t.category + t.service}>
            <button
              type="button"
              onClick={() => onService(t.service)}
              title={`${duration(t.ns)}; click to point out the spans of ${t.service}`}
            >
              <i
                class={`by-${t.category}`}
                style={{ "--color": serviceColor(t.service) }}
                aria-hidden="true"
              />
              <b>{ratio(t.share)}</b> {words[t.category]} <span class="muted">({t.service})</span>
            </button>
          </li>
        ))}
        {restShare >= 0.005 && <li class="muted">{ratio(restShare)} everything else</li>}
      </ul>
    </div>
  );
}
