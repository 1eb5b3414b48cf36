/* The values of the configuration file, each read in one strict way. Pure; thread-safe. On failure
 * *out is untouched and the detail says what is wrong with the text, in words that follow
 * "section.key: ". MALFORMED. */
#ifndef GATEHOUSE_CONFIG_VALUE_H
#define GATEHOUSE_CONFIG_VALUE_H

#include "server/base/bytes.h"

/* "250" */
MUST_USE enum status value_count(int64_t *out, const char *text, struct detail *detail);
/* "65536", "64 KiB", "4MiB": bytes */
MUST_USE enum status value_size(int64_t *out, const char *text, struct detail *detail);
/* "10" and "10 s", "0.5", "250 ms", "5 m", "24 h", "365 d": milliseconds */
MUST_USE enum status value_duration(int64_t *out_ms, const char *text, struct detail *detail);
/* "0660": permissions in octal, at most 0777 */
MUST_USE enum status value_mode(int64_t *out, const char *text, struct detail *detail);
MUST_USE enum status value_yes_no(int64_t *out, const char *text, struct detail *detail);
/* The place of the word in `words`, which NULL ends. */
MUST_USE enum status value_word(int64_t *out, const char *text, const char *const *words,
                                struct detail *detail);

/* A name as the API gives them: 1 to `max` of [A-Za-z0-9._-], the first a letter or digit. */
MUST_USE enum status value_name(const char *text, size_t max, struct detail *detail);

/* A trust domain name (SPIFFE-ID, section 2.1): lower-case letters, digits, dots, dashes and
 * underscores; at most 128 bytes, as in the certificate profiles. */
enum { TRUST_DOMAIN_MAX = 128 };
MUST_USE enum status value_trust_domain(const char *text, struct detail *detail);

/* "http://pki.example", "https://pki.example:8443/gatehouse": where something is reached, with no
 * slash at the end, query or fragment; at most 120 bytes, for it stands in certificates. */
enum { URL_MAX = 120 };
MUST_USE enum status value_url(const char *text, struct detail *detail);

enum address_family { ADDRESS_UNIX, ADDRESS_IPV4, ADDRESS_IPV6 };
enum { ADDRESS_UNIX_MAX = 107 }; /* bytes of sun_path without its terminator */
struct address {
    enum address_family family;
    uint8_t ip[16]; /* 4 or 16 bytes, network order */
    uint16_t port;
    const char *path; /* ADDRESS_UNIX: borrowed from the text */
};
/* "192.0.2.1:8443", "[2001:db8::1]:8443" (numeric only, port 0 to 65535) or "unix:PATH". */
MUST_USE enum status value_address(struct address *out, const char *text, struct detail *detail);
/* Whether both would take connections to one port of one address. */
bool address_overlaps(const struct address *a, const struct address *b);

struct network {
    bool is_ipv6;
    uint8_t ip[16]; /* 4 or 16 bytes, network order; zeros behind `bits` */
    unsigned bits;  /* at most 32 or 128 */
};
/* "10.0.0.0/8", "fd00::/8"; without a length, one address. Bits behind the length are a mistake, as
 * are IPv4 addresses in IPv6's clothes. */
MUST_USE enum status value_network(struct network *out, const char *text, struct detail *detail);
/* `ip` has 4 or 16 bytes. */
bool network_has(const struct network *network, struct bytes ip);

#endif
