/* Whose code a function is. Pure; the agent has it too. */
#ifndef VARAN_SIGNAL_PROFILE_KIND_H
#define VARAN_SIGNAL_PROFILE_KIND_H

#include "base/slice.h"

enum profile_kind { PROFILE_APP, PROFILE_LIBRARY, PROFILE_PYTHON, PROFILE_NATIVE };

/* By the file alone: installed packages, Python's own modules, compiled code, else the
 * application's. */
enum profile_kind profile_kind_of(struct slice file);
const char *profile_kind_name(enum profile_kind kind);

#endif
