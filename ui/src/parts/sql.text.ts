// SQL as text: tokens, a readable layout, and the fingerprint that makes two runs of one statement alike.
// Knows no dialect: what it does not understand it keeps as it is. Never changes anything but white space.

export type TokenKind =
  | "keyword"
  | "name"
  | "function"
  | "string"
  | "number"
  | "parameter"
  | "operator"
  | "punctuation"
  | "comment";

export interface Token {
  kind: TokenKind;
  text: string;
  /** White space (or nothing) stood before it. */
  spaced: boolean;
}

/** Longer statements are shown as they are. */
export const SQL_MAX = 64 * 1024;

const KEYWORDS = new Set(
  `ALL ALTER ANALYZE AND ANY ARRAY AS ASC BEGIN BETWEEN BY CASCADE CASE CAST CHECK COLLATE COLUMN COMMIT CONFLICT
  CONSTRAINT CREATE CROSS CURRENT DEFAULT DELETE DESC DISTINCT DO DROP ELSE END ESCAPE EXCEPT EXISTS EXPLAIN FALSE
  FETCH FILTER FIRST FOR FOREIGN FROM FULL GROUP HAVING IF ILIKE IN INDEX INNER INSERT INTERSECT INTERVAL INTO IS
  JOIN KEY LAST LATERAL LEFT LIKE LIMIT LOCK LOCKED NATURAL NEXT NOT NOTHING NOWAIT NULL NULLS OF OFFSET ON ONLY OR
  ORDER OUTER OVER PARTITION PRAGMA PRECEDING PRIMARY RECURSIVE REFERENCES RELEASE REPLACE RETURNING RIGHT ROLLBACK
  ROW ROWS SAVEPOINT SELECT SET SHARE SKIP TABLE TEMPORARY THEN TO TRANSACTION TRUE UNION UNIQUE UPDATE USING VALUES
  VIEW WHEN WHERE WINDOW WITH`.split(/\s+/),
);

// One alternative per kind, tried in order at each place; sticky, so that nothing is looked for far away.
const TOKEN = new RegExp(
  [
    "(--[^\\n]*|/\\*[\\s\\S]*?(?:\\*/|$)|#[^\\n]*)", // 1 comment
    "([eEbBxXnN]?'(?:[^'\\\\]|\\\\[\\s\\S]|'')*(?:'|$)|\\$([A-Za-z_]*)\\$[\\s\\S]*?(?:\\$\\3\\$|$))", // 2 string, 3 tag
    '("(?:[^"]|"")*(?:"|$)|`(?:[^`]|``)*(?:`|$)|\\[[A-Za-z_][^\\]\\n]*\\])', // 4 quoted name
    "(\\?\\d*|\\$\\d+|%s|%\\([A-Za-z_]\\w*\\)s|(?<![:\\w]):[A-Za-z_]\\w*|:\\d+|@@?[A-Za-z_]\\w*|\\{\\w+:[^}\\n]*\\})", // 5 parameter
    "(0[xX][0-9a-fA-F]+|(?:\\d+\\.?\\d*|\\.\\d+)(?:[eE][+-]?\\d+)?)", // 6 number
    "([A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*)", // 7 word
    "([(),;.])", // 8 punctuation
    "(::|<=>|<>|!=|>=|<=|\\|\\||->>|->|#>>|#>|@>|<@|&&|:=|…|[^\\s])", // 9 operator
  ].join("|"),
  "y",
);

export function tokenize(sql: string): Token[] {
  const out: Token[] = [];
  let at = 0;
  while (at < sql.length) {
    let spaced = false;
    while (at < sql.length && /\s/.test(sql[at]!)) {
      at++;
      spaced = true;
    }
    if (at >= sql.length) break;
    TOKEN.lastIndex = at;
    const m = TOKEN.exec(sql);
    const text = m?.[0] || sql[at]!;
    at += text.length;
    out.push({ kind: m ? kindOf(m, sql, at) : "operator", text, spaced });
  }
  return out;
}

function kindOf(m: RegExpExecArray, sql: string, end: number): TokenKind {
  if (m[1] !== undefined) return "comment";
  if (m[2] !== undefined) return "string";
  if (m[4] !== undefined) return "name";
  if (m[5] !== undefined) return "parameter";
  if (m[6] !== undefined) return "number";
  if (m[7] !== undefined) {
    if (KEYWORDS.has(m[7].toUpperCase())) return "keyword";
    return sql[end] === "(" ? "function" : "name";
  }
  return m[8] !== undefined ? "punctuation" : "operator";
}

export interface SqlLine {
  indent: number;
  tokens: Token[];
}

/** Clauses that begin a line. The longest match counts. */
const CLAUSES: string[][] = [
  "SELECT",
  "FROM",
  "WHERE",
  "GROUP BY",
  "ORDER BY",
  "PARTITION BY",
  "HAVING",
  "LIMIT",
  "OFFSET",
  "FETCH",
  "UNION ALL",
  "UNION",
  "INTERSECT",
  "EXCEPT",
  "INSERT INTO",
  "INSERT OR",
  "REPLACE INTO",
  "VALUES",
  "UPDATE",
  "SET",
  "DELETE FROM",
  "RETURNING",
  "ON CONFLICT",
  "WINDOW",
  "FOR UPDATE",
  "FOR SHARE",
  "LEFT OUTER JOIN",
  "RIGHT OUTER JOIN",
  "FULL OUTER JOIN",
  "LEFT JOIN",
  "RIGHT JOIN",
  "FULL JOIN",
  "INNER JOIN",
  "CROSS JOIN",
  "NATURAL JOIN",
  "JOIN",
].map((c) => c.split(" ")); // prettier-ignore

