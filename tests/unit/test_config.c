#include "config/config.h"
#include "config/value.h"

#include "server/base/file.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Nineteen lines; what a case adds begins at line 20. */
static const char good[] = "[gateway]\n"
                           "trust_domain = fleet.example\n"
                           "[store]\n"
                           "path = gatehouse.db\n"
                           "[signer]\n"
                           "identity_key = ca/identity.key\n"
                           "identity_certificate = ca/identity.pem\n"
                           "access_key = ca/access.key\n"
                           "access_certificate = ca/access.pem\n"
                           "[device]\n"
                           "listen = 127.0.0.1:8442\n"
                           "certificate = server.pem\n"
                           "key = server.key\n"
                           "anchors = ca/identity.pem\n"
                           "[admin]\n"
                           "listen = 127.0.0.1:8444\n"
                           "certificate = server.pem\n"
                           "key = server.key\n"
                           "anchors = ca/operators.pem\n";

static char all_text[8192];
static struct detail detail;
static struct config *config;

static enum status parse(const char *path, const char *text, char *const *environment) {
    struct writer all = writer_of(all_text, sizeof all_text - 1);
    detail = (struct detail){0};
    config = NULL;
    enum status status =
        config_parse(&config, path, bytes_of_text(text), environment, &all, &detail);
    ck_assert(!all.overflow);
    all_text[all.len] = '\0';
    return status;
}

/* The good text with `more` behind it. */
static const char *with(const char *more) {
    static char text[8192];
    int len = snprintf(text, sizeof text, "%s%s", good, more);
    ck_assert(len > 0 && (size_t)len < sizeof text);
    return text;
}

/* The good text, with what begins with `from` replaced by `to` up to its end of line. */
static const char *changed(const char *from, const char *to) {
    static char text[8192];
    const char *at = strstr(good, from);
    ck_assert_ptr_nonnull(at);
    const char *end = strchr(at, '\n');
    int len = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, to, end);
    ck_assert(len > 0 && (size_t)len < sizeof text);
    return text;
}

START_TEST(good_text_is_taken_with_strict_defaults) {
    ck_assert_msg(parse("/etc/g/gatehouse.ini", good, NULL) == STATUS_OK, "%s", all_text);
    ck_assert_str_eq(all_text, "");
    ck_assert_str_eq(config->trust_domain, "fleet.example");
    ck_assert_str_eq(config->store_path, "/etc/g/gatehouse.db");
    ck_assert_str_eq(config->identity_key, "/etc/g/ca/identity.key");
    ck_assert(!config->tls12 && config->workers == 0 && config->drain_ms == 10000);
    ck_assert(config->log_level == LOG_INFO && config->log_form == LOG_JSON);
    ck_assert_ptr_null(config->log_file);
    ck_assert_int_eq(config->identity_lifetime_s, 365 * 86400);
    ck_assert(config->results_keys.num == 0 && config->events_keys.num == 0);
    ck_assert_str_eq(config->issuer, "https://fleet.example");
    ck_assert_uint_eq(config->enrolment_expiry_s, 600);
    ck_assert_uint_eq(config->enrolment_approval_expiry_s, 7 * 86400);
    ck_assert_uint_eq(config->challenge_expiry_s, 300);
    const struct config_listener *device = &config->plane[PLANE_DEVICE];
    ck_assert(device->enabled && device->listen[1] == NULL);
    ck_assert_str_eq(device->listen[0], "127.0.0.1:8442");
    ck_assert_str_eq(device->anchors, "/etc/g/ca/identity.pem");
    ck_assert_uint_eq(device->body_max, 4U << 20);
    ck_assert_uint_eq(device->header_max, 16U << 10);
    ck_assert_uint_eq(config->plane[PLANE_ADMIN].body_max, 4U << 20);
    ck_assert_uint_eq(config->plane[PLANE_PROXY].header_max, 96U << 10);
    ck_assert(!config->plane[PLANE_ENROL].enabled && !config->plane[PLANE_PROXY].enabled &&
              !config->plane[PLANE_PUBLIC].enabled);
    config_free(config);
}
END_TEST

