#include "server/fleet/outbound.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, ANSWER_HEADERS_MAX = 64 * 1024, CONNECT_MS = 10000 };

struct transfer {
    struct outbound *outbound;
    struct outbound_request *request;
    CURL *easy;
    struct curl_slist *headers;
    size_t header_bytes;
    bool head;               /* the answer's headers came to their end */
    bool refused, connected; /* an address was not allowed; one was */
    bool cut;                /* the answer is longer than what is kept */
    char error[CURL_ERROR_SIZE];
    struct transfer *next, **previous;
};

struct outbound {
    const struct outbound_options *options;
    CURLM *multi;
    struct transfer *first;
};

/* --- URLs --- */

static bool is_ip(const char *host, struct sockaddr_storage *out) {
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    char bare[64];
    size_t len = strlen(host);
    memset(out, 0, sizeof *out);
    if (len > 2 && len < sizeof bare && host[0] == '[' && host[len - 1] == ']') {
        memcpy(bare, host + 1, len - 2);
        bare[len - 2] = '\0';
        in6->sin6_family = AF_INET6;
        return inet_pton(AF_INET6, bare, &in6->sin6_addr) == 1;
    }
    in->sin_family = AF_INET;
    return inet_pton(AF_INET, host, &in->sin_addr) == 1;
}

static bool has_part(CURLU *url, CURLUPart part) {
    char *text = NULL;
    bool there = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return there;
}

static enum status check_parts(const struct outbound_options *options, CURLU *url,
                               struct detail *detail) {
    char *scheme = NULL, *host = NULL;
    enum status status = STATUS_OK;
    if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK) {
        status = status_fail(detail, STATUS_MALFORMED, "not a URL");
    } else if (strcmp(scheme, "https") != 0 && !(options->http && strcmp(scheme, "http") == 0)) {
        status = status_fail(detail, STATUS_MALFORMED, "must begin with https://");
    } else if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD) ||
               has_part(url, CURLUPART_FRAGMENT)) {
        status =
            status_fail(detail, STATUS_MALFORMED, "must have neither user, password nor fragment");
    } else {
        struct sockaddr_storage address;
        if (is_ip(host, &address) &&
            !outbound_address_allowed((struct sockaddr *)&address, sizeof address, options->allow,
                                      options->num_allow)) {
            status = status_fail(detail, STATUS_DENIED, "receivers may not be at %.64s", host);
        }
    }
    curl_free(scheme);
    curl_free(host);
    return status;
}

enum status outbound_check_url(const struct outbound_options *options, const char *url,
                               struct detail *detail) {
    for (const char *at = url; *at != '\0'; at++) {
        if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f) {
            return status_fail(detail, STATUS_MALFORMED, "holds a character that no URL has");
        }
    }
    const char *host = strstr(url, "://");
    if (host != NULL && host[3] == '/') {
        return status_fail(detail, STATUS_MALFORMED, "names no host");
    }
    CURLU *parsed = curl_url();
    if (parsed == NULL) {
        return STATUS_MEMORY;
    }
    enum status status = curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK
                             ? check_parts(options, parsed, detail)
                             : status_fail(detail, STATUS_MALFORMED, "not a URL");
    curl_url_cleanup(parsed);
    return status;
}

/* --- callbacks of a transfer --- */

/* The one place where connections begin, whatever the name led to. */
static curl_socket_t open_socket(void *context, curlsocktype purpose,
                                 struct curl_sockaddr *address) {
    struct transfer *t = context;
    const struct outbound_options *options = t->outbound->options;
    if (purpose != CURLSOCKTYPE_IPCXN ||
        !outbound_address_allowed(&address->addr, address->addrlen, options->allow,
                                  options->num_allow)) {
        t->refused = true;
        return CURL_SOCKET_BAD;
    }
    t->connected = true;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t take_header(const char *data, size_t size, size_t num, void *context) {
    struct transfer *t = context;
    size_t len = size * num;
    t->header_bytes += len;
    t->head = len > 0 && (data[0] == '\r' || data[0] == '\n');
    return t->header_bytes <= ANSWER_HEADERS_MAX ? len : 0;
}

static size_t take_answer(char *data, size_t size, size_t num, void *context) {
    struct transfer *t = context;
    struct outbound_request *r = t->request;
    size_t room = sizeof r->answer - r->answer_len, len = size * num;
    size_t kept = len < room ? len : room;
    memcpy(r->answer + r->answer_len, data, kept);
    r->answer_len += kept;
    t->cut = kept < len;
    return t->cut ? 0 : len;
}

/* --- transfers --- */

static void drop(struct transfer *t) {
    if (t->easy != NULL) {
        (void)curl_multi_remove_handle(t->outbound->multi, t->easy);
        curl_easy_cleanup(t->easy);
    }
    curl_slist_free_all(t->headers);
    if (t->previous != NULL) {
        *t->previous = t->next;
        if (t->next != NULL) {
            t->next->previous = t->previous;
        }
    }
    t->request->transfer = NULL;
    free(t);
}

static bool add_header(struct transfer *t, const char *header) {
    struct curl_slist *longer = curl_slist_append(t->headers, header);
    if (longer == NULL) {
        return false;
    }
    t->headers = longer;
    return true;
}

static bool set_limits(struct transfer *t) {
    const struct outbound_options *options = t->outbound->options;
    CURL *e = t->easy;
    bool good =
        curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, options->http ? "http,https" : "https") ==
            CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_PROXY, "") == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                         (long)(options->timeout_ms < CONNECT_MS ? options->timeout_ms
                                                                 : CONNECT_MS)) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK;
    if (good && options->ca_file != NULL) { /* these alone, and not the system's beside them */
        good = curl_easy_setopt(e, CURLOPT_CAINFO, options->ca_file) == CURLE_OK &&
               curl_easy_setopt(e, CURLOPT_CAPATH, NULL) == CURLE_OK;
    }
    return good;
}

