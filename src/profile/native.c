/*
 * Unwinding goes by .eh_frame, as libdw reads it from the files; the memory it asks for is the copy
 * of the stack's top, and the target's present memory below. Places are resolved to names once.
 */
#include "profile/native.h"
#include "profile/native_source.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/vector.h"
#include "cpython/reader.h"

#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <unistd.h>

#define PLACES_MAX 1000000u
#define PLACES_BYTES_MAX ((size_t) 256 << 20)
#define REPORT_AGAIN_NS NS_PER_S /* libraries that were loaded meanwhile */
#define NAME_MAX_BYTES 400u

#if defined(__x86_64__)
#define REGISTERS 17u
#define PROGRAM_COUNTER 16u
#elif defined(__aarch64__)
#define REGISTERS 32u
#define PROGRAM_COUNTER 32u
#else
#define PROGRAM_COUNTER 0u
#endif

struct capture {
    pid_t thread;
    uint64_t registers[33]; /* in DWARF's order; the program counter last */
    uint64_t stack;         /* where the copy begins */
    size_t size;
    uint8_t *bytes;
};

/* What lies at a program counter: a code object that profiles take like others, and those that were
 * inlined there, innermost first. */
struct place {
    const struct cpython_code *code[NATIVE_INLINED_MAX];
    int line[NATIVE_INLINED_MAX]; /* 0: not known */
    unsigned n;
    bool eval;   /* the interpreter's loop */
    bool cython; /* a function of the source, as Python's are */
    bool glue;   /* between those it tells nothing */
};

struct native_stacks {
    pid_t pid;
    char interpreter[PATH_MAX];
    Dwfl *dwfl;
    int64_t reported_ns;
    struct map places;    /* by program counter */
    struct map functions; /* code objects by name and file */
    struct arena texts;
    struct native_sources sources;
    VECTOR(struct capture) captures;
    size_t n_captured;
    struct memory_reader memory;
    const struct capture *current;
    uint64_t pcs[NATIVE_FRAMES_MAX];
    size_t n_pcs;
};

/* ---- Registers ---- */

#if defined(__x86_64__)
static bool read_registers(pid_t thread, struct capture *c) {
    struct user_regs_struct r;

    if (ptrace(PTRACE_GETREGS, thread, NULL, &r) < 0)
        return false;
    const uint64_t in_order[] = {r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8,
                                 r.r9,  r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip};
    memcpy(c->registers, in_order, sizeof(in_order));
    c->stack = r.rsp;
    return true;
}
#elif defined(__aarch64__)
static bool read_registers(pid_t thread, struct capture *c) {
    struct user_regs_struct r;
    struct iovec io = {&r, sizeof(r)};

    if (ptrace(PTRACE_GETREGSET, thread, (void *) 1 /* NT_PRSTATUS */, &io) < 0)
        return false;
    memcpy(c->registers, r.regs, 31 * 8);
    c->registers[31] = c->stack = r.sp;
    c->registers[32] = r.pc;
    return true;
}
#endif

/* ---- What libdw asks for ---- */

#ifdef REGISTERS
static bool set_registers(Dwfl_Thread *thread, void *arg) {
    const struct native_stacks *n = arg;
    Dwarf_Word words[REGISTERS];

    for (unsigned i = 0; i < REGISTERS; i++)
        words[i] = n->current->registers[i];
#ifdef __aarch64__
    dwfl_thread_state_register_pc(thread, n->current->registers[PROGRAM_COUNTER]);
#endif
    return dwfl_thread_state_registers(thread, 0, REGISTERS, words);
}
#endif

static bool read_word(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *ret, void *arg) {
    struct native_stacks *n = arg;
    const struct capture *c = n->current;
    uint64_t word;

    if (address >= c->stack && address - c->stack + 8 <= c->size) {
        memcpy(&word, c->bytes + (address - c->stack), 8);
    } else if (memory_read_u64(&n->memory, address, &word) < 0) {
        return false;
    }
    *ret = word;
    return true;
}

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg) {
    struct native_stacks *n = arg;

    if (*thread_arg)
        return 0;
    *thread_arg = n;
    return n->current->thread;
}

