/* The scraper of `varan serve`: start, reload, and Prometheus' own operation resources. */
#include "base/log.h"
#include "cli/serve.h"
#include "receive/scrape.h"

static void self_metrics(void *ctx, struct buffer *to) {
    serve_format_metrics(ctx, to);
}

static void log_notes(struct scrape *scrape) {
    struct scrape_config_notes notes;
    struct arena a;

    arena_init(&a, 1 << 20);
    if (scrape_read_notes(scrape, &a, &notes) == 0)
        for (size_t i = 0; i < notes.n; i++)
            log_warn("scrape", "%.*s", SLICE_ARG(notes.lines[i]));
    arena_done(&a);
}

int serve_open_scrape(struct serve *s, struct error *e) {
    struct scrape_options o = {.ingest = atomic_load(&s->ingest),
                               .config_file = s->settings->prometheus_config,
                               .version = VARAN_VERSION,
                               .self_metrics = s->settings->self_metrics ? self_metrics : NULL,
                               .self_ctx = s};
    const char *address = strstr(s->page_url, "://");
    struct scrape *scrape;

    o.self_address = address ? address + 3 : s->settings->listen;
    int r = scrape_new(&o, &scrape, e);
    if (r < 0)
        return o.config_file ? error_prefix(e, "--prometheus-config: ") : r;
    atomic_store(&s->scrape, scrape);
    log_notes(scrape);
    return 0;
}

int serve_reload_scrape(struct serve *s, struct error *e) {
    struct scrape *scrape = atomic_load(&s->scrape);

    if (!scrape)
        return error_set(e, -EAGAIN, "the server is starting");
    int r = scrape_reload(scrape, e);
    if (r < 0) {
        log_error("scrape", "%s; the old scrape configuration stays", e->text);
        return r;
    }
    if (s->settings->prometheus_config)
        log_info("scrape", "%s is read", s->settings->prometheus_config);
    log_notes(scrape);
    return 0;
}

/* ---- Resources ---- */

static void reload(struct http_request *q, void *ctx) {
    struct error e = ERROR_NONE;

    if (serve_reload_scrape(ctx, &e) < 0) {
        error_prefix(&e, "failed to reload config: ");
        http_respond_error(q, 500, "internal", "%s", e.text);
        return;
    }
    http_respond(q, 200, "text/plain; charset=utf-8", SLICE(""), NULL, 0);
}

static void healthy(struct http_request *q, void *ctx) {
    http_respond(q, 200, "text/plain; charset=utf-8", SLICE("Varan is Healthy.\n"), NULL, 0);
}

static void ready(struct http_request *q, void *ctx) {
    http_respond(q, 200, "text/plain; charset=utf-8", SLICE("Varan is Ready.\n"), NULL, 0);
}

static const struct http_route routes[] = {
        {HTTP_POST, "/-/reload", reload, 0, "reads the scrape configuration again"},
        {HTTP_PUT, "/-/reload", reload, 0, "reads the scrape configuration again"},
        {HTTP_POST, "/prometheus/-/reload", reload, 0, "the same"},
        {HTTP_PUT, "/prometheus/-/reload", reload, 0, "the same"},
        {HTTP_GET, "/-/healthy", healthy, 0, "200 while the process lives"},
        {HTTP_GET, "/-/ready", ready, 0, "200 once requests are served"},
};

struct http_routes serve_scrape_routes(struct serve *s) {
    return (struct http_routes){routes, sizeof(routes) / sizeof(routes[0]), s};
}
