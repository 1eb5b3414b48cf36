#include "server/evidence/tpm2/event_data.h"

#include "server/base/encoding.h"

#include <inttypes.h>

enum { PATH_NODE_HEADER = 4, PATH_MAX_NODES = 64 };
enum { TYPE_HARDWARE = 1, TYPE_ACPI = 2, TYPE_MESSAGING = 3, TYPE_MEDIA = 4, TYPE_END = 0x7F };

enum status efi_path_next(struct bytes *path, struct efi_path_node *out) {
    struct bytes in = *path;
    struct efi_path_node node;
    uint16_t len;
    if (in.len == 0) {
        return STATUS_END;
    }
    if (bytes_u8(&in, &node.type) != STATUS_OK || bytes_u8(&in, &node.subtype) != STATUS_OK ||
        bytes_u16le(&in, &len) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    if (len < PATH_NODE_HEADER) {
        return STATUS_MALFORMED; /* a node shorter than its header would be walked forever */
    }
    if (bytes_take(&in, (size_t)len - PATH_NODE_HEADER, &node.data) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    if (node.type == TYPE_END && node.subtype == 0xFF && in.len > 0) {
        return STATUS_MALFORMED;
    }
    *path = in;
    if (node.type == TYPE_END && node.subtype == 0xFF) {
        return STATUS_END;
    }
    *out = node;
    return STATUS_OK;
}

static char *any_text(struct arena *arena, const struct efi_path_node *node) {
    char *hex = arena_alloc(arena, 2 * node->data.len + 1);
    if (hex == NULL) {
        return NULL;
    }
    hex_encode(hex, node->data);
    return arena_printf(arena, "Path(%u,%u,%s)", node->type, node->subtype, hex);
}

static char *guid_text(struct arena *arena, const char *name, const struct efi_path_node *node) {
    char guid[EFI_GUID_TEXT];
    if (node->data.len != EFI_GUID_LEN) {
        return any_text(arena, node);
    }
    efi_guid_format(guid, node->data);
    return arena_printf(arena, "%s(%s)", name, guid);
}

static char *acpi_text(struct arena *arena, const struct efi_path_node *node) {
    struct bytes in = node->data;
    uint32_t hid, uid;
    if (node->subtype != 1 || bytes_u32le(&in, &hid) != STATUS_OK ||
        bytes_u32le(&in, &uid) != STATUS_OK || in.len != 0) {
        return any_text(arena, node);
    }
    if (hid == 0x0a0341d0) {
        return arena_printf(arena, "PciRoot(0x%" PRIx32 ")", uid);
    }
    return arena_printf(arena, "Acpi(0x%" PRIx32 ",0x%" PRIx32 ")", hid, uid);
}

static char *disk_text(struct arena *arena, const struct efi_path_node *node) {
    struct bytes in = node->data, id;
    uint32_t number;
    uint64_t start, size;
    uint8_t format, kind;
    char guid[EFI_GUID_TEXT];
    if (bytes_u32le(&in, &number) != STATUS_OK || bytes_u64le(&in, &start) != STATUS_OK ||
        bytes_u64le(&in, &size) != STATUS_OK || bytes_take(&in, EFI_GUID_LEN, &id) != STATUS_OK ||
        bytes_u8(&in, &format) != STATUS_OK || bytes_u8(&in, &kind) != STATUS_OK || in.len != 0 ||
        kind != 2) {
        return any_text(arena, node);
    }
    efi_guid_format(guid, id);
    return arena_printf(arena, "HD(%" PRIu32 ",GPT,%s,0x%" PRIx64 ",0x%" PRIx64 ")", number, guid,
                        start, size);
}

static char *media_text(struct arena *arena, const struct efi_path_node *node) {
    struct bytes in = node->data;
    uint32_t reserved;
    uint64_t first, last;
    switch (node->subtype) {
    case 1:
        return disk_text(arena, node);
    case 4:
        return utf16_text(arena, node->data);
    case 6:
        return guid_text(arena, "FvFile", node);
    case 7:
        return guid_text(arena, "Fv", node);
    case 8:
        if (bytes_u32le(&in, &reserved) == STATUS_OK && bytes_u64le(&in, &first) == STATUS_OK &&
            bytes_u64le(&in, &last) == STATUS_OK && in.len == 0) {
            return arena_printf(arena, "Offset(0x%" PRIx64 ",0x%" PRIx64 ")", first, last);
        }
        break;
    default:
        break;
    }
    return any_text(arena, node);
}

static char *messaging_text(struct arena *arena, const struct efi_path_node *node) {
    struct bytes in = node->data;
    uint16_t a, b, c;
    uint32_t nvme;
    struct bytes eui;
    char hex[17];
    switch (node->subtype) {
    case 2:
        if (bytes_u16le(&in, &a) == STATUS_OK && bytes_u16le(&in, &b) == STATUS_OK && in.len == 0) {
            return arena_printf(arena, "Scsi(0x%x,0x%x)", a, b);
        }
        break;
    case 18:
        if (bytes_u16le(&in, &a) == STATUS_OK && bytes_u16le(&in, &b) == STATUS_OK &&
            bytes_u16le(&in, &c) == STATUS_OK && in.len == 0) {
            return arena_printf(arena, "Sata(0x%x,0x%x,0x%x)", a, b, c);
        }
        break;
    case 23:
        if (bytes_u32le(&in, &nvme) == STATUS_OK && bytes_take(&in, 8, &eui) == STATUS_OK &&
            in.len == 0) {
            hex_encode(hex, eui);
            return arena_printf(arena, "NVMe(0x%" PRIx32 ",%s)", nvme, hex);
        }
        break;
    default:
        break;
    }
    return any_text(arena, node);
}

static char *hardware_text(struct arena *arena, const struct efi_path_node *node) {
    if (node->subtype == 1 && node->data.len == 2) {
        return arena_printf(arena, "Pci(0x%x,0x%x)", node->data.data[1], node->data.data[0]);
    }
    return any_text(arena, node);
}

static char *node_text(struct arena *arena, const struct efi_path_node *node) {
    switch (node->type) {
    case TYPE_HARDWARE:
        return hardware_text(arena, node);
    case TYPE_ACPI:
        return acpi_text(arena, node);
    case TYPE_MESSAGING:
        return messaging_text(arena, node);
    case TYPE_MEDIA:
        return media_text(arena, node);
    default:
        return any_text(arena, node);
    }
}

enum status efi_path_text(struct arena *arena, const char **out, struct bytes path) {
    struct efi_path_node node;
    const char *text = NULL;
    for (unsigned num = 0;; num++) {
        enum status status = efi_path_next(&path, &node);
        if (status == STATUS_END) {
            break;
        }
        if (status != STATUS_OK) {
            return status;
        }
        if (num == PATH_MAX_NODES) {
            return STATUS_LIMIT;
        }
        const char *next = node_text(arena, &node);
        if (next != NULL && text != NULL) {
            next = arena_printf(arena, "%s/%s", text, next);
        }
        if (next == NULL) {
            return STATUS_MEMORY;
        }
        text = next;
    }
    *out = text == NULL ? "" : text;
    return STATUS_OK;
}
