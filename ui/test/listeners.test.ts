/** Effects run after the picture is painted: a listener or a focus set there misses what a fast reader does at once. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const source = join(import.meta.dirname, "../src");
const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((f) => /\.tsx?$/.test(f));

it("keys, outside clicks and focus are set before the first picture (useLayoutEffect)", () => {
  const late = files.filter((file) =>
    readFileSync(join(source, file), "utf8")
      .split(/\buse(?=Effect\()/)
      .slice(1)
      .map((after) => after.split(/\n {2}\}, \[|\n {2}\);|\), \[/)[0]!)
      .filter((body) => !/import\(/.test(body)) // after a chunk has come, no effect is early
      .some((body) =>
        /(document|window)\.addEventListener\("(key|pointer|click|mouse)|\.focus\(\)/.test(body),
      ),
  );
  expect(late).toEqual([]);
});
