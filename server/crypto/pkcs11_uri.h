/* PKCS#11 URIs (RFC 7512), of those what names one private key of one token:
 *
 *   pkcs11:token=LABEL;object=LABEL?module-path=/PATH&pin-source=file:/PATH
 *
 * path: token, serial (one of them at least), object, id (one of them at least), type=private; query:
 * module-path (an absolute path), pin-source (an absolute path, with or without "file:"). Each at most
 * once, values percent-encoded; anything else is refused, also a PIN in the URI itself. Pure. */
#ifndef GATEHOUSE_CRYPTO_PKCS11_URI_H
#define GATEHOUSE_CRYPTO_PKCS11_URI_H

#include "server/base/bytes.h"

enum { PKCS11_LABEL_MAX = 128, PKCS11_PATH_MAX = 1024 };

struct pkcs11_uri { /* texts are terminated; "" when not given */
    char token[33], serial[17];
    char object[PKCS11_LABEL_MAX + 1];
    uint8_t id[PKCS11_LABEL_MAX];
    size_t id_len; /* 0: not given */
    char module[PKCS11_PATH_MAX];
    char pin_file[PKCS11_PATH_MAX]; /* "": the token asks for no PIN */
};

/* MALFORMED, UNSUPPORTED (an attribute that is not taken); the detail names the attribute. */
MUST_USE enum status pkcs11_uri_parse(struct pkcs11_uri *out, const char *text,
                                      struct detail *detail);

#endif
