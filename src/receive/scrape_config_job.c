/* One scrape configuration (a job): its keys, and what they mean together. */
#include "receive/scrape_config_job.h"

#include <stdarg.h>
#include <stdio.h>

#define AT(field) offsetof(struct scrape_job, field)
#define RULES_MAX 10000u
#define NOTES_MAX 1000u

int scrape_note(struct yaml_reader *r, const yaml_node_t *node, const char *format, ...) {
    struct scrape_config *c = r->owner;
    char text[500];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    const char *line =
            arena_printf(r->arena, "%s:%zu: %s", r->file, node->start_mark.line + 1, text);
    if (!line)
        return error_set(r->e, -ENOMEM, "out of memory");
    return vector_push(&c->notes, slice_from(line), NOTES_MAX) == -ENOMEM ? -ENOMEM : 0;
}

static int read_log_file(struct yaml_reader *r, yaml_node_t *node, void *target) {
    return scrape_note(r, node,
                       "no such log file is written: failed scrapes are shown under Targets");
}

/* What is asked for is always allow-utf-8; it says how targets may write names. */
static int read_escaping(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct slice s;
    int result = yaml_read_text(r, node, &s);

    if (result < 0 || slice_is(s, "allow-utf-8"))
        return result;
    if (!slice_is(s, "underscores") && !slice_is(s, "dots") && !slice_is(s, "values"))
        return yaml_fail(r, node, "\"%.*s\" is none of allow-utf-8, underscores, dots, values",
                         SLICE_ARG(s));
    return scrape_note(r, node,
                       "targets are asked for names as they are (allow-utf-8), so names of theirs "
                       "with other characters than letters, digits, _ and : stay as they are");
}

/* ---- Relabelling ---- */

#define RULE(field) offsetof(struct relabel_rule, field)

static int read_sources(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct relabel_rule *rule = target;
    struct slice *items;
    int result = yaml_read_texts(r, node, &items, &rule->n_source_labels);

    if (result == 0)
        rule->source_labels = items;
    return result;
}

static int read_action(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct slice s;
    int result = yaml_read_text(r, node, &s);

    if (result == 0 && relabel_action_parse(s, target) < 0)
        return yaml_fail(r, node, "there is no relabel action \"%.*s\"", SLICE_ARG(s));
    return result;
}

static int read_slice(struct yaml_reader *r, yaml_node_t *node, void *target) {
    return yaml_read_text(r, node, target);
}

static int read_separator(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct relabel_rule *rule = target;

    rule->has_separator = true;
    return yaml_read_text(r, node, &rule->separator);
}

static int read_replacement(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct relabel_rule *rule = target;

    rule->has_replacement = true;
    return yaml_read_text(r, node, &rule->replacement);
}

static int read_regex(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct relabel_rule *rule = target;

    rule->has_regex = true;
    return yaml_read_text(r, node, &rule->regex_text);
}

typedef VECTOR(struct relabel_rule) rule_list;

static int add_rule(struct yaml_reader *r, yaml_node_t *node, void *ctx) {
    static const struct yaml_field fields[] = {
            {"source_labels", YAML_READ, 0, read_sources},
            {"separator", YAML_READ, 0, read_separator},
            {"regex", YAML_READ, 0, read_regex},
            {"modulus", YAML_COUNT, RULE(modulus)},
            {"target_label", YAML_READ, RULE(target_label), read_slice},
            {"replacement", YAML_READ, 0, read_replacement},
            {"action", YAML_READ, RULE(action), read_action},
    };
    struct relabel_rule rule = {.action = RELABEL_REPLACE};
    struct yaml_fields t = {fields, sizeof(fields) / sizeof(fields[0]), &rule};
    struct error e = ERROR_NONE;

    int result = yaml_read_mapping(r, node, "a relabel config", &t, 1);
    if (result == 0 && relabel_compile(&rule, true, &e) < 0)
        return yaml_fail(r, node, "%s", e.text[0] ? e.text : "out of memory");
    if (result == 0)
        result = vector_push((rule_list *) ctx, rule, RULES_MAX);
    if (result < 0)
        regex_unref(rule.regex);
    return result;
}

static int read_rules(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct relabel_rules *to = target;
    rule_list list = {0};

    int result = yaml_read_list(r, node, "a list of relabel configs", add_rule, &list);
    *to = (struct relabel_rules){list.items, list.n};
    return result;
}

/* ---- Other values ---- */

