#include "server/appraisal/leaked_keys.h"

#include "server/base/encoding.h"
#include "server/crypto/digest.h"

#include <stdlib.h>
#include <string.h>

/* The keys of CVE-2024-8105 as CERT/CC publishes them (VU#455367; repository CERTCC/PKfail). */
#define PKFAIL "CERT/CC VU#455367 (PKfail, CVE-2024-8105)"
/* Platform keys that are test keys by their own subject, and that vendors shipped: they are among
 * those for which Microsoft has KEK updates (repository microsoft/secureboot_objects,
 * kek_update_map.json), which names certificates by their SHA-1. */
#define KEK_MAP "microsoft/secureboot_objects, kek_update_map.json"

static const struct leaked_key compiled_in[] = {
    {{0x01, 0xad, 0xaf, 0x2c, 0x33, 0x4e, 0x76, 0xa6, 0x47, 0x95, 0x16,
      0xda, 0xf6, 0x18, 0x38, 0x18, 0x98, 0x32, 0x3d, 0x8f, 0x5e, 0x7a,
      0x57, 0xbe, 0xd1, 0x2b, 0xad, 0x7a, 0xb2, 0x29, 0x20, 0x9d},
     {0x65, 0x92, 0xa5, 0x06, 0x36, 0xfa, 0xf8, 0xbe, 0x9a, 0xe7,
      0x4f, 0x0f, 0x7f, 0x8b, 0xd7, 0x44, 0xfa, 0x44, 0xb3, 0x29},
     "CN=DO NOT TRUST - AMI Test PK",
     PKFAIL},
    {{0xd7, 0xdd, 0xc0, 0xac, 0x61, 0x51, 0x3b, 0x51, 0x60, 0x1e, 0x76,
      0x67, 0x38, 0x26, 0xcd, 0x44, 0x18, 0x7b, 0x5f, 0xf8, 0x5f, 0x6c,
      0x29, 0xea, 0xcd, 0xf8, 0xd1, 0xe3, 0x7c, 0x52, 0x38, 0x8a},
     {0x2b, 0x6c, 0xcd, 0xe9, 0x09, 0x23, 0x0f, 0x89, 0x44, 0x7d,
      0x8a, 0x58, 0x3d, 0x03, 0xa4, 0x32, 0xd6, 0x86, 0xfa, 0xee},
     "CN=DO NOT TRUST - AMI Test PK",
     PKFAIL},
    {{0xcc, 0xa4, 0xe3, 0xf3, 0x17, 0x02, 0x30, 0x03, 0x0d, 0xc3, 0xe3,
      0x3d, 0x1e, 0x3f, 0xa7, 0xd1, 0x38, 0x3d, 0xe8, 0xb3, 0x36, 0x74,
      0x30, 0x89, 0x2e, 0x93, 0xcb, 0xcc, 0xde, 0x03, 0x4c, 0xe0},
     {0x9a, 0x30, 0x56, 0xb5, 0x26, 0x0f, 0x62, 0x86, 0x45, 0xb4,
      0xd9, 0xac, 0x61, 0xae, 0xbd, 0x80, 0x60, 0x30, 0x5c, 0x3e},
     "CN=DO NOT TRUST - AMI Test PK",
     PKFAIL},
    {{0x61, 0x7f, 0x9a, 0x35, 0x82, 0xde, 0x92, 0xb1, 0x9a, 0x14, 0xbf,
      0x45, 0xcd, 0x70, 0x41, 0x95, 0x0f, 0x36, 0x5b, 0x1e, 0x49, 0xba,
      0xc2, 0x63, 0x3f, 0xd0, 0x2b, 0xb1, 0x06, 0x90, 0x2c, 0x8d},
     {0xa7, 0x73, 0x11, 0x3b, 0xaf, 0xaf, 0x51, 0x29, 0xaa, 0x83,
      0xfd, 0x09, 0x12, 0xe9, 0x5d, 0xa4, 0xfa, 0x55, 0x5f, 0x91},
     "CN=DO NOT TRUST - AMI Test PK",
     PKFAIL},
    {{0},
     {0xb3, 0x84, 0x0d, 0xfc, 0xf8, 0xab, 0x23, 0x70, 0x4e, 0x6c,
      0x5e, 0x51, 0xce, 0x6f, 0x3e, 0x38, 0x45, 0x9e, 0xf9, 0xac},
     "CN=DO NOT TRUST - OEM PK",
     KEK_MAP},
    {{0},
     {0xbe, 0x4a, 0x1a, 0xc7, 0xff, 0x36, 0xc0, 0xfa, 0xf0, 0xc6,
      0x43, 0x27, 0x4a, 0x80, 0xa5, 0xe7, 0x8d, 0x0b, 0x25, 0x51},
     "CN=UEFI PK Aava test",
     KEK_MAP},
    {{0},
     {0x5e, 0x5a, 0x67, 0x6b, 0xcf, 0x90, 0x81, 0x92, 0xf1, 0x8d,
      0x6d, 0x8a, 0xd3, 0x63, 0xd3, 0x4a, 0x4a, 0x95, 0xe6, 0xd5},
     "CN=Test Certificate",
     KEK_MAP},
    {{0},
     {0x4a, 0x84, 0xba, 0x89, 0xab, 0x91, 0xc3, 0xc3, 0x16, 0x8f,
      0xfb, 0x57, 0x56, 0xad, 0xd1, 0x8b, 0xc0, 0xd7, 0x8b, 0x6e},
     "CN=Test Certificate",
     KEK_MAP},
    {{0},
     {0x1b, 0x5a, 0x96, 0x04, 0xd8, 0xdc, 0x7e, 0x9d, 0xf5, 0x86,
      0x72, 0xe4, 0x5f, 0x7f, 0xa8, 0xba, 0x03, 0xd9, 0x81, 0xe6},
     "CN=Test Certificate",
     KEK_MAP},
    {{0},
     {0xd3, 0x53, 0x60, 0xbe, 0x5a, 0x51, 0x80, 0x96, 0x78, 0x6f,
      0xc1, 0x9d, 0xf9, 0xd1, 0x8b, 0x1a, 0xa5, 0x9f, 0xa9, 0xda},
     "CN=DO NOT TRUST - Test PK",
     KEK_MAP},
    {{0},
     {0x81, 0xd9, 0x40, 0x25, 0x49, 0x98, 0xa3, 0x6c, 0x8c, 0x1d,
      0x13, 0x12, 0xd3, 0xb4, 0x1f, 0xfd, 0xf8, 0x81, 0x65, 0xd9},
     "CN=OEM1 Test Certificate",
     KEK_MAP},
};

