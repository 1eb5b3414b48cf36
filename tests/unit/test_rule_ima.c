/* Signatures of files, and the rules of the family `ima`. */
#include "server/appraisal/appraisal.h"
#include "server/base/encoding.h"
#include "server/crypto/der.h"
#include "server/crypto/x509.h"
#include "server/evidence/ima/decode.h"
#include "server/evidence/ima/follow.h"
#include "server/evidence/ima/signature.h"
#include "tests/unit/ima_builder.h"
#include "tests/unit/real_data.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct ima_builder made;
static struct facts facts;
static struct appraisal appraisal;
static struct detail detail;
static const char *code;
static const uint8_t zeros[10][32];

static void start(void) {
    arena_init(&arena, 1 << 26);
    ima_start(&made);
    facts = (struct facts){.num_banks = 1, .bank = {{.alg = HASH_SHA256}}};
    for (unsigned i = 0; i <= 10; i++) {
        facts.bank[0].pcr[i].quoted = true;
    }
    ima_aggregate(&made, zeros);
}

static void end(void) {
    ima_free(&made);
    arena_free(&arena);
}

static bool yes(const struct facts *of, const void *context) {
    (void)of;
    (void)context;
    return true;
}

/* Facts of the log as it is now. */
static void confirm(void) {
    struct ima_following what = {.log = ima_bytes(&made), .given = 1, .meets = yes};
    enum ima_outcome outcome = IMA_ASTRAY;
    memcpy(facts.bank[0].pcr[10].value, ima_pcr(&made, HASH_SHA256), 32);
    ck_assert_int_eq(ima_follow(&facts, &outcome, &arena, &what, &detail), STATUS_OK);
    ck_assert_int_eq(outcome, IMA_FOLLOWED);
}

static struct baseline *compile(const char *ima) {
    struct baseline *baseline = NULL;
    const char *text = arena_printf(&arena,
                                    "{\"schema\":\"gatehouse/baseline/1\",\"model\":\"edge9\","
                                    "\"bank\":\"sha256\",\"ima\":%s}",
                                    ima);
    detail.text[0] = '\0';
    code = "";
    ck_assert_ptr_nonnull(text);
    return baseline_compile(&baseline, bytes_of_text(text), &code, &detail) == STATUS_OK ? baseline
                                                                                         : NULL;
}

static struct appraisal_inputs inputs;
static const struct baseline *tried[1];

static enum verdict judge(const char *ima) {
    struct baseline *baseline = compile(ima);
    ck_assert_msg(baseline != NULL, "%s", detail.text);
    tried[0] = baseline;
    inputs.baseline = tried;
    inputs.num_baselines = 1;
    ck_assert_int_eq(appraise(&appraisal, &arena, &facts, &inputs), STATUS_OK);
    baseline_free(baseline);
    return appraisal.verdict;
}

static const struct finding *finding(const char *of) {
    for (size_t i = 0; i < appraisal.num_findings; i++) {
        if (strcmp(appraisal.finding[i].code, of) == 0) {
            return &appraisal.finding[i];
        }
    }
    return NULL;
}

static void denied(const char *ima, const char *of) {
    ck_assert_int_eq(judge(ima), VERDICT_UNTRUSTED);
    ck_assert_msg(finding(of) != NULL, "%s: %s instead", of, appraisal.finding[0].code);
    ck_assert_int_eq(finding(of)->severity, SEVERITY_DENY);
    ck_assert_str_eq(finding(of)->rule, "ima");
    ck_assert_ptr_nonnull(finding(of)->remediation);
}

/* The digest that ima_sample gives a path, as a baseline lists it. */
static const char *listed(const char *path) {
    uint8_t digest[32];
    char hex[65];
    digest_compute(HASH_SHA256, bytes_of_text(path), digest);
    hex_encode(hex, bytes_of(digest, 32));
    return arena_printf(&arena, "\"sha256:%s\"", hex);
}

