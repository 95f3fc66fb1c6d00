/*
 * Writing a profile: one file per format, one row each in format.c. Writers append to the buffer,
 * whose cap bounds the file. Any thread; the profile is only read.
 */
#ifndef VARAN_PROFILE_FORMAT_H
#define VARAN_PROFILE_FORMAT_H

#include "profile/profile.h"

struct json_t; /* jansson's */

#define FORMAT_BYTES_MAX ((size_t) 1 << 30)

struct format {
    const char *name;      /* "speedscope" */
    const char *extension; /* ".speedscope.json": a file so named gets this format */
    const char *help;
    bool timeline; /* needs profile.timeline */
    /* 0 or a negative errno. */
    int (*write)(const struct profile *p, struct buffer *out);
};

extern const struct format formats[];
extern const size_t formats_n;

/* NULL: there is none of that name. */
const struct format *format_by_name(const char *name);
/* By the end of a file's name, the longest that fits; NULL: none does. */
const struct format *format_by_file(const char *path);

int format_collapsed(const struct profile *p, struct buffer *out);
int format_speedscope(const struct profile *p, struct buffer *out);
int format_pprof(const struct profile *p, struct buffer *out);
int format_chrome(const struct profile *p, struct buffer *out);
int format_html(const struct profile *p, struct buffer *out);
int format_pstats(const struct profile *p, struct buffer *out);
int format_svg(const struct profile *p, struct buffer *out);

/* ---- Reading ---- */

#define PROFILE_FILE_BYTES_MAX ((size_t) 1 << 30)

/* Reads a profile in any of the formats, which is found out from its content: pprof (gzipped or
 * not), speedscope, Chrome trace events, pstats, our own HTML, else collapsed stacks. `name` is for
 * the title. 0; -EBADMSG, -E2BIG, -ENOMEM with a sentence. profile_done() in every case. */
int profile_read(struct slice bytes, const char *name, struct profile *ret, struct error *e);

/* The parts: each adds to an empty profile. */
int read_collapsed(struct slice text, struct profile *p, struct error *e);
int read_pprof(struct slice bytes, struct profile *p, struct error *e);
int read_speedscope(const struct json_t *root, struct profile *p, struct error *e);
int read_chrome(const struct json_t *root, struct profile *p, struct error *e);
int read_html_data(const struct json_t *root, struct profile *p, struct error *e);
int read_pstats(struct slice bytes, struct profile *p, struct error *e);

#endif
