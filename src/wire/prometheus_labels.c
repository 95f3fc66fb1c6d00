/* The text of one series, taken apart. See prometheus_text.h; memory is the caller's arena. */
#include "wire/prometheus_text.h"

struct splitter {
    struct slice in;
    size_t at;
    struct arena *arena;
    struct prometheus_label *items;
    size_t n, room;
    const char *why;
};

static int fail(struct splitter *s, size_t at, const char *why) {
    s->why = why;
    s->at = at;
    return -EBADMSG;
}

static uint8_t here(const struct splitter *s) {
    return s->at < s->in.size ? s->in.data[s->at] : 0;
}

static void skip_blanks(struct splitter *s) {
    while (here(s) == ' ' || here(s) == '\t')
        s->at++;
}

struct slice prometheus_text_unescape(struct slice text, struct arena *a) {
    if (!text.size || !memchr(text.data, '\\', text.size))
        return text.data ? text : SLICE("");
    uint8_t *to = arena_alloc(a, text.size);
    size_t n = 0;

    if (!to)
        return SLICE_EMPTY;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i], next = i + 1 < text.size ? text.data[i + 1] : 0;
        if (c == '\\' && (next == '\\' || next == '"' || next == 'n')) {
            c = next == 'n' ? '\n' : next;
            i++;
        }
        to[n++] = c;
    }
    return slice_new(to, n);
}

/* The string whose opening quote stands here. */
static int read_string(struct splitter *s, struct slice *ret) {
    size_t from = ++s->at;

    for (; s->at < s->in.size && s->in.data[s->at] != '"'; s->at++)
        if (s->in.data[s->at] == '\\')
            s->at++;
    if (s->at >= s->in.size)
        return fail(s, from - 1, "this string is not closed");
    struct slice raw = slice_new(s->in.data + from, s->at - from);
    s->at++;
    if (!slice_is_utf8(raw))
        return fail(s, from, "this text is not UTF-8");
    *ret = prometheus_text_unescape(raw, s->arena);
    return ret->data ? 0 : -ENOMEM;
}

static bool is_name_byte(uint8_t c, bool first, bool colon) {
    return (unsigned) ((c | 32) - 'a') < 26 || c == '_' || (colon && c == ':') ||
           (!first && (unsigned) (c - '0') < 10);
}

static struct slice read_name(struct splitter *s, bool colon) {
    size_t from = s->at;

    while (s->at < s->in.size && is_name_byte(s->in.data[s->at], s->at == from, colon))
        s->at++;
    return slice_new(s->in.data + from, s->at - from);
}

static int add(struct splitter *s, struct slice name, struct slice value) {
    if (s->n == PROMETHEUS_LABELS_MAX)
        return fail(s, s->at, "too many labels");
    if (s->n == s->room) {
        size_t room = s->room ? s->room * 4 : 16;
        struct prometheus_label *items = arena_alloc(s->arena, room * sizeof(*items));
        if (!items)
            return -ENOMEM;
        if (s->n)
            memcpy(items, s->items, s->n * sizeof(*items));
        s->items = items;
        s->room = room;
    }
    s->items[s->n++] = (struct prometheus_label){name, value};
    return 0;
}

/* name="value", or the metric's name in quotes. */
static int read_label(struct splitter *s, bool *named) {
    size_t from = s->at;
    bool quoted = here(s) == '"';
    struct slice name, value;
    int r = 0;

    if (quoted)
        r = read_string(s, &name);
    else
        name = read_name(s, false);
    if (r < 0)
        return r;
    if (!name.size)
        return fail(s, from, "a label's name should stand here");
    skip_blanks(s);
    if (quoted && here(s) != '=') {
        if (*named)
            return fail(s, from, "the metric has a name already");
        *named = true;
        return add(s, SLICE("__name__"), name);
    }
    if (here(s) != '=')
        return fail(s, s->at, "= and a value should follow the label's name");
    s->at++;
    skip_blanks(s);
    if (here(s) != '"')
        return fail(s, s->at, "a label's value stands in quotes");
    r = read_string(s, &value);
    return r < 0 ? r : add(s, name, value);
}

static int read_labels(struct splitter *s, bool named) {
    s->at++;
    skip_blanks(s);
    while (here(s) != '}') {
        int r = read_label(s, &named);
        if (r < 0)
            return r;
        skip_blanks(s);
        if (here(s) == ',') {
            s->at++;
            skip_blanks(s);
        } else if (here(s) != '}') {
            return fail(s, s->at, "a comma or } should stand here");
        }
    }
    s->at++;
    return s->at == s->in.size ? 0 : fail(s, s->at, "something stands behind the labels");
}

int prometheus_text_labels(struct slice series, struct arena *a, struct prometheus_label **ret,
                           size_t *ret_n, const char **ret_why, size_t *ret_at) {
    struct splitter s = {.in = series, .arena = a};
    struct slice name = read_name(&s, true);
    int r = name.size ? add(&s, SLICE("__name__"), name) : 0;

    skip_blanks(&s);
    if (r == 0 && here(&s) == '{')
        r = read_labels(&s, name.size > 0);
    else if (r == 0 && s.at < series.size)
        r = fail(&s, s.at, "this cannot stand in a metric's name");
    if (r < 0) {
        *ret_why = s.why ? s.why : "out of memory";
        *ret_at = s.at < series.size ? s.at : series.size;
        return r;
    }
    /* A quoted name may stand behind labels. */
    for (size_t i = 1; i < s.n; i++)
        if (s.items[i].name.data != NULL && slice_is(s.items[i].name, "__name__") && !name.size) {
            struct prometheus_label l = s.items[i];
            memmove(s.items + 1, s.items, i * sizeof(l));
            s.items[0] = l;
            break;
        }
    *ret = s.items;
    *ret_n = s.n;
    return 0;
}
