/* Resource identity, and looking attributes up. Any thread; memory is the caller's. */
#include "signal/resource.h"
#include "signal/value.h"

const struct attribute *attributes_get(const struct attributes *a, const char *key) {
    struct slice wanted = slice_from(key);

    for (size_t i = 0; i < a->n; i++)
        if (slice_equal(a->items[i].key, wanted))
            return &a->items[i];
    return NULL;
}

struct slice attributes_text(const struct attributes *a, const char *key) {
    const struct attribute *found = attributes_get(a, key);

    return found && found->value.type == VALUE_STRING ? found->value.text : SLICE_EMPTY;
}

/* splitmix64's finisher: spreads a hash so that sums of several do not cancel out. */
static uint64_t mix(uint64_t v) {
    v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
    return v ^ v >> 31;
}

int resource_finish(struct resource *r, struct buffer *scratch) {
    uint64_t id = 0;

    for (size_t i = 0; i < r->attributes.n; i++) {
        const struct attribute *item = &r->attributes.items[i];
        struct slice text = item->value.text;
        if (item->value.type != VALUE_STRING) {
            struct json_writer w = json_writer(scratch);
            buffer_clear(scratch);
            int error = value_put_json(&w, &item->value);
            if (error == 0)
                error = scratch->failed;
            if (error < 0)
                return error;
            text = buffer_slice(scratch);
        }
        id += mix(slice_hash(item->key) * 3 + mix(slice_hash(text) + item->value.type));
    }
    r->id = mix(id + 1);
    r->service = attributes_text(&r->attributes, "service.name");
    if (r->service.size == 0)
        r->service = SLICE("unknown_service");
    r->service_namespace = attributes_text(&r->attributes, "service.namespace");
    r->version = attributes_text(&r->attributes, "service.version");
    r->instance = attributes_text(&r->attributes, "service.instance.id");
    r->environment = attributes_text(&r->attributes, "deployment.environment.name");
    if (r->environment.size == 0)
        r->environment = attributes_text(&r->attributes, "deployment.environment");
    return 0;
}
