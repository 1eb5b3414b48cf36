/* Revocation lists: their bytes, and how the signer signs them. openssl reads what we write. */
#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/credential/signer_crl.h"
#include "server/credential/signer_crl_wire.h"
#include "server/credential/signer_exchange.h"
#include "server/crypto/der.h"
#include "tests/unit/cert_fixture.h"
#include "tests/unit/lab.h"
#include "tests/unit/signer_fixture.h"
#include "tests/unit/store_fixture.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DAY = 86400, MANY = 200000 };
static const int64_t at = 1795438800; /* 2026-11-23 13:00:00 */

static struct store_fixture f;
static struct signer *signer;
static struct detail detail;
static const char *access_id, *identity_id;
static struct crl_entry entries[MANY];

static void start(void) {
    const struct signer_authority *all;
    store_fixture_folder(&f);
    signer = signer_fixture_start(f.folder);
    size_t num = signer_authorities(signer, &all);
    for (size_t i = 0; i < num; i++) {
        *(all[i].profile == PROFILE_ACCESS ? &access_id : &identity_id) = all[i].id;
    }
    detail = (struct detail){0};
}

static void stop(void) {
    signer_free(signer);
    store_fixture_remove(&f);
}

/* Entry n of a list: ascends with n. */
static struct crl_entry entry_of(uint32_t n) {
    struct crl_entry entry = {.serial = {0x40}, .revoked = at + (int64_t)n};
    struct writer w = writer_of(entry.serial + PROFILE_SERIAL_LEN - 4, 4);
    write_u32be(&w, n);
    return entry;
}

/* --- bytes -------------------------------------------------------------------------------------- */

/* As RFC 5280 has it, by hand. */
static const char known[] = "305f"                                   /* TBSCertList */
                            "020101"                                 /* v2 */
                            "300a06082a8648ce3d040302"               /* ecdsa-with-SHA256 */
                            "3011310f300d06035504030c06697373756572" /* CN=issuer */
                            "170d3236313132333133303030305a"         /* thisUpdate 261123130000Z */
                            "170d3236313132333134303030305a"         /* nextUpdate 261123140000Z */
                            "%s"                                     /* revokedCertificates */
                            "a01d301b300c0603551d2304053003800109"   /* authorityKeyIdentifier */
                            "300b0603551d14040402021000";            /* cRLNumber 4096 */

static struct crl_shape shape_of(size_t entries_len) {
    static const uint8_t name[] = {0x30, 0x11, 0x31, 0x0f, 0x30, 0x0d, 0x06, 0x03, 0x55, 0x04,
                                   0x03, 0x0c, 0x06, 'i',  's',  's',  'u',  'e',  'r'};
    static const uint8_t key_id[] = {9};
    return (struct crl_shape){.issuer = bytes_of(name, sizeof name),
                              .key_id = bytes_of(key_id, sizeof key_id),
                              .kind = KEY_EC_P256,
                              .this_update = at,
                              .next_update = at + 3600,
                              .number = 4096,
                              .entries_len = entries_len};
}

static void write_list(struct writer *w, const struct crl_entry *entry, size_t num) {
    struct crl_shape shape = shape_of(0);
    for (size_t i = 0; i < num; i++) {
        shape.entries_len += crl_entry_len(&entry[i]);
    }
    crl_write_head(w, &shape);
    for (size_t i = 0; i < num; i++) {
        crl_write_entry(w, &entry[i]);
    }
    crl_write_tail(w, &shape);
    ck_assert(!w->overflow);
    ck_assert_uint_eq(w->len, crl_tbs_len(&shape));
}

static void assert_written(const struct crl_entry *entry, size_t num, const char *wanted) {
    uint8_t buffer[512];
    char hex[2 * sizeof buffer + 1];
    struct writer w = writer_of(buffer, sizeof buffer);
    write_list(&w, entry, num);
    hex_encode(hex, writer_bytes(&w));
    ck_assert_str_eq(hex, wanted);
}

START_TEST(an_empty_list_has_no_list_of_revoked_certificates) {
    char wanted[512];
    (void)snprintf(wanted, sizeof wanted, known, "");
    ck_assert_uint_eq(strlen(wanted), 2 * (0x5f + 2));
    assert_written(NULL, 0, wanted);
}
END_TEST