START_TEST(every_setting_reaches_its_place) {
    const char *text =
        with("[log]\nlevel = debug\nform = text\nfile = /var/log/g.log\n"
             "[enrolment]\nek_trust = a.pem,\n  b.pem\n\t/c.pem ; a comment\n"
             "pending_max = 5\npending_per_ip = 4\nper_ip_per_minute = 3\n"
             "expiry = 11 s\napproval_expiry = 2 d\n[challenges]\nexpiry = 1m\nmax = 12\n"
             "[signer]\nidentity_lifetime = 400 d\nresults_keys = r1, /r2\nevents_keys = e1\n"
             "issuer = https://g.example:8443/fleet\n"
             "[gateway]\nworkers = 3\ntls12 = yes\ndrain = 0.25\n"
             "[enrol]\nlisten = 0.0.0.0:1, [::1]:2,\n  1.2.3.4:0\n"
             "certificate = c\nkey = k\nbody_max = 1 MiB\nheader_max = 8KiB\n"
             "connections = 10\nconnections_per_ip = 0\nhandshake_timeout = 100 ms\n"
             "header_timeout = 1.5\nbody_timeout = 2 m\nidle_timeout = 1 h\n"
             "[proxy]\nlisten = unix:p.sock\nunix_mode = 0600\nunix_dialect = rfc9440\n"
             "unix_policies = office, Lab.2,\n  x_y-z\n");
    ck_assert_msg(parse("/g/f.ini", text, NULL) == STATUS_OK, "%s", all_text);
    ck_assert(config->log_level == LOG_DEBUG && config->log_form == LOG_TEXT);
    ck_assert_str_eq(config->log_file, "/var/log/g.log");
    ck_assert_uint_eq(config->num_ek_trust, 3);
    ck_assert_str_eq(config->ek_trust[0], "/g/a.pem");
    ck_assert_str_eq(config->ek_trust[1], "/g/b.pem");
    ck_assert_str_eq(config->ek_trust[2], "/c.pem");
    ck_assert(config->enrolment_pending_max == 5 && config->enrolment_pending_per_ip == 4);
    ck_assert(config->enrolment_per_ip_per_minute == 3 && config->enrolment_expiry_s == 11);
    ck_assert_uint_eq(config->enrolment_approval_expiry_s, 2 * 86400);
    ck_assert(config->challenge_expiry_s == 60 && config->challenge_max == 12);
    ck_assert_int_eq(config->identity_lifetime_s, 400 * 86400);
    ck_assert_uint_eq(config->results_keys.num, 2);
    ck_assert_str_eq(config->results_keys.file[0], "/g/r1");
    ck_assert_str_eq(config->results_keys.file[1], "/r2");
    ck_assert_uint_eq(config->events_keys.num, 1);
    ck_assert_str_eq(config->issuer, "https://g.example:8443/fleet");
    ck_assert(config->workers == 3 && config->tls12 && config->drain_ms == 250);
    const struct config_listener *enrol = &config->plane[PLANE_ENROL];
    ck_assert_str_eq(enrol->listen[0], "0.0.0.0:1");
    ck_assert_str_eq(enrol->listen[1], "[::1]:2");
    ck_assert_str_eq(enrol->listen[2], "1.2.3.4:0");
    ck_assert_ptr_null(enrol->listen[3]);
    ck_assert(enrol->body_max == 1U << 20 && enrol->header_max == 8192);
    ck_assert(enrol->connections == 10 && enrol->connections_per_ip == 0);
    ck_assert(enrol->handshake_ms == 100 && enrol->header_ms == 1500);
    ck_assert(enrol->body_ms == 120000 && enrol->idle_ms == 3600000);
    ck_assert_str_eq(config->plane[PLANE_PROXY].listen[0], "unix:/g/p.sock");
    const struct config_listener *proxy = &config->plane[PLANE_PROXY];
    ck_assert_uint_eq(proxy->unix_mode, 0600);
    ck_assert_int_eq(proxy->unix_dialect, DIALECT_RFC9440);
    ck_assert_uint_eq(proxy->num_unix_policies, 3);
    ck_assert_str_eq(proxy->unix_policy[0], "office");
    ck_assert_str_eq(proxy->unix_policy[1], "Lab.2");
    ck_assert_str_eq(proxy->unix_policy[2], "x_y-z");
    config_free(config);
}
END_TEST

static const struct {
    const char *more;
    unsigned two_person;
} two_person[] = {
    {"", TWO_PERSON_BASELINE_APPROVAL},
    {"[admin]\ntwo_person =\n", 0},
    {"[admin]\ntwo_person = bulk_revoke\n", TWO_PERSON_BULK_REVOKE},
    {"[admin]\ntwo_person = audit_prune,\n  trust_bundle, bulk_revoke, baseline_approval\n", 15},
};

START_TEST(what_takes_two_people_is_a_list_that_replaces_the_default) {
    ck_assert_msg(parse("f.ini", with(two_person[_i].more), NULL) == STATUS_OK, "%s", all_text);
    ck_assert_uint_eq(config->plane[PLANE_ADMIN].two_person, two_person[_i].two_person);
    config_free(config);
    static char *const environment[] = {"GATEHOUSE_ADMIN_TWO_PERSON=trust_bundle", NULL};
    ck_assert_int_eq(parse("f.ini", with(two_person[_i].more), environment), STATUS_OK);
    ck_assert_uint_eq(config->plane[PLANE_ADMIN].two_person, TWO_PERSON_TRUST_BUNDLE);
    config_free(config);
    ck_assert_str_eq(config_two_person_name(TWO_PERSON_BASELINE_APPROVAL), "baseline_approval");
    ck_assert_str_eq(config_two_person_name(TWO_PERSON_AUDIT_PRUNE), "audit_prune");
}
END_TEST

START_TEST(the_annotated_file_is_taken_and_shows_the_defaults) {
    struct writer all = writer_of(all_text, sizeof all_text - 1);
    struct config *shown = NULL;
    ck_assert_msg(config_load(&shown, "config/gatehouse.ini", NULL, &all, &detail) == STATUS_OK,
                  "%s", detail.text);
    for (int i = 0; i < NUM_PLANES; i++) {
        ck_assert(shown->plane[i].enabled);
    }
    config_free(shown);
    /* The same with every comment that looks like a setting taken at its word. */
    uint8_t *text = NULL;
    size_t len = 0;
    ck_assert_int_eq(file_read(&text, &len, "config/gatehouse.ini", 100000, NULL), STATUS_OK);
    for (size_t i = 1; i + 1 < len; i++) {
        if (text[i] == '#' && text[i - 1] == '\n' && text[i + 1] >= 'a' && text[i + 1] <= 'z') {
            memmove(text + i, text + i + 1, len-- - i);
        }
    }
    ck_assert_msg(parse("config/gatehouse.ini", (const char *)text, NULL) == STATUS_OK, "%s",
                  all_text);
    struct config *plain = NULL;
    ck_assert_int_eq(config_load(&plain, "config/gatehouse.ini", NULL, NULL, NULL), STATUS_OK);
    ck_assert(config->workers == plain->workers && config->tls12 == plain->tls12);
    ck_assert(config->drain_ms == plain->drain_ms && config->log_level == plain->log_level);
    ck_assert(config->identity_lifetime_s == plain->identity_lifetime_s);
    ck_assert(config->enrolment_pending_max == plain->enrolment_pending_max);
    ck_assert(config->enrolment_pending_per_ip == plain->enrolment_pending_per_ip);
    ck_assert(config->enrolment_per_ip_per_minute == plain->enrolment_per_ip_per_minute);
    ck_assert(config->enrolment_expiry_s == plain->enrolment_expiry_s);
    ck_assert(config->enrolment_approval_expiry_s == plain->enrolment_approval_expiry_s);
    ck_assert(config->challenge_expiry_s == plain->challenge_expiry_s);
    ck_assert(config->challenge_max == plain->challenge_max);
    for (int i = 0; i < NUM_PLANES; i++) {
        const struct config_listener *a = &config->plane[i], *b = &plain->plane[i];
        ck_assert_msg(a->body_max == b->body_max && a->header_max == b->header_max &&
                          a->connections == b->connections &&
                          a->connections_per_ip == b->connections_per_ip &&
                          a->handshake_ms == b->handshake_ms && a->header_ms == b->header_ms &&
                          a->body_ms == b->body_ms && a->idle_ms == b->idle_ms &&
                          a->unix_mode == b->unix_mode && a->two_person == b->two_person &&
                          a->unix_dialect == b->unix_dialect &&
                          a->num_unix_policies == b->num_unix_policies,
                      "[%s] shows other defaults", config_plane_name((enum config_plane)i));
    }
    free(text);
    config_free(plain);
    config_free(config);
}
END_TEST