/** A statement up to this wide stays on one line. */
const LINE_WIDTH = 72;
/** Lists go on below from here; a side panel shows about as much. */
const LIST_WIDTH = 52;

/** Characters up to the end of the list's item that begins at a token. */
function itemWidth(tokens: Token[], at: number): number {
  let width = 0;
  for (let i = at; i < tokens.length && i < at + 16; i++) {
    const t = tokens[i]!;
    width += t.text.length + (t.spaced && i > at ? 1 : 0);
    if (t.text === "," || (t.kind === "keyword" && i > at)) break;
  }
  return width;
}

function clauseAt(tokens: Token[], i: number): number {
  let best = 0;
  for (const words of CLAUSES) {
    if (
      words.length > best &&
      words.every((w, k) => tokens[i + k]?.kind === "keyword" && tokens[i + k]!.text.toUpperCase() === w)
    ) {
      best = words.length;
    }
  }
  return best;
}

/** Lays a statement out in lines. A short one stays on one line. */
export function formatSql(sql: string): SqlLine[] {
  if (sql.length > SQL_MAX) {
    return [{ indent: 0, tokens: [{ kind: "name", text: sql, spaced: false }] }];
  }
  const tokens = tokenize(sql);
  if (tokens.some((t) => t.kind === "comment" && !t.text.startsWith("/*"))) return keepLines(sql);
  if (textWidth(tokens) <= LINE_WIDTH) return [{ indent: 0, tokens }];

  const lines: SqlLine[] = [];
  let line: SqlLine = { indent: 0, tokens: [] };
  let width = 0;
  // What each open parenthesis is: a subquery (with the indent outside it) or anything else (-1).
  const open: number[] = [];
  let base = 0;
  let between = false;
  let cases = 0;
  const next = (indent: number): void => {
    if (line.tokens.length) lines.push(line);
    line = { indent, tokens: [] };
    width = indent * 2;
  };
  const put = (token: Token): void => {
    width += token.text.length + (token.spaced && line.tokens.length ? 1 : 0);
    line.tokens.push(token);
  };
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    const word = token.kind === "keyword" ? token.text.toUpperCase() : "";
    const inside = open.length > 0 && open[open.length - 1] === -1;
    if (word === "CASE") cases++;
    if (word === "END" && cases) cases--;
    if (word === "BETWEEN") between = true;
    const clause = inside || cases ? 0 : clauseAt(tokens, i);
    if (clause) {
      next(base);
      for (let k = 0; k < clause; k++) put(tokens[i + k]!);
      i += clause - 1;
      continue;
    }
    if ((word === "AND" || word === "OR") && !inside && !cases) {
      if (between && word === "AND") between = false;
      else next(base + 1);
    } else if (word === "ON" && !inside) {
      if (width > LIST_WIDTH - 8) next(base + 1);
    } else if (token.text === ")") {
      const outer = open.pop();
      if (outer !== undefined && outer >= 0) {
        base = outer;
        next(base);
      }
    } else if (tokens[i - 1]?.text === "," && width + itemWidth(tokens, i) > LIST_WIDTH) {
      next(base + 1);
    }
    put(token);
    if (token.text === "(") {
      const first = tokens[i + 1]?.text.toUpperCase();
      if (first === "SELECT" || first === "WITH") {
        open.push(base);
        base = base + 1;
        next(base);
      } else {
        open.push(-1);
      }
    } else if (token.text === ";" && i + 1 < tokens.length) {
      base = 0;
      open.length = 0;
      next(0);
    }
  }
  next(0);
  return lines;
}

function keepLines(sql: string): SqlLine[] {
  return sql
    .split("\n")
    .map((text) => ({
      indent: Math.floor((text.length - text.trimStart().length) / 2),
      tokens: tokenize(text),
    }))
    .filter((line) => line.tokens.length);
}

const textWidth = (tokens: Token[]): number =>
  tokens.reduce((sum, t, i) => sum + t.text.length + (t.spaced && i ? 1 : 0), 0);

export function sqlText(lines: SqlLine[]): string {
  return lines
    .map((l) => "  ".repeat(l.indent) + l.tokens.map((t, i) => (t.spaced && i ? " " : "") + t.text).join(""))
    .join("\n");
}

const fingerprints = new Map<string, string>();
const FINGERPRINTS_MAX = 2000;

/** The statement without its values: literals become `?`, lists of values become one. */
export function fingerprint(sql: string): string {
  const known = fingerprints.get(sql);
  if (known !== undefined) return known;
  const text = tokenize(sql.slice(0, SQL_MAX))
    .filter((t) => t.kind !== "comment")
    .map((t) =>
      t.kind === "string" || t.kind === "number" || t.kind === "parameter" ? "?" : t.text.toLowerCase(),
    )
    .join(" ")
    .replace(/\( \?(?: , \?)+ \)/g, "( ? )");
  if (fingerprints.size >= FINGERPRINTS_MAX) fingerprints.clear();
  fingerprints.set(sql, text);
  return text;
}

/** A statement in a few words, for a row: `SELECT … FROM items WHERE id = ?`. */
export function shortSql(sql: string): string {
  const one = sql.replace(/\s+/g, " ").trim();
  return one.replace(/^(SELECT(?: DISTINCT)?) (?:(?! FROM ).){12,}? FROM /i, "$1 … FROM ");
}
