/* Discovery in a scrape configuration, and target groups as files and HTTP servers list them. */
#include "receive/scrape_config_job.h"

#define PROVIDERS_MAX 10000u

typedef VECTOR(struct scrape_provider) provider_list;

/* ---- Target groups ---- */

struct group {
    struct slice *targets;
    struct label *labels;
    size_t n_targets, n_labels;
};

static int read_targets(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct group *g = target;
    int result = yaml_read_texts(r, node, &g->targets, &g->n_targets);

    for (size_t i = 0; result == 0 && i < g->n_targets; i++)
        if (slice_find_byte(g->targets[i], '/') >= 0)
            return yaml_fail(r, node,
                             "\"%.*s\" is not a host with a port: leave out the scheme "
                             "and the path",
                             SLICE_ARG(g->targets[i]));
    return result;
}

static int read_group_labels(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct group *g = target;

    return yaml_read_labels(r, node, &g->labels, &g->n_labels);
}

struct groups {
    scrape_discovered_list *list;
    struct slice meta, source;
};

static int add_group(struct yaml_reader *r, yaml_node_t *node, void *ctx) {
    static const struct yaml_field fields[] = {
            {"targets", YAML_READ, 0, read_targets},
            {"labels", YAML_READ, 0, read_group_labels},
    };
    const struct groups *to = ctx;
    struct group g = {0};
    struct yaml_fields t = {fields, 2, &g};

    int result = yaml_read_mapping(r, node, "a target group", &t, 1);
    for (size_t i = 0; result == 0 && i < g.n_targets; i++) {
        struct label_set set;
        label_set_init(&set, r->arena);
        for (size_t k = 0; k < g.n_labels; k++)
            label_set_put(&set, g.labels[k].name, g.labels[k].value);
        label_set_put(&set, SLICE("__address__"), g.targets[i]);
        if (to->meta.size)
            label_set_put(&set, to->meta, to->source);
        struct scrape_discovered d = {set.items, set.n};
        result = set.failed ? set.failed : vector_push(to->list, d, SCRAPE_TARGETS_MAX);
        if (result < 0)
            yaml_fail(r, node, "more than %u targets, or out of memory", SCRAPE_TARGETS_MAX);
    }
    return result;
}

int scrape_groups_parse(const char *file, struct slice text, struct slice meta, struct slice source,
                        struct arena *a, scrape_discovered_list *ret, struct error *e) {
    struct groups to = {ret, meta, source};
    struct yaml_reader r;

    int result = yaml_reader_init(&r, file, text, a, e);
    if (result < 0)
        return result;
    yaml_node_t *root = yaml_root(&r);
    if (root)
        result = yaml_read_list(&r, root, "a list of target groups", add_group, &to);
    yaml_reader_done(&r);
    return result;
}

/* ---- Providers ---- */

static int add_provider(struct yaml_reader *r, const yaml_node_t *node, provider_list *to,
                        const struct scrape_provider *p) {
    int result = vector_push(to, *p, PROVIDERS_MAX);

    return result < 0 ? yaml_fail(r, node, "too many discoveries") : 0;
}

int scrape_read_static(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct scrape_provider p = {.kind = SCRAPE_SD_STATIC};
    struct groups to = {.list = &p.fixed};

    int result = yaml_read_list(r, node, "a list of target groups", add_group, &to);
    if (result == 0)
        result = add_provider(r, node, target, &p);
    if (result < 0)
        vector_done(&p.fixed);
    return result;
}

static int read_names(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct scrape_provider *p = target;

    return yaml_read_texts(r, node, &p->names, &p->n_names);
}

static int read_globs(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct scrape_provider *p = target;
    int result = read_names(r, node, target);

    for (size_t i = 0; result == 0 && i < p->n_names; i++) {
        struct slice name = p->names[i];
        const char *slash = strrchr((const char *) name.data, '/'); /* NUL-terminated */
        struct slice last = slash ? slice_from(slash + 1) : name;
        ptrdiff_t star = slice_find_byte(last, '*');
        if (star >= 0 && slice_find_byte(slice_skip(last, (size_t) star + 1), '*') >= 0)
            star = -2;
        if (!(slice_ends(name, SLICE(".yml")) || slice_ends(name, SLICE(".yaml")) ||
              slice_ends(name, SLICE(".json"))) ||
            star == -2 || slice_find_byte(slice_take(name, name.size - last.size), '*') >= 0)
            return yaml_fail(r, node,
                             "\"%.*s\" is no name of target files: it ends with .json, .yml or "
                             ".yaml, and has at most one *, in the last part",
                             SLICE_ARG(name));
        const char *path = yaml_path(r, name);
        if (!path)
            return error_set(r->e, -ENOMEM, "out of memory");
        p->names[i] = slice_from(path);
    }
    return result;
}

