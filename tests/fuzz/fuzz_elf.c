/* ELF files as a target's binary may be: mapped files that are not trusted. */
#include "cpython/elf_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size + 1); /* aligned, as a mapping is */
    struct elf_file f;
    uint64_t address, bytes;

    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    if (elf_parse(slice_new(copy, size), &f) == 0) {
        elf_find_symbol(&f, "_PyRuntime", &address);
        elf_find_section(&f, ".PyRuntime", &address, &bytes);
    }
    free(copy);
    return 0;
}
