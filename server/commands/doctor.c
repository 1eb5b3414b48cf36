/* gatehouse doctor: holds a running proxy against what is known to go wrong with forward authentication. */
#include "server/commands/commands.h"

#include "server/commands/doctor_report.h"
#include "server/commands/doctor_spoof.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA = 32 << 20, EXIT_WRONG = 3 };

static const char marker[] = "sent-by-gatehouse-doctor";

struct options {
    const char *proxy, *connect, *ca, *cert, *key, *refused_cert, *refused_key, *echo, *kind;
    bool gateway_stopped;
};

struct doctor {
    const struct options *options;
    struct arena *arena;
    struct report report;
    struct probe_identity nobody, good, refused;
    struct spoof spoofs[NUM_SPOOFS]; /* of the good one's certificate */
    const char *echo_url;            /* NULL: none */
};

/* --- options -------------------------------------------------------------------------------- */

static bool take_option(struct options *options, const char *name, const char *value) {
    const struct {
        const char *name, **value;
    } known[] = {{"--proxy", &options->proxy},
                 {"--connect", &options->connect},
                 {"--ca", &options->ca},
                 {"--cert", &options->cert},
                 {"--key", &options->key},
                 {"--refused-cert", &options->refused_cert},
                 {"--refused-key", &options->refused_key},
                 {"--echo", &options->echo},
                 {"--kind", &options->kind}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(name, known[i].name) == 0 && *known[i].value == NULL && value != NULL) {
            *known[i].value = value;
            return true;
        }
    }
    return false;
}

static bool parse_options(struct options *options, int argc, char **argv) {
    *options = (struct options){0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--gateway-stopped") == 0 && !options->gateway_stopped) {
            options->gateway_stopped = true;
        } else if (!take_option(options, argv[i], i + 1 < argc ? argv[i + 1] : NULL)) {
            return false;
        } else {
            i++;
        }
    }
    return options->proxy != NULL && (options->cert == NULL) == (options->key == NULL) &&
           (options->refused_cert == NULL) == (options->refused_key == NULL);
}

static bool is_plain(const char *text) {
    for (; *text > ' ' && *text < 0x7f; text++) {
    }
    return *text == '\0';
}

static enum status check_options(struct doctor *d, struct detail *detail) {
    static const char https[] = "https://";
    const struct options *o = d->options;
    if (strncmp(o->proxy, https, sizeof https - 1) != 0 || !is_plain(o->proxy)) {
        return status_fail(detail, STATUS_MALFORMED, "--proxy: \"%.60s\" is no https:// URL",
                           o->proxy);
    }
    if (o->connect != NULL && (strchr(o->connect, ':') == NULL || !is_plain(o->connect))) {
        return status_fail(detail, STATUS_MALFORMED, "--connect: \"%.60s\" is not HOST:PORT",
                           o->connect);
    }
    if (o->kind != NULL && !proxy_kind_read(&d->report.kind, o->kind)) {
        return status_fail(detail, STATUS_MALFORMED,
                           "--kind: one of nginx, haproxy, caddy, envoy, traefik");
    }
    if (o->gateway_stopped && o->cert == NULL) {
        return status_fail(detail, STATUS_MALFORMED,
                           "--gateway-stopped: needs --cert and --key, a credential that is good");
    }
    if (o->echo != NULL) {
        size_t len = sizeof https - 1 + strcspn(o->proxy + sizeof https - 1, "/?#");
        if (o->echo[0] != '/' || !is_plain(o->echo)) {
            return status_fail(detail, STATUS_MALFORMED, "--echo: \"%.60s\" is no path", o->echo);
        }
        d->echo_url = arena_printf(d->arena, "%.*s%s", (int)len, o->proxy, o->echo);
        if (d->echo_url == NULL) {
            return STATUS_MEMORY;
        }
    }
    return STATUS_OK;
}

/* --- probes --------------------------------------------------------------------------------- */