const struct leaked_key *leaked_keys_compiled_in(size_t *num) {
    *num = sizeof compiled_in / sizeof *compiled_in;
    return compiled_in;
}

static const struct leaked_key *find_compiled_in(const uint8_t sha256[static 32],
                                                 struct bytes der) {
    uint8_t sha1[20] = {0};
    if (der.len > 0) {
        digest_compute(HASH_SHA1, der, sha1);
    }
    for (size_t i = 0; i < sizeof compiled_in / sizeof *compiled_in; i++) {
        const struct leaked_key *key = &compiled_in[i];
        bool by_sha1 = bytes_all(bytes_of(key->sha256, 32), 0);
        if (by_sha1 ? der.len > 0 && memcmp(key->sha1, sha1, sizeof sha1) == 0
                    : memcmp(key->sha256, sha256, 32) == 0) {
            return key;
        }
    }
    return NULL;
}

static int compare(const void *sha256, const void *key) {
    return memcmp(sha256, ((const struct leaked_key *)key)->sha256, 32);
}

const struct leaked_key *leaked_key_find(const struct leaked_keys *more,
                                         const uint8_t sha256[static 32], struct bytes der) {
    const struct leaked_key *found = find_compiled_in(sha256, der);
    if (found == NULL && more != NULL && more->num > 0) {
        found = bsearch(sha256, more->key, more->num, sizeof *more->key, compare);
    }
    return found;
}

/* --- lists of others --- */

static int by_sha256(const void *a, const void *b) {
    return compare(((const struct leaked_key *)a)->sha256, b);
}

