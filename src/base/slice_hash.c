/* The hash of slices, apart: the agent, which is built where xxHash is not, brings its own. */
#include "base/hot.h"
#include "base/slice.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

HOT uint64_t slice_hash(struct slice s) {
    return XXH3_64bits(s.data ? (const void *) s.data : "", s.size);
}
