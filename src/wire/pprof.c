/*
 * Reading pprof. Tables may stand anywhere in the message, so it is walked three times: counting,
 * strings, and what refers to strings; samples are walked as they are asked for. Tables lie in the
 * reader's arena and are looked up by position, since writers number them 1, 2, 3, …; any other
 * numbering goes through a map.
 */
#include "wire/pprof.h"

#include "wire/compress.h"
#include "wire/protobuf.h"

#define TABLE_BYTES_MAX ((size_t) 512 << 20)

/* Fields of Profile. */
enum {
    P_SAMPLE_TYPE = 1,
    P_SAMPLE,
    P_MAPPING,
    P_LOCATION,
    P_FUNCTION,
    P_STRING,
    P_TIME = 9,
    P_DURATION,
    P_PERIOD_TYPE,
    P_PERIOD,
    P_FIELDS
};

struct function {
    uint64_t id;
    struct slice name, file;
    int64_t start_line;
};

struct location {
    uint64_t id;
    struct pprof_frame *frames;
    size_t n;
};

struct mapping {
    uint64_t id;
    struct slice file;
};

struct pprof {
    struct slice message;
    struct buffer plain; /* when it came gzipped */
    struct arena arena;
    struct pprof_head head;
    size_t counts[P_FIELDS];
    struct slice *strings;
    struct function *functions;
    struct location *locations;
    struct mapping *mappings;
    size_t n_strings, n_functions, n_locations, n_mappings, n_lines;
    struct map function_ids, location_ids, mapping_ids; /* id → position, where they differ */
    struct pb_reader samples;
    size_t frames_read; /* of all samples */
    struct pprof_frame frames[PPROF_FRAMES_MAX];
    int64_t values[PPROF_VALUES_MAX];
    struct pprof_label labels[PPROF_LABELS_MAX];
};

static int bad(struct error *e, const char *what) {
    return error_set(e, -EBADMSG, "malformed pprof profile: %s", what);
}

static int text_at(const struct pprof *p, uint64_t i, struct slice *ret) {
    if (i >= p->n_strings) {
        *ret = SLICE_EMPTY;
        return i == 0 ? 0 : -EBADMSG;
    }
    *ret = p->strings[i];
    return 0;
}

/* ---- Tables by their ids ---- */

static struct slice id_key(const uint64_t *id) {
    return slice_new(id, sizeof(*id));
}

/* Notes where `id` is, unless that follows from its number. */
static int note_id(struct map *ids, uint64_t id, size_t at) {
    if (id == at + 1)
        return 0;
    struct map_entry *e = map_put(ids, id_key(&id), NULL);
    if (!e)
        return -ENOMEM;
    e->number = at;
    return 0;
}

#define FIND(p, table, ids, wanted)                                                                \
    ({                                                                                             \
        uint64_t _id = (wanted);                                                                   \
        __typeof__((p)->table) _found = NULL;                                                      \
        if (_id && _id <= (p)->n_##table && (p)->table[_id - 1].id == _id) {                       \
            _found = &(p)->table[_id - 1];                                                         \
        } else if (_id) {                                                                          \
            struct map_entry *_e = map_get(&(p)->ids, id_key(&_id));                               \
            _found = _e ? &(p)->table[_e->number] : NULL;                                          \
        }                                                                                          \
        _found;                                                                                    \
    })

/* ---- First walk: how much there is ---- */

static int count_lines(struct slice location, size_t *n) {
    struct pb_reader r = pb_reader(location);
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0)
        *n += f.number == 4;
    return more;
}

static int count(struct pprof *p, struct error *e) {
    static const struct {
        unsigned field;
        size_t most;
        const char *what;
    } limits[] = {{P_STRING, PPROF_STRINGS_MAX, "strings"},
                  {P_FUNCTION, PPROF_FUNCTIONS_MAX, "functions"},
                  {P_LOCATION, PPROF_LOCATIONS_MAX, "locations"},
                  {P_MAPPING, PPROF_MAPPINGS_MAX, "mappings"},
                  {P_SAMPLE_TYPE, PPROF_VALUES_MAX, "sample types"}};
    struct pb_reader r = pb_reader(p->message);
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        if (f.number >= P_FIELDS)
            continue;
        p->counts[f.number]++;
        if (f.number <= P_STRING && f.wire != PB_BYTES)
            return bad(e, "a field of the wrong type");
        if (f.number == P_LOCATION && count_lines(f.bytes, &p->n_lines) < 0)
            return bad(e, "a location");
    }
    if (more < 0)
        return bad(e, "it is cut off or no protobuf");
    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
        if (p->counts[limits[i].field] > limits[i].most)
            return error_set(e, -E2BIG, "the pprof profile has more than %zu %s", limits[i].most,
                             limits[i].what);
    if (p->n_lines > PPROF_LINES_MAX)
        return error_set(e, -E2BIG, "the pprof profile has more than %u lines", PPROF_LINES_MAX);
    return 0;
}