static enum status copy_key(struct leaked_key *out, struct arena *arena,
                            const struct leaked_key *key) {
    *out = *key;
    out->subject = arena_text(arena, key->subject);
    out->source = arena_text(arena, key->source);
    return arena->overflow ? STATUS_MEMORY : STATUS_OK;
}

static bool among(const struct leaked_key *sorted, size_t num, const struct leaked_key *key) {
    return num > 0 && bsearch(key->sha256, sorted, num, sizeof *sorted, compare) != NULL;
}

enum status leaked_keys_merge(struct leaked_keys *out, struct arena *arena,
                              const struct leaked_keys *a, const struct leaked_keys *b) {
    const struct leaked_keys *const from[] = {a, b};
    struct leaked_key *all = arena_array(arena, a->num + b->num, sizeof *all);
    size_t num = 0;
    if (all == NULL) {
        return STATUS_MEMORY;
    }
    for (size_t list = 0; list < 2; list++) {
        size_t sorted = num;
        for (size_t i = 0; i < from[list]->num; i++) {
            if (among(all, sorted, &from[list]->key[i])) {
                continue;
            }
            if (copy_key(&all[num++], arena, &from[list]->key[i]) != STATUS_OK) {
                return STATUS_MEMORY;
            }
        }
        if (num > 0) {
            qsort(all, num, sizeof *all, by_sha256);
        }
    }
    *out = (struct leaked_keys){all, num};
    return STATUS_OK;
}

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static struct bytes trim(struct bytes text) {
    uint8_t blank;
    while (text.len > 0 && is_blank(text.data[0]) && bytes_u8(&text, &blank) == STATUS_OK) {
    }
    while (text.len > 0 && is_blank(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

static enum status read_line(struct leaked_key *out, struct arena *arena, struct bytes line) {
    char hex[2 * sizeof out->sha256 + 1] = {0};
    struct bytes digest, subject = line;
    if (bytes_take(&subject, sizeof hex - 1, &digest) != STATUS_OK ||
        (subject.len > 0 && !is_blank(subject.data[0])) || !utf8_is_valid(subject)) {
        return STATUS_MALFORMED;
    }
    memcpy(hex, digest.data, digest.len);
    subject = trim(subject);
    out->subject = arena_text_n(arena, (const char *)subject.data, subject.len);
    return out->subject == NULL ? STATUS_MEMORY : hex_decode(out->sha256, sizeof out->sha256, hex);
}

/* The next line, without its end; false behind the last. */
static bool next_line(struct bytes *text, struct bytes *line) {
    if (text->len == 0) {
        return false;
    }
    const uint8_t *end = memchr(text->data, '\n', text->len);
    struct bytes taken;
    bool more = bytes_take(text, end == NULL ? text->len : (size_t)(end - text->data) + 1,
                           &taken) == STATUS_OK;
    taken.len -= end == NULL ? 0 : 1;
    *line = trim(taken);
    return more;
}

enum status leaked_keys_read(struct leaked_keys *out, struct arena *arena, struct bytes text,
                             const char *source, struct detail *detail) {
    const struct leaked_keys none = {0};
    struct leaked_keys read = {0};
    struct bytes line;
    struct leaked_key *key = arena_array(arena, LEAKED_KEYS_FILE_MAX, sizeof *key);
    if (key == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for the list");
    }
    for (unsigned number = 1; next_line(&text, &line); number++) {
        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }
        if (read.num == LEAKED_KEYS_FILE_MAX) {
            return status_fail(detail, STATUS_LIMIT, "more than %d keys", LEAKED_KEYS_FILE_MAX);
        }
        enum status status = read_line(&key[read.num], arena, line);
        if (status != STATUS_OK) {
            return status_fail(detail, status,
                               "line %u: not 64 lower-case hex digits, and a subject or nothing",
                               number);
        }
        key[read.num++].source = source;
    }
    qsort(key, read.num, sizeof *key, by_sha256);
    for (size_t i = 1; i < read.num; i++) {
        if (by_sha256(&key[i - 1], &key[i]) == 0) {
            char hex[65];
            hex_encode(hex, bytes_of(key[i].sha256, 32));
            return status_fail(detail, STATUS_MALFORMED, "%s stands twice", hex);
        }
    }
    read.key = key;
    return leaked_keys_merge(out, arena, &read, &none);
}
