/* The scrape configuration: defaults, what is refused and on which line, secrets, target files. */
#include "../unit.h"

#include "base/clock.h"
#include "receive/scrape_config.h"

#include <stdio.h>

static struct scrape_config *parse(const char *text) {
    struct scrape_config *c = NULL;
    struct error e = ERROR_NONE;

    if (scrape_config_parse("dir/p.yml", slice_from(text), &c, &e) < 0)
        fail_msg("%s", e.text);
    return c;
}

static void refuse(const char *text, const char *want) {
    struct scrape_config *c;
    struct error e = ERROR_NONE;

    if (scrape_config_parse("p.yml", slice_from(text), &c, &e) == 0)
        fail_msg("accepted: %s", text);
    if (!strstr(e.text, want))
        fail_msg("%s, not %s", e.text, want);
}

static void test_defaults(void **state) {
    struct scrape_config *c = parse("global: {scrape_interval: 15s}\n"
                                    "scrape_configs:\n"
                                    "- job_name: a\n"
                                    "- job_name: b\n"
                                    "  scrape_interval: 5s\n"
                                    "  sample_limit: 10\n"
                                    "  body_size_limit: 2MB\n"
                                    "  params: {z: ['1'], a: ['x', 'y']}\n"
                                    "  static_configs:\n"
                                    "  - targets: ['h:1', 'h:2']\n"
                                    "    labels: {env: prod}\n"
                                    "  file_sd_configs: [{files: ['t/*.json']}]\n");
    const struct scrape_job *a = c->jobs.items[0], *b = c->jobs.items[1];

    assert_int_equal(c->jobs.n, 2);
    assert_int_equal(a->interval_ns, 15 * NS_PER_S);
    assert_int_equal(a->timeout_ns, 10 * NS_PER_S);
    assert_true(a->honor_timestamps && !a->honor_labels && a->compression);
    assert_string_equal(a->metrics_path, "/metrics");
    assert_int_equal(b->timeout_ns, 5 * NS_PER_S);
    assert_int_equal(b->sample_limit, 10);
    assert_int_equal(b->body_size_limit, 2 << 20);
    assert_slice(b->params[0].name, "a");
    assert_int_equal(b->params[0].n, 2);
    assert_int_equal(b->providers.n, 2);
    assert_int_equal(b->providers.items[0].fixed.n, 2);
    assert_slice(b->providers.items[0].fixed.items[1].labels[0].value, "h:2");
    assert_slice(b->providers.items[1].names[0], "dir/t/*.json");
    scrape_config_unref(c);
}

static void test_empty(void **state) {
    struct scrape_config *c = parse("");
    assert_int_equal(c->jobs.n, 0);
    scrape_config_unref(c);
    c = parse("scrape_configs:\nrule_files: []\n");
    assert_int_equal(c->notes.n, 0);
    scrape_config_unref(c);
}

static void test_notes(void **state) {
    struct scrape_config *c = parse("rule_files:\n- x.yml\nremote_write:\n- url: http://h/\n");
    assert_int_equal(c->notes.n, 2);
    assert_non_null(strstr((const char *) c->notes.items[0].data, "dir/p.yml:2: "));
    scrape_config_unref(c);
}

#define JOB "scrape_configs:\n- job_name: a\n"

