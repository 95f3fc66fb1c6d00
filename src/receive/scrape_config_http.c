/* HTTP settings in a scrape configuration: authentication, TLS, proxies. */
#include "receive/scrape_config_job.h"

#define AT(field) offsetof(struct scrape_http, field)

static const struct yaml_field basic_fields[] = {
        {"username", YAML_TEXT, AT(username)},
        {"username_file", YAML_PATH, AT(username_file)},
        {"password", YAML_TEXT, AT(password)},
        {"password_file", YAML_PATH, AT(password_file)},
};

static int read_basic(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct yaml_fields t = {basic_fields, sizeof(basic_fields) / sizeof(basic_fields[0]), target};
    struct scrape_http *h = target;

    h->has_basic_auth = true;
    int result = yaml_read_mapping(r, node, "basic_auth", &t, 1);
    if (result == 0 && ((h->username && h->username_file) || (h->password && h->password_file)))
        return yaml_fail(r, node, "basic_auth: a value and its file exclude each other");
    return result;
}

static const struct yaml_field authorization_fields[] = {
        {"type", YAML_TEXT, AT(auth_type)},
        {"credentials", YAML_TEXT, AT(credentials)},
        {"credentials_file", YAML_PATH, AT(credentials_file)},
};

static int read_authorization(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct yaml_fields t = {authorization_fields,
                            sizeof(authorization_fields) / sizeof(authorization_fields[0]), target};
    struct scrape_http *h = target;

    h->has_authorization = true;
    int result = yaml_read_mapping(r, node, "authorization", &t, 1);
    if (result < 0)
        return result;
    if (h->credentials && h->credentials_file)
        return yaml_fail(r, node,
                         "authorization: credentials and credentials_file exclude each "
                         "other");
    if (h->auth_type && slice_equal_nocase(slice_from(h->auth_type), SLICE("basic")))
        return yaml_fail(r, node, "authorization: type Basic is what basic_auth is for");
    return 0;
}

static int read_tls_version(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct slice s;
    int result = yaml_read_text(r, node, &s);

    if (result < 0)
        return result;
    if (!slice_is(s, "TLS10") && !slice_is(s, "TLS11") && !slice_is(s, "TLS12") &&
        !slice_is(s, "TLS13"))
        return yaml_fail(r, node, "\"%.*s\" is none of TLS10, TLS11, TLS12, TLS13", SLICE_ARG(s));
    *(const char **) target = (const char *) s.data;
    return 0;
}

static const struct yaml_field tls_fields[] = {
        {"ca_file", YAML_PATH, AT(ca_file)},
        {"cert_file", YAML_PATH, AT(cert_file)},
        {"key_file", YAML_PATH, AT(key_file)},
        {"server_name", YAML_TEXT, AT(server_name)},
        {"insecure_skip_verify", YAML_BOOL, AT(insecure)},
        {"min_version", YAML_READ, AT(tls_min), read_tls_version},
        {"max_version", YAML_READ, AT(tls_max), read_tls_version},
        {"ca", YAML_TEXT, AT(ca)},
        {"cert", YAML_TEXT, AT(cert)},
        {"key", YAML_TEXT, AT(key)},
};

static int read_tls(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct yaml_fields t = {tls_fields, sizeof(tls_fields) / sizeof(tls_fields[0]), target};
    const struct scrape_http *h = target;
    int result = yaml_read_mapping(r, node, "tls_config", &t, 1);

    if (result < 0)
        return result;
    if ((h->ca && h->ca_file) || (h->cert && h->cert_file) || (h->key && h->key_file))
        return yaml_fail(r, node,
                         "tls_config: ca, cert and key exclude ca_file, cert_file and key_file");
    if (!(h->cert || h->cert_file) != !(h->key || h->key_file))
        return yaml_fail(r, node, "tls_config: a certificate and its key need each other");
    return 0;
}

/* http_headers: {Name: {values: […], secrets: […], files: […]}} */
struct header_list {
    struct scrape_http *http;
    struct slice name;
};

