#include "server/evidence/ima/decode.h"

#include <string.h>

enum field { NONE, D, D_NG, D_NGV2, D_MODSIG, N, N_NG, SIG, EVMSIG, OTHER };

static const struct {
    const char *name;
    enum field field;
} fields[] = {
    {"d", D},
    {"d-ng", D_NG},
    {"d-ngv2", D_NGV2},
    {"d-modsig", D_MODSIG},
    {"n", N},
    {"n-ng", N_NG},
    {"sig", SIG},
    {"evmsig", EVMSIG},
    {"modsig", OTHER},
    {"buf", OTHER},
    {"iuid", OTHER},
    {"igid", OTHER},
    {"imode", OTHER},
    {"xattrnames", OTHER},
    {"xattrlengths", OTHER},
    {"xattrvalues", OTHER},
};

#define TEXT(text) text, sizeof(text) - 1
static const struct template {
    const char *name;
    size_t len, num;
    enum field field[9];
}
templates[] = {
    {TEXT("ima-ng"), 2, {D_NG, N_NG}},
    {TEXT("ima-sig"), 3, {D_NG, N_NG, SIG}},
    {TEXT("ima-ngv2"), 2, {D_NGV2, N_NG}},
    {TEXT("ima-sigv2"), 3, {D_NGV2, N_NG, SIG}},
    {TEXT("ima-buf"), 3, {D_NG, N_NG, OTHER}},
    {TEXT("ima-modsig"), 5, {D_NG, N_NG, SIG, D_MODSIG, OTHER}},
    {TEXT("evm-sig"), 9, {D_NG, N_NG, EVMSIG, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER}},
};

static const struct {
    uint8_t number;
    enum hash_alg alg;
} kernel_hashes[] = {{2, HASH_SHA1}, {4, HASH_SHA256}, {5, HASH_SHA384}, {6, HASH_SHA512}};

enum hash_alg ima_hash_of_kernel(uint8_t number) {
    for (size_t i = 0; i < sizeof kernel_hashes / sizeof *kernel_hashes; i++) {
        if (kernel_hashes[i].number == number) {
            return kernel_hashes[i].alg;
        }
    }
    return HASH_NONE;
}

uint8_t ima_kernel_hash(enum hash_alg alg) {
    for (size_t i = 0; i < sizeof kernel_hashes / sizeof *kernel_hashes; i++) {
        if (kernel_hashes[i].alg == alg) {
            return kernel_hashes[i].number;
        }
    }
    return UINT8_MAX;
}

static enum field field_of(const char *name, size_t len) {
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strlen(fields[i].name) == len && memcmp(fields[i].name, name, len) == 0) {
            return fields[i].field;
        }
    }
    return NONE;
}

/* The fields of a custom template, whose name is its format; 0: it is none. */
static size_t read_format(enum field out[static IMA_MAX_FIELDS], struct bytes name) {
    const char *at = (const char *)name.data, *end = at + name.len;
    for (size_t num = 0; num < IMA_MAX_FIELDS; num++) {
        const char *bar = memchr(at, '|', (size_t)(end - at));
        size_t len = (size_t)((bar == NULL ? end : bar) - at);
        out[num] = field_of(at, len);
        if (out[num] == NONE) {
            return 0;
        }
        if (bar == NULL) {
            return num + 1;
        }
        at = bar + 1;
    }
    return 0;
}

/* The fields of a template, in order; 0: it is none. */
static size_t find_format(enum field out[static IMA_MAX_FIELDS], struct bytes name) {
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) {
        const struct template *template = &templates[i];
        if (template->len == name.len && memcmp(template->name, name.data, name.len) == 0) {
            memcpy(out, template->field, template->num * sizeof *out);
            return template->num;
        }
    }
    return read_format(out, name);
}

static enum hash_alg alg_of(struct bytes name) {
    static const struct {
        const char *name;
        size_t len;
        enum hash_alg alg;
    } known[] = {{TEXT("sha256"), HASH_SHA256},
                 {TEXT("sha1"), HASH_SHA1},
                 {TEXT("sha384"), HASH_SHA384},
                 {TEXT("sha512"), HASH_SHA512}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].len == name.len && memcmp(known[i].name, name.data, name.len) == 0) {
            return known[i].alg;
        }
    }
    return HASH_NONE;
}

static bool is_alg_name(struct bytes name) {
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-') {
            return false;
        }
    }
    return name.len > 0;
}

/* "sha256:" or "ima:sha256:", a zero, the digest. */
static bool read_digest(struct fact_ima_entry *out, struct bytes in, bool typed) {
    const uint8_t *zero = in.len == 0 ? NULL : memchr(in.data, 0, in.len);
    struct bytes name, skipped;
    out->verity = false;
    if (zero == NULL || bytes_take(&in, (size_t)(zero - in.data), &name) != STATUS_OK ||
        bytes_take(&in, 1, &skipped) != STATUS_OK) {
        return false;
    }
    if (typed) {
        const uint8_t *colon = name.len == 0 ? NULL : memchr(name.data, ':', name.len);
        struct bytes type;
        if (colon == NULL ||
            bytes_take(&name, (size_t)(colon - name.data) + 1, &type) != STATUS_OK) {
            return false;
        }
        out->verity = bytes_equal(type, bytes_of_text("verity:"));
        if (!out->verity && !bytes_equal(type, bytes_of_text("ima:"))) {
            return false;
        }
    }
    if (name.len < 2 || name.data[name.len - 1] != ':') {
        return false;
    }
    name.len--;
    out->alg_name = name;
    out->alg = alg_of(name);
    out->digest = in;
    return is_alg_name(name) && in.len > 0 && in.len <= DIGEST_MAX &&
           (out->alg == HASH_NONE || digest_len(out->alg) == in.len);
}