static int allocate(struct pprof *p) {
    p->strings = arena_array(&p->arena, struct slice, p->counts[P_STRING]);
    p->functions = arena_array(&p->arena, struct function, p->counts[P_FUNCTION]);
    p->locations = arena_array(&p->arena, struct location, p->counts[P_LOCATION]);
    p->mappings = arena_array(&p->arena, struct mapping, p->counts[P_MAPPING]);
    return p->strings && p->functions && p->locations && p->mappings ? 0 : -ENOMEM;
}

/* ---- Second walk: strings and mappings' and functions' own texts ---- */

static int read_value_type(struct pprof *p, struct slice message, struct pprof_value_type *ret) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more, error = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (f.number == 1 && f.wire == PB_VARINT)
            error = text_at(p, f.u64, &ret->type);
        else if (f.number == 2 && f.wire == PB_VARINT)
            error = text_at(p, f.u64, &ret->unit);
    }
    return error < 0 || more < 0 ? -EBADMSG : 0;
}

static int read_mapping(struct pprof *p, struct slice message) {
    struct mapping *m = &p->mappings[p->n_mappings];
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        if (f.number == 1 && f.wire == PB_VARINT)
            m->id = f.u64;
        else if (f.number == 5 && f.wire == PB_VARINT && text_at(p, f.u64, &m->file) < 0)
            return -EBADMSG;
    }
    return more < 0 ? -EBADMSG : note_id(&p->mapping_ids, m->id, p->n_mappings++);
}

static int read_function(struct pprof *p, struct slice message) {
    struct function *x = &p->functions[p->n_functions];
    struct pb_reader r = pb_reader(message);
    struct slice system_name = SLICE_EMPTY;
    struct pb_field f;
    int more, error = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (f.wire != PB_VARINT)
            continue;
        switch (f.number) {
        case 1: x->id = f.u64; break;
        case 2: error = text_at(p, f.u64, &x->name); break;
        case 3: error = text_at(p, f.u64, &system_name); break;
        case 4: error = text_at(p, f.u64, &x->file); break;
        case 5: x->start_line = (int64_t) f.u64; break;
        default: break;
        }
    }
    if (error < 0 || more < 0)
        return -EBADMSG;
    if (x->name.size == 0)
        x->name = system_name;
    return note_id(&p->function_ids, x->id, p->n_functions++);
}

/* ---- Third walk: locations ---- */

static int read_line(struct pprof *p, struct slice message, struct pprof_frame *ret) {
    struct pb_reader r = pb_reader(message);
    struct function *x = NULL;
    uint64_t function = 0;
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        if (f.number == 1 && f.wire == PB_VARINT)
            function = f.u64;
        else if (f.number == 2 && f.wire == PB_VARINT)
            ret->line = (int64_t) f.u64;
    }
    if (more < 0)
        return -EBADMSG;
    if (function) {
        x = FIND(p, functions, function_ids, function);
        if (!x)
            return -EBADMSG;
        ret->function = x->name;
        ret->file = x->file;
        ret->start_line = x->start_line;
    }
    return 0;
}

/* A frame without symbols: the address stands for the function, the mapping for the file. */
static int address_frame(struct pprof *p, struct location *l, uint64_t address, uint64_t mapping) {
    const struct mapping *m = mapping ? FIND(p, mappings, mapping_ids, mapping) : NULL;
    const char *text = arena_printf(&p->arena, "0x%llx", (unsigned long long) address);

    if (mapping && !m)
        return -EBADMSG;
    l->n = 1;
    l->frames = arena_new(&p->arena, struct pprof_frame);
    if (!text || !l->frames)
        return -ENOMEM;
    *l->frames =
            (struct pprof_frame){.function = slice_from(text), .file = m ? m->file : SLICE_EMPTY};
    return 0;
}

