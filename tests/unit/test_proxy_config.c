/* gatehouse proxy-config: what it prints for each kind of proxy, and that no value is anything but a value. */
#include "server/commands/commands.h"
#include "server/commands/proxy_template.h"
#include "tests/unit/run_command.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ARGS = 40 };

static const char *const kinds[] = {"nginx", "haproxy", "caddy", "envoy", "traefik"};
enum { NUM_KINDS = sizeof kinds / sizeof kinds[0] };

struct arguments {
    const char *v[MAX_ARGS];
    size_t num;
};

static void add(struct arguments *a, const char *option, const char *value) {
    ck_assert_uint_lt(a->num + 3, MAX_ARGS);
    a->v[a->num++] = option;
    a->v[a->num++] = value;
}

static struct arguments kind_with(const char *kind, const char *option, const char *value) {
    struct arguments a = {.v = {"proxy-config"}, .num = 1};
    add(&a, "--kind", kind);
    if (option == NULL || strcmp(option, "--server-name") != 0) {
        add(&a, "--server-name", "app.example");
    }
    if (option == NULL || strcmp(option, "--gateway") != 0) {
        add(&a, "--gateway", "https://gate.example:8443");
    }
    if (option != NULL) {
        add(&a, option, value);
    }
    return a;
}

/* What it prints; the caller frees. */
static char *prints(const struct arguments *a) {
    struct command_run run;
    run_command(&run, command_proxy_config, a->v, NULL);
    ck_assert_msg(run.status == 0, "%d: %s", run.status, run.err);
    ck_assert_str_eq(run.err, "");
    char *out = run.out;
    run.out = NULL;
    command_run_free(&run);
    return out;
}

static void holds(const struct arguments *a, const char *text) {
    char *out = prints(a);
    ck_assert_msg(strstr(out, text) != NULL, "lacks \"%s\":\n%s", text, out);
    free(out);
}

static void lacks(const struct arguments *a, const char *text) {
    char *out = prints(a);
    ck_assert_msg(strstr(out, text) == NULL, "has \"%s\":\n%s", text, out);
    free(out);
}

static void refuses(int status, const struct arguments *a, const char *words) {
    struct command_run run;
    run_command(&run, command_proxy_config, a->v, NULL);
    ck_assert_msg(run.status == status, "%d: %s%s", run.status, run.out, run.err);
    ck_assert_msg(strstr(run.err, words) != NULL, "\"%s\" lacks \"%s\"", run.err, words);
    ck_assert_str_eq(run.out, "");
    command_run_free(&run);
}

static void refuses_value(const char *kind, const char *option, const char *value,
                          const char *words) {
    struct arguments a = kind_with(kind, option, value);
    refuses(1, &a, words);
}

/* --- what is printed ---------------------------------------------------------------------------- */

START_TEST(each_kind_is_printed_with_no_placeholder_left) {
    struct arguments a = kind_with(kinds[_i], NULL, NULL);
    char *out = prints(&a);
    ck_assert_uint_gt(strlen(out), 1000);
    ck_assert_ptr_null(strstr(out, "#@"));
    for (const char *at = strchr(out, '@'); at != NULL; at = strchr(at + 1, '@')) {
        size_t len = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");
        ck_assert_msg(len == 0 || at[1 + len] != '@', "%.40s", at);
    }
    free(out);
}
END_TEST

START_TEST(each_kind_clears_every_dialect_and_the_devices_headers) {
    struct arguments a = kind_with(kinds[_i], NULL, NULL);
    char *out = prints(&a);
    for (char *c = out; *c != '\0'; c++) {
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
    }
    static const char *const headers[] = {
        "x-device-",   "x-ssl-client-", "x-forwarded-client-cert",
        "client-cert", "x-client-cert", "x-forwarded-tls-client-cert"};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        ck_assert_msg(strstr(out, headers[i]) != NULL, "%s lacks %s", kinds[_i], headers[i]);
    }
    free(out);
}
END_TEST

