/* Baseline documents. One that is taken names its model; trusts no device that quoted nothing; and says the
 * same of facts again and again: of PCRs at reset without a log, and of a boot with a log of everything that
 * rules read. Its findings have codes that are listed, and words. */
#include "server/appraisal/appraisal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

/* --- facts ------------------------------------------------------------------------------------- */

static const uint8_t digest[DIGEST_MAX] = {0xAA, 0xAA};
static struct bytes digests[PCR_MAX_BANKS];
static struct fact_event events[PCR_COUNT];
static struct fact_key key = {.kind = FACT_KEY_CERTIFICATE, .sha256 = {0xAA}, .subject = "CN=key"};
static struct fact_authority authority = {.event = 7, .variable = "db"};
static struct fact_image images[2] = {
    {.event = 4, .kind = FACT_IMAGE_BOOT, .digest = digests, .path = "\\shim\xFF"},
    {.event = 4, .kind = FACT_IMAGE_BOOT, .digest = digests}};
static struct fact_command_line line = {.event = 8, .text = "ro root=1 quiet"};
static struct fact_file file = {.event = 9, .pcr = 9, .digest = digests, .is_initrd = true};
static struct fact_sbat_level level = {.component = "shim", .level = 4};

static void quote(struct facts *facts, enum hash_alg alg, bool logged) {
    memset(facts, 0, sizeof *facts);
    facts->num_banks = 1;
    facts->bank[0].alg = alg;
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        facts->bank[0].pcr[i] = (struct fact_pcr){.quoted = true, .logged = logged};
    }
    facts->os.sbat_event = facts->firmware.version_event = FACT_NO_EVENT;
}

static struct fact_keys keys(void) {
    return (struct fact_keys){.known = true, .event = 7, .key = &key, .num = 1};
}

/* A boot that a baseline may be met by or not, of every kind of fact one. */
static void boot(struct facts *facts, enum hash_alg alg) {
    quote(facts, alg, true);
    digests[0] = bytes_of(digest, digest_len(alg));
    for (uint32_t i = 0; i < PCR_COUNT; i++) {
        events[i] = (struct fact_event){.index = i,
                                        .pcr = i,
                                        .type = 0xD,
                                        .digest_vouched = VOUCHED_REPLAYED,
                                        .digest = {digests[0]}};
        facts->bank[0].pcr[i].value[0] = 0xAA;
    }
    facts->has_log = true;
    facts->event = events;
    facts->num_events = PCR_COUNT;
    authority.key = key;
    facts->secure_boot = (struct fact_secure_boot){.enabled = FACT_YES,
                                                   .enabled_event = 7,
                                                   .platform_key = keys(),
                                                   .key_exchange_keys = keys(),
                                                   .db = keys(),
                                                   .dbx = keys(),
                                                   .authority = &authority,
                                                   .num_authorities = 1};
    facts->image = images;
    facts->num_images = 2;
    facts->firmware.version = "1.42";
    facts->firmware.version_event = 0;
    facts->os = (struct fact_os){.command_line = &line,
                                 .num_command_lines = 1,
                                 .file = &file,
                                 .num_files = 1,
                                 .sbat = &level,
                                 .num_sbat = 1,
                                 .sbat_event = 7};
    facts->tpm_firmware_version = 7;
}

/* --- findings ---------------------------------------------------------------------------------- */

static bool is_listed(const char *code) {
    const char *const *at = finding_codes;
    while (*at != NULL && strcmp(*at, code) != 0) {
        at++;
    }
    return *at != NULL;
}

static void touch(const struct appraisal *appraisal) {
    size_t denials = 0;
    bool info = false;
    for (size_t i = 0; i < appraisal->num_findings; i++) {
        const struct finding *finding = &appraisal->finding[i];
        hold(is_listed(finding->code) && strlen(finding->rule) > 0);
        hold(strlen(finding->remediation) > 0);
        hold(finding->expected == NULL || strlen(finding->expected) > 0);
        hold(finding->found == NULL || strlen(finding->found) > 0);
        hold(finding->pcr >= -1 && finding->pcr < PCR_COUNT);
        hold(finding->event >= -1 && finding->event < PCR_COUNT);
        info = info || finding->severity == SEVERITY_INFO;
        hold(!info || finding->severity == SEVERITY_INFO);
        denials += finding->severity == SEVERITY_DENY ? 1 : 0;
    }
    hold((appraisal->verdict == VERDICT_TRUSTED) == (denials == 0));
    hold(appraisal->verdict == VERDICT_TRUSTED || appraisal->verdict == VERDICT_UNTRUSTED);
}

static bool same_text(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void check_twice(struct appraisal *out, const struct baseline *baseline,
                        const struct facts *facts) {
    const struct appraisal_inputs against = {.baseline = &baseline, .num_baselines = 1};
    struct appraisal again;
    struct arena arena;
    arena_init(&arena, 16 << 20);
    hold(appraise(out, &arena, facts, &against) == STATUS_OK);
    hold(appraise(&again, &arena, facts, &against) == STATUS_OK);
    touch(out);
    hold(out->verdict == again.verdict && out->num_findings == again.num_findings);
    hold(out->uncovered == again.uncovered);
    for (size_t i = 0; i < out->num_findings; i++) {
        const struct finding *a = &out->finding[i], *b = &again.finding[i];
        hold(a->code == b->code && a->pcr == b->pcr && a->event == b->event);
        hold(same_text(a->expected, b->expected) && same_text(a->found, b->found));
        hold(same_text(a->remediation, b->remediation));
    }
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct baseline *baseline = NULL;
    struct detail detail = {0};
    struct pcr_selection selection;
    struct appraisal appraisal;
    static struct facts facts;
    const char *code = NULL;
    if (baseline_compile(&baseline, bytes_of(data, size), &code, &detail) != STATUS_OK) {
        hold(baseline == NULL && detail.text[0] != '\0');
        hold(strcmp(code, "unknown_field") == 0 || strcmp(code, "invalid_baseline") == 0);
        return 0;
    }
    baseline_selection(baseline, &selection);
    hold(selection.num_banks <= 1);
    hold(selection.num_banks == 0 ||
         (selection.bank[0].mask != 0 && selection.bank[0].bank != HASH_SHA1));
    hold(strlen(baseline_model(baseline)) > 0 && strlen(baseline_label(baseline)) < 4096);
    enum hash_alg alg = selection.num_banks > 0 ? selection.bank[0].bank : HASH_SHA256;
    memset(&facts, 0, sizeof facts);
    facts.os.sbat_event = facts.firmware.version_event = FACT_NO_EVENT;
    check_twice(&appraisal, baseline, &facts);
    hold(appraisal.verdict == VERDICT_UNTRUSTED);
    quote(&facts, alg, false);
    check_twice(&appraisal, baseline, &facts);
    boot(&facts, alg);
    check_twice(&appraisal, baseline, &facts);
    baseline_free(baseline);
    return 0;
}
