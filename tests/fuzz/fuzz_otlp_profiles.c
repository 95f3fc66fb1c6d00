/* OTLP profiles in protobuf, from bytes to rows. */
#include "otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return fuzz_otlp(OTLP_PROFILES, false, data, size);
}
