/* gatehouse ca rotate: a new access authority, published now and signing later. */
#include "server/commands/ca.h"

#include "config/value.h"
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/base/file.h"
#include "server/commands/authority.h"
#include "server/commands/commands.h"
#include "server/commands/load_config.h"
#include "server/crypto/pkcs11.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHORT_ID = 8, OVERLAP_MAX_S = 90 * 86400, SHORT_OVERLAP_S = 3600 };
/* The longest credential lasts a day; an hour for clocks. What is signed shortly before a turn ends with
 * its authority, however early that is: the least is what the shortest credential needs. */
enum { OVERLAP_S = 86400, RETIRE_S = 25 * 3600, RETIRE_MIN_S = 600, RETIRE_MAX_S = 400 * 86400 };

struct options {
    const char *config, *overlap, *retire_after;
    const char *key; /* a PKCS#11 URI; NULL: a new one, in a file */
    int64_t overlap_s, retire_s;
    bool emergency;
};

/* --- options -------------------------------------------------------------------------------- */

static bool parse_options(struct options *out, int argc, char **argv) {
    *out = (struct options){0};
    for (int i = 1; i < argc; i++) {
        const char **value = strcmp(argv[i], "--config") == 0         ? &out->config
                             : strcmp(argv[i], "--overlap") == 0      ? &out->overlap
                             : strcmp(argv[i], "--retire-after") == 0 ? &out->retire_after
                             : strcmp(argv[i], "--key") == 0          ? &out->key
                                                                      : NULL;
        if (value == NULL && strcmp(argv[i], "--emergency") == 0 && !out->emergency) {
            out->emergency = true;
        } else if (value == NULL || *value != NULL || i + 1 == argc) {
            return false;
        } else {
            *value = argv[++i];
        }
    }
    bool timed = out->overlap != NULL || out->retire_after != NULL;
    return out->config != NULL && !(timed && out->emergency);
}

static enum status read_span(int64_t *out_s, const char *name, const char *text, int64_t min_s,
                             int64_t max_s, struct detail *detail) {
    int64_t ms = 0;
    if (text == NULL) {
        return STATUS_OK;
    }
    enum status status = value_duration(&ms, text, detail);
    if (status != STATUS_OK) {
        detail_prefix(detail, "%s", name);
        return status;
    }
    if (ms % 1000 != 0 || ms / 1000 < min_s || ms / 1000 > max_s) {
        return status_fail(detail, STATUS_MALFORMED, "%s: must be %lld to %lld whole seconds", name,
                           (long long)min_s, (long long)max_s);
    }
    *out_s = ms / 1000;
    return STATUS_OK;
}

static enum status read_spans(struct options *options, struct detail *detail) {
    options->overlap_s = OVERLAP_S;
    options->retire_s = RETIRE_S;
    if (options->emergency) {
        options->overlap_s = options->retire_s = 0;
    }
    enum status status =
        read_span(&options->overlap_s, "--overlap", options->overlap, 1, OVERLAP_MAX_S, detail);
    return status == STATUS_OK
               ? read_span(&options->retire_s, "--retire-after", options->retire_after,
                           RETIRE_MIN_S, RETIRE_MAX_S, detail)
               : status;
}

/* --- the new list --------------------------------------------------------------------------- */

static enum status refuse_second(const struct epochs *epochs, int64_t now, struct detail *detail) {
    char when[RFC3339_SIZE];
    const struct epoch *newest = &epochs->epoch[epochs->num - 1];
    if (epochs_state(epochs, epochs->num - 1, now) != EPOCH_COMING) {
        return STATUS_OK;
    }
    rfc3339_format(when, newest->signs);
    return status_fail(detail, STATUS_CONFLICT,
                       "a rotation is under way: the authority of %.100s signs from %s on",
                       newest->certificate, when);
}

/* Those that are published still. */
static void drop_retired(struct epochs *epochs, int64_t now) {
    struct epochs left = {.num = 0};
    for (size_t i = 0; i < epochs->num; i++) {
        if (epochs_state(epochs, i, now) != EPOCH_RETIRED) {
            left.epoch[left.num++] = epochs->epoch[i];
        }
    }
    *epochs = left;
}

