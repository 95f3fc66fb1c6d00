/* The written tables: names, columns, time column. Private to store/. Read-only data: any thread.
 */
#ifndef VARAN_STORE_TABLES_H
#define VARAN_STORE_TABLES_H

#include "store/store.h"

struct table {
    const char *name;
    const struct native_column_def *columns;
    size_t n;
};

/* By enum store_table, in the order in which a commit writes them: what others derive from comes
 * first. */
extern const struct table tables[TABLE_COUNT];

/* All tables with rows that expire, and the signals that need them: rows are kept for the longest
 * of those. */
struct kept_table {
    const char *name;
    unsigned signals; /* bits of enum store_signal */
};
extern const struct kept_table kept_tables[];
extern const size_t kept_tables_n;

/* Writes "INSERT INTO name (columns)" of table `t` to `ret`. */
int table_insert_sql(enum store_table t, struct buffer *ret);

#endif
