/* See sql.h. A lexer for the common ground of the dialects: '…' with doubled or backslashed quotes,
 * dollar quotes of PostgreSQL, numbers, x'…' and the like, "…", `…` and […] as names, -- # and
 * nested block comments. What it does not understand it passes on as single characters; an
 * unterminated literal swallows the rest. */
#include "sql.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

struct lexer {
    const char *at, *end;
    struct buf *out;
    bool space; /* a space is due before the next token */
    bool want_collection;
    bool mysql;
    struct sql_summary *summary;
};

static bool is_word_start(unsigned char c) {
    return isalpha(c) || c == '_' || c >= 0x80;
}

static bool is_word(unsigned char c) {
    return isalnum(c) || c == '_' || c == '$' || c >= 0x80;
}

static void put(struct lexer *l, const char *text, size_t n) {
    char last = l->out->used ? l->out->data[l->out->used - 1] : ' ';

    if (l->space && last != ' ')
        buf_append(l->out, " ", 1);
    l->space = false;
    if (l->out->used + n > l->out->cap)
        n = l->out->cap - l->out->used;
    buf_append(l->out, text, n);
}

/* Skips to after the closing quote; doubled quotes and (in strings) backslashes escape. */
static void skip_quoted(struct lexer *l, char quote, bool backslash) {
    for (l->at++; l->at < l->end; l->at++) {
        if (backslash && *l->at == '\\' && l->at + 1 < l->end) {
            l->at++;
        } else if (*l->at == quote) {
            l->at++;
            if (l->at < l->end && *l->at == quote)
                continue;
            return;
        }
    }
}

static void skip_block_comment(struct lexer *l) {
    unsigned depth = 0;

    while (l->at < l->end) {
        if (l->end - l->at >= 2 && l->at[0] == '/' && l->at[1] == '*') {
            depth++;
            l->at += 2;
        } else if (l->end - l->at >= 2 && l->at[0] == '*' && l->at[1] == '/') {
            l->at += 2;
            if (--depth == 0)
                return;
        } else {
            l->at++;
        }
    }
}

/* $tag$ … $tag$; returns false when this is not one (a parameter, $1). */
static bool skip_dollar_quoted(struct lexer *l) {
    const char *p = l->at + 1;
    size_t n;

    while (p < l->end && is_word((unsigned char) *p) && *p != '$')
        p++;
    if (p == l->end || *p != '$' || isdigit((unsigned char) l->at[1]))
        return false;
    n = (size_t) (p + 1 - l->at);
    p = memmem(p + 1, (size_t) (l->end - p - 1), l->at, n);
    l->at = p ? p + n : l->end;
    return true;
}

static void skip_number(struct lexer *l) {
    if (*l->at == '0' && l->end - l->at > 1 && (l->at[1] | 0x20) == 'x') {
        l->at += 2;
        while (l->at < l->end && isxdigit((unsigned char) *l->at))
            l->at++;
        return;
    }
    while (l->at < l->end && (isalnum((unsigned char) *l->at) || *l->at == '.' || *l->at == '_' ||
                              ((*l->at == '+' || *l->at == '-') && (l->at[-1] | 0x20) == 'e')))
        l->at++;
}

static bool word_is(const char *word, size_t n, const char *other) {
    return strlen(other) == n && strncasecmp(word, other, n) == 0;
}

static void note_collection(struct lexer *l, const char *word, size_t n) {
    struct sql_summary *s = l->summary;

    if (n < sizeof(s->collection))
        snprintf(s->collection, sizeof(s->collection), "%.*s", (int) n, word);
    l->want_collection = false;
}

static void note_word(struct lexer *l, const char *word, size_t n) {
    static const char *const before[] = {"from", "into", "update", "table", "join"};
    struct sql_summary *s = l->summary;

    if (!s->operation[0]) {
        if (n < sizeof(s->operation))
            for (size_t i = 0; i <= n; i++)
                s->operation[i] = i < n ? (char) toupper((unsigned char) word[i]) : '\0';
        l->want_collection = word_is(word, n, "update") || word_is(word, n, "copy");
        return;
    }
    if (s->collection[0])
        return;
    if (l->want_collection) {
        if (!word_is(word, n, "if") && !word_is(word, n, "not") && !word_is(word, n, "exists") &&
            !word_is(word, n, "only") && !word_is(word, n, "or"))
            note_collection(l, word, n);
        return;
    }
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
        if (word_is(word, n, before[i]))
            l->want_collection = true;
}

