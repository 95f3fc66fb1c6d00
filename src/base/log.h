/*
 * The server's own log: logfmt lines on standard error, one write per line. Only `cli/` and the top
 * loops log; library code returns errors. Any thread.
 */
#ifndef VARAN_BASE_LOG_H
#define VARAN_BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Lines below `level` are not written; INFO at start. */
void log_set_level(enum log_level level);
/* "debug", "info", "warn", "error": 0 or -EINVAL. */
int log_level_parse(const char *name, enum log_level *ret);
/* Writes: time=… level=… module=… msg="…". The message is formatted, escaped, and cut at 4,000
 * bytes. Never pass a secret. */
void log_write(enum log_level level, const char *module, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#define log_debug(module, ...) log_write(LOG_DEBUG, module, __VA_ARGS__)
#define log_info(module, ...) log_write(LOG_INFO, module, __VA_ARGS__)
#define log_warn(module, ...) log_write(LOG_WARN, module, __VA_ARGS__)
#define log_error(module, ...) log_write(LOG_ERROR, module, __VA_ARGS__)

#endif
