/* The configuration file as a whole. See scrape_config.h. */
#include "receive/scrape_config.h"
#include "base/clock.h"
#include "receive/scrape_config_job.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_BYTES_MAX ((size_t) 512 << 20)

/* ---- Durations ---- */

static const struct {
    const char *unit;
    int64_t ns;
} units[] = {
        {"y", 365 * 86400 * NS_PER_S},
        {"w", 7 * 86400 * NS_PER_S},
        {"d", 86400 * NS_PER_S},
        {"h", 3600 * NS_PER_S},
        {"m", 60 * NS_PER_S},
        {"s", NS_PER_S},
        {"ms", NS_PER_MS},
};
#define UNITS (sizeof(units) / sizeof(units[0]))

int scrape_duration_parse(struct slice text, int64_t *ret_ns) {
    int64_t sum = 0;
    size_t unit = 0, at = 0;

    if (slice_is(text, "0")) {
        *ret_ns = 0;
        return 0;
    }
    if (!text.size)
        return -EINVAL;
    while (at < text.size) {
        size_t digits = at, name;
        uint64_t v;
        while (at < text.size && text.data[at] >= '0' && text.data[at] <= '9')
            at++;
        if (slice_to_u64(slice_new(text.data + digits, at - digits), &v) < 0 || v > INT32_MAX)
            return -EINVAL;
        for (name = at; at < text.size && (text.data[at] < '0' || text.data[at] > '9');)
            at++;
        struct slice s = slice_new(text.data + name, at - name);
        while (unit < UNITS && !slice_is(s, units[unit].unit))
            unit++;
        int64_t part;
        if (unit == UNITS || __builtin_mul_overflow((int64_t) v, units[unit].ns, &part) ||
            __builtin_add_overflow(sum, part, &sum))
            return -EINVAL;
        unit++;
    }
    *ret_ns = sum;
    return 0;
}

void scrape_duration_print(int64_t ns, char *ret, size_t room) {
    size_t n = 0;

    snprintf(ret, room, "0s");
    for (size_t i = 0; i < UNITS; i++) {
        int64_t v = ns / units[i].ns;
        /* As Prometheus prints them: years and the like only when nothing is left over. */
        if (v == 0 || n >= room || (i < 3 && ns % units[i].ns != 0))
            continue;
        n += (size_t) snprintf(ret + n, room - n, "%lld%s", (long long) v, units[i].unit);
        ns -= v * units[i].ns;
    }
}

/* ---- Life ---- */

int scrape_config_new(struct scrape_config **ret) {
    static const enum scrape_protocol protocols[] = {SCRAPE_OPENMETRICS_1_0_0,
                                                     SCRAPE_OPENMETRICS_0_0_1, SCRAPE_TEXT_1_0_0,
                                                     SCRAPE_TEXT_0_0_4};
    struct scrape_config *c = memory_alloc(sizeof(*c));

    if (!c)
        return -ENOMEM;
    *c = (struct scrape_config){
            .references = 1,
            .global = {.interval_ns = 60 * NS_PER_S,
                       .timeout_ns = 10 * NS_PER_S,
                       .honor_timestamps = true,
                       .compression = true,
                       .utf8_names = true,
                       .scheme = "http",
                       .metrics_path = "/metrics",
                       .fallback = -1,
                       .n_protocols = sizeof(protocols) / sizeof(protocols[0]),
                       .http = {.follow_redirects = true, .enable_http2 = true}}};
    memcpy(c->global.protocols, protocols, sizeof(protocols));
    arena_init(&c->arena, ARENA_BYTES_MAX);
    *ret = c;
    return 0;
}

struct scrape_config *scrape_config_ref(struct scrape_config *c) {
    atomic_fetch_add(&c->references, 1);
    return c;
}

void scrape_config_unref(struct scrape_config *c) {
    if (!c || atomic_fetch_sub(&c->references, 1) != 1)
        return;
    vector_each(&c->jobs, job) scrape_job_done(*job);
    vector_done(&c->jobs);
    vector_done(&c->notes);
    arena_done(&c->arena);
    free(c);
}

/* ---- Files ---- */

