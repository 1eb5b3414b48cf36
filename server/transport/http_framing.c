#include "server/transport/internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* libmicrohttpd cuts the received bytes up in place: it puts terminators where the spaces of the
 * request line, the colons and the line ends were, and hands out pointers. It takes terminators
 * that were in the input for its own, and so would read less than was sent (RFC 9112 wants such a
 * message refused). So we walk over what it hands out, and ask whether every byte of the header is
 * accounted for: that leaves no room for an embedded NUL, a line that ends without CR, a folded
 * line or spaces out of place. */
struct walk {
    const char *at; /* where the next header name has to begin */
    bool good;
    unsigned hosts, lengths, encodings;
    bool chunked;
    uint64_t content_length;
};

static bool is_token(const char *text, size_t len) {
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < len; i++) {
        char ch = text[i];
        bool alnum =
            (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
        if (!alnum && (ch == '\0' || strchr(marks, ch) == NULL)) {
            return false;
        }
    }
    return len != 0;
}

static bool is_field_value(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned char ch = (unsigned char)text[i];
        if ((ch < 0x20 && ch != '\t') || ch == 0x7f) {
            return false;
        }
    }
    return true;
}

/* Visible characters only. */
static bool is_target(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned char ch = (unsigned char)text[i];
        if (ch <= 0x20 || ch >= 0x7f) {
            return false;
        }
    }
    return len != 0;
}

static bool read_length(uint64_t *out, const char *value) {
    uint64_t length = 0;
    size_t i = 0;
    for (; value[i] >= '0' && value[i] <= '9' && i < 19; i++) {
        length = length * 10 + (uint64_t)(value[i] - '0');
    }
    if (i == 0 || value[i] != '\0') {
        return false;
    }
    *out = length;
    return true;
}

static void note(struct walk *walk, const char *name, const char *value) {
    if (strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0) {
        walk->hosts++;
    } else if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
        walk->lengths++;
        walk->good = walk->good && read_length(&walk->content_length, value);
    } else if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        walk->encodings++;
        walk->chunked = strcasecmp(value, "chunked") == 0;
    }
}

/* Where the line ends whose value ends at `end`, with the two spellings that libmicrohttpd leaves behind:
 * CR LF become terminators, or CR alone does, or the white space before them. NULL when it is another. */
static const char *line_end(const char *end) {
    if (end[0] != '\0') {
        return NULL;
    }
    if (end[1] == '\0' || end[1] == '\n') {
        return end + 2;
    }
    const char *at = end + 1;
    while (*at == ' ' || *at == '\t') {
        at++;
    }
    return at[0] == '\r' && at[1] == '\n' ? at + 2 : NULL;
}

static enum MHD_Result step(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                            const char *value, size_t value_len) {
    struct walk *walk = cls;
    (void)kind;
    if (value == NULL || name != walk->at || !is_token(name, name_len) ||
        !is_field_value(value, value_len)) {
        walk->good = false;
        return MHD_NO;
    }
    const char *gap = name + name_len + 1; /* after the colon */
    while (gap < value && (*gap == ' ' || *gap == '\t')) {
        gap++;
    }
    walk->at = line_end(value + value_len);
    walk->good = walk->good && gap == value && walk->at != NULL;
    note(walk, name, value);
    return walk->good ? MHD_YES : MHD_NO;
}

static bool request_line(const char **next, const struct exchange *ex, const char *method,
                         const char *url, const char *version) {
    size_t method_len = strlen(method);
    if (!is_token(method, method_len) || url != method + method_len + 1 || ex->uri != url ||
        version != url + ex->uri_len + 1 || !is_target(ex->x.path, strlen(ex->x.path)) ||
        (ex->x.query[0] != '\0' && !is_target(ex->x.query, strlen(ex->x.query)))) {
        return false;
    }
    *next = line_end(version + strlen(version));
    return *next != NULL;
}

static bool message(struct exchange *ex, const struct walk *walk, const char *version) {
    bool http10 = strcmp(version, MHD_HTTP_VERSION_1_0) == 0;
    if (walk->hosts > 1 || (walk->hosts == 0 && !http10) || walk->lengths > 1 ||
        walk->encodings > 1 || (walk->encodings == 1 && (walk->lengths == 1 || http10)) ||
        (walk->encodings == 1 && !walk->chunked)) {
        return false;
    }
    ex->content_length = walk->content_length;
    ex->expects_body = walk->encodings == 1 || walk->content_length != 0;
    return true;
}

enum framing http_framing(struct exchange *ex, struct MHD_Connection *mhd, const char *method,
                          const char *url, const char *version, size_t header_max) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    ex->expects_body = true; /* until known better: the connection then ends with the answer */
    if (info == NULL || info->header_size > header_max) {
        return info == NULL ? FRAMING_BAD : FRAMING_HEADERS_TOO_LARGE;
    }
    struct walk walk = {.good = true};
    if (!request_line(&walk.at, ex, method, url, version)) {
        return FRAMING_BAD;
    }
    (void)MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, step, &walk);
    if (!walk.good || walk.at + 2 != method + info->header_size || !message(ex, &walk, version)) {
        return FRAMING_BAD;
    }
    return FRAMING_GOOD;
}
