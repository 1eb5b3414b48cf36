#include "server/commands/commands.h"

#include "config/config.h"
#include "config/template.h"
#include "config/value.h"
#include "db/store.h"
#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/commands/authority.h"
#include "server/commands/folder.h"
#include "server/commands/host_operator.h"
#include "server/fleet/audit_chain.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_EK_FILES = 32, EK_TRUST_MAX = 1 << 20, INI_MAX = 32 * 1024 };
enum { NUM_LISTEN = NUM_PLANES, LISTEN_SIZE = 80 };

static const int64_t LEAF_S = (int64_t)397 * 86400;

struct options {
    const char *folder, *trust_domain, *listen;
    const char *store;      /* NULL: in the folder */
    const char *public_url; /* NULL: none */
    const char *host[PROFILE_MAX_SANS];
    size_t num_hosts;
    const char *ek_trust[MAX_EK_FILES];
    size_t num_ek_trust;
};

struct init {
    const struct options *options;
    struct folder folder;
    int64_t now;
    struct authority server, operators, proxies;
    struct operator_certificate admin, proxy;
};

/* --- options -------------------------------------------------------------------------------- */

static bool take_option(struct options *options, const char *name, const char *value) {
    if (strcmp(name, "--trust-domain") == 0 && options->trust_domain == NULL) {
        options->trust_domain = value;
    } else if (strcmp(name, "--listen") == 0 && options->listen == NULL) {
        options->listen = value;
    } else if (strcmp(name, "--store") == 0 && options->store == NULL) {
        options->store = value;
    } else if (strcmp(name, "--public-url") == 0 && options->public_url == NULL) {
        options->public_url = value;
    } else if (strcmp(name, "--host") == 0 && options->num_hosts < PROFILE_MAX_SANS) {
        options->host[options->num_hosts++] = value;
    } else if (strcmp(name, "--ek-trust") == 0 && options->num_ek_trust < MAX_EK_FILES) {
        options->ek_trust[options->num_ek_trust++] = value;
    } else {
        return false;
    }
    return true;
}

static bool parse_options(struct options *out, int argc, char **argv) {
    struct options options = {0};
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            if (options.folder != NULL || argv[i][0] == '\0') {
                return false;
            }
            options.folder = argv[i];
        } else if (i + 1 == argc || !take_option(&options, argv[i], argv[i + 1])) {
            return false;
        } else {
            i++;
        }
    }
    if (options.trust_domain == NULL) {
        options.trust_domain = "gatehouse.internal";
    }
    if (options.listen == NULL) {
        options.listen = "127.0.0.1";
    }
    if (options.num_hosts == 0) {
        options.host[options.num_hosts++] = "localhost";
        options.host[options.num_hosts++] = "127.0.0.1";
        options.host[options.num_hosts++] = "::1";
    }
    *out = options;
    return options.folder != NULL;
}

