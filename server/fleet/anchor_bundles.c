#include "server/fleet/anchor_bundles.h"

#include "server/crypto/digest.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 1 << 28 };

struct anchor_bundle {
    struct trust_bundle *bundle;
    char model[STORE_NAME];
    enum anchor_purpose purpose;
    uint8_t content[32]; /* SHA-256 over what each certificate is, and whether it is an anchor */
    unsigned references;
};

enum status anchor_rows_compile(struct trust_bundle **out, const struct anchor_row *rows,
                                size_t num, struct detail *detail) {
    struct trust_certificate *all = calloc(num == 0 ? 1 : num, sizeof *all);
    if (all == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < num; i++) {
        all[i] = (struct trust_certificate){.der = rows[i].der, .anchor = rows[i].is_anchor};
    }
    enum status status = trust_bundle_of(out, all, num, detail);
    free(all);
    return status;
}

static enum status hash_rows(uint8_t out[static 32], const struct anchor_row *rows, size_t num) {
    size_t len = num * 33;
    uint8_t *buffer = malloc(len);
    if (buffer == NULL) {
        return STATUS_MEMORY;
    }
    struct writer w = writer_of(buffer, len);
    for (size_t i = 0; i < num; i++) {
        write_bytes(&w, bytes_of(rows[i].sha256, 32));
        write_u8(&w, rows[i].is_anchor ? 1 : 0);
    }
    digest_compute(HASH_SHA256, writer_bytes(&w), out);
    free(buffer);
    return STATUS_OK;
}

static struct anchor_bundle *find(const struct anchor_bundles *bundles, const char *model,
                                  enum anchor_purpose purpose) {
    for (size_t i = 0; bundles != NULL && i < bundles->num; i++) {
        struct anchor_bundle *b = bundles->bundle[i];
        if (b->purpose == purpose && strcmp(b->model, model) == 0) {
            return b;
        }
    }
    return NULL;
}

const struct trust_bundle *anchor_bundles_find(const struct anchor_bundles *bundles,
                                               const char *model, enum anchor_purpose purpose) {
    const struct anchor_bundle *found = find(bundles, model, purpose);
    return found == NULL ? NULL : found->bundle;
}

static enum status compile(struct anchor_bundle **out, const struct anchor_row *rows, size_t num,
                           const uint8_t content[static 32], struct detail *detail) {
    struct anchor_bundle *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    enum status status = anchor_rows_compile(&b->bundle, rows, num, detail);
    if (status != STATUS_OK) {
        detail_prefix(detail, "anchors of model %s", rows[0].model);
        free(b);
        return status;
    }
    memcpy(b->model, rows[0].model, sizeof b->model);
    b->purpose = rows[0].purpose;
    memcpy(b->content, content, sizeof b->content);
    *out = b;
    return STATUS_OK;
}

/* `rows` are all of one model and purpose. */
static enum status take(struct anchor_bundles *out, const struct anchor_bundles *old,
                        const struct anchor_row *rows, size_t num, struct detail *detail) {
    uint8_t content[32];
    struct anchor_bundle *b = find(old, rows[0].model, rows[0].purpose);
    enum status status = hash_rows(content, rows, num);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "out of memory");
    }
    if (b == NULL || memcmp(b->content, content, sizeof content) != 0) {
        status = compile(&b, rows, num, content, detail);
        if (status != STATUS_OK) {
            return status;
        }
    }
    b->references++;
    out->bundle[out->num++] = b;
    return STATUS_OK;
}

static size_t count_alike(const struct anchor_row *rows, size_t num) {
    size_t alike = 1;
    while (alike < num && rows[alike].purpose == rows[0].purpose &&
           strcmp(rows[alike].model, rows[0].model) == 0) {
        alike++;
    }
    return alike;
}

enum status anchor_bundles_take(struct anchor_bundles *out, const struct anchor_bundles *old,
                                struct arena *arena, struct store_reader *reader,
                                struct detail *detail) {
    __attribute__((cleanup(arena_free))) struct arena work;
    struct anchor_row *rows;
    size_t num;
    arena_init(&work, ROWS_MAX);
    *out = (struct anchor_bundles){0};
    enum status status = store_anchor_all(reader, &work, &rows, &num);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "cannot read the anchors of models");
    }
    out->bundle = arena_array(arena, num, sizeof *out->bundle);
    if (out->bundle == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for the anchors of models");
    }
    for (size_t at = 0; at < num && status == STATUS_OK;) {
        size_t alike = count_alike(&rows[at], num - at);
        status = take(out, old, &rows[at], alike, detail);
        at += alike;
    }
    return status;
}

void anchor_bundles_release(struct anchor_bundles *bundles) {
    for (size_t i = 0; i < bundles->num; i++) {
        struct anchor_bundle *b = bundles->bundle[i];
        if (--b->references == 0) {
            trust_bundle_free(b->bundle);
            free(b);
        }
    }
    *bundles = (struct anchor_bundles){0};
}
