/*
 * gzip, deflate and zstd bodies, always with a cap on the output, so that a bomb stops early.
 * Growth is in steps: a small body never takes much memory, whatever its header claims. Any thread.
 */
#ifndef VARAN_WIRE_COMPRESS_H
#define VARAN_WIRE_COMPRESS_H

#include "base/memory.h"

enum compression { COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_DEFLATE, COMPRESSION_ZSTD };

/* The value of a Content-Encoding header ("", "identity", "gzip", "x-gzip", "deflate", "zstd"; case
 * and surrounding blanks do not matter): 0, or -ENOTSUP for any other, several encodings included.
 */
int compression_parse(struct slice name, enum compression *ret);

/* Appends the decompressed bytes to `out`, whose cap is the limit. 0; -EBADMSG malformed or
 * truncated; -ENOBUFS beyond the cap; -ENOMEM. After an error `out` holds what it held before and
 * is usable. gzip: all members; deflate: with zlib's frame or raw; zstd: all frames, windows up to
 * 8 MiB. */
int decompress(enum compression c, struct slice in, struct buffer *out);

/* Appends the compressed bytes; `level` as the format has it (gzip, deflate 1 … 12, zstd 1 … 19).
 */
int compress(enum compression c, struct slice in, int level, struct buffer *out);

#endif
