/* An export of the audit log: what is found whole has one line an entry, each with the hash that SHA-256 says, and
 * is whole no more once a byte of an entry is another. */
#include "server/base/encoding.h"
#include "server/fleet/audit_verify.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

static bool is_whole(struct audit_verifier *v, const uint8_t *data, size_t size) {
    const struct audit_expectation any = {0};
    audit_verifier_init(v, &any);
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t len = end == NULL ? size - at : (size_t)(end - (data + at));
        enum status status = audit_verifier_line(v, bytes_of(data + at, len), end != NULL);
        require(status == STATUS_OK || (status == STATUS_INVALID && v->fault != AUDIT_WHOLE));
        if (status != STATUS_OK) {
            break;
        }
        at += len + 1;
    }
    enum status status = audit_verifier_end(v);
    require((status == STATUS_OK) == (v->fault == AUDIT_WHOLE));
    require(status == STATUS_OK || strlen(v->fault_detail.text) > 0);
    return status == STATUS_OK;
}

/* The last line that is an entry's: where it begins, and its length without its line end. */
static const uint8_t *last_entry(const uint8_t *data, size_t size, size_t *out_len) {
    const uint8_t *found = NULL;
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        require(end != NULL);
        size_t len = (size_t)(end - (data + at));
        if (len > 6 && memcmp(data + at, "{\"seq\"", 6) == 0) {
            found = data + at;
            *out_len = len;
        }
        at += len + 1;
    }
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct audit_verifier v;
    if (!is_whole(&v, data, size)) {
        return 0;
    }
    size_t len = 0, lines = 0;
    for (size_t i = 0; i < size; i++) {
        lines += data[i] == '\n';
    }
    require(v.summary.entries > 0 && v.summary.checkpoints_verified == 0);
    require((size_t)(v.summary.entries + v.summary.checkpoints) == lines);
    require(v.summary.last_seq - v.summary.first_seq + 1 == v.summary.entries);
    const uint8_t *entry = last_entry(data, size, &len);
    enum { END = 76 }; /* ","hash":" and the hash, "} */
    require(entry != NULL && len > END && memcmp(entry + len - 66, v.summary.last_hash, 64) == 0);
    uint8_t digest[32];
    char hash[65];
    digest_compute2(HASH_SHA256, bytes_of(entry, len - END), bytes_of_text("\"}"), digest);
    hex_encode(hash, bytes_of(digest, sizeof digest));
    require(strcmp(hash, v.summary.last_hash) == 0);
    uint8_t *copy = malloc(size);
    if (copy != NULL) {
        memcpy(copy, data, size);
        copy[(size_t)(entry - data) + digest[0] % len] ^= 1;
        require(!is_whole(&v, copy, size));
        free(copy);
    }
    return 0;
}
