/* Decompression with caps: libdeflate for whole gzip and deflate bodies, zstd. Any thread; memory
 * is the caller's buffer. */
#include "wire/compress.h"

#include <errno.h>
#include <libdeflate.h>
#include <zstd.h>
#include <zstd_errors.h>

#define STEP_FIRST (64u << 10) /* the first piece of output; doubled while it is too small */
#define ZSTD_WINDOW_LOG_MAX 23 /* what an encoder of the standard's recommendation stays below */

int compression_parse(struct slice name, enum compression *ret) {
    static const struct {
        const char *name;
        enum compression value;
    } names[] = {
            {"", COMPRESSION_NONE},           {"identity", COMPRESSION_NONE},
            {"gzip", COMPRESSION_GZIP},       {"x-gzip", COMPRESSION_GZIP},
            {"deflate", COMPRESSION_DEFLATE}, {"zstd", COMPRESSION_ZSTD},
    };
    name = slice_trim(name);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (slice_equal_nocase(name, slice_from(names[i].name))) {
            *ret = names[i].value;
            return 0;
        }
    return -ENOTSUP;
}

enum container { GZIP, ZLIB, RAW };

static enum libdeflate_result inflate_part(struct libdeflate_decompressor *d, enum container c,
                                           struct slice in, uint8_t *out, size_t room,
                                           size_t *ret_read, size_t *ret_written) {
    switch (c) {
    case GZIP:
        return libdeflate_gzip_decompress_ex(d, in.data, in.size, out, room, ret_read, ret_written);
    case ZLIB:
        return libdeflate_zlib_decompress_ex(d, in.data, in.size, out, room, ret_read, ret_written);
    default:
        return libdeflate_deflate_decompress_ex(d, in.data, in.size, out, room, ret_read,
                                                ret_written);
    }
}

/* One member at the beginning of `in`. libdeflate works on whole outputs, so it is tried with
 * growing room: the work is at most twice that of the last try. */
static int inflate_member(struct libdeflate_decompressor *d, enum container c, struct slice in,
                          struct buffer *out, size_t *ret_read) {
    size_t room = in.size > SIZE_MAX / 8 ? SIZE_MAX : in.size * 4, most = out->cap - out->size;

    if (room < STEP_FIRST)
        room = STEP_FIRST;
    for (;; room *= 2) {
        size_t written = 0;
        if (room > most)
            room = most;
        uint8_t *p = buffer_reserve(out, room);
        if (!p)
            return out->failed;
        switch (inflate_part(d, c, in, p, room, ret_read, &written)) {
        case LIBDEFLATE_SUCCESS: out->size += written; return 0;
        case LIBDEFLATE_INSUFFICIENT_SPACE:
            if (room == most)
                return -ENOBUFS;
            break;
        default: return -EBADMSG;
        }
    }
}

static int decompress_deflate(enum container c, struct slice in, struct buffer *out) {
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    int r = in.size ? 0 : -EBADMSG;

    if (!d)
        return -ENOMEM;
    while (r == 0 && in.size) {
        size_t read = 0;
        r = inflate_member(d, c, in, out, &read);
        if (r == -EBADMSG && c == ZLIB)
            r = inflate_member(d, RAW, in, out, &read); /* "deflate" has meant both */
        in = slice_skip(in, read);
        if (r == 0 && c != GZIP && in.size)
            r = -EBADMSG; /* bytes after the end */
    }
    libdeflate_free_decompressor(d);
    return r;
}

static int decompress_zstd_stream(ZSTD_DCtx *ctx, struct slice in, struct buffer *out) {
    ZSTD_inBuffer source = {in.data, in.size, 0};
    size_t step = STEP_FIRST, left = 1;

    while (source.pos < source.size || left) {
        size_t most = out->cap - out->size, before = source.pos;
        uint8_t extra;
        uint8_t *p = most ? buffer_reserve(out, step < most ? step : most) : &extra;
        if (!p)
            return out->failed;
        ZSTD_outBuffer sink = {p, most == 0 ? 1 : step < most ? step : most, 0};
        left = ZSTD_decompressStream(ctx, &sink, &source);
        if (ZSTD_isError(left))
            return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation ? -ENOMEM : -EBADMSG;
        if (most == 0 && sink.pos)
            return -ENOBUFS;
        if (most)
            out->size += sink.pos;
        if (left && sink.pos == 0 && source.pos == before)
            return -EBADMSG; /* no progress: cut off within a frame */
        if (step < (8u << 20))
            step *= 2;
    }
    return 0;
}

static int decompress_zstd(struct slice in, struct buffer *out) {
    ZSTD_DCtx *ctx = in.size ? ZSTD_createDCtx() : NULL;

    if (!ctx)
        return in.size ? -ENOMEM : -EBADMSG;
    ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    int r = decompress_zstd_stream(ctx, in, out);
    ZSTD_freeDCtx(ctx);
    return r;
}

int decompress(enum compression c, struct slice in, struct buffer *out) {
    size_t begin = out->size;
    int r;

    if (out->failed)
        return out->failed;
    switch (c) {
    case COMPRESSION_GZIP: r = decompress_deflate(GZIP, in, out); break;
    case COMPRESSION_DEFLATE: r = decompress_deflate(ZLIB, in, out); break;
    case COMPRESSION_ZSTD: r = decompress_zstd(in, out); break;
    default: r = buffer_append_slice(out, in); break;
    }
    if (r < 0) {
        out->size = begin;
        out->failed = 0;
    }
    return r;
}

int compress(enum compression c, struct slice in, int level, struct buffer *out) {
    size_t size = 0;

    if (c == COMPRESSION_NONE)
        return buffer_append_slice(out, in);
    if (c == COMPRESSION_ZSTD) {
        size_t room = ZSTD_compressBound(in.size);
        uint8_t *p = buffer_reserve(out, room);
        if (!p)
            return out->failed;
        size = ZSTD_compress(p, room, in.data, in.size, level);
        if (ZSTD_isError(size))
            return -EINVAL;
        out->size += size;
        return 0;
    }
    struct libdeflate_compressor *z = libdeflate_alloc_compressor(level);
    if (!z)
        return -ENOMEM;
    size_t room = c == COMPRESSION_GZIP ? libdeflate_gzip_compress_bound(z, in.size)
                                        : libdeflate_zlib_compress_bound(z, in.size);
    uint8_t *p = buffer_reserve(out, room);
    if (p)
        size = c == COMPRESSION_GZIP ? libdeflate_gzip_compress(z, in.data, in.size, p, room)
                                     : libdeflate_zlib_compress(z, in.data, in.size, p, room);
    libdeflate_free_compressor(z);
    if (!p)
        return out->failed;
    out->size += size;
    return size ? 0 : -EINVAL;
}
