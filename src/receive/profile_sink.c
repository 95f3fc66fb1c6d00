/* See profile_sink.h: resources, labels, and pprof. */
#include "receive/profile_sink.h"

#include "base/clock.h"
#include "signal/profile_attributes.h"
#include "wire/pprof.h"
#include "wire/utf8.h"

#define RESOURCE_BYTES_MAX (1u << 20)

void profile_sink_init(struct profile_sink *s, struct ingest_txn *txn, struct arena *arena) {
    s->txn = txn;
    s->arena = arena;
    s->resource = (struct resource){.attributes = {.items = s->attributes}};
    s->accepted = s->rejected = s->repaired = s->work = 0;
    s->first = ERROR_NONE;
}

void profile_sink_tag(struct profile_sink *s, struct slice key, struct slice value) {
    size_t n = s->resource.attributes.n;

    for (size_t i = 0; i < n; i++)
        if (slice_equal(s->attributes[i].key, key)) {
            s->attributes[i].value.text = value;
            return;
        }
    if (n == PROFILE_TAGS_MAX || key.size == 0 || value.size == 0)
        return;
    s->attributes[n] = (struct attribute){key, {.type = VALUE_STRING, .text = value}};
    s->resource.attributes.n++;
}

/* In place: false without memory. */
static bool clean(struct profile_sink *s, struct slice *text) {
    if (text->size == 0)
        return true;
    *text = utf8_clean(*text, s->arena, &s->repaired);
    return text->data != NULL;
}

int profile_sink_begin(struct profile_sink *s) {
    struct buffer scratch;

    for (size_t i = 0; i < s->resource.attributes.n; i++) {
        struct attribute *a = &s->attributes[i];
        if (!clean(s, &a->key) || !clean(s, &a->value.text))
            return -ENOMEM;
    }
    buffer_init(&scratch, RESOURCE_BYTES_MAX);
    int r = resource_finish(&s->resource, &scratch);
    buffer_done(&scratch);
    return r;
}

int profile_sink_add(struct profile_sink *s, struct profile_sample *sample) {
    struct error e;

    sample->resource = &s->resource;
    for (size_t i = 0; i < sample->n_frames; i++)
        s->work += sample->frames[i].function.size + sample->frames[i].file.size + 1;
    if (s->work > PROFILE_WORK_MAX)
        return -E2BIG;
    bool whole = clean(s, &sample->type) && clean(s, &sample->unit) && clean(s, &sample->thread) &&
                 clean(s, &sample->endpoint);
    for (size_t i = 0; i < sample->n_frames && whole; i++)
        whole = clean(s, &s->frames[i].function) && clean(s, &s->frames[i].file);
    if (!whole)
        return -ENOMEM;
    int r = ingest_profile(s->txn, sample, &e);
    if (r == 0)
        s->accepted++;
    if (r != -EINVAL)
        return r;
    s->rejected++;
    if (!s->first.code)
        s->first = e;
    return 0;
}

/* ---- Labels ---- */

enum profile_label { LABEL_THREAD, LABEL_TRACE, LABEL_SPAN, LABEL_ENDPOINT };

static const struct {
    const char *key;
    enum profile_label label;
} labels[] = {
        {"thread.name", LABEL_THREAD},
        {"thread_name", LABEL_THREAD},
        {"thread name", LABEL_THREAD},
        {"thread", LABEL_THREAD},
        {"trace_id", LABEL_TRACE},
        {"trace id", LABEL_TRACE},
        {"span_id", LABEL_SPAN},
        {"span id", LABEL_SPAN},
        {"profile_id", LABEL_SPAN}, /* Pyroscope's span profiles */
        {"varan.endpoint", LABEL_ENDPOINT},
        {"endpoint", LABEL_ENDPOINT},
        {"trace endpoint", LABEL_ENDPOINT},
        {"span_name", LABEL_ENDPOINT},
};

void profile_take_label(struct profile_sample *s, struct slice key, struct slice text) {
    for (size_t i = 0; i < sizeof(labels) / sizeof(*labels); i++) {
        if (!slice_is(key, labels[i].key))
            continue;
        switch (labels[i].label) {
        case LABEL_THREAD: s->thread = text; break;
        case LABEL_ENDPOINT: s->endpoint = text; break;
        /* An id of another form (Datadog's are decimal, of 64 bits) is none of ours. */
        case LABEL_TRACE:
            if (slice_from_hex(text, s->trace_id, 16) < 0)
                memset(s->trace_id, 0, 16);
            break;
        case LABEL_SPAN:
            if (slice_from_hex(text, s->span_id, 8) < 0)
                memset(s->span_id, 0, 8);
            break;
        }
        return;
    }
}

