/* Decompression of anything, with a small cap that must hold. The first byte chooses the encoding.
 */
#include "wire/compress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buffer out;

    if (size == 0)
        return 0;
    buffer_init(&out, 1 << 20);
    int r = decompress((enum compression)(data[0] % 4), slice_new(data + 1, size - 1), &out);
    if (out.size > 1 << 20 || out.allocated > 1 << 20 || (r < 0 && out.size) || out.failed)
        abort();
    buffer_done(&out);
    return 0;
}
