/* The cache of code objects. Internal to cpython/; one owner at a time. */
#ifndef VARAN_CPYTHON_CODES_H
#define VARAN_CPYTHON_CODES_H

#include "cpython/cpython.h"
#include "cpython/object.h"

#define CODE_BYTES_MAX 1024u
#define CODES_AT_ONCE 32u
/* A code object that was verified is believed for this long: memory is reused for another code
 * object only after the first one is gone, and what a sample could get wrong is bounded by it. */
#define CODE_TRUST_NS INT64_C(100000000)

struct codes {
    int64_t trust_ns; /* CODE_TRUST_NS, unless the caller has another opinion */
    struct memory_reader *memory;
    const struct cpython_offsets *offsets;
    struct map by_address;
    struct arena texts;
    uint64_t replaced; /* how often one was found to be another one, or gone */
    uint8_t raw[CODES_AT_ONCE][CODE_BYTES_MAX];
};

void codes_init(struct codes *c, struct memory_reader *memory,
                const struct cpython_offsets *offsets);
void codes_done(struct codes *c);
/* Makes sure that the code objects at these addresses are known as they are now, as far as they can
 * be read; several are read by one call. */
void codes_refresh(struct codes *c, const uint64_t *addresses, size_t n, int64_t now_ns);
/* Whether what codes_find() once gave is still believed without looking. */
bool codes_fresh(const struct codes *c, const struct cpython_code *code, int64_t now_ns);
/* When it was found to be still the same. */
int64_t codes_verified_ns(const struct cpython_code *code);
/* The code object as last refreshed; NULL: it could not be read, or is none. */
const struct cpython_code *codes_find(const struct codes *c, uint64_t address);

#endif
