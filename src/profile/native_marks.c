/* Lines of Cython's source: what it writes into the C file before each statement's code, as comment
 * (Compiler/Code.py) `"module.pyx":12`, alone on its line after the opening of the comment. */
#include "profile/native_source.h"

#define MARKS_MAX 1000000u

/* The text between quotes and the number behind them, when the line is a mark. */
static bool parse_mark(struct slice line, struct slice *ret_file, unsigned *ret_line) {
    size_t at = 0, begin;
    unsigned number = 0;

    while (at < line.size && (line.data[at] == ' ' || line.data[at] == '\t'))
        at++;
    if (line.size - at < 4 || memcmp(line.data + at, "/* \"", 4) != 0)
        return false;
    for (begin = at += 4; at < line.size && line.data[at] != '"'; at++)
        ;
    *ret_file = slice_take(slice_skip(line, begin), at - begin);
    if (!ret_file->size || line.size - at < 3 || line.data[at + 1] != ':')
        return false;
    for (at += 2; at < line.size && line.data[at] >= '0' && line.data[at] <= '9'; at++) {
        if (number > NATIVE_LINE_MAX / 10)
            return false;
        number = number * 10 + (line.data[at] - '0');
    }
    while (at < line.size && line.data[at] == '\r')
        at++;
    *ret_line = number;
    return number && at == line.size;
}

/* Where the module's own code ends: a section begins (Cython 3), or what all modules share (0.29).
 */
static bool ends_code(struct slice line) {
    static const char *const begins[] = {"/* #### Code section: ",
                                         "/* --- Runtime support code ---"};

    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
        if (line.size >= strlen(begins[i]) && memcmp(line.data, begins[i], strlen(begins[i])) == 0)
            return true;
    return false;
}

int native_marks_read(struct slice text, struct native_marks *ret) {
    unsigned number = 0;

    while (text.size) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        size_t size = end ? (size_t) (end - text.data) : text.size;
        number++;
        struct slice row = slice_take(text, size);
        struct native_mark mark = {.at = number};
        if (parse_mark(row, &mark.file, &mark.line) || ends_code(row)) {
            int r = vector_push(ret, mark, MARKS_MAX);
            if (r < 0)
                return r;
        }
        text = slice_skip(text, end ? size + 1 : size);
    }
    return 0;
}

const struct native_mark *native_mark_before(const struct native_marks *marks, unsigned line) {
    size_t low = 0, high = marks->n;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (marks->items[middle].at <= line)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &marks->items[low - 1] : NULL;
}