/* All that there is ends with the new one's beginning; what never signed is not even kept. */
static void retire_all(struct epochs *epochs, int64_t now) {
    if (epochs_state(epochs, epochs->num - 1, now) == EPOCH_COMING) {
        epochs->num--;
    }
    for (size_t i = 0; i < epochs->num; i++) {
        epochs->epoch[i].retires = now;
    }
}

/* The list with one epoch more, whose names are filled in later. */
static enum status extend(struct epochs *epochs, const struct options *options, int64_t now,
                          struct detail *detail) {
    drop_retired(epochs, now);
    if (epochs->num == 0 || epochs_state(epochs, 0, now) == EPOCH_COMING) {
        return status_fail(detail, STATUS_CONFLICT, "no authority of the list signs now");
    }
    if (options->emergency) {
        retire_all(epochs, now);
    } else {
        enum status status = refuse_second(epochs, now, detail);
        if (status != STATUS_OK) {
            return status;
        }
        epochs->epoch[epochs->num - 1].retires = now + options->overlap_s + options->retire_s;
    }
    if (epochs->num == EPOCHS_MAX) {
        return status_fail(detail, STATUS_CONFLICT,
                           "%d authorities are published: wait until the oldest is retired",
                           EPOCHS_MAX);
    }
    epochs->epoch[epochs->num++] =
        (struct epoch){.published = now, .signs = now + options->overlap_s};
    return STATUS_OK;
}

/* --- the new authority ---------------------------------------------------------------------- */

struct new_authority {
    struct authority authority;
    struct pkcs11_key *token; /* NULL: its key is a file */
    struct ca_certificate certificate;
};

/* Of the token, where it stays, or a new one. */
static enum status take_key(struct new_authority *out, const char *uri, struct detail *detail) {
    struct public_key public;
    if (uri == NULL) {
        enum status status = private_key_generate(&out->authority.key, KEY_EC_P256);
        return status == STATUS_OK ? status : status_fail(detail, status, "cannot make a key");
    }
    enum status status = pkcs11_open(&out->token, uri, detail);
    if (status != STATUS_OK) {
        return status;
    }
    pkcs11_public(out->token, &public);
    if (public.kind == KEY_RSA) {
        return status_fail(detail, STATUS_UNSUPPORTED,
                           "--key: an authority's is of P-256 or P-384");
    }
    status = private_key_external(&out->authority.key, &public, pkcs11_sign, out->token);
    return status == STATUS_OK ? status : status_fail(detail, status, "--key: is not taken");
}

static void new_authority_free(struct new_authority *made) {
    authority_free(&made->authority);
    pkcs11_close(made->token);
}

/* Its name is its key's: two that are published together are told apart by it, also by who looks for an
 * issuer by its name alone. */
static enum status make_authority(struct new_authority *out, const char *uri, int64_t now,
                                  struct detail *detail) {
    struct public_key key;
    uint8_t sha256[32];
    char id[SHORT_ID + 1], title[64];
    enum status status = take_key(out, uri, detail);
    if (status != STATUS_OK) {
        return status;
    }
    private_key_public(out->authority.key, &key);
    status = public_key_spki_sha256(sha256, &key);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "cannot write a public key");
    }
    hex_encode(id, bytes_of(sha256, SHORT_ID / 2));
    (void)snprintf(title, sizeof title, "Gatehouse access authority %s", id);
    status = authority_new(&out->authority, title, now, detail);
    struct bytes der = bytes_of(out->authority.der, out->authority.der_len);
    return status == STATUS_OK ? ca_certificate_of(&out->certificate, der, detail) : status;
}

static enum status write_key(const char *path, const struct private_key *key,
                             struct detail *detail) {
    char *pem = NULL;
    enum status status = private_key_to_pem(&pem, key);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "cannot write the key");
    }
    status = file_create(path, 0600, bytes_of_text(pem), detail);
    bytes_wipe(pem, strlen(pem));
    free(pem);
    return status;
}

