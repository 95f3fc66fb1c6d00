/* threading._active maps the threads' idents to Thread objects, whose _name is a str (3.8 … 3.14).
 */
#include "cpython/names.h"

#include "cpython/cpython.h"

void thread_names_each(const struct inspector *in, uint64_t interpreter,
                       bool (*wants)(void *ctx, uint64_t thread_id),
                       void (*fn)(void *ctx, uint64_t thread_id, const char *name), void *ctx) {
    uint64_t active = dict_get(in, module_dict(in, interpreter, "threading"), "_active"), ident;
    struct dict_item *items;
    size_t n;

    if (!active || dict_items(in, active, CPYTHON_THREADS_MAX, &items, &n) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        if (!items[i].key || !items[i].value || !int_value(in, items[i].key, &ident) ||
            !wants(ctx, ident))
            continue;
        uint64_t name = object_attribute(in, items[i].value, "_name");
        const char *text =
                name ? cpython_read_text(in->memory, in->offsets, name, in->texts) : NULL;
        if (text && text[0])
            fn(ctx, ident, text);
    }
}
