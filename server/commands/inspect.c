#include "server/commands/commands.h"

#include "server/base/file.h"
#include "server/commands/event_json.h"
#include "server/evidence/facts_json.h"
#include "server/evidence/tpm2/event_data.h"
#include "server/evidence/tpm2/event_types.h"
#include "server/evidence/tpm2/replay.h"
#include "server/evidence/tpm2/tpm2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_MAX_BYTES = 16 * 1024 * 1024, TEXT_MAX_BYTES = 64 * 1024 * 1024 };

/* One log on its way to JSON. */
struct inspection {
    struct arena arena;
    struct tcg_eventlog log;
    struct tcg_replay replay;
    json_t *events, *secure_boot;
    bool failed; /* memory ran out: the document lacks something */
};

/* --- digests -----------------------------------------------------------------------------------
 */

static json_t *digests_json(const struct tcg_eventlog *log, const struct tcg_event *event) {
    json_t *out = json_object();
    for (uint32_t i = 0; i < log->num_banks; i++) {
        char number[8];
        const char *name = hash_name((enum hash_alg)log->bank[i].alg);
        if (event->digest[i].data == NULL) {
            continue;
        }
        if (digest_len((enum hash_alg)log->bank[i].alg) == 0) {
            (void)snprintf(number, sizeof number, "0x%04x", log->bank[i].alg);
            name = number;
        }
        (void)json_object_set_new(out, name, hex_json(event->digest[i]));
    }
    return out;
}

/* The types whose digest is, by specification, the hash of the event's data. */
static bool digest_is_of_data(uint32_t type) {
    switch (type) {
    case EV_SEPARATOR:
    case EV_ACTION:
    case EV_EVENT_TAG:
    case EV_S_CRTM_VERSION:
    case EV_EFI_VARIABLE_DRIVER_CONFIG:
    case EV_EFI_VARIABLE_AUTHORITY:
    case EV_EFI_GPT_EVENT:
    case EV_EFI_ACTION:
    case EV_EFI_HCRTM_EVENT:
        return true;
    default:
        return false;
    }
}

/* true: in each bank that we compute; false: not, though it should be; null: nothing says that it
 * should. */
static json_t *match_json(const struct tcg_eventlog *log, const struct tcg_event *event) {
    unsigned compared = 0, equal = 0;
    if (event->type == EV_NO_ACTION) {
        return json_null();
    }
    for (uint32_t i = 0; i < log->num_banks; i++) {
        enum hash_alg alg = (enum hash_alg)log->bank[i].alg;
        uint8_t digest[DIGEST_MAX];
        if (event->digest[i].data == NULL || digest_len(alg) == 0) {
            continue;
        }
        digest_compute(alg, event->data, digest);
        compared++;
        equal += bytes_equal(event->digest[i], bytes_of(digest, digest_len(alg))) ? 1 : 0;
    }
    if (compared > 0 && equal == compared) {
        return json_true();
    }
    return compared > 0 && digest_is_of_data(event->type) ? json_false() : json_null();
}

/* --- Secure Boot, as the log tells it ----------------------------------------------------------
 */

static void note_state(json_t *out, const char *key, struct bytes value) {
    if (value.len == 1 && value.data[0] <= 1) {
        (void)json_object_set_new(out, key, json_boolean(value.data[0] == 1));
    }
}

static void note_config(json_t *out, const char *name, const struct efi_variable *variable) {
    static const struct {
        const char *name, *key;
        bool database;
    } known[] = {
        {"SecureBoot", "enabled", false},
        {"SetupMode", "setup_mode", false},
        {"AuditMode", "audit_mode", false},
        {"DeployedMode", "deployed_mode", false},
        {"PK", "platform_key", true},
        {"KEK", "key_exchange_keys", true},
        {"db", "db", true},
        {"dbx", "dbx", true},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) != 0) {
            continue;
        }
        if (known[i].database) {
            (void)json_object_set_new(out, known[i].key, signature_database_json(variable->data));
        } else {
            note_state(out, known[i].key, variable->data);
        }
    }
}

static void note_authority(json_t *out, const char *name, const struct efi_variable *variable) {
    uint8_t digest[DIGEST_MAX];
    struct bytes signature = variable->data, owner;
    json_t *json = json_pack("{s:s}", "variable", name);
    /* From db: EFI_SIGNATURE_DATA, an owner and a certificate. */
    if (strcmp(name, "db") == 0 && bytes_take(&signature, EFI_GUID_LEN, &owner) == STATUS_OK) {
        digest_compute(HASH_SHA256, signature, digest);
        (void)json_object_set_new(json, "certificate_sha256", hex_json(bytes_of(digest, 32)));
    }
    (void)json_array_append_new(json_object_get(out, "authorities"), json);
}

static void note_secure_boot(struct inspection *inspection, const struct tcg_event *event) {
    struct efi_variable variable;
    if (event->pcr != 7 && event->pcr != 1) { /* 1: measurement register of confidential VMs */
        return;
    }
    if ((event->type != EV_EFI_VARIABLE_DRIVER_CONFIG &&
         event->type != EV_EFI_VARIABLE_AUTHORITY) ||
        efi_variable_parse(&variable, event->data) != STATUS_OK) {
        return;
    }
    const char *name = utf16_text(&inspection->arena, variable.name);
    if (name == NULL) {
        inspection->failed = true;
        return;
    }
    if (event->type == EV_EFI_VARIABLE_AUTHORITY) {
        note_authority(inspection->secure_boot, name, &variable);
    } else {
        note_config(inspection->secure_boot, name, &variable);
    }
}

/* --- the document ------------------------------------------------------------------------------
 */

