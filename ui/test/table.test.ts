// Protects: sorting is stable and leaves unknown values last; copied tables open in a spreadsheet.
import { expect, test } from "vitest";
import { type Column, sortRows, toCsv } from "../src/parts/table";

interface Row {
  name: string;
  n: number | null;
}
const rows: Row[] = [
  { name: "b", n: 2 },
  { name: "a", n: null },
  { name: "c10", n: 1 },
  { name: "c9", n: 2 },
];
const columns: Column<Row>[] = [
  { key: "name", title: "Name", value: (r) => r.name },
  { key: "n", title: "N, of", value: (r) => r.n },
  { key: "x", title: "Not copied" },
];
const names = (list: readonly Row[]) => list.map((r) => r.name).join(" ");

test("numbers, unknown ones last in both directions, equal ones as they came", () => {
  expect(names(sortRows(rows, columns[1], false))).toBe("c10 b c9 a");
  expect(names(sortRows(rows, columns[1], true))).toBe("b c9 c10 a");
});
test("text by natural order", () => expect(names(sortRows(rows, columns[0], false))).toBe("a b c9 c10"));
test("a column without a value does not sort", () => expect(sortRows(rows, columns[2], false)).toBe(rows));
test("csv", () => {
  expect(toCsv([{ name: 'say "hi",\nyou', n: 1 }], columns)).toBe('Name,"N, of"\r\n"say ""hi"",\nyou",1\r\n');
});