static enum status ask(const struct doctor *d, struct probe_answer *out, const char *url,
                       const struct probe_identity *as, const char *const *headers,
                       struct detail *detail) {
    const struct probe probe = {
        url, d->options->connect, d->options->ca, as, headers,
    };
    enum status status = probe_send(out, d->arena, &probe);
    if (status == STATUS_OK && out->end == PROBE_UNUSABLE) {
        status = status_fail(detail, STATUS_NOT_FOUND, "%s: %s", url, out->why);
    }
    return status;
}

/* Somebody who must not pass, and does not with any of these headers either. */
static enum status probe_spoofs(struct doctor *d, const struct probe_identity *as, const char *who,
                                struct detail *detail) {
    enum status status = STATUS_OK;
    for (size_t i = 0; i < NUM_SPOOFS && status == STATUS_OK; i++) {
        const struct spoof *spoof = &d->spoofs[i];
        struct probe_answer answer;
        status = ask(d, &answer, d->options->proxy, as, spoof->headers, detail);
        if (status != STATUS_OK) {
            break;
        }
        const char *what = arena_printf(d->arena, "%s and somebody's certificate in a header, %s",
                                        who, spoof->name);
        const char *sent = arena_printf(d->arena, "GET %s %s, and %.60s...", d->options->proxy, who,
                                        spoof->headers[0]);
        if (what == NULL || sent == NULL) {
            return STATUS_MEMORY;
        }
        report_probe(&d->report, !probe_passed(&answer), TRAP_BELIEVES, what, sent, &answer);
    }
    return status;
}

static enum status probe_refused(struct doctor *d, const struct probe_identity *as, enum trap trap,
                                 const char *who, struct detail *detail) {
    struct probe_answer answer;
    enum status status = ask(d, &answer, d->options->proxy, as, NULL, detail);
    if (status != STATUS_OK) {
        return status;
    }
    const char *sent = arena_printf(d->arena, "GET %s %s", d->options->proxy, who);
    if (sent == NULL) {
        return STATUS_MEMORY;
    }
    report_probe(&d->report, !probe_passed(&answer), trap, who, sent, &answer);
    if (d->good.certificate == NULL) {
        report_skipped(&d->report, "and somebody's certificate in a header",
                       "--cert names one that is good");
        return STATUS_OK;
    }
    return probe_spoofs(d, as, who, detail);
}

static bool body_has(const struct probe_answer *answer, const char *text) {
    return strcasestr(answer->body, text) != NULL;
}

static bool body_has_device(const struct probe_answer *answer) {
    static const char *const names[] = {
        "X-Device-Id",      "X-Device-Model",          "X-Device-Tier",
        "X-Device-Segment", "X-Device-Key-Protection", "X-Device-Lease"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!body_has(answer, names[i])) {
            return false;
        }
    }
    return true;
}

/* What the application says that it has got. */
static enum status probe_echo(struct doctor *d, struct detail *detail) {
    static const char *const hop[] = {"Connection: close, X-Device-Id, X-Device-Tier", NULL};
    const struct {
        enum trap trap;
        const char *what;
        const char *const *headers;
        bool wants_device, wants_no_marker;
    } probes[] = {
        {TRAP_MISSING, "the device's headers reach the application", NULL, true, false},
        {TRAP_DEVICE, "the client's own X-Device headers do not",
         spoof_device_headers(d->arena, marker), true, true},
        {TRAP_CERTIFICATE, "the client's own certificate headers do not",
         spoof_certificate_headers(d->arena, marker), true, true},
        {TRAP_HOP, "naming them in Connection does not take the device's headers away", hop, true,
         false},
    };
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof probes / sizeof probes[0] && status == STATUS_OK; i++) {
        struct probe_answer answer;
        if (d->arena->overflow) {
            return STATUS_MEMORY;
        }
        status = ask(d, &answer, d->echo_url, &d->good, probes[i].headers, detail);
        if (status != STATUS_OK) {
            break;
        }
        /* A request that is refused for its headers is as good as one that lost them. */
        bool harmless = probes[i].headers != NULL && !probe_passed(&answer);
        bool good = harmless || (answer.end == PROBE_ANSWERED && body_has_device(&answer) &&
                                 !(probes[i].wants_no_marker && body_has(&answer, marker)));
        const char *sent = arena_printf(d->arena, "GET %s with the good credential%s%.50s",
                                        d->echo_url, probes[i].headers == NULL ? "" : ", and ",
                                        probes[i].headers == NULL ? "" : probes[i].headers[0]);
        if (sent == NULL) {
            return STATUS_MEMORY;
        }
        report_probe(&d->report, good, probes[i].trap, probes[i].what, sent, &answer);
    }
    return status;
}

