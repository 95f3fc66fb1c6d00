/*
 * The filter language's parser: recursive descent over the text itself, since what a character
 * means depends on whether a key or a value is expected.
 *
 *     or        = and { OR and }
 *     and       = unary { [AND] unary }
 *     unary     = (NOT | "-" | "!") unary | primary
 *     primary   = "(" or ")" | EXISTS key | text | key operator value | key [NOT] IN "(" value {","
 * value} ")" key       = word | "@" (word | quoted) | "resource." (word | quoted)
 *
 * Memory of the caller's arena; any thread.
 */
#include "query/filter_parser.h"

#include "base/vector.h"
#include "query/filter_fields.h"

#include <stdio.h>

typedef VECTOR(struct filter *) filters;

static int parse_or(struct parser *p, struct filter **ret);

static struct filter *new_filter(struct parser *p, enum filter_kind kind, size_t offset) {
    struct filter *f = arena_new(p->arena, struct filter);

    if (f) {
        f->kind = kind;
        f->offset = (unsigned) offset;
    }
    return f;
}

static void end_filter(struct parser *p, struct filter *f) {
    f->size = (unsigned) (p->at - f->offset);
}

/* Keeps `f` (which is full) as the parser's result, counting terms. */
static int add_term(struct parser *p, struct filter *f) {
    if (++p->terms > FILTER_TERMS_MAX)
        return filter_fail(p, "filter_syntax", f->offset, 1, "use IN (…) for many values",
                           "more than %u conditions", FILTER_TERMS_MAX);
    end_filter(p, f);
    return 0;
}

static int parse_value(struct parser *p, struct filter_value *ret) {
    scan_space(p);
    size_t start = p->at;
    struct slice text;

    if (p->at < p->text.size && (p->text.data[p->at] == '"' || p->text.data[p->at] == '\'')) {
        int r = scan_quoted(p, &text);
        if (r < 0)
            return r;
        ret->quoted = true;
    } else {
        size_t size = scan_value_size(p);
        if (size == 0)
            return filter_fail(
                    p, "filter_syntax", p->at, 1,
                    p->at < p->text.size ? "put a value with special characters in quotes" : NULL,
                    "a value is missing here");
        text = arena_dup(p->arena, slice_take(scan_rest(p), size));
        if (!text.data)
            return -ENOMEM;
        p->at += size;
        ret->quoted = false;
    }
    if (text.size > FILTER_VALUE_BYTES_MAX)
        return filter_fail(p, "filter_syntax", start, p->at - start, NULL,
                           "a value may have at most %u bytes", FILTER_VALUE_BYTES_MAX);
    ret->text = text;
    ret->offset = (unsigned) start;
    ret->size = (unsigned) (p->at - start);
    return 0;
}

static int parse_list(struct parser *p, struct filter *f) {
    VECTOR(struct filter_value) values = {0};
    int r = 0;

    scan_space(p);
    if (p->at == p->text.size || p->text.data[p->at] != '(')
        return filter_fail(p, "filter_syntax", p->at, 1, "write IN (a, b, \"c d\")",
                           "a list in parentheses is expected after IN");
    size_t open = p->at++;
    for (;;) {
        struct filter_value v;
        r = parse_value(p, &v);
        if (r == 0)
            r = vector_push(&values, v, FILTER_LIST_MAX);
        if (r == -ENOBUFS)
            r = filter_fail(p, "filter_syntax", open, p->at - open, NULL,
                            "a list may have at most %u values", FILTER_LIST_MAX);
        scan_space(p);
        if (r < 0 || p->at == p->text.size || p->text.data[p->at] != ',')
            break;
        p->at++;
    }
    if (r == 0 && (p->at == p->text.size || p->text.data[p->at] != ')'))
        r = filter_fail(p, "filter_syntax", p->at, 1, NULL,
                        p->at == p->text.size ? "the list is not closed with )"
                                              : "a comma or ) is expected in the list");
    if (r == 0) {
        p->at++;
        f->n_values = values.n;
        f->values = arena_array(p->arena, struct filter_value, values.n);
        if (!f->values)
            r = -ENOMEM;
        else
            memcpy(f->values, values.items, values.n * sizeof(*values.items));
    }
    vector_done(&values);
    return r;
}

