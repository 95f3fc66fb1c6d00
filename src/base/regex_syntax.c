/*
 * RE2's regular expression syntax (https://github.com/google/re2/wiki/Syntax, as Go implements it):
 * one pass that refuses what RE2 refuses and rewrites what PCRE2 would read differently. Pure: any
 * thread.
 */
#include "base/regex.h"

#include <errno.h>

struct translator {
    struct slice in;
    size_t at;
    struct buffer *out;
    unsigned depth;
    bool atom, repeated; /* what stands before: something repeatable; a repetition already */
    const char *why;
};

#define SPACE_CLASS "\\t\\n\\f\\r\\x20"
#define NOT_SPACE_CLASS "\\x{0}-\\x{8}\\x{b}\\x{e}-\\x{1f}\\x{21}-\\x{10ffff}"

static int fail(struct translator *t, const char *why) {
    t->why = why;
    return -EINVAL;
}

static int peek(const struct translator *t, size_t ahead) {
    return t->at + ahead < t->in.size ? t->in.data[t->at + ahead] : -1;
}

static bool alnum(int c) {
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static int hex(int c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void put_literal(struct translator *t, uint8_t c) {
    if (c < 0x80 && !alnum(c) && c > ' ' && c != 0x7f)
        buffer_append_u8(t->out, '\\');
    if (c == 0)
        buffer_append_text(t->out, "\\x{0}");
    else
        buffer_append_u8(t->out, c);
}

static int put_code(struct translator *t, uint32_t v) {
    if (v > 0x10ffff)
        return fail(t, "invalid escape sequence");
    buffer_printf(t->out, "\\x{%x}", v);
    return 0;
}

/* \x41, \x{1F600}; behind the x. */
static int hex_escape(struct translator *t) {
    uint32_t v = 0;
    size_t digits = 0;

    if (peek(t, 0) != '{') {
        int a = hex(peek(t, 0)), b = hex(peek(t, 1));

        if (a < 0 || b < 0)
            return fail(t, "invalid escape sequence");
        t->at += 2;
        return put_code(t, (uint32_t) (a * 16 + b));
    }
    t->at++;
    for (; hex(peek(t, 0)) >= 0 && digits < 8; digits++, t->at++)
        v = v * 16 + (uint32_t) hex(peek(t, 0));
    if (!digits || peek(t, 0) != '}')
        return fail(t, "invalid escape sequence");
    t->at++;
    return put_code(t, v);
}

/* \pL, \p{Greek}, \p{^Greek}; behind the p. */
static int property_escape(struct translator *t, int letter) {
    buffer_printf(t->out, "\\%c", letter);
    if (peek(t, 0) != '{') {
        if (!alnum(peek(t, 0)))
            return fail(t, "invalid character class range");
        buffer_append_u8(t->out, (uint8_t) peek(t, 0));
        t->at++;
        return 0;
    }
    size_t n = 1;
    if (peek(t, n) == '^')
        n++;
    while (alnum(peek(t, n)) || peek(t, n) == '_')
        n++;
    if (peek(t, n) != '}' || n > 40)
        return fail(t, "invalid character class range");
    buffer_append(t->out, t->in.data + t->at, n + 1);
    t->at += n + 1;
    return 0;
}

/* Escapes that stand for one character; `c` taken. 1: not one of these. */
static int character_escape(struct translator *t, int c) {
    static const char from[] = "afnrtv";
    static const uint8_t to[] = {7, 12, 10, 13, 9, 11};
    const char *known = c > 0 ? strchr(from, c) : NULL;

    if (known)
        return put_code(t, to[known - from]);
    if (c == 'x')
        return hex_escape(t);
    if (c >= '0' && c <= '7') {
        uint32_t v = (uint32_t) (c - '0');
        int digits = 1;

        if (c != '0' && !(peek(t, 0) >= '0' && peek(t, 0) <= '7'))
            return fail(t, "invalid escape sequence"); /* a back-reference */
        for (; digits < 3 && peek(t, 0) >= '0' && peek(t, 0) <= '7'; digits++, t->at++)
            v = v * 8 + (uint32_t) (peek(t, 0) - '0');
        return put_code(t, v);
    }
    if (c > 0 && c < 0x80 && !alnum(c)) {
        put_literal(t, (uint8_t) c);
        return 0;
    }
    return 1;
}

static int escape(struct translator *t) {
    t->at++;
    int c = peek(t, 0);
    if (c < 0)
        return fail(t, "trailing backslash at end of expression");
    t->at++;
    t->atom = true;
    t->repeated = false;
    switch (c) {
    case 'A':
    case 'z':
    case 'b':
    case 'B':
    case 'd':
    case 'D':
    case 'w':
    case 'W': buffer_printf(t->out, "\\%c", c); return 0;
    case 's': buffer_append_text(t->out, "[" SPACE_CLASS "]"); return 0;
    case 'S': buffer_append_text(t->out, "[^" SPACE_CLASS "]"); return 0;
    case 'p':
    case 'P': return property_escape(t, c);
    case 'Q':
        while (t->at < t->in.size && !(peek(t, 0) == '\\' && peek(t, 1) == 'E'))
            put_literal(t, t->in.data[t->at++]);
        t->at += t->at < t->in.size ? 2 : 0;
        return 0;
    default: break;
    }
    int r = character_escape(t, c);
    return r > 0 ? fail(t, "invalid escape sequence") : r;
}

/* ---- Classes. ---- */

static int class_escape(struct translator *t, bool *ret_single) {
    t->at++;
    int c = peek(t, 0);
    if (c < 0)
        return fail(t, "missing closing ]");
    t->at++;
    *ret_single = false;
    switch (c) {
    case 'd':
    case 'D':
    case 'w':
    case 'W': buffer_printf(t->out, "\\%c", c); return 0;
    case 's': buffer_append_text(t->out, SPACE_CLASS); return 0;
    case 'S': buffer_append_text(t->out, NOT_SPACE_CLASS); return 0;
    case 'p':
    case 'P': return property_escape(t, c);
    default: break;
    }
    *ret_single = true;
    int r = character_escape(t, c);
    return r > 0 ? fail(t, "invalid escape sequence") : r;
}

/* [:alpha:] and its like. 1: copied, 0: not one, negative. */
static int posix_class(struct translator *t) {
    static const char *const names[] = {"alnum", "alpha", "ascii", "blank", "cntrl",
                                        "digit", "graph", "lower", "print", "punct",
                                        "space", "upper", "word",  "xdigit"};
    struct slice rest = slice_skip(t->in, t->at);
    ptrdiff_t end = slice_find(rest, SLICE(":]"));

    if (!slice_starts(rest, SLICE("[:")) || end < 0)
        return 0;
    struct slice name = slice_new(rest.data + 2, (size_t) end - 2);
    if (name.size && name.data[0] == '^')
        name = slice_skip(name, 1);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (slice_is(name, names[i])) {
            buffer_append(t->out, rest.data, (size_t) end + 2);
            t->at += (size_t) end + 2;
            return 1;
        }
    return fail(t, "invalid character class range");
}

static int class_item(struct translator *t, bool *ret_single) {
    int r;

    *ret_single = true;
    if (peek(t, 0) == '\\')
        return class_escape(t, ret_single);
    if (peek(t, 0) == '[') {
        r = posix_class(t);
        if (r != 0) {
            *ret_single = false;
            return r < 0 ? r : 0;
        }
    }
    if (t->in.data[t->at] >= 0x80) {
        /* A whole character: the range check below looks at items, not at bytes. */
        do
            buffer_append_u8(t->out, t->in.data[t->at++]);
        while (t->at < t->in.size && (t->in.data[t->at] & 0xc0) == 0x80);
        return 0;
    }
    put_literal(t, t->in.data[t->at++]);
    return 0;
}

static int character_class(struct translator *t) {
    bool first = true, single;

    buffer_append_u8(t->out, '[');
    t->at++;
    if (peek(t, 0) == '^') {
        buffer_append_u8(t->out, '^');
        t->at++;
    }
    for (; first || peek(t, 0) != ']'; first = false) {
        if (peek(t, 0) < 0)
            return fail(t, "missing closing ]");
        int r = class_item(t, &single);
        if (r < 0)
            return r;
        if (peek(t, 0) == '-' && peek(t, 1) != ']' && peek(t, 1) >= 0) {
            if (!single)
                return fail(t, "invalid character class range");
            buffer_append_u8(t->out, '-');
            t->at++;
            r = class_item(t, &single);
            if (r < 0)
                return r;
            if (!single)
                return fail(t, "invalid character class range");
        }
    }
    t->at++;
    buffer_append_u8(t->out, ']');
    t->atom = true;
    t->repeated = false;
    return 0;
}

/* ---- Groups and repetition. ---- */

static int group(struct translator *t) {
    if (++t->depth > REGEX_DEPTH_MAX)
        return fail(t, "expression nests too deeply");
    t->atom = t->repeated = false;
    if (peek(t, 1) != '?') {
        buffer_append_u8(t->out, '(');
        t->at++;
        return 0;
    }
    size_t n = 2;
    if (peek(t, n) == 'P' && peek(t, n + 1) == '<')
        n++;
    if (peek(t, n) == '<' && (alnum(peek(t, n + 1)) || peek(t, n + 1) == '_')) {
        size_t from = n + 1, end = from;

        while (alnum(peek(t, end)) || peek(t, end) == '_')
            end++;
        if (peek(t, end) != '>')
            return fail(t, "invalid named capture");
        /* PCRE2 wants names that begin with a letter; ours are ours to choose. */
        buffer_append_text(t->out, "(?<");
        if (peek(t, from) >= '0' && peek(t, from) <= '9')
            return fail(t, "named captures that begin with a digit are not supported");
        buffer_append(t->out, t->in.data + t->at + from, end - from + 1);
        t->at += end + 1;
        return 0;
    }
    bool minus = false, any = false;
    for (;; n++) {
        int c = peek(t, n);

        if (c == 'i' || c == 'm' || c == 's' || c == 'U') {
            any = true;
        } else if (c == '-' && !minus) {
            minus = true;
            any = false;
        } else if ((c == ':' || c == ')') && (any || !minus) && (n > 2 || c == ':')) {
            break;
        } else {
            return fail(t, "invalid or unsupported Perl syntax");
        }
    }
    buffer_append(t->out, t->in.data + t->at, n + 1);
    if (peek(t, n) == ')')
        t->depth--;
    t->at += n + 1;
    return 0;
}

/* {n}, {n,}, {n,m} at the position: its length, 0 when it is literal text, negative. */
static int repeat_count(struct translator *t) {
    size_t n = 1;
    uint32_t low = 0, high = 0;
    size_t digits = 0;

    for (; peek(t, n) >= '0' && peek(t, n) <= '9'; n++, digits++)
        low = low > 100000 ? low : low * 10 + (uint32_t) (peek(t, n) - '0');
    if (!digits)
        return 0;
    high = low;
    if (peek(t, n) == ',') {
        n++;
        if (peek(t, n) != '}') {
            for (high = 0, digits = 0; peek(t, n) >= '0' && peek(t, n) <= '9'; n++, digits++)
                high = high > 100000 ? high : high * 10 + (uint32_t) (peek(t, n) - '0');
            if (!digits)
                return 0;
        }
    }
    if (peek(t, n) != '}')
        return 0;
    if (low > REGEX_REPEAT_MAX || high > REGEX_REPEAT_MAX || high < low)
        return fail(t, "invalid repeat count");
    return (int) n + 1;
}

static int repetition(struct translator *t, size_t size) {
    if (t->repeated)
        return fail(t, "invalid nested repetition operator");
    if (!t->atom)
        return fail(t, "missing argument to repetition operator");
    buffer_append(t->out, t->in.data + t->at, size);
    t->at += size;
    if (peek(t, 0) == '?') {
        buffer_append_u8(t->out, '?');
        t->at++;
    }
    t->repeated = true;
    return 0;
}

static int one(struct translator *t) {
    int c = peek(t, 0), n;

    switch (c) {
    case '\\': return escape(t);
    case '[': return character_class(t);
    case '(': return group(t);
    case ')':
        if (t->depth == 0)
            return fail(t, "unexpected )");
        t->depth--;
        buffer_append_u8(t->out, ')');
        break;
    case '*':
    case '+':
    case '?': return repetition(t, 1);
    case '{':
        n = repeat_count(t);
        if (n != 0)
            return n < 0 ? n : repetition(t, (size_t) n);
        put_literal(t, '{');
        break;
    case '|':
        buffer_append_u8(t->out, '|');
        t->at++;
        t->atom = t->repeated = false;
        return 0;
    case '.':
    case '^':
    case '$': buffer_append_u8(t->out, (uint8_t) c); break;
    default:
        if (c >= 0x80)
            while (t->at + 1 < t->in.size && (t->in.data[t->at + 1] & 0xc0) == 0x80)
                buffer_append_u8(t->out, t->in.data[t->at++]);
        put_literal(t, t->in.data[t->at]);
        break;
    }
    t->at++;
    t->atom = true;
    t->repeated = false;
    return 0;
}

int regex_translate(struct slice text, struct buffer *out, const char **why) {
    struct translator t = {.in = text, .out = out};
    int r = 0;

    if (text.size > REGEX_BYTES_MAX || !slice_is_utf8(text)) {
        *why = text.size > REGEX_BYTES_MAX ? "expression is too long" : "invalid UTF-8";
        return -EINVAL;
    }
    while (r == 0 && t.at < text.size)
        r = one(&t);
    if (r == 0 && t.depth)
        r = fail(&t, "missing closing )");
    if (r == 0 && out->failed) {
        *why = "no memory";
        return out->failed;
    }
    *why = t.why;
    return r;
}
