/* gatehouse watch: follows a gateway's changes in trust, and tells of each, or keeps files current. */
#include "server/commands/commands.h"

#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/commands/event_source.h"
#include "server/commands/watch_exec.h"
#include "server/commands/watch_map.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { MAPS_MAX = 2, URL_MAX = 1024, ANSWER_MAX = 512 };
enum { BATCH_MS = 50, POLL_MS = 1000, RETRY_MAP_MS = 1000 };
enum { SILENT_S = 60, CONNECT_S = 10, MAX_STALE_S = 120 };
enum { WAIT_FIRST_MS = 500, WAIT_MAX_MS = 30000, STEADY_MS = 5000 };

struct options {
    const char *url, *cert, *key, *ca, *exec, *model, *after, *max_stale, *haproxy_map, *nginx_map;
    bool snapshot;
    int64_t max_stale_ms;
};

struct watch {
    struct options options;
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    char url[URL_MAX], error[CURL_ERROR_SIZE];
    struct event_source source;
    bool streaming, ended; /* the answer is a stream; its last event has come */
    bool wants_snapshot;   /* the next stream begins with one */
    bool fatal;
    char answer[ANSWER_MAX]; /* the beginning of another answer */
    size_t answer_len;
    int64_t began_ms;         /* the latest attempt */
    int64_t heard_ms;         /* when the gateway last said anything on a stream */
    int64_t wait_ms, next_ms; /* before the next attempt, and when that is */
    /* Of files: */
    struct watch_map map[MAPS_MAX];
    size_t num_maps;
    struct watch_state *state;
    int64_t dirty_ms; /* since when files may be out of date; 0: they are not */
    int64_t due_unix; /* when an entry ends or begins by itself */
    bool stale;       /* files say: nobody */
};

static volatile sig_atomic_t told_to_stop;

static void stop(int number) {
    (void)number;
    told_to_stop = 1;
}

static void complain(const char *what, const char *why) {
    fprintf(stderr, "gatehouse watch: %s%s%s\n", what, why[0] == '\0' ? "" : ": ", why);
}

/* --- options -------------------------------------------------------------------------------- */

static bool take_option(struct options *o, const char *name, const char *value) {
    const struct {
        const char *name, **value;
    } known[] = {{"--url", &o->url},
                 {"--cert", &o->cert},
                 {"--key", &o->key},
                 {"--ca", &o->ca},
                 {"--exec", &o->exec},
                 {"--model", &o->model},
                 {"--after", &o->after},
                 {"--max-stale", &o->max_stale},
                 {"--haproxy-map", &o->haproxy_map},
                 {"--nginx-map", &o->nginx_map}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(name, known[i].name) == 0 && *known[i].value == NULL && value != NULL) {
            *known[i].value = value;
            return true;
        }
    }
    return false;
}

static bool is_number(const char *text, size_t digits) {
    size_t len = strlen(text);
    return len != 0 && len <= digits && strspn(text, "0123456789") == len;
}

static bool is_name(const char *text) {
    return text[0] != '\0' && strlen(text) <= 64 &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               strlen(text);
}

static bool parse_options(struct options *o, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--snapshot") == 0 && !o->snapshot) {
            o->snapshot = true;
        } else if (!take_option(o, argv[i], i + 1 < argc ? argv[i + 1] : NULL)) {
            return false;
        } else {
            i++;
        }
    }
    bool maps = o->haproxy_map != NULL || o->nginx_map != NULL;
    bool tls = o->url != NULL && strncmp(o->url, "https://", 8) == 0;
    bool local = o->url != NULL && strncmp(o->url, "unix:/", 6) == 0;
    if (!tls && !local) {
        return false;
    }
    if ((o->max_stale != NULL && (!maps || !is_number(o->max_stale, 9))) ||
        (o->after != NULL && (maps || o->snapshot || !is_number(o->after, 18))) ||
        (o->model != NULL && !is_name(o->model)) || strlen(o->url) > URL_MAX / 2) {
        return false;
    }
    o->max_stale_ms =
        o->max_stale == NULL ? MAX_STALE_S * 1000 : strtoll(o->max_stale, NULL, 10) * 1000;
    o->snapshot = o->snapshot || maps;
    return tls ? o->cert != NULL && o->key != NULL : o->cert == NULL && o->key == NULL;
}

/* --- telling ---------------------------------------------------------------------------------- */

static const char *member(const json_t *data, const char *name) {
    return json_string_value(json_object_get(data, name));
}

