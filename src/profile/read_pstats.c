/*
 * pstats files (see format_pstats.c): every function's own time becomes samples of a millisecond,
 * below one caller each: the file tells callers, not stacks. Marshal's codes up to version 4, with
 * its references (Python/marshal.c); what a pstats file does not hold is refused.
 */
#include "profile/format.h"

#include <math.h>

#define PERIOD_NS 1000000
#define REFERENCES_MAX 4000000u
#define CHAIN_MAX 64u /* callers of callers */
#define FLAG_REF 0x80

struct value {
    enum { NONE, END, NUMBER, TEXT, TUPLE, DICT } kind;
    double number;
    struct slice text;
    uint32_t n;       /* of a tuple */
    int64_t function; /* of a tuple that names one: its number */
};

struct caller {
    double own, weight; /* seconds */
    int64_t caller;     /* the one that called it most; -1: none */
};

struct parser {
    struct slice rest;
    struct profile *p;
    VECTOR(struct value) references;
    VECTOR(struct caller) callers; /* by function */
    unsigned depth;
};

static bool take(struct parser *m, void *to, size_t size) {
    if (m->rest.size < size)
        return false;
    memcpy(to, m->rest.data, size);
    m->rest = slice_skip(m->rest, size);
    return true;
}

static bool take_text(struct parser *m, uint32_t size, struct slice *ret) {
    if (m->rest.size < size)
        return false;
    *ret = slice_take(m->rest, size);
    m->rest = slice_skip(m->rest, size);
    return true;
}

/* A number in marshal's long form: 15 bits a digit. */
static bool take_long(struct parser *m, double *ret) {
    int32_t n;
    double scale = 1;

    if (!take(m, &n, 4) || n < -64 || n > 64)
        return false;
    *ret = 0;
    for (int32_t i = 0; i < (n < 0 ? -n : n); i++, scale *= 32768) {
        uint16_t digit;
        if (!take(m, &digit, 2))
            return false;
        *ret += digit * scale;
    }
    return true;
}

static bool read_value(struct parser *m, struct value *ret);

/* (file, line, name) → the function's number. */
static bool read_function(struct parser *m, struct value *ret) {
    struct value file, line, name;
    char texts[2][4096];

    if (m->depth++ > 0) /* in a function's name there is no other one */
        return false;
    if (!read_value(m, &file) || !read_value(m, &line) || !read_value(m, &name) ||
        file.kind != TEXT || line.kind != NUMBER || name.kind != TEXT)
        return false;
    snprintf(texts[0], sizeof(texts[0]), "%.*s", SLICE_ARG(file.text));
    snprintf(texts[1], sizeof(texts[1]), "%.*s", SLICE_ARG(name.text));
    ret->function = profile_add_function(
            m->p, texts[1], texts[0],
            line.number > 0 && line.number < INT32_MAX ? (int) line.number : 0);
    m->depth--;
    return ret->function >= 0;
}

/* One value; of a tuple of three the contents are read, of other tuples and dicts the head only. */
static bool read_body(struct parser *m, uint8_t code, struct value *ret) {
    int32_t i32;
    uint32_t size = 0;
    uint8_t byte = 0;

    switch (code) {
    case 'N': ret->kind = NONE; return true;
    case '0': ret->kind = END; return true;
    case '{': ret->kind = DICT; return true;
    case 'i':
        ret->kind = NUMBER;
        if (!take(m, &i32, 4))
            return false;
        ret->number = i32;
        return true;
    case 'l': ret->kind = NUMBER; return take_long(m, &ret->number);
    case 'g': ret->kind = NUMBER; return take(m, &ret->number, 8);
    case 'u':
    case 't':
    case 'a':
    case 'A': ret->kind = TEXT; return take(m, &size, 4) && take_text(m, size, &ret->text);
    case 'z':
    case 'Z': ret->kind = TEXT; return take(m, &byte, 1) && take_text(m, byte, &ret->text);
    case '(':
    case ')':
        ret->kind = TUPLE;
        ret->function = -1;
        if (code == '(' ? !take(m, &size, 4) : !take(m, &byte, 1))
            return false;
        ret->n = code == '(' ? size : byte;
        return ret->n != 3 || read_function(m, ret);
    default: return false;
    }
}

