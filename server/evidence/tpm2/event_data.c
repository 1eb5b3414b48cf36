#include "server/evidence/tpm2/event_data.h"

#include "server/base/encoding.h"

#include <stdio.h>
#include <string.h>

/* --- text --------------------------------------------------------------------------------------
 */

void efi_guid_format(char out[static EFI_GUID_TEXT], struct bytes guid) {
    static const uint8_t order[EFI_GUID_LEN] = {3, 2, 1,  0,  5,  4,  7,  6,
                                                8, 9, 10, 11, 12, 13, 14, 15};
    size_t len = 0;
    out[0] = '\0';
    if (guid.len != EFI_GUID_LEN) {
        return;
    }
    for (size_t i = 0; i < EFI_GUID_LEN; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            out[len++] = '-';
        }
        hex_encode(out + len, bytes_of(&guid.data[order[i]], 1));
        len += 2;
    }
}

static void write_utf8(struct writer *w, uint32_t c) {
    if (c < 0x80) {
        write_u8(w, (uint8_t)c);
    } else if (c < 0x800) {
        write_u8(w, (uint8_t)(0xC0 | c >> 6));
        write_u8(w, (uint8_t)(0x80 | (c & 0x3F)));
    } else if (c < 0x10000) {
        write_u8(w, (uint8_t)(0xE0 | c >> 12));
        write_u8(w, (uint8_t)(0x80 | (c >> 6 & 0x3F)));
        write_u8(w, (uint8_t)(0x80 | (c & 0x3F)));
    } else {
        write_u8(w, (uint8_t)(0xF0 | c >> 18));
        write_u8(w, (uint8_t)(0x80 | (c >> 12 & 0x3F)));
        write_u8(w, (uint8_t)(0x80 | (c >> 6 & 0x3F)));
        write_u8(w, (uint8_t)(0x80 | (c & 0x3F)));
    }
}

static uint32_t take_utf16(struct bytes *in, uint16_t first) {
    struct bytes ahead = *in;
    uint16_t second;
    if (first < 0xD800 || first > 0xDFFF) {
        return first;
    }
    if (first > 0xDBFF || bytes_u16le(&ahead, &second) != STATUS_OK || second < 0xDC00 ||
        second > 0xDFFF) {
        return 0xFFFD;
    }
    *in = ahead;
    return 0x10000u + ((uint32_t)(first - 0xD800) << 10 | (uint32_t)(second - 0xDC00));
}

char *utf16_text(struct arena *arena, struct bytes utf16) {
    /* A unit of two bytes becomes three at most, a pair of four bytes four. */
    size_t cap = utf16.len / 2 * 3 + 1;
    char *text = arena_alloc(arena, cap);
    uint16_t unit;
    if (text == NULL) {
        return NULL;
    }
    struct writer w = writer_of(text, cap - 1);
    while (bytes_u16le(&utf16, &unit) == STATUS_OK && unit != 0) {
        write_utf8(&w, take_utf16(&utf16, unit));
    }
    return text;
}

bool ascii_text(struct bytes data, struct bytes *out) {
    size_t len = 0;
    while (len < data.len && (data.data[len] == '\t' || data.data[len] == '\n' ||
                              (data.data[len] >= 0x20 && data.data[len] < 0x7F))) {
        len++;
    }
    struct bytes text, rest = data;
    if (len == 0 || bytes_take(&rest, len, &text) != STATUS_OK || !bytes_all(rest, 0)) {
        return false;
    }
    *out = text;
    return true;
}

/* --- structures --------------------------------------------------------------------------------
 */

/* Two lengths that are counted in another unit than bytes are compared before they are multiplied.
 */
static enum status take_units(struct bytes *in, uint64_t num, size_t unit, struct bytes *out) {
    return num > in->len / unit ? STATUS_TRUNCATED : bytes_take(in, (size_t)num * unit, out);
}

static enum status at_end(struct bytes in) {
    return in.len == 0 ? STATUS_OK : STATUS_MALFORMED;
}

