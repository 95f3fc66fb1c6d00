/*
 * Regular expressions with RE2's syntax and semantics, anchored at both ends, dot matching newline,
 * run by PCRE2's JIT; with shortcuts for literals, alternations of literals, prefixes and suffixes.
 * A compiled expression is immutable: any thread may match with it.
 */
#ifndef VARAN_BASE_REGEX_H
#define VARAN_BASE_REGEX_H

#include "base/error.h"
#include "base/memory.h"

struct regex;

#define REGEX_BYTES_MAX (1u << 20) /* of the expression */
#define REGEX_DEPTH_MAX 100u       /* of groups */
#define REGEX_REPEAT_MAX 1000u     /* as RE2: {n,m} */
#define REGEX_LITERALS_MAX 100000u /* of the alternation shortcut */
#define REGEX_MATCH_LIMIT 1000000u
#define REGEX_COMPILED_MAX (4u << 20) /* bytes of compiled code */

/* The result is released by regex_unref(). 0, -EINVAL (message in `e`, may be NULL) or
 * -ENOMEM. */
int regex_compile(struct slice text, struct regex **ret, struct error *e);
void regex_unref(struct regex *r);
/* 1, 0, or -E2BIG when the match limit was hit. */
int regex_match(const struct regex *r, struct slice s);
/* Matches and appends `replacement`, with $1, ${1}, $name, ${name}, $$ expanded. 1 or 0 (nothing is
 * appended), or negative. */
int regex_expand(const struct regex *r, struct slice s, struct slice replacement,
                 struct buffer *out);

/* What an index over texts may use: the texts of which one must be equal (NULL: not such an
 * expression), or the prefix that every match begins with (maybe empty). */
const struct slice *regex_literals(const struct regex *r, size_t *ret_n);
struct slice regex_prefix(const struct regex *r);

/* regex_syntax.c: checks `text` against RE2's syntax and writes it as PCRE2 understands it. 0,
 * -EINVAL with `why` set. */
int regex_translate(struct slice text, struct buffer *out, const char **why);

#endif
