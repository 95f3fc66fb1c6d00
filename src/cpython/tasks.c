/*
 * All tasks of a target. Up to 3.13 asyncio keeps them in a WeakSet (and eager ones in a set), the
 * running ones in a dict by loop; from 3.14 on they are in lists in the threads' states, whose
 * places the section .AsyncioDebug of _asyncio tells.
 */
#include "cpython/tasks.h"

#include "base/clock.h"

#define TASKS_BYTES_MAX ((size_t) 256 << 20)
#define LOOK_AGAIN_NS NS_PER_S /* where asyncio keeps things, while it is not known */
#define DEBUG_NUMBERS 13u

/* struct Py_AsyncioModuleDebugOffsets, in numbers of 64 bits. */
enum { DEBUG_NODE = 6, DEBUG_ORPHANS = 8, DEBUG_RUNNING = 11, DEBUG_HEAD = 12 };

#define PLACE_MAX (1u << 20)

static struct inspector inspector_of(struct cpython *c) {
    return (struct inspector){&c->memory, &c->runtime.offsets, &c->scratch};
}

static void read_told_places(struct cpython *c) {
    uint64_t numbers[DEBUG_NUMBERS], address;
    struct image image;

    int r = image_read(&image, c->pid, c->core);
    if (r == 0)
        r = image_find_section(&image, "_asyncio", c->runtime.path, ".AsyncioDebug", &address);
    image_done(&image);
    if (r < 0 || memory_read(&c->memory, address, numbers, sizeof(numbers)) < 0)
        return;
    for (size_t i = 0; i < DEBUG_NUMBERS; i++)
        if (numbers[i] > PLACE_MAX)
            return;
    c->asyncio.node = (uint32_t) numbers[DEBUG_NODE];
    c->asyncio.orphans = (uint32_t) numbers[DEBUG_ORPHANS];
    c->asyncio.running = (uint32_t) numbers[DEBUG_RUNNING];
    c->asyncio.head = (uint32_t) numbers[DEBUG_HEAD];
    c->asyncio.told = true;
}

/* Finds out where asyncio keeps its running tasks, at most once a second while it is unknown. */
static bool know_places(struct cpython *c, uint64_t interpreter, int64_t now_ns) {
    struct inspector in = inspector_of(c);

    if (c->runtime.offsets.minor >= 14
                ? c->asyncio.told
                : c->asyncio.current && c->asyncio.interpreter == interpreter)
        return true;
    if (c->asyncio.looked_ns && now_ns - c->asyncio.looked_ns < LOOK_AGAIN_NS)
        return false;
    c->asyncio.looked_ns = now_ns;
    if (c->runtime.offsets.minor >= 14) {
        read_told_places(c);
        return c->asyncio.told;
    }
    uint64_t module = module_dict(&in, interpreter, "asyncio.tasks");
    c->asyncio.current = dict_get(&in, module, "_current_tasks");
    c->asyncio.interpreter = interpreter;
    arena_clear(&c->scratch);
    return c->asyncio.current != 0;
}

/* ---- Running tasks ---- */

static size_t place_in_stack(const struct known_thread *k, uint64_t frame) {
    for (size_t i = 0; i < k->stack.now.lined.n; i++)
        if (k->stack.now.lined.items[i].address == frame)
            return i;
    return SIZE_MAX;
}

/* The place in the thread's stack of the outermost frame of the task's coroutine; SIZE_MAX: the
 * thread does not run it. */
static size_t task_place(const struct inspector *in, const struct known_thread *k, uint64_t task) {
    uint64_t coroutine = object_field(in, task, in->offsets->task.coroutine),
             frame = coroutine ? generator_frame(in, coroutine) : 0;

    return frame ? place_in_stack(k, frame) : SIZE_MAX;
}

