/* The configuration file: YAML mappings whose paths are the keys of an option table. libyaml reads.
 */
#include "cli/options.h"

#include <stdio.h>
#include <yaml.h>

#define DEPTH_MAX 4
#define PATH_BYTES_MAX 128

struct reader {
    yaml_parser_t parser;
    struct option_table table;
    const char *file;
    struct arena *arena;
    void *target;
    bool seen[128]; /* which rows the file has set */
    struct error *e;
};

static int fail_at(struct reader *r, const yaml_mark_t *mark, const char *text, const char *more) {
    return error_set(r->e, -EINVAL, "%s:%zu: %s%s", r->file, mark->line + 1, text, more);
}

static int next(struct reader *r, yaml_event_t *event) {
    if (yaml_parser_parse(&r->parser, event))
        return 0;
    const yaml_mark_t *mark =
            r->parser.problem_mark.line ? &r->parser.problem_mark : &r->parser.mark;
    return fail_at(r, mark, r->parser.problem ? r->parser.problem : "this is not YAML", "");
}

static const char *key_at(const void *ctx, size_t i) {
    return ((const struct option_table *) ctx)->items[i].key;
}

static int unknown_key(struct reader *r, const yaml_mark_t *mark, const char *path) {
    const char *meant = closest_name(slice_from(path), key_at, &r->table, r->table.n);
    char text[PATH_BYTES_MAX * 2 + 80];

    snprintf(text, sizeof(text), "there is no key \"%s\"%s%s%s", path,
             meant ? "; did you mean \"" : "", meant ? meant : "", meant ? "\"?" : "");
    return fail_at(r, mark, text, "");
}

static int set_value(struct reader *r, const char *path, struct slice value,
                     const yaml_mark_t *mark) {
    char where[512];

    for (size_t i = 0; i < r->table.n; i++) {
        const struct option_def *d = &r->table.items[i];
        if (!d->key || strcmp(d->key, path) != 0)
            continue;
        if (i < sizeof(r->seen) && r->seen[i])
            return fail_at(r, mark, "this key stands here twice: ", path);
        if (i < sizeof(r->seen))
            r->seen[i] = true;
        snprintf(where, sizeof(where), "%s:%zu: %s", r->file, mark->line + 1, path);
        return option_set(d, value, where, r->arena, r->target, r->e);
    }
    return unknown_key(r, mark, path);
}

/* A list is the same as its items with commas between. */
static int read_list(struct reader *r, const char *path) {
    struct buffer joined;
    int result = 0;

    buffer_init(&joined, 65536);
    for (bool first = true;; first = false) {
        yaml_event_t event;
        result = next(r, &event);
        if (result < 0)
            break;
        yaml_event_type_t type = event.type;
        yaml_mark_t mark = event.start_mark;
        if (type == YAML_SCALAR_EVENT) {
            if (!first)
                buffer_append_u8(&joined, ',');
            buffer_append(&joined, event.data.scalar.value, event.data.scalar.length);
        }
        yaml_event_delete(&event);
        if (type == YAML_SCALAR_EVENT)
            continue;
        if (type != YAML_SEQUENCE_END_EVENT)
            result = fail_at(r, &mark, "only plain values may stand in this list: ", path);
        else if (joined.failed)
            result = fail_at(r, &mark, "the list is too long: ", path);
        else
            result = set_value(r, path, buffer_slice(&joined), &mark);
        break;
    }
    buffer_done(&joined);
    return result;
}

static int read_mapping(struct reader *r, const char *prefix, unsigned depth);

/* The value of the key `path`. */
static int read_value(struct reader *r, const char *path, unsigned depth) {
    yaml_event_t event;
    int result = next(r, &event);

    if (result < 0)
        return result;
    yaml_mark_t mark = event.start_mark;
    switch (event.type) {
    case YAML_SCALAR_EVENT: {
        struct slice value = slice_new(event.data.scalar.value, event.data.scalar.length);
        bool empty = event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                     (!value.size || slice_is(value, "~") || slice_is(value, "null"));
        result = empty ? 0 : set_value(r, path, value, &mark);
        break;
    }
    case YAML_SEQUENCE_START_EVENT: result = read_list(r, path); break;
    case YAML_MAPPING_START_EVENT:
        result = depth >= DEPTH_MAX ? fail_at(r, &mark, "too deep: ", path)
                                    : read_mapping(r, path, depth + 1);
        break;
    default: result = fail_at(r, &mark, "anchors and aliases are not understood here: ", path);
    }
    yaml_event_delete(&event);
    return result;
}

static int read_mapping(struct reader *r, const char *prefix, unsigned depth) {
    for (;;) {
        char path[PATH_BYTES_MAX];
        yaml_event_t event;
        int result = next(r, &event);
        if (result < 0)
            return result;
        yaml_mark_t mark = event.start_mark;
        bool end = event.type == YAML_MAPPING_END_EVENT, key = event.type == YAML_SCALAR_EVENT;
        int n = 0;
        if (key)
            n = snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "",
                         (const char *) event.data.scalar.value);
        yaml_event_delete(&event);
        if (end)
            return 0;
        if (!key)
            return fail_at(r, &mark, "a key is a plain word", "");
        if (n < 0 || (size_t) n >= sizeof(path))
            return fail_at(r, &mark, "this key is too long", "");
        result = read_value(r, path, depth);
        if (result < 0)
            return result;
    }
}

static int read_document(struct reader *r) {
    for (;;) {
        yaml_event_t event;
        int result = next(r, &event);
        if (result < 0)
            return result;
        yaml_event_type_t type = event.type;
        yaml_mark_t mark = event.start_mark;
        bool empty = type == YAML_SCALAR_EVENT && event.data.scalar.length == 0;
        yaml_event_delete(&event);
        if (type == YAML_STREAM_END_EVENT)
            return 0;
        if (type == YAML_MAPPING_START_EVENT)
            result = read_mapping(r, "", 1);
        else if (type == YAML_SEQUENCE_START_EVENT || (type == YAML_SCALAR_EVENT && !empty))
            return fail_at(r, &mark, "the file holds no \"key: value\" lines", "");
        if (result < 0)
            return result;
    }
}

int options_read_yaml(struct option_table table, const char *file, struct slice text,
                      struct arena *arena, void *target, struct error *e) {
    struct reader r = {.table = table, .file = file, .arena = arena, .target = target, .e = e};

    if (!yaml_parser_initialize(&r.parser))
        return error_set(e, -ENOMEM, "%s: out of memory", file);
    yaml_parser_set_input_string(&r.parser, text.data ? text.data : (const uint8_t *) "",
                                 text.size);
    int result = read_document(&r);
    yaml_parser_delete(&r.parser);
    return result;
}
