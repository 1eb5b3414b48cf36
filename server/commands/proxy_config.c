/* gatehouse proxy-config: prints the configuration of a proxy that asks this gateway. */
#include "server/commands/commands.h"

#include "config/value.h"
#include "server/commands/proxy_template.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 64 * 1024, PATH_MAX_LEN = 200, NAME_MAX_LEN = 253, LABEL_MAX_LEN = 63 };
enum { POLICY_MAX_LEN = 64, PORT_SIZE = 6, HOST_SIZE = NAME_MAX_LEN + 1 };

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";

enum option {
    KIND,
    PART,
    LISTEN,
    SERVER_NAME,
    CERT,
    KEY,
    ACCESS_CA,
    CRL,
    GATEWAY,
    GATEWAY_NAME,
    GATEWAY_CA,
    GATEWAY_CERT,
    GATEWAY_KEY,
    UPSTREAM,
    POLICY,
    LUA,
    DYNAMIC,
    NUM_OPTIONS
};
/* `usual`: without the option; NULL: none. */
static const struct {
    const char *option, *value, *usual;
} known[NUM_OPTIONS] = {
    [KIND] = {"--kind", "kind", NULL},
    [PART] = {"--part", "part", NULL},
    [LISTEN] = {"--listen", "listen", "0.0.0.0:443"},
    [SERVER_NAME] = {"--server-name", "server_name", NULL},
    [CERT] = {"--cert", "cert", "/etc/gatehouse/proxy/site.pem"},
    [KEY] = {"--key", "key", "/etc/gatehouse/proxy/site.key"},
    [ACCESS_CA] = {"--access-ca", "access_ca", "/etc/gatehouse/proxy/access-ca.pem"},
    [CRL] = {"--crl", "crl", NULL},
    [GATEWAY] = {"--gateway", "gateway", NULL},
    [GATEWAY_NAME] = {"--gateway-name", "gateway_name", NULL},
    [GATEWAY_CA] = {"--gateway-ca", "gateway_ca", "/etc/gatehouse/proxy/gateway-ca.pem"},
    [GATEWAY_CERT] = {"--gateway-cert", "gateway_cert", "/etc/gatehouse/proxy/proxy.pem"},
    [GATEWAY_KEY] = {"--gateway-key", "gateway_key", "/etc/gatehouse/proxy/proxy.key"},
    [UPSTREAM] = {"--upstream", "upstream", "127.0.0.1:8080"},
    [POLICY] = {"--policy", "policy", NULL},
    [LUA] = {"--lua", "lua", "/etc/haproxy/gatehouse.lua"},
    [DYNAMIC] = {"--dynamic", "dynamic", "/etc/traefik/gatehouse.yaml"},
};

/* "HOST:PORT" in its parts; [ ] of an IPv6 address left out. */
struct endpoint {
    char host[HOST_SIZE], port[PORT_SIZE];
    bool numeric;
};

struct setup {
    const char *given[NUM_OPTIONS]; /* NULL: not on the command line */
    const char *text[NUM_OPTIONS];  /* what counts */
    struct endpoint listen, gateway, upstream;
    const char *socket; /* NULL: the gateway is asked over TLS */
    char authorize[sizeof "/v1/authorize/" + POLICY_MAX_LEN];
};

/* --- values: nothing that means something to a proxy's configuration ----------------------------- */

static enum status check_path(const char *option, const char *text, struct detail *detail) {
    size_t len =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/+=-");
    if (text[0] != '/' || text[len] != '\0' || len > PATH_MAX_LEN || text[len - 1] == '/') {
        return status_fail(detail, STATUS_MALFORMED,
                           "%s: \"%.60s\" is not the absolute path of a file, of letters, digits "
                           "and any of ._/+=-",
                           option, text);
    }
    return STATUS_OK;
}