static const char *rules(const char *format, ...) PRINTF_LIKE(1, 2);
static const char *rules(const char *format, ...) {
    char text[16384];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return arena_printf(&arena, "{\"mode\":\"enforce\",%s}", text);
}

static const char *agent_rules(void) {
    return rules("\"files\":{\"/usr/bin/agent\":[%s]}", listed("/usr/bin/agent"));
}

/* --- files -------------------------------------------------------------------------------------- */

START_TEST(listed_file_with_its_digest_is_trusted) {
    ima_sample(&made, "/usr/bin/agent");
    confirm();
    ck_assert_int_eq(judge(agent_rules()), VERDICT_TRUSTED);
    ck_assert_uint_eq(appraisal.num_findings, 0);
    ck_assert_uint_eq(appraisal.uncovered & 1u << 10, 0);
}
END_TEST

START_TEST(changed_file_is_named_with_both_digests) {
    uint8_t changed[32] = {0xAB};
    ima_file(&made, "/usr/bin/agent", changed, bytes_of(NULL, 0));
    confirm();
    denied(agent_rules(), "ima_digest_mismatch");
    const struct finding *f = finding("ima_digest_mismatch");
    ck_assert_int_eq(f->pcr, 10);
    ck_assert_int_eq(f->event, 1);
    ck_assert_ptr_nonnull(strstr(f->found, "/usr/bin/agent sha256:ab0000"));
    ck_assert_ptr_nonnull(strstr(f->expected, "one of: sha256:"));
}
END_TEST

START_TEST(digest_of_another_listed_file_does_not_do) {
    uint8_t digest[32];
    digest_compute(HASH_SHA256, bytes_of_text("/bin/a"), digest);
    ima_file(&made, "/bin/b", digest, bytes_of(NULL, 0));
    confirm();
    denied(rules("\"files\":{\"/bin/a\":[%s],\"/bin/b\":[%s]}", listed("/bin/a"), listed("/bin/b")),
           "ima_digest_mismatch");
}
END_TEST

START_TEST(unlisted_file_is_denied) {
    static const char *const paths[] = {"/usr/bin/agen",   "/usr/bin/agent2", "/usr/bin/Agent",
                                        "/usr/bin/agent ", "usr/bin/agent",   "agent",
                                        "//usr/bin/agent"};
    uint8_t digest[32];
    digest_compute(HASH_SHA256, bytes_of_text("/usr/bin/agent"), digest);
    ima_file(&made, paths[_i], digest, bytes_of(NULL, 0));
    confirm();
    denied(agent_rules(), "ima_file_unlisted");
}
END_TEST

START_TEST(paths_are_compared_as_the_kernel_writes_them) {
    uint8_t digest[32];
    digest_compute(HASH_SHA256, bytes_of_text("/opt/my app"), digest);
    ima_file(&made, "/opt/my_app", digest, bytes_of(NULL, 0));
    ima_sample(&made, "/var/my_log");
    confirm();
    ck_assert_int_eq(judge(rules("\"files\":{\"/opt/my app\":[%s]},\"ignore\":[\"/var/my log\"]",
                                 listed("/opt/my app"))),
                     VERDICT_TRUSTED);
}
END_TEST

START_TEST(digest_of_another_kind_does_not_do) {
    uint8_t digest[DIGEST_MAX], buffer[512];
    char hex[2 * DIGEST_MAX + 1];
    struct writer data = writer_of(buffer, sizeof buffer);
    memset(digest, 7, sizeof digest);
    ima_digest(&data, _i == 0 ? "verity" : "ima", _i == 2 ? HASH_SHA1 : HASH_SHA256, digest);
    ima_name(&data, "/x");
    ima_add(&made, 10, "ima-ngv2", writer_bytes(&data), false);
    confirm();
    hex_encode(hex, bytes_of(digest, 32));
    /* A file's digest for a verity one, the reverse, and SHA-1 for SHA-256. */
    denied(rules("\"files\":{\"/x\":[\"%ssha256:%s\"]}", _i == 1 ? "verity:" : "", hex),
           "ima_digest_mismatch");
    if (_i < 2) {
        ck_assert_int_eq(
            judge(rules("\"files\":{\"/x\":[\"%ssha256:%s\"]}", _i == 0 ? "verity:" : "", hex)),
            VERDICT_TRUSTED);
    }
}
END_TEST