START_TEST(values_come_into_each_kind) {
    static const char *const paths[][2] = {
        {"--cert", "/a/site.pem"},        {"--access-ca", "/a/access.pem"},
        {"--gateway-ca", "/a/gw-ca.pem"}, {"--gateway-cert", "/a/proxy+1.pem"},
        {"--upstream", "10.9.8.7:1234"},  {"--policy", "gold_1"}};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct arguments a = kind_with(kinds[_i], paths[i][0], paths[i][1]);
        if (strcmp(kinds[_i], "envoy") == 0 && strcmp(paths[i][0], "--upstream") == 0) {
            holds(&a, "{ address: \"10.9.8.7\", port_value: 1234 }");
        } else {
            holds(&a, paths[i][1]);
        }
    }
}
END_TEST

START_TEST(a_policy_is_a_part_of_the_path) {
    static const char *const wanted[][2] = {
        {"proxy_pass https://gatehouse/v1/authorize/gold;",
         "proxy_pass https://gatehouse/v1/authorize;"},
        {"lua.gatehouse /v1/authorize/gold\n", "lua.gatehouse /v1/authorize\n"},
        {"uri /v1/authorize/gold\n", "uri /v1/authorize\n"},
        {"path_prefix: \"/v1/authorize/gold\"", "path_prefix: \"/v1/authorize/-\""},
        {"address: \"https://gate.example:8443/v1/authorize/gold\"",
         "address: \"https://gate.example:8443/v1/authorize\""}};
    struct arguments gold = kind_with(kinds[_i], "--policy", "gold");
    struct arguments usual = kind_with(kinds[_i], NULL, NULL);
    holds(&gold, wanted[_i][0]);
    holds(&usual, wanted[_i][1]);
}
END_TEST

START_TEST(a_crl_is_used_where_the_proxy_takes_one) {
    static const struct {
        const char *kind, *with, *without;
    } all[] = {{"nginx", "    ssl_crl /a/x.crl;", "    #ssl_crl "},
               {"haproxy", " crl-file /a/x.crl verify required", "\"crl-file "},
               {"envoy", "                  crl: { filename: \"/a/x.crl\" }", "#crl: "}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct arguments with = kind_with(all[i].kind, "--crl", "/a/x.crl");
        struct arguments without = kind_with(all[i].kind, NULL, NULL);
        holds(&with, all[i].with);
        lacks(&with, all[i].without);
        holds(&without, all[i].without);
    }
    refuses_value("caddy", "--crl", "/a/x.crl", "caddy has no use for --crl");
    refuses_value("traefik", "--crl", "/a/x.crl", "traefik has no use for --crl");
}
END_TEST

START_TEST(a_unix_socket_takes_the_place_of_tls) {
    static const char *const wanted[][2] = {{"nginx", "server unix:/run/g/proxy.sock;"},
                                            {"haproxy", "server gatehouse unix@/run/g/proxy.sock"},
                                            {"caddy", "forward_auth unix//run/g/proxy.sock {"},
                                            {"envoy", "pipe: { path: \"/run/g/proxy.sock\" }"}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct arguments a = kind_with(wanted[i][0], "--gateway", "unix:/run/g/proxy.sock");
        holds(&a, wanted[i][1]);
        lacks(&a, "gateway-ca.pem");
        add(&a, "--gateway-ca", "/a/x.pem");
        refuses(1, &a, "has no use for --gateway-ca");
    }
    refuses_value("traefik", "--gateway", "unix:/run/g/proxy.sock", "Unix socket");
}
END_TEST

START_TEST(other_parts_are_printed_on_their_own) {
    struct arguments lua = {.v = {"proxy-config", "--kind", "haproxy", "--part", "lua"}, .num = 5};
    struct arguments traefik = {.v = {"proxy-config", "--kind", "traefik", "--part", "static"},
                                .num = 5};
    holds(&lua, "core.register_action(\"gatehouse\"");
    holds(&traefik, "address: \"0.0.0.0:443\"");
    add(&traefik, "--listen", "[2001:db8::1]:8443");
    add(&traefik, "--dynamic", "/t/d.yaml");
    holds(&traefik, "address: \"[2001:db8::1]:8443\"");
    holds(&traefik, "filename: \"/t/d.yaml\"");
    add(&lua, "--listen", "127.0.0.1:1");
    refuses(1, &lua, "haproxy/lua has no use for --listen");
}
END_TEST

