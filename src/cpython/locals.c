/* The local variables of a frame: names from its code object, values from the frame. Cells (names
 * that closures share) are looked through. */
#include "cpython/frame_values.h"
#include "cpython/repr.h"
#include "cpython/state.h"

#define VALUE_BUFFER_MAX (2 * REPR_BYTES_MAX + 1024)

struct names {
    uint64_t items[CPYTHON_VARIABLES_MAX];
    size_t n;
};

static void add_names(const struct inspector *in, uint64_t tuple, struct names *names) {
    uint64_t *items;
    size_t n;

    if (tuple_items(in, tuple, CPYTHON_VARIABLES_MAX - names->n, &items, &n, NULL) < 0)
        return;
    memcpy(names->items + names->n, items, n * sizeof(*items));
    names->n += n;
}

/* Names in the order of the frame's values. */
static void read_local_names(const struct inspector *in, uint64_t code, struct names *names) {
    const struct cpython_offsets *o = in->offsets;

    names->n = 0;
    add_names(in, object_field(in, code, o->code.locals_names), names);
    if (o->minor >= 11)
        return;
    add_names(in, object_field(in, code, o->code.cell_names), names);
    add_names(in, object_field(in, code, o->code.free_names), names);
}

static uint64_t through_cell(const struct inspector *in, uint64_t object) {
    char type[INSPECT_NAME_MAX];

    if (object && type_name(in, object_type(in, object), type) && strcmp(type, "cell") == 0)
        return object_field(in, object, in->offsets->head);
    return object;
}

static const char *value_text(const struct inspector *in, uint64_t value, struct arena *to) {
    struct buffer text;
    const char *copy;

    buffer_init(&text, VALUE_BUFFER_MAX);
    if (in->offsets->minor >= 14 && (value & 3) == 3) {
        buffer_printf(&text, "%lld", (long long) value >> 2);
    } else {
        uint64_t object = through_cell(in, frame_object(in->offsets, value));
        if (object)
            object_repr(in, object, &text);
        else
            buffer_append_text(&text, "<unset>");
    }
    copy = (const char *) arena_dup(to, buffer_slice(&text)).data;
    buffer_done(&text);
    return copy;
}

/* From 3.14 on a place without a value holds a tag only. */
static bool is_set(const struct inspector *in, uint64_t value) {
    return frame_object(in->offsets, value) || (in->offsets->minor >= 14 && (value & 3) == 3);
}

/* Fills the rows in the arena; returns their number or -ENOMEM. */
static int64_t fill(const struct inspector *in, const struct names *names, const uint64_t *values,
                    struct arena *to, struct cpython_variable *rows) {
    size_t n = 0;

    for (size_t i = 0; i < names->n; i++) {
        const char *name = is_set(in, values[i])
                                   ? cpython_read_text(in->memory, in->offsets, names->items[i], to)
                                   : NULL;
        if (!name)
            continue; /* not assigned yet */
        rows[n] = (struct cpython_variable){name, value_text(in, values[i], to)};
        if (!rows[n++].value)
            return -ENOMEM;
    }
    return (int64_t) n;
}

int cpython_locals(struct cpython *c, const struct cpython_frame *f, struct arena *to,
                   struct cpython_variable **ret, size_t *ret_n) {
    const struct cpython_offsets *o = &c->runtime.offsets;
    struct inspector in = {&c->memory, o, &c->scratch};
    uint64_t values[CPYTHON_VARIABLES_MAX];
    uint8_t raw[FRAME_BYTES_MAX];
    struct names names;
    int64_t n = -EAGAIN;

    if (memory_read(&c->memory, f->address, raw, o->frame.size) < 0 ||
        stack_frame(o, f->address, raw).code != f->code->address)
        return -EAGAIN;
    read_local_names(&in, f->code->address, &names);
    struct cpython_variable *rows = arena_array(to, struct cpython_variable, names.n);
    if (!rows)
        n = -ENOMEM;
    else if (memory_read(&c->memory, f->address + o->frame.locals, values, names.n * 8) == 0)
        n = fill(&in, &names, values, to, rows);
    arena_clear(&c->scratch);
    if (n < 0)
        return (int) n;
    *ret = rows;
    *ret_n = (size_t) n;
    return 0;
}