static const struct {
    const char *glob, *path;
    bool matches;
} globs[] = {
    {"/tmp/*", "/tmp/x", true},
    {"/tmp/*", "/tmp/", true},
    {"/tmp/*", "/tmp", false},
    {"/tmp/*", "/var/tmp/x", false},
    {"*", "/anything", true},
    {"/a*b*c", "/a-b-b-c", true},
    {"/a*b*c", "/a-b-b-", false},
    {"/a*b*c", "/ac", false},
    {"*.log", "/var/x.log", true},
    {"*.log", "/var/x.logs", false},
    {"/x", "/x", true},
    {"/x", "/xy", false},
    {"/?", "/x", false},
    {"/[x]", "/x", false},
    {"**", "/x", true},
    {"/tmp/*", "/tmp/a/b/c", true},
};

START_TEST(ignored_paths_match_their_globs_and_no_more) {
    ima_sample(&made, globs[_i].path);
    confirm();
    ck_assert_int_eq(judge(rules("\"ignore\":[\"/nothing\",\"%s\"]", globs[_i].glob)),
                     globs[_i].matches ? VERDICT_TRUSTED : VERDICT_UNTRUSTED);
}
END_TEST

START_TEST(findings_are_bounded_and_the_rest_is_counted) {
    for (unsigned i = 0; i < 40; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "/bin/%u", i);
        ima_sample(&made, path);
    }
    confirm();
    denied(agent_rules(), "ima_more_entries");
    ck_assert_uint_eq(appraisal.num_findings, IMA_SHOWN_MAX + 1);
    ck_assert_str_eq(finding("ima_more_entries")->found, "24 more");
    ck_assert_int_eq(appraisal.finding[0].event, 1);
    ck_assert_int_eq(appraisal.finding[IMA_SHOWN_MAX - 1].event, IMA_SHOWN_MAX);
}
END_TEST

START_TEST(no_log_is_a_denial) {
    denied(agent_rules(), "ima_log_missing");
    ima_sample(&made, "/usr/bin/agent");
    confirm();
    facts.bank[0].pcr[10].quoted = false;
    denied(agent_rules(), "pcr_not_quoted");
}
END_TEST

START_TEST(violation_is_a_denial_unless_it_is_only_reported) {
    ima_sample(&made, "/usr/bin/agent");
    ima_add(&made, 10, "ima-ng", bytes_of("whatever", 8), true);
    confirm();
    denied(agent_rules(), "ima_violation");
    ck_assert_int_eq(finding("ima_violation")->event, 2);
    ck_assert_int_eq(judge(rules("\"violations\":\"report\",\"files\":{\"/usr/bin/agent\":[%s]}",
                                 listed("/usr/bin/agent"))),
                     VERDICT_TRUSTED);
    ck_assert_int_eq(finding("ima_violation")->severity, SEVERITY_INFO);
    /* Its name is nobody's: ignoring it does not help. */
    denied(rules("\"ignore\":[\"*\"]"), "ima_violation");
}
END_TEST

START_TEST(entry_that_cannot_be_read_is_a_denial) {
    ima_add(&made, 10, _i == 0 ? "ima-ng" : "ima-new", bytes_of("whatever", 8), false);
    confirm();
    denied(rules("\"ignore\":[\"*\"]"), "ima_entry_unreadable");
}
END_TEST

