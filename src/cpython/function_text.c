/* Where a function ends in its file. The line table tells its statements, whatever stands further
 * left between them (texts of several lines, comments); what it does not tell, the end of the last
 * statement, goes by indentation. */
#include "cpython/function_text.h"

/* Without its indentation, whose width is returned. */
static size_t indentation(struct slice *line) {
    size_t n = 0;

    while (n < line->size && (line->data[n] == ' ' || line->data[n] == '\t'))
        n++;
    *line = slice_skip(*line, n);
    return n;
}

static bool is_word(uint8_t c) {
    return c == '_' || c >= 0x80 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* Whether a line (without its indentation) begins the definition of that name. */
static bool defines(struct slice line, struct slice name) {
    static const char *const words[] = {"def ", "async def ", "class "};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (!slice_starts(line, slice_from(words[i])))
            continue;
        struct slice rest = slice_skip(line, strlen(words[i]));
        indentation(&rest);
        return slice_starts(rest, name) &&
               (rest.size == name.size || !is_word(rest.data[name.size]));
    }
    return false;
}

static struct slice bare_name(struct slice name) {
    for (size_t i = name.size; i > 0; i--)
        if (name.data[i - 1] == '.')
            return slice_skip(name, i);
    return name;
}

static bool is_blank(struct slice line) {
    return line.size == 0 || line.data[0] == '\r';
}

struct slice function_text(struct slice file, const struct function_place *place, int *ret_last) {
    struct slice bare = bare_name(place->name), rest = file;
    /* A lambda, a comprehension, a module: nothing names them in the text. */
    bool defined = bare.size == 0 || bare.data[0] == '<';
    /* A module's last statement is not its end, and it is not wanted whole. */
    int known = slice_is(bare, "<module>") || place->last < place->seen ? place->seen : place->last;
    int first = place->first;
    size_t base = 0, end = 0;

    for (int i = 1; i < first && rest.size; i++)
        slice_cut(&rest, '\n');
    struct slice begin = rest;
    *ret_last = 0;
    for (int line = first; rest.size && line - first < FUNCTION_TEXT_LINES_MAX; line++) {
        struct slice text = slice_cut(&rest, '\n');
        size_t indent = indentation(&text);
        if (line == first)
            base = indent;
        bool goes_on = line == first || line <= known || !defined || indent > base ||
                       (text.size && strchr(")]}", text.data[0]));
        if (!is_blank(text) && !goes_on)
            break;
        if (begin.size - rest.size > FUNCTION_TEXT_BYTES_MAX)
            break;
        defined = defined || (indent == base && defines(text, bare));
        if (!is_blank(text)) {
            end = (size_t) (text.data + text.size - begin.data);
            *ret_last = line;
        }
    }
    if (end && begin.data[end - 1] == '\r')
        end--;
    return defined ? slice_take(begin, end) : SLICE_EMPTY;
}
