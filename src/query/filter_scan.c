/* The filter language's scanner and its error positions. Memory of the caller's arena; any thread.
 */
#include "query/filter_parser.h"

#include <stdarg.h>
#include <stdio.h>

/* Characters (not bytes) of `text` before byte `end`. */
static unsigned characters(struct slice text, size_t end) {
    unsigned n = 0;

    for (size_t i = 0; i < end && i < text.size; i++)
        n += (text.data[i] & 0xc0) != 0x80;
    return n;
}

int filter_fail(struct parser *p, const char *code, size_t offset, size_t size, const char *hint,
                const char *format, ...) {
    struct filter_error *e = p->error;
    va_list args;

    if (!e)
        return -EINVAL;
    *e = (struct filter_error){.code = code};
    unsigned before = characters(p->text, offset);
    e->column = before + 1;
    e->length = characters(p->text, offset + size) - before;
    if (e->length == 0)
        e->length = 1;
    va_start(args, format);
    vsnprintf(e->message, sizeof(e->message), format, args);
    va_end(args);
    snprintf(e->hint, sizeof(e->hint), "%s", hint ? hint : "");
    return -EINVAL;
}

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool ends_value(uint8_t c) {
    return is_space(c) || c == '(' || c == ')' || c == ',' || c == '"' || c == '\'';
}

static bool ends_word(uint8_t c) {
    return ends_value(c) || c == '=' || c == '!' || c == '<' || c == '>' || c == '~';
}

void scan_space(struct parser *p) {
    while (p->at < p->text.size && is_space(p->text.data[p->at]))
        p->at++;
}

struct slice scan_rest(const struct parser *p) {
    return slice_skip(p->text, p->at);
}

bool scan_keyword_at(const struct parser *p, const char *word) {
    struct slice rest = scan_rest(p), want = slice_from(word);

    if (!slice_equal_nocase(slice_take(rest, want.size), want))
        return false;
    return rest.size == want.size || ends_word(rest.data[want.size]);
}

bool scan_keyword(struct parser *p, const char *word) {
    size_t before = p->at;
    enum filter_op op;

    if (!scan_keyword_at(p, word))
        return false;
    p->at += strlen(word);
    size_t after = p->at;
    if (scan_operator(p, &op)) { /* `and=5` is an attribute of that name */
        p->at = before;
        return false;
    }
    p->at = after;
    scan_space(p);
    return true;
}

size_t scan_word_size(const struct parser *p) {
    size_t i = p->at;

    while (i < p->text.size && !ends_word(p->text.data[i]))
        i++;
    return i - p->at;
}

size_t scan_value_size(const struct parser *p) {
    size_t i = p->at;

    while (i < p->text.size && !ends_value(p->text.data[i]))
        i++;
    return i - p->at;
}

bool scan_operator(struct parser *p, enum filter_op *ret) {
    static const struct {
        const char *text;
        enum filter_op op;
    } operators[] = {{">=", OP_GE},    {"<=", OP_LE},        {"!=", OP_NE},  {"<>", OP_NE},
                     {"=~", OP_MATCH}, {"!~", OP_NOT_MATCH}, {"==", OP_EQ},  {"=", OP_EQ},
                     {">", OP_GT},     {"<", OP_LT},         {"~", OP_MATCH}};

    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
        if (slice_starts(scan_rest(p), slice_from(operators[i].text))) {
            *ret = operators[i].op;
            p->at += strlen(operators[i].text);
            return true;
        }
    return false;
}

int scan_quoted(struct parser *p, struct slice *ret) {
    size_t start = p->at, n = 0;
    uint8_t quote = p->text.data[p->at++];
    uint8_t *to = arena_alloc(p->arena, p->text.size - p->at + 1);

    if (!to)
        return -ENOMEM;
    while (p->at < p->text.size && p->text.data[p->at] != quote) {
        uint8_t c = p->text.data[p->at++];
        if (c == '\\' && p->at < p->text.size) {
            uint8_t next = p->text.data[p->at];
            if (next == quote || next == '\\' || next == 'n' || next == 't' || next == 'r') {
                p->at++;
                c = next == 'n' ? '\n' : next == 't' ? '\t' : next == 'r' ? '\r' : next;
            } /* else a backslash of a regular expression: kept */
        }
        to[n++] = c;
    }
    if (p->at == p->text.size)
        return filter_fail(p, "filter_syntax", start, p->text.size - start, "put a \" at its end",
                           "this text has no closing quote");
    p->at++;
    *ret = slice_new(to, n);
    return 0;
}

bool scan_is_plain_key(struct slice key) {
    for (size_t i = 0; i < key.size; i++) {
        uint8_t c = key.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool inner = (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '/';
        if (!letter && !(inner && i > 0))
            return false;
    }
    return key.size > 0;
}

bool scan_is_keyword(struct slice word) {
    static const char *const words[] = {"and", "or", "not", "in", "exists"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (slice_equal_nocase(word, slice_from(words[i])))
            return true;
    return false;
}
