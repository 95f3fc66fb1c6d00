/*
 * Regular expressions: shortcuts first, then PCRE2's JIT. A compiled expression owns its code; the
 * match data of one thread at a time are kept for the next. Any thread may match.
 */
#include "base/regex.h"

#include "base/error.h"
#include "base/vector.h"

#include <stdatomic.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define COMPILED_LITERALS_MAX 100u
#define SUBJECT_BYTES_MAX (16u << 20) /* of a repaired text */

enum shortcut {
    SHORTCUT_NONE,
    SHORTCUT_ALL,      /* .* */
    SHORTCUT_NONEMPTY, /* .+ */
    SHORTCUT_LITERALS,
    SHORTCUT_PREFIX,  /* abc.* */
    SHORTCUT_PREFIX1, /* abc.+ */
    SHORTCUT_SUFFIX,
    SHORTCUT_SUFFIX1,
    SHORTCUT_CONTAINS /* .*abc.* */
};

struct regex {
    enum shortcut shortcut;
    struct arena arena;
    struct slice *literals;
    size_t n_literals;
    uint32_t *slots; /* of many literals: hash table of index + 1 */
    size_t n_slots;
    bool whole_group; /* (a|b): group 1 is the whole */
    struct slice prefix, part;
    pcre2_code *code; /* NULL: literals too many to compile */
    pcre2_match_context *context;
    _Atomic(pcre2_match_data *) spare;
};

/* ---- Shortcuts. ---- */

/* Copies literal text up to the first character with a meaning; returns how many bytes it took. */
static size_t take_literal(struct slice s, uint8_t *out, size_t *ret_n) {
    static const char meta[] = "\\.+*?()|[]{}^$";
    size_t i = 0, n = 0;

    while (i < s.size) {
        uint8_t c = s.data[i];
        size_t step = 1;

        if (c == '\\' && i + 1 < s.size && s.data[i + 1] && strchr(meta + 1, s.data[i + 1]))
            c = s.data[i + 1], step = 2;
        else if (c == '\\' && i + 1 < s.size && (s.data[i + 1] == '\\' || s.data[i + 1] == '-'))
            c = s.data[i + 1], step = 2;
        else if (c == 0 || strchr(meta, c))
            break;
        out[n++] = c;
        i += step;
    }
    *ret_n = n;
    return i;
}

/* Undoes the last character when a repetition follows it: in `ab*` only `a` is certain. */
static size_t certain(struct slice rest, const uint8_t *out, size_t n) {
    if (n && rest.size && strchr("*?{+", rest.data[0])) {
        n--;
        while (n && (out[n] & 0xc0) == 0x80)
            n--;
    }
    return n;
}

/* A table for what is too many to compare one by one. */
static int index_literals(struct regex *r) {
    size_t n = 16;

    if (r->n_literals < 8)
        return 0;
    while (n < r->n_literals * 2)
        n *= 2;
    r->slots = arena_array(&r->arena, uint32_t, n);
    if (!r->slots)
        return -ENOMEM;
    r->n_slots = n;
    for (size_t i = 0; i < r->n_literals; i++) {
        size_t at = slice_hash(r->literals[i]) & (n - 1);

        while (r->slots[at])
            at = (at + 1) & (n - 1);
        r->slots[at] = (uint32_t) i + 1;
    }
    return 0;
}