static const char thousand[] =
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
    "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012"
    "3";

/* What is added to the good text, and the one mistake in it. */
static const struct {
    const char *more, *mistake;
} added[] = {
    {"[devcie]\n", "20: [devcie]: there is no such section"},
    {"[devcie]\nlisten = x\n", "20: [devcie]: there is no such section"},
    {"[Device]\n", "20: [Device]: there is no such section"},
    {"[]\n", "20: []: there is no such section"},
    {"[device\n", "20: this is not a section such as [gateway]"},
    {"[device] x\n", "20: [device]: something stands behind the section"},
    {"lsten = 127.0.0.1:1\n", "20: admin.lsten: there is no such setting"},
    {"Listen = 127.0.0.1:1\n", "20: admin.Listen: there is no such setting"},
    {"= 5\n", "20: admin.: there is no such setting"},
    {"listen\n", "20: this is not \"key = value\""},
    {"\n# comment\n\nlisten = 127.0.0.1:1\n", "23: admin.listen: is set already in line 16"},
    {"[admin]\nlisten = 127.0.0.1:1\n", "21: admin.listen: is set already in line 16"},
    {"[public]\ncertificate = x\n", "21: public.certificate: there is no such setting"},
    {"[public]\nanchors = x\n", "21: public.anchors: there is no such setting"},
    {"[enrol]\nanchors = x\n", "21: enrol.anchors: there is no such setting"},
    {"unix_mode = 0600\n", "20: admin.unix_mode: there is no such setting"},
    {"unix_dialect = nginx\n", "20: admin.unix_dialect: there is no such setting"},
    {"[public]\nunix_policies = x\n", "21: public.unix_policies: there is no such setting"},
    {"[proxy]\nunix_dialect = NGINX\n", "21: proxy.unix_dialect: \"NGINX\" is none of: none, "
                                        "nginx, envoy_xfcc, traefik, caddy, rfc9440, "
                                        "fingerprint"},
    {"[proxy]\nunix_policies = a, b, a\n", "21: proxy.unix_policies: a stands twice"},
    {"[proxy]\nunix_policies = -\n", "21: proxy.unix_policies: \"-\" is not a name: 1 to 64 of "
                                     "A-Z, a-z, 0-9, '.', '_' and '-', the "
                                     "first a letter or digit"},
    {"[proxy]\nunix_policies = a b\n", "21: proxy.unix_policies: \"a b\" is not a name: 1 to 64 of "
                                       "A-Z, a-z, 0-9, '.', '_' and '-', the "
                                       "first a letter or digit"},
    {"[proxy]\nunix_policies = a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\n",
     "21: proxy.unix_policies: more than 16 policies"},
    {"[gateway]\nworkers = two\n", "21: gateway.workers: \"two\" is not a whole number"},
    {"[gateway]\nworkers = -1\n", "21: gateway.workers: \"-1\" is not a whole number"},
    {"[gateway]\nworkers = +1\n", "21: gateway.workers: \"+1\" is not a whole number"},
    {"[gateway]\nworkers = 0x10\n", "21: gateway.workers: \"0x10\" is not a whole number"},
    {"[gateway]\nworkers = 1.0\n", "21: gateway.workers: \"1.0\" is not a whole number"},
    {"[gateway]\nworkers = 1 2\n", "21: gateway.workers: \"1 2\" is not a whole number"},
    {"[gateway]\nworkers =\n", "21: gateway.workers: \"\" is not a whole number"},
    {"[gateway]\nworkers = 257\n", "21: gateway.workers: must be 0 to 256, not 257"},
    {"[gateway]\nworkers = 99999999999999999999\n",
     "21: gateway.workers: \"99999999999999999999\" is not a whole number"},
    {"[gateway]\nworkers = 1\n  2\n", "22: gateway.workers: takes one line"},
    {"[gateway]\ntls12 = true\n", "21: gateway.tls12: \"true\" is neither yes nor no"},
    {"[gateway]\ntls12 = Yes\n", "21: gateway.tls12: \"Yes\" is neither yes nor no"},
    {"[gateway]\ndrain = 1 hour\n", "21: gateway.drain: \"1 hour\" is not a time such as 10, 0.5, "
                                    "250 ms, 5 m, 24 h or 365 d"},
    {"[gateway]\ndrain = -1\n",
     "21: gateway.drain: \"-1\" is not a time such as 10, 0.5, 250 ms, 5 m, 24 h or 365 d"},
    {"[gateway]\ndrain = .5\n",
     "21: gateway.drain: \".5\" is not a time such as 10, 0.5, 250 ms, 5 m, 24 h or 365 d"},
    {"[gateway]\ndrain = 1.\n",
     "21: gateway.drain: \"1.\" is not a time such as 10, 0.5, 250 ms, 5 m, 24 h or 365 d"},
    {"[gateway]\ndrain = 0.0005\n",
     "21: gateway.drain: \"0.0005\" is not a time such as 10, 0.5, 250 ms, 5 m, 24 h or 365 d"},
    {"[gateway]\ndrain = 0.5 ms\n",
     "21: gateway.drain: \"0.5 ms\" is not a time such as 10, 0.5, 250 ms, 5 m, 24 h or 365 d"},
    {"[gateway]\ndrain = 999999999999999 d\n",
     "21: gateway.drain: \"999999999999999 d\" is not a time such as 10, 0.5, 250 ms, 5 m, 24 h or "
     "365 d"},
    {"[gateway]\ndrain = 11 m\n", "21: gateway.drain: must be 0 s to 10 m, not 11 m"},
    {"[challenges]\nexpiry = 10.5\n", "21: challenges.expiry: must be whole seconds"},
    {"[challenges]\nexpiry = 1\n", "21: challenges.expiry: must be 5 s to 1 h, not 1 s"},
    {"[challenges]\nmax = 0\n", "21: challenges.max: must be 1 to 100000000, not 0"},
    {"[signer]\nidentity_lifetime = 401 d\n",
     "21: signer.identity_lifetime: must be 1 h to 400 d, not 401 d"},
    {"[signer]\nidentity_lifetime = 1 m\n",
     "21: signer.identity_lifetime: must be 1 h to 400 d, not 1 m"},
    {"[signer]\nresults_keys = ca/identity.key\n",
     "21: signer.results_keys: names a key that is in use elsewhere"},
    {"[signer]\nresults_keys = a, b, a\n",
     "21: signer.results_keys: names a key that is in use elsewhere"},
    {"[signer]\nresults_keys = a\nevents_keys = b, a\n",
     "22: signer.events_keys: names a key that is in use elsewhere"},
    {"[signer]\nevents_keys = 1, 2, 3, 4, 5, 6, 7, 8, 9\n",
     "21: signer.events_keys: more than 8 files"},
    {"[signer]\nissuer = gatehouse.example\n",
     "21: signer.issuer: \"gatehouse.example\" is not a URL such as http://pki.example: a host, "
     "perhaps a port and a path, and no slash at its end"},
    {"body_max = 1 kb\n",
     "20: admin.body_max: \"1 kb\" is not a size such as 65536, 64 KiB or 4 MiB"},
    {"body_max = 1KB\n",
     "20: admin.body_max: \"1KB\" is not a size such as 65536, 64 KiB or 4 MiB"},
    {"body_max = 999999999999 GiB\n",
     "20: admin.body_max: \"999999999999 GiB\" is not a size such as 65536, 64 KiB or 4 MiB"},
    {"body_max = 1 GiB\n", "20: admin.body_max: must be 1024 to 67108864 bytes, not 1073741824"},
    {"body_max = 10\n", "20: admin.body_max: must be 1024 to 67108864 bytes, not 10"},
    {"header_max = 1 KiB\n", "20: admin.header_max: must be 4096 to 1048576 bytes, not 1024"},
    {"[proxy]\nheader_max = 63 KiB\n",
     "21: proxy.header_max: must be at least 64 KiB: proxies pass "
     "client certificates on in headers"},
    {"connections = 0\n", "20: admin.connections: must be 1 to 1000000, not 0"},
    {"connections_per_ip = 257\n", "20: admin.connections_per_ip: is more than connections"},
    {"handshake_timeout = 50 ms\n",
     "20: admin.handshake_timeout: must be 100 ms to 5 m, not 50 ms"},
    {"[log]\nlevel = trace\n", "21: log.level: \"trace\" is none of: debug, info, warning, error"},
    {"[log]\nform = JSON\n", "21: log.form: \"JSON\" is none of: json, text"},
    {"[proxy]\nlisten = unix:p\nunix_mode = 660x\n",
     "22: proxy.unix_mode: \"660x\" is not a mode such as 0660"},
    {"[proxy]\nlisten = unix:p\nunix_mode = 0680\n",
     "22: proxy.unix_mode: \"0680\" is not a mode such as 0660"},
    {"[proxy]\nlisten = unix:p\nunix_mode = 1777\n",
     "22: proxy.unix_mode: \"1777\" is not a mode such as 0660"},
    {"[proxy]\nlisten = unix:p\nunix_mode = 00660\n",
     "22: proxy.unix_mode: \"00660\" is not a mode such as 0660"},
    {"[proxy]\nlisten = unix:p\nunix_mode = 6\n",
     "22: proxy.unix_mode: \"6\" is not a mode such as 0660"},
    {"[proxy]\nlisten = unix:\n",
     "21: proxy.listen: the path of a Unix socket has 1 to 107 bytes, not 0"},
    {"[public]\nlisten = 1.2.3.4:1,,1.2.3.4:2\n",
     "21: public.listen: nothing stands before a comma"},
    {"[public]\nlisten = ,1.2.3.4:1\n", "21: public.listen: nothing stands before a comma"},
    {"[public]\nlisten = 1.1.1.1:1, 1.1.1.1:2, 1.1.1.1:3\n  1.1.1.1:4\n  1.1.1.1:5\n",
     "23: public.listen: more than 4 addresses"},
    {"[public]\nlisten = 127.0.0.1:8444\n",
     "21: public.listen: 127.0.0.1:8444 is already taken by admin.listen"},
    {"[public]\nlisten = 0.0.0.0:8444\n",
     "21: public.listen: 0.0.0.0:8444 is already taken by admin.listen"},
    {"[public]\nlisten = [::]:8442\n",
     "21: public.listen: [::]:8442 is already taken by device.listen"},
    {"[public]\nlisten = [::1]:80, [0::0001]:80\n",
     "21: public.listen: [0::0001]:80 is already taken by public.listen"},
    {"[public]\nlisten = unix:s\n[proxy]\nlisten = unix:s\n",
     "21: public.listen: unix:s is already taken by proxy.listen"},
    {"[enrolment]\npending_per_ip = 10001\n",
     "21: enrolment.pending_per_ip: is more than pending_max"},
    {"[proxy]\nlisten = 1.2.3.4:1\nkey = k\nanchors = a\n", ": proxy.certificate: is missing"},
    {"[proxy]\nlisten = 1.2.3.4:1\ncertificate = c\nanchors = a\n", ": proxy.key: is missing"},
    {"[proxy]\nlisten = unix:p, 1.2.3.4:1\ncertificate = c\nkey = k\n",
     ": proxy.anchors: is missing: without it, nobody or anybody could connect"},
    {"[proxy]\nanchors = ca/identity.pem\n",
     "21: proxy.anchors: must not be the device plane's: a device would be let in here"},
    {"[log]\nfile = a\001b\n", "21: log.file: holds a control character"},
    {"[log]\nfile = a\tb\n", "21: log.file: holds a control character"},
    {"[admin]\ntwo_person = baseline_approval, everything\n",
     "21: admin.two_person: \"everything\" is none of: baseline_approval, bulk_revoke, "
     "trust_bundle, audit_prune"},
    {"[admin]\ntwo_person = bulk_revoke trust_bundle\n",
     "21: admin.two_person: \"bulk_revoke trust_bundle\" is none of: baseline_approval, "
     "bulk_revoke, trust_bundle, audit_prune"},
    {"[device]\ntwo_person = bulk_revoke\n", "21: device.two_person: there is no such setting"},
    {"[signals]\nallow_receivers = 10.0.0.0/8, everybody\n",
     "21: signals.allow_receivers: \"everybody\" is not a network such as 10.0.0.0/8 or fd00::/8"},
    {"[signals]\nallow_receivers = 10.0.0.1/8\n",
     "21: signals.allow_receivers: \"10.0.0.1/8\" has bits behind its length"},
    {"[signals]\nurl = gatehouse.example\n",
     "21: signals.url: \"gatehouse.example\" is not a URL such as http://pki.example: a host, "
     "perhaps a port and a path, and no slash at its end"},
    {"[signals]\ntimeout = 3 m\n", "21: signals.timeout: must be 100 ms to 2 m, not 3 m"},
    {"[signals]\npause_after = 31 d\n", "21: signals.pause_after: must be 1 s to 30 d, not 31 d"},
    {"[signals]\nhttp = maybe\n", "21: signals.http: \"maybe\" is neither yes nor no"},
    {"[crl]\nlifetime = 59\n", "21: crl.lifetime: must be 1 m to 1 d, not 59 s"},
    {"[crl]\nlifetime = 25 h\n", "21: crl.lifetime: must be 1 m to 1 d, not 25 h"},
    {"[crl]\nmax_age = 1.5\n", "21: crl.max_age: must be whole seconds"},
    {"[ocsp]\nlifetime = 59\n", "21: ocsp.lifetime: must be 1 m to 1 d, not 59 s"},
    {"[ocsp]\nlifetime = 25 h\n", "21: ocsp.lifetime: must be 1 m to 1 d, not 25 h"},
    {"[public]\nurl = pki.example\n",
     "21: public.url: \"pki.example\" is not a URL such as "
     "http://pki.example: a host, perhaps a port and a path, and no slash at its end"},
    {"[public]\nlisten =\nurl = http://pki.example\n", "22: public.url: needs [public] listen"},
    {"[admin]\nurl = http://pki.example\n", "21: admin.url: there is no such setting"},
};