static bool run_for_event(struct watch *w, const char *line, const char *name, const char *id,
                          const json_t *data) {
    struct detail detail = {0};
    const struct watch_variable variable[] = {
        {"GATEHOUSE_EVENT", name},
        {"GATEHOUSE_EVENT_ID", id},
        {"GATEHOUSE_DEVICE_ID", member(data, "device_id")},
        {"GATEHOUSE_MODEL", member(data, "model")},
        {"GATEHOUSE_SERIAL", member(data, "serial")},
        {"GATEHOUSE_FINGERPRINT", member(data, "certificate_sha256")},
        {"GATEHOUSE_REASON", member(data, "reason")}};
    enum status status =
        watch_exec(w->options.exec, line, variable, sizeof variable / sizeof variable[0], &detail);
    if (status != STATUS_OK) {
        complain(name, detail.text);
    }
    return status != STATUS_INTERNAL;
}

/* One line of JSON, to standard output or to the command. */
static bool tell(struct watch *w, const char *name, const char *id, const char *data) {
    json_t *json = json_loads(data, JSON_REJECT_DUPLICATES, NULL);
    json_t *line = json_pack("{s:s, s:s, s:o?}", "event", name, "id", id, "data", json);
    char *text = line == NULL ? NULL : json_dumps(line, JSON_COMPACT);
    bool good = text != NULL && json != NULL;
    if (!good) {
        complain(name, "its data is no JSON");
    } else if (w->options.exec == NULL) {
        good = puts(text) >= 0 && fflush(stdout) == 0;
        w->fatal = !good;
    } else {
        w->fatal = !run_for_event(w, text, name, id, json_object_get(line, "data"));
        good = !w->fatal;
    }
    free(text);
    json_decref(line);
    return good;
}

/* --- files ------------------------------------------------------------------------------------ */

static void run_for_files(struct watch *w, size_t num) {
    char entries[24];
    struct detail detail = {0};
    (void)snprintf(entries, sizeof entries, "%zu", num);
    const struct watch_variable variable[] = {{"GATEHOUSE_EVENT", "files"},
                                              {"GATEHOUSE_ENTRIES", entries}};
    if (watch_exec(w->options.exec, "", variable, 2, &detail) != STATUS_OK) {
        complain("--exec", detail.text);
    }
}

static void write_files(struct watch *w, struct watch_state *state) {
    int64_t now = clock_unix(), next = INT64_MAX;
    bool changed = false, failed = false;
    size_t num = 0;
    for (size_t i = 0; i < w->num_maps; i++) {
        struct detail detail = {0};
        if (watch_map_write(&w->map[i], state, now, &changed, &num, &next, &detail) != STATUS_OK) {
            complain("the file stays as it was", detail.text);
            failed = true;
        }
    }
    w->due_unix = next;
    w->dirty_ms = failed ? clock_monotonic_ms() + RETRY_MAP_MS : 0;
    if (changed && w->options.exec != NULL) {
        run_for_files(w, num);
    }
}

static void files_may_be_old(struct watch *w, int64_t now_ms) {
    if (w->dirty_ms == 0) {
        w->dirty_ms = now_ms + BATCH_MS;
    }
}

/* Nobody passes on what was known too long ago. */
static void keep_files(struct watch *w, int64_t now_ms) {
    bool stale = now_ms - w->heard_ms > w->options.max_stale_ms;
    if (w->num_maps == 0) {
        return;
    }
    if (stale != w->stale) {
        w->stale = stale;
        w->dirty_ms = now_ms;
        complain(stale ? "nothing was heard for too long: nobody passes"
                       : "the gateway is heard again",
                 "");
    }
    if (clock_unix() >= w->due_unix) {
        files_may_be_old(w, now_ms);
        w->due_unix = INT64_MAX;
    }
    bool known = watch_state_is_whole(w->state);
    if (w->dirty_ms != 0 && now_ms >= w->dirty_ms && (w->stale || known)) {
        write_files(w, w->stale ? NULL : w->state);
    }
}

/* --- what is heard ---------------------------------------------------------------------------- */

/* What was missed is not known: how things stand is asked for. */
static void ask_for_snapshot(struct watch *w) {
    w->wants_snapshot = true;
    w->source.id[0] = w->source.next_id[0] = '\0';
}

static bool take_event(void *context, const char *name, const char *id, const char *data) {
    struct watch *w = context;
    bool changed = false;
    if (strcmp(name, "reset") == 0) {
        ask_for_snapshot(w);
    }
    w->ended =
        strcmp(name, "reset") == 0 || strcmp(name, "dropped") == 0 || strcmp(name, "closing") == 0;
    if (strcmp(name, "snapshot") == 0) {
        w->wants_snapshot = false;
    }
    if (w->num_maps == 0) {
        return tell(w, name, id, data);
    }
    if (w->ended) {
        complain(name, data);
        return true;
    }
    enum status status = watch_state_take(w->state, name, data, &changed);
    if (status != STATUS_OK) {
        complain(name, status_name(status));
        ask_for_snapshot(w);
        return false;
    }
    if (changed) {
        files_may_be_old(w, clock_monotonic_ms());
    }
    return true;
}

