/*
 * The lexer of SQL dialects. Written from the dialects' manuals: PostgreSQL 17 §4.1, MySQL 8.4
 * §11.1, SQLite "SQL keywords and literals", T-SQL "Constants", Oracle "Literals" (q'[…]'). Any
 * thread.
 */
#include "derive/sql_lexer.h"

static bool is_space(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0;
}

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

static bool is_word_start(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool is_word(uint8_t c) {
    return is_word_start(c) || is_digit(c) || c == '$' || c == '#';
}

static uint8_t peek(const struct sql_lexer *l, const uint8_t *p) {
    return p < l->end ? *p : 0;
}

static const uint8_t *skip_line(const struct sql_lexer *l, const uint8_t *p) {
    while (p < l->end && *p != '\n')
        p++;
    return p;
}

/* Behind a block comment whose opening is at `p`. */
static const uint8_t *skip_comment(const struct sql_lexer *l, const uint8_t *p) {
    unsigned depth = 1;

    for (p += 2; p < l->end && depth; p++) {
        if (*p == '*' && peek(l, p + 1) == '/') {
            depth--;
            p++;
        } else if (l->dialect == SQL_POSTGRES && *p == '/' && peek(l, p + 1) == '*') {
            depth++;
            p++;
        }
    }
    return p < l->end ? p : l->end;
}

/* Behind a string that begins with the quote at `p`. Where a backslash before a quote could mean
 * either thing, all of the rest is taken for the string, so that no part of it can show. */
static const uint8_t *skip_string(const struct sql_lexer *l, const uint8_t *p, bool escapes) {
    uint8_t quote = *p++;

    for (; p < l->end; p++) {
        if (*p == '\\') {
            if (escapes || l->dialect == SQL_MYSQL)
                p++;
            else if (l->dialect == SQL_GENERIC && peek(l, p + 1) == quote)
                return l->end;
        } else if (*p == quote) {
            if (peek(l, p + 1) != quote)
                return p + 1;
            p++;
        }
    }
    return l->end;
}

/* Oracle's q'[…]': `p` is at the quote. */
static const uint8_t *skip_q_string(const struct sql_lexer *l, const uint8_t *p) {
    static const char open[] = "[{(<", shut[] = "]})>";
    uint8_t mark = peek(l, ++p);
    const char *pair = mark ? strchr(open, mark) : NULL;

    if (pair)
        mark = (uint8_t) shut[pair - open];
    for (p++; p + 1 < l->end; p++)
        if (*p == mark && p[1] == '\'')
            return p + 2;
    return l->end;
}

/* Behind a quoted identifier, or NULL when it is not closed. */
static const uint8_t *skip_identifier(const struct sql_lexer *l, const uint8_t *p, uint8_t close) {
    for (p++; p < l->end; p++)
        if (*p == close) {
            if (peek(l, p + 1) != close)
                return p + 1;
            p++;
        }
    return NULL;
}

/* $$…$$ and $tag$…$tag$; NULL when `p` does not begin one. Not closed: all of the rest. */
static const uint8_t *skip_dollar_string(const struct sql_lexer *l, const uint8_t *p) {
    const uint8_t *q = p + 1;

    while (q < l->end && is_word(*q) && *q != '$' && !(q == p + 1 && is_digit(*q)))
        q++;
    if (peek(l, q) != '$')
        return NULL;
    struct slice tag = slice_new(p, (size_t) (q + 1 - p));
    ptrdiff_t at = slice_find(slice_new(q + 1, (size_t) (l->end - q - 1)), tag);
    return at < 0 ? l->end : q + 1 + at + tag.size;
}

static const uint8_t *skip_word(const struct sql_lexer *l, const uint8_t *p) {
    while (p < l->end && is_word(*p))
        p++;
    return p;
}

static const uint8_t *skip_number(const struct sql_lexer *l, const uint8_t *p) {
    for (; p < l->end; p++) {
        bool exponent_sign =
                (*p == '+' || *p == '-') && (p[-1] | 0x20) == 'e' && is_digit(peek(l, p + 1));
        if (!is_word(*p) && *p != '.' && !exponent_sign)
            break;
    }
    return p;
}

static struct sql_token token(struct sql_lexer *l, enum sql_token_kind kind, const uint8_t *end) {
    struct sql_token t = {kind, slice_new(l->at, (size_t) (end - l->at))};

    l->at = end;
    return t;
}

/* Whether "…" is an identifier. */
static bool quotes_identifier(const struct sql_lexer *l, const uint8_t *end) {
    if (l->dialect == SQL_POSTGRES || l->dialect == SQL_STRICT || l->dialect == SQL_MSSQL)
        return true;
    if (l->dialect == SQL_MYSQL)
        return false;
    if (l->operand && peek(l, end) != '.')
        return false;
    for (const uint8_t *p = l->at + 1; p < end - 1; p++)
        if (!is_word(*p) && *p != ' ' && *p != '-' && *p != '.')
            return false;
    return true;
}

static struct sql_token quoted(struct sql_lexer *l) {
    const uint8_t *p = l->at, *end = NULL;

    if (*p == '\'')
        return token(l, SQL_LITERAL, skip_string(l, p, false));
    if (*p == '"') {
        end = skip_identifier(l, p, '"');
        if (end && quotes_identifier(l, end))
            return token(l, SQL_IDENTIFIER, end);
        return token(l, SQL_LITERAL, skip_string(l, p, false));
    }
    end = skip_identifier(l, p, *p == '[' ? ']' : *p);
    if (!end)
        return token(l, SQL_LITERAL, l->end);
    return token(l, SQL_IDENTIFIER, end);
}

/* A word, or a string that a word introduces: N'…', x'…', _utf8'…', E'…', q'[…]', U&'…'. */
static struct sql_token word(struct sql_lexer *l) {
    const uint8_t *p = l->at, *end = skip_word(l, p);
    size_t size = (size_t) (end - p);
    uint8_t first = *p | 0x20, last = end[-1] | 0x20;

    if (peek(l, end) == '&' && first == 'u' && size == 1 &&
        (peek(l, end + 1) == '\'' || peek(l, end + 1) == '"')) {
        if (end[1] == '\'')
            return token(l, SQL_LITERAL, skip_string(l, end + 1, false));
        l->at = end + 1;
        return quoted(l);
    }
    if (peek(l, end) != '\'')
        return token(l, SQL_WORD, end);
    if (last == 'q' && size <= 2)
        return token(l, SQL_LITERAL, skip_q_string(l, end));
    if (size <= 2 || *p == '_')
        return token(l, SQL_LITERAL, skip_string(l, end, first == 'e' && size == 1));
    return token(l, SQL_WORD, end);
}

/* ? ?1 $1 $name :name :1 @name %s %(name)s {name:Type}; NULL: none. */
static const uint8_t *parameter(const struct sql_lexer *l) {
    const uint8_t *p = l->at;
    uint8_t next = peek(l, p + 1);

    switch (*p) {
    case '?':
        while (p + 1 < l->end && is_digit(p[1]))
            p++;
        return p + 1;
    case ':':
    case '@':
        if (next == *p) /* a::type, @@variable */
            return NULL;
        return is_word(next) ? skip_word(l, p + 1) : NULL;
    case '$': return is_word(next) ? skip_word(l, p + 1) : NULL;
    case '%':
        if (next == '(') {
            for (p += 2; p < l->end && (is_word(*p) || *p == '.'); p++) {
            }
            return peek(l, p) == ')' && is_word_start(peek(l, p + 1)) ? p + 2 : NULL;
        }
        return next == 's' && !is_word(peek(l, p + 2)) ? p + 2 : NULL;
    case '{': {
        const uint8_t *end = skip_word(l, p + 1);
        if (end == p + 1 || peek(l, end) != ':')
            return NULL;
        while (end < l->end && *end != '}')
            end++;
        return end < l->end ? end + 1 : l->end;
    }
    default: return NULL;
    }
}

/* Behind the comment at `p`, or NULL when there is none. */
static const uint8_t *comment(const struct sql_lexer *l, const uint8_t *p) {
    if ((*p == '-' && peek(l, p + 1) == '-') || (*p == '#' && l->dialect == SQL_MYSQL))
        return skip_line(l, p);
    return *p == '/' && peek(l, p + 1) == '*' ? skip_comment(l, p) : NULL;
}

struct sql_token sql_next(struct sql_lexer *l) {
    const uint8_t *p = l->at, *end;

    if (p >= l->end)
        return (struct sql_token){SQL_END, SLICE_EMPTY};
    if (is_space(*p)) {
        while (p < l->end && is_space(*p))
            p++;
        return token(l, SQL_SPACE, p);
    }
    end = comment(l, p);
    if (end)
        return token(l, SQL_COMMENT, end);
    if (is_word_start(*p))
        return word(l);
    if (*p == '\'' || *p == '"' || *p == '`')
        return quoted(l);
    if (*p == '[' && l->dialect == SQL_MSSQL && is_word_start(peek(l, p + 1)))
        return quoted(l);
    if (is_digit(*p) || (*p == '.' && is_digit(peek(l, p + 1))))
        return token(l, SQL_LITERAL, skip_number(l, p + 1));
    if (*p == '$') {
        end = skip_dollar_string(l, p);
        if (end)
            return token(l, SQL_LITERAL, end);
    }
    end = parameter(l);
    if (end)
        return token(l, SQL_PARAMETER, end);
    if (*p == ':' && peek(l, p + 1) == ':')
        return token(l, SQL_PUNCTUATION, p + 2);
    if (*p == '@' && peek(l, p + 1) == '@')
        return token(l, SQL_PUNCTUATION, skip_word(l, p + 2));
    return token(l, SQL_PUNCTUATION, p + 1);
}
