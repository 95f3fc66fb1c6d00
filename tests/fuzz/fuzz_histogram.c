/* The stored form of native histograms: any bytes either are refused or come back the same. */
#include "signal/histogram.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct histogram h = {0}, again = {0};
    struct arena a;
    struct buffer b;

    arena_init(&a, 64 << 20);
    buffer_init(&b, 64 << 20);
    if (histogram_decode(slice_new(data, size), &a, &h) == 0) {
        histogram_check(&h, NULL);
        if (histogram_encode(&h, &b) < 0 || histogram_decode(buffer_slice(&b), &a, &again) < 0 ||
            again.positive.n != h.positive.n || again.negative.n != h.negative.n ||
            again.n_custom != h.n_custom)
            abort();
    }
    buffer_done(&b);
    arena_done(&a);
    return 0;
}
