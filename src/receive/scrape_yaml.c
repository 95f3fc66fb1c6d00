/* YAML by tables. See scrape_yaml.h; libyaml reads. */
#include "receive/scrape_yaml.h"
#include "receive/scrape_config.h"

#include <stdarg.h>
#include <stdio.h>

#define NODES_MAX 2000000u
#define LIST_MAX 1000000u

int yaml_fail(struct yaml_reader *r, const yaml_node_t *node, const char *format, ...) {
    char text[900];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return error_set(r->e, -EINVAL, "%s:%zu: %s", r->file, node ? node->start_mark.line + 1 : 1,
                     text);
}

static int out_of_memory(struct yaml_reader *r) {
    return error_set(r->e, -ENOMEM, "%s: out of memory, or too large", r->file);
}

int yaml_reader_init(struct yaml_reader *r, const char *file, struct slice text,
                     struct arena *arena, struct error *e) {
    yaml_parser_t parser;

    *r = (struct yaml_reader){
            .file = file, .text = text, .arena = arena, .e = e, .budget = NODES_MAX};
    if (!yaml_parser_initialize(&parser))
        return out_of_memory(r);
    yaml_parser_set_input_string(&parser, text.data ? text.data : (const uint8_t *) "", text.size);
    int ok = yaml_parser_load(&parser, &r->document), result = 0;
    if (!ok)
        result = error_set(e, -EINVAL, "%s:%zu: %s", file, parser.problem_mark.line + 1,
                           parser.problem ? parser.problem : "this is not YAML");
    yaml_parser_delete(&parser);
    return result;
}

void yaml_reader_done(struct yaml_reader *r) {
    yaml_document_delete(&r->document);
}

yaml_node_t *yaml_root(struct yaml_reader *r) {
    return yaml_document_get_root_node(&r->document);
}

yaml_node_t *yaml_node(struct yaml_reader *r, int index) {
    return yaml_document_get_node(&r->document, index);
}

static int visit(struct yaml_reader *r, const yaml_node_t *node) {
    return r->budget-- > 1 ? 0
                           : yaml_fail(r, node, "the file is too large when aliases are filled in");
}

