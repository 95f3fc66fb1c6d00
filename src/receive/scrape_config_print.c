/* The configuration as YAML again, for people who may read it but not its secrets. */
#include "receive/scrape_config_job.h"

#define PRINTED_BYTES_MAX ((size_t) 64 << 20)

static const char *const secret_keys[] = {
        "password", "credentials", "bearer_token", "client_secret",   "secret_key",
        "secrets",  "auth_token",  "api_key",      "application_key", "token",
        "key",      "secret",      "account_key"};

static bool is_secret(const yaml_node_t *key) {
    if (!key || key->type != YAML_SCALAR_NODE)
        return false;
    for (size_t i = 0; i < sizeof(secret_keys) / sizeof(secret_keys[0]); i++)
        if (strcmp((const char *) key->data.scalar.value, secret_keys[i]) == 0)
            return true;
    return false;
}

static int set_scalar(yaml_node_t *node, struct slice text) {
    uint8_t *copy = malloc(text.size + 1);

    if (!copy)
        return -ENOMEM;
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    free(node->data.scalar.value); /* libyaml's memory is malloc's */
    node->data.scalar.value = copy;
    node->data.scalar.length = text.size;
    return 0;
}

/* user:password@ of an address. */
static int mask_address(struct yaml_reader *r, yaml_node_t *node) {
    struct slice s = slice_new(node->data.scalar.value, node->data.scalar.length);
    ptrdiff_t scheme = slice_find(s, SLICE("://"));

    if (scheme < 0)
        return 0;
    struct slice rest = slice_skip(s, (size_t) scheme + 3);
    struct slice host = slice_take(rest, rest.size);
    ptrdiff_t slash = slice_find_byte(rest, '/');
    if (slash >= 0)
        host.size = (size_t) slash;
    ptrdiff_t colon = slice_find_byte(host, ':'), at = slice_find_byte(host, '@');
    if (at < 0 || colon < 0 || colon > at)
        return 0;
    const char *masked =
            arena_printf(r->arena, "%.*s://%.*s:xxxxx%.*s", (int) scheme, s.data, (int) colon,
                         host.data, SLICE_ARG(slice_skip(rest, (size_t) at)));
    return masked ? set_scalar(node, slice_from(masked)) : -ENOMEM;
}

static int mask_value(struct yaml_reader *r, yaml_node_t *node) {
    if (!node)
        return 0;
    if (node->type == YAML_SCALAR_NODE)
        return yaml_is_null(node) ? 0 : set_scalar(node, SLICE("<secret>"));
    for (yaml_node_item_t *i = node->type == YAML_SEQUENCE_NODE ? node->data.sequence.items.start
                                                                : NULL;
         i && i < node->data.sequence.items.top; i++) {
        yaml_node_t *item = yaml_node(r, *i);
        if (item && item->type == YAML_SCALAR_NODE && set_scalar(item, SLICE("<secret>")) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int mask_secrets(struct yaml_reader *r) {
    int result = 0;
    yaml_node_t *node;

    for (int n = 1; result == 0 && (node = yaml_node(r, n)); n++) {
        if (node->type == YAML_SCALAR_NODE)
            result = mask_address(r, node);
        if (node->type != YAML_MAPPING_NODE)
            continue;
        for (yaml_node_pair_t *p = node->data.mapping.pairs.start;
             result == 0 && p < node->data.mapping.pairs.top; p++)
            if (is_secret(yaml_node(r, p->key)))
                result = mask_value(r, yaml_node(r, p->value));
    }
    return result;
}

static int write_to(void *ctx, unsigned char *data, size_t size) {
    return buffer_append(ctx, data, size) == 0;
}

/* libyaml's dump ends the document, whatever comes of it. */
int scrape_config_print_to(struct yaml_reader *r, struct slice *ret) {
    yaml_emitter_t emitter;
    struct buffer out;
    int result = mask_secrets(r);

    *ret = SLICE("");
    if (result < 0 || !yaml_root(r))
        return result;
    if (!yaml_emitter_initialize(&emitter))
        return -ENOMEM;
    buffer_init(&out, PRINTED_BYTES_MAX);
    yaml_emitter_set_output(&emitter, write_to, &out);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    r->document.start_implicit = r->document.end_implicit = 1;
    int ok = yaml_emitter_open(&emitter) && yaml_emitter_dump(&emitter, &r->document) &&
             yaml_emitter_close(&emitter);
    yaml_emitter_delete(&emitter);
    if (ok)
        *ret = arena_dup(r->arena, buffer_slice(&out));
    buffer_done(&out);
    return ok && ret->data ? 0 : error_set(r->e, -ENOMEM, "%s: out of memory", r->file);
}