START_TEST(boot_aggregate_of_another_boot_is_a_denial) {
    confirm();
    ck_assert_int_eq(judge(agent_rules()), VERDICT_TRUSTED);
    facts.ima.boot_aggregate = FACT_NO;
    denied(agent_rules(), "ima_boot_aggregate_mismatch");
    facts.ima.boot_aggregate = FACT_UNKNOWN;
    denied(agent_rules(), "ima_boot_aggregate_unknown");
    ck_assert_int_eq(judge(rules("\"boot_aggregate\":false")), VERDICT_TRUSTED);
}
END_TEST

START_TEST(aggregate_in_the_middle_is_a_file_unless_it_is_the_same) {
    uint8_t other[32] = {9};
    ima_aggregate(&made, zeros);
    confirm();
    ck_assert_int_eq(judge(agent_rules()), VERDICT_TRUSTED);
    ima_file(&made, "boot_aggregate", other, bytes_of(NULL, 0));
    confirm();
    denied(agent_rules(), "ima_file_unlisted");
}
END_TEST

START_TEST(sha1_template_digests_are_a_denial_unless_they_are_only_reported) {
    ima_free(&made);
    made.padded = 2;
    ima_aggregate(&made, zeros);
    ima_sample(&made, "/usr/bin/agent");
    confirm();
    denied(agent_rules(), "ima_sha1_only");
    ck_assert_int_eq(
        judge(rules("\"sha1_template_digests\":\"report\",\"files\":{\"/usr/bin/agent\":[%s]}",
                    listed("/usr/bin/agent"))),
        VERDICT_TRUSTED);
    ck_assert_int_eq(finding("ima_sha1_only")->severity, SEVERITY_INFO);
}
END_TEST

START_TEST(report_mode_denies_nothing_and_says_all) {
    const char *text = "{\"mode\":\"report\"}";
    ck_assert_int_eq(judge(text), VERDICT_TRUSTED);
    ck_assert_int_eq(finding("ima_log_missing")->severity, SEVERITY_INFO);
    ima_sample(&made, "/usr/bin/agent");
    ima_add(&made, 10, "ima-ng", bytes_of("whatever", 8), true);
    confirm();
    ck_assert_int_eq(judge(text), VERDICT_TRUSTED);
    ck_assert_int_eq(finding("ima_file_unlisted")->severity, SEVERITY_INFO);
    ck_assert_int_eq(finding("ima_violation")->severity, SEVERITY_INFO);
    ck_assert_uint_ne(appraisal.uncovered & 1u << 10, 0);
    facts.bank[0].pcr[10].quoted = false;
    denied(text, "pcr_not_quoted");
}
END_TEST

/* --- documents ---------------------------------------------------------------------------------- */

