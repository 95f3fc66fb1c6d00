/* See loss.h. */
#include "loss.h"

#include <stdio.h>
#include <string.h>

#include "encode.h"
#include "ring.h"

/* Finds a length-delimited or varint field of a message. Returns whether it is there. */
static bool find_field(const uint8_t *p, const uint8_t *end, unsigned field, const uint8_t **ret,
                       uint64_t *ret_value) {
    while (p < end) {
        uint64_t tag = *p++, v = 0;
        unsigned shift = 0;

        if (tag >= 0x80)
            return false; /* no field of this message has such a number */
        do {
            if (p == end || shift > 63)
                return false;
            v |= (uint64_t) (*p & 0x7f) << shift;
            shift += 7;
        } while (*p++ & 0x80);
        if ((tag & 7) != 0 && (tag & 7) != 2)
            return false;
        if ((tag & 7) == 2 && v > (uint64_t) (end - p))
            return false;
        if (tag >> 3 == field) {
            *ret = p;
            *ret_value = v;
            return true;
        }
        if ((tag & 7) == 2)
            p += v;
    }
    return false;
}

uint64_t loss_rejected(const char *body, size_t n) {
    const uint8_t *p = (const uint8_t *) body, *unused;
    uint64_t length, rejected;

    if (!find_field(p, p + n, 1, &p, &length) || length > n)
        return 0;
    if (!find_field(p, p + length, 1, &unused, &rejected))
        return 0;
    return rejected;
}

void loss_report(void) {
    static uint64_t reported;
    static uint32_t generation;
    uint64_t spans = 0, logs = 0, rows = 0, now;
    char text[200], storage[512], *p;
    struct buf b;
    uint32_t mark;
    int n;

    for (int c = SPANS_DROPPED_BUFFER_FULL; c <= SPANS_DROPPED_MEMORY; c++) {
        if (c == SPANS_DROPPED_REFUSED)
            continue; /* the server knows */
        spans += atomic_load_explicit(&counters[c], memory_order_relaxed);
        logs += atomic_load_explicit(&counters[c + LOGS_OFFSET], memory_order_relaxed);
        rows += atomic_load_explicit(&counters[COUNTER_OF(c, SIGNAL_PROFILE)],
                                     memory_order_relaxed);
    }
    if (generation != process_generation) {
        generation = process_generation;
        reported = 0;
    }
    if (spans + logs + rows == reported)
        return;
    reported = spans + logs + rows;
    n = snprintf(text, sizeof(text),
                 "Varan's agent lost %llu spans and %llu log records%s since the process began",
                 (unsigned long long) spans, (unsigned long long) logs,
                 rows ? ", and parts of its profiles," : "");
    buf_init(&b, storage, sizeof(storage), sizeof(storage));
    now = clock_wall_ns();
    pb_put_fixed64(&b, LOG_TIME, now);
    pb_put_fixed64(&b, LOG_OBSERVED, now);
    pb_put_varint(&b, LOG_SEVERITY, 13); /* WARN */
    pb_put_bytes(&b, LOG_SEVERITY_TEXT, "WARN", 4);
    mark = pb_open(&b, LOG_BODY);
    pb_put_bytes(&b, ANY_STRING, text, (size_t) n);
    pb_close(&b, mark);
    PUT_INT(&b, LOG_ATTRIBUTE, "varan.lost.spans", (int64_t) spans);
    PUT_INT(&b, LOG_ATTRIBUTE, "varan.lost.logs", (int64_t) logs);
    if (rows)
        PUT_INT(&b, LOG_ATTRIBUTE, "varan.lost.profile_rows", (int64_t) rows);
    p = ring_reserve(SIGNAL_LOG, 0, pb_bytes_size(b.used));
    if (p) {
        pb_bytes(p, 0x12, b.data, b.used); /* ScopeLogs.log_records */
        count(LOGS_FINISHED, 1);
        ring_commit();
    }
}
