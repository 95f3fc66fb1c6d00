/* The process that dump, record and top look into. Single-threaded. */
#include "cli/profile_process.h"

#include "cli/command.h"

int process_id_parse(const char *text, pid_t *ret, struct error *e) {
    uint64_t pid;

    if (slice_to_u64(slice_from(text), &pid) < 0 || pid == 0 || pid > INT32_MAX)
        return error_set(e, -EINVAL, "\"%s\" is no process id", text);
    *ret = (pid_t) pid;
    return 0;
}

int process_open_failed(const char *command, const struct error *e) {
    fprintf(stderr, "varan %s: %s\n", command, e->text);
    return EXIT_FAILED;
}

const char *thread_title(pid_t pid, const struct cpython_thread *t) {
    if (t->python_name && strcmp(t->python_name, "MainThread") != 0)
        return t->python_name;
    if (t->native_id == pid || t->python_name)
        return "main";
    return t->name[0] ? t->name : "thread";
}

void print_clean(FILE *to, const char *text) {
    char clean[256]; /* written piece by piece, not byte by byte: stderr has no buffer */
    size_t n = 0;

    for (; *text; text++) {
        clean[n++] = (unsigned char) *text < 0x20 || *text == 0x7f ? '?' : *text;
        if (n == sizeof(clean) || !text[1]) {
            fwrite(clean, 1, n, to);
            n = 0;
        }
    }
}
