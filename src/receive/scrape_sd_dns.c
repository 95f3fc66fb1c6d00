/*
 * Discovery by DNS: SRV, A, AAAA, MX and NS records (RFC 1035, 2782, 3596), asked for with the C
 * library's resolver. Called on a discovery's thread.
 */
#include "receive/scrape_private.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>

#define ANSWER_BYTES_MAX 65535
#define RETRANSMIT_S 2
#define TRIES 2

struct answer {
    struct scrape_found *found;
    const struct scrape_provider *provider;
    struct slice name;
};

static int add(struct answer *a, const char *host, unsigned port, bool v6, const char *meta_host,
               const char *meta_port, const char *target) {
    struct arena *arena = &a->found->arena;
    struct label_set set;
    char *address = arena_printf(arena, v6 ? "[%s]:%u" : "%s:%u", host, port);

    if (!address)
        return -ENOMEM;
    label_set_init(&set, arena);
    label_set_put(&set, SLICE("__address__"), slice_from(address));
    label_set_put(&set, SLICE("__meta_dns_name"), a->name);
    if (meta_host) {
        label_set_put(&set, slice_from(meta_host), arena_dup(arena, slice_from(target)));
        char *number = arena_printf(arena, "%u", port);
        if (meta_port && number)
            label_set_put(&set, slice_from(meta_port), slice_from(number));
    }
    struct scrape_discovered d = {set.items, set.n};
    return set.failed ? set.failed : vector_push(&a->found->list, d, SCRAPE_TARGETS_MAX);
}

/* The name that stands at `at` in the record's data, ending with a dot as Prometheus shows it. */
static int read_name(const ns_msg *m, const ns_rr *rr, size_t at, char *to, size_t room) {
    if (ns_rr_rdlen(*rr) <= at ||
        dn_expand(ns_msg_base(*m), ns_msg_end(*m), ns_rr_rdata(*rr) + at, to, (int) room - 1) < 0)
        return -EBADMSG;
    size_t n = strlen(to);
    if (!n)
        return -EBADMSG;
    if (to[n - 1] != '.') {
        to[n] = '.';
        to[n + 1] = 0;
    }
    return 0;
}

static void trim_dot(const char *from, char *to, size_t room) {
    snprintf(to, room, "%.*s", (int) (strlen(from) - 1), from);
}

static int read_record(struct answer *a, const ns_msg *m, const ns_rr *rr) {
    unsigned port = (unsigned) a->provider->port;
    char name[NS_MAXDNAME + 2], host[NS_MAXDNAME + 2];
    const uint8_t *data = ns_rr_rdata(*rr);
    size_t size = ns_rr_rdlen(*rr);
    const char *meta_host, *meta_port = NULL;

    switch (a->provider->dns) {
    case SCRAPE_DNS_A:
    case SCRAPE_DNS_AAAA: {
        bool v6 = ns_rr_type(*rr) == ns_t_aaaa;
        if (size != (v6 ? 16u : 4u))
            return 0;
        inet_ntop(v6 ? AF_INET6 : AF_INET, data, host, sizeof(host));
        return add(a, host, port, v6, NULL, NULL, NULL);
    }
    case SCRAPE_DNS_SRV:
        if (size < 7 || read_name(m, rr, 6, name, sizeof(name)) < 0)
            return 0;
        port = ns_get16(data + 4);
        meta_host = "__meta_dns_srv_record_target";
        meta_port = "__meta_dns_srv_record_port";
        break;
    case SCRAPE_DNS_MX:
        if (read_name(m, rr, 2, name, sizeof(name)) < 0)
            return 0;
        meta_host = "__meta_dns_mx_record_target";
        break;
    default:
        if (read_name(m, rr, 0, name, sizeof(name)) < 0)
            return 0;
        meta_host = "__meta_dns_ns_record_target";
    }
    trim_dot(name, host, sizeof(host));
    return add(a, host, port, false, meta_host, meta_port, name);
}

static const int types[] = {[SCRAPE_DNS_SRV] = ns_t_srv,
                            [SCRAPE_DNS_A] = ns_t_a,
                            [SCRAPE_DNS_AAAA] = ns_t_aaaa,
                            [SCRAPE_DNS_MX] = ns_t_mx,
                            [SCRAPE_DNS_NS] = ns_t_ns};

int scrape_dns_read(const struct scrape_provider *p, struct slice name, struct slice answer,
                    struct scrape_found *found) {
    struct answer a = {found, p, name};
    int r = 0;
    ns_msg m;
    ns_rr rr;

    if (answer.size > ANSWER_BYTES_MAX || ns_initparse(answer.data, (int) answer.size, &m) < 0)
        return -EBADMSG;
    for (int i = 0; r == 0 && i < ns_msg_count(m, ns_s_an); i++) {
        if (ns_parserr(&m, ns_s_an, i, &rr) < 0)
            return -EBADMSG;
        if ((int) ns_rr_type(rr) == types[p->dns])
            r = read_record(&a, &m, &rr);
    }
    return r;
}

static int ask(res_state resolver, const struct scrape_provider *p, struct slice name,
               uint8_t *answer, struct scrape_found *found, struct error *e) {
    const char *text = (const char *) name.data;

    int n = res_nsearch(resolver, text, ns_c_in, types[p->dns], answer, ANSWER_BYTES_MAX);
    if (n < 0 && (resolver->res_h_errno == HOST_NOT_FOUND || resolver->res_h_errno == NO_DATA))
        return 0; /* a name without records has no targets */
    if (n < 0)
        return error_set(e, -EIO, "the name %s cannot be looked up: %s", text,
                         hstrerror(resolver->res_h_errno));
    size_t size = n < ANSWER_BYTES_MAX ? (size_t) n : ANSWER_BYTES_MAX;
    int r = scrape_dns_read(p, name, slice_new(answer, size), found);
    return r < 0 ? error_set(e, r, "the name %s: %s", text,
                             r == -EBADMSG ? "the answer is malformed"
                                           : "too many records, or out of memory")
                 : 0;
}

int scrape_find_dns(const struct scrape_provider *p, struct scrape_found *found, uint64_t *stamp,
                    struct error *e) {
    struct __res_state resolver = {0};
    uint8_t *answer = malloc(ANSWER_BYTES_MAX);
    int r = 0;

    if (!answer || res_ninit(&resolver) < 0) {
        free(answer);
        return error_set(e, -ENOMEM, "the resolver cannot be set up");
    }
    resolver.retrans = RETRANSMIT_S;
    resolver.retry = TRIES;
    for (size_t i = 0; r == 0 && i < p->n_names; i++) {
        r = ask(&resolver, p, p->names[i], answer, found, e);
    }
    res_nclose(&resolver);
    free(answer);
    uint64_t now = 1;
    for (size_t i = 0; i < found->list.n; i++)
        now += label_items_hash(found->list.items[i].labels, found->list.items[i].n_labels);
    if (r == 0 && now == *stamp)
        return 1;
    if (r == 0)
        *stamp = now;
    return r;
}
