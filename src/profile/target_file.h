/*
 * Files of another process, read for it and no further: as it sees them, and only what it may read
 * itself, whoever profiles it. A program names any file as its source. One thread at a time.
 */
#ifndef VARAN_PROFILE_TARGET_FILE_H
#define VARAN_PROFILE_TARGET_FILE_H

#include <stdbool.h>
#include <sys/types.h>

/* Opens a file by its absolute path in the process's own root folder, which links do not lead out
 * of (Linux 5.6+): a descriptor, not blocking; or a negative errno. */
int target_open(pid_t pid, const char *path);
/* Whether its files can be seen still. */
bool target_lives(pid_t pid);
/* The same for a process that has ended. Nobody knows any more what it saw and might read: of this
 * process' files, and with all rights only those that anybody may read. */
int target_open_ended(const char *path);

#endif