static uint64_t running_task(struct cpython *c, const struct known_thread *k, size_t *ret_place) {
    struct inspector in = inspector_of(c);
    struct dict_item *items;
    uint64_t task;
    size_t n;

    if (c->asyncio.told) {
        task = object_field(&in, k->address, c->asyncio.running);
        *ret_place = task ? task_place(&in, k, task) : SIZE_MAX;
        return *ret_place == SIZE_MAX ? 0 : task;
    }
    if (object_field(&in, c->asyncio.current, in.offsets->head) == 0 || /* no loop runs a task */
        dict_items(&in, c->asyncio.current, CPYTHON_THREADS_MAX, &items, &n) < 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (!items[i].value)
            continue;
        *ret_place = task_place(&in, k, items[i].value);
        if (*ret_place != SIZE_MAX)
            return items[i].value;
    }
    return 0;
}

/* ---- Frames ---- */

typedef VECTOR(struct cpython_frame) frames_vector;

/* Appends the chain's frames, innermost first. */
static int push_chain(struct cpython *c, const struct await_chain *chain, int64_t now_ns,
                      frames_vector *to) {
    uint64_t codes[CODES_AT_ONCE];
    int r = 0;

    for (size_t at = 0; at < chain->n; at += CODES_AT_ONCE) {
        size_t n = chain->n - at < CODES_AT_ONCE ? chain->n - at : CODES_AT_ONCE;
        for (size_t i = 0; i < n; i++)
            codes[i] = chain->frames[at + i].code;
        codes_refresh(&c->reader.codes, codes, n, now_ns);
    }
    for (size_t i = chain->n; r == 0 && i > 0; i--) {
        const struct raw_frame *f = &chain->frames[i - 1];
        const struct cpython_code *code = codes_find(&c->reader.codes, f->code);
        if (!code)
            continue;
        struct cpython_frame frame = {
                .code = code, .line = stack_line(&c->reader, code, f), .address = f->address};
        r = vector_push(to, frame, CPYTHON_FRAMES_MAX);
    }
    return r == -ENOBUFS ? 0 : r;
}

static int keep_frames(const frames_vector *v, struct arena *to, const struct cpython_frame **ret,
                       size_t *ret_n) {
    struct cpython_frame *copy = arena_array(to, struct cpython_frame, v->n);

    if (!copy)
        return -ENOMEM;
    if (v->n)
        memcpy(copy, v->items, v->n * sizeof(*copy));
    *ret = copy;
    *ret_n = v->n;
    return 0;
}

int chain_frames(struct cpython *c, const struct await_chain *chain, struct arena *to,
                 const struct cpython_frame **ret, size_t *ret_n) {
    frames_vector frames = {0};
    int r = push_chain(c, chain, clock_monotonic_ns(), &frames);

    if (r == 0)
        r = keep_frames(&frames, to, ret, ret_n);
    vector_done(&frames);
    return r;
}

static int push_task(struct cpython *c, uint64_t task, int64_t now_ns, frames_vector *to,
                     uint64_t *ret_awaited) {
    struct inspector in = inspector_of(c);
    struct await_chain chain;

    await_chain_read(&in, object_field(&in, task, in.offsets->task.coroutine), &chain);
    if (ret_awaited)
        *ret_awaited = chain.awaited;
    return push_chain(c, &chain, now_ns, to);
}

int task_stack(struct cpython *c, uint64_t interpreter, const struct known_thread *k,
               int64_t now_ns, struct arena *to, const struct cpython_frame **ret, size_t *ret_n) {
    struct inspector in = inspector_of(c);
    struct task_set awaiters, met = {0};
    frames_vector frames = {0};
    size_t place;
    int r = 0;

    *ret_n = 0;
    uint64_t task = know_places(c, interpreter, now_ns) ? running_task(c, k, &place) : 0;
    for (size_t i = 0; task && r == 0 && i <= place; i++)
        r = vector_push(&frames, k->stack.now.frames.items[i], CPYTHON_FRAMES_MAX);
    while (task && r == 0 && met.n < CPYTHON_AWAITERS_MAX) {
        met.items[met.n++] = task;
        task_awaiters(&in, task, &awaiters);
        task = 0;
        for (size_t i = 0; i < awaiters.n && !task; i++) { /* the first one that is new */
            task = awaiters.items[i];
            for (size_t m = 0; m < met.n; m++)
                task = met.items[m] == awaiters.items[i] ? 0 : task;
        }
        if (task)
            r = push_task(c, task, now_ns, &frames, NULL);
        arena_clear(&c->scratch);
    }
    if (r == 0 && frames.n)
        r = keep_frames(&frames, to, ret, ret_n);
    vector_done(&frames);
    arena_clear(&c->scratch);
    return r;
}

