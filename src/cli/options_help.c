/* --help, printed from the option tables. */
#include "cli/options.h"

#include <stdio.h>

#define WIDTH 96
#define INDENT 8

/* Prints words, broken at WIDTH, each line indented. */
static void print_wrapped(struct slice text, int indent) {
    int column = 0;

    while (text.size) {
        struct slice word = slice_cut(&text, ' ');
        if (column && column + 1 + (int) word.size > WIDTH) {
            putchar('\n');
            column = 0;
        }
        if (!column)
            column = printf("%*s", indent, "");
        else
            column += printf(" ");
        column += printf("%.*s", SLICE_ARG(word));
    }
    putchar('\n');
}

static void print_option(const struct option_def *d) {
    bool on = d->type == OPTION_FLAG && d->fallback && strcmp(d->fallback, "true") == 0;

    printf("  --%s%s%s%s\n", on ? "no-" : "", d->name, d->metavar ? " " : "",
           d->metavar ? d->metavar : "");
    print_wrapped(slice_from(d->help), INDENT);
    if (!d->variable && !d->key && (!d->fallback || d->type == OPTION_FLAG))
        return;
    printf("%*s[", INDENT, "");
    const char *between = "";
    if (d->fallback && d->type != OPTION_FLAG) {
        printf("default %s", d->fallback);
        between = "; ";
    }
    if (d->variable) {
        printf("%s%s", between, d->variable);
        between = "; ";
    }
    if (d->key)
        printf("%s%s:", between, d->key);
    printf("]\n");
}

void options_print_help(struct option_table table, const struct usage *usage) {
    printf("Usage: %s\n\n", usage->line);
    print_wrapped(slice_from(usage->about), 0);
    if (table.n)
        printf("\nOptions (in brackets: default, environment variable, key of the --config "
               "file):\n");
    for (size_t i = 0; i < table.n; i++)
        print_option(&table.items[i]);
    printf("  --help\n%*sThis text.\n", INDENT, "");
    if (usage->more)
        printf("\n%s", usage->more);
}
