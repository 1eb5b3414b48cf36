#include "api/caching.h"

#include "server/base/encoding.h"
#include "server/crypto/digest.h"

#include <string.h>
#include <time.h>

enum { TAG_LEN = 16 }; /* bytes of the digest: two answers never share them by chance */

const char *http_date(struct arena *arena, int64_t unix_s) {
    static const char days[] = "SunMonTueWedThuFriSat",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm = {0};
    time_t time = (time_t)unix_s;
    if (gmtime_r(&time, &tm) == NULL) {
        return NULL;
    }
    return arena_printf(arena, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                        days + (size_t)3 * (size_t)tm.tm_wday, tm.tm_mday,
                        months + (size_t)3 * (size_t)tm.tm_mon, tm.tm_year + 1900, tm.tm_hour,
                        tm.tm_min, tm.tm_sec);
}

/* A list of entity tags, or "*" (RFC 9110 13.1.2). The comparison is the weak one; a tag of ours has no
 * comma or quote inside. */
static bool names(const char *list, const char *etag) {
    size_t len = strlen(etag);
    if (strcmp(list, "*") == 0) {
        return true;
    }
    while (*list != '\0') {
        list += strspn(list, " \t,");
        list += strncmp(list, "W/", 2) == 0 ? 2 : 0;
        if (strncmp(list, etag, len) == 0 && strchr(" \t,", list[len]) != NULL) {
            return true; /* strchr finds the end of the text as well */
        }
        list += strcspn(list, ",");
    }
    return false;
}

bool http_is_known(const struct http_exchange *x, const char *etag) {
    const char *tags = x->request_header(x, "If-None-Match", NULL);
    return tags != NULL && names(tags, etag);
}

const char *http_etag(struct arena *arena, struct bytes content) {
    uint8_t digest[32];
    char hex[2 * TAG_LEN + 1];
    digest_compute(HASH_SHA256, content, digest);
    hex_encode(hex, bytes_of(digest, TAG_LEN));
    return arena_printf(arena, "\"%s\"", hex);
}
