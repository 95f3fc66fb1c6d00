/* The written tables: names, columns, time column. Private to store/. Read-only data: any thread.
 */
#ifndef VARAN_STORE_TABLES_H
#define VARAN_STORE_TABLES_H

#include "store/store.h"

struct table {
    const char *name;
    const struct native_column_def *columns;
    size_t n;
    const char *expires; /* the date that retention looks at */
};

/* By enum store_table, in the order in which a commit writes them: what others derive from comes
 * first. */
extern const struct table tables[TABLE_COUNT];
/* Writes "INSERT INTO name (columns)" of table `t` to `ret`. */
int table_insert_sql(enum store_table t, struct buffer *ret);

#endif
