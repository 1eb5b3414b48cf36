/* POST /v1/challenges: a nonce for this device, and what evidence is wanted. */
#include "api/device/challenge_context.h"
#include "api/device/evidence_ima.h"
#include "api/handlers.h"
#include "api/idevid.h"
#include "server/base/clock.h"

#include <stdio.h>

const struct shape empty_shape = {.field = NULL, .num = 0, .size = 0};

void challenge_context(uint8_t out[static 32], const struct pcr_selection *selection) {
    char text[PCR_SELECTION_TEXT];
    pcr_selection_format(text, selection);
    digest_compute(HASH_SHA256, bytes_of_text(text), out);
}

bool device_selection(struct request *r, struct pcr_selection *out) {
    struct policy_holder *holder = r->api->options.policy;
    const struct policy_model *model = policy_model(policy_read_begin(holder), r->device->model);
    bool known = model != NULL;
    if (known) {
        *out = model->selection;
    }
    policy_read_end(holder);
    return known;
}

enum { IMA_PCR_INDEX = 10 };

static bool pcr_selected(const struct pcr_selection *selection, unsigned pcr) {
    for (size_t i = 0; i < selection->num_banks; i++) {
        if ((selection->bank[i].mask >> pcr & 1u) != 0) {
            return true;
        }
    }
    return false;
}

static void write_selection(struct json_out *o, const struct pcr_selection *selection) {
    json_out_object(o, "pcr_selection");
    for (size_t i = 0; i < selection->num_banks; i++) {
        json_out_array(o, hash_name(selection->bank[i].bank));
        for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
            if ((selection->bank[i].mask & 1u << pcr) != 0) {
                json_out_int(o, NULL, pcr);
            }
        }
        json_out_array_end(o);
    }
    json_out_object_end(o);
}

/* Of a device that has nothing to quote with nothing is asked. */
static void write_wanted(struct json_out *o, const struct pcr_selection *selection, bool bare) {
    static const struct pcr_selection none = {0};
    write_selection(o, bare ? &none : selection);
    json_out_array(o, "wanted");
    if (!bare) {
        json_out_text(o, NULL, "tcg_event_log");
    }
    if (!bare && pcr_selected(selection, IMA_PCR_INDEX)) {
        json_out_text(o, NULL, "ima_log");
    }
    json_out_array_end(o);
}

/* What need not be sent again while it is the same. */
static void write_log_held(struct json_out *o, const struct device_boot_row *boot) {
    struct bytes sha256 = bytes_of(boot->log_sha256, sizeof boot->log_sha256);
    if (bytes_all(sha256, 0)) {
        json_out_text(o, "tcg_event_log_sha256", NULL);
    } else {
        json_out_hex(o, "tcg_event_log_sha256", sha256);
    }
}

static enum http_next answer(struct request *r, struct bytes nonce, int64_t expires,
                             const struct pcr_selection *selection,
                             const struct device_boot_row *boot) {
    struct json_out o;
    json_out_init(&o, r->x->arena, 512);
    json_out_object(&o, NULL);
    json_out_base64(&o, "nonce", nonce);
    json_out_time(&o, "expires_at", expires);
    write_wanted(&o, selection, idevid_is_all(r->device));
    write_log_held(&o, boot);
    enum status status = challenge_ima_write(&o, r);
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    json_out_object_end(&o);
    return answer_json(r, 201, &o);
}

enum http_next challenge_create(struct request *r) {
    const struct api_options *options = &r->api->options;
    struct pcr_selection selection;
    uint8_t nonce[CHALLENGE_LEN], context[32];
    if (r->device->state == DEVICE_RETIRED) {
        return problem(r->x, PROBLEM_DEVICE_RETIRED);
    }
    if (!device_selection(r, &selection)) {
        return problem(r->x, PROBLEM_UNKNOWN_MODEL);
    }
    struct device_boot_row boot = {0};
    enum status status = store_device_boot_get(r->worker->reader, &boot, r->device->id);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return answer_status(r, status, NULL);
    }
    challenge_context(context, &selection);
    status =
        challenge_new(options->challenges, nonce, r->device->id, context, clock_monotonic_ms());
    if (status != STATUS_OK) {
        return answer_status(r, status, NULL);
    }
    return answer(r, bytes_of(nonce, sizeof nonce),
                  clock_unix() + options->config->challenge_expiry_s, &selection, &boot);
}