static int read_location(struct pprof *p, struct slice message) {
    struct location *l = &p->locations[p->n_locations];
    struct pb_reader r = pb_reader(message);
    uint64_t mapping = 0, address = 0;
    size_t n = 0;
    struct pb_field f;
    int more, error = 0;

    if (count_lines(message, &n) < 0)
        return -EBADMSG;
    if (n && !(l->frames = arena_array(&p->arena, struct pprof_frame, n)))
        return -ENOMEM;
    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (f.number == 1 && f.wire == PB_VARINT)
            l->id = f.u64;
        else if (f.number == 2 && f.wire == PB_VARINT)
            mapping = f.u64;
        else if (f.number == 3 && f.wire == PB_VARINT)
            address = f.u64;
        else if (f.number == 4)
            error = f.wire == PB_BYTES ? read_line(p, f.bytes, &l->frames[l->n++]) : -EBADMSG;
    }
    if (error == 0 && n == 0)
        error = address_frame(p, l, address, mapping);
    return error < 0 ? error : note_id(&p->location_ids, l->id, p->n_locations++);
}

/* ---- All of it ---- */

static int walk_strings(struct pprof *p) {
    struct pb_reader r = pb_reader(p->message);
    struct pb_field f;

    while (pb_next(&r, &f) > 0)
        if (f.number == P_STRING)
            p->strings[p->n_strings++] = f.bytes;
    return 0;
}

static int walk_tables(struct pprof *p) {
    struct pb_reader r = pb_reader(p->message);
    struct pprof_head *h = &p->head;
    struct pb_field f;
    int error = 0;

    while (error == 0 && pb_next(&r, &f) > 0)
        switch (f.number) {
        case P_SAMPLE_TYPE: error = read_value_type(p, f.bytes, &h->types[h->n_types++]); break;
        case P_MAPPING: error = read_mapping(p, f.bytes); break;
        case P_FUNCTION: error = read_function(p, f.bytes); break;
        case P_TIME: h->time_ns = f.wire == PB_VARINT ? (int64_t) f.u64 : 0; break;
        case P_DURATION: h->duration_ns = f.wire == PB_VARINT ? (int64_t) f.u64 : 0; break;
        case P_PERIOD: h->period = f.wire == PB_VARINT ? (int64_t) f.u64 : 0; break;
        case P_PERIOD_TYPE:
            error = f.wire == PB_BYTES ? read_value_type(p, f.bytes, &h->period_type) : -EBADMSG;
            break;
        default: break;
        }
    return error;
}

static int walk_locations(struct pprof *p) {
    struct pb_reader r = pb_reader(p->message);
    struct pb_field f;
    int error = 0;

    while (error == 0 && pb_next(&r, &f) > 0)
        if (f.number == P_LOCATION)
            error = read_location(p, f.bytes);
    return error;
}

static int read_tables(struct pprof *p, struct error *e) {
    int r = count(p, e);

    if (r < 0)
        return r;
    r = allocate(p);
    if (r == 0)
        r = walk_strings(p);
    if (r == 0)
        r = walk_tables(p);
    if (r == 0)
        r = walk_locations(p);
    if (r == 0 && p->head.n_types == 0)
        return bad(e, "it says no sample type");
    if (r == -EBADMSG)
        return bad(e, "it refers to something that it does not hold");
    return r < 0 ? error_set(e, r, "out of memory") : 0;
}

static int unpack(struct pprof *p, struct slice bytes, struct error *e) {
    p->message = bytes;
    if (bytes.size < 2 || bytes.data[0] != 0x1f || bytes.data[1] != 0x8b)
        return 0;
    int r = decompress(COMPRESSION_GZIP, bytes, &p->plain);
    if (r == -ENOBUFS)
        return error_set(e, -E2BIG, "the pprof profile is larger than %zu bytes when decompressed",
                         PPROF_BYTES_MAX);
    if (r == -EBADMSG)
        return bad(e, "it is gzipped, and damaged");
    p->message = buffer_slice(&p->plain);
    return r < 0 ? error_set(e, r, "out of memory") : 0;
}

int pprof_read(struct slice bytes, struct pprof **ret, struct error *e) {
    struct pprof *p = memory_alloc(sizeof(*p));

    if (!p)
        return error_set(e, -ENOMEM, "out of memory");
    memset(p, 0, sizeof(*p));
    buffer_init(&p->plain, PPROF_BYTES_MAX);
    arena_init(&p->arena, TABLE_BYTES_MAX);
    map_init(&p->function_ids, PPROF_FUNCTIONS_MAX, TABLE_BYTES_MAX);
    map_init(&p->location_ids, PPROF_LOCATIONS_MAX, TABLE_BYTES_MAX);
    map_init(&p->mapping_ids, PPROF_MAPPINGS_MAX, TABLE_BYTES_MAX);
    int r = unpack(p, bytes, e);
    if (r == 0)
        r = read_tables(p, e);
    if (r < 0) {
        pprof_free(p);
        return r;
    }
    p->head.n_samples = p->counts[P_SAMPLE];
    pprof_rewind(p);
    *ret = p;
    return 0;
}

