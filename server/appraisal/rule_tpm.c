/* tpm: the TPM's own firmware, as each quote states it (firmwareVersion). {"firmware_at_least":
 * "2019102300163636"}: up to 16 hex digits, compared as a number; what the number means is its
 * vendor's matter. */
#include "server/appraisal/rule_text.h"

#include <inttypes.h>

enum { VERSION_DIGITS = 16 };

struct tpm {
    uint64_t firmware_at_least;
};

static enum status read_version(struct compiling *c, const struct place *at, uint64_t *out) {
    const char *text = json_string_value(at->json);
    size_t len = json_string_length(at->json);
    uint64_t value = 0;
    bool hex = text != NULL && len > 0 && len <= VERSION_DIGITS;
    for (size_t i = 0; hex && i < len; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        hex = digit || (text[i] >= 'a' && text[i] <= 'f');
        value = value << 4 | (uint64_t)(digit ? text[i] - '0' : text[i] - 'a' + 10);
    }
    if (!hex || value == 0) { /* 0 would demand nothing */
        return place_refuse(c, at, "it is not 1 to %d lower-case hex digits above 0",
                            VERSION_DIGITS);
    }
    *out = value;
    return STATUS_OK;
}

static enum status compile(struct compiling *c, const struct place *at, const void **out) {
    static const char *const known[] = {"firmware_at_least", NULL};
    struct place version = place_member(at, "firmware_at_least");
    struct tpm *rules = arena_alloc(&c->baseline->arena, sizeof *rules);
    if (rules == NULL) {
        return STATUS_MEMORY;
    }
    enum status status = read_object(c, at, known);
    *out = rules;
    return status == STATUS_OK ? read_version(c, &version, &rules->firmware_at_least) : status;
}

static void judge(struct judging *j, const void *rules) {
    const struct tpm *tpm = rules;
    uint64_t version = j->facts->tpm_firmware_version;
    if (version >= tpm->firmware_at_least) {
        return;
    }
    struct finding *finding = judging_add(j, "tpm_firmware_too_old", SEVERITY_DENY);
    if (finding != NULL) {
        finding->expected = arena_printf(j->arena, "at least %016" PRIx64, tpm->firmware_at_least);
        finding->found = arena_printf(j->arena, "%016" PRIx64, version);
        finding->remediation = "The TPM's firmware is older than the baseline allows: install the "
                               "vendor's update of it.";
    }
}

const struct rule_family rule_tpm = {.name = "tpm", .compile = compile, .judge = judge};
