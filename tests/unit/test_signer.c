#include "server/base/encoding.h"
#include "server/credential/signer.h"
#include "server/credential/signer_child.h"
#include "server/credential/signer_wire.h"
#include "server/crypto/random.h"
#include "tests/unit/cert_fixture.h"
#include "tests/unit/lab.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { HOUR = 3600, DAY = 86400 };

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Under AddressSanitizer, leaving means a search for leaks, and that a forbidden call. */
static bool ended_with(int status, int code) {
    return (WIFEXITED(status) && WEXITSTATUS(status) == code) ||
           (SANITIZED && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* Authorities as `openssl` makes them, so that their keys are in files only. */
static void make_authorities(void) {
    lab_open();
    lab_run(
        "ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:$2 -nodes -keyout $1.key "
        "-out $1.pem -subj "
        "\"/CN=$1\" -days ${3:-3650} -addext keyUsage=critical,keyCertSign,cRLSign; chmod 600 "
        "$1.key; }; "
        "ca identity P-256; ca access P-384; ca other P-256; ca expired P-256; ca brief P-256 1; "
        /* OpenSSL 3.5 makes nothing that ends before it begins, and has options for the dates. */
        "past='-days -1'; if openssl x509 -help 2>&1 | grep -q not_before; then "
        "past='-not_before 20200101000000Z -not_after 20200102000000Z'; fi; "
        "openssl x509 -in expired.pem -signkey expired.key $past -out late.pem; mv late.pem "
        "expired.pem; "
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key "
        "-out leaf.pem -subj /CN=leaf "
        "-addext basicConstraints=critical,CA:FALSE; "
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.pem -subj /CN=rsa; "
        "openssl pkcs8 -topk8 -in identity.key -passout pass:secret -out encrypted.key; "
        "chmod 600 *.key; cp identity.key group.key; chmod 640 group.key; cp identity.key "
        "world.key; chmod 604 world.key; "
        "cp identity.key writable.key; chmod 620 writable.key; "
        "echo nonsense >nonsense.key; : >empty.key; chmod 600 nonsense.key empty.key; mkdir "
        "folder.key; "
        "cat identity.pem access.pem >two.pem; mkfifo fifo.key; chmod 600 fifo.key; head -c 7000 "
        "/dev/zero >large.key; "
        "chmod 600 large.key");
}

/* Paths outlive the slots of lab_path. */
static const char *keep(const char *name) {
    static char paths[64][512];
    static unsigned next;
    char *path = paths[next++ % 64];
    (void)snprintf(path, sizeof paths[0], "%s", lab_path(name));
    return path;
}

static struct signer_options options_of(const char *identity_key, const char *identity_certificate,
                                        const char *access_key, const char *access_certificate) {
    return (struct signer_options){.trust_domain = "example.org",
                                   .identity_key_file = keep(identity_key),
                                   .identity_certificate_file = keep(identity_certificate),
                                   .access_key_file = keep(access_key),
                                   .access_certificate_file = keep(access_certificate)};
}

static struct signer_options good_options(void) {
    return options_of("identity.key", "identity.pem", "access.key", "access.pem");
}

static struct signer *start(void) {
    struct signer_options options = good_options();
    struct signer *signer;
    struct detail detail = {0};
    enum status status = signer_start(&signer, &options, &detail);
    ck_assert_msg(status == STATUS_OK, "%s", detail.text);
    return signer;
}

static struct sign_job job_of(enum profile profile) {
    struct sign_job job = {.profile = profile, .device_id = "0123456789abcdef0123456789abcdef"};
    struct public_key key;
    struct writer w = writer_of(job.spki, sizeof job.spki);
    int64_t now = (int64_t)time(NULL);
    private_key_public(cert_key(0), &key);
    ck_assert_int_eq(public_key_to_spki(&w, &key), STATUS_OK);
    job.spki_len = w.len;
    if (profile == PROFILE_ACCESS) {
        memcpy(job.tier, "measured", sizeof "measured");
    }
    job.not_before = now - 30;
    job.not_after = now + HOUR;
    random_bytes(job.serial, sizeof job.serial);
    job.serial[0] &= 0x7F;
    return job;
}

/* --- signing
 * ------------------------------------------------------------------------------------------ */

/* The job names one of the authorities, by its key. */
static void assert_signed_by_listed(const struct signer *signer, const struct sign_job *job) {
    const struct signer_authority *all;
    size_t num = signer_authorities(signer, &all), i = 0;
    struct certificate c;
    uint8_t sha256[32];
    char id[AUTHORITY_ID_SIZE];
    while (i < num && strcmp(all[i].id, job->authority) != 0) {
        i++;
    }
    ck_assert_uint_lt(i, num);
    ck_assert(all[i].profile == job->profile && all[i].signs);
    ck_assert_int_eq(certificate_parse(&c, all[i].certificate, NULL), STATUS_OK);
    ck_assert_int_eq(public_key_spki_sha256(sha256, &c.key), STATUS_OK);
    hex_encode(id, bytes_of(sha256, AUTHORITY_RAW_ID));
    ck_assert_str_eq(id, job->authority);
}

START_TEST(signer_signs_both_profiles_under_their_own_authority) {
    struct signer *signer = start();
    struct sign_job a = job_of(PROFILE_IDENTITY), b = job_of(PROFILE_ACCESS), *jobs[] = {&a, &b};
    a.not_after = a.not_before + 365 * DAY;
    ck_assert_int_eq(signer_sign(signer, jobs, 2, NULL), STATUS_OK);
    static const char *uris[] = {"spiffe://example.org/identity/0123456789abcdef0123456789abcdef",
                                 "spiffe://example.org/device/0123456789abcdef0123456789abcdef"};
    static const char *subjects[] = {"CN=0123456789abcdef0123456789abcdef",
                                     "OU=measured, CN=0123456789abcdef0123456789abcdef"};
    static const char *authorities[] = {"identity", "access"};
    for (size_t i = 0; i < 2; i++) {
        struct certificate c;
        uint8_t digest[32];
        struct bytes der = bytes_of(jobs[i]->der, jobs[i]->der_len);
        ck_assert_int_eq(jobs[i]->status, STATUS_OK);
        ck_assert_int_eq(certificate_parse(&c, der, NULL), STATUS_OK);
        ck_assert_str_eq(c.san_uri, uris[i]);
        ck_assert_str_eq(c.subject, subjects[i]);
        ck_assert_int_eq(c.not_after, jobs[i]->not_after);
        digest_compute(HASH_SHA256, der, digest);
        ck_assert_mem_eq(digest, jobs[i]->sha256, 32);
        lab_write("leaf.der", der);
        lab_run(
            "openssl x509 -inform DER -in leaf.der -out issued.pem; openssl verify -x509_strict "
            "-purpose sslclient "
            "-CAfile %s.pem issued.pem; openssl x509 -in %s.pem -outform DER -out authority.der",
            authorities[i], authorities[i]);
        ck_assert(
            bytes_equal(signer_authority(signer, jobs[i]->profile), lab_read("authority.der")));
        assert_signed_by_listed(signer, jobs[i]);
    }
    ck_assert_uint_eq(signer_authority(signer, PROFILE_CA).len, 0);
    ck_assert_uint_eq(signer_authority(signer, (enum profile) - 1).len, 0);
    signer_free(signer);
}
END_TEST

START_TEST(signer_signs_ten_thousand_in_full_batches_without_a_forbidden_call) {
    static struct sign_job batch[SIGNER_BATCH_MAX];
    struct sign_job *jobs[SIGNER_BATCH_MAX];
    struct signer *signer = start();
    for (size_t i = 0; i < SIGNER_BATCH_MAX; i++) {
        batch[i] = job_of(i % 8 == 0 ? PROFILE_ACCESS : PROFILE_IDENTITY);
        jobs[i] = &batch[i];
    }
    for (size_t round = 0; round < 40; round++) {
        ck_assert_int_eq(signer_sign(signer, jobs, SIGNER_BATCH_MAX, NULL), STATUS_OK);
        for (size_t i = 0; i < SIGNER_BATCH_MAX; i++) {
            ck_assert_int_eq(batch[i].status, STATUS_OK);
        }
    }
    signer_free(signer);
}
END_TEST

START_TEST(batch_of_none_or_too_many_is_a_limit_and_the_signer_goes_on) {
    struct sign_job job = job_of(PROFILE_ACCESS), *jobs[SIGNER_BATCH_MAX + 1];
    struct signer *signer = start();
    for (size_t i = 0; i <= SIGNER_BATCH_MAX; i++) {
        jobs[i] = &job;
    }
    ck_assert_int_eq(signer_sign(signer, jobs, 0, NULL), STATUS_LIMIT);
    ck_assert_int_eq(signer_sign(signer, jobs, SIGNER_BATCH_MAX + 1, NULL), STATUS_LIMIT);
    job.spki_len = KEY_SPKI_MAX + 1;
    ck_assert_int_eq(signer_sign(signer, jobs, 1, NULL), STATUS_LIMIT);
    job = job_of(PROFILE_ACCESS);
    ck_assert_int_eq(signer_sign(signer, jobs, 1, NULL), STATUS_OK);
    ck_assert_int_eq(job.status, STATUS_OK);
    signer_free(signer);
}
END_TEST

/* --- what the child refuses, job by job
 * ------------------------------------------------------------------- */

static void too_long(struct sign_job *job) {
    job->not_after = job->not_before + DAY + 1;
}
static void too_short(struct sign_job *job) {
    job->not_after = job->not_before + 299;
}
static void identity_too_long(struct sign_job *job) {
    job->profile = PROFILE_IDENTITY;
    job->not_after = job->not_before + 400LL * DAY + 1;
}
static void from_the_future(struct sign_job *job) {
    job->not_before += 120;
}
static void from_long_ago(struct sign_job *job) {
    job->not_before -= 700;
}
static void from_the_epoch(struct sign_job *job) {
    job->not_before = 0;
    job->not_after = HOUR;
}
static void from_nowhere(struct sign_job *job) {
    job->not_before = INT64_MIN;
    job->not_after = INT64_MAX;
}
static void as_a_ca(struct sign_job *job) {
    job->profile = PROFILE_CA;
}
static void as_a_server(struct sign_job *job) {
    job->profile = PROFILE_SERVER;
}
static void as_a_client(struct sign_job *job) {
    job->profile = PROFILE_CLIENT;
}
static void by_no_profile(struct sign_job *job) {
    job->profile = (enum profile)200;
}
static void for_an_upper_case_id(struct sign_job *job) {
    job->device_id[10] = 'A';
}
static void for_a_path(struct sign_job *job) {
    memcpy(job->device_id, "../identity/0123456789abcdef0123", 32);
}
static void for_a_short_id(struct sign_job *job) {
    job->device_id[31] = '\0';
}
static void for_nobody(struct sign_job *job) {
    memset(job->device_id, 0, sizeof job->device_id);
}
static void with_a_zero_serial(struct sign_job *job) {
    memset(job->serial, 0, sizeof job->serial);
}
static void with_no_key(struct sign_job *job) {
    job->spki_len = 0;
}
static void with_a_cut_key(struct sign_job *job) {
    job->spki_len--;
}
static void with_bytes_after_the_key(struct sign_job *job) {
    job->spki_len++;
}
static void with_a_point_off_the_curve(struct sign_job *job) {
    job->spki[job->spki_len - 1] ^= 1;
}
static void of_no_tier(struct sign_job *job) {
    memset(job->tier, 0, sizeof job->tier);
}
static void of_a_made_up_tier(struct sign_job *job) {
    memcpy(job->tier, "privileged", sizeof "privileged");
}
static void of_a_segment_with_a_comma(struct sign_job *job) {
    memcpy(job->segment, "a,OU=measured", sizeof "a,OU=measured");
}
static void identity_of_a_tier(struct sign_job *job) {
    job->profile = PROFILE_IDENTITY;
}
static void identity_of_a_segment(struct sign_job *job) {
    job->profile = PROFILE_IDENTITY;
    memset(job->tier, 0, sizeof job->tier);
    memcpy(job->segment, "corp", sizeof "corp");
}
static void with_an_odd_key(struct sign_job *job) {
    memset(job->spki, 0x30, sizeof job->spki);
    job->spki_len = sizeof job->spki;
}

static const struct {
    void (*spoil)(struct sign_job *job);
    const char *reason;
} spoils[] = {
    {too_long, "lifetime"},
    {too_short, "lifetime"},
    {identity_too_long, "lifetime"},
    {from_the_future, "not_before"},
    {from_long_ago, "not_before"},
    {from_the_epoch, "not_before"},
    {from_nowhere, "not_before"},
    {as_a_ca, "does not issue by the profile ca"},
    {as_a_server, "does not issue by the profile server"},
    {as_a_client, "does not issue by the profile client"},
    {by_no_profile, "does not issue by the profile unknown"},
    {for_an_upper_case_id, "device id"},
    {for_a_path, "device id"},
    {for_a_short_id, "device id"},
    {for_nobody, "device id"},
    {with_a_zero_serial, "serial"},
    {with_no_key, "key"},
    {with_a_cut_key, "key"},
    {with_bytes_after_the_key, "key"},
    {with_a_point_off_the_curve, "curve"},
    {with_an_odd_key, "key"},
    {of_no_tier, "tier"},
    {of_a_made_up_tier, "tier"},
    {of_a_segment_with_a_comma, "segment"},
    {identity_of_a_tier, "not for it"},
    {identity_of_a_segment, "not for it"},
};

START_TEST(job_that_breaks_a_rule_is_refused_alone) {
    struct signer *signer = start();
    struct sign_job first = job_of(PROFILE_ACCESS), bad = job_of(PROFILE_ACCESS),
                    last = job_of(PROFILE_IDENTITY);
    struct sign_job *jobs[] = {&first, &bad, &last};
    struct detail detail = {0};
    spoils[_i].spoil(&bad);
    ck_assert_int_eq(signer_sign(signer, jobs, 3, &detail), STATUS_OK);
    ck_assert_msg(bad.status == STATUS_INVALID, "%s", status_name(bad.status));
    ck_assert_uint_eq(bad.der_len, 0);
    ck_assert_msg(strstr(detail.text, "job 1") != NULL &&
                      strstr(detail.text, spoils[_i].reason) != NULL,
                  "%s", detail.text);
    ck_assert_int_eq(first.status, STATUS_OK);
    ck_assert_int_eq(last.status, STATUS_OK);
    signer_free(signer);
}
END_TEST

START_TEST(identity_beyond_its_authority_is_refused) {
    struct signer_options options =
        options_of("brief.key", "brief.pem", "access.key", "access.pem");
    struct signer *signer;
    struct sign_job job = job_of(PROFILE_IDENTITY), *jobs[] = {&job};
    struct detail detail = {0};
    ck_assert_int_eq(signer_start(&signer, &options, NULL), STATUS_OK);
    job.not_after = job.not_before + 2 * DAY;
    ck_assert_int_eq(signer_sign(signer, jobs, 1, &detail), STATUS_OK);
    ck_assert_int_eq(job.status, STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(detail.text, "outlive"));
    signer_free(signer);
}
END_TEST

/* --- starting
 * ------------------------------------------------------------------------------------------- */

static const struct {
    const char *identity_key, *identity_certificate, *access_key, *access_certificate;
    enum status status; /* OK: any but OK */
    const char *reason;
} starts[] = {
    {"none.key", "identity.pem", "access.key", "access.pem", STATUS_NOT_FOUND, "none.key"},
    {"identity.key", "none.pem", "access.key", "access.pem", STATUS_NOT_FOUND, "none.pem"},
    {"identity.key", "identity.pem", "none.key", "access.pem", STATUS_NOT_FOUND, "none.key"},
    {"identity.key", "identity.pem", "access.key", "none.pem", STATUS_NOT_FOUND, "none.pem"},
    {"group.key", "identity.pem", "access.key", "access.pem", STATUS_DENIED, "chmod 600"},
    {"world.key", "identity.pem", "access.key", "access.pem", STATUS_DENIED, "chmod 600"},
    {"writable.key", "identity.pem", "access.key", "access.pem", STATUS_DENIED, "chmod 600"},
    {"folder.key", "identity.pem", "access.key", "access.pem", STATUS_DENIED, "not a regular file"},
    {"fifo.key", "identity.pem", "access.key", "access.pem", STATUS_DENIED, "not a regular file"},
    {"large.key", "identity.pem", "access.key", "access.pem", STATUS_LIMIT, "large.key"},
    {"nonsense.key", "identity.pem", "access.key", "access.pem", STATUS_OK, "nonsense.key"},
    {"empty.key", "identity.pem", "access.key", "access.pem", STATUS_OK, "empty.key"},
    {"encrypted.key", "identity.pem", "access.key", "access.pem", STATUS_OK, "encrypted.key"},
    {"identity.pem", "identity.pem", "access.key", "access.pem", STATUS_DENIED, "identity.pem"},
    {"identity.key", "identity.key", "access.key", "access.pem", STATUS_MALFORMED, "identity.key"},
    {"identity.key", "two.pem", "access.key", "access.pem", STATUS_LIMIT, "two.pem"},
    {"other.key", "identity.pem", "access.key", "access.pem", STATUS_INVALID, "do not match"},
    {"identity.key", "identity.pem", "access.key", "other.pem", STATUS_INVALID, "do not match"},
    {"leaf.key", "leaf.pem", "access.key", "access.pem", STATUS_INVALID, "no authority"},
    {"identity.key", "identity.pem", "leaf.key", "leaf.pem", STATUS_INVALID, "no authority"},
    {"expired.key", "expired.pem", "access.key", "access.pem", STATUS_INVALID, "outlive"},
    {"rsa.key", "rsa.pem", "access.key", "access.pem", STATUS_INVALID, "of kind rsa"},
    {"identity.key", "identity.pem", "identity.key", "identity.pem", STATUS_INVALID,
     "share one key"},
};

START_TEST(signer_does_not_start_with_a_key_or_certificate_that_will_not_do) {
    struct signer_options options =
        options_of(starts[_i].identity_key, starts[_i].identity_certificate, starts[_i].access_key,
                   starts[_i].access_certificate);
    struct signer *signer = NULL;
    struct detail detail = {0};
    enum status status = signer_start(&signer, &options, &detail);
    ck_assert_msg(starts[_i].status == STATUS_OK ? status != STATUS_OK
                                                 : status == starts[_i].status,
                  "%s: %s", status_name(status), detail.text);
    ck_assert_msg(strstr(detail.text, starts[_i].reason) != NULL, "%s", detail.text);
    ck_assert_ptr_null(signer);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* no child stays behind */
}
END_TEST

START_TEST(signer_does_not_start_for_an_odd_trust_domain) {
    static const char *domains[] = {"", "Example.org", "a/b", "a b", "spiffe://a"};
    for (size_t i = 0; i < sizeof domains / sizeof domains[0]; i++) {
        struct signer_options options = good_options();
        struct signer *signer = NULL;
        struct detail detail = {0};
        options.trust_domain = domains[i];
        ck_assert_int_eq(signer_start(&signer, &options, &detail), STATUS_INVALID);
        ck_assert_ptr_nonnull(strstr(detail.text, "trust domain"));
        ck_assert_ptr_null(signer);
    }
    signer_free(NULL);
}
END_TEST

/* --- frames that are none
 * --------------------------------------------------------------------------------- */

/* A signer's child at the end of a socket of ours. */
static pid_t raw_child_with(int *fd, int *other) {
    static struct signer_options options;
    static uint8_t hello[SIGNER_HELLO_MAX];
    struct bytes body;
    int ends[2], answers[2], keepers[2]; /* one end of the last stays open until the test ends */
    options = good_options();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, answers), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, keepers), 0);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        const int theirs[] = {ends[1], answers[1]};
        signer_child_run(theirs, keepers[1], &options, (int)parent);
    }
    (void)close(ends[1]);
    (void)close(answers[1]);
    (void)close(keepers[1]);
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(signer_frame_receive(ends[0], SIGNER_HELLO, hello, sizeof hello, 10000, &body),
                     STATUS_OK);
    ck_assert_uint_eq(body.data[0], STATUS_OK);
    *fd = ends[0];
    *other = answers[0];
    return pid;
}