static const struct {
    const char *ima, *why;
} bent[] = {
    {"{}", "ima: "},
    {"[]", "ima: "},
    {"{\"files\":{\"/x\":[\"sha256:00\"]}}", "ima.mode: "},
    {"{\"mode\":\"strict\"}", "ima.mode: "},
    {"{\"mode\":\"enforce\",\"more\":1}", "ima.more: unknown field"},
    {"{\"mode\":\"enforce\",\"boot_aggregate\":1}", "ima.boot_aggregate: "},
    {"{\"mode\":\"enforce\",\"violations\":\"allow\"}", "ima.violations: "},
    {"{\"mode\":\"enforce\",\"sha1_template_digests\":true}", "ima.sha1_template_digests: "},
    {"{\"mode\":\"enforce\",\"files\":{}}", "ima.files: "},
    {"{\"mode\":\"enforce\",\"files\":[\"/x\"]}", "ima.files: "},
    {"{\"mode\":\"enforce\",\"files\":{\"/x\":[]}}", "ima.files./x: "},
    {"{\"mode\":\"enforce\",\"files\":{\"/x\":\"sha256:00\"}}", "ima.files./x: "},
    {"{\"mode\":\"enforce\",\"files\":{\"/x\":[1]}}", "ima.files./x[0]: "},
    {"{\"mode\":\"enforce\",\"files\":{\"/x\":[\"sha256:00\"]}}", "ima.files./x[0]: "},
    {"{\"mode\":\"enforce\",\"files\":{\"/"
     "x\":[\"sha1:0000000000000000000000000000000000000000\"]}}",
     "ima.files./x[0]: it does not begin with"},
    {"{\"mode\":\"enforce\",\"files\":{\"\":[\"sha256:00\"]}}", "ima.files"},
    {"{\"mode\":\"enforce\",\"ignore\":[]}", "ima.ignore: "},
    {"{\"mode\":\"enforce\",\"ignore\":[\"\"]}", "ima.ignore[0]: "},
    {"{\"mode\":\"enforce\",\"signers\":[]}", "ima.signers: "},
    {"{\"mode\":\"enforce\",\"signers\":[\"0beb6a13\"]}", "ima.signers[0]: "},
    {"{\"mode\":\"enforce\",\"signers\":[{\"key_id\":\"0beb6a13\"}]}",
     "ima.signers[0]: it has not"},
    {"{\"mode\":\"enforce\",\"signers\":[{\"public_key\":\"AAAA\"}]}",
     "ima.signers[0].public_key: "},
    {"{\"mode\":\"enforce\",\"signers\":[{\"certificate\":\"!\"}]}",
     "ima.signers[0].certificate: "},
    {"{\"mode\":\"enforce\",\"signers\":[{\"certificate\":\"-----BEGIN\"}]}",
     "ima.signers[0].certificate: "},
};

START_TEST(rules_that_are_none_are_refused_by_their_place) {
    ck_assert(compile(bent[_i].ima) == NULL);
    ck_assert_msg(strncmp(detail.text, bent[_i].why, strlen(bent[_i].why)) == 0, "%s", detail.text);
    ck_assert_str_eq(code, strstr(bent[_i].why, "unknown field") != NULL ? "unknown_field"
                                                                         : "invalid_baseline");
}
END_TEST

START_TEST(two_paths_that_the_kernel_writes_alike_are_refused) {
    ck_assert(compile(rules("\"files\":{\"/a b\":[%s],\"/a_b\":[%s]}", listed("/a"),
                            listed("/b"))) == NULL);
    ck_assert_ptr_nonnull(strstr(detail.text, "in the same way"));
}
END_TEST

/* --- entries that were judged before ------------------------------------------------------------- */

START_TEST(entries_before_need_a_judgement_of_this_baseline) {
    struct ima_judgement earlier = {0}, judged = {0};
    ima_sample(&made, "/usr/bin/agent");
    confirm();
    facts.ima.first = 5;
    denied(agent_rules(), "ima_entries_unjudged");
    inputs.ima_earlier = &earlier;
    denied(agent_rules(), "ima_entries_unjudged");
    earlier.judged = true;
    inputs.ima_judged = &judged;
    ck_assert_int_eq(judge(agent_rules()), VERDICT_TRUSTED);
    ck_assert(judged.judged);
    ck_assert_uint_eq(judged.num_denied, 0);
}
END_TEST

START_TEST(denied_entries_before_stay_denied) {
    struct fact_ima_entry before = {.index = FACT_NO_EVENT};
    struct ima_judgement judged = {0},
                         earlier = {
                             .judged = true, .num_denied = 3, .num_shown = 1, .shown = {&before}};
    uint8_t buffer[256];
    struct writer data = writer_of(buffer, sizeof buffer);
    ima_digest(&data, NULL, HASH_SHA256, zeros[0]);
    ima_name(&data, "/usr/bin/worse");
    ima_decode(&before, bytes_of_text("ima-ng"), writer_bytes(&data));
    ima_sample(&made, "/usr/bin/agent");
    confirm();
    facts.ima.first = 5;
    inputs.ima_earlier = &earlier;
    inputs.ima_judged = &judged;
    denied(agent_rules(), "ima_file_unlisted");
    ck_assert_ptr_nonnull(strstr(finding("ima_file_unlisted")->found, "/usr/bin/worse"));
    ck_assert_int_eq(finding("ima_file_unlisted")->event, -1);
    ck_assert_str_eq(finding("ima_more_entries")->found, "2 more");
    ck_assert_uint_eq(judged.num_denied, 3);
}
END_TEST

