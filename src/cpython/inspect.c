/* Objects/dictobject.c, setobject.c, typeobject.c and longobject.c of CPython tell the layouts. */
#include "cpython/inspect.h"

#include <errno.h>

#define FLAG_INLINE_VALUES (1u << 2) /* 3.13+: values lie behind the object */
#define FLAG_MANAGED_DICT (1u << 4)  /* 3.11+: the dictionary lies before the object */
#define KEYS_BYTES_MAX (INSPECT_ITEMS_MAX * 24u)
#define SET_SLOTS_MAX (4 * INSPECT_ITEMS_MAX)
#define SET_SLOTS_AT_ONCE 1024u
#define DIGIT_BITS 30

uint64_t object_field(const struct inspector *in, uint64_t object, uint32_t offset) {
    uint64_t v;

    return object && memory_read_u64(in->memory, object + offset, &v) == 0 ? v : 0;
}

uint64_t object_type(const struct inspector *in, uint64_t object) {
    return object_field(in, object, in->offsets->head - 8);
}

bool type_name(const struct inspector *in, uint64_t type, char ret[INSPECT_NAME_MAX]) {
    uint64_t name = object_field(in, type, in->offsets->head + 8);
    size_t room = INSPECT_NAME_MAX - 1;

    if (!name)
        return false;
    memset(ret, 0, INSPECT_NAME_MAX);
    if (memory_read(in->memory, name, ret, room) < 0) {
        room = 4096 - name % 4096; /* the end of what is mapped may be near */
        if (room >= INSPECT_NAME_MAX || memory_read(in->memory, name, ret, room) < 0)
            return false;
    }
    for (char *c = ret; *c; c++)
        if ((unsigned char) *c < 0x20 || (unsigned char) *c > 0x7e)
            *c = '?';
    return ret[0] != 0;
}

bool object_type_name(const struct inspector *in, uint64_t object, char ret[INSPECT_NAME_MAX]) {
    if (!type_name(in, object_type(in, object), ret))
        return false;
    const char *dot = strrchr(ret, '.');
    if (dot && dot[1])
        memmove(ret, dot + 1, strlen(dot));
    return true;
}

uint64_t type_flags(const struct inspector *in, uint64_t type) {
    return object_field(in, type, in->offsets->head + 152);
}

bool text_is(const struct inspector *in, uint64_t object, const char *text) {
    const struct cpython_offsets *o = in->offsets;
    uint8_t head[128 + INSPECT_NAME_MAX];
    size_t n = strlen(text), size = o->unicode.ascii_size + n;

    if (n >= INSPECT_NAME_MAX || o->unicode.ascii_size > 128 ||
        object_field(in, object, o->unicode.length) != n ||
        memory_read(in->memory, object, head, size) < 0)
        return false;
    return memcmp(head + o->unicode.ascii_size, text, n) == 0;
}

/* ---- Dictionaries ---- */

/* The names' table of a dictionary, as read. */
struct keys {
    uint64_t entries; /* address */
    size_t n, size;   /* entries, bytes of one: hash, key, value; or key, value */
};

static bool read_keys(const struct inspector *in, uint64_t keys, struct keys *ret) {
    uint8_t head[40];
    uint64_t slots, indices;

    if (memory_read(in->memory, keys, head, in->offsets->minor >= 11 ? 32 : 40) < 0)
        return false;
    if (in->offsets->minor >= 11) { /* refcnt, log2 of slots, log2 of index bytes, kind, … */
        if (head[9] > 40)
            return false;
        indices = UINT64_C(1) << head[9];
        ret->size = head[10] == 0 ? 24 : 16;
        ret->n = field_u64(head, sizeof(head), 24);
        ret->entries = keys + 32 + indices;
    } else { /* refcnt, slots, lookup, usable, entries */
        slots = field_u64(head, sizeof(head), 8);
        if (slots > UINT32_MAX)
            return false;
        indices = slots * (slots <= 0xff ? 1 : slots <= 0xffff ? 2 : 4);
        ret->size = 24;
        ret->n = field_u64(head, sizeof(head), 32);
        ret->entries = keys + 40 + indices;
    }
    return ret->n <= INSPECT_ITEMS_MAX;
}

