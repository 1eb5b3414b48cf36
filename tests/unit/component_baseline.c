#include "tests/unit/component_baseline.h"

#include "server/base/encoding.h"
#include "server/evidence/tpm2/event_types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *hex_json(const uint8_t *digest) {
    char hex[65];
    hex_encode(hex, bytes_of(digest, 32));
    return json_string(hex);
}

static json_t *keys_json(const struct fact_keys *keys) {
    json_t *list = json_array();
    for (size_t i = 0; i < keys->num; i++) {
        json_array_append_new(list, hex_json(keys->key[i].sha256));
    }
    return list;
}

static json_t *secure_boot_json(const struct fact_secure_boot *facts) {
    json_t *authorities = json_array();
    for (size_t i = 0; i < facts->num_authorities; i++) {
        json_array_append_new(authorities, hex_json(facts->authority[i].key.sha256));
    }
    return json_pack("{s:b,s:b,s:o,s:o,s:o,s:o,s:o}", "required", 1, "refuse_leaked_keys", 1,
                     "platform_key", keys_json(&facts->platform_key), "key_exchange_keys",
                     keys_json(&facts->key_exchange_keys), "db", keys_json(&facts->db),
                     "dbx_includes", keys_json(&facts->dbx), "authorities", authorities);
}

static json_t *firmware_json(const struct facts *facts) {
    json_t *entry = json_pack("{s:o}", "pcr0", hex_json(facts->bank[0].pcr[0].value));
    if (facts->firmware.version != NULL) {
        json_object_set_new(entry, "version", json_string(facts->firmware.version));
    }
    return json_pack("{s:[o]}", "any_of", entry);
}

static json_t *boot_chain_json(const struct facts *facts) {
    json_t *steps = json_array();
    struct bytes last = {NULL, 0};
    for (size_t i = 0; i < facts->num_images; i++) {
        struct bytes digest = facts->image[i].digest[0];
        if (facts->image[i].kind != FACT_IMAGE_BOOT || bytes_equal(digest, last)) {
            continue;
        }
        char name[16];
        (void)snprintf(name, sizeof name, "step %zu", json_array_size(steps));
        json_array_append_new(
            steps, json_pack("{s:s,s:[o]}", "name", name, "any_of", hex_json(digest.data)));
        last = digest;
    }
    return steps;
}

static json_t *command_line_json(const struct fact_os *os) {
    json_t *lines = json_array();
    for (size_t i = 0; i < os->num_command_lines; i++) {
        json_array_append_new(lines, json_string(os->command_line[i].text));
    }
    return json_pack("{s:o}", "any_of", lines);
}

static json_t *initrd_json(const struct fact_os *os) {
    json_t *files = json_array();
    for (size_t i = 0; i < os->num_files; i++) {
        if (os->file[i].is_initrd) {
            json_array_append_new(files, hex_json(os->file[i].digest[0].data));
        }
    }
    return json_pack("{s:o}", "any_of", files);
}

static json_t *sbat_json(const struct fact_os *os) {
    json_t *levels = json_object();
    for (size_t i = 0; i < os->num_sbat; i++) {
        json_object_set_new(levels, os->sbat[i].component, json_integer(os->sbat[i].level));
    }
    return json_pack("{s:o}", "at_least", levels);
}

/* PCRs 5 and 14: all but separators and announcements. */
static json_t *events_json(const struct facts *facts) {
    json_t *list = json_array();
    for (size_t i = 0; i < facts->num_events; i++) {
        const struct fact_event *event = &facts->event[i];
        const char *type = tcg_event_type_name(event->type);
        if ((event->pcr == 5 || event->pcr == 14) && type != NULL && event->digest[0].len > 0 &&
            event->type != EV_SEPARATOR && event->type != EV_EFI_ACTION) {
            json_array_append_new(list, json_pack("{s:i,s:s,s:[o]}", "pcr", (int)event->pcr, "type",
                                                  type, "any_of", hex_json(event->digest[0].data)));
        }
    }
    return list;
}

json_t *component_baseline(const struct facts *facts) {
    char version[17];
    (void)snprintf(version, sizeof version, "%llx",
                   (unsigned long long)facts->tpm_firmware_version);
    json_t *document = json_pack(
        "{s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:{s:s}}", "schema", "gatehouse/baseline/1",
        "model", "lab", "label", "by component", "bank", "sha256", "secure_boot",
        secure_boot_json(&facts->secure_boot), "firmware", firmware_json(facts), "boot_chain",
        boot_chain_json(facts), "kernel_command_line", command_line_json(&facts->os), "initrd",
        initrd_json(&facts->os), "events", events_json(facts), "tpm", "firmware_at_least", version);
    if (facts->os.num_sbat > 0) {
        json_object_set_new(document, "sbat", sbat_json(&facts->os));
    }
    return document;
}

struct baseline *compile_document(const json_t *document) {
    struct baseline *baseline = NULL;
    struct detail detail = {0};
    char *text = json_dumps(document, JSON_COMPACT);
    if (text == NULL ||
        baseline_compile(&baseline, bytes_of_text(text), NULL, &detail) != STATUS_OK) {
        fprintf(stderr, "baseline: %s\n%s\n", detail.text, text == NULL ? "" : text);
        abort();
    }
    free(text);
    return baseline;
}
