#include "server/commands/event_json.h"

#include "server/base/encoding.h"
#include "server/commands/wbcl_json.h"
#include "server/crypto/x509.h"
#include "server/evidence/tpm2/event_data.h"
#include "server/evidence/tpm2/event_types.h"
#include "server/evidence/tpm2/firmware_data.h"
#include "server/evidence/tpm2/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_SHOWN = 64 }; /* bytes of a value that are printed in full */

json_t *hex_json(struct bytes data) {
    char *text = malloc(2 * data.len + 1);
    if (text == NULL) {
        return NULL;
    }
    hex_encode(text, data);
    json_t *json = json_string(text);
    free(text);
    return json;
}

static json_t *address_json(uint64_t value) {
    char text[20];
    (void)snprintf(text, sizeof text, "0x%" PRIx64, value);
    return json_string(text);
}

static json_t *guid_json(struct bytes guid) {
    char text[EFI_GUID_TEXT];
    efi_guid_format(text, guid);
    return json_string(text);
}

static json_t *path_json(struct arena *arena, struct bytes path) {
    const char *text = NULL;
    return efi_path_text(arena, &text, path) == STATUS_OK ? json_string(text) : hex_json(path);
}

/* Text where it is text, else hex, else how much it is. */
static void set_value(json_t *object, struct bytes data) {
    struct bytes text;
    if (ascii_text(data, &text)) {
        (void)json_object_set_new(object, "text", json_stringn((const char *)text.data, text.len));
    } else if (data.len <= VALUE_SHOWN) {
        (void)json_object_set_new(object, "hex", hex_json(data));
    } else {
        (void)json_object_set_new(object, "value_len", json_integer((json_int_t)data.len));
    }
}

static json_t *text_json(struct arena *arena, struct bytes data) {
    struct bytes text;
    if (ascii_text(data, &text)) {
        return json_pack("{s:o}", "text", json_stringn((const char *)text.data, text.len));
    }
    if (data.len >= 2 && data.len % 2 == 0 && data.data[0] >= 0x20 && data.data[1] == 0) {
        return json_pack("{s:s}", "text", utf16_text(arena, data));
    }
    return data.len <= VALUE_SHOWN ? json_pack("{s:o}", "hex", hex_json(data)) : json_null();
}

static json_t *spec_id_json(const struct tcg_eventlog *log) {
    json_t *banks = json_array();
    for (uint32_t i = 0; i < log->num_banks; i++) {
        (void)json_array_append_new(banks, json_pack("{s:i,s:i}", "algorithm", log->bank[i].alg,
                                                     "digest_len", log->bank[i].digest_len));
    }
    return json_pack("{s:s,s:i,s:i,s:i,s:o}", "signature", "Spec ID Event03", "major",
                     log->spec_major, "minor", log->spec_minor, "errata", log->spec_errata,
                     "algorithms", banks);
}

/* Where the platform's maker has a reference manifest; NULL: the event says nothing of it. */
static json_t *manifest_json(struct bytes data) {
    struct tcg_manifest manifest;
    struct bytes signature;
    if (tcg_manifest_parse(&manifest, data) != STATUS_OK ||
        !tcg_no_action_signature(data, &signature)) {
        return NULL;
    }
    json_t *out = json_pack("{s:o,s:I,s:o}", "signature",
                            json_stringn((const char *)signature.data, signature.len), "vendor_id",
                            (json_int_t)manifest.vendor_id, "manifest", guid_json(manifest.guid));
    struct bytes text;
    if (ascii_text(manifest.platform_maker, &text)) {
        (void)json_object_set_new(out, "platform_maker",
                                  json_stringn((const char *)text.data, text.len));
    }
    if (ascii_text(manifest.platform_model, &text)) {
        (void)json_object_set_new(out, "platform_model",
                                  json_stringn((const char *)text.data, text.len));
    }
    return out;
}

