/*
 * Whether a pattern is RE2 syntax (https://github.com/google/re2/wiki/Syntax), as far as can be
 * told without the engine: what Perl has and RE2 has not is looked for, the rest is compiled with
 * PCRE2, whose syntax includes RE2's. The engine has the last word. Pure: any thread.
 */
#include "query/filter.h"

#include <stdio.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define REPEAT_MAX 1000u /* RE2's own limit of {n,m} */

static int refuse(char *reason, size_t *ret_at, size_t at, const char *what) {
    snprintf(reason, 160, "%s", what);
    *ret_at = at;
    return -EINVAL;
}

/* What follows "(?": RE2 has groups (?:, (?flags, (?P<name>, (?<name>. */
static bool group_is_known(struct slice rest) {
    if (rest.size == 0)
        return false;
    if (slice_starts(rest, SLICE("P<")))
        return true;
    if (rest.data[0] == '<')
        return rest.size > 1 && rest.data[1] != '=' && rest.data[1] != '!';
    for (size_t i = 0; i < rest.size; i++) {
        if (rest.data[i] == ':' || rest.data[i] == ')')
            return true;
        if (!strchr("imsU-", rest.data[i]))
            return false;
    }
    return false;
}

/* A repetition {n}, {n,} or {n,m} at `s`: false when a number is above the limit. */
static bool repeat_is_small(struct slice s) {
    unsigned n = 0;

    for (size_t i = 1; i < s.size && s.data[i] != '}'; i++) {
        if (s.data[i] == ',')
            n = 0;
        else if (s.data[i] >= '0' && s.data[i] <= '9')
            n = n * 10 + (unsigned) (s.data[i] - '0');
        else
            return true; /* no repetition at all */
        if (n > REPEAT_MAX)
            return false;
    }
    return true;
}

static int check_perl(struct slice p, char *reason, size_t *ret_at) {
    bool in_class = false;

    for (size_t i = 0; i < p.size; i++) {
        uint8_t c = p.data[i];
        struct slice rest = slice_skip(p, i + 1);
        if (c == '\\') {
            if (rest.size && ((rest.data[0] >= '1' && rest.data[0] <= '9') ||
                              strchr("kgGKRXHhVNZ", rest.data[0])))
                return refuse(reason, ret_at, i, "this escape is not in RE2 (no references)");
            i++;
        } else if (in_class) {
            in_class = c != ']';
        } else if (c == '[') {
            in_class = true;
            if (rest.size && rest.data[0] == '^')
                i++;
            if (i + 1 < p.size && p.data[i + 1] == ']')
                i++;
        } else if (c == '(' && rest.size && rest.data[0] == '*') {
            return refuse(reason, ret_at, i, "control verbs are not in RE2");
        } else if (c == '(' && rest.size && rest.data[0] == '?') {
            if (!group_is_known(slice_skip(rest, 1)))
                return refuse(reason, ret_at, i, "this group is not in RE2 (no look-around)");
        } else if ((c == '*' || c == '+' || c == '?') && rest.size && rest.data[0] == '+') {
            return refuse(reason, ret_at, i + 1, "possessive repetition is not in RE2");
        } else if (c == '{' && !repeat_is_small(slice_skip(p, i))) {
            return refuse(reason, ret_at, i, "a repetition of more than 1000");
        }
    }
    return 0;
}

int filter_check_regex(struct slice pattern, char *reason, size_t *ret_at) {
    PCRE2_SIZE at = 0;
    int code = 0;

    *ret_at = 0;
    int r = check_perl(pattern, reason, ret_at);
    if (r < 0)
        return r;
    pcre2_code *compiled = pcre2_compile(pattern.data ? pattern.data : (const uint8_t *) "",
                                         pattern.size, PCRE2_UTF, &code, &at, NULL);
    if (compiled) {
        pcre2_code_free(compiled);
        return 0;
    }
    PCRE2_UCHAR text[120];
    pcre2_get_error_message(code, text, sizeof(text));
    return refuse(reason, ret_at,
                  at < pattern.size ? at
                  : pattern.size    ? pattern.size - 1
                                    : 0,
                  (const char *) text);
}
