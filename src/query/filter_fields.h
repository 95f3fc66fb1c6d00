/* The language's own fields: one table for the parser, the compiler, completion and docs/filter.md.
 */
#ifndef VARAN_QUERY_FILTER_FIELDS_H
#define VARAN_QUERY_FILTER_FIELDS_H

#include "query/filter.h"

enum field_type {
    FIELD_TEXT,
    FIELD_NUMBER, /* a whole number; 0: absent */
    FIELD_DURATION,
    FIELD_KIND,
    FIELD_STATUS,
    FIELD_LEVEL,
    FIELD_TRACE_ID,
    FIELD_SPAN_ID,
    FIELD_FLAG,          /* true or false */
    FIELD_RESOURCE,      /* a column of `resources` */
    FIELD_RESOURCE_ATTR, /* an attribute of `resources` */
};

struct filter_field {
    const char *name;
    const char *aliases; /* words divided by spaces; NULL: none */
    enum field_type type;
    const char *span, *log, *red; /* SQL; NULL: the target does not have it */
    bool attribute;               /* an attribute that has a column: not listed as a field */
    const char *help, *example;
};

extern const struct filter_field filter_fields[];
extern const size_t filter_n_fields;

struct filter_name {
    const char *name;
    unsigned low, high; /* numbers it stands for */
};
/* Names of kinds, states, levels; ended by NULL. */
extern const struct filter_name filter_kinds[], filter_states[], filter_levels[];

/* The SQL of a field on a target, or NULL. */
const char *filter_field_sql(const struct filter_field *f, enum filter_target target);
/* Whether the signal has the field. */
bool filter_field_on(const struct filter_field *f, enum filter_signal signal);
/* By name or alias, letter case ignored for fields; NULL when there is none on that signal. */
const struct filter_field *filter_field_find(enum filter_signal signal, struct slice name);
/* On any signal. */
const struct filter_field *filter_field_find_any(struct slice name);
/* The field a misspelt word probably means, or NULL. */
const struct filter_field *filter_field_near(enum filter_signal signal, struct slice name);
/* The row of that name (any case), or NULL. */
const struct filter_name *filter_name_find(const struct filter_name *names, struct slice text);
/* The names of a field's values (kinds, states, levels), or NULL. */
const struct filter_name *filter_field_names(const struct filter_field *f);

#endif
