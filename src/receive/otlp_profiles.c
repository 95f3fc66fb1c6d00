/*
 * OTLP profiles (opentelemetry-proto, profiles/v1development, as of 1.9): tables that all profiles
 * of a request share, and samples that name their rows. Indices are checked; row 0 of a table
 * stands for nothing. Slices point into the body; the tables lie in the decoder's arena.
 */
#include "base/clock.h"
#include "receive/otlp_decode.h"
#include "receive/profile_sink.h"
#include "signal/profile_attributes.h"
#include "wire/protobuf.h"

enum { T_MAPPING = 1, T_LOCATION, T_FUNCTION, T_LINK, T_STRING, T_ATTRIBUTE, T_STACK, TABLES };

#define NAMES_BYTES_MAX PROFILE_WORK_MAX

/* Rows as they stand in the message. */
struct table {
    struct slice *rows;
    size_t n;
};

struct profiles {
    struct otlp_decoder *d;
    struct table tables[TABLES];
    const struct resource *resource;
    struct stack_frame *frames; /* PROFILE_STACK_FRAMES_MAX */
    int64_t time_ns;            /* of the profile that is read */
    uint64_t start_line;        /* of the function that was read last */
    uint32_t resource_number;   /* from 1 on */
    uint32_t *texts_read;       /* by location: the resource that its text was read for last */
    size_t work;
};

struct profile {
    struct slice type, unit, period_type, period_unit;
    int64_t time_ns, period;
};

static int malformed(struct profiles *p, const char *what) {
    return otlp_pb_malformed(p->d, what);
}

/* ---- Tables ---- */

static int read_tables(struct profiles *p, struct slice dictionary) {
    struct pb_reader r = pb_reader(dictionary);
    struct pb_field f;
    int more;

    while ((more = pb_next(&r, &f)) > 0) {
        if (f.number < TABLES && f.wire != PB_BYTES)
            return malformed(p, "ProfilesDictionary");
        if (f.number < TABLES)
            p->tables[f.number].n++;
    }
    if (more < 0)
        return malformed(p, "ProfilesDictionary");
    for (unsigned i = 0; i < TABLES; i++) {
        p->tables[i].rows = arena_array(&p->d->message, struct slice, p->tables[i].n);
        if (!p->tables[i].rows)
            return -E2BIG;
        p->tables[i].n = 0;
    }
    r = pb_reader(dictionary);
    while (pb_next(&r, &f) > 0)
        if (f.number < TABLES)
            p->tables[f.number].rows[p->tables[f.number].n++] = f.bytes;
    return 0;
}

static int row(struct profiles *p, unsigned table, uint64_t i, struct slice *ret) {
    if (i >= p->tables[table].n) {
        *ret = SLICE_EMPTY;
        return i == 0 ? 0 : malformed(p, "an index beyond its table");
    }
    *ret = p->tables[table].rows[i];
    return 0;
}

static int value_type(struct profiles *p, struct slice message, struct slice *ret_type,
                      struct slice *ret_unit) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more, error = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0)
        if (f.wire == PB_VARINT && (f.number == 1 || f.number == 2))
            error = row(p, T_STRING, f.u64, f.number == 1 ? ret_type : ret_unit);
    return error < 0 ? error : more < 0 ? malformed(p, "ValueType") : 0;
}

/* ---- Stacks ---- */

static int read_function(struct profiles *p, uint64_t index, struct stack_frame *ret) {
    struct slice message, system_name = SLICE_EMPTY;
    struct pb_field f;
    int more = 0, error = row(p, T_FUNCTION, index, &message);
    struct pb_reader r = pb_reader(message);

    p->start_line = 0;
    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (f.wire != PB_VARINT)
            continue;
        if (f.number == 1)
            error = row(p, T_STRING, f.u64, &ret->function);
        else if (f.number == 2)
            error = row(p, T_STRING, f.u64, &system_name);
        else if (f.number == 3)
            error = row(p, T_STRING, f.u64, &ret->file);
        else if (f.number == 4)
            p->start_line = f.u64;
    }
    if (ret->function.size == 0)
        ret->function = system_name;
    return error < 0 ? error : more < 0 ? malformed(p, "Function") : 0;
}

static int read_line(struct profiles *p, struct slice message, struct stack_frame *ret) {
    struct pb_reader r = pb_reader(message);
    uint64_t function = 0;
    struct pb_field f;
    int more;

    *ret = (struct stack_frame){0};
    while ((more = pb_next(&r, &f)) > 0) {
        if (f.number == 1 && f.wire == PB_VARINT)
            function = f.u64;
        else if (f.number == 2 && f.wire == PB_VARINT && f.u64 <= UINT32_MAX)
            ret->line = (uint32_t) f.u64;
    }
    return more < 0 ? malformed(p, "Line") : read_function(p, function, ret);
}

