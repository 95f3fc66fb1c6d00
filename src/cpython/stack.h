/* Walking one thread's frames. Internal to cpython/; one owner at a time. */
#ifndef VARAN_CPYTHON_STACK_H
#define VARAN_CPYTHON_STACK_H

#include "base/vector.h"
#include "cpython/codes.h"
#include "cpython/pages.h"

/* A frame as it was found: what it executes and where. */
struct raw_frame {
    uint64_t code, instruction;
    uint64_t address; /* of the frame itself */
    uint32_t copy;    /* of the bytecode (free-threaded 3.14) */
    bool entry;       /* the outermost that one call of the interpreter's loop runs */
};

#define FRAME_BYTES_MAX 512u /* of a frame's fixed part */

/* Frames with their lines, innermost first, and what the lines were found for; those without a code
 * object are left out. */
struct resolved {
    VECTOR(struct cpython_frame) frames;
    VECTOR(struct raw_frame) lined;
};

/* The last walk over a thread's stack; the next one begins with what this one knew. */
struct stack {
    VECTOR(struct raw_frame) raw; /* innermost first */
    struct resolved now, before;
    uint64_t cframe;     /* 3.11, 3.12: where the C stack's frame record lies */
    uint64_t top;        /* where the innermost frame lay */
    uint64_t version;    /* another one whenever `now` is another stack */
    int64_t verified_ns; /* when the first of its code objects was found to be still itself */
    uint64_t replaced;   /* of the code objects, at that time */
    struct page_hints hints;
    bool cut;
    /* What was read ahead for the next walk, into the reader's shared pages. */
    struct {
        bool read, sure; /* sure: nothing of it has changed while it was read */
        uint64_t frame, cframe;
        size_t pages; /* parts that were planned for them */
    } ahead;
};

struct stack_reader {
    struct memory_reader *memory;
    const struct cpython_offsets *offsets;
    struct pages pages;  /* of one stack */
    struct pages shared; /* of stacks that were read ahead */
    /* The pointers, and the page where the innermost frame lay, once more: read at last by the same
     * call. First of the stack that was read ahead twice, then of the one read last by itself. */
    struct stack_again {
        const struct stack *of; /* NULL: none */
        uint64_t frame, cframe;
        uint64_t later; /* of the pages, at that time */
        uint64_t page;
    } again[2];
    struct codes codes; /* it and what follows: large */
    uint8_t again_data[2][PAGE_BYTES];
};

#define STACK_PARTS_MAX (1 + PAGES_HINTED + 3)

void stack_done(struct stack *s);
/* What a frame that was read into `raw` executes. */
struct raw_frame stack_frame(const struct cpython_offsets *o, uint64_t address, const uint8_t *raw);
/* Whether the frame that was read into `raw` runs Python code, and not C code between two
 * interpreters. */
bool stack_is_python(const struct cpython_offsets *o, const uint8_t *raw);
/* The line a frame stands at; 0: none. */
int stack_line(struct stack_reader *r, const struct cpython_code *code, const struct raw_frame *f);
/* What a walk of that thread (whose state is read by the same call, before) will read first, to be
 * read together with other things: its parts, 0: that is not known. Then whether they were read
 * (`done` of them), with the state of the thread. */
size_t stack_ahead_plan(struct stack_reader *r, struct stack *s,
                        struct memory_part parts[STACK_PARTS_MAX]);
void stack_ahead_done(struct stack_reader *r, const uint8_t *thread, struct stack *s,
                      const struct memory_part *parts, size_t n, size_t done);
/* The same with what tells that the stack did not change meanwhile; of one stack at a time. */
size_t stack_ahead_plan_twice(struct stack_reader *r, uint64_t address, struct stack *s,
                              struct memory_part parts[STACK_PARTS_MAX]);
void stack_ahead_done_twice(struct stack_reader *r, const uint8_t *thread, struct stack *s,
                            const struct memory_part *parts, size_t n, size_t done);
/* Forgets what was read ahead. */
void stack_ahead_clear(struct stack_reader *r);
/* Walks the stack of the thread state at `thread`, twice when it changed under the first walk. 0;
 * -EAGAIN: it changed again, what was found is torn; -EIO: the thread state cannot be read;
 * -ENOMEM. */
int stack_walk(struct stack_reader *r, uint64_t thread, int64_t now_ns, struct stack *s);

#endif
