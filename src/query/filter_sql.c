/*
 * Compiling a filter to a SQL condition. Column names come from the field table alone; keys and
 * values reach the engine as bound parameters. Every condition is 0 or 1, never NULL, so that NOT
 * is exact: a record without the key matches `key!=value`. Memory of the statement's arena; any
 * thread.
 */
#include "query/filter_parser.h"

#include "base/clock.h"
#include "query/filter_fields.h"
#include "wire/json.h"

#include <math.h>

static const char *const comparisons[] = {[OP_EQ] = " = ",  [OP_NE] = " != ", [OP_GT] = " > ",
                                          [OP_GE] = " >= ", [OP_LT] = " < ",  [OP_LE] = " <= "};

/* The pattern of a wildcard value, as LIKE has it. */
static void add_like(struct sql *s, struct slice value) {
    struct buffer like;

    buffer_init(&like, 2 * FILTER_VALUE_BYTES_MAX);
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        if (c == '%' || c == '_' || c == '\\')
            buffer_append_u8(&like, '\\');
        buffer_append_u8(&like, c == '*' ? '%' : c);
    }
    sql_add(s, " LIKE ");
    if (like.failed)
        s->failed = like.failed;
    else
        sql_string(s, buffer_slice(&like));
    buffer_done(&like);
}

/* `like` as it stands within LIKE '%…%', letters made small. */
static void add_contains(struct sql *s, struct slice text) {
    struct buffer like;

    buffer_init(&like, 2 * FILTER_VALUE_BYTES_MAX + 2);
    buffer_append_u8(&like, '%');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '%' || c == '_' || c == '\\')
            buffer_append_u8(&like, '\\');
        buffer_append_u8(&like, c);
    }
    buffer_append_u8(&like, '%');
    if (like.failed)
        s->failed = like.failed;
    else
        sql_string(s, buffer_slice(&like));
    buffer_done(&like);
}

/* `expression` is the SQL of a String. */
static void text_equals(struct sql *s, const char *expression, const struct filter_value *v) {
    sql_add(s, expression);
    if (value_is_pattern(v)) {
        add_like(s, v->text);
    } else {
        sql_add(s, " = ");
        sql_string(s, v->text);
    }
}

/* attributes['key'], with the key bound. */
static void add_attribute(struct sql *s, struct slice key) {
    sql_add(s, "attributes[");
    sql_string(s, key);
    sql_add(s, "]");
}

/* Written with a point or an exponent, a number is equal by value, not by its text. */
static bool is_number_literal(const struct filter_value *v, double *ret) {
    bool marked = false;

    if (v->quoted || !value_number(v->text, ret))
        return false;
    for (size_t i = 0; i < v->text.size; i++)
        marked = marked || !strchr("0123456789-", v->text.data[i]);
    return marked;
}

static void attribute_compare(struct sql *s, struct slice key, enum filter_op op,
                              const struct filter_value *v) {
    double number;

    if (op == OP_EQ && !is_number_literal(v, &number)) {
        add_attribute(s, key);
        if (value_is_pattern(v)) {
            add_like(s, v->text);
        } else {
            sql_add(s, " = ");
            sql_string(s, v->text);
            if (v->text.size == 0) { /* '' is what an absent key gives */
                sql_add(s, " AND mapContains(attributes, ");
                sql_string(s, key);
                sql_add(s, ")");
            }
        }
    } else if (op == OP_MATCH) {
        sql_add(s, "match(");
        add_attribute(s, key);
        sql_add(s, ", ");
        sql_string(s, v->text);
        sql_add(s, ")");
    } else if (value_number(v->text, &number)) {
        sql_add(s, "ifNull(toFloat64OrNull(");
        add_attribute(s, key);
        sql_add(s, ")");
        sql_add(s, comparisons[op]);
        sql_double(s, number);
        sql_add(s, ", 0)");
    } else {
        s->failed = -EINVAL; /* the checker has refused it */
    }
}

static void level_compare(struct sql *s, const char *column, enum filter_op op,
                          const struct filter_value *v) {
    const struct filter_name *level = filter_name_find(filter_levels, v->text);

    if (!level) {
        s->failed = -EINVAL;
        return;
    }
    switch (op) {
    case OP_GT: sql_addf(s, "%s > %u", column, level->high); break;
    case OP_GE: sql_addf(s, "%s >= %u", column, level->low); break;
    case OP_LT: sql_addf(s, "%s < %u", column, level->low); break;
    case OP_LE: sql_addf(s, "%s <= %u", column, level->high); break;
    default: sql_addf(s, "%s BETWEEN %u AND %u", column, level->low, level->high); break;
    }
}

