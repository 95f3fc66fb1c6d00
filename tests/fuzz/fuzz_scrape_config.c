/* The scrape configuration and target files: any bytes give a configuration or a sentence with the
 * file's name; relabelling rules that were accepted can be applied. */
#include "receive/scrape_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void apply(const struct scrape_job *job) {
    struct label_set set;
    struct arena a;

    arena_init(&a, 16 << 20);
    label_set_init(&set, &a);
    label_set_put(&set, SLICE("__address__"), SLICE("host:9100"));
    label_set_put(&set, SLICE("a"), SLICE("b-1"));
    relabel_apply(&job->relabel, true, &set);
    relabel_apply(&job->metric_relabel, job->utf8_names, &set);
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice text = slice_new(data, size);
    scrape_discovered_list list = {0};
    struct scrape_config *c;
    struct error e = ERROR_NONE;
    struct arena a;

    if (size > 20000)
        return 0;
    if (scrape_config_parse("f.yml", text, &c, &e) == 0) {
        vector_each(&c->jobs, job) apply(*job);
        scrape_config_unref(c);
    } else if (!slice_starts(slice_from(e.text), SLICE("f.yml:"))) {
        abort();
    }
    arena_init(&a, 16 << 20);
    scrape_groups_parse("f.yml", text, SLICE("__meta_x"), SLICE("y"), &a, &list, &e);
    vector_done(&list);
    arena_done(&a);
    return 0;
}