static json_t *no_action_json(struct arena *arena, const struct tcg_eventlog *log,
                              const struct tcg_event *event) {
    uint8_t locality;
    struct bytes data = event->data, text;
    if (log->crypto_agile && event->index == 0) {
        return spec_id_json(log);
    }
    if (tcg_event_startup_locality(event, &locality)) {
        return json_pack("{s:s,s:i}", "signature", "StartupLocality", "startup_locality", locality);
    }
    json_t *manifest = manifest_json(data);
    if (manifest != NULL) {
        return manifest;
    }
    json_t *windows = wbcl_json(arena, data);
    if (windows != NULL) {
        return windows;
    }
    if (tcg_no_action_signature(data, &text)) {
        return json_pack("{s:o}", "signature", json_stringn((const char *)text.data, text.len));
    }
    return json_null();
}

/* --- variables ---------------------------------------------------------------------------------
 */

static void add_certificate(json_t *json, struct bytes der) {
    uint8_t digest[DIGEST_MAX];
    char subject[X509_NAME_TEXT];
    digest_compute(HASH_SHA256, der, digest);
    (void)json_object_set_new(json, "certificate_sha256", hex_json(bytes_of(digest, 32)));
    if (certificate_subject(subject, der)) {
        (void)json_object_set_new(json, "subject", json_string(subject));
    }
}

static void add_signature(json_t *out, const struct efi_signature_list *list, struct bytes owner,
                          struct bytes signature) {
    json_t *json = json_pack("{s:o}", "owner", guid_json(owner));
    if (efi_signature_list_is_x509(list)) {
        add_certificate(json, signature);
    } else if (efi_signature_list_is_sha256(list)) {
        (void)json_object_set_new(json, "sha256", hex_json(signature));
    } else {
        (void)json_object_set_new(json, "type", guid_json(list->type));
        (void)json_object_set_new(json, "value_len", json_integer((json_int_t)signature.len));
    }
    (void)json_array_append_new(out, json);
}

json_t *signature_database_json(struct bytes data) {
    struct efi_signature_list list;
    struct bytes owner, signature;
    json_t *out = json_array();
    enum status status;
    while ((status = efi_signature_list_next(&data, &list)) == STATUS_OK) {
        while (efi_signature_next(&list, &owner, &signature) == STATUS_OK) {
            add_signature(out, &list, owner, signature);
        }
    }
    if (status != STATUS_END) {
        json_decref(out);
        return json_null();
    }
    return out;
}

static bool is_boot_option(const char *name) {
    unsigned digits = 0;
    if (name[0] != 'B' || name[1] != 'o' || name[2] != 'o' || name[3] != 't') {
        return false;
    }
    for (const char *c = name + 4; *c != '\0'; c++, digits++) {
        if (!((*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'F') || (*c >= 'a' && *c <= 'f'))) {
            return false;
        }
    }
    return digits == 4;
}

static void add_boot_option(json_t *out, struct arena *arena, struct bytes data) {
    struct efi_load_option option;
    if (efi_load_option_parse(&option, data) != STATUS_OK) {
        return;
    }
    (void)json_object_set_new(out, "active", json_boolean((option.attributes & 1) != 0));
    (void)json_object_set_new(out, "description",
                              json_string(utf16_text(arena, option.description)));
    (void)json_object_set_new(out, "device_path", path_json(arena, option.device_path));
    (void)json_object_set_new(out, "optional_len", json_integer((json_int_t)option.optional.len));
}

/* What admitted an image: a certificate, behind its owner or alone; false: something else. */
static bool add_authority(json_t *out, struct bytes data) {
    struct bytes owner, der = data;
    char subject[X509_NAME_TEXT];
    if (certificate_subject(subject, data)) {
        add_certificate(out, data);
        return true;
    }
    if (bytes_take(&der, EFI_GUID_LEN, &owner) != STATUS_OK || !certificate_subject(subject, der)) {
        return false;
    }
    (void)json_object_set_new(out, "owner", guid_json(owner));
    add_certificate(out, der);
    return true;
}

static void add_boot_order(json_t *out, struct bytes data) {
    json_t *order = json_array();
    uint16_t number;
    while (bytes_u16le(&data, &number) == STATUS_OK) {
        char text[8];
        (void)snprintf(text, sizeof text, "%04X", number);
        (void)json_array_append_new(order, json_string(text));
    }
    (void)json_object_set_new(out, "boot_order", order);
}