START_TEST(the_gateways_name_is_that_of_its_url_unless_said_otherwise) {
    struct arguments a = kind_with("nginx", NULL, NULL);
    holds(&a, "proxy_ssl_name gate.example;");
    add(&a, "--gateway-name", "gatehouse.internal");
    holds(&a, "proxy_ssl_name gatehouse.internal;");
    holds(&a, "server gate.example:8443;");
    for (size_t i = 0; i < 4; i++) { /* all but traefik */
        refuses_value(kinds[i], "--gateway", "https://192.0.2.7:8443", "--gateway-name is missing");
        refuses_value(kinds[i], "--gateway", "https://[2001:db8::7]:8443",
                      "--gateway-name is missing");
    }
    struct arguments t = kind_with("traefik", "--gateway", "https://192.0.2.7:8443");
    holds(&t, "address: \"https://192.0.2.7:8443/v1/authorize\"");
    refuses_value("traefik", "--gateway-name", "x.example",
                  "traefik has no use for --gateway-name");
}
END_TEST

START_TEST(an_ipv6_address_has_brackets_where_the_proxy_wants_them) {
    struct arguments envoy = kind_with("envoy", "--listen", "[::]:443");
    struct arguments caddy = kind_with("caddy", "--upstream", "[2001:db8::1]:80");
    holds(&envoy, "{ address: \"::\", port_value: 443 }");
    holds(&caddy, "reverse_proxy [2001:db8::1]:80\n");
}
END_TEST

/* --- what is refused ---------------------------------------------------------------------------- */

static const char *const hostile[] = {"/a b",     "/a\nssl_verify_client off;",
                                      "/a;b",     "/a{b}",
                                      "/a\"b",    "/a'b",
                                      "/a`b",     "/a$ssl_client_raw_cert",
                                      "/a\\b",    "/a#b",
                                      "/a%b",     "/a@b",
                                      "/a|b",     "/a&b",
                                      "/a*b",     "/a\tb",
                                      "/a\x7f",   "/a\xc3\xa4",
                                      "/a,b",     "/a:b",
                                      "/a~b",     "/a<b>",
                                      "/a(b)",    "/a[b]",
                                      "relative", "",
                                      "/",        "/a/",
                                      "./a",      "/a!b",
                                      "/a?b",     "/a\r"};
enum { NUM_HOSTILE = sizeof hostile / sizeof hostile[0] };

START_TEST(a_path_is_a_path_and_nothing_else) {
    static const char *const options[] = {"--cert",        "--key",        "--access-ca",
                                          "--crl",         "--gateway-ca", "--gateway-cert",
                                          "--gateway-key", "--lua",        "--dynamic"};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        for (size_t k = 0; k < NUM_KINDS; k++) {
            refuses_value(kinds[k], options[i], hostile[_i], options[i]);
        }
    }
    char socket[64];
    (void)snprintf(socket, sizeof socket, "unix:%s", hostile[_i]);
    refuses_value("nginx", "--gateway", socket, "--gateway");
}
END_TEST

START_TEST(a_path_of_201_bytes_is_refused) {
    char path[202];
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[201] = '\0';
    refuses_value("nginx", "--cert", path, "--cert");
    path[200] = '\0';
    struct arguments a = kind_with("nginx", "--cert", path);
    holds(&a, path);
}
END_TEST

START_TEST(a_name_is_a_hosts_name_and_nothing_else) {
    static const char *const bad[] = {"",        "a b",   "a;b",  "a`) || Host(`b",
                                      "a\"b",    "a\nb",  "*",    "*.a.b",
                                      "a..b",    ".a",    "a.",   "-a",
                                      "a-",      "a_b",   "a/b",  "a:1",
                                      "1.2.3.4", "[::1]", "a{b}", "$host",
                                      "123"};
    static const char *const good[] = {"a", "a.b", "A-1.b2", "1a.example"};
    char label[65];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t k = 0; k < NUM_KINDS; k++) {
            refuses_value(kinds[k], "--server-name", bad[i], "--server-name");
        }
        refuses_value("nginx", "--gateway-name", bad[i], "--gateway-name");
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct arguments a = kind_with("nginx", "--server-name", good[i]);
        holds(&a, good[i]);
    }
    memset(label, 'a', 64);
    label[64] = '\0';
    refuses_value("nginx", "--server-name", label, "--server-name");
}
END_TEST

