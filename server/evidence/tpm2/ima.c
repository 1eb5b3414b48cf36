#include "server/evidence/tpm2/ima.h"

#include <string.h>

struct ima_log ima_log_open(struct bytes raw) {
    return (struct ima_log){.rest = raw, .len = raw.len};
}

static enum status take_prefixed(struct bytes *in, size_t max, struct bytes *out) {
    struct bytes field;
    if (bytes_u32le_prefixed(in, &field) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    if (field.len > max) {
        return STATUS_LIMIT;
    }
    *out = field;
    return STATUS_OK;
}

/* The first template has no length over its data: a digest, then the file's name. */
static enum status read_template_data(struct bytes *in, struct ima_entry *out) {
    if (!bytes_equal(out->template_name, bytes_of_text("ima"))) {
        return take_prefixed(in, SIZE_MAX, &out->data);
    }
    if (bytes_take(in, digest_len(HASH_SHA1), &out->data) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    return take_prefixed(in, IMA_FILE_NAME_MAX, &out->file_name);
}

static enum status read_entry(struct bytes *in, struct ima_entry *out) {
    if (bytes_u32le(in, &out->pcr) != STATUS_OK ||
        bytes_take(in, digest_len(HASH_SHA1), &out->template_digest) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    enum status status = take_prefixed(in, IMA_TEMPLATE_NAME_MAX, &out->template_name);
    if (status != STATUS_OK) {
        return status;
    }
    return read_template_data(in, out);
}

enum status ima_log_next(struct ima_log *log, struct ima_entry *out, struct detail *detail) {
    struct bytes in = log->rest;
    struct ima_entry entry = {.index = log->next_index, .offset = log->len - in.len};
    if (in.len == 0) {
        return STATUS_END;
    }
    enum status status =
        log->next_index == IMA_MAX_ENTRIES ? STATUS_LIMIT : read_entry(&in, &entry);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "entry %u at byte %zu: %s", (unsigned)entry.index,
                           entry.offset,
                           status == STATUS_TRUNCATED ? "the log ends inside it"
                                                      : "too long, or too many entries");
    }
    log->rest = in;
    log->next_index++;
    *out = entry;
    return STATUS_OK;
}

void ima_entry_digest(const struct ima_entry *entry, enum hash_alg alg, enum ima_extend how,
                      uint8_t *out) {
    size_t len = digest_len(alg);
    if (bytes_all(entry->template_digest, 0x00)) {
        memset(out, 0xFF, len);
    } else if (alg == HASH_SHA1) {
        memcpy(out, entry->template_digest.data, len);
    } else if (how == IMA_PADDED) {
        memset(out, 0, len);
        memcpy(out, entry->template_digest.data, entry->template_digest.len);
    } else if (entry->file_name.data != NULL) {
        uint8_t name[IMA_FILE_NAME_MAX + 1] = {0};
        memcpy(name, entry->file_name.data, entry->file_name.len);
        digest_compute2(alg, entry->data, bytes_of(name, sizeof name), out);
    } else {
        digest_compute(alg, entry->data, out);
    }
}
