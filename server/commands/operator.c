/* gatehouse operator add|list: operators, on the host. For the first one, and for when nobody can
 * come in any more. */
#include "server/commands/commands.h"

#include "api/request.h"
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/base/file.h"
#include "server/base/json_out.h"
#include "server/commands/host_operator.h"
#include "server/commands/load_config.h"
#include "server/crypto/x509.h"
#include "server/fleet/audit_chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CERTIFICATE_FILE_MAX = 1 << 16, PAGE = 100, ARENA = 16 << 20 };

struct options {
    const char *config, *name, *role, *certificate;
    bool replace;
};

static bool take_option(struct options *options, const char *name, const char *value) {
    const struct {
        const char *name, **value;
    } known[] = {{"--config", &options->config},
                 {"--name", &options->name},
                 {"--role", &options->role},
                 {"--certificate", &options->certificate}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(name, known[i].name) == 0 && *known[i].value == NULL && value != NULL) {
            *known[i].value = value;
            return true;
        }
    }
    return false;
}

/* After "add" or "list". */
static bool parse_options(struct options *options, int argc, char **argv) {
    *options = (struct options){0};
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--replace") == 0 && !options->replace) {
            options->replace = true;
        } else if (!take_option(options, argv[i], i + 1 < argc ? argv[i + 1] : NULL)) {
            return false;
        } else {
            i++;
        }
    }
    return options->config != NULL;
}

static enum status open_store(struct store **out, const struct config *config,
                              struct detail *detail) {
    if (access(config->store_path, F_OK) != 0) {
        return status_fail(detail, STATUS_NOT_FOUND,
                           "there is no store %s: gatehouse init makes one", config->store_path);
    }
    return store_open(out, config->store_path, detail);
}

/* --- add ------------------------------------------------------------------------------------ */

/* The one certificate of the file, which the admin plane would let in. */
static enum status read_certificate(struct operator_certificate *out, const struct config *config,
                                    const char *file, int64_t now, struct detail *detail) {
    __attribute__((cleanup(arena_free))) struct arena arena;
    uint8_t *pem = NULL;
    size_t len = 0, num = 0;
    struct bytes der;
    struct trust_bundle *bundle = NULL;
    arena_init(&arena, ARENA);
    enum status status = file_read(&pem, &len, file, CERTIFICATE_FILE_MAX, detail);
    if (status == STATUS_OK &&
        (pem_certificates(&arena, &der, &num, 1, bytes_of(pem, len), detail) != STATUS_OK ||
         num != 1)) {
        status = status_fail(detail, STATUS_MALFORMED, "%s: must be one certificate as PEM", file);
    }
    if (status == STATUS_OK) {
        status = host_certificate(out, der, now, detail);
    }
    if (status == STATUS_OK) {
        status = trust_bundle_read(&bundle, config->plane[PLANE_ADMIN].anchors, detail);
    }
    if (status == STATUS_OK) {
        status = trust_bundle_verify(bundle, der, NULL, 0, now, CHAIN_ANY, detail);
        detail_prefix(detail, "admin.anchors do not let %s in", file);
    }
    trust_bundle_free(bundle);
    free(pem);
    return status;
}

/* Room for one more: the first that may go. */
static enum status make_room(struct store_writer *writer, const struct operator_row *old,
                             int64_t now) {
    enum status status = STATUS_OK;
    for (size_t i = 0; old->num_certificates == OPERATOR_MAX_CERTIFICATES && i < 2; i++) {
        status =
            store_operator_certificate_delete(writer, old->name, old->certificate[i].sha256, now);
        if (status != STATUS_CONFLICT) {
            break; /* the one way in for all admins may be among them; it is not both */
        }
    }
    return status;
}

/* The operator has this certificate and no other, this role, and is not disabled. */
static enum status replace(struct store_writer *writer, const struct operator_row *row,
                           const struct operator_row *old, struct detail *detail) {
    const struct operator_certificate *certificate = &row->certificate[0];
    bool has = operator_certificate(old, certificate->sha256) != NULL;
    enum status status = store_operator_put(writer, row, true);
    if (status == STATUS_CONFLICT) {
        return status_fail(detail, status, "%s is the last admin: one must remain", row->name);
    }
    if (status == STATUS_OK && !has) {
        status = make_room(writer, old, row->updated);
    }
    if (status == STATUS_OK && !has) {
        status = store_operator_certificate_add(writer, row->name, certificate);
        if (status == STATUS_CONFLICT) {
            return status_fail(detail, status, "the certificate is another operator's");
        }
    }
    for (size_t i = 0; status == STATUS_OK && i < old->num_certificates; i++) {
        const uint8_t *sha256 = old->certificate[i].sha256;
        if (memcmp(sha256, certificate->sha256, 32) != 0) {
            status = store_operator_certificate_delete(writer, row->name, sha256, row->updated);
            status = status == STATUS_NOT_FOUND ? STATUS_OK : status; /* it made room */
        }
    }
    return status;
}

static enum status note(struct store_writer *writer, const struct operator_row *row,
                        const char *action, struct detail *detail) {
    struct audit_row entry = {.time_ms = clock_unix_ms()};
    host_actor(entry.actor);
    (void)snprintf(entry.action, sizeof entry.action, "%s", action);
    (void)snprintf(entry.object, sizeof entry.object, "operator:%s", row->name);
    __attribute__((cleanup(arena_free))) struct arena arena;
    struct json_out o;
    arena_init(&arena, ARENA);
    json_out_init(&o, &arena, 512);
    json_out_object(&o, NULL);
    json_out_text(&o, "role", row->role);
    json_out_hex(&o, "certificate_sha256", bytes_of(row->certificate[0].sha256, 32));
    json_out_object_end(&o);
    entry.after = json_out_end(&o);
    return audit_append(writer, &entry, detail);
}