/* --- signatures --------------------------------------------------------------------------------- */

static struct private_key *key;
static struct public_key public;
static uint8_t spki[KEY_SPKI_MAX], xattr[600], file_digest[32];
static size_t spki_len;

static void make_key(enum key_kind kind) {
    struct writer w = writer_of(spki, sizeof spki);
    ck_assert_int_eq(private_key_generate(&key, kind), STATUS_OK);
    private_key_public(key, &public);
    ck_assert_int_eq(public_key_to_spki(&w, &public), STATUS_OK);
    spki_len = w.len;
}

/* The project's keys sign messages; IMA signs digests: the file's contents are the message. */
static struct bytes sign(uint8_t type, uint8_t version, struct bytes contents) {
    uint8_t raw[600], signs[34] = {type, 4};
    struct writer w = writer_of(raw, sizeof raw), out = writer_of(xattr, sizeof xattr);
    digest_compute(HASH_SHA256, contents, file_digest);
    memcpy(signs + 2, file_digest, 32);
    ck_assert_int_eq(
        private_key_sign(key, &w, version == 3 ? bytes_of(signs, sizeof signs) : contents),
        STATUS_OK);
    write_u8(&out, type);
    write_u8(&out, version);
    write_u8(&out, 4);
    write_u32be(&out, ima_key_id(&public));
    write_u16be(&out, (uint16_t)w.len);
    write_bytes(&out, writer_bytes(&w));
    ck_assert(!out.overflow);
    return writer_bytes(&out);
}

static void add_signed(const char *type, struct bytes signature) {
    uint8_t buffer[2048];
    struct writer data = writer_of(buffer, sizeof buffer);
    ima_digest(&data, type, HASH_SHA256, file_digest);
    ima_name(&data, "/usr/bin/agent");
    ima_field(&data, signature);
    ima_add(&made, 10, type == NULL ? "ima-sig" : "ima-sigv2", writer_bytes(&data), false);
    confirm();
}

static const char *signer_rules(void) {
    char text[2048];
    base64_encode(text, bytes_of(spki, spki_len));
    return rules("\"signers\":[{\"label\":\"build\",\"public_key\":\"%s\"}]", text);
}

static const enum key_kind kinds[] = {KEY_EC_P256, KEY_RSA};
static const struct {
    uint8_t type, version;
    const char *digest;
} forms[] = {{3, 2, NULL}, {3, 2, "ima"}, {3, 3, "ima"}, {6, 3, "verity"}};

START_TEST(file_signed_by_a_listed_key_is_trusted) {
    make_key(kinds[_i % 2]);
    struct bytes signature =
        sign(forms[_i / 2].type, forms[_i / 2].version, bytes_of_text("contents"));
    add_signed(forms[_i / 2].digest, signature);
    ck_assert_int_eq(judge(signer_rules()), VERDICT_TRUSTED);
    private_key_free(key);
}
END_TEST

START_TEST(signature_of_another_file_is_denied) {
    make_key(kinds[_i % 2]);
    struct bytes signature =
        sign(forms[_i / 2].type, forms[_i / 2].version, bytes_of_text("contents"));
    file_digest[5] ^= 1;
    add_signed(forms[_i / 2].digest, signature);
    denied(signer_rules(), "ima_signature_invalid");
    ck_assert_ptr_nonnull(strstr(finding("ima_signature_invalid")->found, "signed by key"));
    private_key_free(key);
}
END_TEST

