/* Object identifiers, encoded: DER_OID_OF(OID_...) is a view of one. */
#ifndef GATEHOUSE_CRYPTO_OID_H
#define GATEHOUSE_CRYPTO_OID_H

/* Keys (RFC 3279, 4055, 5480, 8410). */
#define OID_RSA      "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01" /* rsaEncryption */
#define OID_RSA_OAEP "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x07" /* id-RSAES-OAEP */
#define OID_RSA_PSS  "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0A" /* id-RSASSA-PSS */
#define OID_EC       "\x2A\x86\x48\xCE\x3D\x02\x01"         /* id-ecPublicKey */
#define OID_P256     "\x2A\x86\x48\xCE\x3D\x03\x01\x07"     /* secp256r1 */
#define OID_P384     "\x2B\x81\x04\x00\x22"                 /* secp384r1 */
#define OID_P521     "\x2B\x81\x04\x00\x23"                 /* secp521r1 */
#define OID_ED25519  "\x2B\x65\x70"
/* id-alg-hss-lms-hashsig (RFC 9708) */
#define OID_HSS_LMS "\x2A\x86\x48\x86\xF7\x0D\x01\x09\x10\x03\x11"

/* Signatures. */
#define OID_MGF1         "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x08"
#define OID_RSA_SHA1     "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x05"
#define OID_RSA_SHA256   "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0B"
#define OID_RSA_SHA384   "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0C"
#define OID_RSA_SHA512   "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0D"
#define OID_ECDSA_SHA1   "\x2A\x86\x48\xCE\x3D\x04\x01"
#define OID_ECDSA_SHA256 "\x2A\x86\x48\xCE\x3D\x04\x03\x02"
#define OID_ECDSA_SHA384 "\x2A\x86\x48\xCE\x3D\x04\x03\x03"
#define OID_ECDSA_SHA512 "\x2A\x86\x48\xCE\x3D\x04\x03\x04"
#define OID_SHA1         "\x2B\x0E\x03\x02\x1A"
#define OID_SHA256       "\x60\x86\x48\x01\x65\x03\x04\x02\x01"
#define OID_SHA384       "\x60\x86\x48\x01\x65\x03\x04\x02\x02"
#define OID_SHA512       "\x60\x86\x48\x01\x65\x03\x04\x02\x03"

/* Certificate extensions (RFC 5280 4.2). */
#define OID_SUBJECT_KEY_ID         "\x55\x1D\x0E"
#define OID_KEY_USAGE              "\x55\x1D\x0F"
#define OID_SUBJECT_ALT_NAME       "\x55\x1D\x11"
#define OID_BASIC_CONSTRAINTS      "\x55\x1D\x13"
#define OID_CRL_NUMBER             "\x55\x1D\x14"
#define OID_CRL_REASON             "\x55\x1D\x15"
#define OID_NAME_CONSTRAINTS       "\x55\x1D\x1E"
#define OID_CRL_POINTS             "\x55\x1D\x1F" /* cRLDistributionPoints */
#define OID_CERTIFICATE_POLICIES   "\x55\x1D\x20"
#define OID_ANY_POLICY             "\x55\x1D\x20\x00"
#define OID_POLICY_MAPPINGS        "\x55\x1D\x21"
#define OID_AUTHORITY_KEY_ID       "\x55\x1D\x23"
#define OID_POLICY_CONSTRAINTS     "\x55\x1D\x24"
#define OID_EXTENDED_KEY_USAGE     "\x55\x1D\x25"
#define OID_INHIBIT_ANY_POLICY     "\x55\x1D\x36"
#define OID_ANY_EXTENDED_KEY_USAGE "\x55\x1D\x25\x00"
#define OID_NO_REV_AVAIL           "\x55\x1D\x38" /* RFC 9608 */
#define OID_AUTHORITY_INFO         "\x2B\x06\x01\x05\x05\x07\x01\x01"
#define OID_AUTHORITY_INFO_OCSP    "\x2B\x06\x01\x05\x05\x07\x30\x01"
#define OID_AUTHORITY_INFO_ISSUERS "\x2B\x06\x01\x05\x05\x07\x30\x02"

/* Extended key usages. */
#define OID_SERVER_AUTH  "\x2B\x06\x01\x05\x05\x07\x03\x01"
#define OID_CLIENT_AUTH  "\x2B\x06\x01\x05\x05\x07\x03\x02"
#define OID_OCSP_SIGNING "\x2B\x06\x01\x05\x05\x07\x03\x09" /* id-kp-OCSPSigning */
#define OID_TCG_KP_EK    "\x67\x81\x05\x08\x01"             /* tcg-kp-EKCertificate */

/* OCSP (RFC 6960). */
#define OID_OCSP_BASIC   "\x2B\x06\x01\x05\x05\x07\x30\x01\x01" /* id-pkix-ocsp-basic */
#define OID_OCSP_NONCE   "\x2B\x06\x01\x05\x05\x07\x30\x01\x02"
#define OID_OCSP_NOCHECK "\x2B\x06\x01\x05\x05\x07\x30\x01\x05"

/* Cryptographic messages (RFC 5652). */
#define OID_CMS_DATA        "\x2A\x86\x48\x86\xF7\x0D\x01\x07\x01" /* id-data */
#define OID_CMS_SIGNED_DATA "\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02"

/* Name attributes. */
#define OID_COMMON_NAME       "\x55\x04\x03"
#define OID_ORGANIZATION      "\x55\x04\x0a"
#define OID_ORGANIZATION_UNIT "\x55\x04\x0b"
#define OID_SERIAL_NUMBER     "\x55\x04\x05"
#define OID_TPM_MANUFACTURER  "\x67\x81\x05\x02\x01"
#define OID_TPM_MODEL         "\x67\x81\x05\x02\x02"
#define OID_TPM_VERSION       "\x67\x81\x05\x02\x03"

#endif