static void test_refused(void **state) {
    refuse("foo: 1\n", "p.yml:1: there is no key \"foo\" in the configuration");
    refuse("a: [1\n", "p.yml:2: ");
    refuse("- a\n", "p.yml:1: the configuration should stand here");
    refuse("scrape_configs: {a: 1}\n", "a list of scrape configs should stand here");
    refuse("scrape_configs:\n- scheme: http\n", "p.yml:2: a scrape config needs a job_name");
    refuse(JOB "- job_name: a\n", "p.yml:3: the job_name \"a\" stands in two");
    refuse(JOB "  foo: 1\n", "p.yml:3: there is no key \"foo\" in a scrape config");
    refuse(JOB "  scheme: ftp\n", "p.yml:3: scheme: \"ftp\"");
    refuse(JOB "  scheme: http\n  scheme: http\n", "p.yml:4: the key \"scheme\" stands twice");
    refuse(JOB "  scrape_interval: 5\n", "p.yml:3: scrape_interval: \"5\" is not a duration");
    refuse(JOB "  scrape_interval: 5s\n  scrape_timeout: 6s\n", "longer than its scrape_interval");
    refuse(JOB "  sample_limit: -1\n", "whole number");
    refuse(JOB "  body_size_limit: 5X\n", "is not a size");
    refuse(JOB "  honor_labels: maybe\n", "neither true nor false");
    refuse(JOB "  static_configs:\n  - targets: ['http://h/']\n", "p.yml:4: \"http://h/\" is not");
    refuse(JOB "  kubernetes_sd_configs: [{role: pod}]\n",
           "p.yml:3: kubernetes_sd_configs: this discovery");
    refuse(JOB "  proxy_from_environment: true\n  no_proxy: a\n", "excludes proxy_url");
    refuse(JOB "  convert_classic_histograms_to_nhcb: true\n", "ask NAME_bucket");
    refuse(JOB "  native_histogram_min_bucket_factor: many\n", "is not a factor");
    refuse(JOB "  metric_name_escaping_scheme: any\n", "none of allow-utf-8");
    refuse(JOB "  tls_config: {ca: a, ca_file: b}\n", "exclude ca_file");
    refuse(JOB "  oauth2: {}\n", "p.yml:3: oauth2: not supported");
    refuse(JOB "  basic_auth: {username: a}\n  bearer_token: x\n", "at most one of basic_auth");
    refuse(JOB "  tls_config: {cert_file: a}\n", "need each other");
    refuse(JOB "  file_sd_configs: [{files: ['a/*/b.json']}]\n", "is no name of target files");
    refuse(JOB "  dns_sd_configs: [{names: [a], type: A}]\n", "needs a port");
    refuse(JOB "  http_sd_configs: [{url: 'ftp://x'}]\n", "begins with http://");
    refuse(JOB "  relabel_configs:\n  - regex: a\n  - action: jump\n",
           "p.yml:4: the relabel action replace needs");
    refuse(JOB "  relabel_configs:\n  - action: jump\n", "p.yml:4: there is no relabel action");
    refuse(JOB "  metric_relabel_configs:\n  - {action: drop, regex: '('}\n", "parsing regexp");
    refuse(JOB "  scrape_protocols: [Carrier]\n", "none of OpenMetricsText0.0.1");
    refuse("global: {scrape_interval: 1s, scrape_timeout: 2s}\n", "longer than");
}

static void test_secrets(void **state) {
    struct scrape_config *c = parse(JOB "  basic_auth: {username: u, password: hush}\n"
                                        "  proxy_url: http://me:hush@proxy:1/x\n"
                                        "  http_headers: {X-Key: {secrets: [hush]}}\n"
                                        "remote_write:\n- url: http://h\n"
                                        "  authorization: {credentials: hush}\n");
    assert_int_equal(slice_find(c->printed, SLICE("hush")), -1);
    assert_true(slice_find(c->printed, SLICE("<secret>")) > 0);
    assert_true(slice_find(c->printed, SLICE("http://me:xxxxx@proxy:1/x")) > 0);
    assert_true(slice_find(c->printed, SLICE("username: u")) > 0);
    scrape_config_unref(c);
}

/* What is given for all jobs is a job's own, and decides what is asked for first. */
static void test_native_histograms(void **state) {
    struct scrape_config *c =
            parse("global: {scrape_native_histograms: true, native_histogram_bucket_limit: 160}\n"
                  "scrape_configs:\n- job_name: a\n- job_name: b\n"
                  "  scrape_native_histograms: false\n- job_name: c\n"
                  "  scrape_protocols: [PrometheusText0.0.4]\n"
                  "  always_scrape_classic_histograms: true\n  kubernetes_sd_configs: []\n"
                  "  convert_classic_histograms_to_nhcb: false\n");
    const struct scrape_job *a = c->jobs.items[0], *b = c->jobs.items[1], *own = c->jobs.items[2];

    assert_true(a->native_histograms && a->native_bucket_limit == 160);
    assert_int_equal(a->n_protocols, SCRAPE_PROTOCOLS);
    assert_int_equal(a->protocols[0], SCRAPE_PROTOBUF);
    assert_int_equal(a->protocols[1], SCRAPE_OPENMETRICS_1_0_0);
    assert_false(b->native_histograms || a->classic_histograms);
    assert_int_equal(b->protocols[0], SCRAPE_OPENMETRICS_1_0_0);
    assert_true(own->native_histograms && own->classic_histograms);
    assert_int_equal(own->n_protocols, 1);
    scrape_config_unref(c);
}