START_TEST(no_bit_of_a_signature_may_differ) {
    make_key(KEY_EC_P256);
    struct bytes signature = sign(3, 2, bytes_of_text("contents"));
    uint8_t bentcopy[600];
    for (size_t bit = 0; bit < 8 * signature.len; bit += 3) {
        struct fact_ima_entry entry = {
            .readable = true, .alg = HASH_SHA256, .digest = bytes_of(file_digest, 32)};
        struct ima_signature read;
        memcpy(bentcopy, signature.data, signature.len);
        bentcopy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum status status = ima_signature_read(&read, bytes_of(bentcopy, signature.len));
        if (status == STATUS_OK && read.key_id == ima_key_id(&public)) {
            ck_assert_int_ne(ima_signature_verify(&read, &public, &entry), STATUS_OK);
        }
    }
    for (size_t len = 0; len < signature.len; len++) {
        struct ima_signature read;
        ck_assert_int_eq(ima_signature_read(&read, bytes_of(signature.data, len)),
                         STATUS_MALFORMED);
    }
    private_key_free(key);
}
END_TEST

START_TEST(file_signed_by_another_key_is_denied) {
    make_key(KEY_EC_P256);
    const char *text = signer_rules();
    private_key_free(key);
    make_key(KEY_EC_P256);
    add_signed(NULL, sign(3, 2, bytes_of_text("contents")));
    denied(text, "ima_file_unlisted");
    private_key_free(key);
}
END_TEST

START_TEST(key_that_only_takes_a_listed_id_is_denied) {
    char text[2048];
    make_key(KEY_EC_P256);
    struct bytes signature = sign(3, 2, bytes_of_text("contents"));
    uint32_t id = ima_key_id(&public);
    private_key_free(key);
    make_key(KEY_EC_P256);
    base64_encode(text, bytes_of(spki, spki_len));
    add_signed(NULL, signature);
    denied(rules("\"signers\":[{\"public_key\":\"%s\",\"key_id\":\"%08x\"}]", text, (unsigned)id),
           "ima_signature_invalid");
    private_key_free(key);
}
END_TEST

START_TEST(signature_of_contents_does_not_do_for_verity) {
    make_key(KEY_EC_P256);
    struct bytes signature = sign(_i == 0 ? 3 : 6, _i == 0 ? 2 : 3, bytes_of_text("contents"));
    add_signed(_i == 0 ? "verity" : "ima", signature);
    denied(signer_rules(), "ima_signature_invalid");
    private_key_free(key);
}
END_TEST

START_TEST(key_id_is_as_evmctl_has_it) {
    /* SubjectPublicKeyInfo of a P-256 key; openssl pkey -pubin -outform DER | tail -c 65 | sha1sum */
    static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n"
                              "6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n"
                              "-----END PUBLIC KEY-----\n";
    struct public_key read;
    ck_assert_int_eq(public_key_from_pem(&read, bytes_of_text(pem), &detail), STATUS_OK);
    ck_assert_uint_eq(ima_key_id(&read), 0x5EFDA0E1);
}
END_TEST

/* --- data of real machines ---------------------------------------------------------------------- */

/* The key is of 1024 bits, which a baseline does not take: here it is read by hand. */
static bool read_real_key(struct public_key *out, struct bytes der) {
    static const uint8_t head[] = {0x02, 0x81, 0x81, 0x00};
    *out = (struct public_key){.kind = KEY_RSA, .bits = 1024, .n_len = 128, .e = 65537};
    for (size_t i = 0; i + sizeof head + 128 <= der.len; i++) {
        if (memcmp(der.data + i, head, sizeof head) == 0) {
            memcpy(out->n, der.data + i + sizeof head, 128);
            return true;
        }
    }
    return false;
}

