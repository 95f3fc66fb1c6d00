/*
 * Snappy's block format, decoding only, as remote write sends it. Source: google/snappy,
 * format_description.txt. Any thread.
 */
#ifndef VARAN_WIRE_SNAPPY_H
#define VARAN_WIRE_SNAPPY_H

#include "base/memory.h"

/* Appends the decompressed bytes to `out`, whose cap is the limit. 0; -EBADMSG malformed or
 * truncated; -ENOBUFS when the block says that it is larger than the cap allows; -ENOMEM. A block
 * can say that it is some 21 times as large as it is (a copy of 64 bytes takes 3), so what it
 * says is not believed beyond that. After an error `out` holds what it held before and is usable.
 */
int snappy_decompress(struct slice in, struct buffer *out);

#endif
