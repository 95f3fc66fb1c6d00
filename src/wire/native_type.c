/* ClickHouse type names: see native_type.h. */
#include "wire/native_type.h"

#include <errno.h>

static const struct {
    const char *name; /* before "(" */
    enum native_kind kind;
    uint32_t width;
} scalars[] = {
        {"UInt8", KIND_UNSIGNED, 1},    {"UInt16", KIND_UNSIGNED, 2},
        {"UInt32", KIND_UNSIGNED, 4},   {"UInt64", KIND_UNSIGNED, 8},
        {"Int8", KIND_SIGNED, 1},       {"Int16", KIND_SIGNED, 2},
        {"Int32", KIND_SIGNED, 4},      {"Int64", KIND_SIGNED, 8},
        {"Float32", KIND_FLOAT, 4},     {"Float64", KIND_FLOAT, 8},
        {"Bool", KIND_UNSIGNED, 1},     {"Date", KIND_UNSIGNED, 2},
        {"Date32", KIND_SIGNED, 4},     {"DateTime", KIND_UNSIGNED, 4},
        {"DateTime64", KIND_SIGNED, 8}, {"Enum8", KIND_SIGNED, 1},
        {"Enum16", KIND_SIGNED, 2},     {"UUID", KIND_BYTES, 16},
        {"IPv4", KIND_UNSIGNED, 4},     {"IPv6", KIND_BYTES, 16},
        {"UInt128", KIND_BYTES, 16},    {"Int128", KIND_BYTES, 16},
        {"UInt256", KIND_BYTES, 32},    {"Int256", KIND_BYTES, 32},
        {"String", KIND_TEXT, 0},       {"Nothing", KIND_UNSIGNED, 1},
};

/* Cuts the first of comma-separated arguments off `*rest`, minding brackets and quotes. */
static struct slice argument(struct slice *rest) {
    unsigned depth = 0;
    bool quoted = false;
    size_t i = 0;

    for (; i < rest->size; i++) {
        uint8_t c = rest->data[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '\'')
                quoted = false;
        } else if (c == '\'') {
            quoted = true;
        } else if (c == '(') {
            depth++;
        } else if (c == ')') {
            depth -= depth > 0;
        } else if (c == ',' && depth == 0) {
            break;
        }
    }
    if (i > rest->size)
        i = rest->size;
    struct slice first = slice_trim(slice_take(*rest, i));
    *rest = slice_skip(*rest, i + 1);
    return first;
}

static int parse(struct slice text, struct arena *a, unsigned depth, struct native_parsed *ret);

static int parse_item(struct slice text, struct arena *a, unsigned depth,
                      const struct native_parsed **ret) {
    struct native_parsed *p = arena_new(a, struct native_parsed);

    if (!p)
        return -ENOMEM;
    int r = parse(text, a, depth, p);
    if (r < 0)
        return r;
    if (p->kind == KIND_ARRAY || p->kind == KIND_MAP)
        return -EBADMSG;
    *ret = p;
    return 0;
}

/* Name(arguments): those that wrap another type. 0 when it was one, 1 when not. */
static int parse_wrapper(struct slice name, struct slice args, struct arena *a, unsigned depth,
                         struct native_parsed *ret) {
    int r;

    if (slice_is(name, "SimpleAggregateFunction")) {
        argument(&args);
        return parse(argument(&args), a, depth, ret);
    }
    if (slice_is(name, "LowCardinality") || slice_is(name, "Nullable")) {
        r = parse(argument(&args), a, depth, ret);
        if (r < 0)
            return r;
        if (ret->kind == KIND_ARRAY || ret->kind == KIND_MAP || ret->low_cardinality)
            return -EBADMSG;
        if (slice_is(name, "LowCardinality"))
            ret->low_cardinality = true;
        else
            ret->nullable = true;
        return 0;
    }
    if (slice_is(name, "Array")) {
        *ret = (struct native_parsed){.kind = KIND_ARRAY};
        return parse_item(argument(&args), a, depth, &ret->item);
    }
    if (slice_is(name, "Map")) {
        *ret = (struct native_parsed){.kind = KIND_MAP};
        r = parse_item(argument(&args), a, depth, &ret->key);
        return r < 0 ? r : parse_item(argument(&args), a, depth, &ret->item);
    }
    return 1;
}

static int parse(struct slice text, struct arena *a, unsigned depth, struct native_parsed *ret) {
    struct slice name = text, args = SLICE_EMPTY;
    ptrdiff_t open = slice_find_byte(text, '(');

    if (depth == 0)
        return -EBADMSG;
    if (open >= 0) {
        if (text.data[text.size - 1] != ')')
            return -EBADMSG;
        name = slice_take(text, (size_t) open);
        args = slice_take(slice_skip(text, (size_t) open + 1), text.size - (size_t) open - 2);
        int r = parse_wrapper(name, args, a, depth - 1, ret);
        if (r <= 0)
            return r;
    }
    if (slice_is(name, "FixedString")) {
        uint64_t width;
        if (slice_to_u64(args, &width) < 0 || width == 0 || width > UINT32_C(1) << 20)
            return -EBADMSG;
        *ret = (struct native_parsed){.kind = KIND_BYTES, .width = (uint32_t) width};
        return 0;
    }
    for (size_t i = 0; i < sizeof(scalars) / sizeof(*scalars); i++)
        if (slice_is(name, scalars[i].name)) {
            *ret = (struct native_parsed){.kind = scalars[i].kind, .width = scalars[i].width};
            return 0;
        }
    return -EBADMSG;
}

int native_type_parse(struct slice text, struct arena *a, struct native_parsed *ret) {
    if (text.size > NATIVE_TYPE_TEXT_MAX)
        return -EBADMSG;
    return parse(slice_trim(text), a, NATIVE_TYPE_DEPTH_MAX, ret);
}