/* Entries of a table; values from `values` when they lie apart. */
static int read_entries(const struct inspector *in, uint64_t keys_at, uint64_t values, size_t most,
                        struct dict_item **ret, size_t *ret_n) {
    struct keys keys;

    if (!read_keys(in, keys_at, &keys))
        return -EIO;
    size_t n = keys.n < most ? keys.n : most;
    struct dict_item *items = arena_array(in->texts, struct dict_item, n);
    uint8_t *raw = arena_alloc(in->texts, n * keys.size);
    uint64_t *apart = values ? arena_array(in->texts, uint64_t, n) : NULL;
    if (!items || !raw || (values && !apart))
        return -ENOMEM;
    if (n && (memory_read(in->memory, keys.entries, raw, n * keys.size) < 0 ||
              (values && memory_read(in->memory, values, apart, n * 8) < 0)))
        return -EIO;
    for (size_t i = 0; i < n; i++) {
        memcpy(&items[i].key, raw + i * keys.size + keys.size - 16, 8);
        memcpy(&items[i].value, raw + i * keys.size + keys.size - 8, 8);
        if (values)
            items[i].value = apart[i];
    }
    *ret = items;
    *ret_n = n;
    return 0;
}

/* Where the values of a split dictionary lie, of what points to them. */
static uint64_t first_value(const struct inspector *in, uint64_t values) {
    return values && in->offsets->minor >= 13 ? values + 8 : values;
}

int dict_items(const struct inspector *in, uint64_t dict, size_t most, struct dict_item **ret,
               size_t *ret_n) {
    uint64_t parts[2]; /* keys, values */

    if (memory_read(in->memory, dict + in->offsets->head + 16, parts, sizeof(parts)) < 0)
        return -EIO;
    return read_entries(in, parts[0], first_value(in, parts[1]), most, ret, ret_n);
}

static uint64_t find_item(const struct inspector *in, const struct dict_item *items, size_t n,
                          const char *key) {
    uint64_t lengths[MEMORY_PARTS_MAX], wanted = strlen(key);
    struct memory_part parts[MEMORY_PARTS_MAX];

    for (size_t at = 0; at < n;) {
        size_t many = n - at < MEMORY_PARTS_MAX ? n - at : MEMORY_PARTS_MAX, count = 0;
        for (size_t i = 0; i < many; i++)
            parts[count++] = (struct memory_part){items[at + i].key + in->offsets->unicode.length,
                                                  &lengths[i], 8};
        size_t done = memory_read_many(in->memory, parts, count);
        for (size_t i = 0; i < done; i++)
            if (lengths[i] == wanted && items[at + i].key && items[at + i].value &&
                text_is(in, items[at + i].key, key))
                return items[at + i].value;
        at += done < many ? done + 1 : many; /* a removed entry has no key: go on behind it */
    }
    return 0;
}

uint64_t dict_get(const struct inspector *in, uint64_t dict, const char *key) {
    struct dict_item *items;
    size_t n;

    return dict && dict_items(in, dict, INSPECT_ITEMS_MAX, &items, &n) == 0
                   ? find_item(in, items, n, key)
                   : 0;
}

/* Where an object's own attributes lie: a dictionary, or values whose names its type keeps. */
static void find_attributes(const struct inspector *in, uint64_t object, uint64_t *ret_dict,
                            uint64_t *ret_values, uint64_t *ret_keys) {
    const struct cpython_offsets *o = in->offsets;
    uint64_t type = object_type(in, object), flags = type_flags(in, type);

    *ret_dict = *ret_values = 0;
    *ret_keys = object_field(in, type, o->object.cached_keys);
    if (o->minor < 11 || !(flags & FLAG_MANAGED_DICT)) {
        int64_t place = (int64_t) object_field(in, type, o->head + 272);
        if (place > 0 && place < 4096)
            *ret_dict = object_field(in, object, (uint32_t) place);
        return;
    }
    uint64_t before = object_field(in, object - (o->free_threaded ? 8 : 24), 0);
    if (o->minor == 11) {
        *ret_values = object_field(in, object - 32, 0);
        *ret_dict = *ret_values ? 0 : before;
    } else if (o->minor == 12) {
        *ret_values = before & 1 ? before + 1 : 0;
        *ret_dict = before & 1 ? 0 : before;
    } else if (before || !(flags & FLAG_INLINE_VALUES)) {
        *ret_dict = before;
    } else {
        uint64_t size = object_field(in, type, o->head + 16);
        *ret_values = size < 65536 ? object + size + 8 : 0;
    }
}

int object_attributes(const struct inspector *in, uint64_t object, size_t most,
                      struct dict_item **ret, size_t *ret_n) {
    uint64_t dict, values, keys;

    find_attributes(in, object, &dict, &values, &keys);
    if (dict)
        return dict_items(in, dict, most, ret, ret_n);
    return values && keys ? read_entries(in, keys, values, most, ret, ret_n) : -EIO;
}

