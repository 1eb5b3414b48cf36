#include "server/commands/doctor_probe.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

enum { CONNECT_MS = 5000, WHOLE_MS = 15000 };

struct body {
    char *data;
    size_t len;
};

static size_t take_body(char *data, size_t size, size_t num, void *context) {
    struct body *body = context;
    size_t room = PROBE_BODY_MAX - body->len, len = size * num < room ? size * num : room;
    memcpy(body->data + body->len, data, len);
    body->len += len;
    return size * num; /* the rest is read and dropped */
}

/* What a refusal looks like from here: the connection stood, and the TLS or the stream ended. */
static enum probe_end end_of(CURLcode code, bool connected) {
    switch (code) {
    case CURLE_OK:
        return PROBE_ANSWERED;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_OPERATION_TIMEDOUT:
        return connected ? PROBE_CLOSED : PROBE_UNUSABLE;
    default:
        return PROBE_UNUSABLE;
    }
}

static bool append(struct curl_slist **list, const char *text) {
    struct curl_slist *longer = curl_slist_append(*list, text);
    if (longer != NULL) {
        *list = longer;
    }
    return longer != NULL;
}

static CURLcode set_options(CURL *curl, const struct probe *probe, struct curl_slist *connect,
                            struct curl_slist *headers, struct body *body) {
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {{CURLOPT_NOSIGNAL, 1},
                   {CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS},
                   {CURLOPT_TIMEOUT_MS, WHOLE_MS},
                   {CURLOPT_FOLLOWLOCATION, 0},
                   {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
                   {CURLOPT_SSL_SESSIONID_CACHE, 0},
                   {CURLOPT_SSL_VERIFYPEER, 1},
                   {CURLOPT_SSL_VERIFYHOST, 2}};
    const struct {
        CURLoption option;
        const void *value;
    } pointers[] = {{CURLOPT_URL, probe->url},
                    {CURLOPT_PROTOCOLS_STR, "https"},
                    {CURLOPT_PROXY, ""},
                    {CURLOPT_USERAGENT, "gatehouse-doctor"},
                    {CURLOPT_WRITEDATA, body},
                    {CURLOPT_CAINFO, probe->ca},
                    {CURLOPT_SSLCERT, probe->as->certificate},
                    {CURLOPT_SSLKEY, probe->as->key},
                    {CURLOPT_CONNECT_TO, connect},
                    {CURLOPT_HTTPHEADER, headers}};
    CURLcode code = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    for (size_t i = 0; code == CURLE_OK && i < sizeof numbers / sizeof numbers[0]; i++) {
        code = curl_easy_setopt(curl, numbers[i].option, numbers[i].value);
    }
    for (size_t i = 0; code == CURLE_OK && i < sizeof pointers / sizeof pointers[0]; i++) {
        if (pointers[i].value != NULL) {
            code = curl_easy_setopt(curl, pointers[i].option, pointers[i].value);
        }
    }
    return code;
}

static enum status perform(struct probe_answer *out, struct arena *arena, const struct probe *probe,
                           CURL *curl, struct curl_slist **lists) {
    struct probe_answer answer = {.end = PROBE_UNUSABLE};
    struct body body = {.data = arena_alloc(arena, PROBE_BODY_MAX + 1)};
    char why[CURL_ERROR_SIZE] = "";
    if (body.data == NULL) {
        return STATUS_MEMORY;
    }
    if (probe->connect != NULL) {
        const char *to = arena_printf(arena, "::%s", probe->connect);
        if (to == NULL || !append(&lists[0], to)) {
            return STATUS_MEMORY;
        }
    }
    for (size_t i = 0; probe->headers != NULL && probe->headers[i] != NULL; i++) {
        if (!append(&lists[1], probe->headers[i])) {
            return STATUS_MEMORY;
        }
    }
    CURLcode code = set_options(curl, probe, lists[0], lists[1], &body);
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    }
    if (code == CURLE_OK) {
        double connected = 0;
        code = curl_easy_perform(curl);
        (void)curl_easy_getinfo(curl, CURLINFO_CONNECT_TIME, &connected);
        answer.end = end_of(code, connected > 0);
    }
    if (answer.end == PROBE_ANSWERED) {
        (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    } else {
        (void)snprintf(answer.why, sizeof answer.why, "%s",
                       why[0] != '\0' ? why : curl_easy_strerror(code));
    }
    answer.body = body.data;
    *out = answer;
    return STATUS_OK;
}

enum status probe_send(struct probe_answer *out, struct arena *arena, const struct probe *probe) {
    struct curl_slist *lists[2] = {NULL, NULL};
    CURL *curl = curl_easy_init();
    enum status status = STATUS_MEMORY;
    if (curl != NULL) {
        status = perform(out, arena, probe, curl, lists);
    }
    curl_easy_cleanup(curl);
    curl_slist_free_all(lists[0]);
    curl_slist_free_all(lists[1]);
    return status;
}

bool probe_passed(const struct probe_answer *answer) {
    static const long refusals[] = {400, 401, 403, 421, 495, 496};
    if (answer->end != PROBE_ANSWERED || answer->status >= 500) {
        return false;
    }
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (answer->status == refusals[i]) {
            return false;
        }
    }
    return true;
}