/* Each plane's address out of "ADDRESS" or "ADDRESS:PORT". */
static enum status plane_addresses(char out[static NUM_LISTEN][LISTEN_SIZE], const char *text,
                                   struct detail *detail) {
    static const unsigned usual[NUM_LISTEN] = {[PLANE_ENROL] = 8441,
                                               [PLANE_DEVICE] = 8442,
                                               [PLANE_PROXY] = 8443,
                                               [PLANE_ADMIN] = 8444,
                                               [PLANE_PUBLIC] = 8480};
    struct address address;
    char whole[LISTEN_SIZE], ip[INET6_ADDRSTRLEN];
    bool bare_ipv6 = text[0] != '[' && strchr(text, ':') != strrchr(text, ':');
    bool with_port = !bare_ipv6 && strrchr(text, ':') != NULL &&
                     (text[0] != '[' || strrchr(text, ':') > strrchr(text, ']'));
    int len = snprintf(whole, sizeof whole, "%s%s%s%s", bare_ipv6 ? "[" : "", text,
                       bare_ipv6 ? "]" : "", with_port ? "" : ":1");
    if (len < 0 || (size_t)len >= sizeof whole ||
        value_address(&address, whole, NULL) != STATUS_OK || address.family == ADDRESS_UNIX ||
        address.port > UINT16_MAX - NUM_LISTEN) {
        return status_fail(detail, STATUS_MALFORMED,
                           "--listen: \"%.60s\" is not an address such as 0.0.0.0, 192.0.2.1:9000 "
                           "or [::]:9000",
                           text);
    }
    bool ipv6 = address.family == ADDRESS_IPV6;
    (void)inet_ntop(ipv6 ? AF_INET6 : AF_INET, address.ip, ip, sizeof ip);
    for (unsigned plane = 0; plane < NUM_LISTEN; plane++) {
        unsigned port = !with_port ? usual[plane] : address.port == 0 ? 0 : address.port + plane;
        (void)snprintf(out[plane], LISTEN_SIZE, "%s%s%s:%u", ipv6 ? "[" : "", ip, ipv6 ? "]" : "",
                       port);
    }
    return STATUS_OK;
}

/* --- certificates --------------------------------------------------------------------------- */

/* Writes "NAME.key" and "NAME.pem". */
static enum status write_pair(struct init *init, const char *name, const struct private_key *key,
                              struct bytes der, struct detail *detail) {
    struct arena *arena = &init->folder.arena;
    const char *pem = certificate_to_pem(arena, der);
    const char *key_name = arena_printf(arena, "%s.key", name);
    const char *pem_name = arena_printf(arena, "%s.pem", name);
    char *key_pem = NULL;
    if (pem == NULL || key_name == NULL || pem_name == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for %s", name);
    }
    enum status status = private_key_to_pem(&key_pem, key);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "cannot write the key of %s", name);
    }
    status = folder_add_file(&init->folder, key_name, 0600, bytes_of_text(key_pem), detail);
    bytes_wipe(key_pem, strlen(key_pem));
    free(key_pem);
    if (status == STATUS_OK) {
        status = folder_add_file(&init->folder, pem_name, 0644, bytes_of_text(pem), detail);
    }
    return status;
}

static enum status make_authority(struct init *init, struct authority *out, const char *name,
                                  const char *title, struct detail *detail) {
    enum status status = authority_new(out, title, init->now, detail);
    if (status == STATUS_OK) {
        status = write_pair(init, name, out->key, bytes_of(out->der, out->der_len), detail);
    }
    return status;
}

/* An authority that the signer will use: its key is in memory no longer than needed. */
static enum status make_signing_authority(struct init *init, const char *name, const char *title,
                                          struct detail *detail) {
    struct authority authority = {0};
    enum status status = make_authority(init, &authority, name, title, detail);
    authority_free(&authority);
    return status;
}

static enum status make_leaf(struct init *init, const struct authority *issuer, const char *name,
                             enum profile profile, struct operator_certificate *made,
                             struct detail *detail) {
    struct authority leaf = {0};
    struct certificate_request request = {.profile = profile,
                                          .common_name = name,
                                          .not_before = init->now - AUTHORITY_BACKDATED_S,
                                          .not_after = init->now - AUTHORITY_BACKDATED_S + LEAF_S};
    if (profile == PROFILE_SERVER) {
        request.common_name = "gatehouse";
        memcpy(request.san, init->options->host, sizeof request.san);
    }
    enum status status = authority_issue(&leaf, issuer, &request, detail);
    if (status == STATUS_OK) {
        status = write_pair(init, name, leaf.key, bytes_of(leaf.der, leaf.der_len), detail);
    }
    if (status == STATUS_OK && made != NULL) {
        status = host_certificate(made, bytes_of(leaf.der, leaf.der_len), init->now, detail);
    }
    authority_free(&leaf);
    return status;
}

