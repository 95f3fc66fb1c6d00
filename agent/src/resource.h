/* What all records of a process share: the resource, and the table of instrumentation scopes, both
 * kept encoded. Written with the GIL held, read by the export thread. */
#ifndef VARAN_AGENT_RESOURCE_H
#define VARAN_AGENT_RESOURCE_H

#include "buf.h"

#define SCOPES_MAX 2048
#define RESOURCE_BYTES_MAX (32u << 10)

struct scope {
    char *bytes; /* an encoded InstrumentationScope */
    uint32_t length;
    char *schema_url; /* or NULL */
};

/* Index of the scope; the first one ("varan") when the table is full. */
uint16_t scope_register(const char *encoded, size_t length, const char *schema_url,
                        size_t schema_length);
/* NULL beyond the table. */
const struct scope *scope_get(unsigned index);

/* Takes encoded Resource fields without service.instance.id and process.pid, which change in a
 * forked child. */
int resource_set(const char *encoded, size_t length);
/* A new service.instance.id and the present process.pid. */
void resource_renew(void);
/* Appends the whole resource, as an encoded message. */
int resource_append(struct buf *b);
const char *resource_instance_id(void);

#endif