/* ---- pprof ---- */

/* What to do with one of a pprof's values. */
struct column {
    struct slice type, unit;
    uint64_t period; /* what the value is multiplied by */
    bool skip;
};

static bool is_count(const struct pprof_value_type *t) {
    return slice_is(t->unit, "count") &&
           (slice_is(t->type, "samples") || slice_is(t->type, "events"));
}

/* Numbers of samples are left out beside what they cost; alone they are multiplied by the period.
 */
static void plan_columns(const struct pprof_head *h, const struct profile_about *about,
                         struct column *columns) {
    for (size_t i = 0; i < h->n_types; i++) {
        struct column *c = &columns[i];
        *c = (struct column){h->types[i].type, h->types[i].unit, 1, false};
        if (is_count(&h->types[i])) {
            c->skip = h->n_types > 1;
            if (h->period > 0 && h->period_type.type.size) {
                c->type = h->period_type.type;
                c->unit = h->period_type.unit;
                c->period = (uint64_t) h->period;
            } else if (about->type.size) {
                c->type = about->type;
                c->unit = about->unit;
                c->period = about->period;
            }
        }
        if (about->type_is_certain && about->type.size)
            c->type = about->type;
        if (c->type.size == 0)
            c->type = SLICE("samples");
    }
}

/* The text of a function, on its way as a sample that costs nothing. */
static int add_source(struct profile_sink *s, const struct pprof_sample *p, struct slice text,
                      int64_t time_ns) {
    const struct pprof_frame *f = &p->frames[0];
    struct error e;

    s->work += text.size + f->function.size + f->file.size;
    if (s->work > PROFILE_WORK_MAX)
        return -E2BIG;
    struct profile_source source = {
            .resource = &s->resource,
            .time_ns = time_ns,
            .function = f->function,
            .file = f->file,
            .first_line =
                    f->start_line > 0 && f->start_line <= UINT32_MAX ? (uint32_t) f->start_line : 0,
            .text = text,
    };
    if (!clean(s, &source.function) || !clean(s, &source.file) || !clean(s, &source.text))
        return -ENOMEM;
    int r = ingest_profile_source(s->txn, &source, &e);
    return r == -EINVAL ? 0 : r; /* its samples say why */
}

static int add_pprof_sample(struct profile_sink *s, const struct pprof_sample *p,
                            const struct column *columns, struct profile_sample *sample) {
    int r = 0;

    sample->thread = sample->endpoint = SLICE_EMPTY;
    memset(sample->trace_id, 0, 16);
    memset(sample->span_id, 0, 8);
    for (size_t i = 0; i < p->n_labels && r == 0; i++) {
        profile_take_label(sample, p->labels[i].key, p->labels[i].text);
        if (p->n_frames && slice_is(p->labels[i].key, PROFILE_SOURCE_ATTRIBUTE))
            r = add_source(s, p, p->labels[i].text, sample->time_ns);
    }
    sample->n_frames =
            p->n_frames < PROFILE_STACK_FRAMES_MAX ? p->n_frames : PROFILE_STACK_FRAMES_MAX;
    for (size_t i = 0; i < sample->n_frames; i++) {
        const struct pprof_frame *f = &p->frames[i];
        s->frames[i] =
                (struct stack_frame){f->function, f->file,
                                     f->line > 0 && f->line <= UINT32_MAX ? (uint32_t) f->line : 0};
    }
    for (size_t i = 0; i < p->n_values && r == 0; i++) {
        uint64_t value;
        if (columns[i].skip || p->values[i] <= 0 ||
            __builtin_mul_overflow((uint64_t) p->values[i], columns[i].period, &value))
            continue;
        sample->type = columns[i].type;
        sample->unit = columns[i].unit;
        sample->value = value;
        r = profile_sink_add(s, sample);
    }
    return r;
}

int profile_sink_pprof(struct profile_sink *s, struct slice bytes,
                       const struct profile_about *about, struct error *e) {
    struct column columns[PPROF_VALUES_MAX];
    struct pprof_sample p;
    struct pprof *profile;
    int more, r = pprof_read(bytes, &profile, e);

    if (r < 0)
        return r;
    const struct pprof_head *h = pprof_head(profile);
    struct profile_sample sample = {.time_ns = about->time_ns, .frames = s->frames};
    if (sample.time_ns == 0)
        sample.time_ns = h->time_ns > 0 ? h->time_ns : clock_now_ns();
    plan_columns(h, about, columns);
    while (r == 0 && (more = pprof_next(profile, &p, e)) != 0)
        r = more < 0 ? more : add_pprof_sample(s, &p, columns, &sample);
    pprof_free(profile);
    return r;
}
