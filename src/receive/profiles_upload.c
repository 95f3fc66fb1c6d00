/* A pprof as it is: curl --data-binary @profile.pb.gz '…/api/v1/profiles?service=shop'. Parameters
 * resource.KEY become attributes KEY of the resource. */
#include "receive/multipart.h"
#include "receive/profiles_call.h"

/* Parameters that become attributes of the resource. */
static const struct {
    const char *param, *attribute;
} tags[] = {
        {"service", "service.name"},
        {"version", "service.version"},
        {"instance", "service.instance.id"},
        {"environment", "deployment.environment.name"},
};

static bool take_attribute(void *ctx, struct slice name, struct slice value) {
    if (slice_starts(name, SLICE("resource.")))
        profile_sink_tag(ctx, slice_skip(name, strlen("resource.")), value);
    return true;
}

static int set_resource(struct profiles_call *c) {
    for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++)
        profile_sink_tag(c->sink, slice_from(tags[i].attribute),
                         http_request_param(c->request, tags[i].param));
    if (c->sink->resource.attributes.n == 0 ||
        !slice_is(c->sink->attributes[0].key, "service.name"))
        return error_set(&c->error, -EINVAL,
                         "say whose profile it is: POST /api/v1/profiles?service=NAME");
    http_request_params(c->request, take_attribute, c->sink);
    return profile_sink_begin(c->sink);
}

/* The first part that holds something. */
static int multipart_profile(struct profiles_call *c, struct multipart *m, struct slice *ret) {
    struct slice name, content;
    int more;

    while ((more = multipart_next(m, &name, &content)) > 0)
        if (content.size) {
            *ret = content;
            return 0;
        }
    return error_set(&c->error, -EBADMSG,
                     more < 0 ? "malformed multipart body" : "the multipart body is empty");
}

int profiles_upload(struct profiles_call *c) {
    struct profile_about about = {.type = http_request_param(c->request, "type")};
    struct slice bytes = c->body;
    struct multipart m;
    int r = set_resource(c);

    about.type_is_certain = about.type.size > 0;
    about.period = 1;
    if (r == 0 && multipart_begin(&m, c->content_type, c->body))
        r = multipart_profile(c, &m, &bytes);
    if (r == 0 && bytes.size == 0)
        r = error_set(&c->error, -EINVAL, "the body is empty: send a pprof profile");
    return r < 0 ? r : profile_sink_pprof(c->sink, bytes, &about, &c->error);
}