static bool is_one_of(const char *name, const char *const *names) {
    for (; *names != NULL; names++) {
        if (strcmp(name, *names) == 0) {
            return true;
        }
    }
    return false;
}

static json_t *variable_json(struct arena *arena, const struct tcg_event *event) {
    static const char *const databases[] = {"PK",  "KEK",     "db",       "dbx", "dbt",
                                            "dbr", "MokList", "MokListX", NULL};
    struct efi_variable variable;
    if (efi_variable_parse(&variable, event->data) != STATUS_OK) {
        return json_null();
    }
    const char *name = utf16_text(arena, variable.name);
    if (name == NULL) {
        return NULL;
    }
    json_t *out = json_pack("{s:s,s:o,s:i}", "variable", name, "guid", guid_json(variable.guid),
                            "variable_len", (int)variable.data.len);
    if (event->type != EV_EFI_VARIABLE_AUTHORITY && is_one_of(name, databases)) {
        (void)json_object_set_new(out, "signatures", signature_database_json(variable.data));
    } else if (is_boot_option(name)) {
        add_boot_option(out, arena, variable.data);
    } else if (strcmp(name, "BootOrder") == 0) {
        add_boot_order(out, variable.data);
    } else if (event->type != EV_EFI_VARIABLE_AUTHORITY || !add_authority(out, variable.data)) {
        set_value(out, variable.data);
    }
    return out;
}

/* --- other structures --------------------------------------------------------------------------
 */

static json_t *image_json(struct arena *arena, struct bytes data) {
    struct efi_image_load image;
    if (efi_image_load_parse(&image, data) != STATUS_OK) {
        return json_null();
    }
    return json_pack("{s:o,s:o,s:o}", "address", address_json(image.address), "length",
                     json_integer((json_int_t)(image.length & INT64_MAX)), "device_path",
                     path_json(arena, image.device_path));
}

static json_t *blob_json(struct arena *arena, const struct tcg_event *event) {
    struct efi_blob blob;
    bool second = event->type == EV_EFI_PLATFORM_FIRMWARE_BLOB2;
    if ((second ? efi_blob2_parse(&blob, event->data) : efi_blob_parse(&blob, event->data)) !=
        STATUS_OK) {
        return text_json(arena, event->data);
    }
    json_t *out = json_pack("{s:o,s:o}", "base", address_json(blob.base), "length",
                            address_json(blob.length));
    if (second) {
        set_value(out, blob.description);
    }
    return out;
}

static json_t *gpt_json(struct arena *arena, struct bytes data) {
    struct efi_gpt gpt;
    struct efi_gpt_entry entry;
    if (efi_gpt_parse(&gpt, data) != STATUS_OK) {
        return json_null();
    }
    json_t *partitions = json_array();
    while (efi_gpt_next(&gpt, &entry) == STATUS_OK) {
        (void)json_array_append_new(
            partitions,
            json_pack("{s:o,s:o,s:s*,s:o,s:o}", "type", guid_json(entry.type), "guid",
                      guid_json(entry.guid), "name", utf16_text(arena, entry.name), "first_lba",
                      address_json(entry.first_lba), "last_lba", address_json(entry.last_lba)));
    }
    return json_pack("{s:o,s:o}", "disk_guid", guid_json(gpt.disk_guid), "partitions", partitions);
}

static json_t *handoff_json(const struct tcg_event *event) {
    struct efi_handoff handoff;
    struct bytes guid;
    uint64_t address;
    bool second = event->type == EV_EFI_HANDOFF_TABLES2;
    if ((second ? efi_handoff2_parse(&handoff, event->data)
                : efi_handoff_parse(&handoff, event->data)) != STATUS_OK) {
        return json_null();
    }
    json_t *tables = json_array();
    while (efi_handoff_next(&handoff, &guid, &address) == STATUS_OK) {
        (void)json_array_append_new(tables, json_pack("{s:o,s:o}", "guid", guid_json(guid),
                                                      "address", address_json(address)));
    }
    json_t *out = json_pack("{s:o}", "tables", tables);
    if (second) {
        set_value(out, handoff.description);
    }
    return out;
}

