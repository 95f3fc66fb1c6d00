/* The text of the functions that a profile of a running process found hottest, written into a
 * pprof: samples that cost nothing, of one frame, with the text as their label. One owner at a
 * time. */
#ifndef VARAN_PROFILE_TEXTS_H
#define VARAN_PROFILE_TEXTS_H

#include "cpython/function_text.h"
#include "profile/profile.h"
#include "wire/pprof.h"

/* `node_costs`: by node of the profile; changed into what was spent there and below. */
void profile_write_texts(struct function_texts *t, const struct profile *p, uint64_t *node_costs,
                         size_t n_values, struct pprof_writer *w);

#endif