START_TEST(an_entry_is_serial_date_and_a_reason_that_says_something) {
    struct crl_entry entry = {.revoked = at, .reason = CRL_PRIVILEGE_WITHDRAWN};
    char form[512], wanted[512];
    for (uint8_t i = 0; i < PROFILE_SERIAL_LEN; i++) {
        entry.serial[i] = i; /* its leading zero is none of the number's digits */
    }
    (void)snprintf(form, sizeof form, "308191%s", known + 4); /* the head says its own length */
    (void)snprintf(wanted, sizeof wanted, form,
                   "3030302e020f0102030405060708090a0b0c0d0e0f170d3236313132333133303030305a"
                   "300c300a0603551d1504030a0109");
    assert_written(&entry, 1, wanted);
    entry.reason = CRL_UNSPECIFIED;
    (void)snprintf(form, sizeof form, "308183%s", known + 4);
    (void)snprintf(wanted, sizeof wanted, form,
                   "30223020020f0102030405060708090a0b0c0d0e0f170d3236313132333133303030305a");
    assert_written(&entry, 1, wanted);
}
END_TEST

static const struct {
    size_t num;
} sizes[] = {{1}, {2}, {3}, {7}, {255}, {1400}, {1900}, {2000}, {70000}};

START_TEST(a_list_of_any_size_is_one_element_and_as_long_as_was_said) {
    size_t num = sizes[_i].num, cap = num * CRL_ENTRY_MAX + CRL_FRAME_MAX;
    uint8_t *buffer = malloc(cap);
    struct writer w = writer_of(buffer, cap);
    struct bytes in, content;
    for (uint32_t i = 0; i < num; i++) {
        entries[i] = entry_of(i);
        entries[i].reason = i % 3 == 0 ? CRL_SUPERSEDED : CRL_UNSPECIFIED;
        if (i % 2 == 0) {
            entries[i].revoked = 2524608000 + (int64_t)i; /* 2050: GeneralizedTime */
        }
    }
    write_list(&w, entries, num);
    in = writer_bytes(&w);
    ck_assert_int_eq(der_take(&in, DER_SEQUENCE, &content), STATUS_OK);
    ck_assert_uint_eq(in.len, 0);
    for (int i = 0; i < 5; i++) { /* version to nextUpdate */
        unsigned tag;
        struct bytes skipped;
        ck_assert_int_eq(der_any(&content, &tag, &skipped), STATUS_OK);
    }
    struct bytes list, entry, serial;
    ck_assert_int_eq(der_take(&content, DER_SEQUENCE, &list), STATUS_OK);
    for (size_t i = 0; i < num; i++) {
        int64_t revoked;
        ck_assert_int_eq(der_take(&list, DER_SEQUENCE, &entry), STATUS_OK);
        ck_assert_int_eq(der_take_unsigned(&entry, &serial), STATUS_OK);
        ck_assert_int_eq(der_take_time(&entry, &revoked), STATUS_OK);
        ck_assert(bytes_equal(serial, bytes_of(entries[i].serial, sizeof entries[i].serial)));
        ck_assert_int_eq(revoked, entries[i].revoked);
        ck_assert_uint_eq(entry.len, entries[i].reason == CRL_UNSPECIFIED ? 0 : 14);
    }
    ck_assert_uint_eq(list.len, 0);
    free(buffer);
}
END_TEST

START_TEST(a_serial_number_of_any_value_has_the_length_that_was_said) {
    static const uint8_t firsts[] = {0, 1, 0x7f, 0x80, 0xff};
    for (size_t zeros = 0; zeros < PROFILE_SERIAL_LEN; zeros++) {
        for (size_t i = 0; i < sizeof firsts; i++) {
            struct crl_entry entry = {.revoked = at, .reason = CRL_KEY_COMPROMISE};
            uint8_t buffer[CRL_ENTRY_MAX + 1];
            struct writer w = writer_of(buffer, sizeof buffer);
            memset(entry.serial + zeros, 0xee, PROFILE_SERIAL_LEN - zeros);
            entry.serial[zeros] = firsts[i];
            crl_write_entry(&w, &entry);
            ck_assert(!w.overflow);
            ck_assert_uint_eq(w.len, crl_entry_len(&entry));
        }
    }
}
END_TEST