static json_t *separator_json(struct bytes data) {
    static const struct {
        const char *value, *meaning;
    } known[] = {{"\0\0\0\0", "end"}, {"\xFF\xFF\xFF\xFF", "end"}, {"\1\0\0\0", "error"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (bytes_equal(data, bytes_of(known[i].value, 4))) {
            return json_pack("{s:s,s:o}", "separator", known[i].meaning, "hex", hex_json(data));
        }
    }
    json_t *out = json_object();
    set_value(out, data);
    return out;
}

/* GRUB's texts say what kind they are; those of PCR 8 only: elsewhere they are names of files. */
static json_t *ipl_json(struct arena *arena, const struct tcg_event *event) {
    static const char *const labels[] = {
        "kernel_cmdline: ", "module_cmdline: ", "grub_cmd: ", "grub_kernel_cmdline ", "grub_cmd "};
    json_t *out = text_json(arena, event->data);
    const char *text = json_string_value(json_object_get(out, "text"));
    for (size_t i = 0; text != NULL && i < sizeof labels / sizeof *labels; i++) {
        size_t len = strlen(labels[i]);
        if (strncmp(text, labels[i], len) == 0) {
            (void)json_object_set_new(out, "label",
                                      json_stringn(labels[i], strcspn(labels[i], ": ")));
            (void)json_object_set_new(out, "measured", json_string(text + len));
            break;
        }
    }
    return out;
}

static const char *tag_name(uint32_t id) {
    static const struct {
        uint32_t id;
        const char *name;
    } known[] = {
        {0x8F3B22EC, "linux_initrd"},         {0x8F3B22ED, "linux_load_options"},
        {0xF5BC582A, "systemd_loader_conf"},  {0x6C46F751, "systemd_devicetree_addon"},
        {0x49DFFE0F, "systemd_initrd_addon"}, {0xDAC08E1A, "systemd_ucode_addon"},
        {0x13AED6DB, "systemd_uki_profile"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].id == id) {
            return known[i].name;
        }
    }
    return NULL;
}

static json_t *tagged_json(struct arena *arena, struct bytes data) {
    struct tcg_tagged tagged;
    json_t *windows = wbcl_json(arena, data);
    if (windows != NULL) {
        return windows;
    }
    if (tcg_tagged_parse(&tagged, data) != STATUS_OK) {
        return json_null();
    }
    json_t *out =
        json_pack("{s:o,s:s*}", "tag", address_json(tagged.id), "name", tag_name(tagged.id));
    json_t *text = text_json(arena, tagged.data);
    if (json_is_object(text)) {
        (void)json_object_update(out, text);
        json_decref(text);
    } else {
        set_value(out, tagged.data);
    }
    return out;
}

json_t *event_data_json(struct arena *arena, const struct tcg_eventlog *log,
                        const struct tcg_event *event) {
    switch (event->type) {
    case EV_NO_ACTION:
        return no_action_json(arena, log, event);
    case EV_EFI_VARIABLE_DRIVER_CONFIG:
    case EV_EFI_VARIABLE_BOOT:
    case EV_EFI_VARIABLE_BOOT2:
    case EV_EFI_VARIABLE_AUTHORITY:
        return variable_json(arena, event);
    case EV_EFI_BOOT_SERVICES_APPLICATION:
    case EV_EFI_BOOT_SERVICES_DRIVER:
    case EV_EFI_RUNTIME_SERVICES_DRIVER:
        return image_json(arena, event->data);
    case EV_POST_CODE:
    case EV_EFI_PLATFORM_FIRMWARE_BLOB:
    case EV_EFI_PLATFORM_FIRMWARE_BLOB2:
        return blob_json(arena, event);
    case EV_EFI_GPT_EVENT:
    case EV_EFI_GPT_EVENT2:
        return gpt_json(arena, event->data);
    case EV_EFI_HANDOFF_TABLES:
    case EV_EFI_HANDOFF_TABLES2:
        return handoff_json(event);
    case EV_SEPARATOR:
        return separator_json(event->data);
    case EV_IPL:
        return ipl_json(arena, event);
    case EV_EVENT_TAG:
        return tagged_json(arena, event->data);
    default:
        return text_json(arena, event->data);
    }
}
