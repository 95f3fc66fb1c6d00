/* One trace as text: where its time went, and a waterfall of its spans. Single-threaded. */
#include "cli/query.h"

#include <math.h>
#include <stdlib.h>

#define DEPTH_MAX 60u
#define BAR_WIDTH 36u
#define DURATION_WIDTH 10u
#define FOLD_MIN 4u /* equal leaves in a row that become one line */

struct node {
    const json_t *span;
    const char *id, *parent, *service, *name;
    double start, duration;
    bool error;
    size_t first, next; /* child, sibling; SIZE_MAX: none */
};

struct tree {
    const struct printer *p;
    struct node *nodes;
    size_t n, first;
    double total;
    size_t name_width;
};

static const char *text_at(const json_t *o, const char *key) {
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

static double number_at(const json_t *o, const char *key) {
    return json_number_value(json_object_get(o, key));
}

static int by_id(const void *a, const void *b) {
    return strcmp((*(struct node *const *) a)->id, (*(struct node *const *) b)->id);
}

static int find_id(const void *key, const void *item) {
    return strcmp(key, (*(struct node *const *) item)->id);
}

/* Children in the order of their start, which is the order of the answer. */
static bool link_nodes(struct tree *t) {
    struct node **index = calloc(t->n, sizeof(*index));

    if (!index)
        return false;
    for (size_t i = 0; i < t->n; i++)
        index[i] = &t->nodes[i];
    qsort(index, t->n, sizeof(*index), by_id);
    t->first = SIZE_MAX;
    for (size_t i = t->n; i > 0; i--) {
        struct node *s = &t->nodes[i - 1];
        struct node **parent =
                *s->parent ? bsearch(s->parent, index, t->n, sizeof(*index), find_id) : NULL;
        size_t *head = parent && *parent != s ? &(*parent)->first : &t->first;
        s->next = *head;
        *head = i - 1;
    }
    free(index);
    return true;
}

static void print_bar(const struct tree *t, double start, double end, bool error) {
    size_t from = t->total > 0 ? (size_t) (start / t->total * BAR_WIDTH) : 0;
    size_t to = t->total > 0 ? (size_t) ceil(end / t->total * BAR_WIDTH) : BAR_WIDTH;

    if (from >= BAR_WIDTH)
        from = BAR_WIDTH - 1;
    if (to <= from)
        to = from + 1;
    print_colour(t->p, error ? COLOUR_BAD : COLOUR_ACCENT);
    for (size_t i = 0; i < BAR_WIDTH; i++)
        fputs(i >= from && i < to ? "█" : " ", t->p->to);
    print_colour(t->p, COLOUR_NONE);
}

static void print_line(const struct tree *t, const struct node *s, unsigned depth, size_t count,
                       double end, double sum) {
    char label[600], duration[TEXT_MAX];
    int indent = (int) (2 * depth);

    if (count > 1)
        snprintf(label, sizeof(label), "%*s%.100s  %.400s × %zu", indent, "", s->service, s->name,
                 count);
    else
        snprintf(label, sizeof(label), "%*s%.100s  %.400s", indent, "", s->service, s->name);
    print_padded(t->p, label, t->name_width);
    fputc(' ', t->p->to);
    print_bar(t, s->start, end, s->error);
    format_duration(sum, duration);
    for (size_t n = text_width(duration); n < DURATION_WIDTH; n++)
        fputc(' ', t->p->to);
    fprintf(t->p->to, "%s%s\n", duration, s->error ? "  error" : "");
}

static bool is_like(const struct node *a, const struct node *b) {
    return a->first == SIZE_MAX && b->first == SIZE_MAX && a->error == b->error &&
           strcmp(a->name, b->name) == 0 && strcmp(a->service, b->service) == 0;
}

static void print_nodes(const struct tree *t, size_t at, unsigned depth) {
    while (at != SIZE_MAX) {
        const struct node *s = &t->nodes[at];
        size_t count = 0, after = at;
        double end = 0, sum = 0;
        while (after != SIZE_MAX && is_like(s, &t->nodes[after])) {
            const struct node *other = &t->nodes[after];
            end = fmax(end, other->start + other->duration);
            sum += other->duration;
            count++;
            after = other->next;
        }
        if (count >= FOLD_MIN) {
            print_line(t, s, depth, count, end, sum);
            at = after;
            continue;
        }
        print_line(t, s, depth, 1, s->start + s->duration, s->duration);
        if (depth < DEPTH_MAX)
            print_nodes(t, s->first, depth + 1);
        else if (s->first != SIZE_MAX)
            fprintf(t->p->to, "%*s… deeper spans are not shown\n", (int) (2 * depth), "");
        at = s->next;
    }
}

static void print_head(const struct printer *p, const json_t *a) {
    const json_t *times = json_object_get(a, "time_by"), *x;
    char text[TEXT_MAX];
    size_t i;

    format_time(strtoll(text_at(a, "start_ns"), NULL, 10), text);
    fprintf(p->to, "Trace %s, %s", text_at(a, "trace_id"), text);
    format_duration(number_at(a, "duration_ns"), text);
    fprintf(p->to, ", %s, %zu spans, %.0f log lines\n", text,
            json_array_size(json_object_get(a, "spans")), number_at(a, "logs"));
    if (json_array_size(times))
        fputs("Time went to: ", p->to);
    json_array_foreach(times, i, x)
            fprintf(p->to, "%s%s in %s %.0f %%", i ? ", " : "", text_at(x, "category"),
                    text_at(x, "service"), 100 * number_at(x, "share"));
    fputs(json_array_size(times) ? "\n\n" : "\n", p->to);
}

void print_trace(const struct printer *p, const json_t *answer) {
    const json_t *spans = json_object_get(answer, "spans"), *x;
    struct tree t = {
            .p = p, .n = json_array_size(spans), .total = number_at(answer, "duration_ns")};
    size_t i;

    print_head(p, answer);
    t.nodes = calloc(t.n ? t.n : 1, sizeof(*t.nodes));
    if (!t.nodes)
        return;
    json_array_foreach(spans, i, x) t.nodes[i] =
            (struct node){.span = x,
                          .id = text_at(x, "span_id"),
                          .parent = text_at(x, "parent_span_id"),
                          .service = text_at(x, "service"),
                          .name = text_at(x, "name"),
                          .start = number_at(x, "start_ns"),
                          .duration = number_at(x, "duration_ns"),
                          .error = number_at(x, "status") == 2,
                          .first = SIZE_MAX};
    size_t fixed = BAR_WIDTH + DURATION_WIDTH + 10;
    t.name_width = p->columns > fixed + 24 ? p->columns - fixed : 24;
    if (t.n && link_nodes(&t))
        print_nodes(&t, t.first, 0);
    free(t.nodes);
    json_array_foreach(json_object_get(answer, "findings"), i, x) {
        print_colour(p, COLOUR_WARN);
        fputs(i ? "! " : "\n! ", p->to);
        print_padded(p, text_at(x, "text"), text_width(text_at(x, "text")));
        print_colour(p, COLOUR_NONE);
        fputc('\n', p->to);
    }
}
