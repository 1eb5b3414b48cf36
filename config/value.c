#include "config/value.h"

#include <arpa/inet.h>
#include <string.h>

enum { SHOWN = 60 }; /* bytes of a wrong value that a message repeats */

/* Reads digits off the front of *text; false when there are none, or more than 15. */
static bool take_number(int64_t *out, const char **text) {
    int64_t value = 0;
    size_t num = strspn(*text, "0123456789");
    if (num == 0 || num > 15) {
        return false;
    }
    for (size_t i = 0; i < num; i++) {
        value = value * 10 + ((*text)[i] - '0');
    }
    *text += num;
    *out = value;
    return true;
}

static const char *skip_space(const char *text) {
    return text + strspn(text, " \t");
}

enum status value_count(int64_t *out, const char *text, struct detail *detail) {
    const char *rest = text;
    int64_t value;
    if (!take_number(&value, &rest) || *rest != '\0') {
        return status_fail(detail, STATUS_MALFORMED, "\"%.*s\" is not a whole number", SHOWN, text);
    }
    *out = value;
    return STATUS_OK;
}

struct unit {
    const char *name;
    int64_t factor;
};

/* The factor of what follows a number; 0 when it is no unit. */
static int64_t factor_of(const char *name, const struct unit *units) {
    name = skip_space(name);
    for (; units->name != NULL; units++) {
        if (strcmp(units->name, name) == 0) {
            return units->factor;
        }
    }
    return 0;
}

enum status value_size(int64_t *out, const char *text, struct detail *detail) {
    static const struct unit units[] = {{"", 1},
                                        {"KiB", 1024},
                                        {"MiB", (int64_t)1024 * 1024},
                                        {"GiB", (int64_t)1024 * 1024 * 1024},
                                        {NULL, 0}};
    const char *rest = text;
    int64_t value, factor;
    if (!take_number(&value, &rest) || (factor = factor_of(rest, units)) == 0 ||
        __builtin_mul_overflow(value, factor, &value)) {
        return status_fail(detail, STATUS_MALFORMED,
                           "\"%.*s\" is not a size such as 65536, 64 KiB or 4 MiB", SHOWN, text);
    }
    *out = value;
    return STATUS_OK;
}

enum status value_duration(int64_t *out_ms, const char *text, struct detail *detail) {
    static const struct unit units[] = {{"", 1000},     {"ms", 1},       {"s", 1000}, {"m", 60000},
                                        {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
    const char *rest = text;
    int64_t whole, thousandths = 0, factor, ms = 0;
    bool good = take_number(&whole, &rest);
    if (good && *rest == '.') {
        const char *fraction = ++rest;
        good = take_number(&thousandths, &rest) && rest - fraction <= 3;
        for (ptrdiff_t i = rest - fraction; good && i < 3; i++) {
            thousandths *= 10;
        }
    }
    good = good && (factor = factor_of(rest, units)) != 0 &&
           !__builtin_mul_overflow(whole, factor, &ms) && thousandths * factor % 1000 == 0 &&
           !__builtin_add_overflow(ms, thousandths * factor / 1000, &ms);
    if (!good) {
        return status_fail(detail, STATUS_MALFORMED,
                           "\"%.*s\" is not a time such as 10, 0.5, 250 ms, 5 m, 24 h or 365 d",
                           SHOWN, text);
    }
    *out_ms = ms;
    return STATUS_OK;
}

enum status value_mode(int64_t *out, const char *text, struct detail *detail) {
    size_t len = strlen(text);
    int64_t value = 0;
    for (size_t i = 0; i < len && i < 4; i++) {
        value = value << 3 | (text[i] & 7);
    }
    if (len < 3 || len > 4 || strspn(text, "01234567") != len || value > 0777) {
        return status_fail(detail, STATUS_MALFORMED, "\"%.*s\" is not a mode such as 0660", SHOWN,
                           text);
    }
    *out = value;
    return STATUS_OK;
}

enum status value_yes_no(int64_t *out, const char *text, struct detail *detail) {
    bool yes = strcmp(text, "yes") == 0;
    if (!yes && strcmp(text, "no") != 0) {
        return status_fail(detail, STATUS_MALFORMED, "\"%.*s\" is neither yes nor no", SHOWN, text);
    }
    *out = yes;
    return STATUS_OK;
}

enum status value_word(int64_t *out, const char *text, const char *const *words,
                       struct detail *detail) {
    char list[128];
    struct writer known = writer_of(list, sizeof list - 1);
    for (int64_t i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *out = i;
            return STATUS_OK;
        }
        write_bytes(&known, bytes_of_text(i == 0 ? "" : ", "));
        write_bytes(&known, bytes_of_text(words[i]));
    }
    list[known.len] = '\0';
    return status_fail(detail, STATUS_MALFORMED, "\"%.*s\" is none of: %s", SHOWN, text, list);
}

enum status value_name(const char *text, size_t max, struct detail *detail) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(text);
    if (len == 0 || len > max || strspn(text, letters) != len || strchr("._-", text[0]) != NULL) {
        return status_fail(detail, STATUS_MALFORMED,
                           "\"%.*s\" is not a name: 1 to %zu of A-Z, a-z, 0-9, '.', '_' and '-', "
                           "the first a letter or digit",
                           SHOWN, text, max);
    }
    return STATUS_OK;
}

