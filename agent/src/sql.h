/* Makes SQL text safe to send: literals become "?", comments go, white space is one space. The
 * server groups statements further; here nothing secret may leave the process. No Python. */
#ifndef VARAN_AGENT_SQL_H
#define VARAN_AGENT_SQL_H

#include "buf.h"

#define SQL_TEXT_MAX (8u << 10) /* of the result; the rest is cut */

struct sql_summary {
    char operation[24];  /* "SELECT"; empty when the text does not begin with a word */
    char collection[96]; /* first table after FROM, INTO, UPDATE, JOIN, TABLE; or empty */
};

/* Appends the sanitised text; at the buffer's cap it is cut. `mysql`: backslashes escape, and "…"
 * is a string. */
void sql_sanitize(const char *text, size_t n, bool mysql, struct buf *out, struct sql_summary *ret);

#endif
