/* Processes by their command lines, and what they are called. Everything comes from /proc; a
 * process may end at any moment, and its texts may be anything. */
#include "profile/continuous.h"

#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define WORDS_BYTES_MAX 8192u
#define ENVIRONMENT_BYTES_MAX (128u << 10)
#define THREADS_LOOKED_AT_MAX 4096u

/* The file's first bytes; their number, 0 when it cannot be read. */
static size_t read_file(const char *path, char *to, size_t room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t n = 0;
    ssize_t got;

    if (fd < 0)
        return 0;
    while (n < room && (got = read(fd, to + n, room - n)) > 0)
        n += (size_t) got;
    close(fd);
    return n;
}

/* The 22nd field of stat; 0 when there is none. */
static uint64_t start_ticks(pid_t pid) {
    char path[64], text[1024];
    unsigned long long ticks = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
    text[read_file(path, text, sizeof(text) - 1)] = 0;
    const char *end = strrchr(text, ')'); /* the name before it may hold anything */
    if (!end || sscanf(end + 1,
                       " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                       "%*d %llu",
                       &ticks) != 1)
        return 0;
    return ticks;
}

static size_t read_words(pid_t pid, char *to, size_t room) {
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int) pid);
    return read_file(path, to, room);
}

static void join_words(struct slice words, char *to, size_t room) {
    size_t n = 0;

    while (words.size && words.data[words.size - 1] == 0)
        words.size--;
    for (size_t i = 0; i < words.size && n + 1 < room; i++) {
        uint8_t c = words.data[i];
        to[n++] = c < 0x20 || c == 0x7f ? ' ' : (char) c;
    }
    to[n] = 0;
}

int process_each(const void *regex, int (*fn)(void *ctx, const struct process_info *p), void *ctx) {
    char bytes[WORDS_BYTES_MAX], line[WORDS_BYTES_MAX + 1];
    DIR *proc = opendir("/proc");
    int r = 0;

    if (!proc)
        return -errno;
    for (struct dirent *d; r == 0 && (d = readdir(proc));) {
        struct process_info p = {0};
        uint64_t number;
        if (slice_to_u64(slice_from(d->d_name), &number) < 0 || number > INT32_MAX ||
            (pid_t) number == getpid())
            continue;
        size_t n = read_words((pid_t) number, bytes, sizeof(bytes));
        if (n == 0)
            continue;
        join_words(slice_new(bytes, n), line, sizeof(line));
        if (regex && regexec(regex, line, 0, NULL, 0) != 0)
            continue;
        p.pid = (pid_t) number;
        p.start_ticks = start_ticks(p.pid);
        snprintf(p.command, sizeof(p.command), "%.*s", (int) sizeof(p.command) - 1, line);
        r = p.start_ticks ? fn(ctx, &p) : 0;
    }
    closedir(proc);
    return r;
}