enum status value_trust_domain(const char *text, struct detail *detail) {
    size_t len = strlen(text);
    if (len > TRUST_DOMAIN_MAX) {
        return status_fail(detail, STATUS_MALFORMED, "%zu bytes are too long for a trust domain",
                           len);
    }
    if (len == 0 || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != len) {
        return status_fail(detail, STATUS_MALFORMED,
                           "\"%.*s\" is not a trust domain: lower-case letters, digits, dots, "
                           "dashes and underscores",
                           SHOWN, text);
    }
    return STATUS_OK;
}

static const char alphanumeric[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

static size_t skip_alphanumeric(const char *text, const char *others) {
    const char *at = text;
    while (*at != '\0' && (strchr(alphanumeric, *at) != NULL || strchr(others, *at) != NULL)) {
        at++;
    }
    return (size_t)(at - text);
}

/* HOST[:PORT] at the start: its length, or 0. */
static size_t url_authority(const char *text) {
    size_t len = skip_alphanumeric(text, ".-");
    if (text[0] == '[') {
        len = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
        len = len > 1 && text[len] == ']' ? len + 1 : 0;
    }
    if (len == 0 || text[len] != ':') {
        return len;
    }
    size_t digits = strspn(text + len + 1, "0123456789");
    return digits >= 1 && digits <= 5 ? len + 1 + digits : 0;
}

enum status value_url(const char *text, struct detail *detail) {
    size_t scheme = strncmp(text, "http://", 7) == 0    ? 7
                    : strncmp(text, "https://", 8) == 0 ? 8
                                                        : 0;
    size_t len = strnlen(text, URL_MAX + 1);
    if (len > URL_MAX) {
        return status_fail(detail, STATUS_MALFORMED, "a URL of more than %d bytes", URL_MAX);
    }
    size_t authority = scheme == 0 ? 0 : url_authority(text + scheme);
    const char *path = text + scheme + authority;
    if (authority == 0 || (path[0] != '\0' && path[0] != '/') ||
        path[skip_alphanumeric(path, "/.-_~")] != '\0' || strstr(path, "//") != NULL ||
        text[len - 1] == '/') {
        return status_fail(
            detail, STATUS_MALFORMED,
            "\"%.*s\" is not a URL such as http://pki.example: a host, perhaps a port "
            "and a path, and no slash at its end",
            SHOWN, text);
    }
    return STATUS_OK;
}

/* Splits "HOST:PORT" or "[HOST]:PORT"; *host_len bytes from *host. */
static const char *split_port(const char *text, const char **host, size_t *host_len) {
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        *host = text + 1;
        *host_len = end == NULL ? 0 : (size_t)(end - *host);
        return end != NULL && end[1] == ':' ? end + 2 : NULL;
    }
    const char *colon = strchr(text, ':');
    *host = text;
    *host_len = colon == NULL ? 0 : (size_t)(colon - text);
    return colon == NULL ? NULL : colon + 1;
}

