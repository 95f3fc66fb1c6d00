/* `varan version`. */
#include "cli/command.h"

#include <stdio.h>

int command_version(int argc, char **argv) {
    puts("varan " VARAN_VERSION);
    return EXIT_OK;
}
