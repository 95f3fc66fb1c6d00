/* The API over HTTP on a store of its own, and a client of it: what the tests of its answers stand
 * on. */
#ifndef VARAN_TESTS_API_SERVED_H
#define VARAN_TESTS_API_SERVED_H

#include "../unit.h"
#include "shop.h"

#include "net/client.h"
#include "net/http.h"

#include <jansson.h>

extern struct served {
    struct store *store;
    struct ingest *ingest;
    struct http_server *server;
    struct http_client *client;
    int64_t end_ns; /* of the shop's data: now, to the second */
} served;

/* Set up and tear down of a group of tests; the store is empty. */
int served_start(void **state);
int served_stop(void **state);

/* The answer's JSON, which has to come with that status. */
json_t *ask(const char *method, const char *path, struct slice body, int status);
/* GET path?RANGE&rest, RANGE around the shop's data. */
json_t *get(const char *path, const char *rest, int status);

/* All pages of a list that is under `key` in the answers, `rest` without cursor: `seen` is called
 * for each of its items in turn. Returns how many there were. */
size_t each_page(const char *path, const char *rest, const char *key,
                 void (*seen)(json_t *item, void *ctx), void *ctx);

#define list_of(object, key) json_object_get(object, key)
#define text_at(object, key) json_string_value(json_object_get(object, key))
#define int_at(object, key) json_integer_value(json_object_get(object, key))
#define number_at(object, key) json_number_value(json_object_get(object, key))

#endif