/* A frame of native code without symbols: its address in the mapped file. */
static int address_frame(struct profiles *p, uint64_t address, uint64_t mapping,
                         struct stack_frame *ret) {
    struct slice message;
    struct pb_field f;
    int error = row(p, T_MAPPING, mapping, &message);
    struct pb_reader r = pb_reader(message);

    *ret = (struct stack_frame){0};
    while (error == 0 && pb_next(&r, &f) > 0)
        if (f.number == 4 && f.wire == PB_VARINT)
            error = row(p, T_STRING, f.u64, &ret->file);
    char *text = arena_printf(&p->d->record, "0x%llx", (unsigned long long) address);
    if (!text)
        return -E2BIG;
    ret->function = slice_from(text);
    return error;
}

/* KeyValueAndUnit, whose key is a row of the string table; an empty text when it is no text. */
static int attribute_row(struct profiles *p, uint64_t index, struct slice *ret_key,
                         struct slice *ret_text) {
    struct slice message, any = SLICE_EMPTY;
    struct pb_field f;
    int error = row(p, T_ATTRIBUTE, index, &message);
    struct pb_reader r = pb_reader(message);

    *ret_key = *ret_text = SLICE_EMPTY;
    while (error == 0 && pb_next(&r, &f) > 0) {
        if (f.number == 1 && f.wire == PB_VARINT)
            error = row(p, T_STRING, f.u64, ret_key);
        else if (f.number == 2 && f.wire == PB_BYTES)
            any = f.bytes;
    }
    r = pb_reader(any);
    while (error == 0 && pb_next(&r, &f) > 0)
        if (f.number == 1 && f.wire == PB_BYTES)
            *ret_text = f.bytes;
    return error;
}

/* An attribute of a location, if it is the text of the function `frame` is of. */
static int location_attribute(struct profiles *p, uint64_t index, const struct stack_frame *frame) {
    struct slice key, text;
    struct error e;
    int error = attribute_row(p, index, &key, &text);

    if (error < 0 || !slice_is(key, PROFILE_SOURCE_ATTRIBUTE) || p->start_line > UINT32_MAX)
        return error;
    p->work += text.size;
    if (p->work > NAMES_BYTES_MAX)
        return -E2BIG;
    const struct profile_source s = {
            .resource = p->resource,
            .time_ns = p->time_ns,
            .function = otlp_text(p->d, &p->d->record, frame->function),
            .file = otlp_text(p->d, &p->d->record, frame->file),
            .first_line = (uint32_t) p->start_line,
            .text = otlp_text(p->d, &p->d->record, text),
    };
    error = ingest_profile_source(p->d->txn, &s, &e);
    return error == -EINVAL ? 0 : error; /* its samples say why */
}

static int location_attributes(struct profiles *p, const struct pb_field *f, uint64_t location,
                               const struct stack_frame *frame) {
    struct pb_reader r = pb_reader(f->bytes);
    int more = 0, error = 0;
    uint64_t v;

    if (p->texts_read[location] == p->resource_number)
        return 0;
    p->texts_read[location] = p->resource_number;
    if (f->wire == PB_VARINT)
        return location_attribute(p, f->u64, frame);
    if (f->wire != PB_BYTES)
        return malformed(p, "Location");
    while (error == 0 && (more = pb_packed(&r, PB_VARINT, &v)) > 0)
        error = location_attribute(p, v, frame);
    return error < 0 ? error : more < 0 ? malformed(p, "Location") : 0;
}

static int read_location(struct profiles *p, uint64_t index, size_t *n) {
    uint64_t address = 0, mapping = 0;
    size_t before = *n;
    struct slice message;
    struct pb_field f;
    int more = 0, error = row(p, T_LOCATION, index, &message);
    struct pb_reader r = pb_reader(message);

    while (error == 0 && *n < PROFILE_STACK_FRAMES_MAX && (more = pb_next(&r, &f)) > 0) {
        if (f.number == 1 && f.wire == PB_VARINT)
            mapping = f.u64;
        else if (f.number == 2 && f.wire == PB_VARINT)
            address = f.u64;
        else if (f.number == 3 && f.wire == PB_BYTES)
            error = read_line(p, f.bytes, &p->frames[(*n)++]);
        else if (f.number == 4 && *n > before)
            error = location_attributes(p, &f, index, &p->frames[*n - 1]);
    }
    if (error == 0 && *n == before && *n < PROFILE_STACK_FRAMES_MAX)
        error = address_frame(p, address, mapping, &p->frames[(*n)++]);
    return error < 0 ? error : more < 0 ? malformed(p, "Location") : 0;
}