bool yaml_is_null(const yaml_node_t *node) {
    if (!node || node->type != YAML_SCALAR_NODE ||
        node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return !node;
    struct slice s = slice_new(node->data.scalar.value, node->data.scalar.length);
    return !s.size || slice_is(s, "~") || slice_is(s, "null");
}

/* ---- Values ---- */

int yaml_read_text(struct yaml_reader *r, yaml_node_t *node, struct slice *ret) {
    if (node->type != YAML_SCALAR_NODE)
        return yaml_fail(r, node, "a plain value should stand here, not a list or mapping");
    *ret = yaml_is_null(node) ? SLICE("")
                              : arena_dup(r->arena, slice_new(node->data.scalar.value,
                                                              node->data.scalar.length));
    return ret->data ? 0 : out_of_memory(r);
}

int yaml_read_bool(struct yaml_reader *r, yaml_node_t *node, bool *ret) {
    struct slice s;
    int result = yaml_read_text(r, node, &s);

    if (result < 0)
        return result;
    *ret = slice_equal_nocase(s, SLICE("true")) || slice_equal_nocase(s, SLICE("yes")) ||
           slice_equal_nocase(s, SLICE("on"));
    if (*ret || slice_equal_nocase(s, SLICE("false")) || slice_equal_nocase(s, SLICE("no")) ||
        slice_equal_nocase(s, SLICE("off")))
        return 0;
    return yaml_fail(r, node, "\"%.*s\" is neither true nor false", SLICE_ARG(s));
}

/* 15MB, 1GiB, 512KB, 100B: powers of 1024 under either spelling, as Prometheus reads them. */
static int size_parse(struct slice s, uint64_t *ret) {
    static const char units[] = "KMGTPE";
    size_t n = 0;
    uint64_t v;
    unsigned shift = 0;

    while (n < s.size && s.data[n] >= '0' && s.data[n] <= '9')
        n++;
    struct slice unit = slice_skip(s, n);
    if (slice_to_u64(slice_take(s, n), &v) < 0)
        return -EINVAL;
    if (unit.size >= 2) {
        const char *at = memchr(units, unit.data[0], sizeof(units) - 1);
        if (!at || !(slice_is(slice_skip(unit, 1), "B") || slice_is(slice_skip(unit, 1), "iB")))
            return -EINVAL;
        shift = 10 * (unsigned) (at - units + 1);
    } else if (unit.size && !slice_is(unit, "B")) {
        return -EINVAL;
    }
    if (!unit.size && v)
        return -EINVAL;
    if (shift && v >> (64 - shift))
        return -ERANGE;
    *ret = v << shift;
    return 0;
}

const char *yaml_path(struct yaml_reader *r, struct slice path) {
    const char *slash = strrchr(r->file, '/');

    if (!path.size || path.data[0] == '/' || !slash)
        return (const char *) arena_dup(r->arena, path).data;
    return arena_printf(r->arena, "%.*s%.*s", (int) (slash - r->file + 1), r->file,
                        SLICE_ARG(path));
}

static int read_scalar(struct yaml_reader *r, const struct yaml_field *f, yaml_node_t *node,
                       void *to) {
    struct slice s;
    int result = yaml_read_text(r, node, &s);

    if (result < 0)
        return result;
    switch (f->type) {
    case YAML_TEXT: *(const char **) to = (const char *) s.data; break;
    case YAML_PATH:
        *(const char **) to = s.size ? yaml_path(r, s) : NULL;
        if (s.size && !*(const char **) to)
            return out_of_memory(r);
        break;
    case YAML_DURATION:
        if (scrape_duration_parse(s, to) < 0)
            return yaml_fail(r, node, "%s: \"%.*s\" is not a duration such as 15s, 1m30s or 500ms",
                             f->key, SLICE_ARG(s));
        break;
    case YAML_SIZE:
        if (size_parse(s, to) < 0)
            return yaml_fail(r, node, "%s: \"%.*s\" is not a size such as 10MB, or 0", f->key,
                             SLICE_ARG(s));
        break;
    case YAML_COUNT:
        if (slice_to_u64(s, to) < 0)
            return yaml_fail(r, node, "%s: \"%.*s\" is not a whole number from 0", f->key,
                             SLICE_ARG(s));
        break;
    default: break;
    }
    return 0;
}

static bool is_nothing(const yaml_node_t *node) {
    return yaml_is_null(node) || (node->type == YAML_SEQUENCE_NODE &&
                                  node->data.sequence.items.start == node->data.sequence.items.top);
}

static int read_field(struct yaml_reader *r, const struct yaml_field *f, yaml_node_t *node,
                      void *target) {
    void *to = (char *) target + f->offset;

    if (f->type == YAML_REFUSED && is_nothing(node))
        return 0;
    if (f->type == YAML_REFUSED)
        return yaml_fail(r, node, "%s: %s", f->key, f->why);
    if (f->type == YAML_READ)
        return f->read(r, node, to);
    if (yaml_is_null(node))
        return 0;
    return f->type == YAML_BOOL ? yaml_read_bool(r, node, to) : read_scalar(r, f, node, to);
}

/* ---- Mappings and lists ---- */

int yaml_read_mapping(struct yaml_reader *r, yaml_node_t *node, const char *what,
                      const struct yaml_fields *tables, size_t n_tables) {
    uint64_t seen[4] = {0};

    if (yaml_is_null(node))
        return 0;
    if (node->type != YAML_MAPPING_NODE)
        return yaml_fail(r, node, "%s should stand here, as \"key: value\" lines", what);
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top;
         p++) {
        yaml_node_t *key = yaml_node(r, p->key), *value = yaml_node(r, p->value);
        const struct yaml_field *field = NULL;
        size_t t;
        struct slice name;
        int result = visit(r, key);
        if (result == 0)
            result = yaml_read_text(r, key, &name);
        if (result < 0)
            return result;
        for (t = 0; t < n_tables && !field; t += !field)
            for (size_t i = 0; i < tables[t].n && !field; i++)
                if (slice_is(name, tables[t].items[i].key))
                    field = &tables[t].items[i];
        if (!field)
            return yaml_fail(r, key, "there is no key \"%.*s\" in %s",
                             SLICE_ARG(slice_take(name, 200)), what);
        uint64_t bit = UINT64_C(1) << ((size_t) (field - tables[t].items) & 63);
        if (seen[t & 3] & bit)
            return yaml_fail(r, key, "the key \"%s\" stands twice in %s", field->key, what);
        seen[t & 3] |= bit;
        result = read_field(r, field, value, tables[t].target);
        if (result < 0)
            return result;
    }
    return 0;
}

