/** One tree of calls, looked at in any of its ways: flame graph, callers, both sides of a function, table. */
import { useMemo, useState } from "preact/hooks";
import { full, plural, ratio } from "../../format";
import { useKeys } from "../../keys";
import { CopyButton } from "../../parts/copybutton";
import { Flame } from "../../parts/flame";
import { type FlameTree, kindNames, shortFile } from "../../parts/flame.model";
import { kindTotals, search } from "../../parts/flame.table";
import { frameText } from "../../parts/flame.tip";
import { callees, callers, inverted } from "../../parts/flame.trees";
import { Tabs } from "../../parts/tabs";
import { param, setParams } from "../../router";
import { Crumbs } from "./crumbs";
import type { Picture } from "./data";
import { Functions } from "./functions";

export type ViewName = "flame" | "callers" | "sandwich" | "functions" | "types";

export interface Unit {
  unit: (v: number) => string;
  /** "CPU", for labels. */
  title: string;
}

const tabs: { id: ViewName; label: string }[] = [
  { id: "flame", label: "Flame graph" },
  { id: "callers", label: "Callers" },
  { id: "sandwich", label: "Both sides" },
  { id: "functions", label: "Functions" },
  { id: "types", label: "Side by side" },
];

/** The way to look that the address names. `first`: the one it need not name. */
export const viewName = (first: ViewName = "flame"): ViewName =>
  tabs.find((t) => t.id === param("view"))?.id ?? first;

/** The function of the address, in a tree; -1: none. */
export function chosen(t: FlameTree): number {
  const name = param("fn");
  if (!name) return -1;
  const file = param("file");
  const line = Number(param("line") || 0);
  const same = t.functions.findIndex((f) => f.name === name && f.file === file && (!line || f.line === line));
  return same >= 0 || !line ? same : t.functions.findIndex((f) => f.name === name && f.file === file);
}

/** Parameters of the address that name a function. */
export const naming = (t: FlameTree, fn: number, lines = param("lines") === "1") => {
  const f = t.functions[fn];
  return { fn: f?.name ?? null, file: f?.file ?? null, line: lines && f?.line ? f.line : null };
};

/** Opens the function's panel. */
export const openFunction = (t: FlameTree, fn: number): void =>
  setParams({ ...naming(t, fn), panel: 1 }, { push: param("panel") !== "1" });

export const openSandwich = (t: FlameTree, fn: number): void =>
  setParams({ ...naming(t, fn), view: "sandwich", call: null }, { push: true });

interface ViewBarProps {
  tree: FlameTree | null;
  /** Several types can be shown beside each other. */
  types: boolean;
  view: ViewName;
  /** The view that the address need not name. */
  first?: ViewName;
  unit: (v: number) => string;
}

/** The ways to look, the search, and what is left out of the picture. */
export function ViewBar({ tree, types, view, first = "flame", unit }: ViewBarProps) {
  const [box, setBox] = useState<HTMLInputElement | null>(null);
  const text = param("q");
  const found = useMemo(() => tree && search(tree, text), [tree, text]);
  useKeys([
    {
      key: "/",
      help: "Find a function",
      run: () => {
        box?.focus();
        box?.select();
      },
    },
  ]);
  const toggle = (name: "own" | "lines", label: string, title: string) => (
    <button
      type="button"
      class="button"
      aria-pressed={param(name) === "1"}
      title={title}
      onClick={() => setParams({ [name]: param(name) === "1" ? null : 1, call: null })}
    >
      {label}
    </button>
  );
  return (
    <div class="profile-bar">
      <Tabs
        label="Ways to look at the profile"
        value={view}
        onChange={(id) => setParams({ view: id === first ? null : id, call: null }, { push: true })}
        tabs={types ? tabs : tabs.filter((t) => t.id !== "types")}
      />
      <span class="spacer" />
      <span class="profile-tools">
        {found && tree && (
          <span class="muted small" role="status">
            {found.n
              ? `${ratio(tree.total ? found.sum / tree.total : 0)}, ${unit(found.sum)} in ${plural(found.n, "function")}`
              : "no function"}
          </span>
        )}
        <input
          ref={setBox}
          class="input"
          type="search"
          placeholder="Find a function or file"
          aria-label="Find a function or file"
          value={text}
          onInput={(e) => setParams({ q: e.currentTarget.value || null })}
          onKeyDown={(e) => {
            if (e.key !== "Escape") return;
            setParams({ q: null });
            e.currentTarget.blur();
            e.preventDefault();
            e.stopPropagation();
          }}
        />
        {toggle(
          "own",
          "Own code",
          "Folds the frames of libraries into the calls of your code that lead to them",
        )}
        {toggle("lines", "Lines", "A frame for each line of a function, not one for the function")}
      </span>
    </div>
  );
}

export interface ProfileViewProps extends Unit {
  picture: Picture;
  tree: FlameTree;
  view: Exclude<ViewName, "types">;
  /** Somebody points at the picture: it should not change now. */
  onHold: (held: boolean) => void;
}