static void lex_word(struct lexer *l) {
    const char *start = l->at;
    size_t n;

    while (l->at < l->end && (is_word((unsigned char) *l->at) || *l->at == '.'))
        l->at++;
    n = (size_t) (l->at - start);
    /* E'…', N'…', B'…', X'…', U&'…' are literals with a prefix. */
    if (n == 1 && l->at < l->end && *l->at == '\'' && strchr("eEnNbBxX", *start)) {
        skip_quoted(l, '\'', l->mysql || *start == 'e' || *start == 'E');
        put(l, "?", 1);
        return;
    }
    note_word(l, start, n);
    put(l, start, n);
}

static void lex_name(struct lexer *l, char close) {
    const char *start = l->at;
    size_t n;

    if (close == ']') {
        while (l->at < l->end && *l->at != ']')
            l->at++;
        l->at += l->at < l->end;
    } else {
        skip_quoted(l, close, false);
    }
    n = (size_t) (l->at - start);
    if (l->want_collection && n > 2 && !l->summary->collection[0])
        note_collection(l, start + 1, n - 2);
    put(l, start, n);
}

static bool is_array_bracket(const struct lexer *l) {
    /* [name] of SQL Server follows a space or a dot; ARRAY[1] and x[1] do not. */
    return l->out->used && (is_word((unsigned char) l->out->data[l->out->used - 1]) && !l->space);
}

/* "…" is a name in standard SQL, a string in MySQL, and in SQLite a string where no such name
 * exists: after a comparison it is taken for a string. */
static bool is_string(const struct lexer *l) {
    char last = l->out->used ? l->out->data[l->out->used - 1] : ' ';
    const char *close;

    if (l->mysql)
        return true;
    if (last != '=' && last != '<' && last != '>')
        return false;
    close = memchr(l->at + 1, '"', (size_t) (l->end - l->at - 1));
    return !close || close + 1 == l->end || close[1] != '.';
}

static void lex_one(struct lexer *l) {
    unsigned char c = (unsigned char) *l->at;
    size_t left = (size_t) (l->end - l->at);

    if (isspace(c)) {
        l->space = true;
        l->at++;
    } else if ((c == '-' && left > 1 && l->at[1] == '-') ||
               (c == '#' && l->mysql)) { /* elsewhere # is an operator */
        while (l->at < l->end && *l->at != '\n')
            l->at++;
        l->space = true;
    } else if (c == '/' && left > 1 && l->at[1] == '*') {
        skip_block_comment(l);
        l->space = true;
    } else if (c == '\'' || (c == '"' && is_string(l))) {
        skip_quoted(l, (char) c, l->mysql);
        put(l, "?", 1);
    } else if (c == '"' || c == '`') {
        lex_name(l, (char) c);
    } else if (c == '[' && left > 1 && is_word_start((unsigned char) l->at[1]) &&
               !is_array_bracket(l)) {
        lex_name(l, ']');
    } else if (c == '$' && left > 1 && skip_dollar_quoted(l)) {
        put(l, "?", 1);
    } else if (isdigit(c) || (c == '.' && left > 1 && isdigit((unsigned char) l->at[1]))) {
        skip_number(l);
        put(l, "?", 1);
    } else if ((c == '$' || c == ':' || c == '@' || c == '%') && left > 1 &&
               (is_word((unsigned char) l->at[1]) || l->at[1] == '(')) {
        const char *start =
                l->at++; /* a parameter: :name, $1, @p, %s, %(name)s; its digits are no literal */
        while (l->at < l->end && is_word((unsigned char) *l->at))
            l->at++;
        put(l, start, (size_t) (l->at - start));
    } else if (is_word_start(c)) {
        lex_word(l);
    } else {
        if (c == '(')
            l->want_collection = false; /* a query stands where a name could */
        put(l, l->at++, 1);
    }
}

void sql_sanitize(const char *text, size_t n, bool mysql, struct buf *out,
                  struct sql_summary *ret) {
    struct lexer l = {.at = text, .end = text + n, .out = out, .mysql = mysql, .summary = ret};

    memset(ret, 0, sizeof(*ret));
    while (l.at < l.end && out->used < out->cap)
        lex_one(&l);
    /* Do not cut a character in two: the last one goes, when it is more than a byte. */
    if (out->used == out->cap) {
        while (out->used && ((unsigned char) out->data[out->used - 1] & 0xc0) == 0x80)
            out->used--;
        if (out->used && (unsigned char) out->data[out->used - 1] >= 0xc0)
            out->used--;
    }
}