static enum status probe_good(struct doctor *d, struct detail *detail) {
    static const char echo[] = "the headers that reach the application";
    struct probe_answer answer;
    if (d->good.certificate == NULL) {
        report_skipped(&d->report, "a good credential passes", "--cert and --key name one");
        report_skipped(&d->report, echo, "--cert and --key name a credential");
        return STATUS_OK;
    }
    enum status status = ask(d, &answer, d->options->proxy, &d->good, NULL, detail);
    if (status != STATUS_OK) {
        return status;
    }
    bool passed = probe_passed(&answer);
    report_probe(&d->report, passed, TRAP_REFUSES, "a good credential passes",
                 "a request with the good credential", &answer);
    if (passed && d->echo_url != NULL) {
        return probe_echo(d, detail);
    }
    report_skipped(&d->report, echo,
                   !passed ? "the good credential does not pass"
                           : "--echo names a path where the application answers with the request's "
                             "headers; without one, send X-Device-Id: x and look what the "
                             "application logs");
    return STATUS_OK;
}

/* --- all of it ------------------------------------------------------------------------------ */

static enum status probe_stopped(struct doctor *d, struct detail *detail) {
    struct probe_answer answer;
    enum status status = ask(d, &answer, d->options->proxy, &d->good, NULL, detail);
    if (status == STATUS_OK) {
        report_probe(&d->report, !probe_passed(&answer), TRAP_FAIL_OPEN,
                     "the gateway is stopped, and a good credential does not pass",
                     "a request with the good credential", &answer);
    }
    return status;
}

static enum status probe_all(struct doctor *d, struct detail *detail) {
    enum status status =
        probe_refused(d, &d->nobody, TRAP_OPEN, "without a client certificate", detail);
    if (status == STATUS_OK) {
        status = probe_good(d, detail);
    }
    if (status == STATUS_OK && d->refused.certificate != NULL) {
        status = probe_refused(d, &d->refused, TRAP_LETS_IN, "with the certificate to be refused",
                               detail);
    } else if (status == STATUS_OK) {
        report_skipped(&d->report, "a certificate that has to be refused",
                       "--refused-cert and --refused-key name one, such as a revoked credential");
    }
    if (status == STATUS_OK) {
        report_skipped(&d->report, "what happens while the gateway is stopped",
                       "stop it, and run this with --gateway-stopped");
    }
    return status;
}

static enum status run(struct doctor *d, struct detail *detail) {
    enum status status = check_options(d, detail);
    if (status == STATUS_OK && d->good.certificate != NULL) {
        status = spoofs_make(d->spoofs, d->arena, d->good.certificate, detail);
        detail_prefix(detail, "--cert");
    }
    if (status != STATUS_OK) {
        return status;
    }
    status = d->options->gateway_stopped ? probe_stopped(d, detail) : probe_all(d, detail);
    if (status == STATUS_OK) {
        report_end(&d->report);
    }
    return status;
}

int command_doctor(int argc, char **argv) {
    struct options options;
    struct arena arena;
    struct detail detail = {0};
    if (!parse_options(&options, argc, argv)) {
        return EXIT_USAGE;
    }
    arena_init(&arena, ARENA);
    struct doctor doctor = {.options = &options,
                            .arena = &arena,
                            .good = {options.cert, options.key},
                            .refused = {options.refused_cert, options.refused_key}};
    enum status status = run(&doctor, &detail);
    arena_free(&arena);
    if (status != STATUS_OK) {
        fprintf(stderr, "gatehouse doctor: %s\n",
                detail.text[0] != '\0' ? detail.text : status_name(status));
        return EXIT_FAILURE;
    }
    return doctor.report.wrong > 0 ? EXIT_WRONG : EXIT_SUCCESS;
}
