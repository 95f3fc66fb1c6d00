/*
 * Addresses of Prometheus' own page: bookmarks and the links of alerts ("generatorURL") lead to
 * ours. Of its graph's address (g0.expr, g0.tab, g0.range_input, g1.expr, …) the queries, the table
 * and the range are taken over. Any thread.
 */
#include "api/prometheus_call.h"
#include "net/url.h"

#include <stdio.h>

#define LOCATION_BYTES_MAX ((size_t) 16 << 10)
#define QUERIES_MAX 12u /* as the explorer has */

static void redirect(struct http_request *q, const char *to) {
    const struct http_header location = {"Location", to};

    http_respond(q, 302, "text/plain; charset=utf-8", SLICE("the page is elsewhere\n"), &location,
                 1);
}

static struct slice panel(struct http_request *q, unsigned i, const char *what) {
    char name[32];

    snprintf(name, sizeof(name), "g%u.%s", i, what);
    return http_request_param(q, name);
}

void prom_redirect(struct http_request *q, void *ctx) {
    struct buffer to;
    int64_t range_ms;
    unsigned n = 0;

    buffer_init(&to, LOCATION_BYTES_MAX);
    buffer_append_text(&to, "/explore");
    for (unsigned i = 0; i < QUERIES_MAX; i++) {
        struct slice expr = panel(q, i, "expr");
        if (!expr.size)
            continue;
        buffer_printf(&to, "%cq.%c=", n ? '&' : '?', 'A' + (int) n);
        url_encode(&to, expr);
        n++;
    }
    if (n && slice_is(panel(q, 0, "tab"), "1"))
        buffer_append_text(&to, "&view=table");
    if (n && prom_parse_duration(panel(q, 0, "range_input"), &range_ms) == 0 && range_ms >= 1000)
        buffer_printf(&to, "&from=now-%llds", (long long) (range_ms / 1000));
    buffer_append_u8(&to, 0);
    redirect(q, to.failed ? "/explore" : (const char *) to.data);
    buffer_done(&to);
}

void prom_redirect_targets(struct http_request *q, void *ctx) {
    redirect(q, "/targets");
}

void prom_redirect_metrics(struct http_request *q, void *ctx) {
    redirect(q, "/metrics");
}