static bool get_thread(Dwfl *dwfl, pid_t thread, void *arg, void **thread_arg) {
    *thread_arg = arg;
    return true;
}

/* Files as the target sees them, so that containers work. */
static int find_elf(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
                    char **file_name, Elf **elf) {
    char path[PATH_MAX + 64];
    pid_t pid = 0;
    int fd = -1;

    if (name[0] == '/' && *user) {
        pid = ((struct native_stacks *) *user)->pid;
        snprintf(path, sizeof(path), "/proc/%d/root%s", (int) pid, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0)
        return dwfl_linux_proc_find_elf(module, user, name, base, file_name, elf);
    *file_name = strdup(name);
    return fd;
}

static int no_debuginfo(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
                        const char *file, const char *link, GElf_Word crc, char **ret) {
    return -1; /* .eh_frame and the symbols are enough, and nothing is fetched from anywhere */
}

static const Dwfl_Callbacks callbacks = {.find_elf = find_elf, .find_debuginfo = no_debuginfo};

static int set_user(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr start,
                    void *arg) {
    *user = arg;
    return DWARF_CB_OK;
}

/* Begins anew with what is mapped now. */
static int report(struct native_stacks *n) {
#ifdef REGISTERS
    static const Dwfl_Thread_Callbacks threads = {.next_thread = next_thread,
                                                  .get_thread = get_thread,
                                                  .memory_read = read_word,
                                                  .set_initial_registers = set_registers};

    if (n->dwfl)
        dwfl_end(n->dwfl);
    n->reported_ns = clock_monotonic_ns();
    n->dwfl = dwfl_begin(&callbacks);
    if (!n->dwfl)
        return -ENOMEM;
    if (dwfl_linux_proc_report(n->dwfl, n->pid) != 0 || dwfl_report_end(n->dwfl, NULL, NULL) != 0)
        return -ENOENT;
    dwfl_getmodules(n->dwfl, set_user, n, 0);
    return dwfl_attach_state(n->dwfl, NULL, n->pid, &threads, n) ? 0 : -ENOENT;
#else
    return -ENOTSUP;
#endif
}

int native_stacks_open(pid_t pid, const char *interpreter, struct native_stacks **ret) {
    struct native_stacks *n = calloc(1, sizeof(*n));

    if (!n)
        return -ENOMEM;
    n->pid = pid;
    n->memory = memory_reader_process(pid);
    snprintf(n->interpreter, sizeof(n->interpreter), "%s", interpreter);
    map_init(&n->places, PLACES_MAX, PLACES_BYTES_MAX);
    map_init(&n->functions, PLACES_MAX, PLACES_BYTES_MAX);
    arena_init(&n->texts, PLACES_BYTES_MAX);
    native_sources_init(&n->sources, pid);
    int r = report(n);
    if (r < 0) {
        native_stacks_close(n);
        return r;
    }
    *ret = n;
    return 0;
}

void native_stacks_close(struct native_stacks *n) {
    if (!n)
        return;
    if (n->dwfl)
        dwfl_end(n->dwfl);
    vector_each(&n->captures, c) free(c->bytes);
    vector_done(&n->captures);
    map_done(&n->places);
    map_done(&n->functions);
    native_sources_done(&n->sources);
    arena_done(&n->texts);
    free(n);
}

void native_stacks_clear(struct native_stacks *n) {
    n->n_captured = 0;
}

int native_stacks_capture(struct native_stacks *n, pid_t thread) {
#ifdef REGISTERS
    if (n->n_captured == n->captures.n) {
        struct capture empty = {.bytes = malloc(NATIVE_STACK_BYTES)};
        if (!empty.bytes || vector_push(&n->captures, empty, NATIVE_CAPTURES_MAX) < 0) {
            free(empty.bytes);
            return -ENOBUFS;
        }
    }
    struct capture *c = &n->captures.items[n->n_captured];
    if (!read_registers(thread, c))
        return -ESRCH;
    c->thread = thread;
    struct iovec local = {c->bytes, NATIVE_STACK_BYTES},
                 remote = {(void *) (uintptr_t) c->stack, NATIVE_STACK_BYTES};
    ssize_t size =
            process_vm_readv(n->pid, &local, 1, &remote, 1, 0); /* ends where the stack ends */
    c->size = size > 0 ? (size_t) size : 0;
    n->n_captured++;
    return 0;
#else
    return -ENOTSUP;
#endif
}

/* ---- Names of places ---- */

/* One code object for all places of a function. */
static const struct cpython_code *function_of(struct native_stacks *n, const char *name,
                                              const char *file, int first_line) {
    char key[NAME_MAX_BYTES + PATH_MAX];
    int size = snprintf(key, sizeof(key), "%s%c%s", name, 0, file);
    struct slice bytes = slice_new(key, (size_t) size < sizeof(key) ? (size_t) size : sizeof(key));
    struct map_entry *e = map_get(&n->functions, bytes);

    if (e)
        return e->pointer;
    struct cpython_code *code = arena_new(&n->texts, struct cpython_code);
    if (!code)
        return NULL;
    code->name = (const char *) arena_dup(&n->texts, slice_from(name)).data;
    code->file = (const char *) arena_dup(&n->texts, slice_from(file)).data;
    code->first_line = first_line;
    if (!code->name || !code->file || !(e = map_put(&n->functions, bytes, NULL)))
        return NULL;
    e->pointer = code;
    return code;
}

static void put_code(struct place *p, const struct cpython_code *code, int line) {
    if (code) {
        p->code[p->n] = code;
        p->line[p->n++] = line;
    }
}

/* A Cython function: its name in the source, and its lines there when they are known. */
static bool resolve_cython(struct native_stacks *n, Dwfl_Module *module, uint64_t pc,
                           const char *symbol, const char *file, struct place *p) {
    struct native_spot spots[NATIVE_INLINED_MAX];
    char name[NAME_MAX_BYTES];
    bool itself = false;

    if (!native_cython_name(symbol, name, sizeof(name)))
        return false;
    p->cython = true;
    size_t n_spots = native_source_at(&n->sources, module, pc, spots);
    for (size_t i = 0; i < n_spots; i++) {
        const struct native_spot *s = &spots[i];
        if (!native_cython_name(s->symbol ? s->symbol : symbol, name, sizeof(name)))
            continue; /* of Cython's own: the line that calls it tells more */
        put_code(p, function_of(n, name, s->file, s->first_line), s->line);
        itself |= !s->symbol;
    }
    if (!itself && p->n < NATIVE_INLINED_MAX && native_cython_name(symbol, name, sizeof(name)))
        put_code(p, function_of(n, name, file, 0), 0);
    return true;
}

static struct place *resolve(struct native_stacks *n, uint64_t pc) {
    Dwfl_Module *module = dwfl_addrmodule(n->dwfl, pc);
    const char *file =
            module ? dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, NULL) : NULL;
    struct place *p = arena_new(&n->texts, struct place);
    char name[NAME_MAX_BYTES];
    GElf_Off offset;
    GElf_Sym symbol;

    if (!p)
        return NULL;
    const char *known =
            module ? dwfl_module_addrinfo(module, pc, &offset, &symbol, NULL, NULL, NULL) : NULL;
    file = file ? file : "";
    const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    *p = (struct place){.eval = known && native_is_eval(known),
                        .glue = strcmp(file, n->interpreter) == 0 ||
                                (known && strncmp(known, "__Pyx_", 6) == 0)};
    if (known && resolve_cython(n, module, pc, known, file, p))
        return p->n ? p : NULL;
    if (known)
        snprintf(name, sizeof(name), "%s", known);
    else
        snprintf(name, sizeof(name), "[%s]", base[0] ? base : "unknown"); /* no symbols */
    put_code(p, function_of(n, name, file, 0), 0);
    return p->n ? p : NULL;
}

