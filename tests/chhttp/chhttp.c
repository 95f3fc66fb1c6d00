/*
 * ClickHouse's HTTP interface on top of libchdb, so that the HTTP transport is tested against the
 * real engine: POST with the statement in ?query= and the body, database, default_format,
 * param_name, settings, INSERT … FORMAT with the data as body, X-ClickHouse-User and -Key,
 * exceptions as status and X-ClickHouse-Exception-Code. A test tool: one thread a connection, one
 * engine connection a request.
 *
 *     chhttp DATA_DIR [USER PASSWORD]
 *
 * Listens on a free port of 127.0.0.1, prints "port N", and ends when its standard input is closed.
 */
#include "base/memory.h"
#include "store/engine_library.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_BYTES_MAX 1048576u
#define BODY_BYTES_MAX ((size_t) 1 << 30)
#define PARAMS_MAX 128u

static const struct engine_library *lib;
static const char *user, *password;
static char path_arg[4096];

struct request {
    struct slice head, body;
    char *query, *database, *format;
    struct {
        char *name, *value;
    } params[PARAMS_MAX], settings[PARAMS_MAX];
    size_t n_params, n_settings;
    bool allowed;
};

/* ---- Requests ---- */

static char *unescape(struct slice s) {
    char *to = malloc(s.size + 1);
    size_t n = 0;

    if (!to)
        abort();
    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];
        if (c == '%' && slice_from_hex(slice_take(slice_skip(s, i + 1), 2), &c, 1) == 0)
            i += 2;
        else if (c == '+')
            c = ' ';
        to[n++] = (char) c;
    }
    to[n] = 0;
    return to;
}

static void request_done(struct request *q) {
    for (size_t i = 0; i < q->n_params; i++) {
        free(q->params[i].name);
        free(q->params[i].value);
    }
    for (size_t i = 0; i < q->n_settings; i++) {
        free(q->settings[i].name);
        free(q->settings[i].value);
    }
    free(q->query);
    free(q->database);
    free(q->format);
}

static void take_param(struct request *q, struct slice name, char *value) {
    static const char *const of_http[] = {"wait_end_of_query", "buffer_size", "session_id",
                                          "compress"};

    if (slice_is(name, "query")) {
        q->query = value;
        return;
    }
    if (slice_is(name, "database")) {
        q->database = value;
        return;
    }
    if (slice_is(name, "default_format")) {
        q->format = value;
        return;
    }
    for (size_t i = 0; i < sizeof(of_http) / sizeof(*of_http); i++)
        if (slice_is(name, of_http[i])) {
            free(value);
            return;
        }
    bool param = slice_starts(name, SLICE("param_"));
    size_t *n = param ? &q->n_params : &q->n_settings;
    if (*n >= PARAMS_MAX)
        abort();
    char *key = unescape(slice_skip(name, param ? 6 : 0));
    if (param) {
        q->params[*n].name = key;
        q->params[*n].value = value;
    } else {
        q->settings[*n].name = key;
        q->settings[*n].value = value;
    }
    ++*n;
}

static struct slice header(struct slice head, const char *name) {
    for (struct slice line; head.size;) {
        line = slice_cut(&head, '\n');
        struct slice key = slice_cut(&line, ':');
        if (slice_equal_nocase(key, slice_from(name)))
            return slice_trim(line);
    }
    return SLICE_EMPTY;
}

static void parse(struct request *q) {
    struct slice rest = q->head, line = slice_cut(&rest, '\n');

    slice_cut(&line, ' ');
    struct slice target = slice_cut(&line, ' ');
    slice_cut(&target, '?');
    while (target.size) {
        struct slice pair = slice_cut(&target, '&'), name = slice_cut(&pair, '=');
        take_param(q, name, unescape(pair));
    }
    q->allowed = !user || (slice_is(header(q->head, "X-ClickHouse-User"), user) &&
                           slice_is(header(q->head, "X-ClickHouse-Key"), password));
}

/* ---- Running ---- */

