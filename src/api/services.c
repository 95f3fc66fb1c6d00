/* /api/v1/services, /api/v1/services/:name */
#include "api/call.h"

static int answer_services(struct call *c) {
    return query_services(&c->query);
}

static int answer_service(struct call *c) {
    return query_service(&c->query, http_request_capture(c->request, 0));
}

const struct api_resource services_resource = {"", FILTER_SPANS, answer_services, false};
const struct api_resource service_resource = {"", FILTER_SPANS, answer_service, false};