/* What stands after a key: an operator and a value, or a list. *ret_none when neither does. */
static int parse_condition(struct parser *p, struct filter *f, bool *ret_none) {
    size_t after_key = p->at;
    int r;

    *ret_none = false;
    scan_space(p);
    if (scan_operator(p, &f->op)) {
        f->kind = FILTER_COMPARE;
        f->values = arena_new(p->arena, struct filter_value);
        if (!f->values)
            return -ENOMEM;
        f->n_values = 1;
        r = parse_value(p, f->values);
    } else {
        f->negated = scan_keyword_at(p, "not");
        if (f->negated) {
            p->at += strlen("not");
            scan_space(p);
        }
        if (!scan_keyword_at(p, "in")) {
            p->at = after_key;
            *ret_none = true;
            return 0;
        }
        p->at += strlen("in");
        f->kind = FILTER_IN;
        r = parse_list(p, f);
    }
    if (r < 0)
        return r;
    r = add_term(p, f);
    return r < 0 ? r : check_condition(p, f);
}

static int parse_text(struct parser *p, struct filter *f, struct slice text, bool quoted) {
    if (text.size == 0 || text.size > FILTER_VALUE_BYTES_MAX)
        return filter_fail(p, "filter_syntax", f->offset, p->at - f->offset, NULL,
                           text.size ? "a text may have at most %u bytes"
                                     : "an empty text finds nothing (most bytes: %u)",
                           FILTER_VALUE_BYTES_MAX);
    f->kind = FILTER_TEXT;
    f->values = arena_new(p->arena, struct filter_value);
    if (!f->values)
        return -ENOMEM;
    f->n_values = 1;
    f->values[0] = (struct filter_value){text, quoted, f->offset, (unsigned) (p->at - f->offset)};
    return add_term(p, f);
}

static int parse_quoted_text(struct parser *p, struct filter *f) {
    struct slice text;
    enum filter_op op;
    int r = scan_quoted(p, &text);

    if (r < 0)
        return r;
    size_t end = p->at;
    scan_space(p);
    size_t at = p->at;
    if (scan_operator(p, &op))
        return filter_fail(p, "filter_syntax", at, p->at - at,
                           "a key with special characters is written @\"odd key\"",
                           "a text in quotes cannot be compared");
    p->at = end;
    return parse_text(p, f, text, true);
}

/* A bare word that no operator follows. */
static int parse_bare_text(struct parser *p, struct filter *f, size_t start, size_t size) {
    struct slice word = slice_new(p->text.data + start, size);
    const struct filter_field *field = filter_field_find(p->signal, word);
    ptrdiff_t colon = slice_find_byte(word, ':');
    char hint[200];

    if (scan_is_keyword(word))
        return filter_fail(p, "filter_syntax", start, size,
                           "to search for the word, put it in quotes",
                           "a condition is expected before %.*s", SLICE_ARG(word));
    if (colon > 0 && filter_field_find(p->signal, slice_take(word, (size_t) colon))) {
        snprintf(hint, sizeof(hint), "write %.*s=%.*s", (int) colon, (const char *) word.data,
                 (int) (size - (size_t) colon - 1 > 100 ? 100 : size - (size_t) colon - 1),
                 (const char *) word.data + colon + 1);
        return filter_fail(p, "filter_syntax", start + (size_t) colon, 1, hint,
                           "a field is compared with =, not with :");
    }
    if (field) {
        snprintf(hint, sizeof(hint), "for example %s; to search for the word, put it in quotes",
                 field->example);
        return filter_fail(p, "filter_syntax", start, size, hint,
                           "an operator is expected after the field %s", field->name);
    }
    p->at = start + size;
    word = arena_dup(p->arena, word);
    return word.data ? parse_text(p, f, word, false) : -ENOMEM;
}