static const struct {
    const char *text;
    enum crl_reason reason;
} reasons[] = {
    {"untrusted", CRL_PRIVILEGE_WITHDRAWN},
    {"reappraised", CRL_PRIVILEGE_WITHDRAWN},
    {"tier_too_low", CRL_PRIVILEGE_WITHDRAWN},
    {"tier_sank", CRL_PRIVILEGE_WITHDRAWN},
    {"quarantined", CRL_PRIVILEGE_WITHDRAWN},
    {"exception_ended", CRL_PRIVILEGE_WITHDRAWN},
    {"exception_began", CRL_SUPERSEDED},
    {"re-enrolled", CRL_SUPERSEDED},
    {"retired", CRL_CESSATION_OF_OPERATION},
    {"key_compromise", CRL_KEY_COMPROMISE},
    {"superseded", CRL_SUPERSEDED},
    {"cessation_of_operation", CRL_CESSATION_OF_OPERATION},
    {"privilege_withdrawn", CRL_PRIVILEGE_WITHDRAWN},
    {"", CRL_UNSPECIFIED},
    {"no key_compromise", CRL_UNSPECIFIED},
    {"Key_Compromise", CRL_UNSPECIFIED},
    {"laptop was stolen", CRL_UNSPECIFIED},
};

START_TEST(reasons_of_ours_become_those_of_the_standard) {
    ck_assert_int_eq(crl_reason_of(reasons[_i].text), reasons[_i].reason);
    ck_assert(crl_reason_is_known(reasons[_i].reason));
}
END_TEST

START_TEST(a_reason_that_takes_no_part_here_is_none) {
    static const unsigned unknown[] = {2, 3, 6, 7, 8, 10, 11, 255};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        ck_assert(!crl_reason_is_known(unknown[i])); /* 6 and 8 hold and release: not for us */
    }
}
END_TEST

/* --- the signer --------------------------------------------------------------------------------- */

static struct crl_job job_of(size_t num) {
    static uint64_t number;
    uint64_t now = (uint64_t)clock_unix_ms();
    number = now > number ? now : number + 1;
    for (uint32_t i = 0; i < num; i++) {
        entries[i] = entry_of(i);
        entries[i].revoked = clock_unix() - 100 - i % 50;
        entries[i].reason = i % 2 == 0 ? CRL_PRIVILEGE_WITHDRAWN : CRL_UNSPECIFIED;
    }
    return (struct crl_job){.authority = access_id,
                            .this_update = clock_unix() - 60,
                            .next_update = clock_unix() + 3600,
                            .number = number,
                            .entry = entries,
                            .num = num};
}

static void sign_well(struct crl_job *job) {
    enum status status = signer_crl(signer, job, &detail);
    ck_assert_msg(status == STATUS_OK, "%s: %s", status_name(status), detail.text);
    lab_write("list.der", bytes_of(job->der, job->der_len));
    free(job->der);
}

static void refused(struct crl_job *job, enum status wanted, const char *why) {
    enum status status = signer_crl(signer, job, &detail);
    ck_assert_msg(status == wanted, "%s: %s", status_name(status), detail.text);
    ck_assert_msg(strstr(detail.text, why) != NULL, "'%s' does not say '%s'", detail.text, why);
    ck_assert_ptr_null(job->der);
    ck_assert_uint_eq(job->der_len, 0);
}

