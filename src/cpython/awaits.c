/*
 * One task: what its coroutine awaits, and who awaits it. Awaiting is followed inwards over the
 * frames' stacks. Outwards it is followed over the callbacks of the futures: a task that waits for
 * a future leaves its wake-up there; gather(), wait() and shield() leave functions whose closures
 * hold the future that their caller waits for; a task group leaves one of its methods
 * (Lib/asyncio/tasks.py, taskgroups.py, Modules/_asynciomodule.c).
 */
#include "cpython/tasks.h"

#define BASES_MAX 8u
#define CELLS_MAX 16u

enum future_kind future_kind(const struct inspector *in, uint64_t object) {
    uint64_t type = object ? object_type(in, object) : 0;
    char name[INSPECT_NAME_MAX];

    for (unsigned i = 0; type && i < BASES_MAX; i++) {
        if (!type_name(in, type, name))
            return FUTURE_NONE;
        if (strcmp(name, "_asyncio.Task") == 0)
            return FUTURE_TASK;
        if (strcmp(name, "_asyncio.Future") == 0)
            return FUTURE_PLAIN;
        type = object_field(in, type, in->offsets->head + 240); /* tp_base */
    }
    return FUTURE_NONE;
}

/* ---- Inwards ---- */

enum awaitable { AWAIT_OTHER, AWAIT_COROUTINE, AWAIT_GENERATOR, AWAIT_WRAPPER, AWAIT_FUTURE };

static enum awaitable awaitable_kind(const struct inspector *in, uint64_t object) {
    static const struct {
        const char *type;
        enum awaitable kind;
    } kinds[] = {
            {"coroutine", AWAIT_COROUTINE},           {"generator", AWAIT_GENERATOR},
            {"async_generator", AWAIT_GENERATOR},     {"coroutine_wrapper", AWAIT_WRAPPER},
            {"async_generator_asend", AWAIT_WRAPPER}, {"async_generator_athrow", AWAIT_WRAPPER},
            {"_asyncio.FutureIter", AWAIT_FUTURE},
    };
    char name[INSPECT_NAME_MAX];

    if (!type_name(in, object_type(in, object), name))
        return AWAIT_OTHER;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(name, kinds[i].type) == 0)
            return kinds[i].kind;
    return AWAIT_OTHER;
}

void await_chain_read(const struct inspector *in, uint64_t coroutine, struct await_chain *ret) {
    const struct cpython_offsets *o = in->offsets;
    uint8_t raw[FRAME_BYTES_MAX];
    uint64_t at = coroutine;

    ret->n = 0;
    ret->awaited = 0;
    for (unsigned steps = 0; at && steps < 2 * TASK_FRAMES_MAX; steps++) {
        enum awaitable kind = awaitable_kind(in, at);
        if (kind == AWAIT_WRAPPER || kind == AWAIT_FUTURE) {
            at = object_field(in, at, o->head);
            if (kind == AWAIT_WRAPPER)
                continue;
        }
        if (kind != AWAIT_COROUTINE && kind != AWAIT_GENERATOR) {
            ret->awaited = at;
            return;
        }
        uint64_t frame = generator_frame(in, at);
        if (!frame || ret->n == TASK_FRAMES_MAX ||
            memory_read(in->memory, frame, raw, o->frame.size) < 0)
            return;
        ret->frames[ret->n++] = stack_frame(o, frame, raw);
        at = frame_awaited(in, at, frame, kind == AWAIT_COROUTINE);
    }
}

/* ---- Outwards ---- */

struct visit {
    const struct inspector *in;
    uint64_t futures[TASK_VISITS_MAX]; /* seen; from `at` on to be looked at */
    size_t n, at;
    struct task_set *tasks;
};

static void meet(struct visit *v, uint64_t object) {
    enum future_kind kind = future_kind(v->in, object);

    if (kind == FUTURE_NONE)
        return;
    for (size_t i = 0; i < v->n; i++)
        if (v->futures[i] == object)
            return;
    for (size_t i = 0; i < v->tasks->n; i++)
        if (v->tasks->items[i] == object)
            return;
    if (kind == FUTURE_TASK) {
        if (v->tasks->n < CPYTHON_AWAITERS_MAX)
            v->tasks->items[v->tasks->n++] = object;
    } else if (v->n < TASK_VISITS_MAX) {
        v->futures[v->n++] = object;
    }
}

static void meet_all(struct visit *v, uint64_t tuple, bool cells) {
    uint64_t *items;
    size_t n;

    if (!tuple || tuple_items(v->in, tuple, CELLS_MAX, &items, &n, NULL) < 0)
        return;
    for (size_t i = 0; i < n; i++)
        meet(v, cells ? object_field(v->in, items[i], v->in->offsets->head) : items[i]);
}

static void follow(struct visit *v, uint64_t callback) {
    const struct inspector *in = v->in;
    uint32_t head = in->offsets->head;
    char name[INSPECT_NAME_MAX];

    if (!callback || !object_type_name(in, callback, name))
        return;
    if (strcmp(name, "TaskWakeupMethWrapper") == 0 || strcmp(name, "TaskStepMethWrapper") == 0) {
        meet(v, object_field(in, callback, head)); /* 3.8, 3.9 */
    } else if (strcmp(name, "builtin_function_or_method") == 0) {
        meet(v, object_field(in, callback, head + 8)); /* bound to the task from 3.10 on */
    } else if (strcmp(name, "method") == 0) {
        uint64_t self = object_field(in, callback, head + 8);
        meet(v, self);
        meet(v, object_attribute(in, self, "_parent_task"));
    } else if (strcmp(name, "function") == 0) {
        meet_all(v, object_field(in, callback, in->offsets->object.closure), true);
    } else if (strcmp(name, "partial") == 0) {
        meet_all(v, object_field(in, callback, head + 8), false);
    }
}

static void follow_callbacks(struct visit *v, uint64_t future) {
    const struct inspector *in = v->in;
    uint64_t *items, *pair, list = object_field(in, future, in->offsets->task.callbacks);
    size_t n, n_pair;
    char name[INSPECT_NAME_MAX];

    follow(v, object_field(in, future, in->offsets->task.callback));
    if (!list || !object_type_name(in, list, name) || strcmp(name, "list") != 0 ||
        list_items(in, list, TASK_CALLBACKS_MAX, &items, &n, NULL) < 0)
        return;
    for (size_t i = 0; i < n; i++) /* (callback, context) */
        if (tuple_items(in, items[i], 1, &pair, &n_pair, NULL) == 0 && n_pair)
            follow(v, pair[0]);
}

void task_awaiters(const struct inspector *in, uint64_t task, struct task_set *ret) {
    struct visit v = {.in = in, .futures = {task}, .n = 1, .tasks = ret};

    ret->n = 0;
    for (; v.at < v.n; v.at++)
        follow_callbacks(&v, v.futures[v.at]);
}
