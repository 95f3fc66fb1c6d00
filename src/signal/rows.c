/* Rows into native blocks. A block belongs to one thread; memory is the block's. */
#include "signal/rows.h"
#include "signal/columns.h"

static int put_attributes(struct native_block *b, unsigned map, unsigned types,
                          const struct attribute_texts *a) {
    int r = 0;

    for (size_t i = 0; i < a->n; i++) {
        r |= native_map_entry(b, map, a->items[i].key, a->items[i].text);
        r |= native_array_item(b, types, (uint8_t) a->items[i].type);
    }
    r |= native_close(b, map);
    r |= native_close(b, types);
    return r;
}

/* Errors are negative numbers, or-ed together on the way so that a row has one branch: any of them
 * means the block is full or the memory is. */
static int finish(struct native_block *b, int r) {
    if (r < 0)
        return -ENOBUFS;
    native_block_end_row(b);
    return 0;
}

int span_row_append(struct native_block *b, const struct span *s, const struct span_row *row) {
    int r = native_put_u64(b, SPANS_TS, (uint64_t) s->start_ns);

    r |= native_put_u64(b, SPANS_DURATION_NS, row->duration_ns);
    r |= native_put_fixed(b, SPANS_TRACE_ID, s->trace_id);
    r |= native_put_fixed(b, SPANS_SPAN_ID, s->span_id);
    r |= native_put_fixed(b, SPANS_PARENT_SPAN_ID, s->parent_span_id);
    r |= native_put_string(b, SPANS_SERVICE, s->resource->service);
    r |= native_put_string(b, SPANS_NAME, s->name);
    r |= native_put_u64(b, SPANS_KIND, s->kind);
    r |= native_put_u64(b, SPANS_STATUS, s->status);
    r |= native_put_string(b, SPANS_STATUS_MESSAGE, row->status_message);
    r |= native_put_u64(b, SPANS_ENTRY, row->entry);
    r |= native_put_u64(b, SPANS_RESOURCE_ID, s->resource->id);
    r |= native_put_string(b, SPANS_SCOPE, s->scope->name);
    r |= native_put_string(b, SPANS_SCOPE_VERSION, s->scope->version);
    r |= native_put_string(b, SPANS_HTTP_METHOD, row->http_method);
    r |= native_put_string(b, SPANS_HTTP_ROUTE, row->http_route);
    r |= native_put_u64(b, SPANS_HTTP_STATUS, row->http_status);
    r |= native_put_string(b, SPANS_DB_SYSTEM, row->db_system);
    r |= native_put_string(b, SPANS_DB_STATEMENT, row->db_statement);
    r |= native_put_string(b, SPANS_PEER, row->peer);
    r |= native_put_string(b, SPANS_EXCEPTION_TYPE, row->exception_type);
    r |= put_attributes(b, SPANS_ATTRIBUTES, SPANS_ATTRIBUTE_TYPES, &row->attributes);
    r |= native_put_string(b, SPANS_EVENTS, row->events);
    r |= native_put_string(b, SPANS_LINKS, row->links);
    r |= native_put_string(b, SPANS_TRACE_STATE, s->trace_state);
    r |= native_put_u64(b, SPANS_FLAGS, s->flags);
    r |= native_put_u64(b, SPANS_DROPPED, row->dropped);
    return finish(b, r);
}

int log_row_append(struct native_block *b, const struct log_record *l, const struct log_row *row) {
    int r = native_put_u64(b, LOGS_TS, (uint64_t) row->ts_ns);

    r |= native_put_u64(b, LOGS_OBSERVED_TS, (uint64_t) row->observed_ns);
    r |= native_put_u64(b, LOGS_SEQ, row->seq);
    r |= native_put_fixed(b, LOGS_TRACE_ID, l->trace_id);
    r |= native_put_fixed(b, LOGS_SPAN_ID, l->span_id);
    r |= native_put_u64(b, LOGS_SEVERITY, l->severity);
    r |= native_put_string(b, LOGS_SEVERITY_TEXT, l->severity_text);
    r |= native_put_string(b, LOGS_SERVICE, l->resource->service);
    r |= native_put_string(b, LOGS_BODY, row->body);
    r |= native_put_u64(b, LOGS_BODY_TYPE, row->body_type);
    r |= native_put_u64(b, LOGS_RESOURCE_ID, l->resource->id);
    r |= native_put_string(b, LOGS_SCOPE, l->scope->name);
    r |= native_put_string(b, LOGS_EVENT_NAME, l->event_name);
    r |= put_attributes(b, LOGS_ATTRIBUTES, LOGS_ATTRIBUTE_TYPES, &row->attributes);
    r |= native_put_u64(b, LOGS_FLAGS, l->flags);
    return finish(b, r);
}

int resource_row_append(struct native_block *b, const struct resource *res,
                        const struct attribute_texts *attributes, uint32_t seen_s) {
    int r = native_put_u64(b, RESOURCES_ID, res->id);

    r |= native_put_string(b, RESOURCES_SERVICE, res->service);
    r |= native_put_string(b, RESOURCES_NAMESPACE, res->service_namespace);
    r |= native_put_string(b, RESOURCES_VERSION, res->version);
    r |= native_put_string(b, RESOURCES_INSTANCE, res->instance);
    r |= native_put_string(b, RESOURCES_ENVIRONMENT, res->environment);
    r |= put_attributes(b, RESOURCES_ATTRIBUTES, RESOURCES_ATTRIBUTE_TYPES, attributes);
    r |= native_put_u64(b, RESOURCES_FIRST_SEEN, seen_s);
    r |= native_put_u64(b, RESOURCES_LAST_SEEN, seen_s);
    return finish(b, r);
}
