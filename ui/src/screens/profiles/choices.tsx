/** What is looked at, what it is compared with, and the way to take it elsewhere. */
import { apiUrl, type QueryParams } from "../../api";
import { timestamp } from "../../format";
import { Icon } from "../../parts/icon";
import { param, setParams } from "../../router";
import { type Choice, Choose } from "./choose";
import type { ProcessSum, ProfileSummary } from "./data";
import { type Base, everything, NONE, narrowing, narrowingWords, processName } from "./selection";

export const ALL = "(all)";

export interface SelectionProps {
  summary: ProfileSummary;
  service: string;
  base: Base | null;
  onPick: () => void;
  /** With the type: what a download is of. */
  asked: QueryParams;
}

const valuesOf = { version: "versions", endpoint: "endpoints", thread: "threads" } as const;

export function Selection({ summary, service, base, onPick, asked }: SelectionProps) {
  const services: Choice[] = [
    ...summary.services.map((s) => ({ value: s.service, label: s.service || "No name" })),
    ...(summary.services.length > 1 ? [{ value: ALL, label: "All services" }] : []),
  ];
  return (
    <div class="profile-selection">
      <Choose
        label="Service"
        value={service}
        choices={services}
        onChange={(v) =>
          setParams(
            { service: v, ...everything, call: null, fn: null, file: null, panel: null },
            { push: true },
          )
        }
      />
      {narrowing.map((key) => {
        const words = narrowingWords[key];
        const values = summary[valuesOf[key]];
        const whole = values.reduce((a, b) => a + b.sum, 0);
        if (!values.some((v) => v.value) && !param(key)) return null;
        return (
          <Choose
            key={key}
            label={words.title}
            value={param(key)}
            choices={[
              { value: "", label: words.all },
              ...values.map((v) => ({
                value: v.value || NONE,
                label: v.value || words.none,
                share: whole ? v.sum / whole : 0,
              })),
            ]}
            onChange={(v) => setParams({ [key]: v, call: null }, { push: true })}
          />
        );
      })}
      <Processes processes={summary.processes} />
      <Choose
        label="Compare"
        value={param("base")}
        choices={[
          { value: "", label: "with nothing" },
          { value: "previous", label: "with the time before" },
          { value: "day", label: "with yesterday" },
          { value: "week", label: "with a week before" },
          { value: "pick", label: "with a time on the chart …" },
          ...(summary.versions.length > 1
            ? summary.versions.map((v) => ({
                value: `version:${v.value}`,
                label: `with version ${v.value || "without name"}`,
              }))
            : []),
          ...(base && /^\d/.test(param("base"))
            ? [{ value: param("base"), label: `with ${base.words}` }]
            : []),
        ]}
        onChange={(v) => (v === "pick" ? onPick() : setParams({ base: v, call: null }, { push: true }))}
      />
      <span class="spacer" />
      <Download asked={asked} service={service} />
    </div>
  );
}

/** Which process, such as one of gunicorn's workers, where there are several. */
function Processes({ processes }: { processes: readonly ProcessSum[] }) {
  if (processes.length < 2 && !param("process")) return null;
  const hosts = new Set(processes.map((p) => p.host)).size > 1;
  const whole = processes.reduce((a, p) => a + p.sum, 0);
  const names = processes.map((p) => processName(p, hosts));
  return (
    <Choose
      label="Process"
      value={param("process")}
      choices={[
        { value: "", label: "All" },
        ...processes.map((p, i) => ({
          value: p.value,
          label:
            names.indexOf(names[i]!) === names.lastIndexOf(names[i]!)
              ? names[i]!
              : `${names[i]} ${p.instance}`,
          title: [p.instance, p.version, `${timestamp(p.first_ns, 0)} – ${timestamp(p.last_ns, 0)}`]
            .filter(Boolean)
            .join("\n"),
          share: whole ? p.sum / whole : 0,
        })),
      ]}
      onChange={(v) => setParams({ process: v, call: null }, { push: true })}
    />
  );
}

const formats = [
  ["pprof", "pprof", "pb.gz", "go tool pprof and what reads its files"],
  ["speedscope", "speedscope", "speedscope.json", "speedscope.app"],
  ["collapsed", "Collapsed stacks", "txt", "flamegraph.pl, and grep"],
] as const;

function Download({ asked, service }: { asked: QueryParams; service: string }) {
  return (
    <details
      class="menu"
      onKeyDown={(e) => {
        if (e.key === "Escape" && e.currentTarget.open) {
          e.currentTarget.open = false;
          e.stopPropagation();
        }
      }}
      onFocusOut={(e) => {
        if (!e.currentTarget.contains(e.relatedTarget as Node | null)) e.currentTarget.open = false;
      }}
    >
      <summary class="button" aria-label="Download" title="Download">
        <Icon name="download" size={14} /> <span class="where-wide">Download</span>
      </summary>
      <div class="menu-list">
        {formats.map(([format, title, ending, reader]) => (
          <a
            key={format}
            href={apiUrl("/profiles/flame", { ...asked, format })}
            download={`${service.replace(/[^\w.-]+/g, "_") || "profile"}-${asked.type}.${ending}`}
          >
            <b>{title}</b>
            <span class="muted small">for {reader}</span>
          </a>
        ))}
      </div>
    </details>
  );
}
