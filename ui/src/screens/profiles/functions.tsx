/** The functions of a profile as a table: the same figures as the flame graph's, sorted and searched. */
import { useMemo } from "preact/hooks";
import { ratio } from "../../format";
import { points } from "../../parts/flame.draw";
import { type FlameTree, kindNames, shareChange, shortFile } from "../../parts/flame.model";
import { type FunctionTotal, functionTotals, type Search } from "../../parts/flame.table";
import { frameText, placeOf } from "../../parts/flame.tip";
import { Name } from "../../parts/name";
import { type Column, Table } from "../../parts/table";

export interface FunctionsProps {
  tree: FlameTree;
  unit: (v: number) => string;
  search: Search | null;
  selected: number;
  onOpen: (fn: number) => void;
  /** Fewer columns, beside something else. */
  narrow?: boolean;
  dim?: boolean;
}

export function Functions({ tree, unit, search, selected, onOpen, narrow, dim }: FunctionsProps) {
  const rows = useMemo(() => functionTotals(tree), [tree]);
  const shown = useMemo(() => (search ? rows.filter((r) => search.functions[r.fn]) : rows), [rows, search]);
  const columns = useMemo(() => columnsOf(tree, unit, !!narrow), [tree, unit, narrow]);
  return (
    <Table
      label="Functions"
      name={narrow ? "profile-functions-narrow" : "profile-functions"}
      rows={shown}
      rowKey={(r) => String(r.fn)}
      columns={columns}
      initialSort={{ key: tree.compared ? "own-change" : "own", desc: true }}
      selected={selected >= 0 ? String(selected) : null}
      onOpen={(r) => onOpen(r.fn)}
      rowHeight={narrow ? 40 : 32}
      fill
      dim={dim}
      empty={search ? "No function matches." : "No samples."}
    />
  );
}

function columnsOf(t: FlameTree, unit: (v: number) => string, narrow: boolean): Column<FunctionTotal>[] {
  const f = (r: FunctionTotal) => t.functions[r.fn]!;
  const share = (v: number) => ratio(t.total ? v / t.total : 0);
  const bar = (v: number) => (
    <span class="share" title={unit(v)}>
      <i style={{ width: `${t.total ? Math.min(100, (v / t.total) * 100) : 0}%` }} />
      <span>{share(v)}</span>
    </span>
  );
  const change = (r: FunctionTotal, key: "own" | "sum") =>
    key === "own" ? shareChange(t, r.own, r.baseOwn) : shareChange(t, r.sum, r.baseSum);
  const changed = (title: string, key: "own" | "sum"): Column<FunctionTotal> => ({
    key: `${key}-change`,
    title,
    width: 92,
    align: "right",
    help: "Change of the share of the whole, in points",
    value: (r) => change(r, key),
    render: (r) => <Change by={change(r, key)} />,
  });
  const columns: Column<FunctionTotal>[] = [
    {
      key: "function",
      title: "Function",
      width: narrow ? 120 : t.compared ? 180 : 220,
      narrow: 130,
      grow: true,
      value: (r) => frameText(f(r)),
      render: (r) => (
        <span class={narrow ? "fn-cell two" : "fn-cell"}>
          <i class={`kind ${f(r).kind}`} title={kindNames[f(r).kind]} />
          <Name text={f(r).name} />
          {f(r).file && (
            <span class="muted ellipsis" title={placeOf(f(r))}>
              {placeOf(f(r), shortFile(f(r).file))}
            </span>
          )}
        </span>
      ),
    },
    {
      key: "own",
      title: "Own",
      help: "Without the functions it called",
      width: narrow ? 62 : 76,
      align: "right",
      value: (r) => r.own,
      render: (r) => unit(r.own),
    },
    ...(narrow
      ? []
      : [
          {
            key: "own-share",
            title: "Own share",
            width: 130,
            from: t.compared ? 1020 : 840,
            align: "right" as const,
            value: (r: FunctionTotal) => r.own,
            render: (r: FunctionTotal) => bar(r.own),
          },
        ]),
    ...(t.compared ? [changed("Own change", "own")] : []),
    {
      key: "sum",
      title: "Total",
      help: "With all functions it called; recursion counts once",
      width: narrow ? 62 : 76,
      align: "right",
      value: (r) => r.sum,
      render: (r) => unit(r.sum),
    },
    ...(narrow
      ? []
      : [
          {
            key: "sum-share",
            title: "Total share",
            width: 130,
            from: t.compared ? 1180 : 1000,
            align: "right" as const,
            value: (r: FunctionTotal) => r.sum,
            render: (r: FunctionTotal) => bar(r.sum),
          },
        ]),
    ...(t.compared && !narrow ? [{ ...changed("Total change", "sum"), from: 880 }] : []),
  ];
  return columns;
}

/** More is ▲, less is ▼: the colour only repeats it. */
export function Change({ by }: { by: number }) {
  if (Math.abs(by) < 0.0005) return <span class="muted">±0</span>;
  return (
    <span class={by > 0 ? "more" : "less"}>
      {by > 0 ? "▲" : "▼"} {points(by)}
    </span>
  );
}