static int parse_word(struct parser *p, struct filter *f) {
    size_t start = p->at, size = scan_word_size(p);
    bool none = true;
    int r;

    if (size == 0 && p->text.data[start] != '@')
        return filter_fail(p, "filter_syntax", start, 1, NULL,
                           "a condition is expected here, not \"%.*s\"", 1,
                           (const char *) p->text.data + start);
    /* Is it a key? Only what follows tells. */
    bool explicit = p->text.data[start] == '@' ||
                    (slice_starts(scan_rest(p), SLICE("resource.")) &&
                     start + size < p->text.size && p->text.data[start + size] == '"');
    if (!explicit) {
        enum filter_op op;
        p->at = start + size;
        scan_space(p);
        size_t after = p->at;
        bool key = scan_operator(p, &op);
        p->at = after;
        key = key || scan_keyword_at(p, "in");
        if (!key && scan_keyword_at(p, "not")) {
            p->at += strlen("not");
            scan_space(p);
            key = scan_keyword_at(p, "in");
        }
        if (!key)
            return parse_bare_text(p, f, start, size);
        p->at = start;
    }
    r = parse_key(p, &f->key);
    if (r == 0)
        r = parse_condition(p, f, &none);
    if (r == 0 && none)
        r = filter_fail(p, "filter_syntax", start, p->at - start,
                        "compare it (=, !=, >, ~, IN …) or write EXISTS before it",
                        "an operator is expected after this key");
    return r;
}

static int parse_primary(struct parser *p, struct filter **ret) {
    size_t start = p->at;
    struct filter *f;
    int r;

    if (p->at == p->text.size)
        return filter_fail(p, "filter_syntax", p->at, 1, NULL, "a condition is missing at the end");
    uint8_t c = p->text.data[p->at];
    if (c == '(') {
        p->at++;
        r = parse_or(p, ret);
        if (r < 0)
            return r;
        scan_space(p);
        if (p->at == p->text.size || p->text.data[p->at] != ')')
            return filter_fail(p, "filter_syntax", start, 1, NULL,
                               "this parenthesis is not closed");
        p->at++;
        return 0;
    }
    if (c == ')')
        return filter_fail(p, "filter_syntax", p->at, 1, NULL,
                           "a condition is expected before this parenthesis");
    f = new_filter(p, FILTER_EXISTS, start);
    if (!f)
        return -ENOMEM;
    if (c == '"' || c == '\'')
        r = parse_quoted_text(p, f);
    else if (scan_keyword(p, "exists")) {
        r = parse_key(p, &f->key);
        if (r == 0)
            r = add_term(p, f);
    } else
        r = parse_word(p, f);
    if (r == 0)
        *ret = f;
    return r;
}

static int enter(struct parser *p) {
    if (++p->depth > FILTER_DEPTH_MAX)
        return filter_fail(p, "filter_syntax", p->at, 1, NULL,
                           "parentheses and NOTs may be nested %u deep at most", FILTER_DEPTH_MAX);
    return 0;
}

static bool scan_not(struct parser *p) {
    if (scan_keyword(p, "not"))
        return true;
    struct slice rest = scan_rest(p);
    if (rest.size < 2 || (rest.data[0] != '-' && rest.data[0] != '!'))
        return false;
    p->at++;
    return true;
}

static int parse_unary(struct parser *p, struct filter **ret) {
    size_t start = p->at;

    scan_space(p);
    if (!scan_not(p))
        return parse_primary(p, ret);
    struct filter *f = new_filter(p, FILTER_NOT, start);
    struct filter **child = arena_new(p->arena, struct filter *);
    if (!f || !child)
        return -ENOMEM;
    int r = enter(p);
    if (r == 0)
        r = parse_unary(p, child);
    p->depth--;
    if (r < 0)
        return r;
    f->children = child;
    f->n_children = 1;
    end_filter(p, f);
    *ret = f;
    return 0;
}

/* Adds a part to an AND or OR, taking a nested one of the same kind apart. */
static int add_part(filters *parts, enum filter_kind kind, struct filter *f) {
    int r = 0;

    if (f->kind != kind)
        return vector_push(parts, f, FILTER_TERMS_MAX);
    for (size_t i = 0; r == 0 && i < f->n_children; i++)
        r = vector_push(parts, f->children[i], FILTER_TERMS_MAX);
    return r;
}