static bool read_value(struct parser *m, struct value *ret) {
    uint32_t reference = 0;
    size_t place = m->references.n;
    uint8_t code;

    *ret = (struct value){0};
    if (!take(m, &code, 1))
        return false;
    if (code == 'r') {
        if (!take(m, &reference, 4) || reference >= m->references.n)
            return false;
        *ret = m->references.items[reference];
        return true;
    }
    if (code & FLAG_REF && vector_push(&m->references, *ret, REFERENCES_MAX) < 0)
        return false; /* its number is taken before those of its contents */
    if (!read_body(m, code & 0x7f, ret))
        return false;
    if (code & FLAG_REF)
        m->references.items[place] = *ret;
    return true;
}

/* (calls, calls, own, total[, callers]) behind a function. */
static bool read_times(struct parser *m, uint32_t n, double *ret_own, double *ret_total) {
    struct value head, v[4];

    if (!read_value(m, &head) || head.kind != TUPLE || head.n != n)
        return false;
    for (unsigned i = 0; i < 4; i++)
        if (!read_value(m, &v[i]) || v[i].kind != NUMBER)
            return false;
    *ret_own = v[2].number;
    *ret_total = v[3].number;
    return true;
}

static struct caller *entry_of(struct parser *m, int64_t function) {
    while (m->callers.n <= (size_t) function)
        if (vector_push(&m->callers, ((struct caller){.caller = -1}), PROFILE_FUNCTIONS_MAX) < 0)
            return NULL;
    return &m->callers.items[function];
}

static bool read_function_row(struct parser *m, int64_t function) {
    double own, total;
    struct value callers, key;

    if (!read_times(m, 5, &own, &total) || !read_value(m, &callers) || callers.kind != DICT)
        return false;
    struct caller *entry = entry_of(m, function);
    if (!entry)
        return false;
    entry->own = own;
    for (;;) {
        if (!read_value(m, &key))
            return false;
        if (key.kind == END)
            return true;
        if (key.kind != TUPLE || key.n != 3 || !read_times(m, 4, &own, &total))
            return false;
        entry = entry_of(m, function);
        if (total >= entry->weight && key.function != function) {
            entry->weight = total;
            entry->caller = key.function;
        }
    }
}

/* The stack of a function: its callers from the outermost on. */
static int64_t stack_of(struct parser *m, int64_t function) {
    int64_t chain[CHAIN_MAX], node = 0;
    size_t n = 0;

    for (int64_t at = function; at >= 0 && n < CHAIN_MAX; n++) {
        for (size_t i = 0; i < n; i++)
            if (chain[i] == at)
                at = -1; /* they call each other in a circle */
        if (at < 0)
            break;
        chain[n] = at;
        at = (size_t) at < m->callers.n ? m->callers.items[at].caller : -1;
    }
    while (node >= 0 && n > 0) {
        int64_t frame = profile_add_frame(m->p, (uint32_t) chain[--n], 0);
        node = frame < 0 ? frame : profile_add_node(m->p, (uint32_t) node, (uint32_t) frame);
    }
    return node;
}

static int add_samples(struct parser *m) {
    int64_t thread = profile_name_thread(m->p, 0, 0, "all");

    for (size_t i = 0; thread >= 0 && i < m->callers.n; i++) {
        double n = m->callers.items[i].own * 1e9 / PERIOD_NS;
        if (!(n >= 0.5) || n > 1e15)
            continue;
        int64_t node = stack_of(m, (int64_t) i);
        int r = node < 0 ? (int) node
                         : profile_add_samples(m->p, (uint32_t) node, (uint32_t) thread,
                                               (uint64_t) llround(n));
        if (r < 0)
            return r;
    }
    return thread < 0 ? (int) thread : 0;
}

int read_pstats(struct slice bytes, struct profile *p, struct error *e) {
    struct parser m = {.rest = bytes, .p = p};
    struct value v;
    bool good = read_value(&m, &v) && v.kind == DICT, ended = false;

    while (good && !ended) {
        good = read_value(&m, &v);
        ended = good && v.kind == END;
        if (good && !ended)
            good = v.kind == TUPLE && v.n == 3 && read_function_row(&m, v.function);
    }
    p->period_ns = PERIOD_NS;
    int r = good ? add_samples(&m) : -EBADMSG;
    vector_done(&m.references);
    vector_done(&m.callers);
    if (r == -EBADMSG)
        return error_set(e, r, "broken or no pstats file, at byte %zu", bytes.size - m.rest.size);
    return r < 0 ? error_set(e, r, "%s", error_name(r)) : 0;
}