#define AT(field) offsetof(struct scrape_provider, field)

static int add_file_sd(struct yaml_reader *r, yaml_node_t *node, void *ctx) {
    static const struct yaml_field fields[] = {
            {"files", YAML_READ, 0, read_globs},
            {"refresh_interval", YAML_DURATION, AT(refresh_ns)},
    };
    struct scrape_provider p = {.kind = SCRAPE_SD_FILE, .refresh_ns = INT64_C(300000000000)};
    struct yaml_fields t = {fields, 2, &p};

    int result = yaml_read_mapping(r, node, "a file_sd_config", &t, 1);
    if (result == 0 && !p.n_names)
        return yaml_fail(r, node, "a file_sd_config needs files");
    return result < 0 ? result : add_provider(r, node, ctx, &p);
}

int scrape_read_file_sd(struct yaml_reader *r, yaml_node_t *node, void *target) {
    return yaml_read_list(r, node, "a list of file_sd_configs", add_file_sd, target);
}

static int add_http_sd(struct yaml_reader *r, yaml_node_t *node, void *ctx) {
    static const struct yaml_field fields[] = {
            {"url", YAML_TEXT, AT(url)},
            {"refresh_interval", YAML_DURATION, AT(refresh_ns)},
    };
    struct scrape_provider p = {.kind = SCRAPE_SD_HTTP,
                                .refresh_ns = INT64_C(60000000000),
                                .http = {.follow_redirects = true, .enable_http2 = true}};
    struct yaml_fields t[2] = {{fields, 2, &p}, scrape_http_fields};

    t[1].target = &p.http;
    int result = yaml_read_mapping(r, node, "an http_sd_config", t, 2);
    if (result == 0 && (!p.url || !(slice_starts(slice_from(p.url), SLICE("http://")) ||
                                    slice_starts(slice_from(p.url), SLICE("https://")))))
        return yaml_fail(r, node,
                         "an http_sd_config needs an url that begins with http:// or "
                         "https://");
    if (result == 0)
        result = scrape_http_check(r, node, &p.http);
    return result < 0 ? result : add_provider(r, node, ctx, &p);
}

int scrape_read_http_sd(struct yaml_reader *r, yaml_node_t *node, void *target) {
    return yaml_read_list(r, node, "a list of http_sd_configs", add_http_sd, target);
}

static int read_dns_type(struct yaml_reader *r, yaml_node_t *node, void *target) {
    static const char *const names[] = {[SCRAPE_DNS_SRV] = "SRV",
                                        [SCRAPE_DNS_A] = "A",
                                        [SCRAPE_DNS_AAAA] = "AAAA",
                                        [SCRAPE_DNS_MX] = "MX",
                                        [SCRAPE_DNS_NS] = "NS"};
    struct slice s;
    int result = yaml_read_text(r, node, &s);

    if (result < 0)
        return result;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (slice_equal_nocase(s, slice_from(names[i]))) {
            *(enum scrape_dns *) target = (enum scrape_dns) i;
            return 0;
        }
    return yaml_fail(r, node, "\"%.*s\" is none of SRV, A, AAAA, MX, NS", SLICE_ARG(s));
}

static int add_dns_sd(struct yaml_reader *r, yaml_node_t *node, void *ctx) {
    static const struct yaml_field fields[] = {
            {"names", YAML_READ, 0, read_names},
            {"refresh_interval", YAML_DURATION, AT(refresh_ns)},
            {"type", YAML_READ, AT(dns), read_dns_type},
            {"port", YAML_COUNT, AT(port)},
    };
    struct scrape_provider p = {.kind = SCRAPE_SD_DNS, .refresh_ns = INT64_C(30000000000)};
    struct yaml_fields t = {fields, 4, &p};

    int result = yaml_read_mapping(r, node, "a dns_sd_config", &t, 1);
    if (result == 0 && !p.n_names)
        return yaml_fail(r, node, "a dns_sd_config needs names");
    if (result == 0 && p.dns != SCRAPE_DNS_SRV && (p.port == 0 || p.port > 65535))
        return yaml_fail(r, node, "a dns_sd_config of this type needs a port");
    return result < 0 ? result : add_provider(r, node, ctx, &p);
}

int scrape_read_dns_sd(struct yaml_reader *r, yaml_node_t *node, void *target) {
    return yaml_read_list(r, node, "a list of dns_sd_configs", add_dns_sd, target);
}
