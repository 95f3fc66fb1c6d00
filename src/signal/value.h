/*
 * Values as text and back: the forms that docs/internals/storage.md ("Values as text") fixes. Pure
 * functions over the caller's memory: any thread.
 */
#ifndef VARAN_SIGNAL_VALUE_H
#define VARAN_SIGNAL_VALUE_H

#include "signal/signal.h"
#include "wire/json.h"

#define VALUE_DEPTH_MAX 32

/* The stored text of `v`. Strings are returned as they are, everything else is built in `scratch`
 * (which is cleared first) and copied into the arena. 0, -EINVAL (nested too deeply), -ENOMEM,
 * -ENOBUFS. */
int value_text(const struct value *v, struct buffer *scratch, struct arena *a, struct slice *ret);

/* `v` as it stands inside arrays, maps, events and links. 0 or -EINVAL (nested too deeply; what was
 * written must be thrown away); the buffer's errors stay in the buffer. */
int value_put_json(struct json_writer *w, const struct value *v);
/* {"key": value, …}; the same errors. */
int attributes_put_json(struct json_writer *w, const struct attributes *a);

/* "string" for what is no type, too: "string", "bool", "int", "double", "bytes", "array", "map",
 * "empty". */
const char *value_type_name(enum value_type type);

#endif
