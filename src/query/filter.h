/*
 * The filter language: what a person types to choose spans or log lines (docs/filter.md), parsed to
 * a tree, checked, printed back as canonical text, and compiled to SQL with bound parameters.
 *
 *     service=shop AND duration>200ms AND http.response.status_code>=500 AND "timeout"
 *
 * Trees live in the caller's arena together with copies of all text. Pure functions: any thread.
 */
#ifndef VARAN_QUERY_FILTER_H
#define VARAN_QUERY_FILTER_H

#include "base/memory.h"
#include "query/sql.h"

#define FILTER_BYTES_MAX 4096u /* of the whole text */
#define FILTER_DEPTH_MAX 32u   /* nested parentheses and NOTs */
#define FILTER_TERMS_MAX 128u  /* conditions */
#define FILTER_LIST_MAX 100u   /* values of one IN (…) */
#define FILTER_KEY_BYTES_MAX 256u
#define FILTER_VALUE_BYTES_MAX 1024u
#define FILTER_REGEX_MAX 10u /* regular expressions in one filter */
#define FILTER_REGEX_BYTES_MAX 512u

enum filter_signal { FILTER_SPANS, FILTER_LOGS };

/* What a filter is compiled for: a table of its own columns. */
enum filter_target { TARGET_SPANS, TARGET_LOGS, TARGET_RED };

enum filter_kind {
    FILTER_AND,
    FILTER_OR,
    FILTER_NOT,
    FILTER_COMPARE,
    FILTER_IN,
    FILTER_EXISTS,
    FILTER_TEXT,
};

enum filter_op { OP_EQ, OP_NE, OP_GT, OP_GE, OP_LT, OP_LE, OP_MATCH, OP_NOT_MATCH };

enum filter_key_kind {
    KEY_FIELD,     /* a word of the language, or an attribute with a column of its own */
    KEY_ATTRIBUTE, /* of the span or log record */
    KEY_RESOURCE,  /* an attribute of the resource: resource.KEY */
};

struct filter_field; /* a row of the field table: filter_fields.h */

struct filter_key {
    enum filter_key_kind kind;
    enum filter_signal signal;
    const struct filter_field *field; /* KEY_FIELD */
    struct slice name; /* the attribute's own name; for a field, its canonical name */
};

struct filter_value {
    struct slice text;
    bool quoted;
    unsigned offset, size; /* where it stands in the filter, in bytes */
};

struct filter {
    enum filter_kind kind;
    unsigned offset, size; /* where it stands in the filter, in bytes */
    /* AND, OR (two or more), NOT (one) */
    struct filter **children;
    size_t n_children;
    /* COMPARE (one value), IN, EXISTS, TEXT (one value, no key) */
    struct filter_key key;
    enum filter_op op;
    bool negated; /* NOT IN */
    struct filter_value *values;
    size_t n_values;
};

struct filter_error {
    const char *code;        /* "filter_syntax" or "filter_key" */
    unsigned column, length; /* in characters, from 1 */
    char message[256];
    char hint[256]; /* may be empty */
};

/* Parses and checks. The empty text gives *ret = NULL: everything. -EINVAL with `e` filled,
 * -ENOMEM. */
int filter_parse(struct arena *a, enum filter_signal signal, struct slice text, struct filter **ret,
                 struct filter_error *e);
/* One key alone, as it is written in a filter ("http.route", `@"odd key"`, "resource.x",
 * "service"). */
int filter_parse_key(struct arena *a, enum filter_signal signal, struct slice text,
                     struct filter_key *ret, struct filter_error *e);

/* Canonical text: parsing it gives an equal tree. NULL prints nothing. */
int filter_print(const struct filter *f, struct buffer *out);
int filter_print_key(const struct filter_key *k, struct buffer *out);

/* Both trees the same, positions aside. */
bool filter_equal(const struct filter *a, const struct filter *b);
/* Whether a filter can be answered from the RED table (service, name, kind, status, entry only). */
bool filter_fits_red(const struct filter *f);

/* Appends "PREWHERE has(attributes.keys, …) AND … " for the attributes without which no record can
 * match, or nothing: where a key is absent its values need not be read. To stand before WHERE. */
void filter_compile_prewhere(const struct filter *f, struct sql *out);
/* Appends a condition (never NULL-valued) to `out`; "1" for NULL. -EOPNOTSUPP when the target has
 * no such column. */
int filter_compile(const struct filter *f, enum filter_target target, struct sql *out);
/* Appends an expression of type String: the key's value as text, '' when absent. */
int filter_key_text_sql(const struct filter_key *k, enum filter_target target, struct sql *out);
/* An RE2 pattern, as far as one can tell without the engine: 0, or -EINVAL with a reason (`reason`
 * has room for 160 bytes) and the byte where it stands. */
int filter_check_regex(struct slice pattern, char *reason, size_t *ret_at);

#endif
