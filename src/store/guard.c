/* See guard.h. */
#include "store/guard.h"

static bool is_word(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static int refuse_file(struct error *e) {
    return error_set(e, -EINVAL, "The name `file` is refused in queries: it would read files.");
}

/* Where the literal or quoted identifier that begins at `at` ends (its closing quote); 0: nowhere.
 */
static size_t quoted_end(struct slice sql, size_t at) {
    for (size_t i = at + 1; i < sql.size; i++) {
        if (sql.data[i] == '\\')
            i++;
        else if (sql.data[i] == sql.data[at])
            return i;
    }
    return 0;
}

/* x'…' and b'…' know no escapes. */
static bool is_binary_literal(struct slice sql, size_t at) {
    return at > 0 && sql.data[at] == '\'' && memchr("xXbB", sql.data[at - 1], 4) &&
           (at == 1 || !is_word(sql.data[at - 2]));
}

static int check_quoted(struct slice sql, size_t at, size_t *ret_end, struct error *e) {
    size_t end = quoted_end(sql, at);

    if (!end)
        return error_set(e, -EINVAL, "A quoted text at position %zu has no end.", at + 1);
    struct slice inside = slice_take(slice_skip(sql, at + 1), end - at - 1);
    if (is_binary_literal(sql, at) && slice_find_byte(inside, '\\') >= 0)
        return error_set(e, -EINVAL, "A backslash in a binary literal (position %zu).", at + 1);
    if (sql.data[at] != '\'') {
        if (slice_equal_nocase(inside, SLICE("file")))
            return refuse_file(e);
        if (slice_find_byte(inside, '\\') >= 0)
            return error_set(e, -EINVAL, "A backslash in a quoted name (position %zu).", at + 1);
    }
    *ret_end = end;
    return 0;
}

static bool begins(struct slice sql, size_t at, const char *what) {
    return slice_starts(slice_skip(sql, at), slice_from(what));
}

int guard_check(struct slice sql, struct error *e) {
    enum { CODE, LINE_COMMENT, BLOCK_COMMENT } where = CODE;
    int r;

    for (size_t i = 0; i < sql.size; i++) {
        uint8_t c = sql.data[i];
        if (is_word(c)) {
            size_t from = i;
            while (i + 1 < sql.size && is_word(sql.data[i + 1]))
                i++;
            struct slice word = slice_take(slice_skip(sql, from), i + 1 - from);
            if (slice_equal_nocase(word, SLICE("file")))
                return refuse_file(e);
        } else if (c == '\'' || c == '"' || c == '`') {
            if (where != CODE)
                return error_set(e, -EINVAL, "A quote inside a comment (position %zu).", i + 1);
            r = check_quoted(sql, i, &i, e);
            if (r < 0)
                return r;
        } else if (c == '$' || c >= 0x80) {
            if (where == CODE)
                return error_set(e, -EINVAL,
                                 "\"$\" or a letter beyond ASCII outside a quoted text "
                                 "(position %zu).",
                                 i + 1);
        } else if (where == CODE && (begins(sql, i, "--") || c == '#')) {
            where = LINE_COMMENT;
        } else if (where == CODE && begins(sql, i, "/*")) {
            where = BLOCK_COMMENT;
            i++;
        } else if ((where == LINE_COMMENT && c == '\n') ||
                   (where == BLOCK_COMMENT && begins(sql, i, "*/"))) {
            i += where == BLOCK_COMMENT;
            where = CODE;
        }
    }
    return 0;
}