/* A DNS name (RFC 1123, section 2.1), or with `numeric` written an IPv4 address. */
static bool is_host(const char *text, bool *numeric) {
    size_t len = 0;
    uint8_t ip[4];
    *numeric = inet_pton(AF_INET, text, ip) == 1;
    if (*numeric) {
        return true;
    }
    if (strlen(text) > NAME_MAX_LEN || strpbrk(text, letters) == NULL) {
        return false;
    }
    for (const char *label = text; true; label += len + 1) {
        len = strspn(label, word);
        if (len == 0 || len > LABEL_MAX_LEN || label[0] == '-' || label[len - 1] == '-') {
            return false;
        }
        if (label[len] != '.') {
            return label[len] == '\0';
        }
    }
}

static enum status check_name(const char *option, const char *text, struct detail *detail) {
    bool numeric = false;
    if (!is_host(text, &numeric) || numeric) {
        return status_fail(detail, STATUS_MALFORMED, "%s: \"%.60s\" is not a host's name", option,
                           text);
    }
    return STATUS_OK;
}

static enum status read_endpoint(struct endpoint *out, const char *option, const char *text,
                                 struct detail *detail) {
    struct endpoint e = {0};
    struct address address;
    const char *colon = strrchr(text, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    int64_t port = 0;
    bool good = len > 0 && len < sizeof e.host && strlen(colon + 1) < sizeof e.port &&
                value_count(&port, colon + 1, NULL) == STATUS_OK && port >= 1 && port <= UINT16_MAX;
    if (good && text[0] == '[') {
        e.numeric = true;
        good = value_address(&address, text, NULL) == STATUS_OK;
        memcpy(e.host, text + 1, len - (good ? 2 : 1));
    } else if (good) {
        memcpy(e.host, text, len);
        good = is_host(e.host, &e.numeric);
    }
    if (!good) {
        return status_fail(detail, STATUS_MALFORMED,
                           "%s: \"%.60s\" is not HOST:PORT, such as app.example:8080, "
                           "192.0.2.1:8080 or [2001:db8::1]:8080",
                           option, text);
    }
    (void)snprintf(e.port, sizeof e.port, "%u", (unsigned)port);
    *out = e;
    return STATUS_OK;
}

static enum status read_listen(struct setup *s, struct detail *detail) {
    enum status status = read_endpoint(&s->listen, "--listen", s->text[LISTEN], detail);
    if (status == STATUS_OK && !s->listen.numeric) {
        return status_fail(detail, STATUS_MALFORMED, "--listen: \"%.60s\" is not a numeric address",
                           s->text[LISTEN]);
    }
    return status;
}

static enum status read_gateway(struct setup *s, struct detail *detail) {
    static const char https[] = "https://", unix_path[] = "unix:";
    const char *text = s->given[GATEWAY];
    if (text == NULL) {
        return STATUS_OK; /* the template says whether it is missing */
    }
    if (strncmp(text, unix_path, sizeof unix_path - 1) == 0) {
        s->socket = text + sizeof unix_path - 1;
        s->text[GATEWAY] = NULL;
        if (s->text[GATEWAY_NAME] == NULL) {
            s->text[GATEWAY_NAME] = "gatehouse";
        }
        return check_path("--gateway", s->socket, detail);
    }
    if (strncmp(text, https, sizeof https - 1) != 0) {
        return status_fail(detail, STATUS_MALFORMED,
                           "--gateway: \"%.60s\" is neither https://HOST:PORT nor unix:PATH", text);
    }
    s->text[GATEWAY] = text + sizeof https - 1;
    enum status status = read_endpoint(&s->gateway, "--gateway", s->text[GATEWAY], detail);
    /* Most proxies hold a name against the certificate, and no address. */
    if (status == STATUS_OK && s->text[GATEWAY_NAME] == NULL && !s->gateway.numeric) {
        s->text[GATEWAY_NAME] = s->gateway.host;
    }
    return status;
}

static enum status read_policy(struct setup *s, bool suffix, struct detail *detail) {
    const char *policy = s->given[POLICY];
    if (policy != NULL) {
        size_t len = strlen(policy);
        if (len == 0 || len > POLICY_MAX_LEN || strcmp(policy, "-") == 0 || policy[0] == '.' ||
            len != strspn(policy,
                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")) {
            return status_fail(detail, STATUS_MALFORMED,
                               "--policy: 1 to 64 of [A-Za-z0-9._-], no dot first");
        }
    }
    (void)snprintf(s->authorize, sizeof s->authorize, "/v1/authorize%s%s",
                   policy != NULL || suffix ? "/" : "",
                   policy != NULL ? policy
                   : suffix       ? "-"
                                  : "");
    return STATUS_OK;
}

static enum status read_values(struct setup *s, struct detail *detail) {
    static const enum option paths[] = {CERT,       KEY,          ACCESS_CA,   CRL,    LUA,
                                        GATEWAY_CA, GATEWAY_CERT, GATEWAY_KEY, DYNAMIC};
    static const enum option names[] = {SERVER_NAME, GATEWAY_NAME};
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < sizeof paths / sizeof paths[0]; i++) {
        if (s->text[paths[i]] != NULL) {
            status = check_path(known[paths[i]].option, s->text[paths[i]], detail);
        }
    }
    for (size_t i = 0; status == STATUS_OK && i < sizeof names / sizeof names[0]; i++) {
        if (s->text[names[i]] != NULL) {
            status = check_name(known[names[i]].option, s->text[names[i]], detail);
        }
    }
    if (status == STATUS_OK) {
        status = read_listen(s, detail);
    }
    if (status == STATUS_OK) {
        status = read_gateway(s, detail);
    }
    if (status == STATUS_OK) {
        status = read_endpoint(&s->upstream, "--upstream", s->text[UPSTREAM], detail);
    }
    return status == STATUS_OK ? read_policy(s, strcmp(s->given[KIND], "envoy") == 0, detail)
                               : status;
}

/* --- printing ------------------------------------------------------------------------------- */

/* Whoever gives an option expects it to hold. */
static enum status check_used(const struct setup *s, const struct proxy_value *values, size_t num,
                              const char *name, struct detail *detail) {
    for (enum option o = LISTEN; o < NUM_OPTIONS; o++) {
        bool used = s->given[o] == NULL;
        for (size_t i = 0; i < num; i++) {
            used = used || (values[i].used && strcmp(values[i].option, known[o].option) == 0);
        }
        if (!used && (o == KEY || o == GATEWAY_KEY) && strcmp(name, "haproxy") == 0) {
            return status_fail(detail, STATUS_UNSUPPORTED,
                               "haproxy has no use for %s: the key belongs into the certificate's "
                               "file, or into one with its name and \".key\" after it",
                               known[o].option);
        }
        if (!used) {
            return status_fail(detail, STATUS_UNSUPPORTED, "%s has no use for %s", name,
                               known[o].option);
        }
    }
    return STATUS_OK;
}

static enum status fill(struct writer *out, const struct setup *s, const char *name,
                        struct detail *detail) {
    struct proxy_value values[NUM_OPTIONS + 16];
    char uri[sizeof "https://" + HOST_SIZE + 2 + PORT_SIZE];
    struct bytes text;
    size_t num = 0;
    (void)snprintf(uri, sizeof uri, "https://%s", s->text[GATEWAY] != NULL ? s->text[GATEWAY] : "");
    bool tls = s->text[GATEWAY] != NULL;
    const struct proxy_value derived[] = {
        {"authorize", "--policy", s->authorize, false},
        {"socket", "--gateway", s->socket, false},
        {"gateway_uri", "--gateway",
         tls                 ? uri
         : s->socket != NULL ? "http://gatehouse"
                             : NULL,
         false},
        {"gateway_host", "--gateway", tls ? s->gateway.host : NULL, false},
        {"gateway_port", "--gateway", tls ? s->gateway.port : NULL, false},
        {"listen_host", "--listen", s->listen.host, false},
        {"listen_port", "--listen", s->listen.port, false},
        {"upstream_host", "--upstream", s->upstream.host, false},
        {"upstream_port", "--upstream", s->upstream.port, false},
    };
    for (enum option o = LISTEN; o < NUM_OPTIONS; o++) {
        values[num++] = (struct proxy_value){known[o].value, known[o].option, s->text[o], false};
    }
    for (size_t i = 0; i < sizeof derived / sizeof derived[0]; i++) {
        values[num++] = derived[i];
    }
    enum status status = proxy_template_find(&text, name);
    if (status == STATUS_OK) {
        status = proxy_template_fill(out, text, values, num, detail);
    }
    if (status == STATUS_OK) {
        status = check_used(s, values, num, name, detail);
    }
    return status;
}

/* The template of kind and part. */
static const char *template_name(const struct setup *s, struct detail *detail) {
    static const struct {
        const char *kind, *part, *name;
        bool usual;
    } all[] = {
        {"nginx", "config", "nginx", true},
        {"haproxy", "config", "haproxy", true},
        {"haproxy", "lua", "haproxy/lua", false},
        {"caddy", "config", "caddy", true},
        {"envoy", "config", "envoy", true},
        {"traefik", "dynamic", "traefik", true},
        {"traefik", "static", "traefik/static", false},
    };
    bool kind = false;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(s->given[KIND], all[i].kind) == 0) {
            kind = true;
            if (s->given[PART] == NULL ? all[i].usual : strcmp(s->given[PART], all[i].part) == 0) {
                return all[i].name;
            }
        }
    }
    if (kind) {
        detail_set(detail, "--part: %s has no part \"%.20s\"", s->given[KIND], s->given[PART]);
    } else {
        detail_set(detail, "--kind: one of nginx, haproxy, caddy, envoy, traefik");
    }
    return NULL;
}