static pid_t raw_child(int *fd) {
    int answers; /* stays open until the test ends */
    return raw_child_with(fd, &answers);
}

static void assert_ends(int fd, pid_t pid, int code) {
    uint8_t byte;
    int ended = 0;
    ck_assert_int_eq(read(fd, &byte, 1), 0); /* not one byte of an answer */
    ck_assert_int_eq(waitpid(pid, &ended, 0), pid);
    ck_assert_msg(ended_with(ended, code), "status 0x%x", (unsigned)ended);
    (void)close(fd);
}

static struct bytes good_frame(size_t num) {
    static uint8_t buffer[SIGNER_REQUEST_MAX + 64];
    struct writer w = writer_of(buffer, sizeof buffer);
    struct sign_job job = job_of(PROFILE_ACCESS);
    signer_frame_open(&w, SIGNER_REQUEST);
    write_u16be(&w, (uint16_t)num);
    for (size_t i = 0; i < num; i++) {
        signer_job_write(&w, &job);
    }
    ck_assert_int_eq(signer_frame_close(&w), STATUS_OK);
    return writer_bytes(&w);
}

START_TEST(child_ends_in_peace_when_the_channel_closes) {
    int fd;
    pid_t pid = raw_child(&fd);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    assert_ends(fd, pid, EXIT_SUCCESS);
}
END_TEST