static int read_stack(struct profiles *p, uint64_t index, size_t *ret_n) {
    struct slice message;
    struct pb_field f;
    int more = 0, error = row(p, T_STACK, index, &message);
    struct pb_reader r = pb_reader(message);
    size_t n = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (f.number != 1)
            continue;
        if (f.wire == PB_VARINT) {
            error = read_location(p, f.u64, &n);
        } else if (f.wire == PB_BYTES) {
            struct pb_reader packed = pb_reader(f.bytes);
            uint64_t v;
            while (error == 0 && n < PROFILE_STACK_FRAMES_MAX &&
                   (more = pb_packed(&packed, PB_VARINT, &v)) > 0)
                error = read_location(p, v, &n);
        }
        if (more < 0)
            break;
    }
    if (error < 0 || more < 0)
        return error < 0 ? error : malformed(p, "Stack");
    for (size_t i = 0; i < n; i++)
        p->work += p->frames[i].function.size + p->frames[i].file.size + 1;
    *ret_n = n;
    return p->work > NAMES_BYTES_MAX ? -E2BIG : 0;
}

/* ---- Samples ---- */

static int read_link(struct profiles *p, uint64_t index, struct profile_sample *s) {
    struct slice message;
    struct pb_field f;
    int error = row(p, T_LINK, index, &message);
    struct pb_reader r = pb_reader(message);

    while (error == 0 && pb_next(&r, &f) > 0) {
        if (f.number == 1 && f.wire == PB_BYTES && f.bytes.size == 16)
            memcpy(s->trace_id, f.bytes.data, 16);
        else if (f.number == 2 && f.wire == PB_BYTES && f.bytes.size == 8)
            memcpy(s->span_id, f.bytes.data, 8);
    }
    return error;
}

static int read_attribute(struct profiles *p, uint64_t index, struct profile_sample *s) {
    struct slice key, text;
    int error = attribute_row(p, index, &key, &text);

    if (error == 0 && text.data)
        profile_take_label(s, key, text);
    return error;
}

static int add(struct profiles *p, struct profile_sample *s) {
    struct error e;

    s->thread = otlp_text(p->d, &p->d->record, s->thread);
    s->endpoint = otlp_text(p->d, &p->d->record, s->endpoint);
    for (size_t i = 0; i < s->n_frames; i++) {
        p->frames[i].function = otlp_text(p->d, &p->d->record, p->frames[i].function);
        p->frames[i].file = otlp_text(p->d, &p->d->record, p->frames[i].file);
    }
    int r = ingest_profile(p->d->txn, s, &e);
    return r == 0 ? 0 : otlp_rejected(p->d, r, 1, &e);
}

/* Values of several moments are added up; without values each moment counts one. */
struct sums {
    uint64_t value, values, moments;
    int64_t first_ns;
};

static int sum_field(struct profiles *p, const struct pb_field *f, struct sums *sums) {
    enum pb_wire wire = f->number == 4 ? PB_VARINT : PB_FIXED64;
    struct pb_reader r = pb_reader(f->bytes);
    uint64_t v = f->u64;
    int more = 1;

    for (bool packed = f->wire == PB_BYTES;;) {
        if (packed && (more = pb_packed(&r, wire, &v)) <= 0)
            break;
        if (f->number == 4) {
            sums->value += (int64_t) v > 0 ? v : 0;
            sums->values++;
        } else {
            sums->first_ns = sums->moments++ ? sums->first_ns : (int64_t) v;
        }
        if (!packed)
            break;
    }
    return more < 0 ? malformed(p, "Sample") : 0;
}

static int attribute_field(struct profiles *p, const struct pb_field *f, struct profile_sample *s) {
    struct pb_reader r = pb_reader(f->bytes);
    int more = 0, error = 0;
    uint64_t v;

    if (f->wire == PB_VARINT)
        return read_attribute(p, f->u64, s);
    if (f->wire != PB_BYTES)
        return malformed(p, "Sample");
    while (error == 0 && (more = pb_packed(&r, PB_VARINT, &v)) > 0)
        error = read_attribute(p, v, s);
    return error < 0 ? error : more < 0 ? malformed(p, "Sample") : 0;
}

