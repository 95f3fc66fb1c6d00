/*
 * The text of a program's functions, out of the files they were loaded from: which ones are worth
 * sending, once an hour each, bounded in all. Files that changed since the process began say
 * nothing about it and are left out, as is what is no regular file. Everything is untrusted: code
 * objects may name any file and any line. One owner at a time.
 */
#ifndef VARAN_CPYTHON_FUNCTION_TEXT_H
#define VARAN_CPYTHON_FUNCTION_TEXT_H

#include "base/memory.h"

#define FUNCTION_TEXTS_MAX 200u /* of a process, an hour */
#define FUNCTION_TEXTS_AT_ONCE_MAX 20u
#define FUNCTION_TEXTS_BYTES_A_MINUTE (64u << 10)
#define FUNCTION_TEXT_BYTES_MAX (16u << 10)
#define FUNCTION_TEXT_LINES_MAX 400
#define FUNCTION_FILE_BYTES_MAX (4 << 20)

/* Where a function stands. `name` may be qualified. Lines from 1 on; `seen`: the last one that was
 * seen at work; `last`: the last one of its line table, 0: not known. */
struct function_place {
    struct slice file, name;
    int first, seen, last;
};

/* The lines of a function in its file: decorators, too; at least to the last line that is known of
 * it, and on while it goes on by its indentation. Empty when it is not defined there. `ret_last`:
 * the line that the text ends with. Pure. */
struct slice function_text(struct slice file, const struct function_place *place, int *ret_last);

/* ---- What to send ---- */

struct function_texts;

/* Opens a file as the program sees it, for reading: a descriptor, or negative. */
typedef int (*function_file_open)(void *ctx, const char *path);

/* The bytes (malloc'd) of a regular file of at most FUNCTION_FILE_BYTES_MAX that has not changed
 * since then (wall clock; INT64_MAX: whenever it has); data NULL: it is none, or empty. Closes the
 * descriptor, which may be negative: then there is no file. */
struct slice function_file_read(int fd, int64_t unchanged_since_ns);

struct function_wish {
    struct function_place place;
    uint64_t cost;     /* 0: not worth it */
    uint32_t number;   /* the caller's */
    struct slice text; /* filled in; empty: none. Valid until the next choice */
};

/* What is known of a function before its cost and its lines are: a wish with neither. */
static inline struct function_wish function_wish_of(uint32_t number, struct slice file,
                                                    struct slice name, int first, int last) {
    return (struct function_wish){
            .number = number, .place = {.file = file, .name = name, .first = first, .last = last}};
}

/* `began_ns`: wall clock, when the process began. `open`: NULL: open(2). 0 or -ENOMEM. */
int function_texts_new(int64_t began_ns, function_file_open open, void *ctx,
                       struct function_texts **ret);
void function_texts_free(struct function_texts *t);
/* Gives their texts to the application's functions that cost most, as far as they are due; sorts
 * the wishes by their cost. */
void function_texts_choose(struct function_texts *t, struct function_wish *wishes, size_t n);

#endif