START_TEST(child_ends_in_peace_when_the_other_channel_closes) {
    int fd, answers;
    pid_t pid = raw_child_with(&fd, &answers);
    ck_assert_int_eq(shutdown(answers, SHUT_WR), 0);
    assert_ends(fd, pid, EXIT_SUCCESS);
    (void)close(answers);
}
END_TEST

START_TEST(child_issues_nothing_on_the_channel_for_answers) {
    struct bytes good = good_frame(1);
    int fd, answers;
    pid_t pid = raw_child_with(&fd, &answers);
    ck_assert_int_eq(signer_frame_send(answers, good), STATUS_OK);
    assert_ends(fd, pid, EXIT_FAILURE);
    (void)close(answers);
}
END_TEST

START_TEST(child_answers_a_good_frame_byte_by_byte) {
    static uint8_t reply[SIGNER_REPLY_MAX];
    struct bytes frame = good_frame(2), body;
    int fd;
    pid_t pid = raw_child(&fd);
    for (size_t i = 0; i < frame.len; i++) {
        ck_assert_int_eq(signer_frame_send(fd, bytes_of(frame.data + i, 1)), STATUS_OK);
    }
    ck_assert_int_eq(signer_frame_receive(fd, SIGNER_REPLY, reply, sizeof reply, 10000, &body),
                     STATUS_OK);
    ck_assert_uint_eq(body.data[1], 2);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    assert_ends(fd, pid, EXIT_SUCCESS);
}
END_TEST

