/* The reader of native blocks: any bytes either are refused or can be walked. */
#include "wire/native.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct native_reader *r;

    if (native_reader_new(slice_new(data, size), &r) < 0)
        return 0;
    for (size_t row = 0; row < native_reader_rows(r) && row < 1000; row++)
        for (unsigned c = 0; c < native_reader_columns(r); c++) {
            native_reader_name(r, c);
            native_reader_cell(r, row, c);
            for (size_t i = 0; i < native_reader_length(r, row, c) && i < 1000; i++)
                native_reader_item(r, row, c, i);
        }
    native_reader_free(r);
    return 0;
}
