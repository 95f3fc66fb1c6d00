/* The conformance language: any file ends with verdicts or an error. */
#include "query/promql/test_lang.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct promql_options o = {.timeout_ms = 200,
                               .memory_bytes_max = 16u << 20,
                               .samples_max = 200000,
                               .steps_max = 1000};
    struct promql_test_report report = {.options = &o};
    struct error e = ERROR_NONE;

    if (size <= 8192 && promql_test_run(slice_new(data, size), &report, &e) < 0 && !e.text[0])
        abort();
    return 0;
}
