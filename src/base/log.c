/* logfmt lines on standard error. Any thread: a line is one write(2). */
#include "base/log.h"
#include "base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_MAX 4000

static _Atomic int level_min = LOG_INFO;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_set_level(enum log_level level) {
    atomic_store(&level_min, (int) level);
}

int log_level_parse(const char *name, enum log_level *ret) {
    for (int i = 0; i < 4; i++)
        if (strcmp(name, level_names[i]) == 0) {
            *ret = (enum log_level) i;
            return 0;
        }
    return -EINVAL;
}

static size_t escape(const char *from, char *to, size_t room) {
    size_t n = 0;

    for (; *from && n + 6 < room; from++) {
        unsigned char c = (unsigned char) *from;
        if (c == '"' || c == '\\') {
            to[n++] = '\\';
            to[n++] = (char) c;
        } else if (c == '\n') {
            to[n++] = '\\';
            to[n++] = 'n';
        } else if (c < 32 || c == 127) {
            n += (size_t) snprintf(to + n, room - n, "\\x%02x", c);
        } else {
            to[n++] = (char) c;
        }
    }
    return n;
}

void log_write(enum log_level level, const char *module, const char *format, ...) {
    char message[MESSAGE_MAX], line[2 * MESSAGE_MAX + 200], time[31];
    va_list args;

    if ((int) level < atomic_load_explicit(&level_min, memory_order_relaxed))
        return;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    time_format_rfc3339(clock_now_ns(), time);
    time[23] = 'Z'; /* milliseconds are enough here */
    time[24] = 0;
    size_t n = (size_t) snprintf(line, sizeof(line), "time=%s level=%s module=%s msg=\"", time,
                                 level_names[level], module);
    n += escape(message, line + n, sizeof(line) - n - 3);
    line[n++] = '"';
    line[n++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, n);
    (void) written; /* nobody is left to tell */
}
