/* What the transport takes for a TLS connection, and what it does not. */
#include <wolfssl/options.h>

#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/crypto/digest.h"
#include "tests/unit/transport_fixture.h"

#include <wolfssl/ssl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELLO "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"
#define PEER  "GET /peer HTTP/1.1\r\nHost: h\r\n\r\n"

static struct fixture f;

static void set_up(void) {
    fixture_start(&f, 1, NULL);
}

static void tear_down(void) {
    fixture_stop(&f);
}

/* A TLS 1.3 client learns of a refusal after its own side is done: so refusals are judged by
 * whether a request is served. */
static bool is_served(uint16_t port, const struct client_options *options) {
    struct client *c = client_connect(port, options);
    ck_assert_ptr_nonnull(c);
    struct answer answer = {0};
    bool served = client_handshake(c);
    if (served) {
        client_print(c, HELLO);
        served = client_read_answer(c, &answer, false) && answer.status == 200;
        answer_free(&answer);
    }
    client_free(c);
    return served;
}

static void assert_refused(uint16_t port, const struct client_options *options) {
    unsigned admitted = atomic_load(&f.served.admitted);
    ck_assert(!is_served(port, options));
    ck_assert_uint_eq(atomic_load(&f.served.admitted), admitted);
    ck_assert(fixture_quiet(&f));
}

START_TEST(transport_serves_a_client_of_its_authority) {
    ck_assert(is_served(f.mutual, &mutual_client));
    struct transport_counters counters;
    transport_count(f.transport, "mutual", &counters);
    ck_assert_uint_eq(counters.accepted, 1);
    ck_assert_uint_eq(counters.handshakes, 1);
    ck_assert_uint_eq(counters.requests, 1);
    ck_assert_uint_eq(counters.handshake_failures, 0);
}
END_TEST

START_TEST(transport_serves_without_a_certificate_where_none_is_asked_for) {
    ck_assert(is_served(f.server, NULL));
}
END_TEST

START_TEST(transport_refuses_a_client_without_a_certificate) {
    assert_refused(f.mutual, NULL);
    struct transport_counters counters;
    transport_count(f.transport, "mutual", &counters);
    ck_assert_uint_eq(counters.handshake_failures, 1);
    ck_assert_uint_eq(counters.handshakes, 0);
}
END_TEST

START_TEST(transport_refuses_a_certificate_of_another_authority) {
    assert_refused(f.mutual, &(struct client_options){.certificate = "foreign"});
}
END_TEST

START_TEST(transport_refuses_a_self_signed_certificate) {
    assert_refused(f.mutual, &(struct client_options){.certificate = "selfsigned"});
}
END_TEST

START_TEST(transport_refuses_an_expired_certificate) {
    assert_refused(f.mutual, &(struct client_options){.certificate = "expired"});
}
END_TEST

START_TEST(transport_refuses_a_certificate_that_is_not_for_clients) {
    assert_refused(f.mutual, &(struct client_options){.certificate = "serverauth"});
}
END_TEST

START_TEST(transport_refuses_tls12_unless_configured) {
    assert_refused(f.mutual, &(struct client_options){.certificate = "client", .tls12 = true});
    assert_refused(f.server, &(struct client_options){.tls12 = true});
}
END_TEST

START_TEST(transport_takes_tls12_where_configured_and_still_wants_the_certificate) {
    struct fixture other;
    struct transport_plane planes[3];
    fixture_planes(&other, planes, NULL);
    planes[0].listen[1] = NULL;
    planes[0].tls12 = planes[1].tls12 = true;
    fixture_start_planes(&other, 1, planes);
    ck_assert(
        is_served(other.mutual, &(struct client_options){.certificate = "client", .tls12 = true}));
    ck_assert(is_served(other.mutual, &mutual_client));
    ck_assert(is_served(other.server, &(struct client_options){.tls12 = true}));
    ck_assert(!is_served(other.mutual, &(struct client_options){.tls12 = true}));
    ck_assert(!is_served(other.mutual,
                         &(struct client_options){.certificate = "foreign", .tls12 = true}));
    ck_assert(!is_served(other.mutual,
                         &(struct client_options){.certificate = "expired", .tls12 = true}));
    fixture_stop(&other);
}
END_TEST

