/*
 * Who waits for which lock, and who holds it. A thread that sleeps in a futex tells where (its
 * system call's first argument); the locks that its innermost frames have in hand tell which of
 * them lies there (Modules/_threadmodule.c: a Lock points to a semaphore up to 3.12, and is a byte
 * that its waiters park at from then on). Who holds it an RLock tells itself; of a Lock it is told
 * by the `__exit__` that a `with` keeps on its frame's stack. A Lock that was acquired without
 * `with` does not tell.
 */
#include "cpython/locks.h"

#define FRAMES_MAX 512u      /* of one stack, innermost ones, that are looked into */
#define WAITING_FRAMES_MAX 4 /* innermost ones, that hold what is waited for */
#define SLOTS_MAX 512u       /* of one frame */
#define NAMES_MAX 4096u      /* of one namespace, where a lock's name is looked for */

enum { MUTEX_LOCKED = 1, MUTEX_PARKED = 2 };

static enum lock_object kind_of(struct locks *l, uint64_t type) {
    static const struct {
        const char *name;
        enum lock_object kind;
    } kinds[] = {
            {"_thread.lock", OBJECT_LOCK},
            {"_thread.RLock", OBJECT_RLOCK},
            {"builtin_function_or_method", OBJECT_BUILTIN},
            {"method", OBJECT_METHOD},
            {"method_descriptor", OBJECT_DESCRIPTOR},
            {"function", OBJECT_FUNCTION},
            {"Condition", OBJECT_CONDITION},
    };
    struct map_entry *e = map_get(&l->kinds, slice_new(&type, 8));
    char name[INSPECT_NAME_MAX];

    if (e)
        return (enum lock_object) e->number;
    enum lock_object kind = OBJECT_OTHER;
    if (type_name(&l->in, type, name))
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
            if (strcmp(name, kinds[i].name) == 0)
                kind = kinds[i].kind;
    e = map_put(&l->kinds, slice_new(&type, 8), NULL);
    if (e)
        e->number = kind;
    return kind;
}

static enum lock_object object_kind(struct locks *l, uint64_t object) {
    return object && !(object & 7) ? kind_of(l, object_type(&l->in, object)) : OBJECT_OTHER;
}

/* The lock behind an object: itself, or a condition's; 0: none. */
static uint64_t lock_of(struct locks *l, uint64_t object) {
    enum lock_object kind = object_kind(l, object);

    if (kind == OBJECT_CONDITION) {
        object = object_attribute(&l->in, object, "_lock");
        kind = object_kind(l, object);
    }
    return kind == OBJECT_LOCK || kind == OBJECT_RLOCK ? object : 0;
}

/* ---- Locks ---- */

/* Reads the lock's state; false: unreadable. */
static bool read_lock(const struct locks *l, uint64_t address, struct cpython_lock *ret) {
    const struct cpython_offsets *o = l->in.offsets;
    uint64_t words[3], size = object_field(&l->in, object_type(&l->in, address), o->head + 16);
    bool reentrant = ret->reentrant;
    size_t n = reentrant ? 3 : 1;

    if (memory_read(l->in.memory, address + o->head, words, n * 8) < 0)
        return false;
    ret->futex = ret->owner_id = 0;
    if (size <=
        o->head + (reentrant ? 24 : 8)) { /* a mutex: one byte; from 3.14 on of RLocks too */
        ret->locked = words[0] & MUTEX_LOCKED;
        ret->parked = words[0] & MUTEX_PARKED;
        ret->owner_id = reentrant && ret->locked ? words[1] : 0;
        return true;
    }
    uint32_t value = 1;
    ret->futex = words[0];
    memory_read(l->in.memory, words[0], &value, 4); /* the semaphore's: 0 while it is taken */
    ret->locked = reentrant ? words[2] != 0 : value == 0;
    ret->owner_id = reentrant && words[2] ? words[1] : 0;
    return true;
}