static json_t *type_json(uint32_t type) {
    const char *name = tcg_event_type_name(type);
    char number[12];
    (void)snprintf(number, sizeof number, "0x%08x", (unsigned)type);
    return json_string(name != NULL ? name : number);
}

static void add_event(struct inspection *inspection, const struct tcg_event *event) {
    const struct tcg_eventlog *log = &inspection->log;
    json_t *json =
        json_pack("{s:I,s:I,s:o,s:o,s:I,s:o,s:o}", "index", (json_int_t)event->index, "pcr",
                  (json_int_t)event->pcr, "type", type_json(event->type), "digests",
                  digests_json(log, event), "data_len", (json_int_t)event->data.len, "data",
                  event_data_json(&inspection->arena, log, event), "digest_matches_data",
                  match_json(log, event));
    inspection->failed |= json_array_append_new(inspection->events, json) != 0;
    tcg_replay_event(&inspection->replay, event);
    note_secure_boot(inspection, event);
}

static json_t *version_json(const struct tcg_eventlog *log) {
    char text[24];
    if (!log->crypto_agile) {
        return json_null();
    }
    (void)snprintf(text, sizeof text, "%u.%u errata %u", log->spec_major, log->spec_minor,
                   log->spec_errata);
    return json_string(text);
}

static json_t *banks_json(const struct tcg_eventlog *log) {
    json_t *out = json_array();
    for (uint32_t i = 0; i < log->num_banks; i++) {
        char number[8];
        enum hash_alg alg = (enum hash_alg)log->bank[i].alg;
        (void)snprintf(number, sizeof number, "0x%04x", log->bank[i].alg);
        (void)json_array_append_new(out,
                                    json_string(digest_len(alg) > 0 ? hash_name(alg) : number));
    }
    return out;
}

static json_t *pcrs_json(const struct tcg_replay *replay) {
    json_t *out = json_object();
    for (size_t b = 0; b < replay->num_banks; b++) {
        const struct tcg_replay_bank *bank = &replay->bank[b];
        json_t *values = json_object();
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            char key[12];
            (void)snprintf(key, sizeof key, "%u", i);
            if ((bank->touched >> i & 1u) != 0) {
                (void)json_object_set_new(
                    values, key, hex_json(bytes_of(bank->value[i], digest_len(bank->alg))));
            }
        }
        (void)json_object_set_new(out, hash_name(bank->alg), values);
    }
    return out;
}

static void start(struct inspection *inspection) {
    static const enum hash_alg banks[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512};
    arena_init(&inspection->arena, TEXT_MAX_BYTES);
    inspection->events = json_array();
    inspection->secure_boot = json_pack("{s:n,s:[]}", "enabled", "authorities");
    tcg_replay_start(&inspection->replay, &inspection->log, banks, sizeof banks / sizeof *banks);
}

/* What `whole`, as far as it could be read, would prove if a quote confirmed it; null for logs in the
 * old format. */
static json_t *facts_object(struct inspection *inspection, struct bytes whole) {
    struct facts facts;
    struct json_out o;
    struct bytes read = bytes_of(whole.data, whole.len - inspection->log.rest.len);
    enum status status = tpm2_unquoted_facts(&facts, &inspection->arena, read, NULL);
    if (status != STATUS_OK) {
        inspection->failed |= status == STATUS_MEMORY;
        return json_null();
    }
    json_out_init(&o, &inspection->arena, 64 * 1024);
    json_out_object(&o, NULL);
    json_out_bool(&o, "quoted", false);
    facts_log_json(&o, &facts);
    json_out_object_end(&o);
    struct bytes text = json_out_end(&o);
    return json_loadb((const char *)text.data, text.len, 0, NULL);
}

/* Takes what start and add_event made. */
static enum status print(struct inspection *inspection, struct bytes whole) {
    json_t *root =
        json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "spec_version", version_json(&inspection->log),
                  "banks", banks_json(&inspection->log), "events", inspection->events, "pcrs",
                  pcrs_json(&inspection->replay), "secure_boot", inspection->secure_boot, "facts",
                  facts_object(inspection, whole));
    arena_free(&inspection->arena);
    if (root == NULL || inspection->failed) {
        json_decref(root);
        return STATUS_MEMORY;
    }
    int failed = json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    json_decref(root);
    return failed == 0 && putchar('\n') != EOF && fflush(stdout) == 0 ? STATUS_OK : STATUS_STORAGE;
}

static enum status inspect(struct bytes raw, struct detail *detail) {
    struct inspection inspection = {0};
    struct tcg_event event;
    enum status status = tcg_eventlog_open(&inspection.log, raw, detail);
    start(&inspection);
    while (status == STATUS_OK) {
        status = tcg_eventlog_next(&inspection.log, &event, detail);
        if (status == STATUS_OK) {
            add_event(&inspection, &event);
        }
    }
    enum status printed = print(&inspection, raw);
    if (printed != STATUS_OK) {
        return status_fail(detail, printed, "the JSON could not be written: %s",
                           status_name(printed));
    }
    return status == STATUS_END ? STATUS_OK : status;
}

int command_inspect(int argc, char **argv) {
    struct detail detail = {0};
    uint8_t *raw = NULL;
    size_t len = 0;
    if (argc != 2 || (argv[1][0] == '-' && argv[1][1] != '\0')) {
        return EXIT_USAGE;
    }
    enum status status = file_read(&raw, &len, argv[1], LOG_MAX_BYTES, &detail);
    if (status == STATUS_OK) {
        status = inspect(bytes_of(raw, len), &detail);
    }
    free(raw);
    if (status != STATUS_OK) {
        fprintf(stderr, "gatehouse inspect: %s\n", detail.text);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
