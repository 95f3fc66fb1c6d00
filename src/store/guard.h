/*
 * A last look at a query's text before the embedded engine runs it. Grants keep table functions
 * away from files and networks, but the scalar function file() reads any file of this process and
 * no grant or setting governs it. Private to store/. Pure: any thread.
 */
#ifndef VARAN_STORE_GUARD_H
#define VARAN_STORE_GUARD_H

#include "base/error.h"
#include "base/slice.h"

/*
 * 0 or -EINVAL. Refuses the identifier `file`, quoted or not, anywhere outside string literals;
 * and, so that this look and the engine's cannot disagree on where a literal ends, also: $ and
 * bytes beyond ASCII outside literals, quotes inside comments, backslashes in x'…' and b'…', and
 * literals without an end.
 */
int guard_check(struct slice sql, struct error *e);

#endif