/* The number of a lock among those that were met; SIZE_MAX: no room, or unreadable. */
static size_t intern_lock(struct locks *l, uint64_t address) {
    struct map_entry *e = map_get(&l->by_address, slice_new(&address, 8));
    struct cpython_lock lock = {.address = address,
                                .reentrant = object_kind(l, address) == OBJECT_RLOCK,
                                .holder = SIZE_MAX};

    if (e)
        return (size_t) e->number;
    if (!read_lock(l, address, &lock) || vector_push(&l->items, lock, CPYTHON_LOCKS_MAX) < 0)
        return SIZE_MAX;
    e = map_put(&l->by_address, slice_new(&address, 8), NULL);
    if (!e)
        return SIZE_MAX;
    e->number = l->items.n - 1;
    return l->items.n - 1;
}

/* ---- Frames ---- */

/* What the frame holds: its local variables, then its stack. *ret_locals of them are variables. */
static size_t read_slots(struct locks *l, const struct cpython_frame *f, uint64_t ret[SLOTS_MAX],
                         size_t *ret_locals) {
    const struct cpython_offsets *o = l->in.offsets;
    uint8_t head[16]; /* around co_firstlineno */
    uint64_t values;
    uint32_t variables, depth;

    if (memory_read(l->in.memory, f->code->address + o->code.first_line - 8, head, 16) < 0)
        return 0;
    if (o->minor >= 11) {
        depth = field_u32(head, 16, 4);      /* co_stacksize */
        variables = field_u32(head, 16, 12); /* co_nlocalsplus */
    } else {
        values = object_field(&l->in, f->address, o->frame.values);
        depth = field_u32(head, 16, 0);
        variables = (uint32_t) ((values - f->address - o->frame.locals) / 8);
    }
    if (variables > SLOTS_MAX || depth > SLOTS_MAX)
        return 0;
    size_t n = variables + depth < SLOTS_MAX ? variables + depth : SLOTS_MAX;
    if (memory_read(l->in.memory, f->address + o->frame.locals, ret, n * 8) < 0)
        return 0;
    for (size_t i = 0; i < n; i++)
        ret[i] = frame_object(o, ret[i]);
    *ret_locals = variables;
    return n;
}

static bool is_exit(struct locks *l, enum lock_object kind, uint64_t object) {
    uint32_t head = l->in.offsets->head;
    char name[16] = "";

    if (kind == OBJECT_DESCRIPTOR || kind == OBJECT_FUNCTION) /* d_name; func_name */
        return text_is(&l->in,
                       object_field(&l->in, object, head + (kind == OBJECT_FUNCTION ? 16 : 8)),
                       "__exit__");
    uint64_t definition = object_field(&l->in, object, head),
             text = object_field(&l->in, definition, 0);
    if (kind == OBJECT_BUILTIN) /* PyMethodDef: its name first */
        return memory_read(l->in.memory, text, name, 9) == 0 && strcmp(name, "__exit__") == 0;
    return kind == OBJECT_METHOD; /* of a condition: nothing else of it is kept on a stack */
}

/* One thing in hand: the lock that it leads to (0: none), and whether it is a `with` over it. */
static uint64_t lock_in_slot(struct locks *l, const uint64_t *slots, size_t n, size_t i,
                             bool *ret_with) {
    uint32_t head = l->in.offsets->head;
    enum lock_object kind = object_kind(l, slots[i]);

    *ret_with = false;
    if (kind == OBJECT_LOCK || kind == OBJECT_RLOCK || kind == OBJECT_CONDITION)
        return lock_of(l, slots[i]);
    if (kind == OBJECT_BUILTIN || kind == OBJECT_METHOD) {
        uint64_t self = object_field(&l->in, slots[i], head + 8);
        uint64_t lock = lock_of(l, self);
        *ret_with = lock && (kind == OBJECT_BUILTIN || object_kind(l, self) == OBJECT_CONDITION) &&
                    is_exit(l, kind, slots[i]);
        return lock;
    }
    if ((kind == OBJECT_DESCRIPTOR || kind == OBJECT_FUNCTION) && i + 1 < n) {
        uint64_t lock = lock_of(l, slots[i + 1]);
        *ret_with = lock && is_exit(l, kind, slots[i]);
        return lock;
    }
    return 0;
}

