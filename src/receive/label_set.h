/*
 * A label set under construction: sorted by name, names unique, no empty value. For the few labels
 * of a target or a series, so everything is linear. Names and values live in the arena, or
 * elsewhere for as long as the set. One owner at a time.
 */
#ifndef VARAN_RECEIVE_LABEL_SET_H
#define VARAN_RECEIVE_LABEL_SET_H

#include "base/memory.h"
#include "signal/signal.h"

#define LABEL_SET_MAX 2000u

struct label_set {
    struct arena *arena;
    struct label *items;
    size_t n, room;
    int failed; /* -ENOMEM or -ENOBUFS: sets are left out from then on */
};

void label_set_init(struct label_set *s, struct arena *a);
/* The value, or the empty slice. */
struct slice label_set_get(const struct label_set *s, struct slice name);
/* Adds or replaces; an empty value removes. */
void label_set_put(struct label_set *s, struct slice name, struct slice value);
void label_set_remove(struct label_set *s, struct slice name);
/* The set's text, {a="b"}, for messages. */
void label_items_print(const struct label *items, size_t n, struct buffer *to);
/* The same for equal sets, within one build. */
uint64_t label_items_hash(const struct label *items, size_t n);
/* A copy with all texts in `a`; NULL without memory (n 0 gives a valid pointer). */
struct label *label_items_copy(const struct label *items, size_t n, struct arena *a);
bool label_items_equal(const struct label *a, size_t n_a, const struct label *b, size_t n_b);
/* [a-zA-Z_][a-zA-Z0-9_]* */
bool label_name_is_legacy(struct slice name);
bool metric_name_is_legacy(struct slice name); /* with colons */

#endif