START_TEST(real_signatures_hold_but_for_the_bad_ones) {
    struct bytes raw, der;
    struct public_key real;
    struct ima_entry entry;
    unsigned good = 0, num = 0;
    if (real_data() == NULL) {
        return;
    }
    raw = real_file(&arena, "ima/acs-imasig.log");
    der = real_file(&arena, "ima/acs-imakey.der");
    ck_assert(read_real_key(&real, der));
    struct ima_log log = ima_log_open(raw);
    while (ima_log_next(&log, &entry, &detail) == STATUS_OK) {
        struct fact_ima_entry fact = {0};
        struct ima_signature signature;
        ima_decode(&fact, entry.template_name, entry.data);
        ck_assert(fact.readable);
        if (ima_signature_read(&signature, fact.signature) != STATUS_OK ||
            signature.key_id != 0x0BEB6A13) {
            continue;
        }
        num++;
        bool holds = ima_signature_verify(&signature, &real, &fact) == STATUS_OK;
        ck_assert_msg(holds == (entry.index != 1082), "entry %u", entry.index);
        good += holds ? 1 : 0;
    }
    ck_assert_uint_eq(num, 897);
    ck_assert_uint_eq(good, 896);
}
END_TEST

START_TEST(weak_signing_key_is_refused_by_its_place) {
    if (real_data() == NULL) {
        return;
    }
    struct bytes der = real_file(&arena, "ima/acs-imakey.der");
    ck_assert(compile(rules("\"signers\":[{\"certificate\":\"%s\"}]",
                            base64_encode_arena(&arena, der))) == NULL);
    ck_assert_ptr_nonnull(strstr(detail.text, "ima.signers[0].certificate: "));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("appraisal: ima");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, start, end);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, listed_file_with_its_digest_is_trusted);
    tcase_add_test(tests, changed_file_is_named_with_both_digests);
    tcase_add_test(tests, digest_of_another_listed_file_does_not_do);
    tcase_add_loop_test(tests, unlisted_file_is_denied, 0, 7);
    tcase_add_test(tests, paths_are_compared_as_the_kernel_writes_them);
    tcase_add_loop_test(tests, digest_of_another_kind_does_not_do, 0, 3);
    tcase_add_loop_test(tests, ignored_paths_match_their_globs_and_no_more, 0,
                        (int)(sizeof globs / sizeof *globs));
    tcase_add_test(tests, findings_are_bounded_and_the_rest_is_counted);
    tcase_add_test(tests, no_log_is_a_denial);
    tcase_add_test(tests, violation_is_a_denial_unless_it_is_only_reported);
    tcase_add_loop_test(tests, entry_that_cannot_be_read_is_a_denial, 0, 2);
    tcase_add_test(tests, boot_aggregate_of_another_boot_is_a_denial);
    tcase_add_test(tests, aggregate_in_the_middle_is_a_file_unless_it_is_the_same);
    tcase_add_test(tests, sha1_template_digests_are_a_denial_unless_they_are_only_reported);
    tcase_add_test(tests, report_mode_denies_nothing_and_says_all);
    tcase_add_loop_test(tests, rules_that_are_none_are_refused_by_their_place, 0,
                        (int)(sizeof bent / sizeof *bent));
    tcase_add_test(tests, two_paths_that_the_kernel_writes_alike_are_refused);
    tcase_add_test(tests, entries_before_need_a_judgement_of_this_baseline);
    tcase_add_test(tests, denied_entries_before_stay_denied);
    tcase_add_loop_test(tests, file_signed_by_a_listed_key_is_trusted, 0, 8);
    tcase_add_loop_test(tests, signature_of_another_file_is_denied, 0, 8);
    tcase_add_test(tests, no_bit_of_a_signature_may_differ);
    tcase_add_test(tests, file_signed_by_another_key_is_denied);
    tcase_add_test(tests, key_that_only_takes_a_listed_id_is_denied);
    tcase_add_loop_test(tests, signature_of_contents_does_not_do_for_verity, 0, 2);
    tcase_add_test(tests, key_id_is_as_evmctl_has_it);
    tcase_add_test(tests, real_signatures_hold_but_for_the_bad_ones);
    tcase_add_test(tests, weak_signing_key_is_refused_by_its_place);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