/* ---- Who waits, who holds ---- */

/* Whether a sleeping thread may wait for a lock that it has in hand: it sleeps at the lock's futex,
 * for certain, or the lock has waiters and the kernel cannot tell. */
static bool may_wait_for(const struct cpython_lock *lock, uint64_t futex) {
    return lock->futex ? lock->futex == futex : futex && lock->locked && lock->parked;
}

/* Takes the lock as what the thread waits for, unless something better is known: what the innermost
 * frame took in hand last. */
static void note_wait(struct locks *l, struct cpython_wait *wait, size_t number, size_t frame) {
    const struct cpython_lock *lock = &l->items.items[number];
    bool certain = wait->lock != SIZE_MAX && l->items.items[wait->lock].futex;

    if (frame >= WAITING_FRAMES_MAX || !may_wait_for(lock, wait->futex) || certain ||
        (wait->lock != SIZE_MAX && wait->frame != frame && !lock->futex))
        return;
    wait->lock = number;
    wait->frame = frame;
}

static void look_into_frame(struct locks *l, size_t thread, size_t at) {
    const struct cpython_thread *t = &l->sample->threads[thread];
    uint64_t slots[SLOTS_MAX];
    size_t n_locals = 0, n = read_slots(l, &t->frames[at], slots, &n_locals);

    for (size_t i = 0; i < n; i++) {
        bool with;
        uint64_t address = slots[i] ? lock_in_slot(l, slots, n, i, &with) : 0;
        size_t number = address ? intern_lock(l, address) : SIZE_MAX;
        if (number == SIZE_MAX)
            continue;
        note_wait(l, &l->waits[thread], number, at);
        struct held held = {.lock = number, .thread = thread, .frame = at};
        if (with && i >= n_locals)
            vector_push(&l->held, held, CPYTHON_LOCKS_MAX); /* beyond it: not told */
    }
    arena_clear(l->in.texts);
}

static void look_into_thread(struct locks *l, size_t thread, uint64_t futex) {
    const struct cpython_thread *t = &l->sample->threads[thread];

    l->waits[thread] = (struct cpython_wait){
            .lock = SIZE_MAX, .thread = SIZE_MAX, .futex = t->waits_gil ? 0 : futex};
    for (size_t i = 0; i < t->n_frames && i < FRAMES_MAX; i++)
        look_into_frame(l, thread, i);
}

static size_t thread_by_id(const struct locks *l, uint64_t id) {
    for (size_t i = 0; id && i < l->sample->n_threads; i++)
        if (l->sample->threads[i].thread_id == id)
            return i;
    return SIZE_MAX;
}

/* Puts together what was found: a `with` counts when the lock is taken and its thread does not wait
 * for it; what an RLock says of itself counts more. */
static void tell_holders(struct locks *l) {
    vector_each(&l->held, h) {
        struct cpython_lock *lock = &l->items.items[h->lock];
        size_t owner = thread_by_id(l, lock->owner_id);
        if (!lock->locked || l->waits[h->thread].lock == h->lock ||
            (owner != SIZE_MAX && owner != h->thread))
            continue;
        if (lock->holder == SIZE_MAX || (lock->holder == h->thread && h->frame > lock->frame)) {
            lock->holder = h->thread;
            lock->frame = h->frame; /* the outermost `with` over it */
            lock->frame_known = true;
        }
    }
    vector_each(&l->items, lock) {
        if (lock->locked && lock->owner_id && lock->holder == SIZE_MAX)
            lock->holder = thread_by_id(l, lock->owner_id);
    }
}

/* Thread.join(): which thread's end is waited for. Its `self` is the first variable of join() and
 * of the method it calls up to 3.12. */
