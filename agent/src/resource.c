/* See resource.h. The table only grows; entries never change once the count includes them. */
#include "resource.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "encode.h"
#include "runtime.h"

static struct scope scopes[SCOPES_MAX];
static _Atomic unsigned scopes_n;

static pthread_mutex_t resource_lock = PTHREAD_MUTEX_INITIALIZER;
static struct buf resource = {.cap = RESOURCE_BYTES_MAX};
static char instance_id[37];

static char *copy(const char *data, size_t n) {
    char *p = malloc(n + 1);
    if (p) {
        memcpy(p, data, n);
        p[n] = '\0';
    }
    return p;
}

uint16_t scope_register(const char *encoded, size_t length, const char *schema_url,
                        size_t schema_length) {
    unsigned n = atomic_load_explicit(&scopes_n, memory_order_relaxed);
    struct scope *s;

    for (unsigned i = 0; i < n; i++) {
        s = &scopes[i];
        if (s->length == length && memcmp(s->bytes, encoded, length) == 0 &&
            (s->schema_url ? strlen(s->schema_url) == schema_length &&
                                     memcmp(s->schema_url, schema_url, schema_length) == 0
                           : schema_length == 0))
            return (uint16_t) i;
    }
    if (n == SCOPES_MAX)
        return 0;
    s = &scopes[n];
    s->bytes = copy(encoded, length);
    s->length = (uint32_t) length;
    s->schema_url = schema_length ? copy(schema_url, schema_length) : NULL;
    if (!s->bytes)
        return 0;
    atomic_store_explicit(&scopes_n, n + 1, memory_order_release);
    return (uint16_t) n;
}

const struct scope *scope_get(unsigned index) {
    return index < atomic_load_explicit(&scopes_n, memory_order_acquire) ? &scopes[index] : NULL;
}

int resource_set(const char *encoded, size_t length) {
    int r;

    pthread_mutex_lock(&resource_lock);
    resource.used = 0;
    r = buf_append(&resource, encoded, length);
    pthread_mutex_unlock(&resource_lock);
    return r;
}

void resource_renew(void) {
    uint8_t r[16];

    /* In a forked child the lock may have been held by a thread that is gone. */
    pthread_mutex_init(&resource_lock, NULL);
    if (getrandom(r, sizeof(r), GRND_NONBLOCK) != (ssize_t) sizeof(r)) {
        uint64_t mixed[2] = {clock_wall_ns(), clock_monotonic_ns() ^ ((uint64_t) getpid() << 40)};
        memcpy(r, mixed, sizeof(r));
    }
    r[6] = (uint8_t) ((r[6] & 0x0f) | 0x40); /* RFC 9562, version 4 */
    r[8] = (uint8_t) ((r[8] & 0x3f) | 0x80);
    snprintf(instance_id, sizeof(instance_id),
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1],
             r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14],
             r[15]);
}

int resource_append(struct buf *b) {
    int r;

    pthread_mutex_lock(&resource_lock);
    r = buf_append(b, resource.data, resource.used);
    pthread_mutex_unlock(&resource_lock);
    if (r >= 0)
        r = PUT_STRING(b, RESOURCE_ATTRIBUTE, "service.instance.id", instance_id, 36);
    if (r >= 0)
        r = PUT_INT(b, RESOURCE_ATTRIBUTE, "process.pid", getpid());
    return r;
}

const char *resource_instance_id(void) {
    return instance_id;
}