/* ---- All tasks ---- */

void cpython_tasks_init(struct cpython_tasks *t) {
    *t = (struct cpython_tasks){0};
    arena_init(&t->arena, TASKS_BYTES_MAX);
}

void cpython_tasks_done(struct cpython_tasks *t) {
    arena_done(&t->arena);
    t->items = NULL;
    t->n = 0;
}

typedef VECTOR(uint64_t) addresses_vector;

static int add_task(const struct inspector *in, addresses_vector *to, uint64_t object) {
    if (future_kind(in, object) != FUTURE_TASK)
        return 0;
    int r = vector_push(to, object, CPYTHON_TASKS_MAX);
    return r == -ENOBUFS ? 0 : r;
}

/* Tasks of the set `name` in asyncio.tasks; weakly referenced when it is a WeakSet. */
static int add_set(const struct inspector *in, uint64_t module, const char *name, bool weak,
                   addresses_vector *to) {
    uint64_t set = dict_get(in, module, name), *items;
    size_t n;
    int r = 0;

    if (weak)
        set = object_attribute(in, set, "data");
    if (!set || set_items(in, set, CPYTHON_TASKS_MAX, &items, &n, NULL) < 0)
        return 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = add_task(in, to, weak ? object_field(in, items[i], in->offsets->head) : items[i]);
    return r;
}

/* Tasks of a list (struct llist_node: next, previous) whose head lies at `head`. */
static int add_list(const struct inspector *in, uint64_t head, uint32_t node,
                    addresses_vector *to) {
    uint64_t at = object_field(in, head, 0);
    int r = 0;

    for (size_t i = 0; r == 0 && at && at != head && i < CPYTHON_TASKS_MAX; i++) {
        r = add_task(in, to, at - node);
        at = object_field(in, at, 0);
    }
    return r;
}

static int find_tasks(struct cpython *c, addresses_vector *to) {
    struct inspector in = inspector_of(c);
    const struct cpython_offsets *o = in.offsets;
    uint64_t interpreter = object_field(&in, c->runtime.address, o->runtime.interpreters_head);
    int r = 0;

    if (o->minor >= 14 && !c->asyncio.told)
        read_told_places(c);
    for (unsigned n = 0; r == 0 && interpreter && n < CPYTHON_INTERPRETERS_MAX; n++) {
        if (o->minor < 14) {
            uint64_t module = module_dict(&in, interpreter, "asyncio.tasks");
            r = add_set(&in, module, o->minor >= 12 ? "_scheduled_tasks" : "_all_tasks", true, to);
            if (r == 0 && o->minor >= 12)
                r = add_set(&in, module, "_eager_tasks", false, to);
        } else if (c->asyncio.told) {
            r = add_list(&in, interpreter + c->asyncio.orphans, c->asyncio.node, to);
        }
        arena_clear(&c->scratch);
        interpreter = object_field(&in, interpreter, o->interpreter.next);
    }
    for (size_t i = 0; r == 0 && o->minor >= 14 && c->asyncio.told && i < c->known.n; i++)
        r = add_list(&in, c->known.items[i]->address + c->asyncio.head, c->asyncio.node, to);
    return r;
}

