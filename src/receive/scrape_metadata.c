/* Metadata of a target's families: kept by the target, told to ingest when it changes. */
#include "receive/scrape_private.h"

static struct slice dup_text(struct slice s) {
    uint8_t *p = malloc(s.size + 1);

    if (p && s.size)
        memcpy(p, s.data, s.size);
    return slice_new(p, p ? s.size : 0);
}

static enum metric_type type_of(enum prometheus_type t) {
    static const enum metric_type types[] = {[PROMETHEUS_UNKNOWN] = METRIC_UNKNOWN,
                                             [PROMETHEUS_COUNTER] = METRIC_COUNTER,
                                             [PROMETHEUS_GAUGE] = METRIC_GAUGE,
                                             [PROMETHEUS_HISTOGRAM] = METRIC_HISTOGRAM,
                                             [PROMETHEUS_GAUGE_HISTOGRAM] = METRIC_GAUGE_HISTOGRAM,
                                             [PROMETHEUS_SUMMARY] = METRIC_SUMMARY,
                                             [PROMETHEUS_INFO] = METRIC_INFO,
                                             [PROMETHEUS_STATE_SET] = METRIC_STATE_SET};

    return types[t];
}

/* Whether it says something new. */
static bool change_metadata(struct scrape_metadata *m, const struct prometheus_entry *x,
                            struct slice text) {
    struct slice *to = x->kind == PROMETHEUS_HELP ? &m->help : &m->unit;

    if (x->kind == PROMETHEUS_TYPE) {
        bool same = m->type == type_of(x->type);
        m->type = type_of(x->type);
        return !same;
    }
    if (to->data && slice_equal(*to, text))
        return false;
    free((void *) to->data);
    *to = dup_text(text);
    return to->data != NULL;
}

/* The worker alone changes them, so that no lock is needed to read. */
void scrape_metadata_tell(struct scrape_target *t, struct ingest_txn *txn, struct slice *family) {
    const struct map_entry *entry = map_get(&t->metadata, *family);
    const struct scrape_metadata *m = entry ? entry->pointer : NULL;
    struct error e;

    if (m) {
        const struct metric_metadata out = {
                .metric = *family, .type = m->type, .help = m->help, .unit = m->unit};
        ingest_metadata(txn, &out, &e);
    }
    *family = SLICE_EMPTY;
}

void scrape_metadata_add(struct scrape_target *t, struct ingest_txn *txn, struct arena *arena,
                         const struct prometheus_entry *x, struct slice *family) {
    struct slice name = x->metric, text = x->text;

    if (x->quoted || x->escaped)
        arena_clear(arena);
    if (x->quoted)
        name = prometheus_text_unescape(name, arena);
    if (x->escaped)
        text = prometheus_text_unescape(text, arena);
    if (!name.size || !slice_is_utf8(name))
        return;
    pthread_mutex_lock(&t->lock);
    struct map_entry *entry = map_put(&t->metadata, name, NULL);
    if (entry && !entry->pointer)
        entry->pointer = calloc(1, sizeof(struct scrape_metadata));
    struct scrape_metadata *m = entry ? entry->pointer : NULL;
    bool changed = m && change_metadata(m, x, text);
    struct slice found = entry ? entry->key : SLICE_EMPTY;
    pthread_mutex_unlock(&t->lock);
    if (!changed)
        return;
    if (family->size && !slice_equal(*family, found))
        scrape_metadata_tell(t, txn, family);
    *family = found;
}