static void expect_mistake(const char *text, char *const *environment, const char *mistake) {
    char expected[512];
    (void)snprintf(expected, sizeof expected, "%s%s%s\n", mistake[0] == '!' ? "" : "f.ini",
                   mistake[0] == ':' || mistake[0] == '!' ? "" : ":",
                   mistake[0] == '!' ? mistake + 1 : mistake);
    ck_assert_int_eq(parse("f.ini", text, environment), STATUS_MALFORMED);
    ck_assert_str_eq(all_text, expected);
    expected[strcspn(expected, "\n")] = '\0';
    ck_assert_str_eq(detail.text, expected);
    ck_assert_ptr_null(config);
}

START_TEST(an_added_mistake_is_named_with_its_line_and_key) {
    expect_mistake(with(added[_i].more), NULL, added[_i].mistake);
}
END_TEST

/* A line of the good text that is replaced, and the mistake that makes. */
static const struct {
    const char *from, *to, *mistake;
} replaced[] = {
    {"trust_domain", "", ": gateway.trust_domain: is missing"},
    {"[gateway]", "",
     "2: trust_domain: stands before any section\nf.ini: gateway.trust_domain: is "
     "missing"},
    {"trust_domain", "trust_domain = Fleet.example",
     "2: gateway.trust_domain: \"Fleet.example\" is not a trust domain: lower-case letters, "
     "digits, "
     "dots, dashes and underscores"},
    {"path", "", ": store.path: is missing"},
    {"path", "path =", "4: store.path: is missing"},
    {"identity_key", "", ": signer.identity_key: is missing"},
    {"identity_certificate", "", ": signer.identity_certificate: is missing"},
    {"access_key", "", ": signer.access_key: is missing"},
    {"access_certificate", "", ": signer.access_certificate: is missing"},
    {"access_key", "access_key = ca/identity.key",
     "8: signer.access_key: must not be the identity authority's key"},
    {"access_certificate", "access_certificate = ca/identity.pem",
     "9: signer.access_certificate: must not be the identity authority's certificate"},
    {"certificate = server", "", ": device.certificate: is missing"},
    {"key = server", "", ": device.key: is missing"},
    {"anchors = ca/id", "",
     ": device.anchors: is missing: without it, nobody or anybody could connect"},
    {"anchors = ca/op", "anchors = ca/identity.pem",
     "19: admin.anchors: must not be the device plane's: a device would be let in here"},
    {"listen = 127.0.0.1:8442", "listen = unix:device.sock",
     "11: device.listen: a Unix socket cannot tell who is at the other end: only proxy and public "
     "have one"},
};