/* A key without a certificate, for the signer. */
static enum status make_key(struct init *init, const char *name, enum key_kind kind,
                            struct detail *detail) {
    struct private_key *key = NULL;
    char *pem = NULL;
    enum status status = private_key_generate(&key, kind);
    if (status == STATUS_OK) {
        status = private_key_to_pem(&pem, key);
    }
    private_key_free(key);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "cannot make %s", name);
    }
    status = folder_add_file(&init->folder, name, 0600, bytes_of_text(pem), detail);
    bytes_wipe(pem, strlen(pem));
    free(pem);
    return status;
}

static enum status make_certificates(struct init *init, struct detail *detail) {
    enum status status = folder_add_folder(&init->folder, "ca", detail);
    if (status == STATUS_OK) {
        status =
            make_signing_authority(init, "ca/identity", "Gatehouse identity authority", detail);
    }
    if (status == STATUS_OK) {
        status = make_signing_authority(init, "ca/access", "Gatehouse access authority", detail);
    }
    if (status == STATUS_OK) {
        status = make_key(init, "ca/results.key", KEY_EC_P256, detail);
    }
    if (status == STATUS_OK) {
        status = make_key(init, "ca/events.key", KEY_RSA, detail);
    }
    if (status == STATUS_OK) {
        status =
            make_authority(init, &init->server, "ca/server", "Gatehouse server authority", detail);
    }
    if (status == STATUS_OK) {
        status = make_authority(init, &init->operators, "ca/operators",
                                "Gatehouse operator authority", detail);
    }
    if (status == STATUS_OK) {
        status =
            make_authority(init, &init->proxies, "ca/proxies", "Gatehouse proxy authority", detail);
    }
    if (status == STATUS_OK) {
        status = make_leaf(init, &init->server, "server", PROFILE_SERVER, NULL, detail);
        if (status == STATUS_INVALID) {
            detail_prefix(detail, "--host");
        }
    }
    if (status == STATUS_OK) {
        status = make_leaf(init, &init->operators, "admin", PROFILE_CLIENT, &init->admin, detail);
    }
    if (status == STATUS_OK) {
        status = make_leaf(init, &init->proxies, "proxy", PROFILE_CLIENT, &init->proxy, detail);
    }
    return status;
}

/* --- TPM vendors ---------------------------------------------------------------------------- */

/* Everything that was given as one PEM file, each part checked. */
static enum status make_ek_trust(struct init *init, struct detail *detail) {
    struct arena *arena = &init->folder.arena;
    const char *all = "";
    for (size_t i = 0; i < init->options->num_ek_trust; i++) {
        const char *path = init->options->ek_trust[i];
        uint8_t *text = NULL;
        size_t len = 0;
        struct trust_bundle *bundle = NULL;
        enum status status = file_read(&text, &len, path, EK_TRUST_MAX, detail);
        if (status == STATUS_OK) {
            status = trust_bundle_new(&bundle, bytes_of(text, len), detail);
            if (status != STATUS_OK) {
                detail_prefix(detail, "--ek-trust %s", path);
            }
        }
        trust_bundle_free(bundle);
        if (status == STATUS_OK) {
            all = arena_printf(arena, "%s%s\n", all, (const char *)text);
            status =
                all == NULL ? status_fail(detail, STATUS_LIMIT, "--ek-trust: too much") : STATUS_OK;
        }
        free(text);
        if (status != STATUS_OK) {
            return status;
        }
    }
    enum status status = folder_add_folder(&init->folder, "trust", detail);
    if (status == STATUS_OK && init->options->num_ek_trust > 0) {
        status = folder_add_file(&init->folder, "trust/ek.pem", 0644, bytes_of_text(all), detail);
    }
    return status;
}

/* --- the store ------------------------------------------------------------------------------ */

static enum status note(struct store_writer *writer, const char *action, const char *object,
                        int64_t now_ms) {
    struct audit_row row = {.time_ms = now_ms};
    (void)snprintf(row.actor, sizeof row.actor, "system");
    (void)snprintf(row.action, sizeof row.action, "%s", action);
    (void)snprintf(row.object, sizeof row.object, "%s", object);
    return audit_append(writer, &row, NULL);
}