static bool is_stream(struct watch *w) {
    long code = 0;
    char *type = NULL;
    (void)curl_easy_getinfo(w->easy, CURLINFO_RESPONSE_CODE, &code);
    (void)curl_easy_getinfo(w->easy, CURLINFO_CONTENT_TYPE, &type);
    return code == 200 && type != NULL && strncmp(type, "text/event-stream", 17) == 0;
}

static size_t take_bytes(char *data, size_t size, size_t num, void *context) {
    struct watch *w = context;
    size_t len = size * num;
    if (!w->streaming && !is_stream(w)) {
        size_t room = sizeof w->answer - 1 - w->answer_len;
        size_t some = len < room ? len : room;
        memcpy(w->answer + w->answer_len, data, some);
        w->answer_len += some;
        return len;
    }
    w->streaming = true;
    w->heard_ms = clock_monotonic_ms();
    if (w->heard_ms >= w->began_ms + STEADY_MS) {
        w->wait_ms = 0;
    }
    enum status status = event_source_take(&w->source, bytes_of(data, len));
    if (status == STATUS_LIMIT) {
        complain("an event is too long", "");
        ask_for_snapshot(w);
    }
    return status == STATUS_OK ? len : 0;
}

/* --- connecting ------------------------------------------------------------------------------- */

static bool set_url(struct watch *w) {
    const char *base = w->options.url;
    bool local = strncmp(base, "unix:", 5) == 0;
    size_t len = local ? 0 : strlen(base);
    while (len > 0 && base[len - 1] == '/') {
        len--;
    }
    int written = snprintf(w->url, sizeof w->url, "%.*s/v1/changes?%s%s%s%s%s", (int)len, base,
                           w->wants_snapshot ? "snapshot=true" : "",
                           w->wants_snapshot && w->options.model != NULL ? "&" : "",
                           w->options.model != NULL ? "model=" : "",
                           w->options.model != NULL ? w->options.model : "", "");
    if (local) {
        char rest[URL_MAX];
        (void)snprintf(rest, sizeof rest, "%s", w->url);
        written = snprintf(w->url, sizeof w->url, "http://localhost%.900s", rest);
    }
    if (written > 0 && w->url[strlen(w->url) - 1] == '?') {
        w->url[strlen(w->url) - 1] = '\0';
    }
    return written > 0 && (size_t)written < sizeof w->url;
}

static bool set_headers(struct watch *w) {
    char last[64];
    curl_slist_free_all(w->headers);
    w->headers = curl_slist_append(NULL, "Accept: text/event-stream");
    if (w->headers != NULL && w->source.id[0] != '\0') {
        (void)snprintf(last, sizeof last, "Last-Event-ID: %s", w->source.id);
        struct curl_slist *more = curl_slist_append(w->headers, last);
        if (more == NULL) {
            return false;
        }
        w->headers = more;
    }
    return w->headers != NULL;
}

static bool set_transfer(struct watch *w) {
    const struct options *o = &w->options;
    bool local = strncmp(o->url, "unix:", 5) == 0;
    CURLcode code = CURLE_OK;
#define SET(option, value)                                                                         \
    do {                                                                                           \
        code = code == CURLE_OK ? curl_easy_setopt(w->easy, (option), (value)) : code;             \
    } while (0)
    curl_easy_reset(w->easy);
    SET(CURLOPT_URL, w->url);
    SET(CURLOPT_PROTOCOLS_STR, local ? "http" : "https");
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_USERAGENT, "gatehouse-watch/" GATEHOUSE_VERSION);
    SET(CURLOPT_HTTPHEADER, w->headers);
    SET(CURLOPT_ERRORBUFFER, w->error);
    SET(CURLOPT_WRITEFUNCTION, take_bytes);
    SET(CURLOPT_WRITEDATA, w);
    SET(CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1L); /* a heartbeat comes every 15 s */
    SET(CURLOPT_LOW_SPEED_TIME, (long)SILENT_S);
    if (local) {
        SET(CURLOPT_UNIX_SOCKET_PATH, o->url + 5);
    } else {
        SET(CURLOPT_SSLCERT, o->cert);
        SET(CURLOPT_SSLKEY, o->key);
        SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    }
    if (o->ca != NULL) {
        SET(CURLOPT_CAINFO, o->ca);
        SET(CURLOPT_CAPATH, NULL);
    }
#undef SET
    return code == CURLE_OK;
}

/* False: it cannot even be tried. */
static bool connect_now(struct watch *w) {
    w->streaming = w->ended = false;
    w->began_ms = clock_monotonic_ms();
    w->answer_len = 0;
    w->error[0] = '\0';
    if (w->source.id[0] == '\0' && w->options.snapshot) {
        w->wants_snapshot = true;
    }
    event_source_restart(&w->source);
    if (w->wants_snapshot && w->state != NULL && watch_state_gather(w->state) != STATUS_OK) {
        return false;
    }
    return set_url(w) && set_headers(w) && set_transfer(w) &&
           curl_multi_add_handle(w->multi, w->easy) == CURLM_OK;
}