START_TEST(a_replaced_line_is_named_with_its_line_and_key) {
    expect_mistake(changed(replaced[_i].from, replaced[_i].to), NULL, replaced[_i].mistake);
}
END_TEST

static const char *const addresses[] = {
    "8442",
    "localhost:8442",
    "127.0.0.1",
    "127.0.0.1:",
    ":8442",
    "*:8442",
    "127.0.0.1:65536",
    "127.0.0.1:-1",
    "127.0.0.1:84420",
    "127.0.0.1:http",
    "127.1:8442",
    "1.2.3.256:1",
    "1.2.3.4.5:1",
    "::1:8442",
    "[::1]",
    "[::1]8442",
    "[::1]:",
    "[::1:8442",
    "[127.0.0.1]:1",
    "[]:1",
    "[::1%lo]:8442",
    "[fe80::g]:1",
    "127.0.0.1:1:2",
    "127.0.0.1: 1",
    "tcp:127.0.0.1:1",
    "https://1.2.3.4:1",
};

START_TEST(an_address_that_is_none_is_refused) {
    char line[128], mistake[256];
    (void)snprintf(line, sizeof line, "[public]\nlisten = %s\n", addresses[_i]);
    (void)snprintf(mistake, sizeof mistake,
                   "21: public.listen: \"%s\" is not an address such as 192.0.2.1:8443, "
                   "[2001:db8::1]:8443 or unix:/run/gatehouse/proxy.sock",
                   addresses[_i]);
    expect_mistake(with(line), NULL, mistake);
}
END_TEST