bool process_has_profiler(pid_t pid) {
    char path[128], name[32];
    bool found = false;
    size_t looked = 0;

    snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        return false;
    for (struct dirent *d; !found && (d = readdir(tasks)) && looked++ < THREADS_LOOKED_AT_MAX;) {
        if (d->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%.16s/comm", (int) pid, d->d_name);
        size_t n = read_file(path, name, sizeof(name));
        found = slice_equal(slice_new(name, n), SLICE("varan-profiler\n"));
    }
    closedir(tasks);
    return found;
}

/* ---- Names ---- */

static void copy(struct slice from, char ret[SERVICE_BYTES_MAX]) {
    snprintf(ret, SERVICE_BYTES_MAX, "%.*s", SLICE_ARG(slice_take(from, SERVICE_BYTES_MAX - 1)));
    for (char *c = ret; *c; c++)
        if ((unsigned char) *c < 0x20 || *c == 0x7f)
            *c = '?';
}

static struct slice base_name(struct slice path) {
    for (size_t i = path.size; i > 0; i--)
        if (path.data[i - 1] == '/')
            return slice_skip(path, i);
    return path;
}

static struct slice without_py(struct slice name) {
    return slice_ends(name, SLICE(".py")) ? slice_take(name, name.size - 3) : name;
}

static bool is_one_of(struct slice name, const char *words) {
    struct slice rest = slice_from(words);

    while (rest.size)
        if (slice_equal(slice_cut(&rest, ' '), name))
            return true;
    return false;
}

static bool is_launcher(struct slice name) {
    struct slice rest = name;

    return is_one_of(slice_cut(&rest, '.'),
                     "gunicorn uvicorn hypercorn daphne granian waitress-serve waitress uwsgi "
                     "pyuwsgi celery rq rqworker flask fastapi django-admin dramatiq huey arq "
                     "python python3 opentelemetry-instrument ddtrace-run newrelic-admin pserve");
}

/* "shop.wsgi:app", and not an option, "localhost:8000", "unix:/run/x", "http://…". */
static bool is_application(struct slice word) {
    ptrdiff_t colon = slice_find_byte(word, ':');

    if (slice_starts(word, SLICE("-")) || colon <= 0 || (size_t) colon + 1 >= word.size)
        return false;
    uint8_t next = word.data[colon + 1];
    return next != '/' && (next < '0' || next > '9');
}

/* Of "shop.wsgi:app", "-A shop" or "shop.main": its first part. */
static struct slice application_of(struct slice words) {
    while (words.size) {
        struct slice word = slice_cut(&words, 0);
        if (slice_is(word, "-A") || slice_is(word, "--app") || slice_is(word, "-k")) {
            struct slice value = slice_cut(&words, 0);
            if (!slice_is(word, "-k"))
                word = value;
            else
                continue;
        } else if (slice_starts(word, SLICE("--app="))) {
            word = slice_skip(word, 6);
        } else if (!is_application(word)) {
            continue;
        }
        word = without_py(base_name(slice_cut(&word, ':')));
        return slice_cut(&word, '.');
    }
    return SLICE_EMPTY;
}

int64_t process_began_ns(const struct process_info *p) {
    struct timespec boot;
    int64_t tick_ns = NS_PER_S / sysconf(_SC_CLK_TCK);

    clock_gettime(CLOCK_BOOTTIME, &boot);
    return clock_now_ns() - (boot.tv_sec * NS_PER_S + boot.tv_nsec) +
           ((int64_t) p->start_ticks + 1) * tick_ns;
}

void process_guess_service(struct slice words, const char *folder, char ret[SERVICE_BYTES_MAX]) {
    struct slice first = slice_cut(&words, 0), program = SLICE_EMPTY, name;

    if (slice_starts(first, SLICE("gunicorn: "))) { /* gunicorn's own title: "worker [shop:app]" */
        struct slice rest = first;
        slice_cut(&rest, '[');
        name = slice_cut(&rest, ']');
        name = slice_cut(&name, ':');
        copy(name.size ? slice_cut(&name, '.') : SLICE("gunicorn"), ret);
        return;
    }
    if (!slice_starts(base_name(first), SLICE("python")))
        program = first; /* a script with #! shows its interpreter first; this embeds one */
    while (words.size && program.size == 0) {
        struct slice word = slice_cut(&words, 0);
        if (slice_is(word, "-c"))
            break;
        if (slice_is(word, "-W") || slice_is(word, "-X"))
            slice_cut(&words, 0);
        else if (slice_is(word, "-m"))
            program = slice_cut(&words, 0);
        else if (!slice_starts(word, SLICE("-")))
            program = word;
    }
    name = without_py(base_name(program));
    if (is_launcher(name))
        name = application_of(words);
    if (name.size == 0 || is_one_of(name, "__main__ manage app main wsgi asgi run server")) {
        struct slice in = slice_from(folder);
        if (slice_starts(program, SLICE("/")) && slice_ends(program, SLICE(".py")))
            in = slice_take(program, (size_t) (base_name(program).data - program.data) - 1);
        if (base_name(in).size)
            name = base_name(in);
    }
    copy(name.size ? name : SLICE("python"), ret);
}

/* "a=b,service.name=shop" → the value of `key`. */
static struct slice attribute_of(struct slice list, const char *key) {
    while (list.size) {
        struct slice value = slice_cut(&list, ',');
        if (slice_is(slice_trim(slice_cut(&value, '=')), key))
            return slice_trim(value);
    }
    return SLICE_EMPTY;
}

static void take_environment(struct slice environment, struct slice *name, struct slice *version) {
    struct slice otel = SLICE_EMPTY, own = SLICE_EMPTY, attributes = SLICE_EMPTY;

    while (environment.size) {
        struct slice value = slice_cut(&environment, 0);
        struct slice key = slice_cut(&value, '=');
        if (slice_is(key, "VARAN_SERVICE"))
            own = value;
        else if (slice_is(key, "OTEL_SERVICE_NAME"))
            otel = value;
        else if (slice_is(key, "OTEL_RESOURCE_ATTRIBUTES"))
            attributes = value;
        else if (slice_is(key, "VARAN_SERVICE_VERSION"))
            *version = value;
    }
    *name = own.size ? own : otel.size ? otel : attribute_of(attributes, "service.name");
    if (version->size == 0)
        *version = attribute_of(attributes, "service.version");
}

void process_name(struct process_info *p) {
    struct slice name = SLICE_EMPTY, version = SLICE_EMPTY;
    char path[64], words[WORDS_BYTES_MAX], folder[1024] = "";
    char *environment = malloc(ENVIRONMENT_BYTES_MAX);

    if (environment) {
        snprintf(path, sizeof(path), "/proc/%d/environ", (int) p->pid);
        size_t n = read_file(path, environment, ENVIRONMENT_BYTES_MAX);
        take_environment(slice_new(environment, n), &name, &version);
    }
    copy(version, p->version);
    copy(name, p->service);
    if (name.size == 0) {
        snprintf(path, sizeof(path), "/proc/%d/cwd", (int) p->pid);
        ssize_t n = readlink(path, folder, sizeof(folder) - 1);
        folder[n > 0 ? n : 0] = 0;
        process_guess_service(slice_new(words, read_words(p->pid, words, sizeof(words))), folder,
                              p->service);
    }
    free(environment);
}