/* Writes a changed frame and expects the child to hang up. */
static const struct {
    const char *what;
    size_t at;
    uint8_t value;
    int more; /* bytes added at the end, and to the length when positive */
} frames[] = {
    {"another version", 4, SIGNER_VERSION + 1, 0},
    {"version 0", 4, 0, 0},
    {"a reply", 5, SIGNER_REPLY, 0},
    {"a hello", 5, SIGNER_HELLO, 0},
    {"type 0", 5, 0, 0},
    {"a checkpoint's length", 5, SIGNER_CHECKPOINT, 0},
    {"a checkpoint's reply", 5, SIGNER_CHECKPOINT_REPLY, 0},
    {"type 6", 5, 6, 0},
    {"type 255", 5, 255, 0},
    {"4 GiB announced", 0, 0xFF, 0},
    {"16 MiB announced", 0, 0x01, 0},
    {"more jobs than there are", 7, 2, 0},
    {"no jobs", 7, 0, 0},
    {"257 jobs", 6, 1, 0},
    {"65,281 jobs", 6, 0xFF, 0},
    {"an SPKI of 65 KiB", 8 + 1 + 32 + 8 + 8 + 16, 0xFF, 0},
    {"an SPKI beyond its limit", 8 + 1 + 32 + 8 + 8 + 16, 0x03, 0},
    {"a byte too many", 4, SIGNER_VERSION, 1},
};

