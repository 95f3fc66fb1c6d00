/* The table of functions: one row each. Kept sorted by name, which function_find() relies on. */
#include "query/promql/functions_impl.h"

#include <stdio.h>

#define V PROMQL_VECTOR
#define M PROMQL_MATRIX
#define S PROMQL_SCALAR
#define T PROMQL_STRING

#define MAP(name_, fn, help_)                                                                      \
    { .name = name_, .kind = FUNCTION_MAP, .result = V, .args = {V}, .map = fn, .help = help_ }
#define RANGE(name_, fn, help_, ...)                                                               \
    {                                                                                              \
        .name = name_, .kind = FUNCTION_RANGE, .result = V, .args = {M}, .range = fn,              \
        .help = help_, __VA_ARGS__                                                                 \
    }
#define VALUES(name_, result_, fn, help_, ...)                                                     \
    {                                                                                              \
        .name = name_, .kind = FUNCTION_VALUES, .result = result_, .values = fn, .help = help_,    \
        __VA_ARGS__                                                                                \
    }
#define DATE(name_, help_)                                                                         \
    VALUES(name_, V, values_date, help_, .args = {V}, .variadic = 1, .at_unsafe = true)

const struct function function_table[] = {
        MAP("abs", fabs, "Absolute value of each sample."),
        VALUES("absent", V, values_absent,
               "1 where the vector has no sample, with the labels its equality matchers demand; "
               "else "
               "nothing.",
               .args = {V}),
        {.name = "absent_over_time",
         .kind = FUNCTION_NODE,
         .result = V,
         .args = {M},
         .node = eval_absent_over_time,
         .help = "1 where no series has a sample in the range."},
        MAP("acos", acos, "Arc cosine, in radians."),
        MAP("acosh", acosh, "Inverse hyperbolic cosine."),
        MAP("asin", asin, "Arc sine, in radians."),
        MAP("asinh", asinh, "Inverse hyperbolic sine."),
        MAP("atan", atan, "Arc tangent, in radians."),
        MAP("atanh", atanh, "Inverse hyperbolic tangent."),
        RANGE("avg_over_time", range_avg, "Mean of the samples in the range.", 0),
        MAP("ceil", ceil, "Rounded up to the next integer."),
        RANGE("changes", range_changes, "How often the value changed in the range.",
              .anchored_safe = true),
        VALUES("clamp", V, values_clamp, "Each sample limited to [min, max].", .args = {V, S, S}),
        VALUES("clamp_max", V, values_clamp_max, "Each sample limited to at most max.",
               .args = {V, S}),
        VALUES("clamp_min", V, values_clamp_min, "Each sample limited to at least min.",
               .args = {V, S}),
        MAP("cos", cos, "Cosine of radians."),
        MAP("cosh", cosh, "Hyperbolic cosine."),
        RANGE("count_over_time", range_count, "Number of samples in the range.", 0),
        DATE("day_of_month", "Day of the month, 1 to 31, of a time in UTC."),
        DATE("day_of_week", "Day of the week, 0 (Sunday) to 6, of a time in UTC."),
        DATE("day_of_year", "Day of the year, 1 to 366, of a time in UTC."),
        DATE("days_in_month", "Number of days in the month of a time in UTC."),
        MAP("deg", map_deg, "Radians to degrees."),
        RANGE("delta", range_delta, "Difference between the ends of the range of a gauge.",
              .column = column_delta, .anchored_safe = true, .smoothed_safe = true),
        RANGE("deriv", range_deriv, "Slope per second by linear regression.", 0),
        {.name = "double_exponential_smoothing",
         .kind = FUNCTION_RANGE,
         .result = V,
         .args = {M, S, S},
         .experimental = true,
         .range = range_smoothing,
         .help = "Smoothed value after a smoothing factor and a trend factor (Holt)."},
        VALUES("end", S, values_context, "End of the query's range, Unix seconds.",
               .experimental = true, .at_unsafe = true),
        MAP("exp", exp, "e to the power of each sample."),
        RANGE("first_over_time", range_first, "Oldest sample in the range.", .experimental = true,
              .keeps_name = true),
        MAP("floor", floor, "Rounded down to the next integer."),
        VALUES("histogram_avg", V, values_histogram_stat, "Mean of a native histogram.",
               .args = {V}, .stats = true),
        VALUES("histogram_count", V, values_histogram_stat,
               "Number of observations of a native histogram.", .args = {V}, .stats = true),
        VALUES("histogram_fraction", V, values_histogram_fraction,
               "Estimated share of the observations between two bounds.", .args = {S, S, V},
               .buckets = true),
        VALUES("histogram_quantile", V, values_histogram_quantile,
               "Estimated quantile of a native histogram or of classic buckets.", .args = {S, V},
               .buckets = true),
        VALUES("histogram_quantiles", V, values_histogram_quantiles,
               "Several estimated quantiles at once, told apart by a label.", .args = {V, T, S, S},
               .variadic = -1, .experimental = true, .buckets = true),
        VALUES("histogram_stddev", V, values_histogram_stat,
               "Estimated standard deviation of a native histogram.", .args = {V}),
        VALUES("histogram_stdvar", V, values_histogram_stat,
               "Estimated variance of a native histogram.", .args = {V}),
        VALUES("histogram_sum", V, values_histogram_stat,
               "Sum of the observations of a native histogram.", .args = {V}, .stats = true),
        DATE("hour", "Hour, 0 to 23, of a time in UTC."),
        RANGE("idelta", range_idelta, "Difference of the newest two samples.", 0),
        RANGE("increase", range_increase, "How much a counter rose in the range.",
              .column = column_increase, .anchored_safe = true, .smoothed_safe = true,
              .counters = true),
        {.name = "info",
         .kind = FUNCTION_NODE,
         .result = V,
         .args = {V, V},
         .variadic = 1,
         .experimental = true,
         .node = node_info,
         .help = "Adds the labels of info metrics (target_info) of the same job and instance."},
        RANGE("irate", range_irate, "Rise per second between the newest two samples.", 0),
        VALUES("label_join", V, values_label_join, "Joins the values of labels into another label.",
               .args = {V, T, T, T}, .variadic = -1),
        VALUES("label_replace", V, values_label_replace,
               "Sets a label from another one by a regular expression.", .args = {V, T, T, T, T}),
        RANGE("last_over_time", range_last, "Newest sample in the range.", .keeps_name = true),
        MAP("ln", log, "Natural logarithm."),
        MAP("log10", log10, "Decimal logarithm."),
        MAP("log2", log2, "Binary logarithm."),
        RANGE("mad_over_time", range_mad, "Median of the absolute deviations from the median.",
              .experimental = true),
        VALUES("max_of", S, values_max_of, "The larger of two scalars.", .args = {S, S},
               .experimental = true),
        RANGE("max_over_time", range_max, "Largest sample in the range.", 0),
        VALUES("min_of", S, values_min_of, "The smaller of two scalars.", .args = {S, S},
               .experimental = true),
        RANGE("min_over_time", range_min, "Smallest sample in the range.", 0),
        DATE("minute", "Minute, 0 to 59, of a time in UTC."),
        DATE("month", "Month, 1 to 12, of a time in UTC."),
        VALUES("pi", S, values_pi, "The number pi.", 0),
        {.name = "predict_linear",
         .kind = FUNCTION_RANGE,
         .result = V,
         .args = {M, S},
         .at_unsafe = true,
         .range = range_predict_linear,
         .help = "Value in so many seconds, by linear regression."},
        RANGE("present_over_time", range_present, "1 for each series with a sample in the range.",
              0),
        {.name = "quantile_over_time",
         .kind = FUNCTION_RANGE,
         .result = V,
         .args = {S, M},
         .range = range_quantile,
         .help = "Quantile of the samples in the range."},
        MAP("rad", map_rad, "Degrees to radians."),
        VALUES("range", S, values_context, "Length of the query's range in seconds.",
               .experimental = true, .at_unsafe = true),
        RANGE("rate", range_rate, "Rise of a counter per second, over the range.",
              .column = column_rate, .anchored_safe = true, .smoothed_safe = true,
              .counters = true),
        RANGE("resets", range_resets, "How often a counter began anew in the range.",
              .anchored_safe = true),
        VALUES("round", V, values_round, "Rounded to the nearest multiple (of 1).", .args = {V, S},
               .variadic = 1),
        VALUES("scalar", S, values_scalar, "The value of the only series, else NaN.", .args = {V}),
        MAP("sgn", map_sgn, "Sign: -1, 0 or 1."),
        MAP("sin", sin, "Sine of radians."),
        MAP("sinh", sinh, "Hyperbolic sine."),
        VALUES("sort", V, values_sort, "Sorted by value, ascending.", .args = {V}),
        VALUES("sort_by_label", V, values_sort_by_label, "Sorted by labels in natural order.",
               .args = {V, T}, .variadic = -1, .experimental = true),
        VALUES("sort_by_label_desc", V, values_sort_by_label,
               "Sorted by labels in natural order, descending.", .args = {V, T}, .variadic = -1,
               .experimental = true),
        VALUES("sort_desc", V, values_sort, "Sorted by value, descending.", .args = {V}),
        MAP("sqrt", sqrt, "Square root."),
        VALUES("start", S, values_context, "Start of the query's range, Unix seconds.",
               .experimental = true, .at_unsafe = true),
        {.name = "start_timestamp",
         .kind = FUNCTION_NODE,
         .result = V,
         .args = {V},
         .experimental = true,
         .node = node_start_timestamp,
         .help = "When the counter of each sample began, Unix seconds."},
        RANGE("stddev_over_time", range_stddev, "Standard deviation of the samples in the range.",
              0),
        RANGE("stdvar_over_time", range_stdvar, "Variance of the samples in the range.", 0),
        VALUES("step", S, values_context, "Step of the query in seconds.", .experimental = true,
               .at_unsafe = true),
        RANGE("sum_over_time", range_sum, "Sum of the samples in the range.", 0),
        MAP("tan", tan, "Tangent of radians."),
        MAP("tanh", tanh, "Hyperbolic tangent."),
        VALUES("time", S, values_time, "Time of the evaluation, Unix seconds.", .at_unsafe = true),
        {.name = "timestamp",
         .kind = FUNCTION_NODE,
         .result = V,
         .args = {V},
         .at_unsafe = true,
         .node = node_timestamp,
         .help = "Time of each sample, Unix seconds."},
        RANGE("ts_of_first_over_time", range_ts_of_first, "Time of the oldest sample in the range.",
              .experimental = true),
        RANGE("ts_of_last_over_time", range_ts_of_last, "Time of the newest sample in the range.",
              .experimental = true),
        RANGE("ts_of_max_over_time", range_ts_of_max,
              "Time of the last largest sample in the range.", .experimental = true),
        RANGE("ts_of_min_over_time", range_ts_of_min,
              "Time of the last smallest sample in the range.", .experimental = true),
        VALUES("vector", V, values_vector, "The scalar as a vector without labels.", .args = {S}),
        DATE("year", "Year of a time in UTC."),
};
const size_t function_table_size = sizeof(function_table) / sizeof(function_table[0]);

