/* See tls.h. Prototypes and constants are those of OpenSSL's manual (ssl(7), X509_verify(3)). */
#include "tls.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILETYPE_PEM = 1,
    VERIFY_PEER = 1,
    ERROR_WANT_READ = 2,
    ERROR_WANT_WRITE = 3,
    ERROR_ZERO_RETURN = 6,
    CTRL_MODE = 33,
    CTRL_SET_HOST_NAME = 55,
    CTRL_SET_MIN_VERSION = 123,
    MODE_PARTIAL_WRITE = 1,
    MODE_MOVING_BUFFER = 2,
    VERSION_TLS_1_2 = 0x0303,
};

static struct {
    void *(*client_method)(void);
    void *(*context_new)(void *);
    void (*context_free)(void *);
    long (*context_ctrl)(void *, int, long, void *);
    int (*default_paths)(void *);
    int (*load_authorities)(void *, const char *, const char *);
    void (*set_verify)(void *, int, void *);
    int (*use_certificate)(void *, const char *);
    int (*use_key)(void *, const char *, int);
    void *(*new)(void *);
    void (*free)(void *);
    int (*set_fd)(void *, int);
    long (*ctrl)(void *, int, long, void *);
    int (*set_host)(void *, const char *);
    void *(*get_param)(void *);
    int (*set_ip)(void *, const char *); /* libcrypto */
    int (*connect)(void *);
    int (*read)(void *, void *, int);
    int (*peek)(void *, void *, int);
    int (*write)(void *, const void *, int);
    int (*get_error)(void *, int);
    long (*verify_result)(void *);
    const char *(*verify_text)(long); /* libcrypto */
    unsigned long (*last_error)(void);
    void (*error_text)(unsigned long, char *, size_t);
    void (*clear_errors)(void);
    int (*init)(uint64_t, const void *);
} ssl;

struct tls {
    void *context, *connection;
};

static char message[200];

/* Held while libssl works, which is never during a wait: neither fork() nor the end of the process
 * finds it half way. */
static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;
static bool closed; /* the process ends: libssl takes its tables down */

const char *tls_error(void) {
    return message;
}

static const struct {
    const char *name;
    void *to;
} functions[] = {
        {"TLS_client_method", &ssl.client_method},
        {"SSL_CTX_new", &ssl.context_new},
        {"SSL_CTX_free", &ssl.context_free},
        {"SSL_CTX_ctrl", &ssl.context_ctrl},
        {"SSL_CTX_set_default_verify_paths", &ssl.default_paths},
        {"SSL_CTX_load_verify_locations", &ssl.load_authorities},
        {"SSL_CTX_set_verify", &ssl.set_verify},
        {"SSL_CTX_use_certificate_chain_file", &ssl.use_certificate},
        {"SSL_CTX_use_PrivateKey_file", &ssl.use_key},
        {"SSL_new", &ssl.new},
        {"SSL_free", &ssl.free},
        {"SSL_set_fd", &ssl.set_fd},
        {"SSL_ctrl", &ssl.ctrl},
        {"SSL_set1_host", &ssl.set_host},
        {"SSL_get0_param", &ssl.get_param},
        {"X509_VERIFY_PARAM_set1_ip_asc", &ssl.set_ip},
        {"SSL_connect", &ssl.connect},
        {"SSL_read", &ssl.read},
        {"SSL_peek", &ssl.peek},
        {"SSL_write", &ssl.write},
        {"SSL_get_error", &ssl.get_error},
        {"SSL_get_verify_result", &ssl.verify_result},
        {"X509_verify_cert_error_string", &ssl.verify_text},
        {"ERR_get_error", &ssl.last_error},
        {"ERR_error_string_n", &ssl.error_text},
        {"ERR_clear_error", &ssl.clear_errors},
        {"OPENSSL_init_ssl", &ssl.init},
};

/* exit() goes on while the export thread does, and libssl's own handler frees what every call
 * needs. */
static void close_library(void) {
    pthread_mutex_lock(&library_lock);
    closed = true;
    pthread_mutex_unlock(&library_lock);
}

/* May libssl be called? Then the lock is held. */
static bool enter(void) {
    pthread_mutex_lock(&library_lock);
    if (!closed)
        return true;
    pthread_mutex_unlock(&library_lock);
    return false;
}

static void leave(void) {
    pthread_mutex_unlock(&library_lock);
}

void tls_fork_prepare(void) {
    pthread_mutex_lock(&library_lock);
}

void tls_fork_parent(void) {
    pthread_mutex_unlock(&library_lock);
}

void tls_fork_child(void) {
    pthread_mutex_init(&library_lock, NULL);
}

/* 1 loaded, -1 not there. */
static int load(void) {
    static const char *const names[] = {"libssl.so.3", "libssl.so.1.1"};
    static int loaded;
    void *library = NULL;

    if (loaded)
        return loaded;
    loaded = -1;
    for (size_t i = 0; !library && i < sizeof(names) / sizeof(names[0]); i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; library && i < sizeof(functions) / sizeof(functions[0]); i++) {
        void *f = dlsym(library, functions[i].name); /* finds libcrypto's, too: a dependency */
        if (!f)
            return loaded;
        memcpy(functions[i].to, &f, sizeof(f));
    }
    /* libssl registers its handler now, and ours, registered later, runs before it. */
    if (library && ssl.init(0, NULL) == 1 && atexit(close_library) == 0)
        loaded = 1;
    return loaded;
}

bool tls_available(void) {
    bool r;

    if (!enter())
        return false;
    r = load() > 0;
    leave();
    return r;
}