static bool set_request(struct transfer *t) {
    CURL *e = t->easy;
    const struct outbound_request *r = t->request;
    for (size_t i = 0; i < OUTBOUND_HEADERS_MAX && r->header[i] != NULL; i++) {
        if (!add_header(t, r->header[i])) {
            return false;
        }
    }
    return add_header(t, "Expect:") && curl_easy_setopt(e, CURLOPT_URL, r->url) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_POSTFIELDS, (const char *)r->body.data) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_USERAGENT, "gatehouse/" GATEHOUSE_VERSION) == CURLE_OK;
}

static bool set_callbacks(struct transfer *t) {
    CURL *e = t->easy;
    return curl_easy_setopt(e, CURLOPT_PRIVATE, t) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HEADERDATA, t) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_answer) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEDATA, t) == CURLE_OK;
}

enum status outbound_start(struct outbound *outbound, struct outbound_request *request) {
    struct transfer *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return STATUS_MEMORY;
    }
    t->outbound = outbound;
    t->request = request;
    t->easy = curl_easy_init();
    request->result = 0;
    request->http_status = 0;
    request->retry_after_s = 0;
    request->answer_len = 0;
    request->detail = (struct detail){0};
    if (t->easy == NULL || !set_limits(t) || !set_request(t) || !set_callbacks(t) ||
        curl_multi_add_handle(outbound->multi, t->easy) != CURLM_OK) {
        drop(t);
        return STATUS_MEMORY;
    }
    request->transfer = t;
    t->next = outbound->first;
    t->previous = &outbound->first;
    if (t->next != NULL) {
        t->next->previous = &t->next;
    }
    outbound->first = t;
    return STATUS_OK;
}

void outbound_cancel(struct outbound *outbound, struct outbound_request *request) {
    (void)outbound;
    if (request->transfer != NULL) {
        drop(request->transfer);
    }
}

static void finish(struct transfer *t, CURLcode code) {
    struct outbound_request *r = t->request;
    long http_status = 0;
    curl_off_t retry_after = 0;
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &http_status);
    (void)curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after);
    /* The head came whole when the answer was too long for us. */
    if (t->head && (code == CURLE_OK || (t->cut && code == CURLE_WRITE_ERROR))) {
        r->result = OUTBOUND_ANSWERED;
        r->http_status = (unsigned)http_status;
        r->retry_after_s = (int64_t)retry_after;
    } else if (t->refused && !t->connected) {
        r->result = OUTBOUND_REFUSED;
        detail_set(&r->detail, "receivers may not be at the address that this name leads to");
    } else {
        r->result = OUTBOUND_FAILED;
        detail_set(&r->detail, "%s",
                   t->error[0] != '\0' ? t->error
                   : code == CURLE_OK  ? "the answer ends in its head"
                                       : curl_easy_strerror(code));
    }
    drop(t);
    r->done(r);
}

void outbound_run(struct outbound *outbound, int timeout_ms) {
    int running = 0, waiting = 0;
    (void)curl_multi_perform(outbound->multi, &running);
    CURLMsg *message = curl_multi_info_read(outbound->multi, &waiting);
    if (message == NULL) {
        (void)curl_multi_poll(outbound->multi, NULL, 0, timeout_ms, NULL);
        (void)curl_multi_perform(outbound->multi, &running);
        message = curl_multi_info_read(outbound->multi, &waiting);
    }
    for (; message != NULL; message = curl_multi_info_read(outbound->multi, &waiting)) {
        struct transfer *t = NULL;
        if (message->msg == CURLMSG_DONE &&
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t) == CURLE_OK) {
            finish(t, message->data.result);
        }
    }
}

void outbound_wake(struct outbound *outbound) {
    (void)curl_multi_wakeup(outbound->multi);
}

enum status outbound_new(struct outbound **out, const struct outbound_options *options,
                         struct detail *detail) {
    struct outbound *outbound = calloc(1, sizeof *outbound);
    if (outbound == NULL) {
        return status_fail(detail, STATUS_MEMORY, "no memory for requests to receivers");
    }
    outbound->options = options;
    outbound->multi = curl_multi_init();
    if (outbound->multi == NULL ||
        curl_multi_setopt(outbound->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)CONNECTIONS_MAX) !=
            CURLM_OK) {
        outbound_free(outbound);
        return status_fail(detail, STATUS_MEMORY, "no memory for requests to receivers");
    }
    *out = outbound;
    return STATUS_OK;
}

void outbound_free(struct outbound *outbound) {
    if (outbound == NULL) {
        return;
    }
    while (outbound->first != NULL) {
        drop(outbound->first);
    }
    if (outbound->multi != NULL) {
        (void)curl_multi_cleanup(outbound->multi);
    }
    free(outbound);
}
