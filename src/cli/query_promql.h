/* `varan query promql|series|labels`, shared by its files. Single-threaded. */
#ifndef VARAN_CLI_QUERY_PROMQL_H
#define VARAN_CLI_QUERY_PROMQL_H

#include "cli/query.h"

/* Whether `varan query SUBJECT` is one of these. */
bool query_is_promql(const char *subject);
/* argv[0] is the subject. */
int query_promql(int argc, char **argv);

/* ---- query_promql_print.c ---- */
/* The "data" of an answer: a vector as a table, a matrix with a line of bars for each series, label
 * sets and names a line each. */
void print_promql(const struct printer *p, const json_t *data);

#endif