static char *run(chdb_connection c, const char *sql) {
    struct chdb_answer *a = lib->query_n(c, sql, strlen(sql), "TSV", 3);
    const char *text = lib->result_error(a);
    char *error = text ? strdup(text) : NULL;

    lib->destroy_query_result(a);
    return error;
}

static char *prepare(chdb_connection c, const struct request *q) {
    struct buffer sql;
    char *error = NULL;

    buffer_init(&sql, 1 << 20);
    if (q->database) {
        buffer_printf(&sql, "USE `%s`", q->database);
        buffer_append_u8(&sql, 0);
        error = run(c, (char *) sql.data);
        buffer_clear(&sql);
    }
    for (size_t i = 0; i < q->n_settings; i++)
        buffer_printf(&sql, "%s %s = '%s'", i ? "," : "SET", q->settings[i].name,
                      q->settings[i].value);
    buffer_append_u8(&sql, 0);
    if (!error && q->n_settings)
        error = run(c, (char *) sql.data);
    buffer_done(&sql);
    return error;
}

/* "INSERT … FORMAT Native": cuts the format off. NULL when it is no insert with data. */
static const char *insert_format(char *sql) {
    char *at = NULL;

    if (strncasecmp(sql, "INSERT", 6) != 0)
        return NULL;
    for (char *p = sql; (p = strstr(p, " FORMAT ")); p++)
        at = p;
    if (!at)
        return NULL;
    *at = 0;
    return at + strlen(" FORMAT ");
}

static char *insert(chdb_connection c, const struct request *q, const char *format) {
    struct chdb_insert *s =
            lib->stream_insert_n(c, q->query, strlen(q->query), format, strlen(format));
    const char *text = lib->stream_insert_error(s);
    char *error = text ? strdup(text) : NULL;

    if (!error) {
        lib->stream_append(s, q->body.data, q->body.size);
        struct chdb_answer *a = lib->stream_done(s);
        text = lib->result_error(a);
        error = text ? strdup(text) : NULL;
        lib->destroy_query_result(a);
    }
    lib->destroy_insert_stream(s);
    return error;
}

static char *select_answer(chdb_connection c, const struct request *q, struct buffer *ret) {
    const char *names[PARAMS_MAX], *values[PARAMS_MAX], *format = q->format ? q->format : "TSV";
    size_t name_sizes[PARAMS_MAX], value_sizes[PARAMS_MAX];
    struct buffer sql;

    buffer_init(&sql, BODY_BYTES_MAX);
    if (q->query)
        buffer_append_text(&sql, q->query);
    buffer_append_slice(&sql, q->body);
    for (size_t i = 0; i < q->n_params; i++) {
        names[i] = q->params[i].name;
        values[i] = q->params[i].value;
        name_sizes[i] = strlen(names[i]);
        value_sizes[i] = strlen(values[i]);
    }
    struct chdb_answer *a =
            lib->query_with_params_n(c, (char *) sql.data, sql.size, format, strlen(format), names,
                                     name_sizes, values, value_sizes, q->n_params);
    const char *text = lib->result_error(a);
    char *error = text ? strdup(text) : NULL;
    if (!error)
        buffer_append(ret, lib->result_buffer(a), lib->result_length(a));
    lib->destroy_query_result(a);
    buffer_done(&sql);
    return error;
}

static char *serve(const struct request *q, struct buffer *ret) {
    char *argv[] = {(char[]){"chhttp"}, path_arg};

    if (!q->allowed)
        return strdup(
                "Code: 516. DB::Exception: default: Authentication failed: password is incorrect, "
                "or there is no user with such name. (AUTHENTICATION_FAILED)");
    chdb_connection *c = lib->connect(2, argv);
    if (!c)
        return strdup("Code: 1001. DB::Exception: no connection. (STD_EXCEPTION)");
    char *error = prepare(*c, q);
    const char *format = q->query ? insert_format(q->query) : NULL;
    if (!error)
        error = format ? insert(*c, q, format) : select_answer(*c, q, ret);
    lib->close_conn(c);
    return error;
}

/* ---- Connections ---- */

