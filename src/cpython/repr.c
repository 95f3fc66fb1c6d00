/* By exact type: a subclass may show itself in its own way, which is not known from outside. */
#include "cpython/repr.h"

#include <math.h>
#include <stdio.h>

static void put(const struct inspector *in, uint64_t object, struct buffer *out, unsigned depth);

/* "<Type at 0x…>" */
static void put_other(const struct inspector *in, uint64_t object, struct buffer *out) {
    char name[INSPECT_NAME_MAX];

    if (type_name(in, object_type(in, object), name))
        buffer_printf(out, "<%s at 0x%llx>", name, (unsigned long long) object);
    else
        buffer_printf(out, "<unreadable at 0x%llx>", (unsigned long long) object);
}

/* ---- Numbers ---- */

/* Digits of 30 bits, lowest first, as a decimal number. */
static void put_digits(struct buffer *out, const uint32_t *digits, size_t n) {
    uint32_t parts[2 * REPR_DIGITS_MAX] = {0}; /* of nine decimal digits, lowest first */
    size_t n_parts = 1;

    while (n > 0) {
        uint64_t carry = digits[--n] & 0x3fffffff;
        for (size_t i = 0; i < n_parts; i++) {
            carry += (uint64_t) parts[i] << 30;
            parts[i] = (uint32_t) (carry % 1000000000);
            carry /= 1000000000;
        }
        for (; carry && n_parts < sizeof(parts) / sizeof(parts[0]); carry /= 1000000000)
            parts[n_parts++] = (uint32_t) (carry % 1000000000);
    }
    buffer_printf(out, "%u", parts[n_parts - 1]);
    while (--n_parts > 0)
        buffer_printf(out, "%09u", parts[n_parts - 1]);
}

static void put_int(const struct inspector *in, uint64_t object, struct buffer *out) {
    uint32_t digits[REPR_DIGITS_MAX];
    uint64_t size = object_field(in, object, in->offsets->head);
    bool negative;

    if (in->offsets->minor >= 12) {
        negative = (size & 3) == 2;
        size = (size & 3) == 1 ? 0 : size >> 3;
    } else {
        negative = (int64_t) size < 0;
        size = negative ? 0 - size : size;
    }
    if (size > REPR_DIGITS_MAX) {
        buffer_printf(out, "<int of %llu bits>", (unsigned long long) (30 * (size & UINT32_MAX)));
        return;
    }
    if (size && memory_read(in->memory, object + in->offsets->head + 8, digits, size * 4) < 0) {
        put_other(in, object, out);
        return;
    }
    buffer_append_text(out, negative ? "-" : "");
    put_digits(out, digits, (size_t) size);
}

static void put_float(const struct inspector *in, uint64_t object, struct buffer *out) {
    uint64_t bits = object_field(in, object, in->offsets->head);
    char text[40];
    double v;

    memcpy(&v, &bits, sizeof(v));
    for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back the same */
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buffer_append_text(out, text);
    if (isfinite(v) && !strpbrk(text, ".e"))
        buffer_append_text(out, ".0");
}

/* ---- Texts ---- */