START_TEST(child_hangs_up_on_a_malformed_frame) {
    struct bytes good = good_frame(1);
    uint8_t bad[2048] = {0};
    int fd;
    pid_t pid = raw_child(&fd);
    ck_assert_uint_lt(good.len, sizeof bad - 1);
    memcpy(bad, good.data, good.len);
    bad[frames[_i].at] = frames[_i].value;
    bad[3] = (uint8_t)(bad[3] + frames[_i].more);
    size_t len = good.len + (size_t)frames[_i].more;
    ck_assert_int_eq(signer_frame_send(fd, bytes_of(bad, len)), STATUS_OK);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    uint8_t byte;
    int ended = 0;
    /* It may reset the connection over what it did not read. */
    ck_assert_msg(read(fd, &byte, 1) <= 0, "%s", frames[_i].what);
    ck_assert_int_eq(waitpid(pid, &ended, 0), pid);
    ck_assert_msg(ended_with(ended, EXIT_FAILURE), "%s", frames[_i].what);
    (void)close(fd);
}
END_TEST

START_TEST(child_hangs_up_on_a_frame_cut_anywhere) {
    struct bytes good = good_frame(1);
    for (size_t len = 1; len < good.len; len += len < 16 ? 1 : 29) {
        int fd;
        pid_t pid = raw_child(&fd);
        ck_assert_int_eq(signer_frame_send(fd, bytes_of(good.data, len)), STATUS_OK);
        ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
        assert_ends(fd, pid, EXIT_FAILURE);
    }
}
END_TEST

START_TEST(child_hangs_up_on_random_bytes) {
    for (int round = 0; round < 8; round++) {
        uint8_t noise[512];
        int fd, ended;
        pid_t pid = raw_child(&fd);
        random_bytes(noise, sizeof noise);
        noise[0] |= 0x80;
        enum status sent = signer_frame_send(fd, bytes_of(noise, sizeof noise));
        ck_assert(sent == STATUS_OK || sent == STATUS_INTERNAL); /* it may hang up early */
        ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
        ck_assert_int_eq(waitpid(pid, &ended, 0), pid);
        ck_assert(ended_with(ended, EXIT_FAILURE));
        (void)close(fd);
    }
}
END_TEST

/* --- replies that are none: a child that lies
 * ---------------------------------------------------------------- */