static bool read_name(struct fact_ima_entry *out, struct bytes in) {
    if (in.len < 2 || in.data[in.len - 1] != 0 || memchr(in.data, 0, in.len - 1) != NULL ||
        in.data[0] < 0x20) {
        return false;
    }
    out->path = bytes_of(in.data, in.len - 1);
    return true;
}

/* The first template's digest: 20 bytes of SHA-1, or of MD5 and zeros. No other field can be told
 * from it, which does no harm: no rule takes either. */
static bool read_old_digest(struct fact_ima_entry *out, struct bytes in) {
    if (in.len != digest_len(HASH_SHA1)) {
        return false;
    }
    out->alg = HASH_SHA1;
    out->alg_name = bytes_of_text("sha1");
    out->digest = in;
    return true;
}

/* Signatures of the file's contents (types 3 and 6) or of its metadata (5); none is empty. */
static bool is_signature(struct bytes in) {
    return in.len == 0 || in.data[0] == 3 || in.data[0] == 5 || in.data[0] == 6;
}

static bool read_field(struct fact_ima_entry *out, enum field field, struct bytes in) {
    struct fact_ima_entry unused = {0};
    switch (field) {
    case D:
        return read_old_digest(out, in);
    case D_NG:
        return read_digest(out, in, false);
    case D_NGV2:
        return read_digest(out, in, true);
    case D_MODSIG:
        return in.len == 0 || read_digest(&unused, in, false);
    case N:
    case N_NG:
        return read_name(out, in);
    case SIG:
        out->signature = in;
        return is_signature(in);
    case EVMSIG:
        return is_signature(in);
    case OTHER:
        return true;
    case NONE:
        break;
    }
    return false;
}

/* Splits data into fields; 0: they are none, or more than IMA_MAX_FIELDS. */
static size_t split(struct bytes out[static IMA_MAX_FIELDS], struct bytes data) {
    size_t num = 0;
    while (data.len > 0) {
        if (num == IMA_MAX_FIELDS || bytes_u32le_prefixed(&data, &out[num++]) != STATUS_OK) {
            return 0;
        }
    }
    return num;
}

static bool is_digest(struct bytes in) {
    struct fact_ima_entry unused = {0};
    return read_digest(&unused, in, false) || read_digest(&unused, in, true);
}

/* A digest and then a name, as in all of the kernel's own templates. */
static bool looks_usual(const struct bytes *field, size_t num) {
    struct fact_ima_entry unused = {0};
    return num >= 2 && is_digest(field[0]) && read_name(&unused, field[1]);
}

static bool is_usual(const enum field *format) {
    return (format[0] == D_NG || format[0] == D_NGV2) && (format[1] == N || format[1] == N_NG);
}

/* No field twice that says something: the second would replace the first. */
static bool is_plain(const enum field *format, size_t num) {
    unsigned digests = 0, names = 0, signatures = 0;
    for (size_t i = 0; i < num; i++) {
        digests += format[i] == D || format[i] == D_NG || format[i] == D_NGV2 ? 1 : 0;
        names += format[i] == N || format[i] == N_NG ? 1 : 0;
        signatures += format[i] == SIG ? 1 : 0;
    }
    return digests <= 1 && names <= 1 && signatures <= 1;
}

static bool read_fields(struct fact_ima_entry *out, struct bytes name, struct bytes data) {
    enum field format[IMA_MAX_FIELDS];
    struct bytes field[IMA_MAX_FIELDS];
    size_t num = find_format(format, name);
    if (num == 0 || split(field, data) != num || !is_plain(format, num) ||
        (num >= 2 && !is_usual(format) && looks_usual(field, num))) {
        return false;
    }
    for (size_t i = 0; i < num; i++) {
        if (!read_field(out, format[i], field[i])) {
            return false;
        }
    }
    return true;
}

/* What is hashed is the digest and the name with zeros behind it. Other templates' data can be as long,
 * but are never read as this: their lengths have zeros, and something behind them. */
static bool read_first_template(struct fact_ima_entry *out, struct bytes data) {
    struct bytes digest;
    if (bytes_take(&data, digest_len(HASH_SHA1), &digest) != STATUS_OK || data.len == 0 ||
        memchr(data.data, 0, data.len) != NULL) {
        return false;
    }
    out->path = data;
    return read_old_digest(out, digest);
}

void ima_decode(struct fact_ima_entry *out, struct bytes template_name, struct bytes data) {
    struct fact_ima_entry entry = {.template_name = template_name, .data = data};
    entry.readable = bytes_equal(template_name, bytes_of_text("ima"))
                         ? read_first_template(&entry, data)
                         : read_fields(&entry, template_name, data);
    if (!entry.readable) {
        entry = (struct fact_ima_entry){.template_name = template_name, .data = data};
    }
    entry.index = out->index;
    entry.violation = out->violation;
    *out = entry;
}