const struct function *function_find(struct slice name) {
    size_t low = 0, high = function_table_size;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = slice_compare(slice_from(function_table[mid].name), name);

        if (c == 0)
            return &function_table[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* ---- For people. ---- */

#define SIGNATURE_MAX 120u

static const char *const aggregate_help[AGG_COUNT_OF] = {
        "Sum over the group.",
        "Mean over the group.",
        "Number of series in the group.",
        "Smallest value of the group.",
        "Largest value of the group.",
        "1 for each group.",
        "Standard deviation over the group.",
        "Variance over the group.",
        "The k series with the largest values.",
        "The k series with the smallest values.",
        "Number of series per value, the value as a label.",
        "Quantile over the group.",
        "Any k series of the group.",
        "The given share of the series, chosen by their labels.",
};

static void write_signature(const struct function *f, char *text) {
    static const char *const names[] = {"", "scalar", "vector", "range", "string"};
    size_t at = 0;

    for (size_t i = 0; i < FUNCTION_ARGS_MAX && f->args[i] && at < SIGNATURE_MAX; i++) {
        bool last = i + 1 == FUNCTION_ARGS_MAX || !f->args[i + 1];
        const char *more = last && f->variadic < 0 ? "…" : last && f->variadic > 0 ? "?" : "";

        at += (size_t) snprintf(text + at, SIGNATURE_MAX - at, "%s%s%s", i ? ", " : "",
                                names[f->args[i]], more);
    }
}

const struct promql_function_info *promql_functions(size_t *ret_n) {
    static struct promql_function_info infos[128];
    static char signatures[128][SIGNATURE_MAX];
    static _Atomic int state; /* 0 empty, 1 being filled, 2 filled */
    int expected = 0;

    *ret_n = function_table_size + AGG_COUNT_OF;
    if (atomic_compare_exchange_strong(&state, &expected, 1)) {
        for (size_t i = 0; i < function_table_size; i++) {
            const struct function *f = &function_table[i];

            write_signature(f, signatures[i]);
            infos[i] =
                    (struct promql_function_info){f->name, signatures[i], f->help, f->experimental};
        }
        for (size_t i = 0; i < AGG_COUNT_OF; i++)
            infos[function_table_size + i] = (struct promql_function_info){
                    aggregate_names[i],
                    aggregate_has_param((enum aggregate_op) i) ? "parameter, vector" : "vector",
                    aggregate_help[i], i == AGG_LIMITK || i == AGG_LIMIT_RATIO};
        atomic_store(&state, 2);
    }
    while (atomic_load(&state) != 2)
        ;
    return infos;
}
_Static_assert(sizeof(function_table) / sizeof(function_table[0]) + AGG_COUNT_OF <= 128,
               "room for the descriptions of all functions");
