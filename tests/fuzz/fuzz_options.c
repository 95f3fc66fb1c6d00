/* The configuration file and option values. */
#include "cli/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct settings s = {0};
    struct error e = ERROR_NONE;
    uint64_t bytes;

    if (size > 65536)
        return 0;
    arena_init(&s.arena, OPTIONS_TEXT_BYTES_MAX);
    if (options_read_yaml(settings_table, "f", slice_new(data, size), &s.arena, &s, &e) < 0 &&
        !e.text[0])
        __builtin_trap(); /* an error without a sentence */
    bytes_parse(slice_new(data, size), &bytes);
    arena_done(&s.arena);
    return 0;
}