START_TEST(answer_that_is_malformed_is_refused) {
    static const struct bytes answers[] = {
        {(const uint8_t *)"", 0},
        {(const uint8_t *)"\x00", 1},
        {(const uint8_t *)"\x00\x00", 2},
        {(const uint8_t *)"\x00\x00\x05xx", 5},
        {(const uint8_t *)"\x03\x00\x00", 3},
        {(const uint8_t *)"\xFF\x00\x00", 3},
    };
    static uint8_t large[3 + CERTIFICATE_DER_MAX + 1];
    enum status status = STATUS_BUSY;
    struct bytes content = bytes_of(NULL, 0);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct bytes in = cert_exact(answers[i]), rest = in;
        ck_assert_int_ne(signer_answer_read(&rest, &status, &content), STATUS_OK);
        ck_assert_uint_eq(rest.len, in.len);
        cert_drop(in);
    }
    large[1] = (CERTIFICATE_DER_MAX + 1) >> 8;
    large[2] = (CERTIFICATE_DER_MAX + 1) & 0xFF;
    struct bytes in = bytes_of(large, sizeof large);
    ck_assert_int_eq(signer_answer_read(&in, &status, &content), STATUS_MALFORMED);
    large[0] = 1; /* a refusal with a text of 256 bytes */
    large[1] = 1;
    large[2] = 0;
    ck_assert_int_eq(signer_answer_read(&in, &status, &content), STATUS_MALFORMED);
    ck_assert_int_eq(status, STATUS_BUSY);
}
END_TEST

START_TEST(job_goes_over_the_wire_unchanged_and_no_prefix_of_it_does) {
    struct sign_job job = job_of(PROFILE_ACCESS), back = {0};
    uint8_t buffer[1024];
    struct writer w = writer_of(buffer, sizeof buffer);
    memcpy(job.segment, "corp", sizeof "corp");
    signer_job_write(&w, &job);
    for (size_t len = 0; len < w.len; len++) {
        struct bytes in = cert_exact(bytes_of(buffer, len)), rest = in;
        ck_assert_int_eq(signer_job_read(&rest, &back), STATUS_TRUNCATED);
        ck_assert_uint_eq(rest.len, len);
        cert_drop(in);
    }
    struct bytes rest = writer_bytes(&w);
    ck_assert_int_eq(signer_job_read(&rest, &back), STATUS_OK);
    ck_assert_uint_eq(rest.len, 0);
    ck_assert_mem_eq(&back, &job, sizeof job);
}
END_TEST

START_TEST(job_whose_tier_or_segment_is_no_short_text_is_refused) {
    enum { TIER_AT = 1 + 32 + 16 + PROFILE_SERIAL_LEN };
    static const struct {
        size_t tier_len, segment_len, zero_at;
        enum status status;
    } cases[] = {
        {15, SEGMENT_MAX, 0, STATUS_OK},
        {16, 0, 0, STATUS_LIMIT},
        {65535, 0, 0, STATUS_LIMIT},
        {8, SEGMENT_MAX + 1, 0, STATUS_LIMIT},
        {8, 4, TIER_AT + 2 + 3, STATUS_MALFORMED},
        {8, 4, TIER_AT + 2 + 8 + 2, STATUS_MALFORMED},
    };
    static uint8_t buffer[66000];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sign_job back = {.spki_len = 7777};
        struct writer w = writer_of(buffer, sizeof buffer);
        for (size_t n = 0; n < TIER_AT; n++) {
            write_u8(&w, 1);
        }
        write_u16be(&w, (uint16_t)cases[i].tier_len);
        for (size_t n = 0; n < cases[i].tier_len; n++) {
            write_u8(&w, 't');
        }
        write_u16be(&w, (uint16_t)cases[i].segment_len);
        for (size_t n = 0; n < cases[i].segment_len; n++) {
            write_u8(&w, 's');
        }
        write_u16be(&w, 0);
        if (cases[i].zero_at != 0) {
            buffer[cases[i].zero_at] = 0;
        }
        struct bytes rest = writer_bytes(&w);
        ck_assert_int_eq(signer_job_read(&rest, &back), cases[i].status);
        ck_assert_uint_eq(rest.len, cases[i].status == STATUS_OK ? 0 : w.len);
        ck_assert(cases[i].status == STATUS_OK || back.spki_len == 7777);
    }
}
END_TEST

START_TEST(frame_that_never_comes_expires) {
    uint8_t buffer[64];
    struct bytes body;
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    ck_assert_int_eq(signer_frame_receive(ends[0], SIGNER_REPLY, buffer, sizeof buffer, 50, &body),
                     STATUS_EXPIRED);
    ck_assert_int_eq(write(ends[1], "\x00\x00", 2), 2);
    ck_assert_int_eq(signer_frame_receive(ends[0], SIGNER_REPLY, buffer, sizeof buffer, 50, &body),
                     STATUS_EXPIRED);
    (void)close(ends[0]);
    (void)close(ends[1]);
}
END_TEST

/* --- death
 * ---------------------------------------------------------------------------------------------- */

START_TEST(parent_outlives_its_signer_and_says_so_each_time) {
    struct signer *signer = start();
    struct sign_job job = job_of(PROFILE_ACCESS), *jobs[] = {&job};
    struct detail detail = {0};
    ck_assert_int_eq(kill(signer_pid(signer), SIGKILL), 0);
    for (int i = 0; i < 3; i++) {
        job.status = STATUS_OK;
        ck_assert_int_eq(signer_sign(signer, jobs, 1, &detail), STATUS_INTERNAL);
        ck_assert_int_eq(job.status, STATUS_INTERNAL);
        ck_assert_ptr_nonnull(strstr(detail.text, "the signer is gone"));
    }
    signer_free(signer);
}
END_TEST

START_TEST(signer_ignores_the_signals_that_end_the_gateway) {
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
    struct signer *signer = start();
    struct sign_job job = job_of(PROFILE_ACCESS), *jobs[] = {&job};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        ck_assert_int_eq(kill(signer_pid(signer), signals[i]), 0);
    }
    ck_assert_int_eq(signer_sign(signer, jobs, 1, NULL), STATUS_OK);
    ck_assert_int_eq(job.status, STATUS_OK);
    signer_free(signer);
}
END_TEST

