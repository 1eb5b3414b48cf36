#include "server/appraisal/rule_ima.h"

#include "server/base/encoding.h"
#include "server/crypto/x509.h"
#include "server/evidence/ima/signature.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096, GLOB_BYTES = 256, KEY_BYTES = 8192, KEY_ID_LEN = 4 };

/* Baselines are their authors': nobody who is judged picks what meets in the table. */
uint64_t ima_path_hash(struct bytes path) {
    uint64_t hash = path.len * 0x9E3779B97F4A7C15u;
    struct bytes piece;
    while (path.len > 0) {
        uint64_t word = 0;
        size_t len = path.len < sizeof word ? path.len : sizeof word;
        (void)!bytes_take(&path, len, &piece);
        memcpy(&word, piece.data, len);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 32;
    }
    return hash;
}

/* "deny", the default, or "report". */
static enum status read_severity(struct compiling *c, const struct place *in, const char *name,
                                 bool *reports) {
    struct place at = place_member(in, name);
    const char *text = json_string_value(at.json);
    if (at.json != NULL &&
        (text == NULL || (strcmp(text, "deny") != 0 && strcmp(text, "report") != 0))) {
        return place_refuse(c, &at, "it is neither \"deny\" nor \"report\"");
    }
    *reports = text != NULL && strcmp(text, "report") == 0;
    return STATUS_OK;
}

static enum status read_mode(struct compiling *c, const struct place *in, bool *report) {
    struct place at = place_member(in, "mode");
    const char *text = json_string_value(at.json);
    if (text == NULL || (strcmp(text, "enforce") != 0 && strcmp(text, "report") != 0)) {
        return place_refuse(c, &at, "it is neither \"enforce\" nor \"report\"");
    }
    *report = strcmp(text, "report") == 0;
    return STATUS_OK;
}

/* As the kernel writes a name into its log: '_' for each space. */
static struct bytes kernel_name(struct arena *arena, const char *text) {
    char *copy = arena_text(arena, text);
    for (char *at = copy; at != NULL && *at != '\0'; at++) {
        *at = *at == ' ' ? '_' : *at;
    }
    return copy == NULL ? bytes_of(NULL, 0) : bytes_of_text(copy);
}

/* --- files -------------------------------------------------------------------------------------- */

/* "sha256:<hex>", "verity:sha256:<hex>" */
static enum status read_digest(struct compiling *c, const struct place *at,
                               struct ima_digest *out) {
    static const enum hash_alg known[] = {HASH_SHA256, HASH_SHA384, HASH_SHA512};
    static const char verity[] = "verity:";
    const char *text = json_string_value(at->json);
    if (text == NULL) {
        return place_refuse(c, at, "it is not a text");
    }
    out->verity = strncmp(text, verity, strlen(verity)) == 0;
    text += out->verity ? strlen(verity) : 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t name = strlen(hash_name(known[i])), len = digest_len(known[i]);
        if (strncmp(text, hash_name(known[i]), name) != 0 || text[name] != ':') {
            continue;
        }
        uint8_t *digest = arena_alloc(&c->baseline->arena, len);
        if (digest == NULL) {
            return STATUS_MEMORY;
        }
        if (hex_decode(digest, len, text + name + 1) != STATUS_OK) {
            return place_refuse(c, at, "it is not %zu lower-case hex digits behind %s:", 2 * len,
                                hash_name(known[i]));
        }
        out->alg = known[i];
        out->digest = bytes_of(digest, len);
        return STATUS_OK;
    }
    return place_refuse(c, at,
                        "it does not begin with sha256:, sha384: or sha512: (verity: before it for "
                        "an fs-verity digest)");
}

static enum status read_file(struct compiling *c, const struct place *at, struct ima_file *out) {
    struct arena *arena = &c->baseline->arena;
    enum status status = read_list(c, at, &out->num_digests, IMA_DIGESTS_MAX);
    if (status != STATUS_OK) {
        return status;
    }
    if (at->name[0] == '\0' || strlen(at->name) > PATH_BYTES) {
        return place_refuse(c, at, "the path is not of 1 to %d bytes", PATH_BYTES);
    }
    out->path = kernel_name(arena, at->name);
    out->digest = arena_array(arena, out->num_digests, sizeof *out->digest);
    if (out->path.data == NULL || out->digest == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t i = 0; i < out->num_digests && status == STATUS_OK; i++) {
        struct place element = place_element(at, i);
        status = read_digest(c, &element, &out->digest[i]);
    }
    return status;
}

