/* See compress.h. Export thread only. The few declarations of zlib used here are those of its
 * stable ABI. */
#include "compress.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#define Z_DEFLATED 8
#define Z_FINISH 4
#define Z_STREAM_END 1
#define GZIP_WINDOW (15 + 16)
#define LEVEL 3

struct z_stream {
    const unsigned char *next_in;
    unsigned avail_in;
    unsigned long total_in;
    unsigned char *next_out;
    unsigned avail_out;
    unsigned long total_out;
    const char *msg;
    void *state;
    void *(*zalloc)(void *, unsigned, unsigned);
    void (*zfree)(void *, void *);
    void *opaque;
    int data_type;
    unsigned long adler;
    unsigned long reserved;
};

static int (*deflate_init)(struct z_stream *, int, int, int, int, int, const char *, int);
static int (*deflate_run)(struct z_stream *, int);
static int (*deflate_end)(struct z_stream *);

static int load(void) {
    static int loaded; /* 0 not yet, 1 yes, -1 not there */
    void *library;

    if (loaded)
        return loaded;
    loaded = -1;
    library = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return loaded;
    *(void **) &deflate_init = dlsym(library, "deflateInit2_");
    *(void **) &deflate_run = dlsym(library, "deflate");
    *(void **) &deflate_end = dlsym(library, "deflateEnd");
    if (deflate_init && deflate_run && deflate_end)
        loaded = 1;
    return loaded;
}

int compress_gzip(char **body, size_t *length) {
    struct z_stream z = {0};
    size_t size = *length + (*length >> 10) + 64;
    char *out;
    int r;

    if (load() < 0)
        return -ENOSYS;
    if (deflate_init(&z, LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, 0, "1.2.11", (int) sizeof(z)) != 0)
        return -ENOMEM;
    out = malloc(size);
    if (!out) {
        deflate_end(&z);
        return -ENOMEM;
    }
    z.next_in = (const unsigned char *) *body;
    z.avail_in = (unsigned) *length;
    z.next_out = (unsigned char *) out;
    z.avail_out = (unsigned) size;
    r = deflate_run(&z, Z_FINISH);
    deflate_end(&z);
    if (r != Z_STREAM_END) {
        free(out);
        return -EIO;
    }
    free(*body);
    *body = out;
    *length = z.total_out;
    return 0;
}
