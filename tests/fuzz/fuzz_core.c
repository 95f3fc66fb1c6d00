/*
 * Core files that are none: headers, notes, segments. What was accepted is read through the reader
 * at the edges of its segments, and an interpreter is looked for.
 */
#include "cpython/runtime.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_edges(const struct core_file *c) {
    struct memory_reader memory = memory_reader_core(c);
    uint8_t bytes[64];

    for (size_t i = 0; i < c->segments.n && i < 64; i++) {
        const struct core_segment *s = &c->segments.items[i];
        memory_read(&memory, s->address, bytes, 1);
        memory_read(&memory, s->address + s->size - 1, bytes, sizeof(bytes));
        memory_read(&memory, s->address + s->in_file - 8, bytes, 16);
    }
    memory_read(&memory, UINT64_MAX - 4, bytes, sizeof(bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct cpython_runtime runtime;
    struct core_file *c;
    struct image image;

    if (core_file_parse(slice_new(data, size), &c) < 0)
        return 0;
    vector_each(&c->files, f) {
        if (f->start >= f->end || !f->path)
            abort();
        f->path = "/nonexistent"; /* the fuzzer names files, which must not be opened */
    }
    read_edges(c);
    struct memory_reader memory = memory_reader_core(c);
    if (image_read(&image, c->pid, c) == 0)
        cpython_runtime_find(&image, &memory, RUNTIME_THOROUGH, &runtime, NULL);
    image_done(&image);
    core_file_has_thread(c, 1);
    core_file_waits_at(c, 1);
    core_file_close(c);
    return 0;
}