static enum status put_file(struct compiling *c, const struct place *at, struct ima_rules *rules,
                            const struct ima_file *file) {
    uint64_t hash = ima_path_hash(file->path);
    size_t i = (size_t)hash & (rules->num_slots - 1);
    while (rules->slot[i].path.data != NULL) {
        if (bytes_equal(rules->slot[i].path, file->path)) {
            return place_refuse(c, at, "the kernel writes another listed path in the same way");
        }
        i = (i + 1) & (rules->num_slots - 1);
    }
    rules->slot[i] = *file;
    rules->slot[i].hash = hash;
    return STATUS_OK;
}

static enum status read_files(struct compiling *c, const struct place *in,
                              struct ima_rules *rules) {
    struct place at = place_member(in, "files");
    const char *path;
    json_t *value;
    if (at.json == NULL) {
        return STATUS_OK;
    }
    size_t num = json_object_size(at.json);
    if (!json_is_object(at.json) || num == 0 || num > IMA_FILES_MAX) {
        return place_refuse(c, &at, "it is not an object of 1 to %d paths", IMA_FILES_MAX);
    }
    for (rules->num_slots = 8; rules->num_slots < 2 * num;) {
        rules->num_slots *= 2;
    }
    rules->slot = arena_array(&c->baseline->arena, rules->num_slots, sizeof *rules->slot);
    if (rules->slot == NULL) {
        return STATUS_MEMORY;
    }
    json_object_foreach(at.json, path, value) {
        struct place place = {.in = &at, .name = path, .json = value};
        struct ima_file file = {0};
        enum status status = read_file(c, &place, &file);
        if (status == STATUS_OK) {
            status = put_file(c, &place, rules, &file);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status read_ignored(struct compiling *c, const struct place *in,
                                struct ima_rules *rules) {
    struct place at = place_member(in, "ignore");
    if (at.json == NULL) {
        return STATUS_OK;
    }
    enum status status = read_list(c, &at, &rules->num_ignored, IMA_IGNORE_MAX);
    if (status != STATUS_OK) {
        return status;
    }
    rules->ignore = arena_array(&c->baseline->arena, rules->num_ignored, sizeof *rules->ignore);
    for (size_t i = 0; i < rules->num_ignored && status == STATUS_OK; i++) {
        struct place element = place_element(&at, i);
        const char *glob = NULL;
        status = rules->ignore == NULL ? STATUS_MEMORY : read_text(c, &element, &glob, GLOB_BYTES);
        if (status == STATUS_OK) {
            rules->ignore[i] = kernel_name(&c->baseline->arena, glob);
            status = rules->ignore[i].data == NULL ? STATUS_MEMORY : STATUS_OK;
        }
    }
    return status;
}

/* --- signers ------------------------------------------------------------------------------------ */

/* PEM of this label, or base64 of the DER itself. */
static enum status read_der(struct compiling *c, const struct place *at, struct arena *work,
                            bool certificate, struct bytes *out) {
    const char *text = json_string_value(at->json);
    size_t num = 0;
    if (text == NULL || json_string_length(at->json) > KEY_BYTES) {
        return place_refuse(c, at, "it is not a text of at most %d bytes", KEY_BYTES);
    }
    if (!certificate || strstr(text, "-----BEGIN") == NULL) {
        return base64_decode_arena(work, out, text, strlen(text), NULL) == STATUS_OK
                   ? STATUS_OK
                   : place_refuse(c, at, "it is neither PEM nor base64");
    }
    struct detail detail = {0};
    return pem_certificates(work, out, &num, 1, bytes_of_text(text), &detail) == STATUS_OK &&
                   num == 1
               ? STATUS_OK
               : place_refuse(c, at, "%.120s",
                              detail.text[0] != '\0' ? detail.text : "not one certificate");
}

static enum status read_certificate(struct compiling *c, const struct place *at, struct arena *work,
                                    struct ima_signer *out) {
    struct bytes der = {0};
    struct certificate certificate;
    struct detail detail = {0};
    enum status status = read_der(c, at, work, true, &der);
    if (status != STATUS_OK) {
        return status;
    }
    if (certificate_parse(&certificate, der, &detail) != STATUS_OK) {
        return place_refuse(c, at, "%.120s", detail.text);
    }
    if (certificate.key.kind == KEY_NONE) {
        return place_refuse(c, at,
                            "its key is of no kind that is taken (RSA of 2048 to 4096 bits, "
                            "P-256, P-384, P-521)");
    }
    out->key = certificate.key;
    out->key_id = ima_key_id(&out->key);
    if (certificate.subject_key_id_len >= KEY_ID_LEN) {
        struct bytes id = bytes_of(
            certificate.subject_key_id + certificate.subject_key_id_len - KEY_ID_LEN, KEY_ID_LEN);
        (void)!bytes_u32be(&id, &out->key_id);
    }
    return STATUS_OK;
}

static enum status read_public_key(struct compiling *c, const struct place *at, struct arena *work,
                                   struct ima_signer *out) {
    const char *text = json_string_value(at->json);
    struct detail detail = {0};
    struct bytes der = {0};
    enum status status;
    if (text != NULL && strstr(text, "-----BEGIN") != NULL) {
        status = public_key_from_pem(&out->key, bytes_of_text(text), &detail);
    } else {
        status = read_der(c, at, work, false, &der);
        if (status != STATUS_OK) {
            return status;
        }
        status = public_key_from_spki(&out->key, der, &detail);
    }
    if (status != STATUS_OK) {
        return place_refuse(c, at, "%.120s", detail.text);
    }
    out->key_id = ima_key_id(&out->key);
    return STATUS_OK;
}

static enum status read_key_id(struct compiling *c, const struct place *at, uint32_t *out) {
    uint8_t id[KEY_ID_LEN];
    struct bytes in = bytes_of(id, sizeof id);
    const char *text = json_string_value(at->json);
    if (text == NULL || hex_decode(id, sizeof id, text) != STATUS_OK ||
        bytes_u32be(&in, out) != STATUS_OK) {
        return place_refuse(c, at, "it is not %d lower-case hex digits", 2 * KEY_ID_LEN);
    }
    return STATUS_OK;
}

static enum status read_signer(struct compiling *c, const struct place *at,
                               struct ima_signer *out) {
    static const char *const known[] = {"label", "public_key", "certificate", "key_id", NULL};
    struct place key = place_member(at, "public_key"), id = place_member(at, "key_id"),
                 certificate = place_member(at, "certificate"), label = place_member(at, "label");
    struct arena work;
    enum status status = read_object(c, at, known);
    if (status == STATUS_OK && (key.json == NULL) == (certificate.json == NULL)) {
        status = place_refuse(c, at, "it has not one of public_key and certificate");
    }
    if (status != STATUS_OK) {
        return status;
    }
    arena_init(&work, (size_t)4 * KEY_BYTES);
    status = key.json != NULL ? read_public_key(c, &key, &work, out)
                              : read_certificate(c, &certificate, &work, out);
    arena_free(&work);
    if (status == STATUS_OK && out->key.kind == KEY_ED25519) {
        status = place_refuse(c, at, "the kernel does not sign files with Ed25519");
    }
    if (status == STATUS_OK && id.json != NULL) {
        status = read_key_id(c, &id, &out->key_id);
    }
    return status == STATUS_OK && label.json != NULL ? read_text(c, &label, &out->label, LABEL_MAX)
                                                     : status;
}

static enum status read_signers(struct compiling *c, const struct place *in,
                                struct ima_rules *rules) {
    struct place at = place_member(in, "signers");
    if (at.json == NULL) {
        return STATUS_OK;
    }
    enum status status = read_list(c, &at, &rules->num_signers, IMA_SIGNERS_MAX);
    if (status != STATUS_OK) {
        return status;
    }
    rules->signer = arena_array(&c->baseline->arena, rules->num_signers, sizeof *rules->signer);
    for (size_t i = 0; i < rules->num_signers && status == STATUS_OK; i++) {
        struct place element = place_element(&at, i);
        status =
            rules->signer == NULL ? STATUS_MEMORY : read_signer(c, &element, &rules->signer[i]);
    }
    return status;
}

/* --- all of it ---------------------------------------------------------------------------------- */

enum status ima_rules_read(struct compiling *c, const struct place *at, const void **out) {
    static const char *const known[] = {
        "mode",       "boot_aggregate",        "files", "ignore", "signers",
        "violations", "sha1_template_digests", NULL};
    struct ima_rules *rules = arena_alloc(&c->baseline->arena, sizeof *rules);
    struct place aggregate = place_member(at, "boot_aggregate");
    if (rules == NULL) {
        return STATUS_MEMORY;
    }
    rules->needs_aggregate = true;
    enum status status = read_object(c, at, known);
    if (status == STATUS_OK) {
        status = read_mode(c, at, &rules->report);
    }
    if (status == STATUS_OK && aggregate.json != NULL) {
        status = read_flag(c, &aggregate, &rules->needs_aggregate);
    }
    if (status == STATUS_OK) {
        status = read_severity(c, at, "violations", &rules->report_violations);
    }
    if (status == STATUS_OK) {
        status = read_severity(c, at, "sha1_template_digests", &rules->report_sha1);
    }
    if (status == STATUS_OK) {
        status = read_files(c, at, rules);
    }
    if (status == STATUS_OK) {
        status = read_ignored(c, at, rules);
    }
    if (status == STATUS_OK) {
        status = read_signers(c, at, rules);
    }
    *out = rules;
    return status;
}