struct slice scrape_file_read(const char *path, size_t max, struct arena *a, struct error *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    size_t n = 0;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t) st.st_size > max) {
        int code = fd < 0 ? -errno : -EINVAL;
        error_set(e, code, "%s: %s", path,
                  fd < 0 ? error_name(code) : "not a file, or larger than is allowed");
        if (fd >= 0)
            close(fd);
        return SLICE_EMPTY;
    }
    uint8_t *data = arena_alloc(a, (size_t) st.st_size + 1);
    while (data && n < (size_t) st.st_size) {
        ssize_t got = read(fd, data + n, (size_t) st.st_size - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t) got;
    }
    close(fd);
    if (!data) {
        error_set(e, -ENOMEM, "%s: out of memory", path);
        return SLICE_EMPTY;
    }
    data[n] = 0;
    return slice_new(data, n);
}

/* ---- Sections ---- */

static int read_external_labels(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct label *items;
    size_t n;
    int result = yaml_read_labels(r, node, &items, &n);

    if (result == 0 && n)
        return scrape_note(r, node,
                           "external_labels is accepted and does nothing yet: it is for "
                           "what is sent to other servers");
    return result;
}

static int read_ignored(struct yaml_reader *r, yaml_node_t *node, void *target) {
    return 0;
}

static int read_log_file(struct yaml_reader *r, yaml_node_t *node, void *target) {
    return scrape_note(r, node,
                       "no such log file is written: failed scrapes are shown under Targets, and "
                       "varan_prometheus_* in /metrics count queries");
}

static int read_global(struct yaml_reader *r, yaml_node_t *node, void *target) {
    static const struct yaml_field fields[] = {
            {"external_labels", YAML_READ, 0, read_external_labels},
            {"evaluation_interval", YAML_READ, 0, read_ignored},
            {"rule_query_offset", YAML_READ, 0, read_ignored},
            {"query_log_file", YAML_READ, 0, read_log_file},
            {"scrape_failure_log_file", YAML_READ, 0, read_log_file},
    };
    struct scrape_config *c = r->owner;
    struct yaml_fields t[2] = {{fields, sizeof(fields) / sizeof(fields[0]), c},
                               scrape_global_fields};

    t[1].target = &c->global;
    c->global.timeout_ns = 0;
    int result = yaml_read_mapping(r, node, "the global section", t, 2);
    if (result < 0)
        return result;
    if (!c->global.interval_ns)
        c->global.interval_ns = 60 * NS_PER_S;
    if (c->global.timeout_ns > c->global.interval_ns)
        return yaml_fail(r, node, "the global scrape_timeout is longer than the scrape_interval");
    if (!c->global.timeout_ns)
        c->global.timeout_ns =
                c->global.interval_ns < 10 * NS_PER_S ? c->global.interval_ns : 10 * NS_PER_S;
    return 0;
}

static int keep_node(struct yaml_reader *r, yaml_node_t *node, void *target) {
    *(yaml_node_t **) target = node;
    return 0;
}

/* Sections that do nothing here, each with what to do instead. */
static int note_section(struct yaml_reader *r, const yaml_node_t *node, const char *text) {
    if (yaml_is_null(node) || (node->type == YAML_SEQUENCE_NODE &&
                               node->data.sequence.items.start == node->data.sequence.items.top))
        return 0;
    return scrape_note(r, node, "%s", text);
}

#define SECTION(name, text)                                                                        \
    static int note_##name(struct yaml_reader *r, yaml_node_t *node, void *target) {               \
        return note_section(r, node, #name " is accepted and does nothing: " text);                \
    }

SECTION(rule_files, "rules are not evaluated here yet; let vmalert ask /prometheus, or keep a "
                    "Prometheus for them that writes here")
SECTION(alerting, "there are no rules yet whose alerts could be sent")
SECTION(remote_write, "samples are not sent on; let the others scrape, too, or federate from "
                      "/prometheus/federate")
SECTION(remote_read, "queries are answered from what is stored here; let the other server write "
                     "here")
SECTION(storage, "samples may come late and in any order, and exemplars are kept as long as "
                 "samples; --metrics-retention-days says how long")
SECTION(tracing, "the server sends no spans of its own")
SECTION(otlp, "names are translated as Prometheus does by default, resource attributes are labels "
              "of target_info")

struct sections {
    yaml_node_t *global, *jobs, *files;
};

