import { describe, expect, it } from "vitest";
import { fingerprint, formatSql, shortSql, sqlText, tokenize } from "../src/parts/sql.text";
import { quickest } from "./quickest";

const kinds = (sql: string) => tokenize(sql).map((t) => `${t.kind}:${t.text}`);
const squeeze = (sql: string) => sql.replace(/\s+/g, "");

describe("tokenize", () => {
  it("tells parameters of all drivers from the rest", () => {
    for (const p of ["?", "?1", "$1", "%s", "%(id)s", ":id", ":1", "@id", "{id:UInt64}"]) {
      expect(kinds(`SELECT a WHERE b = ${p}`).at(-1)).toBe(`parameter:${p}`);
    }
    expect(kinds("SELECT a::text")).toEqual(["keyword:SELECT", "name:a", "operator:::", "name:text"]);
    expect(kinds("'12:30'")).toEqual(["string:'12:30'"]);
  });
  it("keeps strings, quoted names and comments whole", () => {
    expect(kinds(`'it''s' "a ""b" \`c\` -- x`)).toEqual([
      "string:'it''s'",
      'name:"a ""b"',
      "name:`c`",
      "comment:-- x",
    ]);
    expect(kinds("$$ a ' b $$ 1")).toEqual(["string:$$ a ' b $$", "number:1"]);
  });
  it("loses nothing of a broken statement", () => {
    for (const sql of ["SELECT 'open", "/* open", "\u0000\ud800 ;;;(((", '"', "SELECT $tag$ x", "1e+"]) {
      expect(
        squeeze(
          tokenize(sql)
            .map((t) => t.text)
            .join(""),
        ),
      ).toBe(squeeze(sql));
    }
  });
});

describe("formatSql", () => {
  it("leaves a short statement on its line", () => {
    expect(sqlText(formatSql("SELECT id FROM items WHERE id = ?"))).toBe("SELECT id FROM items WHERE id = ?");
  });
  it("lays out clauses, conditions and joins", () => {
    const sql =
      "SELECT orders.id, orders.total FROM orders LEFT OUTER JOIN customers ON customers.id = orders.customer_id " +
      "WHERE orders.day BETWEEN ? AND ? AND (orders.total > 10 OR orders.vip) ORDER BY orders.id LIMIT ? OFFSET ?";
    expect(sqlText(formatSql(sql))).toBe(
      [
        "SELECT orders.id, orders.total",
        "FROM orders",
        "LEFT OUTER JOIN customers ON customers.id = orders.customer_id",
        "WHERE orders.day BETWEEN ? AND ?",
        "  AND (orders.total > 10 OR orders.vip)",
        "ORDER BY orders.id",
        "LIMIT ?",
        "OFFSET ?",
      ].join("\n"),
    );
  });
  it("indents subqueries", () => {
    const text = sqlText(
      formatSql(
        "SELECT a FROM b WHERE c IN (SELECT d FROM e WHERE f = 1 AND g = 2) AND h = 3 ORDER BY a DESC LIMIT 10",
      ),
    );
    expect(text).toContain("IN (\n  SELECT d\n  FROM e\n  WHERE f = 1\n    AND g = 2\n)");
  });
  it("changes nothing but white space", () => {
    const sql =
      "INSERT INTO a (b, c) VALUES (%s, %s), (%s, %s) ON CONFLICT (b) DO UPDATE SET c = excluded.c RETURNING id";
    expect(squeeze(sqlText(formatSql(sql)))).toBe(squeeze(sql));
  });
  it("keeps the lines of a statement with line comments", () => {
    expect(sqlText(formatSql("SELECT 1 -- one\nFROM a"))).toBe("SELECT 1 -- one\nFROM a");
  });
  it("does not take long over hostile text", () => {
    const taken = quickest(() => {
      formatSql("(".repeat(30_000) + "'".repeat(30_000));
      formatSql("SELECT ".repeat(9000));
    });
    expect(taken).toBeLessThan(1500);
  });
});

describe("fingerprint", () => {
  it("makes runs of one statement alike", () => {
    expect(fingerprint("SELECT * FROM a WHERE id IN (1, 2,3) AND n = 'x'")).toBe(
      fingerprint("select *  from a where id in (?,?) and n = $1"),
    );
    expect(fingerprint("SELECT a")).not.toBe(fingerprint("SELECT b"));
  });
});

describe("shortSql", () => {
  it("drops a long list of columns", () => {
    expect(shortSql("SELECT items.id, items.name, items.price\n FROM items WHERE id = ?")).toBe(
      "SELECT … FROM items WHERE id = ?",
    );
    expect(shortSql("SELECT 1")).toBe("SELECT 1");
  });
});
