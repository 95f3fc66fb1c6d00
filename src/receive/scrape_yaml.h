/*
 * YAML documents read by tables: each row names a key, the type of its value and where it goes.
 * Errors name file and line. One thread; texts are copied into the reader's arena.
 */
#ifndef VARAN_RECEIVE_SCRAPE_YAML_H
#define VARAN_RECEIVE_SCRAPE_YAML_H

#include "base/error.h"
#include "base/vector.h"
#include "signal/signal.h"

#include <yaml.h>

struct yaml_reader {
    yaml_document_t document;
    const char *file;
    struct slice text;
    struct arena *arena;
    struct error *e;
    size_t budget; /* nodes that may still be visited: aliases can repeat without end */
    void *owner;   /* of the functions in tables */
};

enum yaml_type {
    YAML_TEXT,     /* const char * */
    YAML_PATH,     /* const char *, relative to the file's folder */
    YAML_BOOL,     /* bool */
    YAML_DURATION, /* int64_t ns */
    YAML_SIZE,     /* uint64_t bytes: 10MB is 10 * 2^20 */
    YAML_COUNT,    /* uint64_t */
    YAML_READ,     /* by the row's function */
    YAML_REFUSED,  /* an error, with the reason of the row */
};

struct yaml_field {
    const char *key;
    enum yaml_type type;
    size_t offset;
    int (*read)(struct yaml_reader *r, yaml_node_t *node, void *target); /* given target + offset */
    const char *why;                                                     /* of REFUSED */
};

struct yaml_fields {
    const struct yaml_field *items;
    size_t n;
    void *target;
};

/* Loads the one document of `text`. 0; -EINVAL or -ENOMEM. Ends with yaml_reader_done(). */
int yaml_reader_init(struct yaml_reader *r, const char *file, struct slice text,
                     struct arena *arena, struct error *e);
void yaml_reader_done(struct yaml_reader *r);
/* The root, or NULL when the document is empty. */
yaml_node_t *yaml_root(struct yaml_reader *r);
yaml_node_t *yaml_node(struct yaml_reader *r, int index);
/* error_set() with "FILE:LINE: ". */
int yaml_fail(struct yaml_reader *r, const yaml_node_t *node, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
bool yaml_is_null(const yaml_node_t *node);
/* A mapping by the tables; `what` names it in errors ("a scrape config"). Null is an empty one. */
int yaml_read_mapping(struct yaml_reader *r, yaml_node_t *node, const char *what,
                      const struct yaml_fields *tables, size_t n_tables);
/* Any scalar as text, NUL behind it. */
int yaml_read_text(struct yaml_reader *r, yaml_node_t *node, struct slice *ret);
int yaml_read_bool(struct yaml_reader *r, yaml_node_t *node, bool *ret);
int yaml_read_texts(struct yaml_reader *r, yaml_node_t *node, struct slice **ret, size_t *ret_n);
/* {name: value, …}, sorted by name, names unique. */
int yaml_read_labels(struct yaml_reader *r, yaml_node_t *node, struct label **ret, size_t *ret_n);
/* Calls `each` for the items of a list. Null is an empty one. */
int yaml_read_list(struct yaml_reader *r, yaml_node_t *node, const char *what,
                   int (*each)(struct yaml_reader *r, yaml_node_t *item, void *ctx), void *ctx);
/* The path, relative to the folder of the reader's file; NULL: out of memory. */
const char *yaml_path(struct yaml_reader *r, struct slice path);

#endif