/* The thread that runs the task, and the task's part of its stack. */
static int push_running(struct cpython *c, uint64_t task, frames_vector *to, pid_t *ret_thread) {
    struct inspector in = inspector_of(c);
    uint64_t coroutine = object_field(&in, task, in.offsets->task.coroutine),
             frame = coroutine ? generator_frame(&in, coroutine) : 0;
    int r = 0;

    *ret_thread = 0;
    for (size_t t = 0; frame && t < c->known.n; t++) {
        const struct known_thread *k = c->known.items[t];
        size_t place = place_in_stack(k, frame);
        if (place == SIZE_MAX)
            continue;
        *ret_thread = k->native_id;
        for (size_t i = 0; r == 0 && i <= place; i++)
            r = vector_push(to, k->stack.now.frames.items[i], CPYTHON_FRAMES_MAX);
        break;
    }
    return r;
}

/* A name that nobody has asked for yet is kept as its number from 3.12 on. */
static const char *task_name(const struct inspector *in, uint64_t task, struct arena *to) {
    uint64_t name = object_field(in, task, in->offsets->task.name), number;
    char type[INSPECT_NAME_MAX];

    if (!name || !object_type_name(in, name, type))
        return "";
    if (strcmp(type, "int") == 0 && int_value(in, name, &number))
        return arena_printf(to, "Task-%llu", (unsigned long long) number);
    const char *text =
            strcmp(type, "str") == 0 ? cpython_read_text(in->memory, in->offsets, name, to) : NULL;
    return text ? text : "";
}

static int fill_awaiters(const struct inspector *in, const struct map *all, struct arena *to,
                         struct cpython_task *task) {
    struct task_set set;
    uint32_t *places;

    task_awaiters(in, task->address, &set);
    places = arena_array(to, uint32_t, set.n);
    if (!places)
        return -ENOMEM;
    for (size_t i = 0; i < set.n; i++) {
        const struct map_entry *e = map_get(all, slice_new(&set.items[i], 8));
        if (e)
            places[task->n_awaiters++] = (uint32_t) e->number;
    }
    task->awaiters = places;
    return 0;
}

static int fill_task(struct cpython *c, const struct map *all, struct arena *to,
                     struct cpython_task *task) {
    struct inspector in = inspector_of(c);
    char type[INSPECT_NAME_MAX];
    frames_vector frames = {0};
    uint64_t awaited = 0;

    task->name = task_name(&in, task->address, to);
    int r = push_running(c, task->address, &frames, &task->native_id);
    if (r == 0 && !frames.n)
        r = push_task(c, task->address, clock_monotonic_ns(), &frames, &awaited);
    if (r == 0 && awaited && object_type_name(&in, awaited, type))
        task->waits_for = (const char *) arena_dup(to, slice_from(type)).data;
    if (r == 0)
        r = keep_frames(&frames, to, &task->frames, &task->n_frames);
    if (r == 0)
        r = fill_awaiters(&in, all, to, task);
    vector_done(&frames);
    arena_clear(&c->scratch);
    return r;
}

int cpython_read_tasks(struct cpython *c, struct cpython_tasks *t) {
    addresses_vector all = {0};
    struct map places;

    arena_clear(&t->arena);
    t->n = 0;
    map_init(&places, CPYTHON_TASKS_MAX, (size_t) CPYTHON_TASKS_MAX * 64);
    int r = find_tasks(c, &all);
    t->items = r == 0 ? arena_array(&t->arena, struct cpython_task, all.n) : NULL;
    if (r == 0 && !t->items)
        r = -ENOMEM;
    for (size_t i = 0; r == 0 && i < all.n; i++) {
        bool is_new = false;
        struct map_entry *e = map_put(&places, slice_new(&all.items[i], 8), &is_new);
        if (!e)
            r = -ENOMEM;
        if (!e || !is_new) /* a list that changed may lead to a task twice */
            continue;
        e->number = t->n;
        t->items[t->n++].address = all.items[i];
    }
    for (size_t i = 0; r == 0 && i < t->n; i++)
        r = fill_task(c, &places, &t->arena, &t->items[i]);
    if (r < 0)
        t->n = 0;
    vector_done(&all);
    map_done(&places);
    arena_clear(&c->scratch);
    return r;
}