static enum status run(struct setup *s, struct detail *detail) {
    const char *name = template_name(s, detail);
    if (name == NULL) {
        return STATUS_MALFORMED;
    }
    enum status status = read_values(s, detail);
    if (status == STATUS_OK && s->socket != NULL && strcmp(name, "traefik") == 0) {
        status = status_fail(detail, STATUS_UNSUPPORTED,
                             "--gateway: traefik cannot ask over a Unix socket");
    }
    char *text = malloc(TEXT_MAX);
    struct writer out = writer_of(text, text == NULL ? 0 : TEXT_MAX);
    if (status == STATUS_OK) {
        status = text == NULL ? STATUS_MEMORY : fill(&out, s, name, detail);
    }
    if (status == STATUS_OK &&
        (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout))) {
        status = status_fail(detail, STATUS_INTERNAL, "cannot write");
    }
    free(text);
    return status;
}

static bool parse_options(struct setup *s, int argc, char **argv) {
    *s = (struct setup){0};
    for (int i = 1; i + 1 < argc; i += 2) {
        enum option o = KIND;
        while (o < NUM_OPTIONS && strcmp(argv[i], known[o].option) != 0) {
            o++;
        }
        if (o == NUM_OPTIONS || s->given[o] != NULL) {
            return false;
        }
        s->given[o] = argv[i + 1];
    }
    for (enum option o = KIND; o < NUM_OPTIONS; o++) {
        s->text[o] = s->given[o] != NULL ? s->given[o] : known[o].usual;
    }
    return argc % 2 == 1 && s->given[KIND] != NULL;
}

int command_proxy_config(int argc, char **argv) {
    struct setup setup;
    struct detail detail = {0};
    if (!parse_options(&setup, argc, argv)) {
        return EXIT_USAGE;
    }
    enum status status = run(&setup, &detail);
    if (status != STATUS_OK) {
        fprintf(stderr, "gatehouse proxy-config: %s\n",
                detail.text[0] != '\0' ? detail.text : status_name(status));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
