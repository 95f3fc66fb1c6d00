/*
 * Rows: one record to one row of its native block. What is computed from a record on its way in
 * (hot columns, texts) comes beside it. A block belongs to one thread; all slices are copied.
 *
 * Errors are those of the block (-ENOBUFS, -ENOMEM); the caller then rolls back to a mark.
 */
#ifndef VARAN_SIGNAL_ROWS_H
#define VARAN_SIGNAL_ROWS_H

#include "signal/signal.h"
#include "wire/native.h"

#include <errno.h>

/* An attribute as it is stored. */
struct attribute_text {
    struct slice key, text;
    enum value_type type;
};

struct attribute_texts {
    const struct attribute_text *items;
    size_t n;
};

struct span_row {
    struct attribute_texts attributes;
    struct slice status_message, events, links; /* events, links: JSON, or empty */
    struct slice http_method, http_route, db_system, db_statement, peer, exception_type;
    uint64_t duration_ns;
    uint32_t dropped;
    uint16_t http_status;
    bool entry;
};

struct log_row {
    struct attribute_texts attributes;
    struct slice body;
    enum value_type body_type;
    int64_t ts_ns, observed_ns;
    uint64_t seq;
};

int span_row_append(struct native_block *b, const struct span *s, const struct span_row *row);
int log_row_append(struct native_block *b, const struct log_record *l, const struct log_row *row);
/* `seen_s`: Unix seconds, both first and last. */
int resource_row_append(struct native_block *b, const struct resource *r,
                        const struct attribute_texts *attributes, uint32_t seen_s);

#endif
