/* Building SELECTs with bound parameters; memory of the caller's arena; one owner at a time. */
#include "query/sql.h"

#include "base/clock.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

void sql_init(struct sql *s, struct arena *arena) {
    *s = (struct sql){.arena = arena};
    buffer_init(&s->text, SQL_BYTES_MAX);
}

void sql_done(struct sql *s) {
    buffer_done(&s->text);
}

void sql_clear(struct sql *s) {
    buffer_clear(&s->text);
    s->n_params = 0;
    s->failed = 0;
}

void sql_add(struct sql *s, const char *text) {
    buffer_append_text(&s->text, text);
}

void sql_addf(struct sql *s, const char *format, ...) {
    char line[2048];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (n < 0 || (size_t) n >= sizeof(line))
        s->failed = -ENOBUFS;
    else
        buffer_append(&s->text, line, (size_t) n);
}

/* Appends {pN:type} and keeps the value. */
static void add_param(struct sql *s, const char *type, struct slice value) {
    if (s->failed)
        return;
    for (size_t i = 0; i < s->n_params; i++) /* a filter may stand in one statement several times */
        if (s->types[i] == type && slice_equal(s->params[i].value, value)) {
            buffer_printf(&s->text, "{%s:%s}", s->params[i].name, type);
            return;
        }
    if (s->n_params == SQL_PARAMS_MAX) {
        s->failed = -ENOBUFS;
        return;
    }
    char *name = arena_printf(s->arena, "p%zu", s->n_params);
    struct slice copy = arena_dup(s->arena, value);
    if (!name || !copy.data) {
        s->failed = -ENOMEM;
        return;
    }
    buffer_printf(&s->text, "{%s:%s}", name, type);
    s->types[s->n_params] = type;
    s->params[s->n_params++] = (struct store_param){name, copy};
}

void sql_string(struct sql *s, struct slice value) {
    add_param(s, "String", value);
}

void sql_i64(struct sql *s, int64_t value) {
    char text[32];
    int n = snprintf(text, sizeof(text), "%" PRId64, value);

    add_param(s, "Int64", slice_new(text, (size_t) n));
}

void sql_u64(struct sql *s, uint64_t value) {
    char text[32];
    int n = snprintf(text, sizeof(text), "%" PRIu64, value);

    add_param(s, "UInt64", slice_new(text, (size_t) n));
}

void sql_double(struct sql *s, double value) {
    char text[40];
    int n = snprintf(text, sizeof(text), "%.17g", value);

    if (!isfinite(value)) /* a filter never asks for these */
        s->failed = -EINVAL;
    else
        add_param(s, "Float64", slice_new(text, (size_t) n));
}

void sql_time(struct sql *s, int64_t ns) {
    sql_add(s, "fromUnixTimestamp64Nano(");
    sql_i64(s, ns);
    sql_add(s, ", 'UTC')");
}

void sql_seconds(struct sql *s, int64_t ns) {
    sql_add(s, "toDateTime(");
    sql_i64(s, ns / NS_PER_S);
    sql_add(s, ", 'UTC')");
}

const char *sql_text(struct sql *s) {
    buffer_append_u8(&s->text, 0);
    if (!s->failed)
        s->failed = s->text.failed;
    if (s->failed)
        return NULL;
    buffer_truncate(&s->text, s->text.size - 1);
    return (const char *) s->text.data;
}