static void id_equals(struct sql *s, const char *column, size_t size, struct slice hex) {
    sql_addf(s, "%s = toFixedString(unhex(", column);
    sql_string(s, hex);
    sql_addf(s, "), %zu)", size);
}

static void number_compare(struct sql *s, const char *column, enum filter_op op,
                           const struct filter_value *v) {
    double number;

    if (op == OP_MATCH || value_is_pattern(v)) {
        sql_addf(s,
                 op == OP_MATCH ? "%s != 0 AND match(toString(%s), " : "%s != 0 AND toString(%s)",
                 column, column);
        if (op == OP_MATCH) {
            sql_string(s, v->text);
            sql_add(s, ")");
        } else {
            add_like(s, v->text);
        }
    } else if (value_number(v->text, &number)) {
        sql_addf(s, "%s != 0 AND %s%s", column, column, comparisons[op]);
        /* A whole number is compared as one, so that indexes help. */
        if (number == floor(number) && fabs(number) < 1e15)
            sql_i64(s, (int64_t) number);
        else
            sql_double(s, number);
    } else {
        s->failed = -EINVAL;
    }
}

/* Columns and attributes of `resources`: a set of ids, small beside the spans. */
static void resource_open(struct sql *s) {
    sql_add(s, "resource_id IN (SELECT id FROM resources WHERE ");
}

static void text_compare(struct sql *s, const char *expression, enum filter_op op,
                         const struct filter_value *v) {
    if (op == OP_MATCH) {
        sql_addf(s, "match(%s, ", expression);
        sql_string(s, v->text);
        sql_add(s, ")");
    } else {
        text_equals(s, expression, v);
    }
}

static void field_compare(struct sql *s, const struct filter_field *f, const char *column,
                          enum filter_op op, const struct filter_value *v) {
    const struct filter_name *name;
    int64_t ns;
    bool flag;

    switch (f->type) {
    case FIELD_TEXT: text_compare(s, column, op, v); break;
    case FIELD_RESOURCE:
        resource_open(s);
        text_compare(s, column, op, v);
        sql_add(s, ")");
        break;
    case FIELD_RESOURCE_ATTR:
        resource_open(s);
        attribute_compare(s, slice_from(column), op, v);
        sql_add(s, ")");
        break;
    case FIELD_NUMBER: number_compare(s, column, op, v); break;
    case FIELD_DURATION:
        if (duration_parse(v->text, &ns) < 0)
            s->failed = -EINVAL;
        sql_addf(s, "%s%s", column, comparisons[op]);
        sql_i64(s, ns);
        break;
    case FIELD_KIND:
    case FIELD_STATUS:
        name = filter_name_find(filter_field_names(f), v->text);
        if (!name)
            s->failed = -EINVAL;
        else
            sql_addf(s, "%s = %u", column, name->low);
        break;
    case FIELD_LEVEL: level_compare(s, column, op, v); break;
    case FIELD_TRACE_ID:
    case FIELD_SPAN_ID: id_equals(s, column, f->type == FIELD_TRACE_ID ? 16 : 8, v->text); break;
    case FIELD_FLAG:
        if (!value_flag(v->text, &flag))
            s->failed = -EINVAL;
        sql_addf(s, flag ? "%s" : "NOT (%s)", column);
        break;
    }
}

/* One key, one value; negative operators are the negation of the positive ones. */
static int compare(struct sql *s, const struct filter_key *k, enum filter_target target,
                   enum filter_op op, const struct filter_value *v) {
    bool negative = op == OP_NE || op == OP_NOT_MATCH;

    if (negative) {
        op = op == OP_NE ? OP_EQ : OP_MATCH;
        sql_add(s, "NOT (");
    }
    if (k->kind == KEY_FIELD) {
        const char *column = filter_field_sql(k->field, target);
        if (!column)
            return -EOPNOTSUPP;
        field_compare(s, k->field, column, op, v);
    } else if (target == TARGET_RED) {
        return -EOPNOTSUPP;
    } else {
        if (k->kind == KEY_RESOURCE)
            resource_open(s);
        attribute_compare(s, k->name, op, v);
        if (k->kind == KEY_RESOURCE)
            sql_add(s, ")");
    }
    if (negative)
        sql_add(s, ")");
    return s->failed;
}

/* The values as one parameter, a JSON array: the number of parameters of a query is limited. */
static void add_list(struct sql *s, const struct filter *f) {
    struct buffer list;

    buffer_init(&list, 8 * FILTER_BYTES_MAX);
    struct json_writer w = json_writer(&list);
    json_begin_array(&w);
    for (size_t i = 0; i < f->n_values; i++)
        json_put_string(&w, f->values[i].text);
    json_end_array(&w);
    sql_add(s, " IN JSONExtract(");
    if (list.failed)
        s->failed = list.failed;
    else
        sql_string(s, buffer_slice(&list));
    sql_add(s, ", 'Array(String)')");
    buffer_done(&list);
}

