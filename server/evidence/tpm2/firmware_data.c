#include "server/evidence/tpm2/firmware_data.h"

enum { TABLE_LEN = EFI_GUID_LEN + 8, SIGNATURE_LEN = 16 };

enum status efi_handoff_parse(struct efi_handoff *out, struct bytes data) {
    struct efi_handoff handoff = {.description = bytes_of(NULL, 0)};
    if (bytes_u64le(&data, &handoff.num) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    if (handoff.num > data.len / TABLE_LEN || data.len % TABLE_LEN != 0 ||
        data.len / TABLE_LEN != handoff.num) {
        return STATUS_MALFORMED;
    }
    handoff.tables = data;
    *out = handoff;
    return STATUS_OK;
}

enum status efi_handoff2_parse(struct efi_handoff *out, struct bytes data) {
    struct bytes description;
    uint8_t len;
    if (bytes_u8(&data, &len) != STATUS_OK || bytes_take(&data, len, &description) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    enum status status = efi_handoff_parse(out, data);
    if (status == STATUS_OK) {
        out->description = description;
    }
    return status;
}

enum status efi_handoff_next(struct efi_handoff *handoff, struct bytes *guid, uint64_t *address) {
    struct bytes in = handoff->tables, id;
    if (in.len == 0) {
        return STATUS_END;
    }
    if (bytes_take(&in, EFI_GUID_LEN, &id) != STATUS_OK || bytes_u64le(&in, address) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    *guid = id;
    handoff->tables = in;
    return STATUS_OK;
}

enum status efi_load_option_parse(struct efi_load_option *out, struct bytes data) {
    struct efi_load_option option;
    struct bytes start;
    uint16_t path_len, unit = 1;
    if (bytes_u32le(&data, &option.attributes) != STATUS_OK ||
        bytes_u16le(&data, &path_len) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    start = data;
    while (unit != 0) {
        if (bytes_u16le(&data, &unit) != STATUS_OK) {
            return STATUS_TRUNCATED;
        }
    }
    option.description = bytes_of(start.data, start.len - data.len);
    if (bytes_take(&data, path_len, &option.device_path) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    option.optional = data;
    *out = option;
    return STATUS_OK;
}

bool tcg_no_action_signature(struct bytes data, struct bytes *text) {
    struct bytes signature;
    return bytes_take(&data, SIGNATURE_LEN, &signature) == STATUS_OK && ascii_text(signature, text);
}

/* A length of one byte, then a text with its zero. */
static enum status take_text(struct bytes *in, struct bytes *out) {
    struct bytes ahead = *in, text;
    uint8_t len;
    if (bytes_u8(&ahead, &len) != STATUS_OK || bytes_take(&ahead, len, &text) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    *in = ahead;
    *out = text;
    return STATUS_OK;
}

enum status tcg_manifest_parse(struct tcg_manifest *out, struct bytes data) {
    struct tcg_manifest manifest = {0};
    struct bytes signature, text;
    bool first = false;
    if (!tcg_no_action_signature(data, &text)) {
        return STATUS_MALFORMED;
    }
    first = bytes_equal(text, bytes_of_text("SP800-155 Event"));
    if (!first && !bytes_equal(text, bytes_of_text("SP800-155 Event2")) &&
        !bytes_equal(text, bytes_of_text("SP800-155 Event3"))) {
        return STATUS_MALFORMED;
    }
    if (bytes_take(&data, SIGNATURE_LEN, &signature) != STATUS_OK ||
        bytes_u32le(&data, &manifest.vendor_id) != STATUS_OK ||
        bytes_take(&data, EFI_GUID_LEN, &manifest.guid) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    if (!first && (take_text(&data, &manifest.platform_maker) != STATUS_OK ||
                   take_text(&data, &manifest.platform_model) != STATUS_OK)) {
        return STATUS_TRUNCATED;
    }
    *out = manifest;
    return STATUS_OK;
}
