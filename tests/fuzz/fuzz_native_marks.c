/* Marks in C files that Cython made: any text is read, and every line can be asked for. */
#include "profile/native_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct native_marks marks = {0};
    unsigned before = 0;

    native_marks_read(slice_new(data, size), &marks);
    for (size_t i = 0; i < marks.n; i++) {
        const struct native_mark *mark = native_mark_before(&marks, marks.items[i].at);
        if (mark != &marks.items[i] || mark->at <= before || mark->line > NATIVE_LINE_MAX + 9 ||
            (mark->line && (mark->file.data < data || mark->file.data > data + size)))
            __builtin_trap();
        before = mark->at;
    }
    vector_done(&marks);
    return 0;
}
