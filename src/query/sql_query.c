/* SQL of a person: one statement that reads, in a format that is text. The store keeps it from
 * writing, from files and from the network; what is checked here is what the answer may look like.
 * Any thread. */
#include "query/internal.h"

#define SQL_TEXT_MAX ((size_t) 64 << 10)
#define SQL_ROWS_MAX 100000u

static const char *const formats[] = {"JSON",
                                      "JSONCompact",
                                      "JSONEachRow",
                                      "JSONCompactEachRow",
                                      "JSONStrings",
                                      "PrettyCompact",
                                      "Pretty",
                                      "PrettyCompactMonoBlock",
                                      "PrettySpace",
                                      "TSV",
                                      "TabSeparated",
                                      "TSVWithNames",
                                      "TabSeparatedWithNames",
                                      "CSV",
                                      "CSVWithNames",
                                      "Vertical",
                                      "Markdown",
                                      "Values",
                                      "Null"};

static bool is_format(const char *format) {
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (strcmp(formats[i], format) == 0)
            return true;
    return false;
}

int query_sql(struct query *q, struct slice sql, const char *format, struct buffer *ret) {
    sql = slice_trim(sql);
    while (sql.size && sql.data[sql.size - 1] == ';')
        sql = slice_trim(slice_take(sql, sql.size - 1));
    if (!is_format(format))
        return error_set(q->error, -EINVAL, "format: there is no %.40s; try PrettyCompact or JSON",
                         format);
    if (sql.size == 0 || sql.size > SQL_TEXT_MAX)
        return error_set(q->error, -EINVAL,
                         sql.size ? "query: more than %zu bytes"
                                  : "query: it is empty (at most %zu bytes)",
                         SQL_TEXT_MAX);
    if (!slice_is_utf8(sql) || slice_find_byte(sql, 0) >= 0)
        return error_set(q->error, -EINVAL, "query: not UTF-8 text");
    struct slice text = query_dup(q, sql);
    if (!text.data)
        return -ENOMEM;
    int r = query_goes_on(q);
    if (r < 0)
        return r;
    struct store_limits limits = {.timeout_ns = q->deadline_ns - clock_monotonic_ns(),
                                  .rows_max = SQL_ROWS_MAX,
                                  .result_bytes_max = QUERY_ANSWER_BYTES,
                                  .cancel = q->cancel};
    return store_query(q->store, (const char *) text.data, NULL, 0, format, &limits, ret, q->error);
}