/* Plain texts of a column or attribute go into one IN. */
static int compile_in(const struct filter *f, enum filter_target target, struct sql *s) {
    const struct filter_field *field = f->key.field;
    bool plain = field ? field->type == FIELD_TEXT : true;
    int r = 0;

    for (size_t i = 0; i < f->n_values && plain; i++) {
        double number;
        plain = !value_is_pattern(&f->values[i]) && f->values[i].text.size > 0 &&
                (field || !is_number_literal(&f->values[i], &number));
    }
    if (f->negated)
        sql_add(s, "NOT (");
    if (plain && (field ? filter_field_sql(field, target) != NULL : target != TARGET_RED)) {
        if (f->key.kind == KEY_RESOURCE)
            resource_open(s);
        if (field)
            sql_add(s, filter_field_sql(field, target));
        else
            add_attribute(s, f->key.name);
        add_list(s, f);
        if (f->key.kind == KEY_RESOURCE)
            sql_add(s, ")");
    } else {
        for (size_t i = 0; i < f->n_values && r == 0; i++) {
            sql_add(s, i ? " OR (" : "(");
            r = compare(s, &f->key, target, OP_EQ, &f->values[i]);
            sql_add(s, ")");
        }
    }
    if (f->negated)
        sql_add(s, ")");
    return r;
}

static int compile_exists(const struct filter_key *k, enum filter_target target, struct sql *s) {
    if (k->kind == KEY_FIELD) {
        const char *column = filter_field_sql(k->field, target);
        if (!column)
            return -EOPNOTSUPP;
        switch (k->field->type) {
        case FIELD_TEXT: sql_addf(s, "%s != ''", column); break;
        case FIELD_NUMBER:
        case FIELD_LEVEL: sql_addf(s, "%s != 0", column); break;
        case FIELD_TRACE_ID: sql_addf(s, "%s != toFixedString('', 16)", column); break;
        case FIELD_SPAN_ID: sql_addf(s, "%s != toFixedString('', 8)", column); break;
        case FIELD_RESOURCE:
            resource_open(s);
            sql_addf(s, "%s != '')", column);
            break;
        case FIELD_RESOURCE_ATTR:
            resource_open(s);
            sql_add(s, "mapContains(attributes, ");
            sql_string(s, slice_from(column));
            sql_add(s, "))");
            break;
        default: sql_add(s, "1"); break;
        }
        return 0;
    }
    if (target == TARGET_RED)
        return -EOPNOTSUPP;
    if (k->kind == KEY_RESOURCE)
        resource_open(s);
    sql_add(s, "mapContains(attributes, ");
    sql_string(s, k->name);
    sql_add(s, k->kind == KEY_RESOURCE ? "))" : ")");
    return 0;
}

/* Text anywhere: in a line's body, or in a span's name, attributes, message and events. Letter case
 * does not matter. */
static int compile_text(struct slice text, enum filter_target target, struct sql *s) {
    if (target == TARGET_RED)
        return -EOPNOTSUPP;
    if (target == TARGET_LOGS) {
        sql_add(s, "body ILIKE ");
        add_contains(s, text);
        return 0;
    }
    sql_add(s, "name ILIKE ");
    add_contains(s, text);
    sql_add(s, " OR status_message ILIKE ");
    add_contains(s, text);
    sql_add(s, " OR arrayExists(v -> v ILIKE ");
    add_contains(s, text);
    sql_add(s, ", mapValues(attributes)) OR events ILIKE ");
    add_contains(s, text);
    return 0;
}

static int compile(const struct filter *f, enum filter_target target, struct sql *s) {
    int r = 0;

    sql_add(s, f->kind == FILTER_NOT ? "NOT (" : "(");
    switch (f->kind) {
    case FILTER_AND:
    case FILTER_OR:
        for (size_t i = 0; i < f->n_children && r == 0; i++) {
            if (i)
                sql_add(s, f->kind == FILTER_AND ? " AND " : " OR ");
            r = compile(f->children[i], target, s);
        }
        break;
    case FILTER_NOT: r = compile(f->children[0], target, s); break;
    case FILTER_COMPARE: r = compare(s, &f->key, target, f->op, &f->values[0]); break;
    case FILTER_IN: r = compile_in(f, target, s); break;
    case FILTER_EXISTS: r = compile_exists(&f->key, target, s); break;
    case FILTER_TEXT: r = compile_text(f->values[0].text, target, s); break;
    }
    sql_add(s, ")");
    return r < 0 ? r : s->failed;
}

