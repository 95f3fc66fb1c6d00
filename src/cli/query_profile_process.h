/* The processes of a profile, for `varan query profile`. Single-threaded. */
#ifndef VARAN_CLI_QUERY_PROFILE_PROCESS_H
#define VARAN_CLI_QUERY_PROFILE_PROCESS_H

#include "cli/query.h"

#define PROCESS_ID_MAX 24

/* The processes that a server's summary names, a line each. */
void print_profile_processes(const struct printer *p, const json_t *summary);
/* The server's name for the process with that process id, or of that instance. False: none or
 * several; it has said so. */
bool find_profile_process(const json_t *summary, const char *wanted, char ret[PROCESS_ID_MAX]);

#endif