START_TEST(a_line_that_is_too_long_is_refused_not_split) {
    char text[1000];
    (void)snprintf(text, sizeof text, "[log]\nfile = %s\nlevel = debug\n", thousand);
    expect_mistake(with(text), NULL, "21: is longer than 197 bytes");
}
END_TEST

START_TEST(a_zero_byte_is_refused) {
    static const char zero[] = "[log]\nfile = a\0b\n";
    char text[2048];
    size_t len = strlen(good);
    memcpy(text, good, len);
    memcpy(text + len, zero, sizeof zero - 1);
    struct writer all = writer_of(all_text, sizeof all_text);
    ck_assert_int_eq(
        config_parse(&config, "f.ini", bytes_of(text, len + sizeof zero - 1), NULL, &all, &detail),
        STATUS_MALFORMED);
    ck_assert_str_eq(detail.text, "f.ini:21: holds a zero byte");
}
END_TEST

START_TEST(nothing_listening_is_refused) {
    static char *const environment[] = {
        "GATEHOUSE_DEVICE_LISTEN=", "GATEHOUSE_ADMIN_LISTEN=", NULL};
    expect_mistake(good, environment, ": nothing listens: no plane has a listen address");
}
END_TEST

START_TEST(an_empty_file_lists_all_that_is_missing) {
    ck_assert_int_eq(parse("f.ini", "", NULL), STATUS_MALFORMED);
    ck_assert_str_eq(all_text, "f.ini: gateway.trust_domain: is missing\n"
                               "f.ini: store.path: is missing\n"
                               "f.ini: signer.identity_key: is missing\n"
                               "f.ini: signer.identity_certificate: is missing\n"
                               "f.ini: signer.access_key: is missing\n"
                               "f.ini: signer.access_certificate: is missing\n"
                               "f.ini: nothing listens: no plane has a listen address\n");
    ck_assert_str_eq(detail.text, "f.ini: gateway.trust_domain: is missing");
}
END_TEST

START_TEST(all_mistakes_are_told_at_once) {
    ck_assert_int_eq(
        parse("f.ini", with("bogus = 1\nno equals\n[nowhere]\n[log]\nlevel = x\n\nform = y"), NULL),
        STATUS_MALFORMED);
    ck_assert_str_eq(all_text,
                     "f.ini:20: admin.bogus: there is no such setting\n"
                     "f.ini:21: this is not \"key = value\"\n"
                     "f.ini:22: [nowhere]: there is no such section\n"
                     "f.ini:24: log.level: \"x\" is none of: debug, info, warning, error\n"
                     "f.ini:26: log.form: \"y\" is none of: json, text\n");
    ck_assert_str_eq(detail.text, "f.ini:20: admin.bogus: there is no such setting");
}
END_TEST

START_TEST(the_place_to_collect_mistakes_may_be_absent_or_too_small) {
    struct writer none = writer_of(NULL, 0);
    ck_assert_int_eq(config_parse(&config, "f.ini", bytes_of_text(""), NULL, &none, NULL),
                     STATUS_MALFORMED);
    ck_assert_int_eq(config_parse(&config, "f.ini", bytes_of_text(""), NULL, NULL, NULL),
                     STATUS_MALFORMED);
}
END_TEST

START_TEST(the_environment_overrides_the_file) {
    static char *const environment[] = {"PATH=/bin",
                                        "GATEHOUSE_DEVICE_LISTEN=0.0.0.0:1, [::1]:2",
                                        "GATEHOUSE_STORE_PATH=/var/g.db",
                                        "GATEHOUSE_ADMIN_LISTEN=",
                                        "GATEHOUSE_LOG_LEVEL=error",
                                        "GATEHOUSE_ADMIN_CONNECTIONS_PER_IP=9",
                                        "GATEHOUSE_SIGNER_ACCESS_KEY=other.key",
                                        NULL};
    ck_assert_msg(parse("/e/f.ini", good, environment) == STATUS_OK, "%s", all_text);
    ck_assert_str_eq(config->plane[PLANE_DEVICE].listen[0], "0.0.0.0:1");
    ck_assert_str_eq(config->plane[PLANE_DEVICE].listen[1], "[::1]:2");
    ck_assert(!config->plane[PLANE_ADMIN].enabled);
    ck_assert_str_eq(config->store_path, "/var/g.db");
    ck_assert_str_eq(config->access_key, "/e/other.key");
    ck_assert_int_eq(config->log_level, LOG_ERROR);
    ck_assert_uint_eq(config->plane[PLANE_ADMIN].connections_per_ip, 9);
    config_free(config);
}
END_TEST

static const struct {
    char *variable;
    const char *mistake;
} variables[] = {
    {"GATEHOUSE_LOG_LEVEL=loud",
     "GATEHOUSE_LOG_LEVEL: log.level: \"loud\" is none of: debug, info, warning, error"},
    {"GATEHOUSE_LOG_LEVEL=",
     "GATEHOUSE_LOG_LEVEL: log.level: \"\" is none of: debug, info, warning, error"},
    {"GATEHOUSE_STORE_PATH=", "GATEHOUSE_STORE_PATH: store.path: is missing"},
    {"GATEHOUSE_LOG_FILE=a\nb", "GATEHOUSE_LOG_FILE: log.file: holds a control character"},
    {"GATEHOUSE_DEVICE_LSTEN=1", "GATEHOUSE_DEVICE_LSTEN: names no setting"},
    {"GATEHOUSE_DEVCIE_LISTEN=1", "GATEHOUSE_DEVCIE_LISTEN: names no setting"},
    {"GATEHOUSE_device_LISTEN=1", "GATEHOUSE_device_LISTEN: names no setting"},
    {"GATEHOUSE_=1", "GATEHOUSE_: names no setting"},
    {"GATEHOUSE_LOG_LEVEL_=info", "GATEHOUSE_LOG_LEVEL_: names no setting"},
    {"GATEHOUSE_PUBLIC_ANCHORS=x", "GATEHOUSE_PUBLIC_ANCHORS: names no setting"},
    {"GATEHOUSE_ADMIN_LISTEN=127.0.0.1:8442",
     "GATEHOUSE_ADMIN_LISTEN: admin.listen: 127.0.0.1:8442 is already taken by device.listen"},
    {"GATEHOUSE_ADMIN_ANCHORS=ca/identity.pem", "GATEHOUSE_ADMIN_ANCHORS: admin.anchors: must not "
                                                "be the device plane's: a device would be let "
                                                "in here"},
};

