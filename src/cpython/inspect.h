/*
 * Looking into a target's objects: types, attributes, dictionaries, lists, sets. Everything is
 * read through the reader and bounded; a structure that makes no sense reads as empty. What hangs
 * together may change between two reads, so a caller must not rely on two answers agreeing.
 * Internal to cpython/; one owner at a time.
 */
#ifndef VARAN_CPYTHON_INSPECT_H
#define VARAN_CPYTHON_INSPECT_H

#include "cpython/object.h"

#define INSPECT_ITEMS_MAX 65536u /* of one container */
#define INSPECT_NAME_MAX 128u    /* bytes of a type's or an attribute's name */

struct inspector {
    struct memory_reader *memory;
    const struct cpython_offsets *offsets;
    struct arena *texts; /* what is returned lives here */
};

/* An entry of a dictionary; its value may be 0 (a name without one). */
struct dict_item {
    uint64_t key, value;
};

/* The type of an object: 0 when it cannot be read. */
uint64_t object_type(const struct inspector *in, uint64_t object);
/* tp_name of a type ("asyncio.Task" of C types, "Task" of Python's): false when unreadable. */
bool type_name(const struct inspector *in, uint64_t type, char ret[INSPECT_NAME_MAX]);
/* The same for the type of an object, without the module before the last dot. */
bool object_type_name(const struct inspector *in, uint64_t object, char ret[INSPECT_NAME_MAX]);
/* tp_flags of a type. */
uint64_t type_flags(const struct inspector *in, uint64_t type);
/* A pointer inside an object, 0 when unreadable. */
uint64_t object_field(const struct inspector *in, uint64_t object, uint32_t offset);
/* Whether a str object is exactly that ASCII text. */
bool text_is(const struct inspector *in, uint64_t object, const char *text);

/* Items of a dict in their order, at most `most`: *ret lives in the arena. 0, -EIO, -ENOMEM. */
int dict_items(const struct inspector *in, uint64_t dict, size_t most, struct dict_item **ret,
               size_t *ret_n);
/* The value under a key that is an ASCII text; 0: none. */
uint64_t dict_get(const struct inspector *in, uint64_t dict, const char *key);
/* An attribute that an object of a Python class keeps itself; 0: none. */
uint64_t object_attribute(const struct inspector *in, uint64_t object, const char *name);
/* All of those, as dict_items(). */
int object_attributes(const struct inspector *in, uint64_t object, size_t most,
                      struct dict_item **ret, size_t *ret_n);
/* Objects of a tuple, list, set or frozenset. *ret_size, which may be NULL, gets its length. */
int tuple_items(const struct inspector *in, uint64_t tuple, size_t most, uint64_t **ret,
                size_t *ret_n, uint64_t *ret_size);
int list_items(const struct inspector *in, uint64_t list, size_t most, uint64_t **ret,
               size_t *ret_n, uint64_t *ret_size);
int set_items(const struct inspector *in, uint64_t set, size_t most, uint64_t **ret, size_t *ret_n,
              uint64_t *ret_size);
/* A small non-negative int: false when it is none, or larger than 60 bits. */
bool int_value(const struct inspector *in, uint64_t object, uint64_t *ret);
/* A module's dictionary, out of the interpreter's sys.modules; 0: not imported. */
uint64_t module_dict(const struct inspector *in, uint64_t interpreter, const char *name);

#endif