static void note(const char *what, const char *detail) {
    snprintf(message, sizeof(message), "%s%s%.150s", what, *detail ? ": " : "", detail);
}

static void note_error(const char *what) {
    char text[120] = "";
    unsigned long code = ssl.last_error();

    if (code)
        ssl.error_text(code, text, sizeof(text));
    ssl.clear_errors();
    note(what, text);
}

static int read_files(void *context, const struct tls_files *f) {
    int good = *f->authorities ? ssl.load_authorities(context, f->authorities, NULL)
                               : ssl.default_paths(context);

    if (good != 1) {
        note("certificates of authorities cannot be read", f->authorities);
        return -EINVAL;
    }
    if (!*f->certificate)
        return 0;
    if (ssl.use_certificate(context, f->certificate) != 1) {
        note("the client's certificate cannot be read", f->certificate);
        return -EINVAL;
    }
    if (ssl.use_key(context, *f->key ? f->key : f->certificate, FILETYPE_PEM) != 1) {
        note("the client's key cannot be read", *f->key ? f->key : f->certificate);
        return -EINVAL;
    }
    return 0;
}

/* Whom the certificate must name. */
static bool set_name(void *connection, const char *host) {
    struct in6_addr address;
    char name[256];

    if (inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1)
        return ssl.set_ip(ssl.get_param(connection), host) == 1;
    snprintf(name, sizeof(name), "%s", host);
    ssl.ctrl(connection, CTRL_SET_HOST_NAME, 0, name);
    return ssl.set_host(connection, host) == 1;
}

static void free_locked(struct tls *t) {
    if (t->connection)
        ssl.free(t->connection);
    if (t->context)
        ssl.context_free(t->context);
    free(t);
}

static struct tls *new_locked(int fd, const char *host, const struct tls_files *files, int *ret) {
    struct tls *t;

    *ret = -ENOSYS;
    message[0] = '\0';
    if (load() < 0) {
        note("https needs the system's libssl.so.3 or libssl.so.1.1, which is not here", "");
        return NULL;
    }
    *ret = -ENOMEM;
    t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    ssl.clear_errors();
    t->context = ssl.context_new(ssl.client_method());
    if (!t->context)
        goto fail;
    ssl.context_ctrl(t->context, CTRL_SET_MIN_VERSION, VERSION_TLS_1_2, NULL);
    ssl.context_ctrl(t->context, CTRL_MODE, MODE_PARTIAL_WRITE | MODE_MOVING_BUFFER, NULL);
    ssl.set_verify(t->context, VERIFY_PEER, NULL);
    *ret = read_files(t->context, files);
    if (*ret < 0)
        goto fail;
    *ret = -ENOMEM;
    t->connection = ssl.new(t->context);
    if (!t->connection || ssl.set_fd(t->connection, fd) != 1 || !set_name(t->connection, host))
        goto fail;
    *ret = 0;
    return t;
fail:
    ssl.clear_errors();
    free_locked(t);
    return NULL;
}

struct tls *tls_new(int fd, const char *host, const struct tls_files *files, int *ret) {
    struct tls *t;

    *ret = -ECANCELED;
    if (!enter())
        return NULL;
    t = new_locked(fd, host, files, ret);
    leave();
    return t;
}

void tls_free(struct tls *t) {
    if (!t || !enter())
        return;
    free_locked(t);
    leave();
}

static int failure(struct tls *t, int r, const char *what) {
    switch (ssl.get_error(t->connection, r)) {
    case ERROR_WANT_READ: return TLS_WANT_READ;
    case ERROR_WANT_WRITE: return TLS_WANT_WRITE;
    case ERROR_ZERO_RETURN: return 0;
    default: note_error(what); return -EPROTO;
    }
}

static int handshake_locked(struct tls *t) {
    int r;

    ssl.clear_errors();
    r = ssl.connect(t->connection);
    if (r == 1)
        return 0;
    r = failure(t, r, "the TLS handshake failed");
    if (r == TLS_WANT_READ || r == TLS_WANT_WRITE)
        return r;
    if (ssl.verify_result(t->connection) != 0)
        note("the server's certificate is not trusted",
             ssl.verify_text(ssl.verify_result(t->connection)));
    return -EPROTO;
}

int tls_handshake(struct tls *t) {
    int r;

    if (!enter())
        return -ECANCELED;
    r = handshake_locked(t);
    leave();
    return r;
}

static int as_int(size_t n) {
    return n > INT_MAX ? INT_MAX : (int) n;
}

ssize_t tls_read(struct tls *t, void *data, size_t n) {
    int r;

    if (!enter())
        return -ECANCELED;
    ssl.clear_errors();
    r = ssl.read(t->connection, data, as_int(n));
    if (r <= 0)
        r = failure(t, r, "the TLS connection failed");
    leave();
    return r;
}

ssize_t tls_write(struct tls *t, const void *data, size_t n) {
    int r;

    if (!enter())
        return -ECANCELED;
    ssl.clear_errors();
    r = ssl.write(t->connection, data, as_int(n));
    if (r <= 0)
        r = failure(t, r, "the TLS connection failed");
    leave();
    return r ? r : -EPIPE;
}

bool tls_is_idle(struct tls *t) {
    char byte;
    int r;

    if (!enter())
        return false;
    ssl.clear_errors();
    r = ssl.peek(t->connection, &byte, 1); /* also takes in what the protocol itself sent */
    if (r <= 0)
        r = failure(t, r, "");
    leave();
    return r == TLS_WANT_READ;
}