static int read_params(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct scrape_job *job = target;

    if (yaml_is_null(node))
        return 0;
    if (node->type != YAML_MAPPING_NODE)
        return yaml_fail(r, node, "params: \"name: [value]\" should stand here");
    yaml_node_pair_t *start = node->data.mapping.pairs.start, *top = node->data.mapping.pairs.top;
    job->params = arena_array(r->arena, struct scrape_param, (size_t) (top - start));
    if (!job->params)
        return error_set(r->e, -ENOMEM, "out of memory");
    for (yaml_node_pair_t *p = start; p < top; p++) {
        struct scrape_param param = {0};
        size_t i = job->n_params;
        int result = yaml_read_text(r, yaml_node(r, p->key), &param.name);
        if (result == 0)
            result = yaml_read_texts(r, yaml_node(r, p->value), &param.values, &param.n);
        if (result < 0)
            return result;
        for (; i > 0 && slice_compare(job->params[i - 1].name, param.name) > 0; i--)
            job->params[i] = job->params[i - 1];
        job->params[i] = param;
        job->n_params++;
    }
    return 0;
}

static int protocol_of(struct yaml_reader *r, yaml_node_t *node, enum scrape_protocol *ret) {
    static const char *const names[SCRAPE_PROTOCOLS] = {
            [SCRAPE_PROTOBUF] = "PrometheusProto",
            [SCRAPE_OPENMETRICS_0_0_1] = "OpenMetricsText0.0.1",
            [SCRAPE_OPENMETRICS_1_0_0] = "OpenMetricsText1.0.0",
            [SCRAPE_TEXT_0_0_4] = "PrometheusText0.0.4",
            [SCRAPE_TEXT_1_0_0] = "PrometheusText1.0.0"};
    struct slice s;
    int result = yaml_read_text(r, node, &s);

    if (result < 0)
        return result;
    for (unsigned i = 0; i < SCRAPE_PROTOCOLS; i++)
        if (slice_is(s, names[i])) {
            *ret = (enum scrape_protocol) i;
            return 0;
        }
    return yaml_fail(r, node,
                     "\"%.*s\" is none of OpenMetricsText0.0.1, OpenMetricsText1.0.0, "
                     "PrometheusText0.0.4, PrometheusText1.0.0, PrometheusProto",
                     SLICE_ARG(s));
}

static int add_protocol(struct yaml_reader *r, yaml_node_t *node, void *ctx) {
    struct scrape_job *job = ctx;
    enum scrape_protocol p;
    int result = protocol_of(r, node, &p);

    if (result < 0)
        return result;
    for (size_t i = 0; i < job->n_protocols; i++)
        if (job->protocols[i] == p)
            return yaml_fail(r, node, "this protocol stands twice in scrape_protocols");
    job->protocols[job->n_protocols++] = p;
    return 0;
}

static int read_protocols(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct scrape_job *job = target;

    job->n_protocols = 0;
    job->protocols_given = true;
    int result = yaml_read_list(r, node, "a list of protocols", add_protocol, job);
    if (result == 0 && !job->n_protocols)
        return yaml_fail(r, node, "scrape_protocols is empty");
    return result;
}

static int read_fallback(struct yaml_reader *r, yaml_node_t *node, void *target) {
    enum scrape_protocol p;
    int result = protocol_of(r, node, &p);

    if (result == 0)
        *(int *) target = (int) p;
    return result;
}

static int read_scheme(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct slice s;
    int result = yaml_read_text(r, node, &s);

    if (result == 0 && !slice_is(s, "http") && !slice_is(s, "https"))
        return yaml_fail(r, node, "scheme: \"%.*s\" is neither http nor https", SLICE_ARG(s));
    if (result == 0)
        *(const char **) target = (const char *) s.data;
    return result;
}

static int read_validation(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct slice s;
    int result = yaml_read_text(r, node, &s);

    if (result == 0 && !slice_is(s, "utf8") && !slice_is(s, "legacy"))
        return yaml_fail(r, node, "\"%.*s\" is neither utf8 nor legacy", SLICE_ARG(s));
    *(bool *) target = result < 0 || slice_is(s, "utf8");
    return result;
}

static int read_conversion(struct yaml_reader *r, yaml_node_t *node, void *target) {
    bool on;
    int result = yaml_read_bool(r, node, &on);

    if (result == 0 && on)
        return yaml_fail(r, node,
                         "convert_classic_histograms_to_nhcb is not supported: classic histograms "
                         "stay classic here, so queries of their native form would find nothing; "
                         "take this line away and ask NAME_bucket");
    return result;
}