int yaml_read_list(struct yaml_reader *r, yaml_node_t *node, const char *what,
                   int (*each)(struct yaml_reader *r, yaml_node_t *item, void *ctx), void *ctx) {
    if (yaml_is_null(node))
        return 0;
    if (node->type != YAML_SEQUENCE_NODE)
        return yaml_fail(r, node, "%s should stand here", what);
    for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top;
         i++) {
        yaml_node_t *item = yaml_node(r, *i);
        int result = visit(r, item);
        if (result == 0)
            result = each(r, item, ctx);
        if (result < 0)
            return result;
    }
    return 0;
}

struct texts {
    struct slice *items;
    size_t n;
};

static int add_text(struct yaml_reader *r, yaml_node_t *item, void *ctx) {
    struct texts *t = ctx;
    int result = yaml_read_text(r, item, &t->items[t->n]);

    t->n += result == 0;
    return result;
}

int yaml_read_texts(struct yaml_reader *r, yaml_node_t *node, struct slice **ret, size_t *ret_n) {
    size_t n = node->type == YAML_SEQUENCE_NODE
                       ? (size_t) (node->data.sequence.items.top - node->data.sequence.items.start)
                       : 0;
    struct texts t = {.items = arena_array(r->arena, struct slice, n)};

    if (!t.items || n > LIST_MAX)
        return out_of_memory(r);
    int result = yaml_read_list(r, node, "a list of texts", add_text, &t);
    if (result < 0)
        return result;
    *ret = t.items;
    *ret_n = t.n;
    return 0;
}

static int compare(const void *a, const void *b) {
    return slice_compare(((const struct label *) a)->name, ((const struct label *) b)->name);
}

int yaml_read_labels(struct yaml_reader *r, yaml_node_t *node, struct label **ret, size_t *ret_n) {
    struct label *items;
    size_t n = 0;

    *ret_n = 0;
    if (yaml_is_null(node))
        return 0;
    if (node->type != YAML_MAPPING_NODE)
        return yaml_fail(r, node, "\"name: value\" lines should stand here");
    yaml_node_pair_t *start = node->data.mapping.pairs.start, *top = node->data.mapping.pairs.top;
    items = arena_array(r->arena, struct label, (size_t) (top - start));
    if (!items)
        return out_of_memory(r);
    for (yaml_node_pair_t *p = start; p < top; p++, n++) {
        int result = visit(r, node);
        if (result == 0)
            result = yaml_read_text(r, yaml_node(r, p->key), &items[n].name);
        if (result == 0)
            result = yaml_read_text(r, yaml_node(r, p->value), &items[n].value);
        if (result < 0)
            return result;
        if (!items[n].name.size || !slice_is_utf8(items[n].name))
            return yaml_fail(r, yaml_node(r, p->key), "this is no label's name");
    }
    if (n)
        qsort(items, n, sizeof(*items), compare);
    for (size_t i = 1; i < n; i++)
        if (slice_equal(items[i].name, items[i - 1].name))
            return yaml_fail(r, node, "the name \"%.*s\" stands twice here",
                             SLICE_ARG(items[i].name));
    *ret = items;
    *ret_n = n;
    return 0;
}