static const struct place *place_at(struct native_stacks *n, uint64_t pc) {
    struct map_entry *e = map_get(&n->places, slice_new(&pc, 8));

    if (e)
        return e->pointer;
    struct place *p = resolve(n, pc);
    if (p && (e = map_put(&n->places, slice_new(&pc, 8), NULL)))
        e->pointer = p;
    return p;
}

/* ---- Unwinding ---- */

static int take_frame(Dwfl_Frame *frame, void *arg) {
    struct native_stacks *n = arg;
    bool activation;
    Dwarf_Addr pc;

    if (n->n_pcs == NATIVE_FRAMES_MAX || !dwfl_frame_pc(frame, &pc, &activation))
        return DWARF_CB_ABORT;
    n->pcs[n->n_pcs++] = pc - (activation ? 0 : 1); /* of a caller: within its call */
    return DWARF_CB_OK;
}

static const struct capture *find_capture(const struct native_stacks *n, pid_t thread) {
    for (size_t i = 0; i < n->n_captured; i++)
        if (n->captures.items[i].thread == thread)
            return &n->captures.items[i];
    return NULL;
}

/* Program counters of the thread, innermost first; anew after a look at what is mapped now, when
 * the first is in nothing that is known. */
static void unwind(struct native_stacks *n) {
    uint64_t pc = n->current->registers[PROGRAM_COUNTER];

    n->n_pcs = 0;
    if (!dwfl_addrmodule(n->dwfl, pc) && clock_monotonic_ns() - n->reported_ns > REPORT_AGAIN_NS &&
        report(n) == 0)
        map_clear(&n->places);
    dwfl_getthread_frames(n->dwfl, n->current->thread, take_frame, n);
}

