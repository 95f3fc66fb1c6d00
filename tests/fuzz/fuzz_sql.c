/* Statements: the fingerprint keeps its cap, and no string survives. The first byte chooses the
 * dialect. */
#include "derive/sql.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buffer a, b;

    if (size == 0)
        return 0;
    enum sql_dialect dialect = (enum sql_dialect)(data[0] % (SQL_COMMAND + 1));
    struct slice text = slice_new(data + 1, size - 1);
    buffer_init(&a, 4 << 20);
    buffer_init(&b, 4 << 20);
    if (sql_fingerprint(dialect, text, &a) < 0 || a.size > SQL_FINGERPRINT_BYTES_MAX)
        abort();
    if (sql_sanitise(dialect, text, &b) < 0)
        abort();
    /* No string's quote is left; identifiers in quotes of their own may hold one. */
    bool quotes = false;
    for (size_t i = 0; i < text.size; i++)
        quotes = quotes || memchr("\"`[{", text.data[i], 4);
    if (dialect < SQL_DOCUMENT && !quotes &&
        (slice_find_byte(buffer_slice(&a), '\'') >= 0 ||
         slice_find_byte(buffer_slice(&b), '\'') >= 0))
        abort();
    buffer_done(&a);
    buffer_done(&b);
    return 0;
}
