/*
 * What profile receivers share: from samples of any format to ingest. Private to receive/; a sink
 * belongs to one thread and one request, whose body must outlive it.
 */
#ifndef VARAN_RECEIVE_PROFILE_SINK_H
#define VARAN_RECEIVE_PROFILE_SINK_H

#include "derive/ingest.h"
#include "signal/resource.h"

#define PROFILE_TAGS_MAX 64u
#define PROFILE_WORK_MAX ((size_t) 512 << 20) /* bytes of the names in all stacks of a request */

struct profile_sink {
    struct ingest_txn *txn;
    struct arena *arena; /* texts that are made */
    struct attribute attributes[PROFILE_TAGS_MAX];
    struct resource resource;
    size_t work; /* bytes of the names of all stacks */
    uint64_t accepted, rejected;
    uint64_t repaired;  /* texts that were no UTF-8 */
    struct error first; /* why the first one was rejected */
    struct stack_frame frames[PROFILE_STACK_FRAMES_MAX];
};

void profile_sink_init(struct profile_sink *s, struct ingest_txn *txn, struct arena *arena);
/* An attribute of the resource; those beyond the limit and empty ones are left out. */
void profile_sink_tag(struct profile_sink *s, struct slice key, struct slice value);
/* To be called after the last tag and before the first sample. 0 or -ENOMEM. */
int profile_sink_begin(struct profile_sink *s);
/* Adds a sample of the sink's resource, whose frames are the sink's. 0, also when it was rejected;
 * -E2BIG: the stacks of one request are too long together. */
int profile_sink_add(struct profile_sink *s, struct profile_sample *sample);

/* What a profile says about itself, where its format does not. */
struct profile_about {
    int64_t time_ns;      /* when it begins */
    struct slice type;    /* of samples that name none, or that only count */
    struct slice unit;    /* of the values after they are multiplied */
    uint64_t period;      /* what one sample stands for, in `unit` */
    bool type_is_certain; /* it overrides what a pprof says */
};

/* Takes a label of a sample: its thread, trace, span, endpoint; others are not kept. */
void profile_take_label(struct profile_sample *s, struct slice key, struct slice text);
/* -EBADMSG (with `e`) and what profile_sink_add() says. */
int profile_sink_pprof(struct profile_sink *s, struct slice bytes,
                       const struct profile_about *about, struct error *e);

enum folded_format {
    FOLDED_GROUPS, /* "a;b;c 10" */
    FOLDED_LINES,  /* "a;b;c" */
    FOLDED_TRIE,   /* Pyroscope's transport trie: nodes hold pieces of "a;b;c" */
    FOLDED_TREE,   /* Pyroscope's tree: nodes hold frames */
};
int profile_sink_folded(struct profile_sink *s, enum folded_format format, struct slice bytes,
                        const struct profile_about *about, struct error *e);
/* A frame from its text: "name (file:line)", "file:line - name", "file:name:line", or a name. */
struct stack_frame profile_parse_frame(struct slice text);

#endif
