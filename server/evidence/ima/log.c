#include "server/evidence/ima/log.h"

#include <string.h>

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

static bool is_name(struct bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] <= 0x20 || text.data[i] >= 0x7F) {
            return false;
        }
    }
    return text.len > 0;
}

/* Would template digests of this size put a template's name where one belongs? */
static bool fits(struct bytes in, size_t digest) {
    struct bytes skipped, name;
    return bytes_take(&in, 4 + digest, &skipped) == STATUS_OK &&
           take_prefixed(&in, IMA_TEMPLATE_NAME_MAX, &name) == STATUS_OK && is_name(name);
}

struct ima_log ima_log_open(struct bytes raw) {
    static const enum hash_alg alg[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512};
    struct ima_log log = {
        .rest = raw, .len = raw.len, .template_digest_len = digest_len(HASH_SHA1)};
    for (size_t i = 0; i < sizeof alg / sizeof *alg; i++) {
        if (fits(raw, digest_len(alg[i]))) {
            log.template_digest_len = digest_len(alg[i]);
            break;
        }
    }
    return log;
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

static enum status read_entry(struct bytes *in, size_t digest, struct ima_entry *out) {
    if (bytes_u32le(in, &out->pcr) != STATUS_OK ||
        bytes_take(in, digest, &out->template_digest) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    enum status status = take_prefixed(in, IMA_TEMPLATE_NAME_MAX, &out->template_name);
    if (status != STATUS_OK) {
        return status;
    }
    if (!is_name(out->template_name)) {
        return STATUS_MALFORMED;
    }
    return read_template_data(in, out);
}

static const char *describe(enum status status) {
    if (status == STATUS_TRUNCATED) {
        return "the log ends inside it";
    }
    return status == STATUS_MALFORMED ? "its template's name is none"
                                      : "too long, or too many entries";
}

enum status ima_log_next(struct ima_log *log, struct ima_entry *out, struct detail *detail) {
    struct bytes in = log->rest;
    struct ima_entry entry = {.index = log->next_index, .offset = log->len - in.len};
    if (in.len == 0) {
        return STATUS_END;
    }
    enum status status = log->next_index == IMA_MAX_ENTRIES
                             ? STATUS_LIMIT
                             : read_entry(&in, log->template_digest_len, &entry);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "entry %u at byte %zu: %s", (unsigned)entry.index,
                           entry.offset, describe(status));
    }
    log->rest = in;
    log->next_index++;
    *out = entry;
    return STATUS_OK;
}

bool ima_entry_is_violation(const struct ima_entry *entry) {
    return bytes_all(entry->template_digest, 0x00);
}

/* The first template's data are a structure of a fixed size: the name with zeros behind it. */
static void hash_data(const struct ima_entry *entry, enum hash_alg alg, uint8_t *out) {
    if (entry->file_name.data == NULL) {
        digest_compute(alg, entry->data, out);
    } else {
        uint8_t name[IMA_FILE_NAME_MAX + 1] = {0};
        memcpy(name, entry->file_name.data, entry->file_name.len);
        digest_compute2(alg, entry->data, bytes_of(name, sizeof name), out);
    }
}

bool ima_entry_is_consistent(const struct ima_entry *entry) {
    static const enum hash_alg alg[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512};
    uint8_t digest[DIGEST_MAX];
    if (ima_entry_is_violation(entry)) {
        return true;
    }
    for (size_t i = 0; i < sizeof alg / sizeof *alg; i++) {
        if (digest_len(alg[i]) == entry->template_digest.len) {
            hash_data(entry, alg[i], digest);
            return bytes_equal(entry->template_digest, bytes_of(digest, digest_len(alg[i])));
        }
    }
    return false;
}

void ima_entry_digest(const struct ima_entry *entry, enum hash_alg alg, enum ima_extend how,
                      uint8_t *out) {
    size_t len = digest_len(alg);
    if (ima_entry_is_violation(entry)) {
        memset(out, 0xFF, len);
    } else if (how == IMA_PADDED && alg != HASH_SHA1) {
        uint8_t sha1[DIGEST_MAX] = {0};
        hash_data(entry, HASH_SHA1, sha1);
        memcpy(out, sha1, len);
    } else {
        hash_data(entry, alg, out);
    }
}