static void put_escaped(struct buffer *out, uint8_t c, bool ascii) {
    if (c == '\n' || c == '\r' || c == '\t')
        buffer_printf(out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    else if (c == '\'' || c == '\\')
        buffer_printf(out, "\\%c", c);
    else if (c < 0x20 || c == 0x7f || (ascii && c > 0x7f))
        buffer_printf(out, "\\x%02x", c);
    else
        buffer_append_u8(out, c);
}

static void put_str(const struct inspector *in, uint64_t object, struct buffer *out) {
    const char *text = cpython_read_text(in->memory, in->offsets, object, in->texts);
    size_t characters = 0;

    if (!text) {
        put_other(in, object, out);
        return;
    }
    buffer_append_u8(out, '\'');
    for (const char *c = text; *c; c++) {
        characters += ((uint8_t) *c & 0xc0) != 0x80;
        if (characters > REPR_TEXT_MAX)
            break;
        put_escaped(out, (uint8_t) *c, false);
    }
    buffer_append_text(out, characters > REPR_TEXT_MAX ? "'…" : "'");
}

static void put_bytes(const struct inspector *in, uint64_t object, struct buffer *out) {
    uint64_t size = object_field(in, object, in->offsets->bytes.size);
    uint8_t bytes[REPR_TEXT_MAX];
    size_t n = size < sizeof(bytes) ? (size_t) size : sizeof(bytes);

    if (n && memory_read(in->memory, object + in->offsets->bytes.data, bytes, n) < 0) {
        put_other(in, object, out);
        return;
    }
    buffer_append_text(out, "b'");
    for (size_t i = 0; i < n; i++)
        put_escaped(out, bytes[i], true);
    buffer_append_text(out, n < size ? "'…" : "'");
}

/* ---- Containers ---- */

typedef int items_fn(const struct inspector *in, uint64_t object, size_t most, uint64_t **ret,
                     size_t *ret_n, uint64_t *ret_size);

static void put_sequence(const struct inspector *in, uint64_t object, struct buffer *out,
                         unsigned depth, items_fn *read, const char *open, const char *close) {
    uint64_t *items, size;
    size_t n;

    if (depth >= REPR_DEPTH_MAX || read(in, object, REPR_ITEMS_MAX, &items, &n, &size) < 0) {
        put_other(in, object, out);
        return;
    }
    buffer_append_text(out, open);
    for (size_t i = 0; i < n; i++) {
        buffer_append_text(out, i ? ", " : "");
        put(in, items[i], out, depth + 1);
    }
    if (n < size)
        buffer_printf(out, ", … %llu in all", (unsigned long long) size);
    if (size == 1 && close[0] == ')' && open[0] == '(')
        buffer_append_u8(out, ',');
    buffer_append_text(out, close);
}

static void put_dict(const struct inspector *in, uint64_t object, struct buffer *out,
                     unsigned depth) {
    struct dict_item *items;
    uint64_t size = object_field(in, object, in->offsets->head);
    size_t n, shown = 0;

    if (depth >= REPR_DEPTH_MAX || dict_items(in, object, 4 * REPR_ITEMS_MAX, &items, &n) < 0) {
        put_other(in, object, out);
        return;
    }
    buffer_append_u8(out, '{');
    for (size_t i = 0; i < n && shown < REPR_ITEMS_MAX; i++) {
        if (!items[i].key || !items[i].value)
            continue;
        buffer_append_text(out, shown++ ? ", " : "");
        put(in, items[i].key, out, depth + 1);
        buffer_append_text(out, ": ");
        put(in, items[i].value, out, depth + 1);
    }
    if (shown < size)
        buffer_printf(out, "%s… %llu in all", shown ? ", " : "", (unsigned long long) size);
    buffer_append_u8(out, '}');
}

static void put(const struct inspector *in, uint64_t object, struct buffer *out, unsigned depth) {
    char name[INSPECT_NAME_MAX];
    uint64_t digit;

    if (out->size >= REPR_BYTES_MAX) {
        buffer_append_text(out, "…");
        return;
    }
    if (!type_name(in, object_type(in, object), name))
        put_other(in, object, out);
    else if (strcmp(name, "int") == 0)
        put_int(in, object, out);
    else if (strcmp(name, "bool") == 0)
        buffer_append_text(out, int_value(in, object, &digit) && digit ? "True" : "False");
    else if (strcmp(name, "NoneType") == 0)
        buffer_append_text(out, "None");
    else if (strcmp(name, "float") == 0)
        put_float(in, object, out);
    else if (strcmp(name, "str") == 0)
        put_str(in, object, out);
    else if (strcmp(name, "bytes") == 0)
        put_bytes(in, object, out);
    else if (strcmp(name, "list") == 0)
        put_sequence(in, object, out, depth, list_items, "[", "]");
    else if (strcmp(name, "tuple") == 0)
        put_sequence(in, object, out, depth, tuple_items, "(", ")");
    else if (strcmp(name, "set") == 0)
        put_sequence(in, object, out, depth, set_items, "{", "}");
    else if (strcmp(name, "frozenset") == 0)
        put_sequence(in, object, out, depth, set_items, "frozenset({", "})");
    else if (strcmp(name, "dict") == 0)
        put_dict(in, object, out, depth);
    else
        put_other(in, object, out);
}

void object_repr(const struct inspector *in, uint64_t object, struct buffer *out) {
    put(in, object, out, 0);
}
