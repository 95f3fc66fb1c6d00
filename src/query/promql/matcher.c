/* Label matchers: one value against one of them. Any thread. */
#include "base/regex.h"
#include "query/promql/promql.h"

int promql_matcher_test(const struct promql_matcher *m, struct slice value) {
    int r;

    switch (m->type) {
    case PROMQL_EQUAL: return slice_equal(m->value, value);
    case PROMQL_NOT_EQUAL: return !slice_equal(m->value, value);
    case PROMQL_REGEX: return regex_match(m->regex, value);
    case PROMQL_NOT_REGEX: r = regex_match(m->regex, value); return r < 0 ? r : !r;
    }
    return 0;
}
