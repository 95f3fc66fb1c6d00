/* Profiles as files, for record, convert and diff. Single-threaded; messages go to standard error.
 */
#ifndef VARAN_CLI_PROFILE_FILE_H
#define VARAN_CLI_PROFILE_FILE_H

#include "profile/format.h"

/* The format by its name (may be NULL), else by the file's name; NULL after a message. */
const struct format *profile_choose_format(const char *command, const char *name, const char *path);
/* Reads a profile ("-": standard input): 0, or a negative errno after a message. profile_done() in
 * both cases. */
int profile_load(const char *command, const char *path, struct profile *ret);
/* Writes it ("-": standard output): 0 and the file's size, or a negative errno after a message. */
int profile_save(const char *command, struct profile *p, const struct format *format,
                 const char *path, size_t *ret_size);
/* The functions with most own samples, to standard error. */
void profile_print_top(const struct profile *p);
/* Turns -o into --output before options are read. */
void profile_long_output(int argc, char **argv);
/* Applies the filter: 0, or EXIT_USAGE or EXIT_FAILED after a message. */
int profile_apply_filter(const char *command, struct profile *p,
                         const struct profile_filter *filter);

#endif
