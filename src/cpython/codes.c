/* Code objects by address. One that was replaced by another at its address is loaded as a new one;
 * the old one stays for the samples that point to it. */
#include "cpython/codes.h"
#include "base/hot.h"

#include "cpython/lines.h"

#define CODES_MAX 200000u
#define CODES_BYTES_MAX ((size_t) 256 << 20)

/* `code` first: what the frames point to. */
struct entry {
    struct cpython_code code;
    int64_t verified_ns;
};

void codes_init(struct codes *c, struct memory_reader *memory,
                const struct cpython_offsets *offsets) {
    c->trust_ns = CODE_TRUST_NS;
    c->memory = memory;
    c->offsets = offsets;
    map_init(&c->by_address, CODES_MAX, CODES_BYTES_MAX);
    arena_init(&c->texts, CODES_BYTES_MAX);
}

void codes_done(struct codes *c) {
    map_done(&c->by_address);
    arena_done(&c->texts);
}

static _Atomic uint64_t serials;

/* Reads a code object's texts and tables. NULL when it is none (any more). */
static struct entry *load(struct codes *c, uint64_t address, const uint8_t *raw) {
    const struct cpython_offsets *o = c->offsets;
    struct entry *e = arena_new(&c->texts, struct entry);
    uint64_t name =
            field_u64(raw, o->code.size, o->code.qualname ? o->code.qualname : o->code.name);

    if (!e)
        return NULL;
    struct cpython_code *code = &e->code;
    code->address = address;
    code->serial = ++serials;
    code->check[0] = field_u64(raw, o->code.size, o->code.name);
    code->check[1] = field_u64(raw, o->code.size, o->code.line_table);
    code->first_line = (int) field_u32(raw, o->code.size, o->code.first_line);
    code->file = cpython_read_text(c->memory, o, field_u64(raw, o->code.size, o->code.filename),
                                   &c->texts);
    code->name = cpython_read_text(c->memory, o, name, &c->texts);
    code->line_table = cpython_read_bytes(c->memory, o, code->check[1], &c->texts);
    code->last_line = cpython_last_line(o->minor, code->line_table, code->first_line);
    if (o->code.instructions)
        code->instructions = address + o->code.instructions;
    return code->file && code->name && code->line_table.data ? e : NULL;
}

static HOT bool same(const struct codes *c, const struct cpython_code *code, const uint8_t *raw) {
    const struct cpython_offsets *o = c->offsets;

    return code->check[0] == field_u64(raw, o->code.size, o->code.name) &&
           code->check[1] == field_u64(raw, o->code.size, o->code.line_table) &&
           code->first_line == (int) field_u32(raw, o->code.size, o->code.first_line);
}

static HOT void take(struct codes *c, uint64_t address, const uint8_t *raw, int64_t now_ns) {
    struct map_entry *slot = map_get(&c->by_address, slice_new(&address, 8));
    struct entry *e = slot ? slot->pointer : NULL;

    if (!e || !same(c, &e->code, raw)) {
        if (e)
            e->verified_ns = INT64_MIN / 2; /* whoever still points to it must look again */
        c->replaced += e != NULL;
        e = load(c, address, raw);
        if (slot)
            slot->pointer = e; /* NULL when it is none: not the old one any more */
        else if (e && (slot = map_put(&c->by_address, slice_new(&address, 8), NULL)))
            slot->pointer = e;
    }
    if (e)
        e->verified_ns = now_ns;
}

static void forget(struct codes *c, uint64_t address) {
    struct map_entry *slot = map_get(&c->by_address, slice_new(&address, 8));

    if (slot && slot->pointer) {
        ((struct entry *) slot->pointer)->verified_ns = INT64_MIN / 2;
        c->replaced++;
    }
    if (slot)
        slot->pointer = NULL;
}

static HOT void read_some(struct codes *c, const uint64_t *addresses, size_t n, int64_t now_ns) {
    struct memory_part parts[CODES_AT_ONCE];
    size_t at = 0;

    for (size_t i = 0; i < n; i++)
        parts[i] = (struct memory_part){addresses[i], c->raw[i], c->offsets->code.size};
    while (at < n) {
        size_t got = memory_read_many(c->memory, parts + at, n - at);
        for (size_t i = at; i < at + got; i++)
            take(c, addresses[i], c->raw[i], now_ns);
        at += got;
        if (at < n) /* this one cannot be read: go on behind it */
            forget(c, addresses[at++]);
    }
}

HOT void codes_refresh(struct codes *c, const uint64_t *addresses, size_t n, int64_t now_ns) {
    uint64_t stale[CODES_AT_ONCE];
    size_t n_stale = 0;

    if (c->offsets->code.size > CODE_BYTES_MAX)
        return;
    for (size_t i = 0; i < n; i++) {
        struct map_entry *slot = map_get(&c->by_address, slice_new(&addresses[i], 8));
        const struct entry *e = slot ? slot->pointer : NULL;
        bool wanted = addresses[i] && !(e && now_ns - e->verified_ns < c->trust_ns);
        for (size_t k = 0; wanted && k < n_stale; k++)
            wanted = stale[k] != addresses[i];
        if (wanted)
            stale[n_stale++] = addresses[i];
        if (n_stale == CODES_AT_ONCE || (i + 1 == n && n_stale)) {
            read_some(c, stale, n_stale, now_ns);
            n_stale = 0;
        }
    }
}

HOT int64_t codes_verified_ns(const struct cpython_code *code) {
    return ((const struct entry *) code)->verified_ns; /* its first member */
}

HOT bool codes_fresh(const struct codes *c, const struct cpython_code *code, int64_t now_ns) {
    return now_ns - codes_verified_ns(code) < c->trust_ns;
}

HOT const struct cpython_code *codes_find(const struct codes *c, uint64_t address) {
    struct map_entry *slot = map_get(&c->by_address, slice_new(&address, 8));
    const struct entry *e = slot ? slot->pointer : NULL;

    return e ? &e->code : NULL;
}
