/* What a value looks like, for people who debug: short, bounded, without running code of the
 * application. Appended as JSON text (a quoted string's content is escaped by json_text()). GIL
 * held; nothing raises or leaves an exception set. */
#ifndef VARAN_AGENT_GLIMPSE_H
#define VARAN_AGENT_GLIMPSE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "buf.h"

#define GLIMPSE_DEPTH_MAX 3      /* of containers */
#define GLIMPSE_ITEMS_MAX 10     /* of one container */
#define GLIMPSE_TEXT_MAX 200     /* bytes of one text */
#define GLIMPSE_BYTES_MAX 1024   /* of one value, all together */
#define GLIMPSE_INT_BITS_MAX 256 /* longer integers are described by their size */

/* The value as Python would print it, cut. Values under names that sound secret are the caller's
 * business; keys of dictionaries are looked at here. Objects of the application are shown by type
 * and plain attributes: their __repr__ is never called. */
void glimpse_put(struct buf *b, PyObject *value);
/* Whether what goes by this name is likely to be secret ("password", "api_key", …). */
bool glimpse_is_secret(const char *name, size_t size);

/* Whether the text is a secret whatever its name: a JSON web token, a key in PEM form, … */
bool glimpse_looks_secret(const char *text, size_t size);

/* Appends a JSON string, with quotes. Bytes that are not UTF-8 become U+FFFD. */
void json_text(struct buf *b, const char *text, size_t size);
void json_object_text(struct buf *b, PyObject *text);

#endif
