/* JSON: what is read can be written and read again; any text becomes a JSON string. */
#include "wire/json.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct json_limits limits = {.values_max = 10000, .depth_max = 64};
    struct buffer out;
    struct error e;
    json_t *v;

    if (json_parse(slice_new(data, size), &limits, &v, NULL, &e) == 0)
        json_decref(v);
    buffer_init(&out, 64 << 20);
    struct json_writer w = json_writer(&out);
    json_put_string(&w, slice_new(data, size));
    v = json_loadb((const char *) out.data, out.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!v)
        abort();
    json_decref(v);
    buffer_clear(&out);
    if (base64_decode(slice_new(data, size), &out) == 0 && out.size > size)
        abort();
    buffer_done(&out);
    return 0;
}