START_TEST(an_address_is_host_and_port_and_nothing_else) {
    static const char *const bad[] = {
        "",        "app",      "app:",   ":80",        "app:0",   "app:65536", "app:-1",
        "app:80 ", "app:8x",   "a b:80", "app:80;",    "[::1]80", "[::1:80",   "::1:80",
        "app:",    "app:80/x", "a$b:80", "app:080000", "[zz]:80", "a@b:80",    "[]:80"};
    static const char *const listens[] = {"app.example:80", "localhost:80", "unix:/a", "*:80",
                                          "80"};
    char url[64];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refuses_value("caddy", "--upstream", bad[i], "--upstream");
        refuses_value("caddy", "--listen", bad[i], "--listen");
        (void)snprintf(url, sizeof url, "https://%s", bad[i]);
        refuses_value("caddy", "--gateway", url, "--gateway");
    }
    for (size_t i = 0; i < sizeof listens / sizeof listens[0]; i++) {
        refuses_value("nginx", "--listen", listens[i], "--listen");
    }
    static const char *const urls[] = {"http://gate.example:8443",   "gate.example:8443",
                                       "https://gate.example:8443/", "https://u@gate.example:1",
                                       "HTTPS://gate.example:1",     "unix:run/x"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        refuses_value("nginx", "--gateway", urls[i], "--gateway");
    }
}
END_TEST

START_TEST(a_policy_is_a_name_and_nothing_else) {
    char name[66];
    static const char *const bad[] = {"",    "-",   ".",    "..",   "a/b", "a b",
                                      "a?b", "a;b", "../x", "a%2e", "a\nb"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t k = 0; k < NUM_KINDS; k++) {
            refuses_value(kinds[k], "--policy", bad[i], "--policy");
        }
    }
    memset(name, 'a', 65);
    name[65] = '\0';
    refuses_value("nginx", "--policy", name, "--policy");
}
END_TEST

START_TEST(what_is_missing_or_of_no_use_is_named) {
    struct arguments bare = {.v = {"proxy-config", "--kind", "nginx"}, .num = 3};
    refuses(1, &bare, "is missing");
    add(&bare, "--server-name", "a");
    refuses(1, &bare, "--gateway");
    refuses_value("haproxy", "--key", "/a/k", "the key belongs into the certificate's file");
    refuses_value("haproxy", "--gateway-key", "/a/k",
                  "the key belongs into the certificate's file");
    refuses_value("nginx", "--lua", "/a/l", "nginx has no use for --lua");
    refuses_value("traefik", "--listen", "127.0.0.1:1", "traefik has no use for --listen");
    refuses_value("apache", NULL, NULL, "--kind");
    refuses_value("nginx", "--part", "lua", "--part");
    refuses_value("haproxy", "--part", "static", "--part");
}
END_TEST

START_TEST(wrong_use_is_wrong_use) {
    struct arguments all[] = {
        {.v = {"proxy-config"}, .num = 1},
        {.v = {"proxy-config", "--kind"}, .num = 2},
        {.v = {"proxy-config", "nginx"}, .num = 2},
        {.v = {"proxy-config", "--kind", "nginx", "--kind", "caddy"}, .num = 5},
        {.v = {"proxy-config", "--kind", "nginx", "--nonsense", "x"}, .num = 5},
        {.v = {"proxy-config", "--server-name", "x"}, .num = 3}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        refuses(2, &all[i], "");
    }
}
END_TEST

/* --- the templates' own language ------------------------------------------------------------------ */

static enum status fills(char out[static 64], const char *text, struct detail *detail) {
    struct proxy_value values[] = {{"a", "--a", "A", false}, {"none", "--none", NULL, false}};
    char buffer[64] = {0};
    struct writer w = writer_of(buffer, 16);
    enum status status = proxy_template_fill(&w, bytes_of_text(text), values, 2, detail);
    memcpy(out, buffer, 64);
    return status;
}