static int literal_alternation(struct regex *r, struct slice s) {
    VECTOR(struct slice) v = {0};
    bool group = false;
    int result = 0;

    if (s.size >= 2 && s.data[0] == '(' && s.data[s.size - 1] == ')') {
        s = slice_new(s.data + 1, s.size - 2);
        group = !slice_starts(s, SLICE("?:"));
        if (!group)
            s = slice_skip(s, 2);
        if (s.size && s.data[s.size - 1] == '\\')
            return 0;
    }
    uint8_t *out = arena_alloc(&r->arena, s.size + 1);
    if (!out)
        return -ENOMEM;
    for (size_t at = 0;;) {
        struct slice rest = slice_skip(s, at);
        size_t n, took;

        took = take_literal(rest, out, &n);
        if (took < rest.size && rest.data[took] != '|')
            break; /* something else */
        if (vector_push(&v, slice_new(out, n), REGEX_LITERALS_MAX) < 0)
            break;
        out += n;
        at += took;
        if (took == rest.size) {
            result = 1;
            break;
        }
        at++;
    }
    if (result == 1) {
        r->literals = arena_array(&r->arena, struct slice, v.n);
        if (r->literals)
            memcpy(r->literals, v.items, v.n * sizeof(*v.items));
        r->n_literals = v.n;
        r->shortcut = SHORTCUT_LITERALS;
        r->whole_group = group;
        result = r->literals && index_literals(r) == 0 ? 1 : -ENOMEM;
    }
    vector_done(&v);
    return result;
}

static int find_shortcut(struct regex *r, struct slice s) {
    bool dots = slice_starts(s, SLICE(".*")) || slice_starts(s, SLICE(".+")), plus;
    struct slice body, rest;
    size_t n, took;

    if (slice_is(s, ".*") || slice_is(s, ".+")) {
        r->shortcut = slice_is(s, ".*") ? SHORTCUT_ALL : SHORTCUT_NONEMPTY;
        return 0;
    }
    int found = literal_alternation(r, s);
    if (found != 0)
        return found < 0 ? found : 0;
    plus = dots && s.data[1] == '+';
    body = dots ? slice_skip(s, 2) : s;
    uint8_t *out = arena_alloc(&r->arena, body.size + 1);
    if (!out)
        return -ENOMEM;
    took = take_literal(body, out, &n);
    rest = slice_skip(body, took);
    if (!dots) {
        n = certain(rest, out, n);
        if (slice_find_byte(rest, '|') < 0)
            r->prefix = slice_new(out, n);
        if (r->prefix.size && (slice_is(rest, ".*") || slice_is(rest, ".+")))
            r->shortcut = slice_is(rest, ".*") ? SHORTCUT_PREFIX : SHORTCUT_PREFIX1;
    } else if (n && rest.size == 0) {
        r->part = slice_new(out, n);
        r->shortcut = plus ? SHORTCUT_SUFFIX1 : SHORTCUT_SUFFIX;
    } else if (n && !plus && slice_is(rest, ".*")) {
        r->part = slice_new(out, n);
        r->shortcut = SHORTCUT_CONTAINS;
    }
    return 0;
}

/* ---- Compiling. ---- */

static int compile_code(struct regex *r, struct slice text, struct error *e) {
    struct buffer out;
    const char *why = NULL;
    int code = 0;
    size_t at = 0, size = 0;
    char message[200];

    buffer_init(&out, (size_t) REGEX_BYTES_MAX * 40);
    int result = regex_translate(text, &out, &why);
    /* A long list of texts needs no engine, and would be too much for it. */
    if (result == 0 && r->shortcut == SHORTCUT_LITERALS && r->n_literals > COMPILED_LITERALS_MAX) {
        buffer_done(&out);
        return 0;
    }
    if (result == 0) {
        r->code = pcre2_compile(out.data ? out.data : (const uint8_t *) "", out.size,
                                PCRE2_UTF | PCRE2_DOTALL | PCRE2_ANCHORED | PCRE2_ENDANCHORED |
                                        PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C,
                                &code, &at, NULL);
        if (!r->code) {
            pcre2_get_error_message(code, (uint8_t *) message, sizeof(message));
            why = message;
            result = -EINVAL;
        }
    }
    buffer_done(&out);
    if (result < 0)
        return error_set(e, result, "error parsing regexp: %s: `%.*s`", why ? why : "no memory",
                         (int) (text.size < 200 ? text.size : 200), text.data);
    pcre2_pattern_info(r->code, PCRE2_INFO_SIZE, &size);
    if (size > REGEX_COMPILED_MAX)
        return error_set(e, -EINVAL, "error parsing regexp: expression is too large");
    pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* without it the interpreter matches */
    r->context = pcre2_match_context_create(NULL);
    if (!r->context)
        return -ENOMEM;
    pcre2_set_match_limit(r->context, REGEX_MATCH_LIMIT);
    pcre2_set_depth_limit(r->context, REGEX_MATCH_LIMIT);
    pcre2_set_heap_limit(r->context, 16384); /* KiB */
    return 0;
}

