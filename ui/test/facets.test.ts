import { describe, expect, it } from "vitest";
import { addTerm, chosen, dropTerm, excluded, toggleTerm, topTerms } from "../src/parts/facets.filter";

describe("the filter under clicks on values", () => {
  it("finds the conditions at the top", () => {
    expect(topTerms("")).toEqual([]);
    expect(topTerms('a=1 AND (b=2 OR c=3) and "x AND y"')).toEqual(["a=1", "(b=2 OR c=3)", '"x AND y"']);
    expect(topTerms("a=1 OR b=2")).toBeNull();
    expect(topTerms('a="\\" AND" AND b')).toEqual(['a="\\" AND"', "b"]);
    expect(topTerms("android=1 AND brand=2")).toEqual(["android=1", "brand=2"]);
  });

  it("asks for a value, rules it out and frees it again", () => {
    const one = toggleTerm("", "service", "shop", false);
    expect(one).toBe("service=shop");
    const two = toggleTerm(one, "http.response.status_code", "500", true);
    expect(two).toBe("service=shop AND http.response.status_code!=500");
    expect(chosen(two, "service", "shop")).toBe("in");
    expect(chosen(two, "http.response.status_code", "500")).toBe("out");
    expect(excluded(two, "http.response.status_code")).toEqual(["500"]);
    expect(toggleTerm(two, "service", "shop", true)).toBe("http.response.status_code!=500 AND service!=shop");
    expect(dropTerm(two, "service", "shop", false)).toBe("http.response.status_code!=500");
    expect(toggleTerm(one, "service", "shop", false)).toBe("");
  });

  it("knows values in quotes, however they were written", () => {
    const text = toggleTerm("", "name", "GET /orders {id}", false);
    expect(text).toBe('name="GET /orders {id}"');
    expect(chosen(text, "name", "GET /orders {id}")).toBe("in");
    expect(chosen('code = "500"', "code", "500")).toBe("in");
    expect(excluded('name!="a \\"b\\""', "name")).toEqual(['a "b"']);
  });

  it("joins conditions without piling up parentheses", () => {
    expect(addTerm("(a=1 OR b=2) AND c=3", "d=4")).toBe("(a=1 OR b=2) AND c=3 AND d=4");
    expect(addTerm("a=1", "a = 1")).toBe("a=1");
  });

  it("leaves a filter alone that it does not understand", () => {
    expect(dropTerm("a=1 OR b=2", "a", "1", false)).toBe("a=1 OR b=2");
    expect(toggleTerm("a=1 OR b=2", "c", "x", false)).toBe("(a=1 OR b=2) AND c=x");
  });
});