static void test_fingerprints(void **state) {
    struct scrape_config *a = parse("scrape_configs:\n- job_name: a\n- job_name: b\n"),
                         *b = parse("scrape_configs:\n- job_name: b\n- job_name: a\n"
                                    "  scheme: https\n");
    assert_int_equal(a->jobs.items[1]->fingerprint, b->jobs.items[0]->fingerprint);
    assert_int_not_equal(a->jobs.items[0]->fingerprint, b->jobs.items[1]->fingerprint);
    scrape_config_unref(a);
    scrape_config_unref(b);
}

static void test_durations(void **state) {
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {{"0", 0},
                {"15s", 15 * NS_PER_S},
                {"1h30m", 5400 * NS_PER_S},
                {"1m500ms", 60500 * NS_PER_MS},
                {"1d", 86400 * NS_PER_S}};
    static const char *const bad[] = {"", "1", "s", "1.5s", "-1s", "1s1m", "1s1s", "99999999999y"};
    char text[64];
    int64_t ns;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(scrape_duration_parse(slice_from(good[i].text), &ns), 0);
        assert_int_equal(ns, good[i].ns);
        scrape_duration_print(ns, text, sizeof(text));
        assert_string_equal(text, ns ? good[i].text : "0s");
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(scrape_duration_parse(slice_from(bad[i]), &ns), -EINVAL);
}

static void test_rules(void **state) {
    struct scrape_config *c = parse(JOB "  relabel_configs:\n  - {target_label: a}\n"
                                        "  metric_relabel_configs:\n  - {action: drop}\n"
                                        "  - {action: labeldrop, regex: x}\n");
    assert_int_equal(c->jobs.items[0]->relabel.n, 1);
    assert_int_equal(c->jobs.items[0]->metric_relabel.n, 2);
    scrape_config_unref(c);
}

static void test_groups(void **state) {
    scrape_discovered_list list = {0};
    struct error e = ERROR_NONE;
    struct arena a;

    arena_init(&a, 1 << 20);
    assert_int_equal(scrape_groups_parse("f.json",
                                         SLICE("[{\"targets\": [\"a:1\", \"b:2\"], \"labels\": "
                                               "{\"env\": \"x\"}}, {\"targets\": []}]"),
                                         SLICE("__meta_filepath"), SLICE("f.json"), &a, &list, &e),
                     0);
    assert_int_equal(list.n, 2);
    assert_int_equal(list.items[0].n_labels, 3);
    assert_slice(list.items[1].labels[0].value, "b:2");
    assert_int_equal(scrape_groups_parse("f.yml", SLICE("- targets: [a]\n  lables: {}\n"),
                                         SLICE(""), SLICE(""), &a, &list, &e),
                     -EINVAL);
    assert_non_null(strstr(e.text, "f.yml:2: there is no key \"lables\""));
    vector_done(&list);
    arena_done(&a);
}

/* A small file that stands for an enormous one. */
static void test_aliases(void **state) {
    struct buffer text;

    buffer_init(&text, 1 << 20);
    buffer_append_text(&text, "runtime: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    buffer_append_text(&text, "scrape_configs:\n- job_name: j\n  static_configs: &g\n");
    buffer_append_text(&text, "  - targets: &t [");
    for (int i = 0; i < 2000; i++)
        buffer_append_text(&text, "h:1,");
    buffer_append_text(&text, "]\n");
    for (int i = 0; i < 2000; i++)
        buffer_append_text(&text, "  - targets: *t\n");
    buffer_append_u8(&text, 0);
    refuse((const char *) text.data, "p.yml:");
    buffer_done(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_defaults),
            cmocka_unit_test(test_empty),
            cmocka_unit_test(test_notes),
            cmocka_unit_test(test_refused),
            cmocka_unit_test(test_secrets),
            cmocka_unit_test(test_fingerprints),
            cmocka_unit_test(test_native_histograms),
            cmocka_unit_test(test_durations),
            cmocka_unit_test(test_groups),
            cmocka_unit_test(test_aliases),
            cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