static enum status parse_ip(struct address *out, const char *text) {
    const char *host;
    size_t host_len;
    const char *port_text = split_port(text, &host, &host_len);
    char copy[INET6_ADDRSTRLEN];
    int64_t port;
    if (port_text == NULL || host_len == 0 || host_len >= sizeof copy || strlen(port_text) > 5 ||
        value_count(&port, port_text, NULL) != STATUS_OK || port > UINT16_MAX) {
        return STATUS_MALFORMED;
    }
    memcpy(copy, host, host_len);
    copy[host_len] = '\0';
    struct address address = {.family = text[0] == '[' ? ADDRESS_IPV6 : ADDRESS_IPV4,
                              .port = (uint16_t)port};
    if (inet_pton(text[0] == '[' ? AF_INET6 : AF_INET, copy, address.ip) != 1) {
        return STATUS_MALFORMED;
    }
    *out = address;
    return STATUS_OK;
}

enum status value_address(struct address *out, const char *text, struct detail *detail) {
    static const char prefix[] = "unix:";
    if (strncmp(text, prefix, sizeof prefix - 1) == 0) {
        const char *path = text + sizeof prefix - 1;
        if (path[0] == '\0' || strlen(path) > ADDRESS_UNIX_MAX) {
            return status_fail(detail, STATUS_MALFORMED,
                               "the path of a Unix socket has 1 to %d bytes, not %zu",
                               ADDRESS_UNIX_MAX, strlen(path));
        }
        *out = (struct address){.family = ADDRESS_UNIX, .path = path};
        return STATUS_OK;
    }
    if (parse_ip(out, text) != STATUS_OK) {
        return status_fail(detail, STATUS_MALFORMED,
                           "\"%.*s\" is not an address such as 192.0.2.1:8443, [2001:db8::1]:8443 "
                           "or unix:/run/gatehouse/proxy.sock",
                           SHOWN, text);
    }
    return STATUS_OK;
}

bool address_overlaps(const struct address *a, const struct address *b) {
    if (a->family == ADDRESS_UNIX || b->family == ADDRESS_UNIX) {
        return a->family == b->family && strcmp(a->path, b->path) == 0;
    }
    if (a->port != b->port || a->port == 0) {
        return false;
    }
    bool any =
        bytes_all(bytes_of(a->ip, sizeof a->ip), 0) || bytes_all(bytes_of(b->ip, sizeof b->ip), 0);
    return any || (a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0);
}

bool network_has(const struct network *network, struct bytes ip) {
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    if (ip.len != (network->is_ipv6 ? 16U : 4U) || memcmp(ip.data, network->ip, whole) != 0) {
        return false;
    }
    return rest == 0 || (ip.data[whole] ^ network->ip[whole]) >> (8 - rest) == 0;
}

/* "/8" with at most `max`; nothing is `max`. */
static bool read_prefix(unsigned *out, const char *text, unsigned max) {
    if (text[0] == '\0') {
        *out = max;
        return true;
    }
    int64_t bits;
    if (text[0] != '/' || value_count(&bits, text + 1, NULL) != STATUS_OK || bits > max) {
        return false;
    }
    *out = (unsigned)bits;
    return true;
}

static bool is_mapped(const struct network *network) {
    return network->is_ipv6 && network->bits >= 96 && bytes_all(bytes_of(network->ip, 10), 0) &&
           network->ip[10] == 0xff && network->ip[11] == 0xff;
}

enum status value_network(struct network *out, const char *text, struct detail *detail) {
    char host[INET6_ADDRSTRLEN];
    size_t len = strcspn(text, "/");
    struct network network = {0}, masked;
    bool good = len > 0 && len < sizeof host;
    if (good) {
        memcpy(host, text, len);
        host[len] = '\0';
        network.is_ipv6 = inet_pton(AF_INET, host, network.ip) != 1;
        good = !network.is_ipv6 || inet_pton(AF_INET6, host, network.ip) == 1;
    }
    if (!good || !read_prefix(&network.bits, text + len, network.is_ipv6 ? 128 : 32) ||
        is_mapped(&network)) {
        return status_fail(detail, STATUS_MALFORMED,
                           "\"%.*s\" is not a network such as 10.0.0.0/8 or fd00::/8", SHOWN, text);
    }
    masked = network;
    for (unsigned i = 0; i < 128; i++) {
        if (i >= network.bits) {
            masked.ip[i / 8] &= (uint8_t)~(0x80U >> i % 8);
        }
    }
    if (memcmp(masked.ip, network.ip, sizeof network.ip) != 0) {
        return status_fail(detail, STATUS_MALFORMED, "\"%.*s\" has bits behind its length", SHOWN,
                           text);
    }
    *out = network;
    return STATUS_OK;
}
