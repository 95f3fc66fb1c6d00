/* What is scraped. */
#include "api/prometheus_call.h"

static void put_list(struct json_writer *w, const char *key) {
    json_put_key(w, key);
    json_begin_array(w);
    json_end_array(w);
}

static int answer_targets(struct prom_call *c) {
    struct json_writer *w = &c->json;

    json_begin_object(w);
    put_list(w, "activeTargets");
    put_list(w, "droppedTargets");
    json_put_key(w, "droppedTargetCounts");
    json_begin_object(w);
    json_end_object(w);
    json_end_object(w);
    return 0;
}

static int answer_targets_metadata(struct prom_call *c) {
    json_begin_array(&c->json);
    json_end_array(&c->json);
    return 0;
}

static int answer_scrape_pools(struct prom_call *c) {
    json_begin_object(&c->json);
    put_list(&c->json, "scrapePools");
    json_end_object(&c->json);
    return 0;
}

const struct prom_resource prom_targets = {answer_targets, false};
const struct prom_resource prom_targets_metadata = {answer_targets_metadata, false};
const struct prom_resource prom_scrape_pools = {answer_scrape_pools, false};
