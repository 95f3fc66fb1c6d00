/*
 * Numbered migrations of the engine's schema (migrations/NNN_name.sql, embedded at build time).
 * Private to store/; called by the opening thread.
 */
#ifndef VARAN_STORE_MIGRATE_H
#define VARAN_STORE_MIGRATE_H

#include "store/engine.h"

struct migration {
    unsigned version; /* 1, 2, … */
    const char *name;
    const char *const *statements;
    unsigned n;
};

extern const struct migration migrations[];
extern const unsigned migrations_n;

/*
 * Applies what is missing (for `cluster`, unless that is NULL), up to version `to` (0: all; less
 * than all is for tests). Statements of one migration are not atomic, so each must be repeatable;
 * its number is written after the last of them. -EPROTONOSUPPORT when the data is of a newer
 * version than this program knows.
 */
int migrate(struct engine *g, const char *cluster, unsigned to, struct error *e);

#endif