START_TEST(transport_refuses_plain_http_on_a_tls_port) {
    struct client *c = client_open(f.mutual, &plain_client);
    client_print(c, HELLO);
    char buf[512];
    long n = client_read(c, buf, sizeof buf);
    ck_assert(n <= 0 || memmem(buf, (size_t)n, "HTTP", 4) == NULL);
    client_free(c);
    ck_assert(fixture_quiet(&f));
    ck_assert_uint_eq(f.served.admitted, 0);
}
END_TEST

START_TEST(transport_survives_garbage_instead_of_a_handshake) {
    for (unsigned seed = 0; seed < 64; seed++) {
        struct client *c = client_open(f.mutual, &plain_client);
        uint8_t junk[600];
        for (size_t i = 0; i < sizeof junk; i++) {
            junk[i] = (uint8_t)((seed * 2654435761u + i * 40503u) >> (seed % 13));
        }
        memcpy(junk, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", seed % 12);
        client_write(c, junk, sizeof junk);
        (void)client_flush(c);
        client_free(c);
    }
    ck_assert(fixture_quiet(&f));
    ck_assert(is_served(f.mutual, &mutual_client));
}
END_TEST

START_TEST(transport_survives_a_handshake_cut_at_every_point) {
    size_t len = 1;
    for (size_t cut = 0; cut < len; cut += 11) {
        struct client *c = client_connect(f.mutual, &mutual_client);
        client_begin(c);
        len = client_held(c);
        client_flush_part(c, cut);
        client_free(c);
    }
    ck_assert_uint_gt(len, 100);
    len = 1;
    for (size_t cut = 0; cut < len; cut += 31) {
        struct client *c = client_open(f.mutual, &mutual_client);
        len = client_held(c); /* certificate to Finished */
        client_flush_part(c, cut);
        client_free(c);
    }
    ck_assert_uint_gt(len, 400);
    ck_assert(fixture_quiet(&f));
    ck_assert_uint_eq(f.served.admitted, 0);
    ck_assert(is_served(f.mutual, &mutual_client));
}
END_TEST

START_TEST(transport_agrees_on_every_group_and_cipher_it_offers) {
    static const char *const groups[] = {"x25519", "p256", "p384"};
    static const char *const ciphers[] = {"TLS13-AES128-GCM-SHA256", "TLS13-AES256-GCM-SHA384",
                                          "TLS13-CHACHA20-POLY1305-SHA256"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert(is_served(
            f.mutual, &(struct client_options){.certificate = "client", .groups = groups[i]}));
        ck_assert(is_served(
            f.mutual, &(struct client_options){.certificate = "client", .cipher = ciphers[i]}));
    }
}
END_TEST

/* --- who the peer is ------------------------------------------------------------------------ */

static void assert_peer(const char *name, size_t num_chain) {
    struct client *c = client_open(f.mutual, &(struct client_options){.certificate = name});
    struct answer answer = client_ask(c, 200, PEER);
    uint8_t *der, hash[32];
    size_t der_len = pki_der(&der, name);
    digest_compute(HASH_SHA256, bytes_of(der, der_len), hash);
    free(der);
    char hex[65], expected[256];
    hex_encode(hex, bytes_of(hash, sizeof hash));
    (void)snprintf(expected, sizeof expected, "1 0 127.0.0.1 %zu %zu %s", num_chain, der_len, hex);
    ck_assert_str_eq((const char *)answer.body, expected);
    answer_free(&answer);
    client_free(c);
}

START_TEST(transport_peer_is_the_verified_leaf_and_its_hash) {
    assert_peer("client", 1);
    assert_peer("client2", 1);
    assert_peer("client-rsa", 1);
}
END_TEST

START_TEST(transport_peer_has_the_whole_chain_leaf_first) {
    assert_peer("client-chain", 2);
}
END_TEST

START_TEST(transport_peer_is_not_authenticated_where_no_certificate_is_asked_for) {
    struct client *c = client_open(f.server, &mutual_client);
    struct answer answer = client_ask(c, 200, PEER);
    ck_assert_int_eq(strncmp((const char *)answer.body, "0 0 127.0.0.1 0 0 00000000", 26), 0);
    answer_free(&answer);
    client_free(c);
}
END_TEST

START_TEST(transport_peer_of_a_unix_socket_is_local_and_not_authenticated) {
    struct client *c = client_open(0, &(struct client_options){.unix_path = f.unix_path + 5});
    struct answer answer = client_ask(c, 200, PEER);
    ck_assert_int_eq(strncmp((const char *)answer.body, "0 1 local 0 0 00000000", 22), 0);
    answer_free(&answer);
    client_free(c);
}
END_TEST

START_TEST(transport_peer_is_the_same_for_every_request_of_a_connection) {
    struct client *c = client_open(f.mutual, &mutual_client);
    struct answer first = client_ask(c, 200, PEER);
    for (int i = 0; i < 5; i++) {
        struct answer again = client_ask(c, 200, PEER);
        ck_assert_str_eq((const char *)first.body, (const char *)again.body);
        answer_free(&again);
    }
    answer_free(&first);
    client_free(c);
}
END_TEST

/* --- resumption ----------------------------------------------------------------------------- */

/* openssl s_client is the other implementation here: it asks for tickets, offers a PSK, and says
 * what it got. */
static bool openssl_says(const char *options, const char *text) {
    char command[2048], line[1024];
    (void)snprintf(command, sizeof command,
                   "(printf 'GET /hello HTTP/1.1\\r\\nHost: h\\r\\nConnection: close\\r\\n\\r\\n'; "
                   "sleep 0.4) | timeout 5 openssl s_client -connect 127.0.0.1:%u -CAfile %s "
                   "-cert %s -key %s %s 2>&1",
                   f.mutual, pki_file("ca.pem"), pki_file("client.pem"), pki_file("client.key"),
                   options);
    FILE *out = popen(command, "r");
    ck_assert_ptr_nonnull(out);
    bool found = false;
    while (fgets(line, sizeof line, out) != NULL) {
        found = found || strstr(line, text) != NULL;
    }
    (void)pclose(out);
    return found;
}

START_TEST(transport_serves_another_tls_implementation) {
    ck_assert(openssl_says("", "HTTP/1.1 200 OK"));
    ck_assert(openssl_says("-tls1_3 -curves P-256", "HTTP/1.1 200 OK"));
}
END_TEST

START_TEST(transport_gives_no_session_ticket) {
    ck_assert(!openssl_says("", "Session-ID: "));
    ck_assert(!openssl_says("", "Post-Handshake New Session Ticket"));
}
END_TEST

START_TEST(transport_gives_a_client_that_offers_a_psk_a_full_handshake) {
    const char *psk = "-psk 00112233445566778899aabbccddeeff -psk_identity someone";
    ck_assert(openssl_says(psk, "HTTP/1.1 200 OK"));
    ck_assert(!openssl_says(psk, "Reused, TLSv1.3"));
    ck_assert(openssl_says(psk, "New, TLSv1.3"));
}
END_TEST

START_TEST(transport_does_not_renegotiate) {
    struct fixture other;
    struct transport_plane planes[3];
    fixture_planes(&other, planes, NULL);
    planes[0].listen[1] = NULL;
    planes[0].tls12 = true;
    fixture_start_planes(&other, 1, planes);
    char command[2048], line[1024];
    (void)snprintf(
        command, sizeof command,
        "(printf 'R\\n'; sleep 0.4; printf 'GET /hello HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n'; "
        "sleep 0.4) | timeout 5 openssl s_client -tls1_2 -connect 127.0.0.1:%u -CAfile %s "
        "-cert %s -key %s 2>&1",
        other.mutual, pki_file("ca.pem"), pki_file("client.pem"), pki_file("client.key"));
    FILE *out = popen(command, "r");
    ck_assert_ptr_nonnull(out);
    bool served = false, connected = false;
    while (fgets(line, sizeof line, out) != NULL) {
        connected = connected || strstr(line, "RENEGOTIATING") != NULL;
        served = served || strstr(line, "200 OK") != NULL;
    }
    (void)pclose(out);
    ck_assert(connected);
    ck_assert(!served);
    fixture_stop(&other);
}
END_TEST

/* --- reloading ------------------------------------------------------------------------------ */

START_TEST(transport_reload_uses_new_certificates_and_keeps_live_connections) {
    struct fixture other;
    struct transport_plane planes[3];
    struct detail detail = {0};
    pki_copy("server.pem", "live.pem");
    pki_copy("server.key", "live.key");
    pki_copy("ca.pem", "anchors.pem");
    fixture_planes(&other, planes, NULL);
    planes[0].listen[1] = NULL;
    for (int i = 0; i < 2; i++) {
        planes[i].certificate_file = pki_file("live.pem");
        planes[i].key_file = pki_file("live.key");
    }
    planes[0].anchors_file = pki_file("anchors.pem");
    fixture_start_planes(&other, 2, planes);
    struct client *old = client_open(other.mutual, &mutual_client);
    client_expect(old, 200, HELLO);

    pki_copy("foreign-server.pem", "live.pem");
    pki_copy("foreign-server.key", "live.key");
    pki_copy("foreign-ca.pem", "anchors.pem");
    ck_assert_int_eq(transport_reload(other.transport, &detail), STATUS_OK);
    ck_assert(!is_served(other.mutual, &mutual_client));
    ck_assert(is_served(
        other.mutual, &(struct client_options){.certificate = "foreign", .trusts = "foreign-ca"}));
    client_expect(old, 200, HELLO);
    client_free(old);
    fixture_stop(&other);
}
END_TEST

START_TEST(transport_reload_that_fails_changes_nothing) {
    struct fixture other;
    struct transport_plane planes[3];
    struct detail detail = {0};
    pki_copy("server.pem", "live.pem");
    pki_copy("server.key", "live.key");
    fixture_planes(&other, planes, NULL);
    planes[0].listen[1] = NULL;
    planes[1].certificate_file = pki_file("live.pem");
    planes[1].key_file = pki_file("live.key");
    fixture_start_planes(&other, 1, planes);
    pki_copy("server2.key", "live.key"); /* not the certificate's */
    ck_assert_int_eq(transport_reload(other.transport, &detail), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(detail.text, "plane server"));
    ck_assert(is_served(other.mutual, &mutual_client));
    ck_assert(is_served(other.server, NULL));
    fixture_stop(&other);
}
END_TEST

/* --- starting ------------------------------------------------------------------------------- */

static enum status start_with(const struct transport_plane planes[static 3],
                              struct detail *detail) {
    struct transport *t = NULL;
    enum status status =
        transport_start(&t, &(struct transport_options){.workers = 1}, planes, 3, detail);
    if (status == STATUS_OK) {
        transport_stop(t, 0);
        transport_free(t);
    } else {
        ck_assert_ptr_null(t);
    }
    return status;
}

START_TEST(transport_start_refuses_what_it_cannot_load) {
    struct fixture other;
    struct transport_plane planes[3];
    struct detail detail = {0};
    for (int i = 0; i < 7; i++) {
        fixture_planes(&other, planes, NULL);
        planes[0].listen[1] = NULL;
        struct transport_plane *plane = &planes[0];
        switch (i) {
        case 0:
            plane->certificate_file = pki_file("absent.pem");
            break;
        case 1:
            plane->key_file = pki_file("absent.key");
            break;
        case 2:
            plane->anchors_file = pki_file("absent.pem");
            break;
        case 3:
            plane->anchors_file = NULL;
            break;
        case 4:
            plane->key_file = pki_file("client.key");
            break;
        case 5:
            plane->certificate_file = NULL;
            break;
        default:
            plane->anchors_file = pki_file("server.key");
        }
        enum status status = start_with(planes, &detail);
        ck_assert_msg(status == STATUS_INVALID, "case %d: %s", i, status_name(status));
        ck_assert_ptr_nonnull(strstr(detail.text, "plane mutual"));
    }
}
END_TEST

START_TEST(transport_a_stalled_handshake_is_closed_and_blocks_nobody) {
    struct fixture other;
    struct transport_limits limits = fixture_limits();
    limits.handshake_ms = 200;
    struct transport_plane planes[3];
    fixture_planes(&other, planes, &limits);
    planes[0].listen[1] = NULL;
    fixture_start_planes(&other, 1, planes);
    struct client *silent = client_open(other.mutual, &plain_client);
    struct client *half = client_open(other.mutual, &plain_client);
    client_write(half, "\x16\x03\x01\x02\x00\x01", 6);
    (void)client_flush(half);
    for (int i = 0; i < 5; i++) {
        ck_assert(is_served(other.mutual, &mutual_client));
    }
    int64_t before = clock_monotonic_ms();
    ck_assert(client_at_end(silent));
    ck_assert(client_at_end(half));
    ck_assert_int_lt(clock_monotonic_ms() - before, 1000);
    struct transport_counters counters;
    transport_count(other.transport, "mutual", &counters);
    ck_assert_uint_eq(counters.handshake_timeouts, 2);
    client_free(silent);
    client_free(half);
    fixture_stop(&other);
}
END_TEST

int main(void) {
    pki_make();
    Suite *suite = suite_create("tls");
    TCase *tests = tcase_create("tls");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, transport_serves_a_client_of_its_authority);
    tcase_add_test(tests, transport_serves_without_a_certificate_where_none_is_asked_for);
    tcase_add_test(tests, transport_refuses_a_client_without_a_certificate);
    tcase_add_test(tests, transport_refuses_a_certificate_of_another_authority);
    tcase_add_test(tests, transport_refuses_a_self_signed_certificate);
    tcase_add_test(tests, transport_refuses_an_expired_certificate);
    tcase_add_test(tests, transport_refuses_a_certificate_that_is_not_for_clients);
    tcase_add_test(tests, transport_refuses_tls12_unless_configured);
    tcase_add_test(tests, transport_takes_tls12_where_configured_and_still_wants_the_certificate);
    tcase_add_test(tests, transport_refuses_plain_http_on_a_tls_port);
    tcase_add_test(tests, transport_survives_garbage_instead_of_a_handshake);
    tcase_add_test(tests, transport_survives_a_handshake_cut_at_every_point);
    tcase_add_test(tests, transport_agrees_on_every_group_and_cipher_it_offers);
    tcase_add_test(tests, transport_peer_is_the_verified_leaf_and_its_hash);
    tcase_add_test(tests, transport_peer_has_the_whole_chain_leaf_first);
    tcase_add_test(tests, transport_peer_is_not_authenticated_where_no_certificate_is_asked_for);
    tcase_add_test(tests, transport_peer_of_a_unix_socket_is_local_and_not_authenticated);
    tcase_add_test(tests, transport_peer_is_the_same_for_every_request_of_a_connection);
    tcase_add_test(tests, transport_serves_another_tls_implementation);
    tcase_add_test(tests, transport_gives_no_session_ticket);
    tcase_add_test(tests, transport_gives_a_client_that_offers_a_psk_a_full_handshake);
    tcase_add_test(tests, transport_does_not_renegotiate);
    tcase_add_test(tests, transport_reload_uses_new_certificates_and_keeps_live_connections);
    tcase_add_test(tests, transport_reload_that_fails_changes_nothing);
    tcase_add_test(tests, transport_start_refuses_what_it_cannot_load);
    tcase_add_test(tests, transport_a_stalled_handshake_is_closed_and_blocks_nobody);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