START_TEST(openssl_reads_and_verifies_a_list_and_its_every_field) {
    struct crl_job job = job_of(3);
    char number[64];
    sign_well(&job);
    lab_run("openssl crl -inform DER -in list.der -noout -verify -CAfile %s/access.pem", f.folder);
    lab_run("openssl crl -inform DER -in list.der -noout -text >text; "
            "openssl crl -inform DER -in list.der -noout -crlnumber -issuer >fields; "
            "! openssl crl -inform DER -in list.der -noout -verify -CAfile %s/identity.pem",
            f.folder);
    const char *text = (const char *)lab_read("text").data;
    ck_assert_ptr_nonnull(strstr(text, "Version 2 (0x1)"));
    ck_assert_ptr_nonnull(strstr(text, "ecdsa-with-SHA256"));
    ck_assert_ptr_nonnull(strstr(text, "X509v3 Authority Key Identifier"));
    ck_assert_ptr_nonnull(strstr(text, "Serial Number: 40000000000000000000000000000002"));
    ck_assert_ptr_nonnull(strstr(text, "Privilege Withdrawn"));
    ck_assert_ptr_null(strstr(text, "Unspecified"));
    ck_assert_ptr_null(strstr(text, "critical"));
    (void)snprintf(number, sizeof number, "crlNumber=0x0%llX",
                   (unsigned long long)job.number); /* whole bytes */
    ck_assert_msg(strstr((const char *)lab_read("fields").data, number) != NULL, "%s in %s", number,
                  (const char *)lab_read("fields").data);
}
END_TEST

START_TEST(openssl_refuses_what_is_on_the_list_and_takes_the_rest) {
    for (unsigned n = 0; n < 2; n++) {
        struct sign_job job = sample_job(n), *jobs[] = {&job};
        char name[16];
        memset(job.serial, 0x40 + (int)n, sizeof job.serial);
        ck_assert_int_eq(signer_sign(signer, jobs, 1, &detail), STATUS_OK);
        (void)snprintf(name, sizeof name, "%u.der", n);
        lab_write(name, bytes_of(job.der, job.der_len));
        lab_run("openssl x509 -inform DER -in %u.der -out %u.pem", n, n);
    }
    struct crl_job job = job_of(1);
    memset(entries[0].serial, 0x40, sizeof entries[0].serial);
    sign_well(&job);
    lab_run("openssl crl -inform DER -in list.der -out list.pem");
    lab_run("! openssl verify -crl_check -CAfile %s/access.pem -CRLfile list.pem 0.pem", f.folder);
    ck_assert(lab_said("certificate revoked"));
    lab_run("openssl verify -crl_check -CAfile %s/access.pem -CRLfile list.pem 1.pem", f.folder);
}
END_TEST

START_TEST(a_list_of_200000_is_signed_piece_by_piece) {
    struct crl_job job = job_of(MANY);
    struct sign_job other = sample_job(1), *jobs[] = {&other};
    sign_well(&job);
    lab_run("openssl crl -inform DER -in list.der -noout -verify -CAfile %s/access.pem && "
            "openssl crl -inform DER -in list.der -noout -text | grep -c 'Serial Number' >count",
            f.folder);
    ck_assert_str_eq((const char *)lab_read("count").data, "200000\n");
    ck_assert_int_eq(signer_sign(signer, jobs, 1, &detail), STATUS_OK);
}
END_TEST

START_TEST(a_serial_number_whose_first_bit_is_set_is_none_below_zero) {
    struct crl_job job = job_of(1);
    memset(entries[0].serial, 0xee, sizeof entries[0].serial);
    sign_well(&job);
    lab_run("openssl crl -inform DER -in list.der -noout -text >text");
    ck_assert_ptr_nonnull(strstr((const char *)lab_read("text").data,
                                 "Serial Number: EEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEE"));
}
END_TEST

START_TEST(numbers_never_go_back) {
    struct crl_job first = job_of(1), again = first;
    sign_well(&first);
    refused(&again, STATUS_INVALID, "after number");
    again.number--;
    refused(&again, STATUS_INVALID, "after number");
    again.number = (uint64_t)clock_unix_ms() + 60000;
    refused(&again, STATUS_INVALID, "ahead of the clock");
    again.number = 0;
    refused(&again, STATUS_INVALID, "after number");
    struct crl_job next = job_of(1);
    next.number = first.number + 1;
    sign_well(&next);
}
END_TEST

