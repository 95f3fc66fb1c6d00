/* The filter language's canonical text, and comparing two trees. Pure: any thread. */
#include "query/filter_parser.h"

#include "query/filter_fields.h"

static const char *const operators[] = {"=", "!=", ">", ">=", "<", "<=", "~", "!~"};

static void print_quoted(struct slice text, struct buffer *out) {
    buffer_append_u8(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\')
            buffer_append_u8(out, '\\');
        if (c == '\n' || c == '\t' || c == '\r')
            buffer_append_text(out, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
        else
            buffer_append_u8(out, c);
    }
    buffer_append_u8(out, '"');
}

static void print_name(struct slice name, struct buffer *out) {
    if (scan_is_plain_key(name))
        buffer_append_slice(out, name);
    else
        print_quoted(name, out);
}

int filter_print_key(const struct filter_key *k, struct buffer *out) {
    switch (k->kind) {
    case KEY_FIELD: buffer_append_text(out, k->field->name); break;
    case KEY_RESOURCE:
        buffer_append_text(out, "resource.");
        print_name(k->name, out);
        break;
    case KEY_ATTRIBUTE:
        if (!scan_is_plain_key(k->name) || scan_is_keyword(k->name) ||
            filter_field_find(k->signal, k->name) || filter_field_near(k->signal, k->name) ||
            slice_starts(k->name, SLICE("resource.")))
            buffer_append_u8(out, '@');
        print_name(k->name, out);
        break;
    }
    return out->failed;
}

/* Bare when reading it back gives the same value, else in quotes. */
static void print_value(const struct filter_value *v, struct buffer *out) {
    bool bare = v->text.size > 0 && (!v->quoted || slice_find_byte(v->text, '*') < 0);

    for (size_t i = 0; bare && i < v->text.size; i++) {
        uint8_t c = v->text.data[i];
        bare = !strchr(" \t\n\r(),\"'", c);
    }
    /* What could be read as a part of the operator stands apart from it. */
    if (bare && strchr("=~<>!", v->text.data[0]))
        buffer_append_u8(out, ' ');
    if (bare)
        buffer_append_slice(out, v->text);
    else
        print_quoted(v->text, out);
}

static void print(const struct filter *f, bool inside, struct buffer *out) {
    switch (f->kind) {
    case FILTER_AND:
    case FILTER_OR:
        if (inside)
            buffer_append_u8(out, '(');
        for (size_t i = 0; i < f->n_children; i++) {
            if (i)
                buffer_append_text(out, f->kind == FILTER_AND ? " AND " : " OR ");
            /* AND binds closer: an AND inside an OR needs no parentheses. */
            print(f->children[i], f->kind == FILTER_AND, out);
        }
        if (inside)
            buffer_append_u8(out, ')');
        break;
    case FILTER_NOT:
        buffer_append_text(out, "NOT ");
        print(f->children[0], true, out);
        break;
    case FILTER_COMPARE:
        filter_print_key(&f->key, out);
        buffer_append_text(out, operators[f->op]);
        print_value(&f->values[0], out);
        break;
    case FILTER_IN:
        filter_print_key(&f->key, out);
        buffer_append_text(out, f->negated ? " NOT IN (" : " IN (");
        for (size_t i = 0; i < f->n_values; i++) {
            if (i)
                buffer_append_text(out, ", ");
            print_value(&f->values[i], out);
        }
        buffer_append_u8(out, ')');
        break;
    case FILTER_EXISTS:
        buffer_append_text(out, "EXISTS ");
        filter_print_key(&f->key, out);
        break;
    case FILTER_TEXT: print_quoted(f->values[0].text, out); break;
    }
}

int filter_print(const struct filter *f, struct buffer *out) {
    if (f)
        print(f, false, out);
    return out->failed;
}

static bool values_equal(const struct filter *a, const struct filter *b) {
    for (size_t i = 0; i < a->n_values; i++)
        if (!slice_equal(a->values[i].text, b->values[i].text) ||
            (a->kind != FILTER_TEXT &&
             value_is_pattern(&a->values[i]) != value_is_pattern(&b->values[i])))
            return false;
    return true;
}

bool filter_equal(const struct filter *a, const struct filter *b) {
    if (!a || !b)
        return a == b;
    if (a->kind != b->kind || a->n_children != b->n_children || a->n_values != b->n_values ||
        a->negated != b->negated || a->key.kind != b->key.kind || a->key.field != b->key.field ||
        !slice_equal(a->key.name, b->key.name))
        return false;
    if (a->kind == FILTER_COMPARE && a->op != b->op)
        return false;
    for (size_t i = 0; i < a->n_children; i++)
        if (!filter_equal(a->children[i], b->children[i]))
            return false;
    return values_equal(a, b);
}