static int read_factor(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct slice s;
    double v;
    int result = yaml_read_text(r, node, &s);

    if (result == 0 && (slice_to_double(s, &v) < 0 || !(v >= 0)))
        return yaml_fail(r, node, "\"%.*s\" is not a factor as 1.1", SLICE_ARG(s));
    if (result == 0)
        *(double *) target = v;
    return result;
}

#define SHARED_ROWS                                                                                \
    {"scrape_interval", YAML_DURATION, AT(interval_ns)},                                           \
            {"scrape_timeout", YAML_DURATION, AT(timeout_ns)},                                     \
            {"scrape_protocols", YAML_READ, 0, read_protocols},                                    \
            {"body_size_limit", YAML_SIZE, AT(body_size_limit)},                                   \
            {"sample_limit", YAML_COUNT, AT(sample_limit)},                                        \
            {"label_limit", YAML_COUNT, AT(label_limit)},                                          \
            {"label_name_length_limit", YAML_COUNT, AT(label_name_limit)},                         \
            {"label_value_length_limit", YAML_COUNT, AT(label_value_limit)},                       \
            {"target_limit", YAML_COUNT, AT(target_limit)},                                        \
            {"keep_dropped_targets", YAML_COUNT, AT(keep_dropped)},                                \
            {"metric_name_validation_scheme", YAML_READ, AT(utf8_names), read_validation},         \
            {"metric_name_escaping_scheme", YAML_READ, 0, read_escaping},                          \
            {"scrape_classic_histograms", YAML_BOOL, AT(classic_histograms)},                      \
            {"always_scrape_classic_histograms", YAML_BOOL, AT(classic_histograms)},               \
            {"convert_classic_histograms_to_nhcb", YAML_READ, 0, read_conversion},                 \
            {"scrape_native_histograms", YAML_BOOL, AT(native_histograms)},                        \
            {"native_histogram_bucket_limit", YAML_COUNT, AT(native_bucket_limit)},                \
            {"native_histogram_min_bucket_factor", YAML_READ, AT(native_min_bucket_factor),        \
             read_factor},                                                                         \
    {                                                                                              \
        "extra_scrape_metrics", YAML_BOOL, AT(extra_metrics)                                       \
    }

static const struct yaml_field global_fields[] = {SHARED_ROWS};
const struct yaml_fields scrape_global_fields = {
        global_fields, sizeof(global_fields) / sizeof(global_fields[0]), NULL};

#define NO_DISCOVERY                                                                               \
    "this discovery is not built in; write its targets to a file for file_sd_configs, serve them " \
    "for http_sd_configs, or use dns_sd_configs (of a headless service, say)"

static const struct yaml_field job_fields[] = {
        SHARED_ROWS,
        {"job_name", YAML_TEXT, AT(name)},
        {"honor_labels", YAML_BOOL, AT(honor_labels)},
        {"honor_timestamps", YAML_BOOL, AT(honor_timestamps)},
        {"track_timestamps_staleness", YAML_BOOL, AT(track_staleness)},
        {"fallback_scrape_protocol", YAML_READ, AT(fallback), read_fallback},
        {"enable_compression", YAML_BOOL, AT(compression)},
        {"scheme", YAML_READ, AT(scheme), read_scheme},
        {"metrics_path", YAML_TEXT, AT(metrics_path)},
        {"params", YAML_READ, 0, read_params},
        {"relabel_configs", YAML_READ, AT(relabel), read_rules},
        {"metric_relabel_configs", YAML_READ, AT(metric_relabel), read_rules},
        {"scrape_failure_log_file", YAML_READ, 0, read_log_file},
};

