/* Keeps the table of fields in docs/filter.md equal to the one the parser works with. With
 * VARAN_WRITE_DOCS=1 it writes it there. */
#include "../unit.h"

#include "query/filter_fields.h"

#include <stdio.h>
#include <stdlib.h>

#define BEGIN "-->\n"
#define FIRST "<!-- fields:"
#define END "<!-- end of fields -->"

static void add_row(struct buffer *b, const struct filter_field *f) {
    struct slice rest = slice_from(f->aliases);

    buffer_printf(b, "| `%s`", f->name);
    while (rest.size) {
        struct slice alias = slice_cut(&rest, ' ');
        buffer_printf(b, ", `%.*s`", SLICE_ARG(alias));
    }
    buffer_printf(b, " | %s | %s | `%s` |\n",
                  f->span && f->log ? "spans, logs"
                  : f->span         ? "spans"
                                    : "logs",
                  f->help, f->example);
}

static void expected_table(struct buffer *b) {
    buffer_append_text(b, "\n| field | of | meaning | example |\n|---|---|---|---|\n");
    for (size_t i = 0; i < filter_n_fields; i++)
        add_row(b, &filter_fields[i]);
    buffer_append_text(b, "\n");
}

static char *read_file(const char *path, size_t *ret_size) {
    static char text[64 << 10];
    FILE *f = fopen(path, "r");

    if (!f)
        fail_msg("%s cannot be read", path);
    *ret_size = fread(text, 1, sizeof(text) - 1, f);
    text[*ret_size] = 0;
    fclose(f);
    return text;
}

static void write_file(const char *path, struct slice before, struct slice table,
                       const char *after) {
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fwrite(before.data, 1, before.size, f);
    fwrite(table.data, 1, table.size, f);
    fputs(after, f);
    fclose(f);
}

static void documents_all_fields(void **state) {
    struct buffer table;
    size_t size;
    char *text = read_file(FILTER_DOCS, &size);

    buffer_init(&table, 64 << 10);
    expected_table(&table);
    char *first = strstr(text, FIRST), *begin = first ? strstr(first, BEGIN) : NULL;
    char *end = begin ? strstr(begin, END) : NULL;
    assert_non_null(end);
    begin += strlen(BEGIN);
    struct slice found = slice_new(begin, (size_t) (end - begin));
    if (getenv("VARAN_WRITE_DOCS")) {
        char *after = strdup(end);
        assert_non_null(after);
        char *before = strndup(text, (size_t) (begin - text));
        write_file(FILTER_DOCS, slice_from(before), buffer_slice(&table), after);
        free(before);
        free(after);
    } else if (!slice_equal(found, buffer_slice(&table))) {
        fail_msg("docs/filter.md is not up to date; run this test with VARAN_WRITE_DOCS=1");
    }
    buffer_done(&table);
}

/* Every example parses on the signals that have the field. */
static void examples_parse(void **state) {
    struct arena a;
    struct filter *f;
    struct filter_error e;

    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < filter_n_fields; i++)
        for (int signal = 0; signal < 2; signal++)
            if (filter_field_on(&filter_fields[i], (enum filter_signal) signal) &&
                filter_parse(&a, (enum filter_signal) signal, slice_from(filter_fields[i].example),
                             &f, &e) < 0)
                fail_msg("%s: %s", filter_fields[i].example, e.message);
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(documents_all_fields),
                                       cmocka_unit_test(examples_parse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