START_TEST(a_key_on_a_token_is_not_looked_for_in_the_folder) {
    static char *const environment[] = {
        "GATEHOUSE_SIGNER_ACCESS_KEY=pkcs11:token=t;object=k?module-path=/m.so",
        "GATEHOUSE_SIGNER_ACCESS_AUTHORITIES=ca/list", NULL};
    ck_assert_msg(parse("/e/f.ini", good, environment) == STATUS_OK, "%s", all_text);
    ck_assert_str_eq(config->access_key, "pkcs11:token=t;object=k?module-path=/m.so");
    ck_assert_str_eq(config->access_authorities, "/e/ca/list");
}
END_TEST

START_TEST(a_mistake_of_the_environment_names_the_variable) {
    char mistake[512];
    char *const environment[] = {variables[_i].variable, NULL};
    (void)snprintf(mistake, sizeof mistake, "!%s", variables[_i].mistake);
    expect_mistake(good, environment, mistake);
}
END_TEST

START_TEST(what_kubernetes_sets_for_a_service_of_our_name_is_left_alone) {
    static char *const environment[] = {"GATEHOUSE_SERVICE_HOST=10.0.0.1",
                                        "GATEHOUSE_SERVICE_PORT=8443",
                                        "GATEHOUSE_SERVICE_PORT_DEVICE=8442",
                                        "GATEHOUSE_PORT=tcp://10.0.0.1:8443",
                                        "GATEHOUSE_PORT_8443_TCP_ADDR=10.0.0.1",
                                        "GATEHOUSE_DEVICE_SERVICE_HOST=10.0.0.1",
                                        "GATEHOUSE_DEVICE_PORT=tcp://10.0.0.1:8442",
                                        "GATEHOUSE_DEVICE_PORT_8442_TCP=tcp://10.0.0.1:8442",
                                        NULL};
    ck_assert_msg(parse("f.ini", good, environment) == STATUS_OK, "%s", all_text);
    config_free(config);
}
END_TEST

static const struct {
    const char *text;
    bool good;
} domains[] = {
    {"example.org", true},  {"a", true},      {"a_b-c.1", true},   {"", false},
    {"Example.org", false}, {"a:80", false},  {"u@a", false},      {"a/b", false},
    {"a b", false},         {"a%20b", false}, {"\xc3\xa4", false}, {"spiffe://a", false},
    {"a?b", false},         {"a#b", false},
};

START_TEST(a_trust_domain_follows_the_rules_of_spiffe) {
    ck_assert_int_eq(value_trust_domain(domains[_i].text, &detail),
                     domains[_i].good ? STATUS_OK : STATUS_MALFORMED);
}
END_TEST

static const struct {
    const char *text;
    bool good;
} urls[] = {
    {"http://pki.example", true},
    {"https://pki.example:8443", true},
    {"http://192.0.2.1:8480/gate/house", true},
    {"http://[2001:db8::1]:80/a-b_c.d~e", true},
    {"", false},
    {"http://", false},
    {"http:///v1", false},
    {"pki.example", false},
    {"ldap://pki.example", false},
    {"HTTP://pki.example", false},
    {"http://pki.example/", false},
    {"http://pki.example/a/", false},
    {"http://pki.example//a", false},
    {"http://pki.example?a=b", false},
    {"http://pki.example/a?b", false},
    {"http://pki.example/#a", false},
    {"http://user@pki.example", false},
    {"http://pki.example:", false},
    {"http://pki.example:port", false},
    {"http://pki.example:123456", false},
    {"http://[2001:db8::1", false},
    {"http://[]:80", false},
    {"http://pki.example/a b", false},
    {"http://pki.example/%61", false},
    {"http://p\xc3\xa4.example", false},
};

START_TEST(a_url_is_scheme_host_port_and_path_and_nothing_more) {
    ck_assert_int_eq(value_url(urls[_i].text, &detail),
                     urls[_i].good ? STATUS_OK : STATUS_MALFORMED);
}
END_TEST

START_TEST(a_url_has_at_most_120_bytes) {
    char text[URL_MAX + 2] = "http://";
    memset(text + 7, 'a', sizeof text - 8);
    text[sizeof text - 1] = '\0';
    ck_assert_int_eq(value_url(text, NULL), STATUS_MALFORMED);
    text[URL_MAX] = '\0';
    ck_assert_int_eq(value_url(text, NULL), STATUS_OK);
}
END_TEST

START_TEST(the_public_url_is_none_until_it_is_set) {
    ck_assert_int_eq(parse("f.ini", with(""), NULL), STATUS_OK);
    ck_assert_ptr_null(config->plane[PLANE_PUBLIC].url);
    ck_assert_uint_eq(config->crl_lifetime_s, 3600);
    ck_assert_uint_eq(config->crl_max_age_s, 60);
    ck_assert_uint_eq(config->ocsp_lifetime_s, 600);
    config_free(config);
    char more[] = "[public]\nlisten = 127.0.0.1:1\nurl = http://pki.example\n[crl]\nlifetime = 2 "
                  "m\nmax_age = 0\n[ocsp]\nlifetime = 1 h\n";
    ck_assert_int_eq(parse("f.ini", with(more), NULL), STATUS_OK);
    ck_assert_str_eq(config->plane[PLANE_PUBLIC].url, "http://pki.example");
    ck_assert_uint_eq(config->crl_lifetime_s, 120);
    ck_assert_uint_eq(config->crl_max_age_s, 0);
    ck_assert_uint_eq(config->ocsp_lifetime_s, 3600);
    config_free(config);
}
END_TEST

