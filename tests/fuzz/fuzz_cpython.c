/*
 * The walk over a target's memory that is not what it claims to be. The first byte chooses the
 * version; the rest is the memory, repeated over the first 64 KiB of the address space, so that
 * nearly every pointer leads somewhere. From 3.13 on the offsets are the memory's own word.
 */
#include "cpython/lines.h"
#include "cpython/open.h"

#include <errno.h>
#include <stdlib.h>

#define SPACE_BYTES 65536u
#define READS_MAX 3000u /* then the target dies */
#define NO_PROCESS ((pid_t) 0x7ffffff0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fake {
    struct slice memory;
    unsigned reads;
};

static int read_fake(void *ctx, uint64_t address, void *to, size_t size) {
    struct fake *m = ctx;

    if (++m->reads > READS_MAX)
        return -ESRCH;
    if (address >= SPACE_BYTES || size > SPACE_BYTES - address || !m->memory.size)
        return -EFAULT;
    for (size_t i = 0; i < size; i++)
        ((uint8_t *) to)[i] = m->memory.data[(address + i) % m->memory.size];
    return 0;
}

static void check(const struct cpython_sample *s) {
    for (size_t i = 0; i < s->n_threads; i++)
        for (size_t k = 0; k < s->threads[i].n_frames; k++)
            if (!s->threads[i].frames[k].code->name || s->threads[i].frames[k].line < 0)
                abort();
}

/* Local variables, asyncio's tasks, greenlets, locks: whatever hangs at the frames. */
static void read_the_rest(struct cpython *c, struct fake *image, const struct cpython_sample *s) {
    struct cpython_greenlets greenlets;
    struct cpython_variable *variables;
    struct cpython_locks locks;
    struct cpython_tasks tasks;
    size_t n, circle[8];

    image->reads = 0;
    cpython_tasks_init(&tasks);
    if (cpython_read_tasks(c, &tasks) == 0)
        for (size_t i = 0; i < tasks.n; i++)
            for (size_t k = 0; k < tasks.items[i].n_awaiters; k++)
                if (tasks.items[i].awaiters[k] >= tasks.n || !tasks.items[i].name)
                    abort();
    cpython_tasks_done(&tasks);
    image->reads = 0;
    cpython_greenlets_init(&greenlets);
    cpython_read_greenlets(c, &greenlets);
    for (size_t i = 0; i < greenlets.n; i++)
        if (!greenlets.items[i].type || !greenlets.items[i].n_frames)
            abort();
    cpython_greenlets_done(&greenlets);
    image->reads = 0;
    cpython_locks_init(&locks);
    if (cpython_read_locks(c, s, &locks) == 0)
        for (size_t i = 0; i < s->n_threads; i++)
            if (cpython_deadlock(&locks, s->n_threads, i, circle, 8) > 8)
                abort();
    cpython_locks_done(&locks);
    for (size_t i = 0; i < s->n_threads && i < 4; i++)
        for (size_t k = 0; k < s->threads[i].n_frames && k < 4; k++) {
            struct arena texts;
            image->reads = 0;
            arena_init(&texts, (size_t) 16 << 20);
            if (cpython_locals(c, &s->threads[i].frames[k], &texts, &variables, &n) == 0)
                for (size_t v = 0; v < n; v++)
                    if (!variables[v].name || !variables[v].value)
                        abort();
            arena_done(&texts);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    struct fake image = {.memory = slice_new(data + 1, size - 1)};
    struct memory_reader memory = {.read = read_fake, .ctx = &image};
    struct cpython_runtime runtime = {.address = 8};
    struct cpython_sample s;
    struct cpython *c;
    unsigned minor = 8 + data[0] % 7;
    uint32_t hex;

    cpython_line(minor, image.memory, 1, data[0]);
    if (minor <= 12)
        runtime.offsets = *cpython_offsets_known(minor);
    else if (cpython_offsets_parse(image.memory, &runtime.offsets, &hex) < 0)
        return 0;
    if (cpython_open_reader(NO_PROCESS, memory, &runtime, &c) < 0)
        return 0;
    cpython_sample_init(&s);
    cpython_want(c, CPYTHON_THREAD_NAMES | (data[0] & 128 ? CPYTHON_AWAITERS : 0u));
    for (unsigned i = 0; i < 2; i++)
        if (cpython_sample(c, &s) == 0)
            check(&s);
    if (cpython_sample(c, &s) == 0)
        read_the_rest(c, &image, &s);
    cpython_sample_done(&s);
    cpython_close(c);
    return 0;
}
