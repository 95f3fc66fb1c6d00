/* Tokens of PromQL. The text belongs to the caller. */
#include "query/promql/lexer.h"

#include <errno.h>
#include <stdio.h>

void lexer_init(struct lexer *l, struct slice text) {
    *l = (struct lexer){.text = text};
}

static int peek(const struct lexer *l, uint32_t ahead) {
    return l->at + (size_t) ahead < l->text.size ? l->text.data[l->at + ahead] : -1;
}

static bool is_digit(int c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(int c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_hex(int c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static struct token make(const struct lexer *l, enum token_kind kind, uint32_t start) {
    return (struct token){kind, start, l->at, slice_new(l->text.data + start, l->at - start)};
}

static struct token fail(struct lexer *l, uint32_t start, const char *why) {
    l->error = why;
    return make(l, TOKEN_ERROR, start);
}

static void skip_blanks(struct lexer *l) {
    for (;;) {
        int c = peek(l, 0);

        if (c == '#') {
            while (peek(l, 0) >= 0 && peek(l, 0) != '\n')
                l->at++;
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            l->at++;
        } else {
            return;
        }
    }
}

/* Bytes of a duration unit at the position (ms, s, m, h, d, w, y), 0 when there is none. */
static uint32_t unit_size(const struct lexer *l, uint32_t ahead) {
    int c = peek(l, ahead);

    if (c == 'm' && peek(l, ahead + 1) == 's')
        return 2;
    return c == 's' || c == 'm' || c == 'h' || c == 'd' || c == 'w' || c == 'y' ? 1 : 0;
}

static struct token lex_number(struct lexer *l) {
    uint32_t start = l->at, n = 0, unit;

    if (peek(l, 0) == '0' && (peek(l, 1) == 'x' || peek(l, 1) == 'X')) {
        l->at += 2;
        while (is_hex(peek(l, 0)))
            l->at++;
        if (is_letter(peek(l, 0)) || l->at == start + 2)
            return fail(l, start, "bad number or duration syntax");
        return make(l, TOKEN_NUMBER, start);
    }
    while (is_digit(peek(l, n)))
        n++;
    if (n && (unit = unit_size(l, n)) > 0) {
        while (unit) {
            n += unit;
            uint32_t digits = 0;
            while (is_digit(peek(l, n + digits)))
                digits++;
            unit = digits ? unit_size(l, n + digits) : 0;
            if (unit)
                n += digits;
        }
        l->at += n;
        if (is_letter(peek(l, 0)) || is_digit(peek(l, 0)) || peek(l, 0) == '.')
            return fail(l, start, "bad number or duration syntax");
        return make(l, TOKEN_DURATION, start);
    }
    l->at += n;
    if (peek(l, 0) == '.') {
        l->at++;
        while (is_digit(peek(l, 0)))
            l->at++;
    }
    int e = peek(l, 0);
    if (e == 'e' || e == 'E') {
        uint32_t sign = peek(l, 1) == '+' || peek(l, 1) == '-';

        if (is_digit(peek(l, 1 + sign))) {
            l->at += 1 + sign;
            while (is_digit(peek(l, 0)))
                l->at++;
        }
    }
    if (is_letter(peek(l, 0)) || peek(l, 0) == '.')
        return fail(l, start, "bad number or duration syntax");
    return make(l, TOKEN_NUMBER, start);
}

static struct token lex_string(struct lexer *l) {
    uint32_t start = l->at;
    int quote = peek(l, 0);

    l->at++;
    for (;;) {
        int c = peek(l, 0);

        if (c < 0)
            return fail(l, start, "unterminated quoted string");
        if (c == '\n' && quote != '`')
            return fail(l, start, "unterminated quoted string");
        l->at++;
        if (c == quote)
            return make(l, TOKEN_STRING, start);
        if (c == '\\' && quote != '`') {
            if (peek(l, 0) < 0)
                return fail(l, start, "escape sequence not terminated");
            l->at++;
        }
    }
}

static struct token lex_punctuation(struct lexer *l) {
    static const struct {
        char text[3];
        enum token_kind kind;
    } table[] = {
            /* The longer ones first. */
            {"==", TOKEN_EQ},
            {"=~", TOKEN_REGEX},
            {"!=", TOKEN_NE},
            {"!~", TOKEN_NOT_REGEX},
            {"</", TOKEN_TRIM_UPPER},
            {">/", TOKEN_TRIM_LOWER},
            {"<=", TOKEN_LE},
            {">=", TOKEN_GE},
            {"<", TOKEN_LT},
            {">", TOKEN_GT},
            {"=", TOKEN_ASSIGN},
            {"(", TOKEN_LEFT_PAREN},
            {")", TOKEN_RIGHT_PAREN},
            {"{", TOKEN_LEFT_BRACE},
            {"}", TOKEN_RIGHT_BRACE},
            {"[", TOKEN_LEFT_BRACKET},
            {"]", TOKEN_RIGHT_BRACKET},
            {",", TOKEN_COMMA},
            {":", TOKEN_COLON},
            {"@", TOKEN_AT},
            {"+", TOKEN_ADD},
            {"-", TOKEN_SUB},
            {"*", TOKEN_MUL},
            {"/", TOKEN_DIV},
            {"%", TOKEN_MOD},
            {"^", TOKEN_POW},
    };
    uint32_t start = l->at;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        uint32_t n = (uint32_t) strlen(table[i].text);

        if (peek(l, 0) == table[i].text[0] && (n == 1 || peek(l, 1) == table[i].text[1])) {
            l->at += n;
            return make(l, table[i].kind, start);
        }
    }
    l->at++;
    return fail(l, start, "unexpected character");
}

struct token lexer_next(struct lexer *l) {
    skip_blanks(l);
    uint32_t start = l->at;
    int c = peek(l, 0);

    if (c < 0)
        return make(l, TOKEN_END, start);
    if (is_digit(c) || (c == '.' && is_digit(peek(l, 1))))
        return lex_number(l);
    if (c == '"' || c == '\'' || c == '`')
        return lex_string(l);
    if (is_letter(c) ||
        (c == ':' && !l->brackets && (is_letter(peek(l, 1)) || peek(l, 1) == ':'))) {
        while (is_letter(peek(l, 0)) || is_digit(peek(l, 0)) || (peek(l, 0) == ':' && !l->brackets))
            l->at++;
        return make(l, TOKEN_NAME, start);
    }
    return lex_punctuation(l);
}

const char *token_describe(const struct token *t, char *scratch, size_t size) {
    int n = (int) (t->text.size < 60 ? t->text.size : 60);

    switch (t->kind) {
    case TOKEN_END: return "end of input";
    case TOKEN_NUMBER: snprintf(scratch, size, "number \"%.*s\"", n, t->text.data); break;
    case TOKEN_DURATION: snprintf(scratch, size, "duration \"%.*s\"", n, t->text.data); break;
    case TOKEN_STRING: snprintf(scratch, size, "string %.*s", n, t->text.data); break;
    case TOKEN_NAME: snprintf(scratch, size, "identifier \"%.*s\"", n, t->text.data); break;
    default: snprintf(scratch, size, "\"%.*s\"", n, t->text.data); break;
    }
    return scratch;
}

/* ---- Strings. ---- */

static size_t put_utf8(uint8_t *p, uint32_t c) {
    if (c < 0x80) {
        p[0] = (uint8_t) c;
        return 1;
    }
    if (c < 0x800) {
        p[0] = (uint8_t) (0xc0 | c >> 6);
        p[1] = (uint8_t) (0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        p[0] = (uint8_t) (0xe0 | c >> 12);
        p[1] = (uint8_t) (0x80 | (c >> 6 & 63));
        p[2] = (uint8_t) (0x80 | (c & 63));
        return 3;
    }
    p[0] = (uint8_t) (0xf0 | c >> 18);
    p[1] = (uint8_t) (0x80 | (c >> 12 & 63));
    p[2] = (uint8_t) (0x80 | (c >> 6 & 63));
    p[3] = (uint8_t) (0x80 | (c & 63));
    return 4;
}

static int hex_value(uint8_t c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads `n` digits of `base` at s[*i]. */
static int read_digits(struct slice s, size_t *i, size_t n, int base, uint32_t *ret) {
    uint32_t v = 0;

    for (size_t k = 0; k < n; k++, (*i)++) {
        int d = *i < s.size ? hex_value(s.data[*i]) : -1;

        if (d < 0 || d >= base)
            return -EINVAL;
        v = v * (uint32_t) base + (uint32_t) d;
    }
    *ret = v;
    return 0;
}

/* One escape, s[*i] behind the backslash. */
static int unescape(struct slice s, size_t *i, uint8_t quote, uint8_t *out, size_t *n) {
    static const char from[] = "abfnrtv\\", to[] = "\a\b\f\n\r\t\v\\";
    uint8_t c = s.data[(*i)++];
    const char *known = c ? strchr(from, c) : NULL;
    uint32_t v = 0;
    int r;

    if (known) {
        out[(*n)++] = (uint8_t) to[known - from];
        return 0;
    }
    if (c == quote) {
        out[(*n)++] = c;
        return 0;
    }
    if (c == 'x' || (c >= '0' && c <= '7')) {
        if (c == 'x') {
            r = read_digits(s, i, 2, 16, &v);
        } else {
            (*i)--;
            r = read_digits(s, i, 3, 8, &v);
        }
        if (r < 0 || v > 255)
            return -EINVAL;
        out[(*n)++] = (uint8_t) v;
        return 0;
    }
    if (c != 'u' && c != 'U')
        return -EINVAL;
    r = read_digits(s, i, c == 'u' ? 4 : 8, 16, &v);
    if (r < 0 || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
        return -EINVAL;
    *n += put_utf8(out + *n, v);
    return 0;
}

int string_unquote(struct arena *a, struct slice quoted, struct slice *ret) {
    if (quoted.size < 2)
        return -EINVAL;
    uint8_t quote = quoted.data[0];
    struct slice s = slice_new(quoted.data + 1, quoted.size - 2);
    uint8_t *out = arena_alloc(a, s.size + 1);
    size_t n = 0;

    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < s.size;) {
        if (s.data[i] != '\\' || quote == '`') {
            out[n++] = s.data[i++];
            continue;
        }
        i++;
        int r = i < s.size ? unescape(s, &i, quote, out, &n) : -EINVAL;
        if (r < 0)
            return r;
    }
    out[n] = 0;
    *ret = slice_new(out, n);
    return 0;
}
