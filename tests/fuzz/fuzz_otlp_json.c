/* OTLP in JSON, all signals: the first byte chooses. */
#include "otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return size ? fuzz_otlp((enum otlp_signal)(data[0] % 3), true, data + 1, size - 1) : 0;
}