START_TEST(signer_leaves_no_child_behind_when_freed) {
    struct signer *signer = start();
    pid_t pid = signer_pid(signer);
    signer_free(signer);
    ck_assert_int_eq(kill(pid, 0), -1);
    ck_assert_int_eq(errno, ESRCH);
}
END_TEST

START_TEST(signer_dies_with_its_parent) {
    int report[2], status;
    pid_t pid;
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    ck_assert_int_eq(pipe(report), 0);
    pid_t gateway = fork();
    if (gateway == 0) {
        struct signer *signer = start();
        pid = signer_pid(signer);
        (void)!write(report[1], &pid, sizeof pid);
        (void)kill(getpid(), SIGKILL);
    }
    ck_assert_int_eq(read(report[0], &pid, sizeof pid), sizeof pid);
    ck_assert_int_eq(waitpid(gateway, &status, 0), gateway);
    while (kill(pid, 0) == 0) { /* its keeper's, then ours; it must end by itself */
        (void)waitpid(-1, &status, WNOHANG);
        (void)sched_yield();
    }
    ck_assert_int_eq(errno, ESRCH);
}
END_TEST

/* --- confinement
 * ------------------------------------------------------------------------------------------- */

static bool kernel_says(pid_t pid, const char *line) {
    char path[64], text[8192] = {0};
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    (void)!fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    return strstr(text, line) != NULL;
}

START_TEST(signer_runs_filtered_without_new_privileges_and_with_its_channels_only) {
    struct signer *signer = start();
    pid_t pid = signer_pid(signer);
    ck_assert(kernel_says(pid, "NoNewPrivs:\t1"));
    ck_assert(kernel_says(pid, "Seccomp:\t2"));
    ck_assert(kernel_says(pid, "Threads:\t1"));
    /* Root may look into a process that is not dumpable; others may not even that. */
    if (geteuid() == 0) {
        /* poll wants a limit as large as what it waits for; both numbers are taken. */
        lab_run("test \"$(ls /proc/%d/fd | xargs)\" = '0 1 2'; "
                "test \"$(readlink /proc/%d/fd/0 /proc/%d/fd/1 | grep -c '^socket:')\" = 2; "
                "grep -q 'Max core file size  *0  *0' /proc/%d/limits; "
                "grep -q 'Max open files  *3  *3' /proc/%d/limits",
                (int)pid, (int)pid, (int)pid, (int)pid, (int)pid);
    } else {
        ck_assert(!lab_try("ls /proc/%d/fd", (int)pid));
    }
    signer_free(signer);
}
END_TEST

static long call_open(void) {
    return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}
static long call_socket(void) {
    return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}
static long call_clone(void) {
    return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}
static long call_execve(void) {
    static char *const nothing[] = {NULL};
    return syscall(SYS_execve, "/bin/true", nothing, nothing);
}
static long call_kill(void) {
    return syscall(SYS_kill, 1, 0);
}
static long call_ptrace(void) {
    return syscall(SYS_ptrace, PTRACE_TRACEME, 0, NULL, NULL);
}
static long call_mprotect(void) {
    static uint8_t page[1];
    return syscall(SYS_mprotect, (uintptr_t)page & ~(uintptr_t)4095, 4096, PROT_READ | PROT_EXEC);
}
static long call_mmap_executable(void) {
    return syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static long call_dup(void) {
    return syscall(SYS_dup, 0);
}
static long call_sendmsg(void) {
    return syscall(SYS_sendmsg, 0, NULL, 0);
}
static long call_prctl(void) {
    return syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}
static long call_write(void) {
    return syscall(SYS_write, 1, "x", 1);
}
static long call_unlink(void) {
    return syscall(SYS_unlinkat, AT_FDCWD, "/nonexistent", 0);
}
static long call_vm_read(void) {
    return syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0);
}
static long call_unknown(void) {
    return syscall(99999);
}

static long (*const forbidden[])(void) = {
    call_open,   call_socket,          call_clone,  call_execve,  call_kill,
    call_ptrace, call_mprotect,        call_dup,    call_sendmsg, call_prctl,
    call_write,  call_mmap_executable, call_unlink, call_vm_read, call_unknown};

START_TEST(confined_process_dies_of_a_forbidden_call) {
    int ended;
    pid_t pid = fork();
    if (pid == 0) {
        if (signer_confine(NULL) == STATUS_OK) {
            (void)forbidden[_i]();
        }
        syscall(SYS_exit_group, 0);
    }
    ck_assert_int_eq(waitpid(pid, &ended, 0), pid);
    ck_assert_msg(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGSYS, "call %d: 0x%x", _i,
                  (unsigned)ended);
    ck_assert(!WCOREDUMP(ended));
}
END_TEST

START_TEST(confined_process_keeps_memory_time_randomness_and_exit) {
    int ended;
    pid_t pid = fork();
    if (pid == 0) {
        uint8_t bytes[16];
        struct timespec now;
        if (signer_confine(NULL) != STATUS_OK) {
            _exit(2);
        }
        for (size_t len = 16; len < 8 << 20; len *= 2) {
            volatile uint8_t *memory = malloc(len);
            if (memory == NULL) {
                _exit(3);
            }
            memory[len - 1] = 1;
            free((void *)(uintptr_t)memory);
        }
        random_bytes(bytes, sizeof bytes);
        if (syscall(SYS_clock_gettime, CLOCK_REALTIME, &now) != 0) {
            _exit(4);
        }
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &ended, 0), pid);
    ck_assert_msg(ended_with(ended, 0), "0x%x", (unsigned)ended);
}
END_TEST