START_TEST(a_template_keeps_what_is_no_placeholder) {
    static const char *const same[] = {"x@y\n", "@type\n", "@@\n", "a@",
                                       "@A@\n", "@a b@\n", "@\n",  "\n\n"};
    char out[64], wanted[64];
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        ck_assert_int_eq(fills(out, same[i], NULL), STATUS_OK);
        (void)snprintf(wanted, sizeof wanted, "%s%s", same[i],
                       strchr(same[i], '\n') == NULL ? "\n" : "");
        ck_assert_str_eq(out, wanted);
    }
    ck_assert_int_eq(fills(out, "@@a@@\n", NULL), STATUS_OK);
    ck_assert_str_eq(out, "@A@\n");
}
END_TEST

START_TEST(a_template_keeps_lines_by_whether_a_value_is_there) {
    char out[64];
    ck_assert_int_eq(fills(out, "#@if a\n1@a@\n#@else\n2\n#@end\n3\n", NULL), STATUS_OK);
    ck_assert_str_eq(out, "1A\n3\n");
    ck_assert_int_eq(fills(out, "#@if none\n1@none@\n#@else\n2\n#@end\n3\n", NULL), STATUS_OK);
    ck_assert_str_eq(out, "2\n3\n");
}
END_TEST

START_TEST(a_template_that_is_wrong_is_not_printed) {
    struct detail detail = {0};
    char out[64];
    ck_assert_int_eq(fills(out, "@b@\n", &detail), STATUS_INTERNAL);
    ck_assert_int_eq(fills(out, "#@if b\n#@end\n", &detail), STATUS_INTERNAL);
    ck_assert_int_eq(fills(out, "#@if a\n", &detail), STATUS_INTERNAL);
    ck_assert_int_eq(fills(out, "#@if a\n#@if a\n#@end\n#@end\n", &detail), STATUS_INTERNAL);
    ck_assert_int_eq(fills(out, "0123456789abcdef\n", &detail), STATUS_LIMIT);
    ck_assert_int_eq(fills(out, "@none@\n", &detail), STATUS_NOT_FOUND);
    ck_assert_str_eq(detail.text, "--none is missing");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("proxy_config");
    TCase *tcase = tcase_create("proxy_config");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, each_kind_is_printed_with_no_placeholder_left, 0, NUM_KINDS);
    tcase_add_loop_test(tcase, each_kind_clears_every_dialect_and_the_devices_headers, 0,
                        NUM_KINDS);
    tcase_add_loop_test(tcase, values_come_into_each_kind, 0, NUM_KINDS);
    tcase_add_loop_test(tcase, a_policy_is_a_part_of_the_path, 0, NUM_KINDS);
    tcase_add_test(tcase, a_crl_is_used_where_the_proxy_takes_one);
    tcase_add_test(tcase, a_unix_socket_takes_the_place_of_tls);
    tcase_add_test(tcase, other_parts_are_printed_on_their_own);
    tcase_add_test(tcase, the_gateways_name_is_that_of_its_url_unless_said_otherwise);
    tcase_add_test(tcase, an_ipv6_address_has_brackets_where_the_proxy_wants_them);
    tcase_add_loop_test(tcase, a_path_is_a_path_and_nothing_else, 0, NUM_HOSTILE);
    tcase_add_test(tcase, a_path_of_201_bytes_is_refused);
    tcase_add_test(tcase, a_name_is_a_hosts_name_and_nothing_else);
    tcase_add_test(tcase, an_address_is_host_and_port_and_nothing_else);
    tcase_add_test(tcase, a_policy_is_a_name_and_nothing_else);
    tcase_add_test(tcase, what_is_missing_or_of_no_use_is_named);
    tcase_add_test(tcase, wrong_use_is_wrong_use);
    tcase_add_test(tcase, a_template_keeps_what_is_no_placeholder);
    tcase_add_test(tcase, a_template_keeps_lines_by_whether_a_value_is_there);
    tcase_add_test(tcase, a_template_that_is_wrong_is_not_printed);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