static int join_parts(struct parser *p, filters *parts, enum filter_kind kind, size_t start,
                      struct filter **ret) {
    if (parts->n == 1) {
        *ret = parts->items[0];
        return 0;
    }
    struct filter *f = new_filter(p, kind, start);
    if (!f)
        return -ENOMEM;
    f->children = arena_array(p->arena, struct filter *, parts->n);
    if (!f->children)
        return -ENOMEM;
    memcpy(f->children, parts->items, parts->n * sizeof(*parts->items));
    f->n_children = parts->n;
    end_filter(p, f);
    *ret = f;
    return 0;
}

static bool scan_sign(struct parser *p, const char *sign) {
    if (!slice_starts(scan_rest(p), slice_from(sign)))
        return false;
    p->at += strlen(sign);
    return true;
}

static int parse_and(struct parser *p, struct filter **ret) {
    filters parts = {0};
    size_t start = p->at;
    int r;

    for (;;) {
        struct filter *f;
        r = parse_unary(p, &f);
        if (r == 0)
            r = add_part(&parts, FILTER_AND, f);
        if (r < 0)
            break;
        scan_space(p);
        if (scan_keyword(p, "and") || scan_sign(p, "&&"))
            continue;
        size_t at = p->at;
        bool ends = p->at == p->text.size || p->text.data[p->at] == ')' || scan_keyword(p, "or") ||
                    slice_starts(scan_rest(p), SLICE("||"));
        p->at = at;
        if (ends)
            break;
    }
    if (r == 0)
        r = join_parts(p, &parts, FILTER_AND, start, ret);
    vector_done(&parts);
    return r;
}

static int parse_or(struct parser *p, struct filter **ret) {
    filters parts = {0};
    size_t start = p->at;
    int r = enter(p);

    while (r == 0) {
        struct filter *f;
        r = parse_and(p, &f);
        if (r == 0)
            r = add_part(&parts, FILTER_OR, f);
        if (r < 0)
            break;
        scan_space(p);
        if (!scan_keyword(p, "or") && !scan_sign(p, "||"))
            break;
    }
    p->depth--;
    if (r == 0)
        r = join_parts(p, &parts, FILTER_OR, start, ret);
    vector_done(&parts);
    return r;
}

int filter_parse(struct arena *a, enum filter_signal signal, struct slice text, struct filter **ret,
                 struct filter_error *e) {
    struct parser p = {.arena = a, .signal = signal, .text = text, .error = e};
    struct filter *f = NULL;

    if (text.size > FILTER_BYTES_MAX)
        return filter_fail(&p, "filter_syntax", 0, 1, NULL, "a filter may have at most %u bytes",
                           FILTER_BYTES_MAX);
    if (!slice_is_utf8(text) || slice_find_byte(text, 0) >= 0)
        return filter_fail(&p, "filter_syntax", 0, 1, NULL, "the filter is not UTF-8 text");
    scan_space(&p);
    if (p.at == text.size) {
        *ret = NULL;
        return 0;
    }
    int r = parse_or(&p, &f);
    if (r < 0)
        return r;
    scan_space(&p);
    if (p.at < text.size)
        return filter_fail(&p, "filter_syntax", p.at, 1, NULL, "this parenthesis was never opened");
    *ret = f;
    return 0;
}

int filter_parse_key(struct arena *a, enum filter_signal signal, struct slice text,
                     struct filter_key *ret, struct filter_error *e) {
    struct parser p = {.arena = a, .signal = signal, .text = text, .error = e};
    struct filter_key key;

    if (text.size > FILTER_KEY_BYTES_MAX * 2 || !slice_is_utf8(text) ||
        slice_find_byte(text, 0) >= 0)
        return filter_fail(&p, "filter_key", 0, 1, NULL, "this is not a key");
    int r = parse_key(&p, &key);
    if (r == 0 && p.at < text.size)
        r = filter_fail(&p, "filter_key", p.at, 1, "write an odd key as @\"odd key\"",
                        "this is not a key");
    if (r == 0)
        *ret = key;
    return r;
}