/* Whether only records with the attribute can match. */
static bool needs_attribute(const struct filter *f) {
    if (f->key.kind != KEY_ATTRIBUTE)
        return false;
    return f->kind == FILTER_EXISTS || (f->kind == FILTER_IN && !f->negated) ||
           (f->kind == FILTER_COMPARE && f->op != OP_NE && f->op != OP_NOT_MATCH &&
            /* what fits the empty text fits an absent key too */
            f->op != OP_MATCH && !(value_is_pattern(&f->values[0]) && f->values[0].text.size == 1));
}

static bool has_empty_value(const struct filter *f) {
    for (size_t i = 0; i < f->n_values; i++)
        if (f->values[i].text.size == 0 || value_is_pattern(&f->values[i]))
            return true;
    return false;
}

static void add_needed(struct sql *s, const struct filter *f, bool *first) {
    if (!needs_attribute(f) || has_empty_value(f))
        return;
    sql_add(s, *first ? " PREWHERE has(attributes.keys, " : " AND has(attributes.keys, ");
    sql_string(s, f->key.name);
    sql_add(s, ")");
    *first = false;
}

void filter_compile_prewhere(const struct filter *f, struct sql *out) {
    bool first = true;

    if (f && f->kind == FILTER_AND)
        for (size_t i = 0; i < f->n_children; i++)
            add_needed(out, f->children[i], &first);
    else if (f)
        add_needed(out, f, &first);
}

int filter_compile(const struct filter *f, enum filter_target target, struct sql *out) {
    if (f)
        return compile(f, target, out);
    sql_add(out, "1");
    return out->failed;
}

static bool key_fits_red(const struct filter_key *k) {
    return k->kind == KEY_FIELD && k->field->red;
}

bool filter_fits_red(const struct filter *f) {
    if (!f)
        return true;
    if (f->kind == FILTER_TEXT)
        return false;
    if (f->kind == FILTER_COMPARE || f->kind == FILTER_IN || f->kind == FILTER_EXISTS)
        return key_fits_red(&f->key);
    for (size_t i = 0; i < f->n_children; i++)
        if (!filter_fits_red(f->children[i]))
            return false;
    return true;
}

/* The names of a table's rows in one transform(), so that a number reads as the language writes it.
 */
static void names_sql(struct sql *s, const char *column, const struct filter_name *names) {
    sql_addf(s, "multiIf(");
    for (const struct filter_name *n = names; n->name; n++)
        sql_addf(s, "%s BETWEEN %u AND %u, '%s', ", column, n->low, n->high, n->name);
    sql_add(s, "'')");
}

/* The value of a resource's column or attribute, found by resource_id in a constant table. */
static void resource_text_sql(struct sql *s, const struct filter_key *k, const char *column) {
    bool is_column = k->kind == KEY_FIELD && k->field->type == FIELD_RESOURCE;

    sql_add(s, "transform(resource_id");
    for (int part = 1; part <= 2; part++) {
        sql_add(s, ", tupleElement((SELECT (groupArray(id), groupArray(v)) FROM (SELECT id, any(");
        if (is_column)
            sql_addf(s, "toString(%s)", column);
        else
            add_attribute(s, k->kind == KEY_RESOURCE ? k->name : slice_from(column));
        sql_addf(s, ") AS v FROM resources GROUP BY id ORDER BY id LIMIT 10000)), %d)", part);
    }
    sql_add(s, ", '')");
}

int filter_key_text_sql(const struct filter_key *k, enum filter_target target, struct sql *s) {
    const char *column = k->kind == KEY_FIELD ? filter_field_sql(k->field, target) : NULL;

    if (k->kind != KEY_FIELD) {
        if (target == TARGET_RED)
            return -EOPNOTSUPP;
        if (k->kind == KEY_RESOURCE)
            resource_text_sql(s, k, NULL);
        else
            add_attribute(s, k->name);
        return s->failed;
    }
    if (!column)
        return -EOPNOTSUPP;
    switch (k->field->type) {
    case FIELD_TEXT: sql_addf(s, "toString(%s)", column); break;
    case FIELD_NUMBER: sql_addf(s, "if(%s = 0, '', toString(%s))", column, column); break;
    case FIELD_DURATION: sql_addf(s, "toString(%s)", column); break;
    case FIELD_KIND:
    case FIELD_STATUS:
    case FIELD_LEVEL: names_sql(s, column, filter_field_names(k->field)); break;
    case FIELD_TRACE_ID:
    case FIELD_SPAN_ID: sql_addf(s, "lower(hex(%s))", column); break;
    case FIELD_FLAG: sql_addf(s, "if(%s, 'true', 'false')", column); break;
    case FIELD_RESOURCE:
    case FIELD_RESOURCE_ATTR: resource_text_sql(s, k, column); break;
    }
    return s->failed;
}
