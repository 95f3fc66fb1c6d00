/*
 * Regular expressions with RE2's syntax and semantics, anchored at both ends, dot matching newline,
 * run by PCRE2's JIT; with shortcuts for literals, alternations of literals, prefixes and suffixes.
 * A compiled expression is immutable: any thread may match with it.
 */
#ifndef VARAN_PROMQL_MATCHER_H
#define VARAN_PROMQL_MATCHER_H

#include "base/error.h"
#include "query/promql/promql.h"

#define REGEX_BYTES_MAX (1u << 20) /* of the expression */
#define REGEX_DEPTH_MAX 100u       /* of groups */
#define REGEX_REPEAT_MAX 1000u     /* as RE2: {n,m} */
#define REGEX_LITERALS_MAX 100000u /* of the alternation shortcut */
#define REGEX_MATCH_LIMIT 1000000u
#define REGEX_COMPILED_MAX (4u << 20) /* bytes of compiled code */

/* The result is released by promql_regex_unref(). 0, -EINVAL (message in `e`, may be NULL) or
 * -ENOMEM. */
int promql_regex_compile(struct slice text, struct promql_regex **ret, struct error *e);
void promql_regex_unref(struct promql_regex *r);
/* 1, 0, or -E2BIG when the match limit was hit. */
int promql_regex_match(const struct promql_regex *r, struct slice s);
/* Matches and appends `replacement`, with $1, ${1}, $name, ${name}, $$ expanded. 1 or 0 (nothing is
 * appended), or negative. */
int promql_regex_expand(const struct promql_regex *r, struct slice s, struct slice replacement,
                        struct buffer *out);

/* regex_syntax.c: checks `text` against RE2's syntax and writes it as PCRE2 understands it. 0,
 * -EINVAL with `why` set. */
int regex_translate(struct slice text, struct buffer *out, const char **why);

#endif
