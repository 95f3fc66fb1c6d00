/*
 * pprof profiles: a reader that copies nothing of the message, and a writer.
 *
 * The reader resolves the message's tables once and then hands out one sample after the other, with
 * its frames, values and labels as slices of the message. Everything is checked: numbers of
 * strings, functions and locations that the message does not have make it malformed. One owner at a
 * time.
 *
 * Source: github.com/google/pprof, proto/profile.proto.
 */
#ifndef VARAN_WIRE_PPROF_H
#define VARAN_WIRE_PPROF_H

#include "base/error.h"
#include "base/map.h"
#include "base/vector.h"

#define PPROF_BYTES_MAX ((size_t) 64 << 20) /* decompressed */
#define PPROF_STRINGS_MAX 2000000u
#define PPROF_FUNCTIONS_MAX 1000000u
#define PPROF_LOCATIONS_MAX 1000000u
#define PPROF_LINES_MAX 2000000u /* of all locations */
#define PPROF_MAPPINGS_MAX 100000u
#define PPROF_VALUES_MAX 32u             /* of a sample */
#define PPROF_FRAMES_MAX 2048u           /* of a stack; what lies below is left out */
#define PPROF_FRAMES_TOTAL_MAX 33554432u /* of all samples */
#define PPROF_LABELS_MAX 128u            /* of a sample; more are left out */

struct pprof_value_type {
    struct slice type, unit; /* "cpu", "nanoseconds" */
};

struct pprof_frame {
    struct slice function; /* its name; without symbols the address in hexadecimal */
    struct slice file;     /* of the source, else of the mapping; may be empty */
    int64_t line;          /* 0: not known */
    int64_t start_line;    /* of the function; 0: not known */
};

struct pprof_label {
    struct slice key, text, unit; /* text: empty for a number */
    int64_t number;
};

struct pprof_sample {
    const struct pprof_frame *frames; /* innermost first */
    size_t n_frames;
    bool cut; /* deeper than PPROF_FRAMES_MAX */
    const int64_t *values;
    size_t n_values; /* as many as there are types */
    const struct pprof_label *labels;
    size_t n_labels;
};

struct pprof; /* a message that was read */

struct pprof_head {
    struct pprof_value_type types[PPROF_VALUES_MAX];
    size_t n_types;
    int64_t time_ns, duration_ns, period; /* 0: not said */
    struct pprof_value_type period_type;
    size_t n_samples;
};

/* Reads a message, gzipped or plain; `bytes` must outlive `*ret` when plain. 0; -EBADMSG malformed,
 * -E2BIG beyond a limit (both with a sentence in `e`), -ENOMEM. */
int pprof_read(struct slice bytes, struct pprof **ret, struct error *e);
void pprof_free(struct pprof *p);
const struct pprof_head *pprof_head(const struct pprof *p);
/* The next sample, valid until the next call: 1, 0 after the last one, -EBADMSG, -E2BIG. */
int pprof_next(struct pprof *p, struct pprof_sample *ret, struct error *e);
/* Goes back to the first sample. */
void pprof_rewind(struct pprof *p);

/* ---- Writing ---- */

struct pprof_writer {
    struct buffer message;
    struct map strings, functions, locations;
    VECTOR(struct slice) table;
    int failed; /* first error; later calls do nothing */
};

/* A profile whose samples have these values. `bytes_max` bounds the message. */
void pprof_writer_init(struct pprof_writer *w, const struct pprof_value_type *types, size_t n,
                       size_t bytes_max);
void pprof_writer_done(struct pprof_writer *w);
/* As many values as there are types. Slices are copied. */
void pprof_write_sample(struct pprof_writer *w, const struct pprof_sample *s);
/* Ends the message and appends it, gzipped, to `out`: 0, -ENOBUFS, -ENOMEM. */
int pprof_write_end(struct pprof_writer *w, int64_t time_ns, int64_t duration_ns,
                    const struct pprof_value_type *period_type, int64_t period, struct buffer *out);

#endif