static enum status put(struct store_writer *writer, const struct operator_row *row,
                       bool may_replace, struct detail *detail) {
    struct operator_row old;
    enum status status = store_operator_get(store_writer_reader(writer), &old, row->name);
    if (status == STATUS_OK && !may_replace) {
        return status_fail(detail, STATUS_CONFLICT,
                           "%s is registered already: --replace sets role and certificate anew",
                           row->name);
    }
    if (status == STATUS_OK) {
        status = replace(writer, row, &old, detail);
        return status == STATUS_OK ? note(writer, row, "operator.replace", detail) : status;
    }
    if (status == STATUS_NOT_FOUND) {
        status = store_operator_put(writer, row, false);
    }
    if (status == STATUS_CONFLICT) {
        return status_fail(detail, status, "the certificate is another operator's");
    }
    return status == STATUS_OK ? note(writer, row, "operator.create", detail) : status;
}

static enum status write_row(struct store *store, const struct operator_row *row, bool may_replace,
                             struct detail *detail) {
    struct store_writer *writer = NULL;
    enum status status = store_writer_new(&writer, store, detail);
    if (status == STATUS_CONFLICT) {
        return status_fail(detail, status,
                           "the gateway is running: stop it, or use the API (/v1/operators)");
    }
    if (status == STATUS_OK) {
        status = audit_chain_begin(writer, clock_unix_ms(), detail);
    }
    if (status == STATUS_OK) {
        status = store_begin(writer, detail);
    }
    if (status == STATUS_OK) {
        status = put(writer, row, may_replace, detail);
    }
    if (status == STATUS_OK) {
        status = store_commit(writer, detail);
    }
    store_writer_free(writer); /* which rolls back what was not committed */
    return status;
}

static enum status add(const struct options *options, const struct config *config,
                       struct detail *detail) {
    struct operator_row row = {.num_certificates = 1, .created = clock_unix()};
    struct store *store = NULL;
    if (!name_is_valid(options->name)) {
        return status_fail(detail, STATUS_MALFORMED, "--name: 1 to 64 of [A-Za-z0-9._-]");
    }
    if (role_from_name(options->role) == 0) {
        return status_fail(detail, STATUS_MALFORMED,
                           "--role: one of viewer, operator, author, approver, admin");
    }
    row.updated = row.created;
    (void)snprintf(row.name, sizeof row.name, "%s", options->name);
    (void)snprintf(row.role, sizeof row.role, "%s", options->role);
    enum status status =
        read_certificate(&row.certificate[0], config, options->certificate, row.created, detail);
    if (status == STATUS_OK) {
        status = open_store(&store, config, detail);
    }
    if (status == STATUS_OK) {
        status = write_row(store, &row, options->replace, detail);
    }
    store_close(store);
    if (status == STATUS_OK) {
        printf("%s is registered as %s\n", row.name, row.role);
    }
    return status;
}

/* --- list ----------------------------------------------------------------------------------- */

static void print_row(const struct operator_row *row) {
    for (size_t i = 0; i < row->num_certificates; i++) {
        const struct operator_certificate *c = &row->certificate[i];
        char hex[65], end[RFC3339_SIZE] = "-";
        hex_encode(hex, bytes_of(c->sha256, sizeof c->sha256));
        if (c->not_after != 0) {
            rfc3339_format(end, c->not_after);
        }
        printf("%s\t%s\t%s\t%s\t%s\t%s\n", row->name, row->role,
               row->disabled ? "disabled" : "enabled", hex, end,
               c->subject[0] != '\0' ? c->subject : "-");
    }
}

static enum status list(const struct config *config, struct detail *detail) {
    __attribute__((cleanup(arena_free))) struct arena arena;
    struct store *store = NULL;
    struct store_reader *reader = NULL;
    struct operator_row *rows = NULL;
    size_t num = PAGE;
    char after[STORE_NAME] = "";
    arena_init(&arena, ARENA);
    enum status status = open_store(&store, config, detail);
    if (status == STATUS_OK) {
        status = store_reader_new(&reader, store, detail);
    }
    while (status == STATUS_OK && num == PAGE) {
        status = store_operator_list(reader, &arena, &rows, &num, (struct store_page){after, PAGE});
        for (size_t i = 0; status == STATUS_OK && i < num; i++) {
            print_row(&rows[i]);
            (void)snprintf(after, sizeof after, "%s", rows[i].name);
        }
    }
    store_reader_free(reader);
    store_close(store);
    return status;
}

int command_operator(int argc, char **argv) {
    struct options options;
    struct config *config = NULL;
    struct detail detail = {0};
    bool adds = argc > 1 && strcmp(argv[1], "add") == 0;
    bool lists = argc > 1 && strcmp(argv[1], "list") == 0;
    if ((!adds && !lists) || !parse_options(&options, argc, argv)) {
        return EXIT_USAGE;
    }
    bool whole = options.name != NULL && options.role != NULL && options.certificate != NULL;
    bool more = options.name != NULL || options.role != NULL || options.certificate != NULL ||
                options.replace;
    if (adds ? !whole : more) {
        return EXIT_USAGE;
    }
    (void)umask(077);
    if (commands_load_config(&config, options.config) != STATUS_OK) {
        return EXIT_FAILURE;
    }
    enum status status = adds ? add(&options, config, &detail) : list(config, &detail);
    config_free(config);
    if (status != STATUS_OK) {
        fprintf(stderr, "gatehouse operator: %s\n",
                detail.text[0] != '\0' ? detail.text : status_name(status));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
