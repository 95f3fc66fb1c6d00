/* `varan query profile`. Single-threaded. */
#ifndef VARAN_CLI_QUERY_PROFILE_H
#define VARAN_CLI_QUERY_PROFILE_H

#include "cli/query.h"

/* argv[0] is the subject. */
int query_profile(int argc, char **argv);

#endif
