#include "server/commands/doctor_report.h"

#include <stdio.h>
#include <string.h>

static const char *const kind_names[NUM_PROXY_KINDS] = {
    [PROXY_NGINX] = "nginx", [PROXY_HAPROXY] = "haproxy", [PROXY_CADDY] = "caddy",
    [PROXY_ENVOY] = "envoy", [PROXY_TRAEFIK] = "traefik",
};

static const char *const means[NUM_TRAPS] = {
    [TRAP_OPEN] = "anybody reaches the application, without being a device",
    [TRAP_BELIEVES] =
        "whoever knows a device's certificate, which is no secret, passes as that device",
    [TRAP_LETS_IN] = "a certificate that may not pass does",
    [TRAP_REFUSES] = "devices that may pass do not, and what was refused proves little",
    [TRAP_MISSING] = "the application is not told which device it talks to, or not all of it",
    [TRAP_DEVICE] = "a device can tell the application that it is another one",
    [TRAP_CERTIFICATE] = "an application that reads such headers can be told of any certificate",
    [TRAP_HOP] = "a device can keep the application from knowing which one it is",
    [TRAP_FAIL_OPEN] = "whoever keeps Gatehouse from answering opens the door",
};

/* Per kind where there is something to say; PROXY_ANY otherwise. */
static const char *const change[NUM_TRAPS][NUM_PROXY_KINDS] = {
    [TRAP_OPEN] = {"ask Gatehouse for every path, and have client certificates verified",
                   "ssl_verify_client on, and auth_request in every location that passes on",
                   "verify required on the bind line, and deny unless the script said 200",
                   "client_auth { mode require_and_verify }, and forward_auth in a route block",
                   "require_client_certificate: true, and ext_authz before the router",
                   "RequireAndVerifyClientCert in the default TLS options, and forwardAuth"},
    [TRAP_BELIEVES] = {"take certificate headers away before Gatehouse is asked",
                       "proxy_pass_request_headers off in the location of the auth_request",
                       "http-request del-header for each of them, before the script",
                       "request_header -NAME for each, in a route block before forward_auth",
                       "SANITIZE_SET, and x-forwarded-client-cert alone in allowed_headers",
                       "passTLSClientCert before forwardAuth, its header in authRequestHeaders"},
    [TRAP_LETS_IN] = {"verify against the access authority alone, and ask Gatehouse each time"},
    [TRAP_REFUSES] = {"see the gateway's log: is the proxy registered with its dialect"},
    [TRAP_MISSING] = {"copy every X-Device header from Gatehouse's answer",
                      "auth_request_set and proxy_set_header for each, in this very location", NULL,
                      "name them all in copy_headers", "name them all in allowed_upstream_headers",
                      "name them all in authResponseHeaders"},
    [TRAP_DEVICE] = {"take the client's X-Device headers away, also those with underscores",
                     "proxy_set_header for each, and underscores_in_headers off",
                     "http-request del-header X-Device- -m beg, and del-header _ -m sub",
                     "request_header -X-Device-* and -*_* in a route block before forward_auth",
                     "header_mutation before ext_authz, and DROP_HEADER for underscores",
                     "a headers middleware with an empty value for each spelling"},
    [TRAP_CERTIFICATE] = {"take the client's certificate headers away before the application",
                          "proxy_set_header NAME \"\" for each of them",
                          "http-request del-header for each of them", "request_header -NAME",
                          "header_mutation with remove for each of them",
                          "a headers middleware with an empty value for each of them"},
    [TRAP_HOP] = {"set the device's headers behind where hop-by-hop headers are removed",
                  "proxy_set_header Connection \"\"", "http-request del-header Connection",
                  "request_header -Connection in a route block before forward_auth", NULL,
                  "a release in which Connection is repaired (CVE-2024-45410)"},
    [TRAP_FAIL_OPEN] = {"refuse when there is no answer, and when it is not 200",
                        "no error_page and no \"satisfy any\" that turns a 500 into a page",
                        "http-request deny unless the script said 200",
                        "no handle_errors that passes on", "failure_mode_allow: false",
                        "no errors middleware or fallback service that passes on"},
};

bool proxy_kind_read(enum proxy_kind *out, const char *name) {
    for (unsigned kind = PROXY_NGINX; kind < NUM_PROXY_KINDS; kind++) {
        if (strcmp(name, kind_names[kind]) == 0) {
            *out = (enum proxy_kind)kind;
            return true;
        }
    }
    return false;
}

static void print_answer(const struct probe_answer *answer) {
    if (answer->end == PROBE_ANSWERED) {
        printf("%ld", answer->status);
    } else {
        printf("%s (%s)", answer->end == PROBE_CLOSED ? "no answer" : "not reached", answer->why);
    }
}

void report_probe(struct report *report, bool good, enum trap trap, const char *what,
                  const char *sent, const struct probe_answer *answer) {
    printf("%-11s  %s: ", good ? "ok" : "WRONG", what);
    print_answer(answer);
    printf("\n");
    if (good) {
        report->ok++;
        return;
    }
    const char *own = change[trap][report->kind];
    printf("    sent:    %s\n    means:   %s\n    change:  %s\n", sent, means[trap],
           own != NULL ? own : change[trap][PROXY_ANY]);
    report->wrong++;
}

void report_skipped(struct report *report, const char *what, const char *why) {
    printf("%-11s  %s: %s\n", "not checked", what, why);
    report->skipped++;
}

void report_end(const struct report *report) {
    printf("%u well, %u wrong, %u not checked\n", report->ok, report->wrong, report->skipped);
}