static int read_sample(struct profiles *p, const struct profile *about, struct slice message) {
    struct profile_sample s = {.resource = p->resource,
                               .time_ns = about->time_ns,
                               .type = about->type,
                               .unit = about->unit,
                               .frames = p->frames};
    struct pb_reader r = pb_reader(message);
    struct sums sums = {0};
    struct pb_field f;
    int more, error = 0;

    arena_clear(&p->d->record);
    while (error == 0 && (more = pb_next(&r, &f)) > 0) {
        if (f.number == 1 && f.wire == PB_VARINT)
            error = read_stack(p, f.u64, &s.n_frames);
        else if (f.number == 2)
            error = attribute_field(p, &f, &s);
        else if (f.number == 3 && f.wire == PB_VARINT)
            error = read_link(p, f.u64, &s);
        else if (f.number == 4 || f.number == 5)
            error = sum_field(p, &f, &sums);
    }
    if (error < 0 || more < 0)
        return error < 0 ? error : malformed(p, "Sample");
    s.value = sums.values ? sums.value : sums.moments;
    if (sums.first_ns > 0)
        s.time_ns = sums.first_ns;
    if (about->period > 0 && slice_is(s.unit, "count") && about->period_type.size) {
        s.type = about->period_type; /* a number of samples says less than what it stands for */
        s.unit = about->period_unit;
        if (__builtin_mul_overflow(s.value, (uint64_t) about->period, &s.value))
            s.value = UINT64_MAX;
    }
    return add(p, &s);
}

/* ---- Profiles ---- */

static int read_head(struct profiles *p, struct slice message, struct profile *ret) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more, error = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0)
        switch (f.number) {
        case 1:
            error = f.wire == PB_BYTES ? value_type(p, f.bytes, &ret->type, &ret->unit)
                                       : malformed(p, "Profile");
            break;
        case 3:
            if (f.wire != PB_FIXED64)
                return malformed(p, "Profile.time_unix_nano is no fixed64: the sender speaks an "
                                    "older development version than 1.9");
            ret->time_ns = (int64_t) f.u64;
            break;
        case 5:
            error = f.wire == PB_BYTES
                            ? value_type(p, f.bytes, &ret->period_type, &ret->period_unit)
                            : malformed(p, "Profile");
            break;
        case 6: ret->period = f.wire == PB_VARINT ? (int64_t) f.u64 : 0; break;
        default: break;
        }
    if (ret->time_ns == 0)
        ret->time_ns = clock_now_ns();
    return error < 0 ? error : more < 0 ? malformed(p, "Profile") : 0;
}

static int read_profile(struct profiles *p, struct slice message) {
    struct pb_reader r = pb_reader(message);
    struct profile about = {0};
    struct pb_field f;
    int error = read_head(p, message, &about);

    p->time_ns = about.time_ns;
    while (error == 0 && pb_next(&r, &f) > 0)
        if (f.number == 2 && f.wire == PB_BYTES)
            error = read_sample(p, &about, f.bytes);
    return error;
}

/* Field `number` of `message`, one after the other. */
static int each(struct profiles *p, struct slice message, uint32_t number,
                int (*read)(struct profiles *p, struct slice message)) {
    struct pb_reader r = pb_reader(message);
    struct pb_field f;
    int more, error = 0;

    while (error == 0 && (more = pb_next(&r, &f)) > 0)
        if (f.number == number)
            error = f.wire == PB_BYTES ? read(p, f.bytes) : malformed(p, "the request");
    return error < 0 ? error : more < 0 ? malformed(p, "the request") : 0;
}

static int read_scope(struct profiles *p, struct slice message) {
    return each(p, message, 2, read_profile);
}

static int read_resource(struct profiles *p, struct slice message) {
    struct slice found;
    int r = otlp_pb_find(p->d, message, 1, &found);

    if (r == 0)
        r = otlp_pb_resource(p->d, found, &p->resource);
    p->resource_number++;
    return r < 0 ? r : each(p, message, 2, read_scope);
}

int otlp_pb_profiles(struct otlp_decoder *d, struct slice body) {
    struct profiles p = {.d = d};
    struct slice dictionary;
    int r = otlp_pb_find(d, body, 2, &dictionary);

    if (r == 0)
        r = read_tables(&p, dictionary);
    if (r < 0)
        return r;
    p.frames = arena_array(&d->message, struct stack_frame, PROFILE_STACK_FRAMES_MAX);
    size_t n = p.tables[T_LOCATION].n + 1;
    p.texts_read = arena_array(&d->message, uint32_t, n);
    if (!p.frames || !p.texts_read)
        return -E2BIG;
    memset(p.texts_read, 0, n * sizeof(*p.texts_read));
    return each(&p, body, 1, read_resource);
}
