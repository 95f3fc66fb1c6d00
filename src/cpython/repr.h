/* Values of a target as text, bounded. Internal to cpython/. */
#ifndef VARAN_CPYTHON_REPR_H
#define VARAN_CPYTHON_REPR_H

#include "cpython/inspect.h"

#define REPR_BYTES_MAX 2048u /* of one value */
#define REPR_TEXT_MAX 160u   /* characters of a str, bytes of a bytes */
#define REPR_ITEMS_MAX 12u   /* of a container */
#define REPR_DEPTH_MAX 2u    /* containers in containers */
#define REPR_DIGITS_MAX 40u  /* of 30 bits, of an int */

/* Appends what repr() would say of an int, str, bytes, float, bool, None and of containers of them,
 * cut at the limits with "…"; "<Type at 0x…>" of anything else. */
void object_repr(const struct inspector *in, uint64_t object, struct buffer *out);

#endif
