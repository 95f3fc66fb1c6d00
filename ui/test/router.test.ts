// Protects: paths match as written, names survive the address, hostile paths match nothing.
import { expect, test } from "vitest";
import { href, match, segment } from "../src/router";

test.each([
  ["/services", "/services", {}],
  ["/services", "/services/", {}],
  ["/services/:name", `/services/${segment("a/b c?&ü")}`, { name: "a/b c?&ü" }],
  ["/services", "/services/x", null],
  ["/services/:name", "/services", null],
  ["/services/:name", "/services/%E0%A4%A", null],
  ["/traces/:id", "/traces/", null],
])("%s on %s", (pattern, path, parts) => expect(match(pattern, path)).toEqual(parts));

test("links carry their parameters, empty ones are left out", () => {
  expect(href("/traces", { filter: 'name="GET /x"', sort: null, live: undefined })).toBe(
    "/traces?filter=name%3D%22GET+/x%22",
  );
});
