/* Profiles as files. Single-threaded. */
#include "cli/profile_file.h"

#include "cli/command.h"
#include "cli/profile_process.h"

#include <fcntl.h>
#include <unistd.h>

#define TOP_ROWS 10u
#define READ_BYTES 65536u

const struct format *profile_choose_format(const char *command, const char *name,
                                           const char *path) {
    const struct format *f = name ? format_by_name(name) : format_by_file(path);

    if (!f && name)
        fprintf(stderr, "varan %s: there is no format \"%s\"; ", command, name);
    else if (!f)
        fprintf(stderr, "varan %s: \"%s\" does not tell the format; ", command, path);
    if (!f) {
        fprintf(stderr, "--format takes");
        for (size_t i = 0; i < formats_n; i++)
            fprintf(stderr, "%s %s", i ? "," : "", formats[i].name);
        fprintf(stderr, "\n");
    }
    return f;
}

static int read_whole(const char *path, struct buffer *to) {
    int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC), r = 0;

    if (fd < 0)
        return -errno;
    for (;;) {
        uint8_t *room = buffer_reserve(to, READ_BYTES);
        ssize_t n = room ? read(fd, room, READ_BYTES) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (!room || n <= 0) {
            r = !room ? to->failed : n < 0 ? -errno : 0;
            break;
        }
        to->size += (size_t) n;
    }
    close(fd);
    return r;
}

int profile_load(const char *command, const char *path, struct profile *ret) {
    struct error e = ERROR_NONE;
    struct buffer bytes;

    buffer_init(&bytes, PROFILE_FILE_BYTES_MAX);
    int r = read_whole(path, &bytes);
    if (r < 0) {
        *ret = (struct profile){0};
        fprintf(stderr, "varan %s: cannot read %s: %s\n", command, path, error_name(r));
    } else {
        r = profile_read(buffer_slice(&bytes), path, ret, &e);
        if (r < 0)
            fprintf(stderr, "varan %s: %s\n", command, e.text);
    }
    buffer_done(&bytes);
    return r;
}

static int write_whole(int fd, struct slice bytes) {
    while (bytes.size) {
        ssize_t n = write(fd, bytes.data, bytes.size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        bytes = slice_skip(bytes, (size_t) n);
    }
    return 0;
}

int profile_save(const char *command, struct profile *p, const struct format *format,
                 const char *path, size_t *ret_size) {
    bool to_stdout = strcmp(path, "-") == 0;
    struct buffer out;
    int fd = STDOUT_FILENO;

    buffer_init(&out, FORMAT_BYTES_MAX);
    int e = format->timeline && !p->spans.n ? profile_make_spans(p) : 0;
    if (e == 0)
        e = format->write(p, &out);
    if (e == 0 && !to_stdout) {
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        e = fd < 0 ? -errno : 0;
    }
    if (e == 0)
        e = write_whole(fd, buffer_slice(&out));
    if (!to_stdout && fd >= 0 && close(fd) < 0 && e == 0)
        e = -errno;
    if (e < 0)
        fprintf(stderr, "varan %s: cannot write %s: %s\n", command, path, error_name(e));
    *ret_size = out.size;
    buffer_done(&out);
    return e;
}

void profile_print_top(const struct profile *p) {
    struct profile_total *totals;
    size_t n;

    if (!p->stats.samples || profile_totals(p, false, &totals, &n) < 0)
        return;
    profile_sort_totals(totals, n);
    fprintf(stderr, "   own  total  function\n");
    for (size_t i = 0; i < n && i < TOP_ROWS && totals[i].own; i++) {
        const struct profile_function *f = &p->functions.items[totals[i].id];
        fprintf(stderr, "%5.1f%% %5.1f%%  ",
                100.0 * (double) totals[i].own / (double) p->stats.samples,
                100.0 * (double) totals[i].total / (double) p->stats.samples);
        print_clean(stderr, f->name);
        fprintf(stderr, " (");
        print_clean(stderr, f->file);
        if (f->first_line)
            fprintf(stderr, ":%d", f->first_line);
        fprintf(stderr, ")\n");
    }
    free(totals);
}

void profile_long_output(int argc, char **argv) {
    static char output[] = "--output";

    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "-o") == 0)
            argv[i] = output;
}

int profile_apply_filter(const char *command, struct profile *p,
                         const struct profile_filter *filter) {
    struct error e = ERROR_NONE;

    if (!filter->include && !filter->exclude && !filter->thread)
        return EXIT_OK;
    if (profile_filter(p, filter, &e) == 0)
        return EXIT_OK;
    fprintf(stderr, "varan %s: %s\n", command, e.text);
    return e.code == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}
