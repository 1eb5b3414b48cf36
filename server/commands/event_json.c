#include "server/commands/event_json.h"

#include "server/base/encoding.h"
#include "server/evidence/tpm2/event_data.h"
#include "server/evidence/tpm2/event_types.h"
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

static json_t *no_action_json(const struct tcg_eventlog *log, const struct tcg_event *event) {
    uint8_t locality;
    struct bytes data = event->data, signature, text;
    if (log->crypto_agile && event->index == 0) {
        return spec_id_json(log);
    }
    if (tcg_event_startup_locality(event, &locality)) {
        return json_pack("{s:s,s:i}", "signature", "StartupLocality", "startup_locality", locality);
    }
    if (bytes_take(&data, 16, &signature) == STATUS_OK && ascii_text(signature, &text)) {
        return json_pack("{s:o}", "signature", json_stringn((const char *)text.data, text.len));
    }
    return json_null();
}

/* --- variables ---------------------------------------------------------------------------------
 */

static void add_signature(json_t *out, const struct efi_signature_list *list, struct bytes owner,
                          struct bytes signature) {
    uint8_t digest[DIGEST_MAX];
    json_t *json = json_pack("{s:o}", "owner", guid_json(owner));
    if (efi_signature_list_is_x509(list)) {
        digest_compute(HASH_SHA256, signature, digest);
        (void)json_object_set_new(json, "certificate_sha256", hex_json(bytes_of(digest, 32)));
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

/* EFI_LOAD_OPTION (UEFI 2.10, 3.1.3): attributes, length of the paths, description, paths, options.
 */
static void add_boot_option(json_t *out, struct arena *arena, struct bytes data) {
    uint32_t attributes;
    uint16_t path_len, unit = 1;
    struct bytes paths, description;
    if (bytes_u32le(&data, &attributes) != STATUS_OK ||
        bytes_u16le(&data, &path_len) != STATUS_OK) {
        return;
    }
    description = data;
    while (unit != 0) {
        if (bytes_u16le(&data, &unit) != STATUS_OK) {
            return;
        }
    }
    if (bytes_take(&data, path_len, &paths) != STATUS_OK) {
        return;
    }
    (void)json_object_set_new(out, "description", json_string(utf16_text(arena, description)));
    (void)json_object_set_new(out, "device_path", path_json(arena, paths));
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
    } else {
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

static json_t *tagged_json(struct arena *arena, struct bytes data) {
    struct tcg_tagged tagged;
    if (tcg_tagged_parse(&tagged, data) != STATUS_OK) {
        return json_null();
    }
    json_t *out = json_pack("{s:o}", "tag", address_json(tagged.id));
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
        return no_action_json(log, event);
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
    case EV_EVENT_TAG:
        return tagged_json(arena, event->data);
    default:
        return text_json(arena, event->data);
    }
}