static int add_headers(struct yaml_reader *r, yaml_node_t *node, struct slice name,
                       struct label **list, size_t *n, bool paths) {
    struct slice *values;
    size_t more;

    int result = yaml_read_texts(r, node, &values, &more);
    if (result < 0)
        return result;
    struct label *items = arena_array(r->arena, struct label, *n + more);
    if (!items)
        return error_set(r->e, -ENOMEM, "out of memory");
    if (*n)
        memcpy(items, *list, *n * sizeof(*items));
    *list = items;
    for (size_t i = 0; i < more; i++) {
        if (slice_find_byte(values[i], '\n') >= 0 || slice_find_byte(values[i], '\r') >= 0)
            return yaml_fail(r, node, "a header's value has one line");
        const char *path = paths ? yaml_path(r, values[i]) : NULL;
        if (paths && !path)
            return error_set(r->e, -ENOMEM, "out of memory");
        items[(*n)++] = (struct label){name, paths ? slice_from(path) : values[i]};
    }
    return 0;
}

static int read_header_values(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct header_list *list = target;

    return add_headers(r, node, list->name, &list->http->headers, &list->http->n_headers, false);
}

static int read_header_files(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct header_list *list = target;

    return add_headers(r, node, list->name, &list->http->file_headers, &list->http->n_file_headers,
                       true);
}

static int read_headers(struct yaml_reader *r, yaml_node_t *node, void *target) {
    static const struct yaml_field fields[] = {
            {"values", YAML_READ, 0, read_header_values},
            {"secrets", YAML_READ, 0, read_header_values},
            {"files", YAML_READ, 0, read_header_files},
    };

    if (yaml_is_null(node))
        return 0;
    if (node->type != YAML_MAPPING_NODE)
        return yaml_fail(r, node, "http_headers: \"Name: {values: […]}\" should stand here");
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top;
         p++) {
        struct header_list list = {.http = target};
        struct yaml_fields t = {fields, 3, &list};
        int result = yaml_read_text(r, yaml_node(r, p->key), &list.name);
        if (result == 0)
            result = yaml_read_mapping(r, yaml_node(r, p->value), "an HTTP header", &t, 1);
        if (result < 0)
            return result;
    }
    return 0;
}

static int read_bearer_file(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct scrape_http *h = target;
    struct slice s;
    int result = yaml_read_text(r, node, &s);

    h->has_authorization = true;
    h->credentials_file = result == 0 ? yaml_path(r, s) : NULL;
    return result;
}

static int read_bearer(struct yaml_reader *r, yaml_node_t *node, void *target) {
    struct scrape_http *h = target;
    struct slice s;
    int result = yaml_read_text(r, node, &s);

    h->has_authorization = true;
    h->credentials = result == 0 ? (const char *) s.data : NULL;
    return result;
}

static const struct yaml_field fields[] = {
        {"basic_auth", YAML_READ, 0, read_basic},
        {"authorization", YAML_READ, 0, read_authorization},
        {"bearer_token", YAML_READ, 0, read_bearer},
        {"bearer_token_file", YAML_READ, 0, read_bearer_file},
        {"tls_config", YAML_READ, 0, read_tls},
        {"proxy_url", YAML_TEXT, AT(proxy_url)},
        {"no_proxy", YAML_TEXT, AT(no_proxy)},
        {"proxy_from_environment", YAML_BOOL, AT(proxy_from_environment)},
        {"proxy_connect_header", YAML_REFUSED,
         .why = "not supported; let the proxy take the server without this header, or take "
                "proxy_url away"},
        {"follow_redirects", YAML_BOOL, AT(follow_redirects)},
        {"enable_http2", YAML_BOOL, AT(enable_http2)},
        {"http_headers", YAML_READ, 0, read_headers},
        {"oauth2", YAML_REFUSED,
         .why = "not supported; fetch a token beside the server and name its file as "
                "authorization.credentials_file, which is read for every scrape"},
};

const struct yaml_fields scrape_http_fields = {fields, sizeof(fields) / sizeof(fields[0]), NULL};

int scrape_http_check(struct yaml_reader *r, const yaml_node_t *node, const struct scrape_http *h) {
    if (h->has_basic_auth && h->has_authorization)
        return yaml_fail(r, node,
                         "at most one of basic_auth, authorization and bearer_token may "
                         "be given");
    if (h->proxy_from_environment && (h->proxy_url || h->no_proxy))
        return yaml_fail(r, node, "proxy_from_environment excludes proxy_url and no_proxy");
    return 0;
}
