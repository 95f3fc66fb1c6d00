/*
 * Hours of samples that must be downsampled again, because samples came for them after that was
 * done. Ingest notes them, with the batch, before it is written; the one who downsamples takes
 * them. Durable (SQLite): a mark is there before the samples are. Hour h holds the samples of (h, h
 * + 1 h], as windows of PromQL do. Thread-safe.
 */
#ifndef VARAN_DERIVE_LATE_H
#define VARAN_DERIVE_LATE_H

#include "store/store.h"

#define HOUR_MS INT64_C(3600000)
#define LATE_HOURS_MAX 100000u /* more than ten years of them */

struct late_hours;
int late_hours_new(struct store *store, struct late_hours **ret, struct error *e);
void late_hours_free(struct late_hours *x);

static inline uint32_t hour_of_ms(int64_t ms) {
    return ms <= 0 ? 0 : (uint32_t) ((ms - 1) / HOUR_MS);
}

/* All hours before this one are downsampled, except those that are marked. 0: none is. */
uint32_t late_hours_until(const struct late_hours *x);
/* The first call tells where it begins. Others raise it; `durable` when the hours' rows are. */
void late_hours_set_until(struct late_hours *x, uint32_t hour, bool durable);

/* The store is about to write samples of these hours: those before `until` are marked. `commits`:
 * how many commits of the store are done. */
void late_hours_mark(struct late_hours *x, const uint32_t *hours, size_t n, uint64_t commits);
/* The first marked hour from *hour on whose samples are written: true, with the number to end it
 * by. */
bool late_hours_next(struct late_hours *x, uint64_t commits, uint32_t *hour, uint64_t *ret_number);
/* That hour was downsampled; it stays marked when samples came in the meantime. */
void late_hours_end(struct late_hours *x, uint32_t hour, uint64_t number);
size_t late_hours_count(struct late_hours *x);

#endif