static bool write_all(int fd, const void *data, size_t size) {
    for (const char *p = data; size;) {
        ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        p += n;
        size -= (size_t) n;
    }
    return true;
}

static bool answer(int fd, const char *error, const struct buffer *body) {
    char head[256];
    long code = error ? strtol(error + strlen("Code: "), NULL, 10) : 0;
    int n = error ? snprintf(head, sizeof(head),
                             "HTTP/1.1 %d Error\r\nX-ClickHouse-Exception-Code: %ld\r\n"
                             "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
                             code == 516                ? 403
                             : code == 60 || code == 81 ? 404
                             : code == 241              ? 500
                                                        : 400,
                             code, strlen(error))
                  : snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
                             body->size);

    return write_all(fd, head, (size_t) n) &&
           (error ? write_all(fd, error, strlen(error)) : write_all(fd, body->data, body->size));
}

/* Reads until `in` has `size` bytes. */
static bool fill(int fd, struct buffer *in, size_t size) {
    while (in->size < size) {
        uint8_t *to = buffer_reserve(in, 65536);
        ssize_t n = to ? recv(fd, to, 65536, 0) : -1;
        if (n <= 0)
            return false;
        in->size += (size_t) n;
    }
    return true;
}

/* One request from the front of `in`. */
static bool exchange(int fd, struct buffer *in) {
    struct request q = {0};
    struct buffer out;
    ptrdiff_t end;
    uint64_t size = 0;

    while ((end = slice_find(buffer_slice(in), SLICE("\r\n\r\n"))) < 0)
        if (in->size > HEAD_BYTES_MAX || !fill(fd, in, in->size + 1))
            return false;
    size_t head = (size_t) end + 4;
    struct slice length = header(slice_take(buffer_slice(in), head), "Content-Length");
    if (length.size && slice_to_u64(length, &size) < 0)
        return false;
    if (header(slice_take(buffer_slice(in), head), "Expect").size &&
        !write_all(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25))
        return false;
    if (size > BODY_BYTES_MAX || !fill(fd, in, head + size))
        return false;
    q.head = slice_take(buffer_slice(in), head);
    q.body = slice_take(slice_skip(buffer_slice(in), head), size);
    parse(&q);
    buffer_init(&out, BODY_BYTES_MAX);
    char *error = serve(&q, &out);
    bool alive = answer(fd, error, &out);
    free(error);
    buffer_done(&out);
    request_done(&q);
    memmove(in->data, in->data + head + size, in->size - head - size);
    buffer_truncate(in, in->size - head - size);
    return alive;
}

static void *connection_main(void *arg) {
    int fd = (int) (intptr_t) arg, one = 1;
    struct buffer in;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    buffer_init(&in, BODY_BYTES_MAX + HEAD_BYTES_MAX + 65536);
    while (exchange(fd, &in))
        ;
    buffer_done(&in);
    close(fd);
    return NULL;
}

static void *wait_for_end(void *arg) {
    char byte;

    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    _exit(0);
}

int main(int argc, char **argv) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(a);
    struct error e = ERROR_NONE;
    pthread_t id;

    if (argc != 2 && argc != 4)
        return 2;
    if (argc == 4) {
        user = argv[2];
        password = argv[3];
    }
    if (engine_library_open(getenv("VARAN_TEST_ENGINE_LIB"), &lib, &e) < 0) {
        fprintf(stderr, "chhttp: %s\n", e.text);
        return 1;
    }
    snprintf(path_arg, sizeof(path_arg), "--path=%s", argv[1]);
    char *args[] = {argv[0], path_arg, (char[]){"--background_pool_size=2"}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!lib->connect(3, args) || fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 ||
        listen(fd, 64) < 0 || getsockname(fd, (struct sockaddr *) &a, &size) < 0) {
        perror("chhttp");
        return 1;
    }
    printf("port %d\n", ntohs(a.sin_port));
    fflush(stdout);
    pthread_create(&id, NULL, wait_for_end, NULL);
    for (int c; (c = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        pthread_create(&id, NULL, connection_main, (void *) (intptr_t) c);
        pthread_detach(id);
    }
    return 1;
}