enum status efi_variable_parse(struct efi_variable *out, struct bytes data) {
    struct efi_variable variable;
    uint64_t name_len, data_len;
    if (bytes_take(&data, EFI_GUID_LEN, &variable.guid) != STATUS_OK ||
        bytes_u64le(&data, &name_len) != STATUS_OK || bytes_u64le(&data, &data_len) != STATUS_OK ||
        take_units(&data, name_len, 2, &variable.name) != STATUS_OK ||
        take_units(&data, data_len, 1, &variable.data) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    variable.rest = data;
    *out = variable;
    return STATUS_OK;
}

enum status efi_image_load_parse(struct efi_image_load *out, struct bytes data) {
    struct efi_image_load image;
    uint64_t path_len;
    if (bytes_u64le(&data, &image.address) != STATUS_OK ||
        bytes_u64le(&data, &image.length) != STATUS_OK ||
        bytes_u64le(&data, &image.link_address) != STATUS_OK ||
        bytes_u64le(&data, &path_len) != STATUS_OK ||
        take_units(&data, path_len, 1, &image.device_path) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    image.rest = data;
    *out = image;
    return STATUS_OK;
}

enum status efi_blob_parse(struct efi_blob *out, struct bytes data) {
    struct efi_blob blob = {0};
    if (bytes_u64le(&data, &blob.base) != STATUS_OK ||
        bytes_u64le(&data, &blob.length) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    enum status status = at_end(data);
    if (status == STATUS_OK) {
        *out = blob;
    }
    return status;
}

enum status efi_blob2_parse(struct efi_blob *out, struct bytes data) {
    struct bytes description;
    uint8_t len;
    if (bytes_u8(&data, &len) != STATUS_OK || bytes_take(&data, len, &description) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    enum status status = efi_blob_parse(out, data);
    if (status == STATUS_OK) {
        out->description = description;
    }
    return status;
}

enum status tcg_tagged_parse(struct tcg_tagged *out, struct bytes data) {
    struct tcg_tagged tagged;
    if (bytes_u32le(&data, &tagged.id) != STATUS_OK ||
        bytes_u32le_prefixed(&data, &tagged.data) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    enum status status = at_end(data);
    if (status == STATUS_OK) {
        *out = tagged;
    }
    return status;
}

/* --- signature lists ---------------------------------------------------------------------------
 */

enum status efi_signature_list_next(struct bytes *data, struct efi_signature_list *out) {
    struct bytes in = *data, body, header;
    struct efi_signature_list list;
    uint32_t list_len, header_len, entry_len;
    const size_t head = EFI_GUID_LEN + 12;
    if (in.len == 0) {
        return STATUS_END;
    }
    if (bytes_take(&in, EFI_GUID_LEN, &list.type) != STATUS_OK ||
        bytes_u32le(&in, &list_len) != STATUS_OK || bytes_u32le(&in, &header_len) != STATUS_OK ||
        bytes_u32le(&in, &entry_len) != STATUS_OK || list_len < head ||
        bytes_take(&in, list_len - head, &body) != STATUS_OK ||
        bytes_take(&body, header_len, &header) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    if (entry_len <= EFI_GUID_LEN || body.len % entry_len != 0) {
        return STATUS_MALFORMED;
    }
    list.entry_len = entry_len;
    list.entries = body;
    *data = in;
    *out = list;
    return STATUS_OK;
}

enum status efi_signature_next(struct efi_signature_list *list, struct bytes *owner,
                               struct bytes *signature) {
    struct bytes entry;
    if (list->entries.len == 0) {
        return STATUS_END;
    }
    if (bytes_take(&list->entries, list->entry_len, &entry) != STATUS_OK ||
        bytes_take(&entry, EFI_GUID_LEN, owner) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    *signature = entry;
    return STATUS_OK;
}

bool efi_signature_list_is_x509(const struct efi_signature_list *list) {
    static const uint8_t guid[EFI_GUID_LEN] = {0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a,
                                               0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72};
    return bytes_equal(list->type, bytes_of(guid, sizeof guid));
}

bool efi_signature_list_is_sha256(const struct efi_signature_list *list) {
    static const uint8_t guid[EFI_GUID_LEN] = {0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40,
                                               0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28};
    return bytes_equal(list->type, bytes_of(guid, sizeof guid));
}

/* --- partition table ---------------------------------------------------------------------------
 */

enum status efi_gpt_parse(struct efi_gpt *out, struct bytes data) {
    struct bytes signature, skipped, entry_len;
    struct efi_gpt gpt;
    /* EFI_PARTITION_TABLE_HEADER, 92 bytes: the GUID at 56, the size of entries at 84. */
    if (bytes_take(&data, 8, &signature) != STATUS_OK ||
        bytes_take(&data, 48, &skipped) != STATUS_OK ||
        bytes_take(&data, EFI_GUID_LEN, &gpt.disk_guid) != STATUS_OK ||
        bytes_take(&data, 12, &skipped) != STATUS_OK ||
        bytes_take(&data, 8, &entry_len) != STATUS_OK ||
        bytes_u64le(&data, &gpt.num_partitions) != STATUS_OK ||
        take_units(&data, gpt.num_partitions, EFI_GPT_ENTRY_LEN, &gpt.partitions) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    if (!bytes_equal(signature, bytes_of_text("EFI PART"))) {
        return STATUS_MALFORMED;
    }
    enum status status = at_end(data);
    if (status == STATUS_OK) {
        *out = gpt;
    }
    return status;
}

enum status efi_gpt_next(struct efi_gpt *gpt, struct efi_gpt_entry *out) {
    struct bytes entry, attributes;
    struct efi_gpt_entry result;
    if (gpt->partitions.len == 0) {
        return STATUS_END;
    }
    if (bytes_take(&gpt->partitions, EFI_GPT_ENTRY_LEN, &entry) != STATUS_OK ||
        bytes_take(&entry, EFI_GUID_LEN, &result.type) != STATUS_OK ||
        bytes_take(&entry, EFI_GUID_LEN, &result.guid) != STATUS_OK ||
        bytes_u64le(&entry, &result.first_lba) != STATUS_OK ||
        bytes_u64le(&entry, &result.last_lba) != STATUS_OK ||
        bytes_take(&entry, 8, &attributes) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    result.name = entry;
    *out = result;
    return STATUS_OK;
}
