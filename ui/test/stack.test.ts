import { describe, expect, it } from "vitest";
import { frameRuns, isLibrary, parseTraceback, shortPath } from "../src/parts/stack.parse";
import { quickest } from "./quickest";

const CHAINED = `Traceback (most recent call last):
  File "/srv/shop/stock.py", line 12, in reserve
    return stock[item]
           ~~~~~^^^^^^
KeyError: 'lamp'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/usr/lib/python3.12/site-packages/flask/app.py", line 880, in full_dispatch_request
    rv = self.dispatch_request()
  File "/srv/shop/views.py", line 40, in place_order
    reserve(item)
  File "/srv/shop/views.py", line 41, in again
    again()
  [Previous line repeated 996 more times]
shop.errors.OutOfStock: no lamp left
second line of the message
`;

describe("parseTraceback", () => {
  it("reads chained exceptions, sources, markers and repeated frames", () => {
    const list = parseTraceback(CHAINED)!;
    expect(list.map((e) => [e.type, e.message, e.link])).toEqual([
      ["KeyError", "'lamp'", "cause"],
      ["shop.errors.OutOfStock", "no lamp left\nsecond line of the message", null],
    ]);
    expect(list[0]!.frames[0]).toMatchObject({
      file: "/srv/shop/stock.py",
      line: 12,
      name: "reserve",
      source: "return stock[item]",
      mark: [7, 18],
      own: true,
    });
    expect(list[1]!.frames.map((f) => f.own)).toEqual([false, true, true]);
    expect(list[1]!.frames[2]!.repeated).toBe(996);
  });

  it("reads frames without source and texts that were cut", () => {
    const list = parseTraceback(
      'Traceback (most recent call last):\n  File "<frozen runpy>", line 198, in _run\n  File "a.py", line 1, in f\n',
    )!;
    expect(list[0]!.frames.map((f) => [f.file, f.source, f.own])).toEqual([
      ["<frozen runpy>", "", false],
      ["a.py", "", true],
    ]);
    expect(list[0]!.type).toBe("");
  });

  it("reads exception groups", () => {
    const list = parseTraceback(`  + Exception Group Traceback (most recent call last):
  |   File "/srv/a.py", line 3, in main
  |     async with TaskGroup() as tg:
  | ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/a.py", line 9, in one
    |     raise ValueError("one")
    | ValueError: one
    +---------------- 2 ----------------
    | TypeError: two
    +------------------------------------
`)!;
    expect(list.map((e) => `${e.type}: ${e.message}`)).toEqual([
      "ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)",
      "ValueError: one",
      "TypeError: two",
    ]);
    expect(list[1]!.frames[0]!.name).toBe("one");
    expect(list[1]!.depth).toBeGreaterThan(list[0]!.depth);
  });

  it("reads syntax errors and windows paths", () => {
    const list = parseTraceback(
      'Traceback (most recent call last):\r\n  File "C:\\app\\main.py", line 3, in <module>\r\n    import b\r\n  File "C:\\app\\b.py", line 1\r\n    def (\r\n        ^\r\nSyntaxError: invalid syntax\r\n',
    )!;
    expect(list[0]!.frames.map((f) => [f.line, f.name])).toEqual([
      [3, "<module>"],
      [1, ""],
    ]);
    expect(list[0]!.type).toBe("SyntaxError");
  });

  it("says when it is no traceback", () => {
    for (const text of ["", "boom", "at foo (a.js:1:2)", "Traceback (most recent call last):"]) {
      expect(parseTraceback(text)).toBeNull();
    }
  });

  it("bounds hostile texts", () => {
    const frame = '  File "/a.py", line 1, in f\n    x\n';
    const text = `Traceback (most recent call last):\n${frame.repeat(50_000)}ValueError: x`;
    expect(parseTraceback(text)![0]!.frames.length).toBeLessThanOrEqual(2000);
    expect(quickest(() => parseTraceback(text))).toBeLessThan(1000);
  });
});

describe("frames", () => {
  it("runs from the innermost call outwards, own and library apart", () => {
    const runs = frameRuns(parseTraceback(CHAINED)![1]!.frames);
    expect(runs.map((r) => [r.own, r.frames.length])).toEqual([
      [true, 2],
      [false, 1],
    ]);
  });
  it("knows what is not the application's", () => {
    expect(isLibrary("/srv/app/.venv/lib/python3.12/site-packages/x.py")).toBe(true);
    expect(isLibrary("C:\\Python312\\Lib\\json\\decoder.py")).toBe(true);
    expect(isLibrary("/usr/lib/python3.13/asyncio/base_events.py")).toBe(true);
    expect(isLibrary("<frozen importlib._bootstrap>")).toBe(true);
    expect(isLibrary("/srv/library/python_app/views.py")).toBe(false);
    expect(isLibrary("app/lib/tools.py")).toBe(false);
  });
  it("shortens paths to what tells", () => {
    expect(shortPath("/v/lib/python3.12/site-packages/flask/app.py")).toBe("flask/app.py");
    expect(shortPath("/usr/lib/python3.12/json/decoder.py")).toBe("json/decoder.py");
    expect(shortPath("/home/me/work/shop/app/views.py")).toBe("…/shop/app/views.py");
  });
});