int regex_compile(struct slice text, struct regex **ret, struct error *e) {
    struct regex *r = memory_alloc(sizeof(*r));
    int result;

    if (!r)
        return -ENOMEM;
    *r = (struct regex){0};
    arena_init(&r->arena, (size_t) REGEX_BYTES_MAX * 80);
    result = text.size > REGEX_BYTES_MAX ? 0 : find_shortcut(r, text);
    if (result == 0)
        result = compile_code(r, text, e);
    if (result < 0) {
        regex_unref(r);
        return result;
    }
    *ret = r;
    return 0;
}

void regex_unref(struct regex *r) {
    if (!r)
        return;
    pcre2_match_data_free(atomic_load(&r->spare));
    pcre2_match_context_free(r->context);
    pcre2_code_free(r->code);
    arena_done(&r->arena);
    free(r);
}

/* ---- Matching. ---- */

static pcre2_match_data *take_data(const struct regex *r) {
    pcre2_match_data *d = atomic_exchange(&((struct regex *) r)->spare, NULL);

    return d ? d : pcre2_match_data_create_from_pattern(r->code, NULL);
}

static void give_data(const struct regex *r, pcre2_match_data *d) {
    pcre2_match_data_free(atomic_exchange(&((struct regex *) r)->spare, d));
}

static int run_text(const struct regex *r, struct slice s, pcre2_match_data *d) {
    const uint8_t *text = s.data ? s.data : (const uint8_t *) "";
    int n = pcre2_match(r->code, text, s.size, 0, 0, d, r->context);

    if (n == PCRE2_ERROR_JIT_STACKLIMIT)
        n = pcre2_match(r->code, text, s.size, 0, PCRE2_NO_JIT, d, r->context);
    return n;
}

/* Each byte that is no UTF-8 as U+FFFD, as RE2 reads it. */
static int repair(struct slice s, struct buffer *out) {
    for (size_t i = 0, n; i < s.size; i += n) {
        struct slice rest = slice_skip(s, i);
        bool ok = false;

        for (n = 1; n <= 4 && n <= rest.size && !ok; n++)
            ok = slice_is_utf8(slice_take(rest, n));
        n = ok ? n - 1 : 1;
        buffer_append_slice(out, ok ? slice_take(rest, n) : SLICE("\xef\xbf\xbd"));
    }
    return out->failed;
}

/* Matches *s; when it had to be repaired, *s becomes what was matched, in `repaired`. 1, 0,
 * negative. */
static int run(const struct regex *r, struct slice *s, pcre2_match_data *d,
               struct buffer *repaired) {
    int n = run_text(r, *s, d);

    if (n <= PCRE2_ERROR_UTF8_ERR1 && n >= PCRE2_ERROR_UTF8_ERR21) {
        if (repair(*s, repaired) < 0)
            return -ENOMEM;
        *s = buffer_slice(repaired);
        n = run_text(r, *s, d);
    }
    if (n >= 0)
        return 1;
    if (n == PCRE2_ERROR_NOMATCH)
        return 0;
    return n == PCRE2_ERROR_NOMEMORY ? -ENOMEM : -E2BIG;
}

static bool one_of(const struct regex *r, struct slice s) {
    if (r->n_slots) {
        size_t at = slice_hash(s) & (r->n_slots - 1);

        for (; r->slots[at]; at = (at + 1) & (r->n_slots - 1))
            if (slice_equal(r->literals[r->slots[at] - 1], s))
                return true;
        return false;
    }
    for (size_t i = 0; i < r->n_literals; i++)
        if (slice_equal(r->literals[i], s))
            return true;
    return false;
}