/* Doubles, with a little chance, so that not all come back at one moment. */
static void wait_before_next(struct watch *w) {
    uint32_t chance = 0;
    if (getrandom(&chance, sizeof chance, 0) != (ssize_t)sizeof chance) {
        chance = 0;
    }
    w->wait_ms = w->wait_ms == 0 ? WAIT_FIRST_MS : 2 * w->wait_ms;
    w->wait_ms = w->wait_ms > WAIT_MAX_MS ? WAIT_MAX_MS : w->wait_ms;
    w->next_ms = clock_monotonic_ms() + w->wait_ms / 2 + chance % (w->wait_ms / 2 + 1);
}

static void say_why_not(struct watch *w, CURLcode code) {
    long status = 0;
    (void)curl_easy_getinfo(w->easy, CURLINFO_RESPONSE_CODE, &status);
    if (w->fatal || w->ended) {
        return;
    }
    if (code == CURLE_OK && !w->streaming) {
        char text[ANSWER_MAX + 32];
        w->answer[w->answer_len] = '\0';
        (void)snprintf(text, sizeof text, "%ld %.400s", status, w->answer);
        complain("the gateway answers", text);
    } else {
        complain("the stream ends", w->error[0] != '\0' ? w->error : curl_easy_strerror(code));
    }
}

static void end_transfers(struct watch *w) {
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(w->multi, &left)) != NULL;) {
        if (message->msg == CURLMSG_DONE) {
            say_why_not(w, message->data.result);
            (void)curl_multi_remove_handle(w->multi, w->easy);
            wait_before_next(w);
        }
    }
}

/* --- running ---------------------------------------------------------------------------------- */

static int time_left(const struct watch *w, int64_t now_ms) {
    int64_t until = now_ms + POLL_MS;
    until = w->next_ms != 0 && w->next_ms < until ? w->next_ms : until;
    until = w->dirty_ms != 0 && w->dirty_ms < until ? w->dirty_ms : until;
    return until <= now_ms ? 0 : (int)(until - now_ms);
}

static bool follow(struct watch *w) {
    int running = 0;
    w->next_ms = clock_monotonic_ms();
    while (told_to_stop == 0 && !w->fatal) {
        int64_t now_ms = clock_monotonic_ms();
        if (w->next_ms != 0 && now_ms >= w->next_ms) {
            w->next_ms = 0;
            if (!connect_now(w)) {
                complain("cannot begin", "");
                return false;
            }
        }
        if (curl_multi_perform(w->multi, &running) != CURLM_OK) {
            complain("libcurl fails", "");
            return false;
        }
        end_transfers(w);
        now_ms = clock_monotonic_ms();
        keep_files(w, now_ms);
        (void)curl_multi_poll(w->multi, NULL, 0, time_left(w, now_ms), NULL);
    }
    return !w->fatal;
}

static void add_map(struct watch *w, enum watch_map_form form, const char *path) {
    if (path != NULL) {
        w->map[w->num_maps++] = (struct watch_map){.form = form, .path = path};
    }
}

static bool begin(struct watch *w) {
    w->source.event = take_event;
    w->source.context = w;
    w->heard_ms = clock_monotonic_ms();
    w->due_unix = INT64_MAX;
    add_map(w, WATCH_MAP_HAPROXY, w->options.haproxy_map);
    add_map(w, WATCH_MAP_NGINX, w->options.nginx_map);
    if (w->options.after != NULL) {
        (void)snprintf(w->source.id, sizeof w->source.id, "%s", w->options.after);
    }
    if (w->num_maps != 0 && watch_state_new(&w->state) != STATUS_OK) {
        return false;
    }
    w->multi = curl_multi_init();
    w->easy = curl_easy_init();
    return w->multi != NULL && w->easy != NULL;
}

static void cleanup(struct watch *w) {
    if (w->multi != NULL && w->easy != NULL) {
        (void)curl_multi_remove_handle(w->multi, w->easy);
    }
    curl_easy_cleanup(w->easy);
    (void)curl_multi_cleanup(w->multi);
    curl_slist_free_all(w->headers);
    watch_state_free(w->state);
    free(w);
}

int command_watch(int argc, char **argv) {
    struct watch *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return EXIT_FAILURE;
    }
    if (!parse_options(&w->options, argc, argv)) {
        free(w);
        return EXIT_USAGE;
    }
    const struct sigaction action = {.sa_handler = stop}, ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    bool good = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK && begin(w);
    if (!good) {
        complain("cannot begin", "no memory");
    }
    good = good && follow(w);
    cleanup(w);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
