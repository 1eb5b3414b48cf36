#include "server/appraisal/appraisal.h"

#include "server/base/json_out.h"

static void write_index(struct json_out *o, const char *name, int index) {
    if (index < 0) {
        json_out_text(o, name, NULL);
    } else {
        json_out_int(o, name, index);
    }
}

struct bytes findings_json(struct arena *arena, const struct finding *finding, size_t num) {
    struct json_out o;
    json_out_init(&o, arena, 64 + num * 512);
    json_out_array(&o, NULL);
    for (size_t i = 0; i < num; i++) {
        const struct finding *f = &finding[i];
        json_out_object(&o, NULL);
        json_out_text(&o, "code", f->code);
        json_out_text(&o, "rule", f->rule);
        write_index(&o, "pcr", f->pcr);
        write_index(&o, "event", f->event);
        json_out_text(&o, "expected", f->expected);
        json_out_text(&o, "found", f->found);
        json_out_text(&o, "severity", severity_name(f->severity));
        json_out_text(&o, "exception", f->exception);
        json_out_text(&o, "remediation", f->remediation);
        json_out_object_end(&o);
    }
    json_out_array_end(&o);
    return json_out_end(&o);
}