uint64_t object_attribute(const struct inspector *in, uint64_t object, const char *name) {
    struct dict_item *items;
    size_t n;

    return object && object_attributes(in, object, INSPECT_ITEMS_MAX, &items, &n) == 0
                   ? find_item(in, items, n, name)
                   : 0;
}

uint64_t module_dict(const struct inspector *in, uint64_t interpreter, const char *name) {
    uint64_t modules = object_field(in, interpreter, in->offsets->interpreter.modules),
             module = dict_get(in, modules, name);

    return object_field(in, module, in->offsets->head);
}

/* ---- Sequences and sets ---- */

static int read_array(const struct inspector *in, uint64_t at, uint64_t size, size_t most,
                      uint64_t **ret, size_t *ret_n) {
    size_t n = size < most ? (size_t) size : most;

    if (n > INSPECT_ITEMS_MAX)
        n = INSPECT_ITEMS_MAX;
    uint64_t *items = arena_array(in->texts, uint64_t, n);
    if (!items)
        return -ENOMEM;
    if (n && memory_read(in->memory, at, items, n * 8) < 0)
        return -EIO;
    *ret = items;
    *ret_n = n;
    return 0;
}

int tuple_items(const struct inspector *in, uint64_t tuple, size_t most, uint64_t **ret,
                size_t *ret_n, uint64_t *ret_size) {
    uint64_t size;

    if (memory_read_u64(in->memory, tuple + in->offsets->head, &size) < 0 || size > INT64_MAX)
        return -EIO;
    if (ret_size)
        *ret_size = size;
    return read_array(in, tuple + in->offsets->object.tuple_items, size, most, ret, ret_n);
}

int list_items(const struct inspector *in, uint64_t list, size_t most, uint64_t **ret,
               size_t *ret_n, uint64_t *ret_size) {
    uint64_t parts[2]; /* size, items */

    if (memory_read(in->memory, list + in->offsets->head, parts, sizeof(parts)) < 0 ||
        parts[0] > INT64_MAX)
        return -EIO;
    if (ret_size)
        *ret_size = parts[0];
    return read_array(in, parts[1], parts[0], most, ret, ret_n);
}

int set_items(const struct inspector *in, uint64_t set, size_t most, uint64_t **ret, size_t *ret_n,
              uint64_t *ret_size) {
    uint64_t parts[4]; /* filled, used, mask, table */
    struct {
        uint64_t key, hash;
    } slots[SET_SLOTS_AT_ONCE];
    size_t n = 0;

    if (memory_read(in->memory, set + in->offsets->head, parts, sizeof(parts)) < 0 ||
        parts[1] > parts[2] || parts[2] >= SET_SLOTS_MAX)
        return -EIO;
    size_t room = parts[1] < most ? (size_t) parts[1] : most;
    uint64_t *items = arena_array(in->texts, uint64_t, room);
    if (!items)
        return -ENOMEM;
    for (uint64_t at = 0; at <= parts[2] && n < room; at += SET_SLOTS_AT_ONCE) {
        size_t many = parts[2] + 1 - at < SET_SLOTS_AT_ONCE ? (size_t) (parts[2] + 1 - at)
                                                            : SET_SLOTS_AT_ONCE;
        if (memory_read(in->memory, parts[3] + at * 16, slots, many * 16) < 0)
            return -EIO;
        for (size_t i = 0; i < many && n < room; i++)
            if (slots[i].key && slots[i].hash != UINT64_MAX) /* a removed one hashes to -1 */
                items[n++] = slots[i].key;
    }
    if (ret_size)
        *ret_size = parts[1];
    *ret = items;
    *ret_n = n;
    return 0;
}

bool int_value(const struct inspector *in, uint64_t object, uint64_t *ret) {
    uint8_t raw[16];
    uint64_t size;

    if (memory_read(in->memory, object + in->offsets->head, raw, sizeof(raw)) < 0)
        return false;
    memcpy(&size, raw, 8);
    if (in->offsets->minor >= 12) {
        if ((size & 3) == 2) /* negative */
            return false;
        size = size & 3 ? 0 : size >> 3;
    }
    if (size > 2)
        return false;
    uint64_t low = field_u32(raw, sizeof(raw), 8), high = field_u32(raw, sizeof(raw), 12);
    *ret = (size > 0 ? low : 0) | (size > 1 ? high << DIGIT_BITS : 0);
    return true;
}