START_TEST(a_trust_domain_has_at_most_128_bytes) {
    char text[TRUST_DOMAIN_MAX + 2];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ck_assert_int_eq(value_trust_domain(text, NULL), STATUS_MALFORMED);
    text[TRUST_DOMAIN_MAX] = '\0';
    ck_assert_int_eq(value_trust_domain(text, NULL), STATUS_OK);
}
END_TEST

START_TEST(a_unix_path_fits_its_address_with_the_folder_before_it) {
    char path[200], line[256];
    memset(path, 'd', sizeof path);
    (void)snprintf(path + 100, 8, "/f.ini");
    path[0] = '/';
    (void)snprintf(line, sizeof line, "[proxy]\nlisten = unix:%s\n", "1234567");
    ck_assert_int_eq(parse(path, with(line), NULL), STATUS_MALFORMED);
    ck_assert_ptr_nonnull(strstr(
        detail.text, ":21: proxy.listen: the path of a Unix socket has 1 to 107 bytes, not 108"));
    (void)snprintf(line, sizeof line, "[proxy]\nlisten = unix:%s\n", "123456");
    ck_assert_int_eq(parse(path, with(line), NULL), STATUS_OK);
    config_free(config);
}
END_TEST

START_TEST(a_mark_of_utf8_and_ends_of_line_of_windows_are_taken) {
    char text[4096];
    size_t len = 0;
    len += (size_t)snprintf(text, sizeof text, "\xef\xbb\xbf");
    for (const char *at = good; *at != '\0'; at++) {
        if (*at == '\n') {
            text[len++] = '\r';
        }
        text[len++] = *at;
    }
    text[len] = '\0';
    ck_assert_msg(parse("f.ini", text, NULL) == STATUS_OK, "%s", all_text);
    ck_assert_str_eq(config->trust_domain, "fleet.example");
    config_free(config);
}
END_TEST

START_TEST(every_prefix_of_a_file_is_taken_or_told_of) {
    for (size_t len = 0; len < sizeof good; len++) {
        char *text = strndup(good, len);
        enum status status = parse("f.ini", text, NULL);
        ck_assert(status == STATUS_OK || (status == STATUS_MALFORMED && all_text[0] != '\0'));
        config_free(config);
        free(text);
    }
}
END_TEST

START_TEST(a_file_that_is_not_there_is_not_found) {
    struct writer all = writer_of(all_text, sizeof all_text);
    ck_assert_int_eq(config_load(&config, "/nowhere/g.ini", NULL, &all, &detail), STATUS_NOT_FOUND);
    ck_assert_str_eq(detail.text, "cannot open /nowhere/g.ini: No such file or directory");
    ck_assert_uint_eq(all.len, strlen(detail.text) + 1);
}
END_TEST

#define NUM(table) ((int)(sizeof(table) / sizeof(table)[0]))

static const char *const no_urls[] = {"",
                                      "https://",
                                      "https:///a",
                                      "ftp://a",
                                      "https://a/",
                                      "https://a//b",
                                      "HTTPS://a",
                                      "https://a b",
                                      "https://a:",
                                      "https://a:x",
                                      "https://a:1234567",
                                      "https://u@a",
                                      "https://a?q",
                                      "https://a/b?q",
                                      "https://a/b#f",
                                      "https://[::1",
                                      "https://[]",
                                      "https://\xc3\xa4",
                                      "https://a\"",
                                      "https://a/<b>",
                                      "https://[x]:1",
                                      "//a",
                                      " https://a",
                                      "https://a:80x"};

START_TEST(urls_that_are_not_plain_are_refused) {
    for (size_t i = 0; i < sizeof no_urls / sizeof no_urls[0]; i++) {
        ck_assert_msg(value_url(no_urls[i], &detail) == STATUS_MALFORMED, "%s", no_urls[i]);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("config");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, good_text_is_taken_with_strict_defaults);
    tcase_add_test(tests, every_setting_reaches_its_place);
    tcase_add_loop_test(tests, what_takes_two_people_is_a_list_that_replaces_the_default, 0,
                        sizeof two_person / sizeof two_person[0]);
    tcase_add_test(tests, the_annotated_file_is_taken_and_shows_the_defaults);
    tcase_add_loop_test(tests, an_added_mistake_is_named_with_its_line_and_key, 0, NUM(added));
    tcase_add_loop_test(tests, a_replaced_line_is_named_with_its_line_and_key, 0, NUM(replaced));
    tcase_add_loop_test(tests, an_address_that_is_none_is_refused, 0, NUM(addresses));
    tcase_add_test(tests, a_line_that_is_too_long_is_refused_not_split);
    tcase_add_test(tests, a_zero_byte_is_refused);
    tcase_add_test(tests, nothing_listening_is_refused);
    tcase_add_test(tests, an_empty_file_lists_all_that_is_missing);
    tcase_add_test(tests, all_mistakes_are_told_at_once);
    tcase_add_test(tests, the_place_to_collect_mistakes_may_be_absent_or_too_small);
    tcase_add_test(tests, a_key_on_a_token_is_not_looked_for_in_the_folder);
    tcase_add_test(tests, the_environment_overrides_the_file);
    tcase_add_loop_test(tests, a_mistake_of_the_environment_names_the_variable, 0, NUM(variables));
    tcase_add_test(tests, what_kubernetes_sets_for_a_service_of_our_name_is_left_alone);
    tcase_add_loop_test(tests, a_trust_domain_follows_the_rules_of_spiffe, 0, NUM(domains));
    tcase_add_test(tests, a_trust_domain_has_at_most_128_bytes);
    tcase_add_loop_test(tests, a_url_is_scheme_host_port_and_path_and_nothing_more, 0,
                        (int)(sizeof urls / sizeof urls[0]));
    tcase_add_test(tests, a_url_has_at_most_120_bytes);
    tcase_add_test(tests, the_public_url_is_none_until_it_is_set);
    tcase_add_test(tests, a_unix_path_fits_its_address_with_the_folder_before_it);
    tcase_add_test(tests, a_mark_of_utf8_and_ends_of_line_of_windows_are_taken);
    tcase_add_test(tests, every_prefix_of_a_file_is_taken_or_told_of);
    tcase_add_test(tests, a_file_that_is_not_there_is_not_found);
    tcase_add_test(tests, urls_that_are_not_plain_are_refused);
    Suite *suite = suite_create("config");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
