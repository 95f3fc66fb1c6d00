/*
 * Typed vectors: VECTOR(int) v = {0}; each names its items' type, so nothing is cast. Growth is
 * capped by the caller with the `cap` argument (items). One owner at a time.
 */
#ifndef VARAN_BASE_VECTOR_H
#define VARAN_BASE_VECTOR_H

#include "base/memory.h"

#include <errno.h>

#define VECTOR(type)                                                                               \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t n, allocated;                                                                       \
    }

/* Makes room for one more item; 0, -ENOBUFS (cap reached) or -ENOMEM. Use vector_push(). */
int vector_grow(void **items, size_t *allocated, size_t n, size_t item_size, size_t cap);

/* Appends `value`; 0, -ENOBUFS or -ENOMEM. */
#define vector_push(v, value, cap)                                                                 \
    ({                                                                                             \
        int _r = 0;                                                                                \
        if ((v)->n >= (cap) || (v)->n == (v)->allocated)                                           \
            _r = vector_grow((void **) &(v)->items, &(v)->allocated, (v)->n, sizeof(*(v)->items),  \
                             (cap));                                                               \
        if (_r == 0)                                                                               \
            (v)->items[(v)->n++] = (value);                                                        \
        _r;                                                                                        \
    })

#define vector_done(v)                                                                             \
    do {                                                                                           \
        free((v)->items);                                                                          \
        (v)->items = NULL;                                                                         \
        (v)->n = (v)->allocated = 0;                                                               \
    } while (0)

#define vector_each(v, p)                                                                          \
    for (__typeof__((v)->items + 0) p = (v)->items; p && p < (v)->items + (v)->n; p++)

#endif
