/* Scrubbing: any text; what comes out holds nothing more to scrub. */
#include "derive/scrub.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct scrub *scrub;
    static struct scrub_memo memo;
    struct slice once, key = slice_take(slice_new(data, size), 40);
    uint64_t count = 0;
    struct arena a;

    if (!scrub && scrub_new(&key, size > 0, &scrub) < 0)
        abort();
    arena_init(&a, 64 << 20);
    if (scrub_text(scrub, &memo, slice_new(data, size), &a, &once, &count) < 0)
        abort();
    if (count == 0 && once.data != data && size)
        abort();
    scrub_key(scrub, slice_new(data, size));
    arena_done(&a);
    return 0;
}