/* Key and certificate are durable before the list names them; whatever fails takes them away. */
static enum status store_authority(struct ca_list *list, const struct new_authority *made,
                                   struct detail *detail) {
    const struct epoch *epoch = &list->epochs.epoch[list->epochs.num - 1];
    const struct authority *authority = &made->authority;
    bool in_file = made->token == NULL;
    const char *pem =
        certificate_to_pem(&list->arena, bytes_of(authority->der, authority->der_len));
    if (pem == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    enum status status = in_file ? write_key(epoch->key, authority->key, detail) : STATUS_OK;
    if (status != STATUS_OK) {
        return status;
    }
    status = file_create(epoch->certificate, 0644, bytes_of_text(pem), detail);
    bool created = status == STATUS_OK;
    if (created && fsync(list->folder_fd) != 0) {
        status = status_fail(detail, STATUS_INTERNAL, "%s: %s", list->folder, strerror(errno));
    }
    if (status == STATUS_OK) {
        status = ca_list_write(list, detail);
    }
    if (status != STATUS_OK && !list->replaced) {
        if (created) {
            (void)unlink(epoch->certificate);
        }
        if (in_file) {
            (void)unlink(epoch->key);
        }
    }
    return status;
}

/* --- all of it ------------------------------------------------------------------------------ */

static void print_epochs(const struct ca_list *list, const char *id, const struct options *options,
                         int64_t now) {
    const struct epoch *made = &list->epochs.epoch[list->epochs.num - 1];
    char time[RFC3339_SIZE];
    rfc3339_format(time, now);
    printf("Made the access authority %s: %s, %s\n", id, made->certificate, made->key);
    printf("  %s  it is published: have the gateway read it (SIGHUP, or systemctl reload)\n", time);
    rfc3339_format(time, made->signs);
    printf("  %s  it signs what is issued; by then proxies trust /v1/ca/access.pem anew\n", time);
    for (size_t i = 0; i + 1 < list->epochs.num; i++) {
        rfc3339_format(time, list->epochs.epoch[i].retires);
        printf("  %s  %s is retired\n", time, list->epochs.epoch[i].certificate);
    }
    if (options->emergency) {
        printf("Nothing that was issued before counts any more: devices have to attest again.\n");
    } else if (options->overlap_s < SHORT_OVERLAP_S) {
        printf("Mind the short overlap: a proxy that has the new certificate later refuses "
               "devices.\n");
    }
}

/* The names of the new one's files, beside the list. */
static enum status name_files(struct ca_list *list, const struct new_authority *made,
                              const char *uri, struct detail *detail) {
    struct epoch *epoch = &list->epochs.epoch[list->epochs.num - 1];
    const char *id = made->certificate.id;
    struct arena *arena = &list->arena;
    epoch->key = uri != NULL ? arena_text(arena, uri)
                             : arena_printf(arena, "%saccess-%.*s.key", list->folder, SHORT_ID, id);
    epoch->certificate = arena_printf(arena, "%saccess-%.*s.pem", list->folder, SHORT_ID, id);
    return arena->overflow ? status_fail(detail, STATUS_MEMORY, "out of memory") : STATUS_OK;
}

static enum status rotate(struct ca_list *list, const struct options *options,
                          struct detail *detail) {
    int64_t now = clock_unix();
    struct new_authority made = {.token = NULL};
    enum status status = extend(&list->epochs, options, now, detail);
    if (status == STATUS_OK) {
        status = make_authority(&made, options->key, now, detail);
    }
    if (status == STATUS_OK) {
        status = name_files(list, &made, options->key, detail);
    }
    if (status == STATUS_OK) {
        status = store_authority(list, &made, detail);
    }
    if (status == STATUS_OK) {
        print_epochs(list, made.certificate.id, options, now);
    }
    new_authority_free(&made);
    return status;
}

int ca_rotate(int argc, char **argv) {
    struct options options;
    struct config *config = NULL;
    struct ca_list list;
    struct detail detail = {0};
    if (!parse_options(&options, argc, argv)) {
        return EXIT_USAGE;
    }
    (void)umask(077);
    if (commands_load_config(&config, options.config) != STATUS_OK) {
        return EXIT_FAILURE;
    }
    enum status status = read_spans(&options, &detail);
    if (status == STATUS_OK) {
        status = ca_list_open(&list, config, true, &detail);
        if (status == STATUS_OK) {
            status = rotate(&list, &options, &detail);
        }
        ca_list_close(&list);
    }
    config_free(config);
    if (status != STATUS_OK) {
        fprintf(stderr, "gatehouse ca: %s\n",
                detail.text[0] != '\0' ? detail.text : status_name(status));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
