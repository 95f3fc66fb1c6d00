// Protects: what was asked is what the server sees, and errors arrive as the server said them.
import { afterEach, describe, expect, test, vi } from "vitest";
import { ApiError, api, apiUrl } from "../src/api";

afterEach(() => vi.unstubAllGlobals());
const answer = (body: string, status = 200) =>
  vi.stubGlobal("fetch", async () => new Response(body, { status }));

test("parameters are encoded, empty ones left out", () => {
  expect(apiUrl("/traces", { filter: 'a="b c"&d', limit: 5, cursor: null, to: "" })).toBe(
    "/api/v1/traces?filter=a%3D%22b+c%22%26d&limit=5",
  );
});

describe("errors", () => {
  const failing = async (): Promise<ApiError> => {
    try {
      await api("/x");
    } catch (error) {
      return error as ApiError;
    }
    throw new Error("no error");
  };
  test("of the filter keep their column", async () => {
    answer('{"error":{"code":"filter_syntax","message":"m","column":17,"length":3,"hint":"h"}}', 400);
    const e = await failing();
    expect(e).toBeInstanceOf(ApiError);
    expect(e).toMatchObject({
      code: "filter_syntax",
      column: 17,
      length: 3,
      hint: "h",
      isFilter: true,
      status: 400,
    });
  });
  test("that are no JSON", async () => {
    answer("<html>", 502);
    expect(await failing()).toMatchObject({ code: "internal", status: 502 });
  });
  test("without an error object", async () => {
    answer("null", 500);
    expect((await failing()).message).toContain("500");
  });
  test("of the network", async () => {
    vi.stubGlobal("fetch", async () => {
      throw new TypeError("failed");
    });
    expect(await failing()).toMatchObject({ code: "network", status: 0 });
  });
});