static void find_joined(struct locks *l, size_t thread) {
    const struct cpython_thread *t = &l->sample->threads[thread];
    struct cpython_wait *wait = &l->waits[thread];
    uint64_t slots[SLOTS_MAX], id;
    size_t n_locals;

    for (size_t i = 0; wait->futex && i < t->n_frames && i < 2; i++) {
        const struct cpython_code *code = t->frames[i].code;
        struct slice name = slice_from(code->name);
        wait->notification |= i == 0 &&
                              slice_ends(slice_from(code->file), SLICE("/threading.py")) &&
                              (slice_is(name, "wait") || slice_is(name, "Condition.wait"));
        if (!slice_ends(slice_from(code->file), SLICE("/threading.py")) ||
            !(slice_ends(name, SLICE("_wait_for_tstate_lock")) || slice_is(name, "join") ||
              slice_is(name, "Thread.join")) ||
            !read_slots(l, &t->frames[i], slots, &n_locals))
            continue;
        uint64_t ident = object_attribute(&l->in, slots[0], "_ident");
        if (ident && int_value(&l->in, ident, &id))
            wait->thread = thread_by_id(l, id);
        arena_clear(l->in.texts);
        return;
    }
}

/* ---- Names ---- */

/* Where a namespace has the lock: its key; NULL: not there. */
static const char *key_of(struct locks *l, const struct dict_item *items, size_t n, uint64_t lock,
                          struct arena *to) {
    for (size_t i = 0; i < n; i++)
        if (items[i].key && (items[i].value == lock || lock_of(l, items[i].value) == lock))
            return cpython_read_text(l->in.memory, l->in.offsets, items[i].key, to);
    return NULL;
}

static const char *name_in_self(struct locks *l, uint64_t self, uint64_t lock, struct arena *to) {
    struct dict_item *items;
    size_t n;
    char type[INSPECT_NAME_MAX];

    if (!self || object_kind(l, self) != OBJECT_OTHER ||
        object_attributes(&l->in, self, NAMES_MAX, &items, &n) < 0 ||
        !object_type_name(&l->in, self, type))
        return NULL;
    const char *key = key_of(l, items, n, lock, to);
    return key ? arena_printf(to, "%s.%s", type, key) : NULL;
}

static const char *name_in_globals(struct locks *l, const struct cpython_frame *f, uint64_t lock,
                                   struct arena *to) {
    const struct cpython_offsets *o = l->in.offsets;
    uint32_t at = o->minor >= 12   ? o->frame.previous + 16
                  : o->minor == 11 ? 8
                                   : o->frame.previous + 24;
    struct dict_item *items;
    size_t n;
    uint64_t globals = object_field(&l->in, f->address, at);

    if (!globals || dict_items(&l->in, globals, NAMES_MAX, &items, &n) < 0)
        return NULL;
    return key_of(l, items, n, lock, to);
}

/* What the frame calls the lock: a variable, an attribute of its `self`, a name of its module. */
static const char *name_in_frame(struct locks *l, const struct cpython_frame *f, uint64_t lock,
                                 struct arena *to) {
    uint64_t slots[SLOTS_MAX], *names;
    size_t n_locals = 0, n = read_slots(l, f, slots, &n_locals), n_names = 0;
    const char *name = NULL;

    if (tuple_items(&l->in,
                    object_field(&l->in, f->code->address, l->in.offsets->code.locals_names),
                    SLOTS_MAX, &names, &n_names, NULL) < 0)
        n_names = 0;
    if (n && n_locals)
        name = name_in_self(l, slots[0], lock, to);
    for (size_t i = 0; !name && i < n && i < n_names && i < n_locals; i++)
        if (slots[i] == lock)
            name = cpython_read_text(l->in.memory, l->in.offsets, names[i], to);
    if (!name)
        name = name_in_globals(l, f, lock, to);
    return name;
}

