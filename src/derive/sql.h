/*
 * Database statements without their literals: the fingerprint, under which equal statements meet,
 * and the sanitised text, which keeps the statement's own layout. No literal survives either; where
 * a dialect leaves in doubt what is a literal, the rest of the statement is given up. Pure
 * functions: any thread.
 */
#ifndef VARAN_DERIVE_SQL_H
#define VARAN_DERIVE_SQL_H

#include "base/memory.h"

#define SQL_FINGERPRINT_BYTES_MAX 2048

enum sql_dialect {
    SQL_GENERIC,
    SQL_POSTGRES, /* dollar quotes, E'…', nested comments; "…" is an identifier */
    SQL_MYSQL,    /* backslash escapes, "…" is a string, # comments */
    SQL_MSSQL,    /* [identifier] */
    SQL_STRICT,   /* Oracle, DB2, …: no backslash escapes */
    SQL_DOCUMENT, /* MongoDB, Elasticsearch: JSON, keys are kept */
    SQL_COMMAND,  /* Redis, memcached: the command's name is kept */
};

/* By the value of db.system or db.system.name ("postgresql", "microsoft.sql_server", …). */
enum sql_dialect sql_dialect_of(struct slice db_system);

/* Appends the fingerprint: literals and parameters as ?, IN and VALUES lists as (?), comments
 * dropped, white space as single spaces; at most SQL_FINGERPRINT_BYTES_MAX bytes. 0 or the buffer's
 * error. */
int sql_fingerprint(enum sql_dialect dialect, struct slice text, struct buffer *out);
/* Appends the statement with each literal as ? and comments dropped, otherwise as it was. */
int sql_sanitise(enum sql_dialect dialect, struct slice text, struct buffer *out);

#endif