static int read_job_file(struct scrape_config *c, const char *path, struct error *e) {
    struct slice text = scrape_file_read(path, SCRAPE_CONFIG_BYTES_MAX, &c->arena, e);
    yaml_node_t *jobs = NULL;
    const struct yaml_field fields[] = {{"scrape_configs", YAML_READ, 0, keep_node}};
    struct yaml_fields t = {fields, 1, &jobs};
    struct yaml_reader r;

    if (!text.data)
        return e->code;
    int result = yaml_reader_init(&r, path, text, &c->arena, e);
    if (result < 0)
        return result;
    r.owner = c;
    if (yaml_root(&r))
        result = yaml_read_mapping(&r, yaml_root(&r), "a file of scrape configs", &t, 1);
    if (result == 0 && jobs)
        result = yaml_read_list(&r, jobs, "a list of scrape configs", scrape_job_read, c);
    yaml_reader_done(&r);
    return result;
}

static int read_job_files(struct yaml_reader *r, yaml_node_t *item, void *ctx) {
    struct slice s;
    glob_t found = {0};
    int result = yaml_read_text(r, item, &s);
    const char *pattern = result == 0 ? yaml_path(r, s) : NULL;

    if (!pattern)
        return result < 0 ? result : -ENOMEM;
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; result == 0 && i < found.gl_pathc; i++)
            result = read_job_file(ctx, found.gl_pathv[i], r->e);
    globfree(&found);
    return result;
}

static int read_sections(struct yaml_reader *r, struct scrape_config *c) {
    static const struct yaml_field fields[] = {
            {"global", YAML_READ, offsetof(struct sections, global), keep_node},
            {"scrape_configs", YAML_READ, offsetof(struct sections, jobs), keep_node},
            {"scrape_config_files", YAML_READ, offsetof(struct sections, files), keep_node},
            {"runtime", YAML_READ, 0, read_ignored},
            {"rule_files", YAML_READ, 0, note_rule_files},
            {"alerting", YAML_READ, 0, note_alerting},
            {"remote_write", YAML_READ, 0, note_remote_write},
            {"remote_read", YAML_READ, 0, note_remote_read},
            {"storage", YAML_READ, 0, note_storage},
            {"tracing", YAML_READ, 0, note_tracing},
            {"otlp", YAML_READ, 0, note_otlp},
    };
    struct sections s = {0};
    struct yaml_fields t = {fields, sizeof(fields) / sizeof(fields[0]), &s};

    int result = yaml_read_mapping(r, yaml_root(r), "the configuration", &t, 1);
    /* What is global comes first, wherever it stands. */
    if (result == 0 && s.global)
        result = read_global(r, s.global, c);
    if (result == 0 && s.jobs)
        result = yaml_read_list(r, s.jobs, "a list of scrape configs", scrape_job_read, c);
    if (result == 0 && s.files)
        result = yaml_read_list(r, s.files, "a list of files", read_job_files, c);
    return result;
}

/* ---- The whole ---- */

int scrape_config_parse(const char *file, struct slice text, struct scrape_config **ret,
                        struct error *e) {
    struct scrape_config *c;
    struct yaml_reader r;

    int result = scrape_config_new(&c);
    if (result < 0)
        return error_set(e, result, "out of memory");
    c->file = (const char *) arena_dup(&c->arena, slice_from(file)).data;
    result = c->file ? yaml_reader_init(&r, c->file, text, &c->arena, e)
                     : error_set(e, -ENOMEM, "out of memory");
    if (result == 0) {
        r.owner = c;
        if (yaml_root(&r))
            result = read_sections(&r, c);
        if (result == 0)
            result = scrape_config_print_to(&r, &c->printed);
        yaml_reader_done(&r);
    }
    if (result < 0) {
        scrape_config_unref(c);
        return result;
    }
    *ret = c;
    return 0;
}

int scrape_config_read(const char *file, struct scrape_config **ret, struct error *e) {
    struct arena a;

    arena_init(&a, SCRAPE_CONFIG_BYTES_MAX + (1 << 20));
    struct slice text = scrape_file_read(file, SCRAPE_CONFIG_BYTES_MAX, &a, e);
    int result = text.data ? scrape_config_parse(file, text, ret, e) : e->code;
    arena_done(&a);
    return result;
}