static void ahead(struct crl_job *job) {
    job->this_update = clock_unix() + 10;
}
static void late(struct crl_job *job) {
    job->this_update = clock_unix() - 700;
}
static void brief(struct crl_job *job) {
    job->next_update = job->this_update + 59;
}
static void backwards(struct crl_job *job) {
    job->next_update = job->this_update - 3600;
}
static void long_lived(struct crl_job *job) {
    job->next_update = job->this_update + 7 * DAY + 1;
}
static void of_identity(struct crl_job *job) {
    job->authority = identity_id;
}
static void out_of_order(struct crl_job *job) {
    (void)job;
    entries[1] = entry_of(3);
    entries[2] = entry_of(2);
}
static void twice(struct crl_job *job) {
    (void)job;
    memcpy(entries[2].serial, entries[1].serial, sizeof entries[2].serial);
}
static void zero_serial(struct crl_job *job) {
    (void)job;
    memset(entries[0].serial, 0, sizeof entries[0].serial);
}
static void of_tomorrow(struct crl_job *job) {
    (void)job;
    entries[1].revoked = clock_unix() + 60;
}
static void before_time(struct crl_job *job) {
    (void)job;
    entries[1].revoked = -1;
}
static void on_hold(struct crl_job *job) {
    (void)job;
    entries[1].reason = (enum crl_reason)6;
}
static void removed(struct crl_job *job) {
    (void)job;
    entries[0].reason = (enum crl_reason)8;
}

static const struct {
    void (*spoil)(struct crl_job *job);
    const char *why;
} refusals[] = {
    {ahead, "this update is not"},
    {late, "this update is not"},
    {brief, "a list for 59 s"},
    {backwards, "a list for -"},
    {long_lived, "a list for 604801 s"},
    {of_identity, "no such authority of credentials"},
    {out_of_order, "out of order"},
    {twice, "out of order"},
    {zero_serial, "serial number"},
    {of_tomorrow, "not of the past"},
    {before_time, "not of the past"},
    {on_hold, "reason 6"},
    {removed, "reason 8"},
};

START_TEST(the_signer_refuses_and_goes_on) {
    struct crl_job job = job_of(3);
    refusals[_i].spoil(&job);
    refused(&job, STATUS_INVALID, refusals[_i].why);
    struct crl_job good = job_of(3);
    sign_well(&good);
}
END_TEST

START_TEST(an_unknown_authority_and_too_many_entries_are_refused_here) {
    struct crl_job job = job_of(1);
    job.authority = "0123456789abcdef";
    refused(&job, STATUS_NOT_FOUND, "0123456789abcdef");
    job.authority = "";
    refused(&job, STATUS_NOT_FOUND, "");
    job = job_of(1);
    job.num = CRL_ENTRIES_MAX + 1;
    refused(&job, STATUS_LIMIT, "1000001 entries");
}
END_TEST

START_TEST(a_signer_that_is_gone_signs_no_list) {
    struct crl_job job = job_of(1);
    ck_assert_int_eq(kill(signer_pid(signer), SIGKILL), 0);
    refused(&job, STATUS_INTERNAL, "gone");
    refused(&job, STATUS_INTERNAL, "gone");
}
END_TEST

/* --- frames that signer_crl would not send ------------------------------------------------------ */

static enum status say(struct bytes body, struct bytes *text) {
    struct bytes reply;
    static uint8_t kept[512];
    struct writer copy = writer_of(kept, sizeof kept);
    enum status answered = STATUS_INTERNAL;
    struct writer *w = signer_answers_begin(signer, SIGNER_CRL);
    write_bytes(w, body);
    enum status status = signer_answers_exchange(signer, SIGNER_CRL_REPLY, &reply, &detail);
    if (status == STATUS_OK) {
        ck_assert_int_eq(signer_answer_read(&reply, &answered, text), STATUS_OK);
        write_bytes(&copy, *text);
        *text = writer_bytes(&copy);
        status = answered;
    }
    signer_answers_end(signer);
    return status;
}

static struct bytes frame_begin(uint64_t number, uint32_t num, uint32_t len) {
    static uint8_t buffer[64];
    struct writer w = writer_of(buffer, sizeof buffer);
    uint8_t id[AUTHORITY_RAW_ID];
    ck_assert_int_eq(hex_decode(id, sizeof id, access_id), STATUS_OK);
    write_u8(&w, CRL_BEGIN);
    write_bytes(&w, bytes_of(id, sizeof id));
    write_u64be(&w, (uint64_t)clock_unix());
    write_u64be(&w, (uint64_t)clock_unix() + 3600);
    write_u64be(&w, number);
    write_u32be(&w, num);
    write_u32be(&w, len);
    return writer_bytes(&w);
}

