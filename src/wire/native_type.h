/*
 * ClickHouse type names as far as answers of ours have them. Private to the native reader. Pure:
 * any thread; the parsed type lives in the caller's arena.
 */
#ifndef VARAN_WIRE_NATIVE_TYPE_H
#define VARAN_WIRE_NATIVE_TYPE_H

#include "base/memory.h"

enum native_kind {
    KIND_UNSIGNED, /* width 1, 2, 4, 8 */
    KIND_SIGNED,   /* the same, sign-extended */
    KIND_FLOAT,    /* width 4 or 8 */
    KIND_BYTES,    /* `width` bytes as they are: FixedString, UUID, wide integers */
    KIND_TEXT,
    KIND_ARRAY, /* of `item` */
    KIND_MAP,   /* of `key` and `item` */
};

struct native_parsed {
    enum native_kind kind;
    uint32_t width; /* bytes of one value; 0: text, array, map */
    bool nullable, low_cardinality;
    const struct native_parsed *key, *item;
};

#define NATIVE_TYPE_TEXT_MAX 4096u
#define NATIVE_TYPE_DEPTH_MAX 8u

/* 0; -EBADMSG for a type that cannot be read, -ENOMEM. Arrays and maps hold scalars only. */
int native_type_parse(struct slice text, struct arena *a, struct native_parsed *ret);

#endif