static void name_locks(struct locks *l, struct arena *to) {
    for (size_t i = 0; i < l->sample->n_threads; i++) {
        const struct cpython_thread *t = &l->sample->threads[i];
        struct cpython_wait *wait = &l->waits[i];
        struct cpython_lock *lock = wait->lock == SIZE_MAX ? NULL : &l->items.items[wait->lock];
        for (size_t k = wait->frame; lock && !lock->name && k < t->n_frames && k < wait->frame + 2;
             k++)
            lock->name = name_in_frame(l, &t->frames[k], lock->address, to);
        arena_clear(l->in.texts);
    }
    vector_each(&l->items, lock) {
        if (!lock->name && lock->frame_known)
            lock->name = name_in_frame(l, &l->sample->threads[lock->holder].frames[lock->frame],
                                       lock->address, to);
        arena_clear(l->in.texts);
    }
}

/* ---- The whole ---- */

void cpython_locks_init(struct cpython_locks *l) {
    *l = (struct cpython_locks){0};
    arena_init(&l->arena, LOCKS_BYTES_MAX);
}

void cpython_locks_done(struct cpython_locks *l) {
    arena_done(&l->arena);
    l->items = NULL;
    l->waits = NULL;
    l->n = 0;
}

static uint64_t futex_of(struct cpython *c, const struct cpython_thread *t) {
    if (c->core)
        return core_file_waits_at(c->core, t->native_id);
    vector_each(&c->known, k) {
        if ((*k)->thread_id == t->thread_id && (*k)->files.tid)
            return thread_futex(&(*k)->files);
    }
    return 0;
}

static int keep(struct locks *l, struct cpython_locks *ret) {
    ret->items = arena_array(&ret->arena, struct cpython_lock, l->items.n);
    if (!ret->items)
        return -ENOMEM;
    if (l->items.n)
        memcpy(ret->items, l->items.items, l->items.n * sizeof(*ret->items));
    ret->n = l->items.n;
    ret->waits = l->waits;
    return 0;
}

int cpython_read_locks(struct cpython *c, const struct cpython_sample *s,
                       struct cpython_locks *ret) {
    struct locks l = {.in = {&c->memory, &c->runtime.offsets, &c->scratch}, .sample = s};
    int r = -ENOMEM;

    arena_clear(&ret->arena);
    ret->n = 0;
    map_init(&l.kinds, CPYTHON_LOCKS_MAX, (size_t) CPYTHON_LOCKS_MAX * 8);
    map_init(&l.by_address, CPYTHON_LOCKS_MAX, (size_t) CPYTHON_LOCKS_MAX * 8);
    l.waits = arena_array(&ret->arena, struct cpython_wait, s->n_threads);
    if (l.waits) {
        for (size_t i = 0; i < s->n_threads; i++)
            look_into_thread(&l, i, futex_of(c, &s->threads[i]));
        for (size_t i = 0; i < s->n_threads; i++)
            find_joined(&l, i);
        tell_holders(&l);
        name_locks(&l, &ret->arena);
        r = keep(&l, ret);
    }
    vector_done(&l.items);
    vector_done(&l.held);
    map_done(&l.kinds);
    map_done(&l.by_address);
    arena_clear(&c->scratch);
    return r;
}

size_t cpython_waits_on(const struct cpython_locks *l, size_t thread) {
    const struct cpython_wait *w = &l->waits[thread];

    return w->thread != SIZE_MAX ? w->thread
           : w->lock != SIZE_MAX ? l->items[w->lock].holder
                                 : SIZE_MAX;
}

size_t cpython_deadlock(const struct cpython_locks *l, size_t n_threads, size_t thread,
                        size_t *ret_circle, size_t room) {
    size_t n = 0;

    for (size_t at = thread; n < room && n <= n_threads;) {
        ret_circle[n++] = at;
        at = cpython_waits_on(l, at);
        if (at == SIZE_MAX)
            return 0;
        if (at == thread)
            return n;
    }
    return 0; /* it leads into a circle that the thread is not part of, or is too long */
}
