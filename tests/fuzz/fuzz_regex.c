/* Regular expressions: the input up to the first newline is compiled and matched with the rest. */
#include "base/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice text = slice_new(data, size), pattern;
    struct regex *r;
    struct error e = ERROR_NONE;
    struct buffer out;
    size_t n;

    if (size > 2048)
        return 0;
    pattern = slice_cut(&text, '\n');
    if (regex_compile(pattern, &r, &e) < 0) {
        if (!e.text[0])
            abort();
        return 0;
    }
    int matched = regex_match(r, text);
    /* What the index may rely on must not contradict the match. */
    const struct slice *literals = regex_literals(r, &n);
    bool listed = false;
    for (size_t i = 0; literals && i < n; i++)
        listed |= slice_equal(literals[i], text);
    if (literals && listed != (matched == 1))
        abort();
    if (matched == 1 && !slice_starts(text, regex_prefix(r)))
        abort();
    buffer_init(&out, 100000);
    int expanded = regex_expand(r, text, SLICE("$1-${2}$x$$"), &out);
    /* Shortcuts and the engine must agree. */
    if (matched >= 0 && expanded >= 0 && matched != expanded)
        abort();
    buffer_done(&out);
    regex_unref(r);
    return 0;
}