void pprof_free(struct pprof *p) {
    if (!p)
        return;
    map_done(&p->function_ids);
    map_done(&p->location_ids);
    map_done(&p->mapping_ids);
    arena_done(&p->arena);
    buffer_done(&p->plain);
    free(p);
}

const struct pprof_head *pprof_head(const struct pprof *p) {
    return &p->head;
}

void pprof_rewind(struct pprof *p) {
    p->samples = pb_reader(p->message);
    p->frames_read = 0;
}

/* ---- Samples ---- */

static int add_location(struct pprof *p, uint64_t id, struct pprof_sample *ret) {
    const struct location *l = FIND(p, locations, location_ids, id);

    if (!l)
        return -EBADMSG;
    for (size_t i = 0; i < l->n; i++) {
        if (ret->n_frames == PPROF_FRAMES_MAX) {
            ret->cut = true;
            break;
        }
        p->frames[ret->n_frames++] = l->frames[i];
    }
    return 0;
}

static int add_value(struct pprof *p, uint64_t v, struct pprof_sample *ret) {
    if (ret->n_values == p->head.n_types)
        return -EBADMSG;
    p->values[ret->n_values++] = (int64_t) v;
    return 0;
}

/* A repeated number, packed or alone. */
static int add_numbers(struct pprof *p, const struct pb_field *f,
                       int (*add)(struct pprof *p, uint64_t v, struct pprof_sample *ret),
                       struct pprof_sample *ret) {
    uint64_t v;
    int more, error = 0;

    if (f->wire == PB_VARINT)
        return add(p, f->u64, ret);
    if (f->wire != PB_BYTES)
        return -EBADMSG;
    struct pb_reader r = pb_reader(f->bytes);
    while (error == 0 && (more = pb_packed(&r, PB_VARINT, &v)) > 0)
        error = add(p, v, ret);
    return error < 0 ? error : more;
}

static int add_label(struct pprof *p, struct slice message, struct pprof_sample *ret) {
    struct pb_reader r = pb_reader(message);
    struct pprof_label l = {0};
    struct pb_field f;
    int more, error = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (f.wire != PB_VARINT)
            continue;
        switch (f.number) {
        case 1: error = text_at(p, f.u64, &l.key); break;
        case 2: error = text_at(p, f.u64, &l.text); break;
        case 3: l.number = (int64_t) f.u64; break;
        case 4: error = text_at(p, f.u64, &l.unit); break;
        default: break;
        }
    }
    if (error < 0 || more < 0)
        return -EBADMSG;
    if (ret->n_labels < PPROF_LABELS_MAX)
        p->labels[ret->n_labels++] = l;
    return 0;
}

static int read_sample(struct pprof *p, struct slice message, struct pprof_sample *ret) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more, error = 0;

    *ret = (struct pprof_sample){.frames = p->frames, .values = p->values, .labels = p->labels};
    while (error == 0 && (more = pb_next(&r, &f)) > 0)
        switch (f.number) {
        case 1: error = add_numbers(p, &f, add_location, ret); break;
        case 2: error = add_numbers(p, &f, add_value, ret); break;
        case 3: error = f.wire == PB_BYTES ? add_label(p, f.bytes, ret) : -EBADMSG; break;
        default: break;
        }
    return error < 0 || more < 0 || ret->n_values != p->head.n_types ? -EBADMSG : 0;
}

int pprof_next(struct pprof *p, struct pprof_sample *ret, struct error *e) {
    struct pb_field f;
    int more;

    while ((more = pb_next(&p->samples, &f)) > 0)
        if (f.number == P_SAMPLE) {
            if (read_sample(p, f.bytes, ret) < 0)
                return bad(e, "a sample without a value per type, or of unknown locations");
            p->frames_read += ret->n_frames;
            if (p->frames_read > PPROF_FRAMES_TOTAL_MAX)
                return error_set(e, -E2BIG, "the pprof profile's stacks hold more than %u frames",
                                 PPROF_FRAMES_TOTAL_MAX);
            return 1;
        }
    return more < 0 ? bad(e, "it is cut off") : 0;
}
