/* See metrics_chunk.h. The loops are plain, so that the compiler makes vectors of them. */
#include "query/metrics_chunk.h"

#include <assert.h>

enum { TIMES_EVEN, TIMES_16, TIMES_32, TIMES_64 };
enum { VALUES_SAME, VALUES_16, VALUES_32, VALUES_64 };

static const uint8_t widths[] = {0, 2, 4, 8};

#define WHOLE_MAX 9007199254740992.0 /* 2^53 */

static uint64_t bits_of(double v) {
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static int pack_times(const int64_t *t, size_t n, int64_t step) {
    int64_t low = 0, high = 0;

    for (size_t i = 0; i < n; i++) {
        int64_t off = t[i] - t[0] - (int64_t) i * step;
        low = off < low ? off : low;
        high = off > high ? off : high;
    }
    if (low == 0 && high == 0)
        return TIMES_EVEN;
    if (low >= INT16_MIN && high <= INT16_MAX)
        return TIMES_16;
    return low >= INT32_MIN && high <= INT32_MAX ? TIMES_32 : TIMES_64;
}

static int pack_values(const double *v, size_t n, double *ret_low) {
    uint64_t first = bits_of(v[0]);
    double low = v[0], high = v[0];
    bool same = true, whole = true;

    for (size_t i = 0; i < n; i++) {
        same &= bits_of(v[i]) == first;
        /* Not a NaN, not -0. */
        if (!(v[i] >= -WHOLE_MAX && v[i] <= WHOLE_MAX) || v[i] != (double) (int64_t) v[i] ||
            bits_of(v[i]) == UINT64_C(1) << 63) {
            whole = false;
            continue;
        }
        low = v[i] < low ? v[i] : low;
        high = v[i] > high ? v[i] : high;
    }
    *ret_low = same ? v[0] : low;
    if (same)
        return VALUES_SAME;
    if (!whole || high - low > UINT32_MAX)
        return VALUES_64;
    return high - low > UINT16_MAX ? VALUES_32 : VALUES_16;
}

struct chunk *chunk_new(const int64_t *times, const double *values, size_t n) {
    double low;

    assert(n > 0 && n <= CHUNK_SAMPLES_MAX);
    int64_t step = n > 1 ? (times[n - 1] - times[0]) / (int64_t) (n - 1) : 0;
    int how_times = pack_times(times, n, step), how_values = pack_values(values, n, &low);
    size_t size = sizeof(struct chunk) + n * (widths[how_times] + widths[how_values]);
    struct chunk *c = memory_alloc(size);
    if (!c)
        return NULL;
    *c = (struct chunk){.first_ms = times[0],
                        .last_ms = times[n - 1],
                        .step_ms = step,
                        .base.number = low,
                        .n = (uint16_t) n,
                        .times = (uint8_t) how_times,
                        .values = (uint8_t) how_values,
                        .size = (uint32_t) size};
    uint8_t *p = c->data;
    for (size_t i = 0; i < n && how_times; i++, p += widths[how_times]) {
        int64_t off = times[i] - times[0] - (int64_t) i * step;
        memcpy(p, &off, widths[how_times]); /* little-endian */
    }
    for (size_t i = 0; i < n && how_values; i++, p += widths[how_values]) {
        uint64_t x = how_values == VALUES_64 ? bits_of(values[i]) : (uint64_t) (values[i] - low);
        memcpy(p, &x, widths[how_values]);
    }
    return c;
}

#define UNPACK(type, i)                                                                            \
    ({                                                                                             \
        type _x;                                                                                   \
        memcpy(&_x, p + (i) * sizeof(_x), sizeof(_x));                                             \
        _x;                                                                                        \
    })

static void unpack_times(const struct chunk *c, const uint8_t *p, int64_t *t) {
    int64_t first = c->first_ms, step = c->step_ms;
    size_t n = c->n;

    switch (c->times) {
    case TIMES_EVEN:
        for (size_t i = 0; i < n; i++)
            t[i] = first + (int64_t) i * step;
        break;
    case TIMES_16:
        for (size_t i = 0; i < n; i++)
            t[i] = first + (int64_t) i * step + UNPACK(int16_t, i);
        break;
    case TIMES_32:
        for (size_t i = 0; i < n; i++)
            t[i] = first + (int64_t) i * step + UNPACK(int32_t, i);
        break;
    default:
        for (size_t i = 0; i < n; i++)
            t[i] = first + (int64_t) i * step + UNPACK(int64_t, i);
    }
}

void chunk_unpack(const struct chunk *c, int64_t *times, double *values) {
    const uint8_t *p = c->data;
    size_t n = c->n;

    unpack_times(c, p, times);
    p += n * widths[c->times];
    switch (c->values) {
    case VALUES_SAME:
        for (size_t i = 0; i < n; i++)
            values[i] = c->base.number;
        break;
    case VALUES_16:
        for (size_t i = 0; i < n; i++)
            values[i] = c->base.number + UNPACK(uint16_t, i);
        break;
    case VALUES_32:
        for (size_t i = 0; i < n; i++)
            values[i] = c->base.number + UNPACK(uint32_t, i);
        break;
    default: memcpy(values, p, n * sizeof(*values));
    }
}
