/* Certificate profiles: what our authorities issue, and nothing else (RFC 5280). Pure: key, time
 * and serial are inputs. Used inside the signer process, by `gatehouse init`, and by tests. */
#ifndef GATEHOUSE_CREDENTIAL_PROFILE_H
#define GATEHOUSE_CREDENTIAL_PROFILE_H

#include "server/crypto/x509.h"

enum profile {
    PROFILE_IDENTITY, /* device identity: clientAuth, SAN URI spiffe://<trust
                         domain>/identity/<device id>, at most 400 days */
    PROFILE_ACCESS, /* access credential: clientAuth, SAN URI spiffe://<trust domain>/device/<device
                       id>, 5 min to 24 h; subject O=<segment>, OU=<tier>, CN=<device id> */
    PROFILE_CA,     /* init only: self-signed, pathlen 0, keyCertSign + cRLSign, at most 20 years */
    PROFILE_SERVER, /* init only: serverAuth, DNS/IP SANs, at most 825 days */
    PROFILE_CLIENT, /* init only: clientAuth, for operators and proxies, at most 825 days */
    PROFILE_OCSP    /* the signer's own responder: OCSPSigning, id-pkix-ocsp-nocheck (RFC 6960
                       4.2.2.2), at most 8 days */
};

const char *profile_name(enum profile profile); /* "identity", ... */

enum { CERTIFICATE_DER_MAX = 2048, PROFILE_SERIAL_LEN = 16, PROFILE_MAX_SANS = 8 };
enum { PROFILE_URL_MAX = 120 };

struct certificate_request {
    enum profile profile;
    struct bytes spki;       /* DER of the subject's key */
    const char *common_name; /* UTF-8, at most 64 bytes */
    const char *san_uri;     /* IDENTITY, ACCESS */
    const char *tier;        /* ACCESS: one of profile_tier_is_known; OU */
    const char *segment;     /* ACCESS: O; NULL: none */
    const char *public_url;  /* ACCESS: below it are its CRL, OCSP and issuer; NULL: it says
                                           that there are none (profile_revocation.h) */
    const char *san[PROFILE_MAX_SANS];  /* SERVER: DNS names or numeric addresses; NULL ends */
    int64_t not_before, not_after;      /* unix seconds */
    uint8_t serial[PROFILE_SERIAL_LEN]; /* random; its top bit is cleared and it is never zero */
};

struct issuer {                    /* who signs */
    const struct private_key *key; /* P-256 or P-384 */
    struct bytes certificate;      /* its DER; empty for a self-signed CA */
};

/* The SAN URI of PROFILE_IDENTITY and PROFILE_ACCESS. INVALID: another profile, a trust domain that
 * is not of lower-case letters, digits, '-', '.' and '_' (at most 128), a device id that is not 32
 * lower-case hex digits. */
MUST_USE enum status profile_san_uri(char out[static X509_SAN_URI_MAX], enum profile profile,
                                     const char *trust_domain, const char *device_id,
                                     struct detail *detail);

/* "measured", "verified_boot", "identified": what an access credential is given for. */
bool profile_tier_is_known(const char *tier);
/* 1 to 63 of [a-z0-9._-]: a proxy that takes a subject apart by text finds nothing else in it. */
enum { SEGMENT_MAX = 63 };
bool profile_segment_is_valid(const char *segment);

/* Writes the certificate (at most CERTIFICATE_DER_MAX bytes). INVALID names the rule of the profile
 * that the request breaks: lifetime (never beyond the issuer's), names, key, issuer, URL. Serial,
 * SubjectKeyIdentifier, AuthorityKeyIdentifier, critical keyUsage and basicConstraints are set
 * here. LIMIT: it would be too long. */
MUST_USE enum status profile_issue(struct writer *out, const struct issuer *issuer,
                                   const struct certificate_request *request,
                                   struct detail *detail);

#endif
