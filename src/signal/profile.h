/*
 * The model of profiles: what one stack cost in one window of time. Slices point into memory of the
 * request; nothing here owns anything.
 *
 * Types and units as OpenTelemetry and pprof write them; those that the page knows well: "cpu",
 * "wall", "gil_wait" (nanoseconds), "alloc_space", "inuse_space" (bytes), "alloc_objects",
 * "inuse_objects", "samples" (count).
 */
#ifndef VARAN_SIGNAL_PROFILE_H
#define VARAN_SIGNAL_PROFILE_H

#include "signal/signal.h"

#define PROFILE_STACK_FRAMES_MAX 2048u /* innermost ones; what lies below is left out */

struct stack_frame {
    struct slice function, file; /* file: empty when not known */
    uint32_t line;               /* 0: not known */
};

struct profile_sample {
    const struct resource *resource;
    int64_t time_ns; /* when the window begins */
    struct slice type, unit;
    uint64_t value;
    struct slice thread;              /* its name; empty: not known */
    struct slice endpoint;            /* the operation of the local root span; empty: none */
    uint8_t trace_id[16], span_id[8]; /* zeros: none */
    const struct stack_frame *frames; /* innermost first, at least one */
    size_t n_frames;
};

#define PROFILE_SOURCE_BYTES_MAX ((size_t) 64 << 10)

/* The text of a function, as its process had it. */
struct profile_source {
    const struct resource *resource;
    int64_t time_ns;
    struct slice function, file;
    uint32_t first_line; /* of the text; 1 is the file's first */
    struct slice text;   /* lines, UTF-8 */
};

#endif