int regex_match(const struct regex *r, struct slice s) {
    switch (r->shortcut) {
    case SHORTCUT_ALL: return 1;
    case SHORTCUT_NONEMPTY: return s.size > 0;
    case SHORTCUT_LITERALS: return one_of(r, s);
    case SHORTCUT_PREFIX: return slice_starts(s, r->prefix);
    case SHORTCUT_PREFIX1: return s.size > r->prefix.size && slice_starts(s, r->prefix);
    case SHORTCUT_SUFFIX: return slice_ends(s, r->part);
    case SHORTCUT_SUFFIX1: return s.size > r->part.size && slice_ends(s, r->part);
    case SHORTCUT_CONTAINS: return slice_find(s, r->part) >= 0;
    case SHORTCUT_NONE: break;
    }
    if (r->prefix.size && !slice_starts(s, r->prefix))
        return 0;
    struct buffer repaired;
    pcre2_match_data *d = take_data(r);
    if (!d)
        return -ENOMEM;
    buffer_init(&repaired, SUBJECT_BYTES_MAX);
    int result = run(r, &s, d, &repaired);
    buffer_done(&repaired);
    give_data(r, d);
    return result;
}

static bool is_name(uint8_t c) {
    return (c >= '0' && c <= '9') || c == '_' || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static void append_group(const struct regex *r, pcre2_match_data *d, struct slice s,
                         struct slice name, struct buffer *out) {
    if (!d) {
        if (slice_is(name, "0") || (r->whole_group && slice_is(name, "1")))
            buffer_append_slice(out, s);
        return;
    }
    const size_t *offsets = pcre2_get_ovector_pointer(d);
    uint32_t count = pcre2_get_ovector_count(d);
    uint64_t group;
    char text[64];

    if (slice_to_u64(name, &group) < 0) {
        if (name.size >= sizeof(text))
            return;
        memcpy(text, name.data, name.size);
        text[name.size] = 0;
        int n = pcre2_substring_number_from_name(r->code, (const uint8_t *) text);
        if (n < 0)
            return;
        group = (uint64_t) n;
    }
    if (group < count && offsets[2 * group] != PCRE2_UNSET &&
        offsets[2 * group] < offsets[2 * group + 1])
        buffer_append(out, s.data + offsets[2 * group],
                      offsets[2 * group + 1] - offsets[2 * group]);
}

int regex_expand(const struct regex *r, struct slice s, struct slice with, struct buffer *out) {
    struct buffer repaired;
    pcre2_match_data *d = r->code ? take_data(r) : NULL;
    int result = one_of(r, s);

    buffer_init(&repaired, SUBJECT_BYTES_MAX);
    if (r->code)
        result = d ? run(r, &s, d, &repaired) : -ENOMEM;

    for (size_t i = 0; result == 1 && i < with.size; i++) {
        if (with.data[i] != '$') {
            buffer_append_u8(out, with.data[i]);
            continue;
        }
        if (i + 1 < with.size && with.data[i + 1] == '$') {
            buffer_append_u8(out, '$');
            i++;
            continue;
        }
        bool brace = i + 1 < with.size && with.data[i + 1] == '{';
        size_t from = i + 1 + brace, to = from;

        while (to < with.size && is_name(with.data[to]))
            to++;
        if (to == from || (brace && (to == with.size || with.data[to] != '}'))) {
            buffer_append_u8(out, '$'); /* not a reference: itself */
            continue;
        }
        append_group(r, d, s, slice_new(with.data + from, to - from), out);
        i = to - 1 + brace;
    }
    buffer_done(&repaired);
    if (d)
        give_data(r, d);
    return result == 1 && out->failed ? out->failed : result;
}

const struct slice *regex_literals(const struct regex *r, size_t *ret_n) {
    *ret_n = r->n_literals;
    return r->shortcut == SHORTCUT_LITERALS ? r->literals : NULL;
}

struct slice regex_prefix(const struct regex *r) {
    return r->prefix;
}
