#include "server/crypto/pkcs11_uri.h"

#include <string.h>

static const char scheme[] = "pkcs11:";

static int hex_of(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Characters that stand for themselves (RFC 7512 2.3), in any value. */
static bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~:[]@!$'()*+,=/", c) != NULL);
}

/* The value decoded; its length, or 0 when it is none, or too long. */
static size_t decode(uint8_t *out, size_t cap, const char *text, size_t len) {
    size_t num = 0;
    for (size_t i = 0; i < len; i++) {
        int byte = (unsigned char)text[i];
        if (text[i] == '%') {
            int high = len - i > 2 ? hex_of(text[i + 1]) : -1;
            int low = high < 0 ? -1 : hex_of(text[i + 2]);
            if (low < 0) {
                return 0;
            }
            byte = high << 4 | low;
            i += 2;
        } else if (!is_plain(text[i])) {
            return 0;
        }
        if (num == cap) {
            return 0;
        }
        out[num++] = (uint8_t)byte;
    }
    return num;
}

static bool decode_text(char *out, size_t size, const char *text, size_t len) {
    uint8_t bytes[PKCS11_PATH_MAX];
    size_t num = decode(bytes, size - 1 < sizeof bytes ? size - 1 : sizeof bytes, text, len);
    if (num == 0 || memchr(bytes, 0, num) != NULL) {
        return false;
    }
    memcpy(out, bytes, num);
    out[num] = '\0';
    return true;
}

/* "file:/path" and "/path". */
static bool decode_path(char *out, size_t size, const char *text, size_t len, bool may_be_uri) {
    if (may_be_uri && len > 5 && strncmp(text, "file:", 5) == 0) {
        text += 5;
        len -= 5;
    }
    return decode_text(out, size, text, len) && out[0] == '/' && out[1] != '/';
}

static bool is_name(const char *name, size_t len, const char *wanted) {
    return len == strlen(wanted) && memcmp(name, wanted, len) == 0;
}

/* One "name=value" of the path or of the query. */
static enum status take(struct pkcs11_uri *uri, const char *name, size_t name_len,
                        const char *value, size_t len, bool query, struct detail *detail) {
    struct {
        bool seen, good;
    } found = {false, false};
    if (!query && is_name(name, name_len, "token")) {
        found.seen = uri->token[0] != '\0';
        found.good = decode_text(uri->token, sizeof uri->token, value, len);
    } else if (!query && is_name(name, name_len, "serial")) {
        found.seen = uri->serial[0] != '\0';
        found.good = decode_text(uri->serial, sizeof uri->serial, value, len);
    } else if (!query && is_name(name, name_len, "object")) {
        found.seen = uri->object[0] != '\0';
        found.good = decode_text(uri->object, sizeof uri->object, value, len);
    } else if (!query && is_name(name, name_len, "id")) {
        found.seen = uri->id_len != 0;
        uri->id_len = decode(uri->id, sizeof uri->id, value, len);
        found.good = uri->id_len != 0;
    } else if (!query && is_name(name, name_len, "type")) {
        found.good = is_name(value, len, "private");
    } else if (query && is_name(name, name_len, "module-path")) {
        found.seen = uri->module[0] != '\0';
        found.good = decode_path(uri->module, sizeof uri->module, value, len, false);
    } else if (query && is_name(name, name_len, "pin-source")) {
        found.seen = uri->pin_file[0] != '\0';
        found.good = decode_path(uri->pin_file, sizeof uri->pin_file, value, len, true);
    } else if (query && is_name(name, name_len, "pin-value")) {
        return status_fail(detail, STATUS_UNSUPPORTED,
                           "pin-value: the PIN goes into a file, named by pin-source");
    } else {
        return status_fail(detail, STATUS_UNSUPPORTED, "%.*s: is not taken",
                           (int)(name_len < 40 ? name_len : 40), name);
    }
    return found.good && !found.seen
               ? STATUS_OK
               : status_fail(detail, STATUS_MALFORMED, "%.*s: %s", (int)name_len, name,
                             found.seen ? "is there twice" : "is not a value of it");
}

/* All of one part, which ends at `end`. */
static enum status take_all(struct pkcs11_uri *uri, const char *text, size_t left, bool query,
                            struct detail *detail) {
    while (left > 0) {
        const char *end = memchr(text, query ? '&' : ';', left);
        size_t len = end == NULL ? left : (size_t)(end - text);
        const char *equals = memchr(text, '=', len);
        if (equals == NULL || equals == text) {
            return status_fail(detail, STATUS_MALFORMED, "\"%.*s\" is not name=value",
                               (int)(len < 40 ? len : 40), text);
        }
        size_t name_len = (size_t)(equals - text);
        enum status status =
            take(uri, text, name_len, equals + 1, len - name_len - 1, query, detail);
        if (status != STATUS_OK) {
            return status;
        }
        if (end != NULL && len + 1 == left) {
            return status_fail(detail, STATUS_MALFORMED, "nothing stands after its end");
        }
        size_t step = end == NULL ? len : len + 1;
        text += step;
        left -= step;
    }
    return STATUS_OK;
}

enum status pkcs11_uri_parse(struct pkcs11_uri *out, const char *text, struct detail *detail) {
    struct pkcs11_uri uri = {.id_len = 0};
    if (strncmp(text, scheme, sizeof scheme - 1) != 0) {
        return status_fail(detail, STATUS_MALFORMED, "not a PKCS#11 URI");
    }
    text += sizeof scheme - 1;
    const char *mark = strchr(text, '?');
    size_t path_len = mark == NULL ? strlen(text) : (size_t)(mark - text);
    enum status status = take_all(&uri, text, path_len, false, detail);
    if (status == STATUS_OK && mark != NULL) {
        status = take_all(&uri, mark + 1, strlen(mark + 1), true, detail);
    }
    if (status != STATUS_OK) {
        detail_prefix(detail, "PKCS#11 URI");
        return status;
    }
    const char *missing = uri.token[0] == '\0' && uri.serial[0] == '\0' ? "token or serial"
                          : uri.object[0] == '\0' && uri.id_len == 0    ? "object or id"
                          : uri.module[0] == '\0'                       ? "module-path"
                                                                        : NULL;
    if (missing != NULL) {
        return status_fail(detail, STATUS_MALFORMED, "PKCS#11 URI: %s is missing", missing);
    }
    *out = uri;
    return STATUS_OK;
}
