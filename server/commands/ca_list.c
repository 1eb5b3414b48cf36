#include "server/commands/ca.h"

#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/base/file.h"
#include "server/crypto/x509.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CERTIFICATE_FILE_MAX = 64 << 10 };

/* --- certificates --------------------------------------------------------------------------- */

enum status ca_certificate_of(struct ca_certificate *out, struct bytes der, struct detail *detail) {
    struct certificate certificate;
    uint8_t sha256[32];
    enum status status = certificate_parse(&certificate, der, detail);
    if (status != STATUS_OK) {
        return status;
    }
    if (!certificate.is_ca || public_key_spki_sha256(sha256, &certificate.key) != STATUS_OK) {
        return status_fail(detail, STATUS_INVALID, "it is no authority's certificate");
    }
    struct ca_certificate found = {.not_before = certificate.not_before,
                                   .not_after = certificate.not_after};
    hex_encode(found.id, bytes_of(sha256, (sizeof found.id - 1) / 2));
    *out = found;
    return STATUS_OK;
}

enum status ca_certificate_read(struct ca_certificate *out, const char *path,
                                struct detail *detail) {
    __attribute__((cleanup(arena_free))) struct arena arena;
    uint8_t *text = NULL;
    size_t len = 0, num = 0;
    struct bytes der;
    arena_init(&arena, 2 * CERTIFICATE_FILE_MAX);
    enum status status = file_read(&text, &len, path, CERTIFICATE_FILE_MAX, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = pem_certificates(&arena, &der, &num, 1, bytes_of(text, len), detail);
    free(text);
    if (status == STATUS_OK) {
        status = ca_certificate_of(out, der, detail);
    }
    if (status != STATUS_OK) {
        detail_prefix(detail, "%s", path);
    }
    return status;
}

/* --- the list ------------------------------------------------------------------------------- */

/* As it may stand in the list, wherever it is read from. */
static const char *lasting_name(struct ca_list *list, const char *name) {
    size_t len = strlen(list->folder);
    if (epoch_key_is_uri(name) || name[0] == '/' ||
        (strncmp(name, list->folder, len) == 0 && strchr(name + len, '/') == NULL)) {
        return arena_text(&list->arena, name);
    }
    char *whole = realpath(name, NULL);
    const char *kept = whole == NULL ? NULL : arena_text(&list->arena, whole);
    free(whole);
    return kept;
}

/* What the configuration names, as the one epoch there is. */
static enum status first_epoch(struct ca_list *list, const struct config *config,
                               struct detail *detail) {
    struct ca_certificate certificate;
    struct epoch *epoch = &list->epochs.epoch[0];
    enum status status = ca_certificate_read(&certificate, config->access_certificate, detail);
    if (status != STATUS_OK) {
        return status;
    }
    *epoch = (struct epoch){.key = lasting_name(list, config->access_key),
                            .certificate = lasting_name(list, config->access_certificate),
                            .published = certificate.not_before,
                            .signs = certificate.not_before};
    list->epochs.num = 1;
    if (epoch->key == NULL || epoch->certificate == NULL) {
        return status_fail(detail, STATUS_NOT_FOUND, "signer.access_key: %.80s is not there",
                           config->access_key);
    }
    return STATUS_OK;
}

static enum status lock_folder(struct ca_list *list, struct detail *detail) {
    struct stat st;
    const char *folder = list->folder[0] == '\0' ? "." : list->folder;
    list->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (list->folder_fd < 0 || fstat(list->folder_fd, &st) != 0) {
        return status_fail(detail, STATUS_INTERNAL, "%s: %s", folder, strerror(errno));
    }
    if (st.st_uid != geteuid()) {
        return status_fail(
            detail, STATUS_DENIED,
            "%s belongs to user %u: run this as that user, who also runs the gateway", folder,
            (unsigned)st.st_uid);
    }
    if (flock(list->folder_fd, LOCK_EX | LOCK_NB) != 0) {
        return status_fail(detail, STATUS_CONFLICT, "%s: another `gatehouse ca` is changing it",
                           folder);
    }
    return STATUS_OK;
}

enum status ca_list_open(struct ca_list *out, const struct config *config, bool to_change,
                         struct detail *detail) {
    *out = (struct ca_list){.folder_fd = -1};
    arena_init(&out->arena, 2 * EPOCHS_ARENA);
    if (config->access_authorities == NULL && to_change) {
        return status_fail(detail, STATUS_NOT_FOUND,
                           "signer.access_authorities is not set: it names the list of epochs, "
                           "such as ca/access.epochs");
    }
    if (config->access_authorities == NULL) {
        out->folder = "";
        return first_epoch(out, config, detail);
    }
    out->path = arena_text(&out->arena, config->access_authorities);
    out->folder = epochs_folder(&out->arena, config->access_authorities);
    if (out->path == NULL || out->folder == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    enum status status = to_change ? lock_folder(out, detail) : STATUS_OK;
    if (status == STATUS_OK) {
        status = epochs_read(&out->epochs, &out->arena, out->path, detail);
    }
    if (status == STATUS_NOT_FOUND) {
        detail_set(detail, "%s", "");
        status = first_epoch(out, config, detail);
    }
    return status;
}

enum status ca_list_write(struct ca_list *list, struct detail *detail) {
    uint8_t text[EPOCHS_FILE_MAX];
    struct writer w = writer_of(text, sizeof text);
    enum status status = epochs_write(&w, &list->epochs, list->folder, detail);
    if (status == STATUS_OK) {
        status = file_replace(list->path, 0600, writer_bytes(&w), detail);
        list->replaced = status == STATUS_OK;
    }
    if (status == STATUS_OK && fsync(list->folder_fd) != 0) {
        status = status_fail(detail, STATUS_INTERNAL, "%s: %s", list->folder, strerror(errno));
    }
    return status;
}

void ca_list_close(struct ca_list *list) {
    if (list->folder_fd >= 0) {
        (void)close(list->folder_fd); /* and with it the lock */
    }
    arena_free(&list->arena);
}
