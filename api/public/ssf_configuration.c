/* /.well-known/ssf-configuration: where and how events are had (Shared Signals Framework 1.0, section
 * 7.1). */
#include "api/proxy/ssf.h"

const char *ssf_base(const struct config *config) {
    return config->signals_url != NULL ? config->signals_url : config->issuer;
}

static void write_url(struct json_out *o, const char *name, const char *base, const char *path) {
    json_out_text(o, name, arena_printf(o->arena, "%s%s", base, path));
}

enum http_next ssf_configuration_show(struct request *r) {
    const struct config *config = r->api->options.config;
    const char *base = ssf_base(config);
    struct json_out o;
    if (!stream_needs_key(r)) {
        return HTTP_ANSWER;
    }
    json_out_init(&o, r->x->arena, 1024);
    json_out_object(&o, NULL);
    json_out_text(&o, "spec_version", "1_0");
    json_out_text(&o, "issuer", config->issuer);
    write_url(&o, "jwks_uri", config->issuer, "/.well-known/jwks.json");
    json_out_array(&o, "delivery_methods_supported");
    json_out_text(&o, NULL, SIGNAL_METHOD_PUSH);
    json_out_text(&o, NULL, SIGNAL_METHOD_POLL);
    json_out_array_end(&o);
    write_url(&o, "configuration_endpoint", base, "/v1/ssf/streams");
    write_url(&o, "status_endpoint", base, "/v1/ssf/status");
    write_url(&o, "verification_endpoint", base, "/v1/ssf/verify");
    json_out_array(&o, "critical_subject_members");
    json_out_text(&o, NULL, "device");
    json_out_array_end(&o);
    json_out_array(&o, "authorization_schemes");
    json_out_object(&o, NULL);
    json_out_text(&o, "spec_urn", "urn:ietf:rfc:8705");
    json_out_object_end(&o);
    json_out_array_end(&o);
    json_out_text(&o, "default_subjects", "ALL");
    json_out_object_end(&o);
    return answer_json(r, 200, &o);
}