static struct bytes frame_entries(uint64_t number, uint16_t num, uint8_t serial) {
    static uint8_t buffer[8 * 32];
    struct writer w = writer_of(buffer, sizeof buffer);
    write_u8(&w, CRL_ENTRIES);
    write_u64be(&w, number);
    write_u16be(&w, num);
    for (uint16_t i = 0; i < num; i++) {
        uint8_t bytes[PROFILE_SERIAL_LEN] = {0x40, (uint8_t)(serial + i)};
        write_bytes(&w, bytes_of(bytes, sizeof bytes));
        write_u64be(&w, (uint64_t)clock_unix());
        write_u8(&w, 0);
    }
    return writer_bytes(&w);
}

static struct bytes frame_end(uint64_t number) {
    static uint8_t buffer[16];
    struct writer w = writer_of(buffer, sizeof buffer);
    write_u8(&w, CRL_END);
    write_u64be(&w, number);
    return writer_bytes(&w);
}

static void said(struct bytes frame, enum status wanted, const char *why) {
    struct bytes text = {0};
    enum status status = say(frame, &text);
    ck_assert_msg(status == wanted, "%s: %.*s", status_name(status), (int)text.len,
                  (const char *)text.data);
    if (why != NULL) {
        ck_assert_msg(text.len > 0 && memmem(text.data, text.len, why, strlen(why)) != NULL,
                      "'%.*s' does not say '%s'", (int)text.len, (const char *)text.data, why);
    }
}

enum { ONE = 35 }; /* bytes of an entry without a reason */

START_TEST(pieces_of_no_list_are_refused) {
    uint64_t number = (uint64_t)clock_unix_ms();
    said(frame_entries(number, 1, 1), STATUS_INVALID, "no such list");
    said(frame_end(number), STATUS_INVALID, "no such list");
    said(frame_begin(number, 1, ONE), STATUS_OK, NULL);
    said(frame_entries(number + 1, 1, 1), STATUS_INVALID, "no such list");
    said(frame_entries(number, 1, 1), STATUS_INVALID, "no such list"); /* it was dropped */
}
END_TEST

START_TEST(a_list_has_as_many_entries_as_were_announced) {
    uint64_t number = (uint64_t)clock_unix_ms();
    said(frame_begin(number, 2, 2 * ONE), STATUS_OK, NULL);
    said(frame_entries(number, 1, 1), STATUS_OK, NULL);
    said(frame_end(number), STATUS_INVALID, "less entries");
    said(frame_begin(number, 1, ONE), STATUS_OK, NULL);
    said(frame_entries(number, 2, 1), STATUS_INVALID, "more entries");
    said(frame_begin(number, 2, ONE), STATUS_OK, NULL);
    said(frame_entries(number, 2, 1), STATUS_INVALID, "more entries");
    said(frame_begin(number, 1, 52), STATUS_OK, NULL);
    said(frame_entries(number, 1, 1), STATUS_OK, NULL);
    said(frame_end(number), STATUS_INVALID, "less entries");
    said(frame_begin(number, 0, 1), STATUS_INVALID, "0 entries of 1 bytes");
    said(frame_begin(number, 1, 53), STATUS_INVALID, "1 entries of 53 bytes");
    said(frame_begin(number, CRL_ENTRIES_MAX + 1, 100), STATUS_INVALID, "1000001 entries");
    said(frame_begin(number, 1, ONE), STATUS_OK, NULL);
    said(frame_entries(number, 1, 1), STATUS_OK, NULL);
    said(frame_end(number), STATUS_OK, NULL);
    said(frame_end(number), STATUS_INVALID, "no such list");
}
END_TEST

START_TEST(order_is_kept_from_one_piece_to_the_next) {
    uint64_t number = (uint64_t)clock_unix_ms();
    said(frame_begin(number, 4, 4 * ONE), STATUS_OK, NULL);
    said(frame_entries(number, 2, 7), STATUS_OK, NULL);
    said(frame_entries(number, 2, 8), STATUS_INVALID, "out of order");
}
END_TEST