static const struct yaml_field sd_fields[] = {
        {"static_configs", YAML_READ, AT(providers), scrape_read_static},
        {"file_sd_configs", YAML_READ, AT(providers), scrape_read_file_sd},
        {"http_sd_configs", YAML_READ, AT(providers), scrape_read_http_sd},
        {"dns_sd_configs", YAML_READ, AT(providers), scrape_read_dns_sd},
        {"azure_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"consul_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"digitalocean_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"docker_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"dockerswarm_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"ec2_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"eureka_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"gce_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"hetzner_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"ionos_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"kubernetes_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"kuma_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"lightsail_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"linode_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"marathon_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"nerve_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"nomad_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"openstack_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"ovhcloud_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"puppetdb_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"scaleway_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"serverset_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"triton_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"uyuni_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
        {"vultr_sd_configs", YAML_REFUSED, .why = NO_DISCOVERY},
};

/* ---- The job as a whole ---- */

/* Native histograms come in no other format. */
static void prefer_protobuf(struct scrape_job *job) {
    if (!job->native_histograms || job->protocols_given)
        return;
    memmove(job->protocols + 1, job->protocols, job->n_protocols * sizeof(job->protocols[0]));
    job->protocols[0] = SCRAPE_PROTOBUF;
    job->n_protocols++;
}

static int finish(struct yaml_reader *r, const yaml_node_t *node, struct scrape_job *job) {
    const struct scrape_config *c = r->owner;

    if (!job->name || !*job->name)
        return yaml_fail(r, node, "a scrape config needs a job_name");
    for (size_t i = 0; i < c->jobs.n; i++)
        if (strcmp(c->jobs.items[i]->name, job->name) == 0)
            return yaml_fail(r, node, "the job_name \"%s\" stands in two scrape configs",
                             job->name);
    if (!job->interval_ns)
        job->interval_ns = c->global.interval_ns;
    if (job->timeout_ns > job->interval_ns)
        return yaml_fail(r, node,
                         "the scrape_timeout of job \"%s\" is longer than its scrape_interval",
                         job->name);
    if (!job->timeout_ns)
        job->timeout_ns =
                c->global.timeout_ns < job->interval_ns ? c->global.timeout_ns : job->interval_ns;
    prefer_protobuf(job);
    return scrape_http_check(r, node, &job->http);
}

/* The list is read_rules()'s vector. */
static void rules_done(struct relabel_rules *rules) {
    struct relabel_rule *items = rules->items;

    relabel_rules_done(rules);
    free(items);
}

void scrape_job_done(struct scrape_job *job) {
    rules_done(&job->relabel);
    rules_done(&job->metric_relabel);
    vector_each(&job->providers, p) vector_done(&p->fixed);
    vector_done(&job->providers);
}

/* The lines from `from` up to, but without, `to`, both counted from 0. */
static struct slice lines_of(struct slice text, size_t from, size_t to) {
    struct slice rest = text;

    for (size_t i = 0; i < from; i++)
        slice_cut(&rest, '\n');
    struct slice part = rest;
    for (size_t i = from; i < to; i++)
        slice_cut(&rest, '\n');
    part.size -= rest.size;
    return part;
}

/* Changes with everything that the job's meaning depends on. */
static uint64_t fingerprint(const struct yaml_reader *r, const yaml_node_t *node,
                            const struct scrape_job *job) {
    /* A block ends where the next word begins, mostly on another line. */
    bool ends_within = node->end_mark.column > node->start_mark.column;
    struct slice text = lines_of(r->text, node->start_mark.line, node->end_mark.line + ends_within);
    uint64_t h = slice_hash(text) ^ (uint64_t) job->interval_ns * 31 ^ (uint64_t) job->timeout_ns;
    const uint64_t limits[] = {job->body_size_limit,   job->sample_limit,        job->label_limit,
                               job->label_name_limit,  job->target_limit,        job->keep_dropped,
                               job->label_value_limit, job->native_bucket_limit, job->utf8_names,
                               job->native_histograms, job->classic_histograms};

    h ^= slice_hash(slice_new(limits, sizeof(limits))) * 3;
    h ^= slice_hash(slice_new(job->protocols, job->n_protocols * sizeof(job->protocols[0]))) * 5;
    h ^= slice_hash(slice_new(&job->native_min_bucket_factor, sizeof(double))) * 11;
    if (slice_find(text, SLICE(" *")) >= 0) /* an alias: what it stands for is elsewhere */
        h ^= slice_hash(r->text) * 7;
    return h;
}

int scrape_job_read(struct yaml_reader *r, yaml_node_t *node, void *ctx) {
    struct scrape_config *c = ctx;
    struct scrape_job *job = arena_new(r->arena, struct scrape_job);
    struct yaml_fields t[3] = {
            {job_fields, sizeof(job_fields) / sizeof(job_fields[0]), job},
            {sd_fields, sizeof(sd_fields) / sizeof(sd_fields[0]), job},
            scrape_http_fields,
    };

    if (!job)
        return error_set(r->e, -ENOMEM, "out of memory");
    *job = c->global;
    job->interval_ns = job->timeout_ns = 0;
    t[2].target = &job->http;
    int result = yaml_read_mapping(r, node, "a scrape config", t, 3);
    if (result == 0)
        result = finish(r, node, job);
    job->fingerprint = fingerprint(r, node, job);
    if (result == 0 && vector_push(&c->jobs, job, SCRAPE_JOBS_MAX) < 0)
        result = yaml_fail(r, node, "more than %u scrape configs", SCRAPE_JOBS_MAX);
    if (result < 0)
        scrape_job_done(job);
    return result;
}
