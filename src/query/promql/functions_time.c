/* Functions of time: calendar fields, time(), timestamp(), and the query's own start, end, step,
 * range. */
#include "query/promql/functions_impl.h"

#include <errno.h>

/* Days since 1970 → civil date, proleptic Gregorian (days_from_civil's inverse, by eras of 400
 * years). */
static void civil(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;

    *ret_day = (int) (of_year - (153 * month + 2) / 5 + 1);
    *ret_month = (int) (month < 10 ? month + 3 : month - 9);
    *ret_year = year + era * 400 + (*ret_month <= 2);
}

static bool leap(int64_t year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

enum date_field {
    DATE_MINUTE,
    DATE_HOUR,
    DATE_DAY_OF_WEEK,
    DATE_DAY_OF_MONTH,
    DATE_DAY_OF_YEAR,
    DATE_DAYS_IN_MONTH,
    DATE_MONTH,
    DATE_YEAR
};

static double date_field(enum date_field field, double seconds) {
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year, t, days, rest;
    int month, day;

    if (!(fabs(seconds) < 1e15))
        return NAN; /* beyond any calendar */
    t = (int64_t) seconds;
    days = t / 86400 - (t % 86400 < 0);
    rest = t - days * 86400;
    civil(days, &year, &month, &day);
    switch (field) {
    case DATE_MINUTE: return (double) (rest / 60 % 60);
    case DATE_HOUR: return (double) (rest / 3600);
    case DATE_DAY_OF_WEEK: return (double) (((days + 4) % 7 + 7) % 7);
    case DATE_DAY_OF_MONTH: return day;
    case DATE_DAY_OF_YEAR: return before[month - 1] + day + (month > 2 && leap(year));
    case DATE_DAYS_IN_MONTH: return length[month - 1] + (month == 2 && leap(year));
    case DATE_MONTH: return month;
    case DATE_YEAR: return (double) year;
    }
    return 0;
}

static enum date_field field_of(const char *name) {
    static const char *const names[] = {"minute",       "hour",        "day_of_week",
                                        "day_of_month", "day_of_year", "days_in_month",
                                        "month",        "year"};
    int i = 0;

    while (i < 7 && strcmp(names[i], name) != 0)
        i++;
    return (enum date_field) i;
}

VALUES_FUNCTION(values_date) {
    enum date_field field = field_of(call->call.function->name);

    if (n_args == 0) {
        struct series *s = vector_add(e, &ret->vector, g, &promql_no_labels, false);

        if (!s)
            return -ENOMEM;
        for (size_t k = 0; k < g->n; k++)
            s->v[k] = date_field(field, floor((double) grid_at(g, k) / 1000));
        return 0;
    }
    *ret = args[0];
    for (size_t i = 0; i < ret->vector.n; i++) {
        struct series *s = &ret->vector.items[i];

        s->drop_name = true;
        s->h = NULL;
        for (size_t k = 0; k < g->n; k++)
            if (!is_absent(s->v[k]))
                s->v[k] = date_field(field, s->v[k]);
    }
    return eval_tick(e, ret->vector.n * g->n);
}

VALUES_FUNCTION(values_time) {
    ret->scalar = column_new(e, g->n, 0);
    if (!ret->scalar)
        return -ENOMEM;
    for (size_t k = 0; k < g->n; k++)
        ret->scalar[k] = (double) grid_at(g, k) / 1000;
    return 0;
}

VALUES_FUNCTION(values_context) {
    const char *name = call->call.function->name;
    int64_t ms = 0;

    if (strcmp(name, "start") == 0)
        ms = e->grid.start;
    else if (strcmp(name, "end") == 0)
        ms = e->end_ms;
    else if (strcmp(name, "range") == 0)
        ms = e->end_ms - e->grid.start;
    else
        ms = e->range ? e->grid.step : 0;
    ret->scalar = column_new(e, g->n, (double) ms / 1000);
    return ret->scalar ? 0 : -ENOMEM;
}

/* The time of the samples themselves for a selector, of the steps for anything else. */
NODE_FUNCTION(node_timestamp) {
    const struct node *arg = node_strip(call->call.args[0]);
    int r;

    if (arg->kind == NODE_SELECTOR && !arg->selector.smoothed)
        r = eval_selector(e, arg, g, SELECT_TIMES, ret);
    else
        r = eval_node(e, arg, g, ret);
    for (size_t i = 0; r == 0 && i < ret->vector.n; i++) {
        struct series *s = &ret->vector.items[i];

        s->drop_name = true;
        if (arg->kind == NODE_SELECTOR && !arg->selector.smoothed)
            continue;
        for (size_t k = 0; k < g->n; k++)
            if (series_has(s, k))
                s->v[k] = (double) grid_at(g, k) / 1000;
        s->h = NULL;
    }
    return r;
}

/* Known for the samples of a selector only. */
NODE_FUNCTION(node_start_timestamp) {
    const struct node *arg = node_strip(call->call.args[0]);
    int r;

    if (arg->kind != NODE_SELECTOR) {
        r = eval_node(e, arg, g, ret);
        ret->vector.n = 0;
        return r;
    }
    r = eval_selector(e, arg, g, SELECT_START_TIMES, ret);
    for (size_t i = 0; r == 0 && i < ret->vector.n; i++)
        ret->vector.items[i].drop_name = true;
    return r;
}