export function ProfileView({ picture, tree, view, unit, title, onHold }: ProfileViewProps) {
  const text = param("q");
  const shown = useMemo(() => (view === "callers" ? inverted(tree) : tree), [tree, view]);
  const found = useMemo(() => search(shown, text), [shown, text]);
  const dim = picture.resource.stale;
  const fn = chosen(tree);
  const setFocus = (node: number) => setParams({ call: shown.key(node) || null }, { push: true });
  const focus = useMemo(() => shown.find(param("call")), [shown, param("call")]);
  const actions = {
    onSandwich: (n: number) => openSandwich(tree, n),
    onSource: (n: number) => openFunction(tree, n),
  };
  if (view === "functions")
    return (
      <div class="profile-functions">
        <Functions tree={tree} unit={unit} search={found} selected={fn} onOpen={actions.onSource} dim={dim} />
      </div>
    );
  if (view === "sandwich")
    return <Sandwich tree={tree} unit={unit} title={title} fn={fn} dim={dim} onHold={onHold} />;
  return (
    <section
      class="profile-flame"
      onPointerEnter={() => onHold(true)}
      onPointerLeave={() => onHold(false)}
      aria-label={title}
    >
      <Crumbs tree={shown} focus={focus} onFocus={setFocus} {...actions}>
        <Kinds tree={tree} unit={unit} />
      </Crumbs>
      <Flame
        tree={shown}
        unit={unit}
        label={view === "callers" ? `${title} by the function it is spent in` : title}
        search={found}
        focus={focus}
        onFocus={setFocus}
        marked={param("panel") === "1" ? fn : -1}
        dim={dim}
        {...actions}
      />
      <LeftOut picture={picture} />
    </section>
  );
}

interface SandwichProps extends Unit {
  tree: FlameTree;
  fn: number;
  dim: boolean;
  onHold: (held: boolean) => void;
}

/** A function with its callers above and what it calls below, beside the list to choose it from. */
function Sandwich({ tree, unit, title, fn, dim, onHold }: SandwichProps) {
  const text = param("q");
  const found = useMemo(() => search(tree, text), [tree, text]);
  const above = useMemo(() => (fn < 0 ? null : callers(tree, fn)), [tree, fn]);
  const below = useMemo(() => (fn < 0 ? null : callees(tree, fn)), [tree, fn]);
  const [focus, setFocus] = useState<[FlameTree | null, number]>([null, 0]);
  const choose = (n: number) => setParams({ ...naming(tree, n) }, { push: true });
  const common = { unit, dim, onSandwich: choose, onSource: (n: number) => openFunction(tree, n) };
  const half = Math.max(160, Math.round((window.innerHeight - 260) / 2));
  const name = tree.functions[fn]?.name ?? "";
  const at = (t: FlameTree) => (focus[0] === t ? focus[1] : 0);
  const outermost = (t: FlameTree) => t.length <= 2;
  return (
    <div class="sandwich" onPointerEnter={() => onHold(true)} onPointerLeave={() => onHold(false)}>
      <div class="sandwich-list">
        <Functions tree={tree} unit={unit} search={found} selected={fn} onOpen={choose} narrow dim={dim} />
      </div>
      {above && below ? (
        <div class="sandwich-graphs">
          <h3 class="muted">{outermost(above) ? "No callers: the outermost frame" : "Callers"}</h3>
          <Flame
            {...common}
            tree={above}
            label={`${title}: callers of ${name}`}
            focus={at(above)}
            onFocus={(n) => setFocus([above, n])}
            maxHeight={half}
            up
          />
          <FunctionHead tree={tree} fn={fn} />
          <Flame
            {...common}
            tree={below}
            label={`${title}: what ${name} calls`}
            focus={at(below)}
            onFocus={(n) => setFocus([below, n])}
            maxHeight={half}
          />
          <h3 class="muted">{below.length <= 2 ? "It calls nothing that was sampled" : "What it calls"}</h3>
        </div>
      ) : (
        <p class="sandwich-none muted">Choose a function: its callers stand above, what it calls below.</p>
      )}
    </div>
  );
}

/** The function in the middle. */
function FunctionHead({ tree, fn }: { tree: FlameTree; fn: number }) {
  const f = tree.functions[fn]!;
  return (
    <p class="sandwich-head">
      <i class={`kind ${f.kind}`} title={kindNames[f.kind]} />
      <b class="ellipsis" title={f.name}>
        {f.name}
      </b>
      <span class="muted ellipsis" title={f.file}>
        {shortFile(f.file)}
      </span>
      <span class="spacer" />
      <button type="button" class="button" onClick={() => openFunction(tree, fn)}>
        Lines
      </button>
      <CopyButton text={frameText(f)} label="Copy the frame" />
    </p>
  );
}

/** Whose code the time is spent in: the legend of the colours, with figures. */
function Kinds({ tree, unit }: { tree: FlameTree; unit: (v: number) => string }) {
  const kinds = useMemo(() => kindTotals(tree), [tree]);
  if (tree.compared)
    return (
      <p class="kinds">
        <span>
          <i class="kind app" /> ▲ larger share than before
        </span>
        <span>
          <i class="kind less" /> ▼ smaller share
        </span>
        <span class="muted">Widths are the mean of both sides</span>
      </p>
    );
  const rest = tree.total - kinds.reduce((sum, k) => sum + k.own, 0);
  return (
    <p class="kinds">
      <span>Own time in</span>
      {kinds.map((k) => (
        <span key={k.kind} title={`${unit(k.own)} of own time`}>
          <i class={`kind ${k.kind}`} /> {kindNames[k.kind]}{" "}
          <b>{ratio(tree.total ? k.own / tree.total : 0)}</b>
        </span>
      ))}
      {rest > tree.total / 1000 && (
        <span title={`${unit(rest)} in calls too small to be seen`}>
          smaller calls <b>{ratio(rest / tree.total)}</b>
        </span>
      )}
    </p>
  );
}

function LeftOut({ picture }: { picture: Picture }) {
  const a = picture.answer;
  if (!a || (!a.nodes_left_out && !a.left_out)) return null;
  return (
    <p class="muted small profile-left-out">
      {a.nodes_left_out > 0 &&
        `${full(a.nodes_left_out)} calls too small to be seen stand together as “smaller calls”. `}
      {a.left_out > 0 &&
        `${ratio(a.total ? a.left_out / a.total : 0)} of the time is in stacks beyond the most costly 50,000; a narrower selection shows them.`}
    </p>
  );
}