/* ---- Both stacks in one ---- */

struct merge {
    const struct cpython_thread *python;
    struct cpython_frame *frames;
    size_t n, room, at; /* `at`: Python frames that are used */
};

static void put(struct merge *m, struct cpython_frame f) {
    if (m->n < m->room)
        m->frames[m->n++] = f;
}

/* A wrapper and what it calls have one name mostly: it is shown once. */
static void put_native(struct merge *m, const struct place *p) {
    for (unsigned i = 0; i < p->n; i++)
        if (!m->n || m->frames[m->n - 1].code != p->code[i])
            put(m, (struct cpython_frame){.code = p->code[i], .line = p->line[i]});
}

/* The Python frames that one call of the interpreter's loop runs. */
static void put_python(struct merge *m) {
    while (m->at < m->python->n_frames) {
        const struct cpython_frame *f = &m->python->frames[m->at++];
        put(m, *f);
        if (f->entry)
            return;
    }
}

int native_stacks_merge(struct native_stacks *n, struct arena *to, struct cpython_thread *t) {
    struct merge m = {.python = t, .room = t->n_frames + NATIVE_FRAMES_MAX};
    bool inside = false; /* around functions of the source, of which one was met */

    n->current = find_capture(n, t->native_id);
    if (!n->current || t->torn)
        return 0;
    unwind(n);
    m.frames = arena_array(to, struct cpython_frame, m.room);
    if (!m.frames)
        return -ENOMEM;
    for (size_t i = 0; i < n->n_pcs; i++) {
        const struct place *p = place_at(n, n->pcs[i]);
        if (!p)
            continue;
        if (p->eval) {
            put_python(&m);
            continue;
        }
        if (t->n_frames && m.at == t->n_frames)
            break; /* what started the thread */
        inside |= m.at > 0;
        if (!(inside && p->glue))
            put_native(&m, p);
        inside |= p->cython;
    }
    while (m.at < t->n_frames)
        put_python(&m);
    t->frames = m.frames;
    t->n_frames = m.n;
    t->version = 0;
    return 0;
}
