/* See query_profile_process.h. */
#include "cli/query_profile_process.h"

#include <string.h>

static const char *text_of(const json_t *o, const char *key) {
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

void print_profile_processes(const struct printer *p, const json_t *summary) {
    const json_t *processes = json_object_get(summary, "processes"), *one;
    double total = 0;
    size_t i;

    if (!json_array_size(processes)) {
        fprintf(p->to, "no samples of that service and type; --from now-24h looks further back\n");
        return;
    }
    json_array_foreach(processes, i, one) total += json_number_value(json_object_get(one, "sum"));
    print_colour(p, COLOUR_MUTED);
    fprintf(p->to, "    PID  share    host                  version           instance\n");
    print_colour(p, COLOUR_NONE);
    json_array_foreach(processes, i, one) {
        double sum = json_number_value(json_object_get(one, "sum"));
        fprintf(p->to, "%7s  %5.1f %%  ", *text_of(one, "pid") ? text_of(one, "pid") : "-",
                total > 0 ? 100 * sum / total : 0.0);
        print_padded(p, text_of(one, "host"), 20);
        fprintf(p->to, "  ");
        print_padded(p, text_of(one, "version"), 16);
        fprintf(p->to, "  %s\n", text_of(one, "instance"));
    }
}

bool find_profile_process(const json_t *summary, const char *wanted, char ret[PROCESS_ID_MAX]) {
    const json_t *one, *found = NULL, *second = NULL;
    size_t i;

    json_array_foreach(json_object_get(summary, "processes"), i, one) {
        bool is_it = strcmp(text_of(one, "instance"), wanted) == 0 ||
                     strcmp(text_of(one, "pid"), wanted) == 0;
        if (is_it && found)
            second = one;
        else if (is_it)
            found = one;
    }
    if (!found) {
        fprintf(stderr,
                "varan query profile: no process %s in this time range; --processes lists them\n",
                wanted);
        return false;
    }
    if (second) {
        fprintf(stderr,
                "varan query profile: there were several processes %s (hosts %s and %s); name one "
                "by its instance, as --processes lists them\n",
                wanted, text_of(found, "host"), text_of(second, "host"));
        return false;
    }
    snprintf(ret, PROCESS_ID_MAX, "%s", text_of(found, "value"));
    return true;
}