static enum status register_certificates(const struct init *init, struct store_writer *writer) {
    struct operator_row operator= {
        .name = "admin",
        .role = "admin",
        .created = init->now,
        .updated = init->now,
        .num_certificates = 1
    };
    struct proxy_row proxy = {.name = "proxy", .created = init->now, .updated = init->now};
    operator.certificate[0] = init->admin;
    memcpy(proxy.certificate_sha256, init->proxy.sha256, 32);
    int64_t now_ms = clock_unix_ms();
    enum status status = store_operator_put(writer, &operator, false);
    if (status == STATUS_OK) {
        status = note(writer, "operator.create", "operator:admin", now_ms);
    }
    if (status == STATUS_OK) {
        status = store_proxy_put(writer, &proxy, false);
    }
    if (status == STATUS_OK) {
        status = note(writer, "proxy.create", "proxy:proxy", now_ms);
    }
    return status;
}

static enum status fill_store(const struct init *init, struct store *store, struct detail *detail) {
    struct store_writer *writer = NULL;
    enum status status = store_writer_new(&writer, store, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = store_begin(writer, detail);
    if (status == STATUS_OK) {
        status = register_certificates(init, writer);
        if (status != STATUS_OK) {
            store_rollback(writer);
            detail_set(detail, "cannot register certificates: %s", status_name(status));
        } else {
            status = store_commit(writer, detail);
        }
    }
    store_writer_free(writer);
    return status;
}

/* In the folder, or where --store says; never one that is there already. */
static enum status make_store(struct init *init, struct detail *detail) {
    static const char *const files[] = {"", "-wal", "-shm", "-journal", ".lock"};
    const char *path = init->options->store;
    struct store *store = NULL;
    struct stat st;
    if (path == NULL) {
        path = folder_path(&init->folder, "gatehouse.db");
    }
    if (path == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory");
    }
    if (lstat(path, &st) == 0) {
        return status_fail(detail, STATUS_CONFLICT, "%s is already there", path);
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const char *file = arena_printf(&init->folder.arena, "%s%s", path, files[i]);
        enum status status = folder_expect(&init->folder, file, detail);
        if (status != STATUS_OK) {
            return status;
        }
    }
    enum status status = store_open(&store, path, detail);
    if (status == STATUS_OK) {
        status = fill_store(init, store, detail);
    }
    store_close(store);
    return status;
}

/* --- the configuration ---------------------------------------------------------------------- */

static enum status make_config(struct init *init, struct detail *detail) {
    char listen[NUM_LISTEN][LISTEN_SIZE], *text = malloc(INI_MAX);
    bool enrols = init->options->num_ek_trust > 0;
    struct config *config = NULL;
    enum status status = plane_addresses(listen, init->options->listen, detail);
    if (status != STATUS_OK || text == NULL) {
        free(text);
        return status != STATUS_OK ? status : STATUS_MEMORY;
    }
    const struct template_value values[] = {
        {"gateway", "trust_domain", init->options->trust_domain},
        {"store", "path", init->options->store != NULL ? init->options->store : "gatehouse.db"},
        {"enrolment", "ek_trust", enrols ? "trust/ek.pem" : NULL},
        {"enrol", "listen", enrols ? listen[PLANE_ENROL] : NULL},
        {"device", "listen", listen[PLANE_DEVICE]},
        {"proxy", "listen", listen[PLANE_PROXY]},
        {"admin", "listen", listen[PLANE_ADMIN]},
        {"public", "listen", listen[PLANE_PUBLIC]},
        {"public", "url", init->options->public_url},
    };
    struct writer out = writer_of(text, INI_MAX);
    status = template_fill(&out, values, sizeof values / sizeof values[0], detail);
    if (status == STATUS_OK) {
        status = config_parse(&config, "gatehouse.ini", writer_bytes(&out), NULL, NULL, detail);
        config_free(config);
    }
    if (status == STATUS_OK) {
        status = folder_add_file(&init->folder, "gatehouse.ini", 0600, writer_bytes(&out), detail);
    }
    free(text);
    return status;
}

/* --- all of it ------------------------------------------------------------------------------ */

static enum status make_all(struct init *init, struct detail *detail) {
    enum status status = make_certificates(init, detail);
    if (status == STATUS_OK) {
        status = make_ek_trust(init, detail);
    }
    if (status == STATUS_OK) {
        status = make_store(init, detail);
    }
    if (status == STATUS_OK) {
        status = make_config(init, detail); /* last: with it, the folder is complete */
    }
    return status;
}

static void print_made(const struct init *init) {
    const char *at = init->folder.path;
    printf(
        "Made in %s:\n"
        "  gatehouse.ini               the configuration; every setting is explained in it\n"
        "  gatehouse.db                the store: admin and proxy are registered in it\n"
        "  ca/identity.*, ca/access.*  the two authorities that devices get certificates of\n"
        "  ca/results.*, ca/events.*   the keys that sign results and events for relying parties\n"
        "  ca/server.*, server.*       what the gateway shows, and who signed it\n"
        "  ca/operators.*, admin.*     the first administrator's certificate, and who signed it\n"
        "  ca/proxies.*, proxy.*       a proxy's certificate, and who signed it\n\n"
        "Next:\n"
        "  gatehouse serve --config %s/gatehouse.ini\n"
        "  Keep ca/server.key, ca/operators.key and ca/proxies.key offline: the gateway does not\n"
        "  read them. Give devices, proxies and operators ca/server.pem to know it by.\n"
        "  Register a second operator: nobody puts a baseline in force that they wrote "
        "themselves.\n",
        at, at);
    if (init->options->num_ek_trust == 0) {
        printf("  Devices cannot enrol yet: put certificates of TPM vendors into %s/trust/ek.pem,\n"
               "  then take the comment marks off ek_trust and [enrol] listen in gatehouse.ini.\n",
               at);
    }
}

static enum status run(struct init *init, struct detail *detail) {
    char listen[NUM_LISTEN][LISTEN_SIZE];
    enum status status = value_trust_domain(init->options->trust_domain, detail);
    if (status != STATUS_OK) {
        detail_prefix(detail, "--trust-domain");
    } else if (init->options->public_url != NULL &&
               value_url(init->options->public_url, detail) != STATUS_OK) {
        detail_prefix(detail, "--public-url");
        status = STATUS_MALFORMED;
    } else if (init->options->store != NULL && init->options->store[0] != '/') {
        status = status_fail(detail, STATUS_MALFORMED, "--store: \"%.60s\" is not an absolute path",
                             init->options->store);
    } else {
        status = plane_addresses(listen, init->options->listen, detail);
    }
    if (status == STATUS_OK) {
        status = folder_open(&init->folder, init->options->folder, detail);
    }
    if (status != STATUS_OK) {
        return status;
    }
    /* Whoever interrupts this gets all of it or nothing. */
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    status = make_all(init, detail);
    if (status == STATUS_OK) {
        print_made(init);
        folder_close(&init->folder);
    } else {
        folder_undo(&init->folder);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return status;
}

int command_init(int argc, char **argv) {
    struct options options;
    if (!parse_options(&options, argc, argv)) {
        return EXIT_USAGE;
    }
    (void)umask(077);
    struct init init = {.options = &options, .now = clock_unix()};
    struct detail detail = {0};
    enum status status = run(&init, &detail);
    authority_free(&init.server);
    authority_free(&init.operators);
    authority_free(&init.proxies);
    if (status != STATUS_OK) {
        fprintf(stderr, "gatehouse init: %s\n",
                detail.text[0] != '\0' ? detail.text : status_name(status));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