START_TEST(a_second_list_ends_the_first) {
    uint64_t number = (uint64_t)clock_unix_ms();
    said(frame_begin(number - 1, 1, ONE), STATUS_OK, NULL);
    said(frame_begin(number, 1, ONE), STATUS_OK, NULL);
    said(frame_entries(number - 1, 1, 1), STATUS_INVALID, "no such list");
}
END_TEST

static const struct {
    const char *what;
    struct bytes body;
} broken[] = {
    {"nothing", {(const uint8_t *)"", 0}},
    {"no step", {(const uint8_t *)"\4\0\0\0\0\0\0\0\1", 9}},
    {"step zero", {(const uint8_t *)"\0\0\0\0\0\0\0\0\1", 9}},
    {"half a beginning", {(const uint8_t *)"\1\0\0\0\0\0\0\0\0\0\0\0", 12}},
    {"half an end", {(const uint8_t *)"\3\0\0\0", 4}},
};

START_TEST(what_is_no_frame_ends_the_child) {
    struct bytes text;
    ck_assert_msg(say(broken[_i].body, &text) == STATUS_INTERNAL, "%s", broken[_i].what);
    struct crl_job job = job_of(1);
    refused(&job, STATUS_INTERNAL, "gone");
}
END_TEST

START_TEST(entries_that_are_none_end_the_child) {
    static const size_t cut[] = {1, 24, 26};
    uint64_t number = (uint64_t)clock_unix_ms();
    struct bytes whole, text, part;
    said(frame_begin(number, 2, 2 * ONE), STATUS_OK, NULL);
    whole = frame_entries(number, 1, 1);
    ck_assert_int_eq(bytes_take(&whole, whole.len - cut[_i], &part), STATUS_OK);
    ck_assert_int_eq(say(part, &text), STATUS_INTERNAL);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof(table)[0])

int main(void) {
    lab_open();
    TCase *bytes = tcase_create("bytes"), *signing = tcase_create("signer");
    tcase_add_test(bytes, an_empty_list_has_no_list_of_revoked_certificates);
    tcase_add_test(bytes, an_entry_is_serial_date_and_a_reason_that_says_something);
    tcase_add_loop_test(bytes, a_list_of_any_size_is_one_element_and_as_long_as_was_said, 0,
                        COUNT(sizes));
    tcase_add_test(bytes, a_serial_number_of_any_value_has_the_length_that_was_said);
    tcase_add_loop_test(bytes, reasons_of_ours_become_those_of_the_standard, 0, COUNT(reasons));
    tcase_add_test(bytes, a_reason_that_takes_no_part_here_is_none);
    tcase_add_checked_fixture(signing, start, stop);
    tcase_set_timeout(signing, 60);
    tcase_add_test(signing, openssl_reads_and_verifies_a_list_and_its_every_field);
    tcase_add_test(signing, openssl_refuses_what_is_on_the_list_and_takes_the_rest);
    tcase_add_test(signing, a_list_of_200000_is_signed_piece_by_piece);
    tcase_add_test(signing, a_serial_number_whose_first_bit_is_set_is_none_below_zero);
    tcase_add_test(signing, numbers_never_go_back);
    tcase_add_loop_test(signing, the_signer_refuses_and_goes_on, 0, COUNT(refusals));
    tcase_add_test(signing, an_unknown_authority_and_too_many_entries_are_refused_here);
    tcase_add_test(signing, a_signer_that_is_gone_signs_no_list);
    tcase_add_test(signing, pieces_of_no_list_are_refused);
    tcase_add_test(signing, a_list_has_as_many_entries_as_were_announced);
    tcase_add_test(signing, order_is_kept_from_one_piece_to_the_next);
    tcase_add_test(signing, a_second_list_ends_the_first);
    tcase_add_loop_test(signing, what_is_no_frame_ends_the_child, 0, COUNT(broken));
    tcase_add_loop_test(signing, entries_that_are_none_end_the_child, 0, 3);
    Suite *suite = suite_create("revocation lists");
    suite_add_tcase(suite, bytes);
    suite_add_tcase(suite, signing);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
