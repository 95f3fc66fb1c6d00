/* The built page as tools/embed.py leaves it in the binary. Constant. */
#ifndef VARAN_API_PAGE_FILES_H
#define VARAN_API_PAGE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct page_file {
    const char *path; /* "index.html", "assets/index-BqK3x9Za.js" */
    const char *type;
    const char *etag;
    bool hashed;  /* the name changes with the content */
    bool gzipped; /* `data` is gzip */
    const uint8_t *data;
    size_t size, plain_size;
};

extern const struct page_file page_files[];
extern const size_t page_files_n;

#endif