/* --- the keys are not here
 * ----------------------------------------------------------------------------------- */

/* Looks through all our writable memory for bytes whose hex digits are in `coded`, shifted by
 * ten letters, so that what we search with is not found itself. */
static bool memory_holds(const char *coded, size_t len) {
    char line[512];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(maps);
    while (!found && fgets(line, sizeof line, maps) != NULL) {
        unsigned long from = 0, to = 0;
        char rights[8] = "";
        if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || rights[0] != 'r' ||
            rights[1] != 'w' || to - from > 256ul << 20) {
            continue;
        }
        const volatile uint8_t *memory = (const volatile uint8_t *)from;
        for (size_t at = 0; at + len <= to - from && !found; at++) {
            size_t same = 0;
            while (same < len && memory[at + same] ==
                                     ((coded[2 * same] - 'g') << 4 | (coded[2 * same + 1] - 'g'))) {
                same++;
            }
            found = same == len;
        }
    }
    (void)fclose(maps);
    return found;
}

START_TEST(keys_are_never_in_the_parents_memory) {
    if (SANITIZED) {
        return; /* red zones must not be read */
    }
    struct signer *signer = start();
    struct sign_job job = job_of(PROFILE_IDENTITY), *jobs[] = {&job};
    ck_assert_int_eq(signer_sign(signer, jobs, 1, NULL), STATUS_OK);
    lab_run("openssl ec -in identity.key -outform DER | head -c 39 | tail -c 32 | xxd -p | tr -d "
            "'\\n' | tr 0-9a-f g-v >coded; "
            "openssl pkey -in identity.key -pubout -outform DER | tail -c 64 | head -c 32 | xxd -p "
            "| tr -d '\\n' | tr 0-9a-f g-v "
            ">public");
    struct bytes coded = lab_read("coded"), public = lab_read("public");
    ck_assert_uint_eq(coded.len, 64);
    ck_assert(!memory_holds((const char *)coded.data, 32));
    ck_assert(memory_holds((const char *)public.data,
                           32)); /* in the authority's certificate: the search does find */
    signer_free(signer);
}
END_TEST

#define COUNT(table) (int)(sizeof table / sizeof table[0])

int main(void) {
    make_authorities();
    (void)cert_key(0);
    TCase *signing = tcase_create("signing");
    tcase_set_timeout(signing, 60);
    tcase_add_test(signing, signer_signs_both_profiles_under_their_own_authority);
    tcase_add_test(signing, signer_signs_ten_thousand_in_full_batches_without_a_forbidden_call);
    tcase_add_test(signing, batch_of_none_or_too_many_is_a_limit_and_the_signer_goes_on);
    tcase_add_loop_test(signing, job_that_breaks_a_rule_is_refused_alone, 0, COUNT(spoils));
    tcase_add_test(signing, identity_beyond_its_authority_is_refused);
    TCase *starting = tcase_create("starting");
    tcase_add_loop_test(starting, signer_does_not_start_with_a_key_or_certificate_that_will_not_do,
                        0, COUNT(starts));
    tcase_add_test(starting, signer_does_not_start_for_an_odd_trust_domain);
    TCase *wire = tcase_create("wire");
    tcase_set_timeout(wire, 60);
    tcase_add_test(wire, child_ends_in_peace_when_the_channel_closes);
    tcase_add_test(wire, child_ends_in_peace_when_the_other_channel_closes);
    tcase_add_test(wire, child_issues_nothing_on_the_channel_for_answers);
    tcase_add_test(wire, child_answers_a_good_frame_byte_by_byte);
    tcase_add_loop_test(wire, child_hangs_up_on_a_malformed_frame, 0, COUNT(frames));
    tcase_add_test(wire, child_hangs_up_on_a_frame_cut_anywhere);
    tcase_add_test(wire, child_hangs_up_on_random_bytes);
    tcase_add_test(wire, answer_that_is_malformed_is_refused);
    tcase_add_test(wire, job_goes_over_the_wire_unchanged_and_no_prefix_of_it_does);
    tcase_add_test(wire, job_whose_tier_or_segment_is_no_short_text_is_refused);
    tcase_add_test(wire, frame_that_never_comes_expires);
    TCase *death = tcase_create("death");
    tcase_add_test(death, parent_outlives_its_signer_and_says_so_each_time);
    tcase_add_test(death, signer_ignores_the_signals_that_end_the_gateway);
    tcase_add_test(death, signer_leaves_no_child_behind_when_freed);
    tcase_add_test(death, signer_dies_with_its_parent);
    TCase *confinement = tcase_create("confinement");
    tcase_set_timeout(confinement, 60);
    tcase_add_test(confinement,
                   signer_runs_filtered_without_new_privileges_and_with_its_channels_only);
    tcase_add_loop_test(confinement, confined_process_dies_of_a_forbidden_call, 0,
                        COUNT(forbidden));
    tcase_add_test(confinement, confined_process_keeps_memory_time_randomness_and_exit);
    tcase_add_test(confinement, keys_are_never_in_the_parents_memory);
    Suite *suite = suite_create("credential: signer");
    suite_add_tcase(suite, signing);
    suite_add_tcase(suite, starting);
    suite_add_tcase(suite, wire);
    suite_add_tcase(suite, death);
    suite_add_tcase(suite, confinement);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
