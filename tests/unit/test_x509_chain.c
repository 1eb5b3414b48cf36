#include "server/crypto/der.h"
#include "server/crypto/oid.h"
#include "server/crypto/x509.h"
#include "tests/unit/cert_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define LITERAL(text) bytes_of("" text, sizeof(text) - 1)

enum { BUNDLE_MAX = 48 };

/* A bundle, what comes along with the leaf, and the leaf. */
struct scene {
    struct bytes bundle[BUNDLE_MAX], extra[X509_CHAIN_MAX + 1], leaf;
    size_t num_bundle, num_extra;
    int64_t now;
    enum chain_purpose purpose;
};

static struct trust_bundle *load(const struct bytes *der, size_t num) {
    struct trust_bundle *bundle;
    struct arena arena;
    struct detail detail = {0};
    arena_init(&arena, 4 << 20);
    struct bytes pem = cert_exact(cert_pem(&arena, der, num));
    enum status status = trust_bundle_new(&bundle, pem, &detail);
    ck_assert_msg(status == STATUS_OK, "%s", detail.text);
    ck_assert_uint_eq(trust_bundle_count(bundle), num);
    cert_drop(pem);
    arena_free(&arena);
    return bundle;
}

static enum status verify(const struct scene *scene, struct detail *detail) {
    struct trust_bundle *bundle = load(scene->bundle, scene->num_bundle);
    struct bytes leaf = cert_exact(scene->leaf);
    enum status status =
        trust_bundle_verify(bundle, leaf, scene->extra, scene->num_extra,
                            scene->now == 0 ? CERT_NOW : scene->now, scene->purpose, detail);
    cert_drop(leaf);
    trust_bundle_free(bundle);
    return status;
}

static void assert_holds(const struct scene *scene) {
    struct detail detail = {0};
    enum status status = verify(scene, &detail);
    ck_assert_msg(status == STATUS_OK, "%s: %s", status_name(status), detail.text);
}

static void assert_refused(const struct scene *scene, const char *reason) {
    struct detail detail = {0};
    enum status status = verify(scene, &detail);
    ck_assert_msg(status == STATUS_INVALID, "%s: %s", status_name(status), detail.text);
    ck_assert_msg(strstr(detail.text, reason) != NULL, "'%s' does not say '%s'", detail.text,
                  reason);
}

/* root (key 0) > middle (key 1) > leaf (key 2), to be changed before scene_of puts it together. */
struct trio {
    struct cert_spec root, middle, leaf;
};

static struct trio trio(void) {
    return (struct trio){.root = cert_ca("root", 0, "root", 0),
                         .middle = cert_ca("middle", 1, "root", 0),
                         .leaf = cert_leaf("leaf", 2, "middle", 1)};
}

static struct scene scene_of(const struct trio *trio) {
    return (struct scene){.bundle = {cert_make(&trio->middle), cert_make(&trio->root)},
                          .num_bundle = 2,
                          .leaf = cert_make(&trio->leaf)};
}

/* --- chains that hold
 * ------------------------------------------------------------------------------ */

START_TEST(chain_by_an_intermediate_of_the_bundle_holds) {
    struct trio t = trio();
    struct scene s = scene_of(&t);
    assert_holds(&s);
}
END_TEST

START_TEST(chain_by_an_intermediate_that_came_along_holds) {
    struct trio t = trio();
    struct scene s = {.bundle = {cert_make(&t.root)},
                      .num_bundle = 1,
                      .extra = {cert_make(&t.middle)},
                      .num_extra = 1,
                      .leaf = cert_make(&t.leaf)};
    assert_holds(&s);
}
END_TEST

START_TEST(chain_of_other_algorithms_holds) {
    struct trio t = trio();
    t.root.key = t.root.signer = t.middle.signer = CERT_KEY_P384;
    t.middle.key = t.leaf.signer = CERT_KEY_RSA;
    struct scene s = scene_of(&t);
    assert_holds(&s);
}
END_TEST

START_TEST(chain_at_the_edges_of_its_validity_holds) {
    struct trio t = trio();
    struct scene s = scene_of(&t);
    s.now = t.leaf.not_before;
    assert_holds(&s);
    s.now = t.leaf.not_after;
    assert_holds(&s);
}
END_TEST

START_TEST(chain_to_one_of_two_roots_that_share_a_name_holds) {
    struct trio t = trio();
    struct cert_spec other = cert_ca("root", 3, "root", 3);
    struct scene s = {.bundle = {cert_make(&other), cert_make(&t.root), cert_make(&t.middle)},
                      .num_bundle = 3,
                      .leaf = cert_make(&t.leaf)};
    assert_holds(&s);
}
END_TEST

START_TEST(chain_by_one_of_many_intermediates_that_share_a_name_holds) {
    struct trio t = trio();
    struct scene s = {.leaf = cert_make(&t.leaf)};
    for (size_t i = 0; i < 12; i++) { /* the same name, other keys */
        struct cert_spec twin = cert_ca("middle", 3 + i % 3, "root", 0);
        twin.not_after += (int64_t)i;
        s.bundle[s.num_bundle++] = cert_make(&twin);
    }
    s.bundle[s.num_bundle++] = cert_make(&t.middle);
    s.bundle[s.num_bundle++] = cert_make(&t.root);
    assert_holds(&s);
}
END_TEST

START_TEST(cross_signed_intermediate_holds_by_the_root_that_is_there) {
    struct trio t = trio();
    struct cert_spec cross = cert_ca("middle", 1, "unknown root", 4);
    struct scene s = {.bundle = {cert_make(&cross), cert_make(&t.root)},
                      .num_bundle = 2,
                      .extra = {cert_make(&t.middle)},
                      .num_extra = 1,
                      .leaf = cert_make(&t.leaf)};
    assert_holds(&s);
}
END_TEST

START_TEST(authorities_that_sign_each_other_end_the_search) {
    struct cert_spec a = cert_ca("a", 0, "b", 1), b = cert_ca("b", 1, "a", 0),
                     root = cert_ca("root", 3, "root", 3);
    struct cert_spec leaf = cert_leaf("leaf", 2, "a", 0);
    struct scene s = {.bundle = {cert_make(&a), cert_make(&b), cert_make(&root)},
                      .num_bundle = 3,
                      .leaf = cert_make(&leaf)};
    assert_refused(&s, "no trusted issuer");
    struct cert_spec way_out = cert_ca("b", 1, "root", 3);
    s.bundle[s.num_bundle++] = cert_make(&way_out);
    assert_holds(&s);
}
END_TEST

START_TEST(anchor_with_a_sha1_self_signature_is_an_anchor) {
    struct trio t = trio();
    t.root.inner_algorithm = LITERAL("\x30\x09\x06\x07" OID_ECDSA_SHA1);
    struct scene s = scene_of(&t);
    assert_holds(&s);
}
END_TEST

START_TEST(ecdsa_identifier_with_null_parameters_is_taken) {
    struct trio t = trio();
    t.middle.inner_algorithm = LITERAL("\x30\x0C\x06\x08" OID_ECDSA_SHA256 "\x05\x00");
    struct scene s = scene_of(&t);
    assert_holds(&s);
}
END_TEST

START_TEST(authority_without_key_usage_may_sign) {
    struct trio t = trio();
    t.middle.key_usage = -1;
    struct scene s = scene_of(&t);
    assert_holds(&s);
}
END_TEST

START_TEST(critical_policies_are_understood) {
    struct trio t = trio();
    t.middle.extra[0] = cert_extension(DER_OID_OF(OID_CERTIFICATE_POLICIES), true,
                                       LITERAL("\x30\x08\x30\x06\x06\x04" OID_ANY_POLICY));
    struct scene s = scene_of(&t);
    assert_holds(&s);
}
END_TEST

START_TEST(leaf_that_is_an_anchor_itself_holds_but_not_as_an_ek) {
    struct cert_spec self = cert_leaf("self", 0, "self", 0);
    struct scene s = {.bundle = {cert_make(&self)}, .num_bundle = 1, .leaf = cert_make(&self)};
    s.leaf = s.bundle[0];
    assert_holds(&s);
    s.purpose = CHAIN_TPM_EK;
    assert_refused(&s, "no trusted issuer");
}
END_TEST

/* --- chains that do not
 * ----------------------------------------------------------------------------- */

START_TEST(chain_without_its_root_is_refused_with_the_missing_name) {
    struct trio t = trio();
    struct cert_spec other = cert_ca("other root", 3, "other root", 3);
    struct scene s = scene_of(&t);
    s.bundle[1] = cert_make(&other);
    assert_refused(&s, "no trusted issuer 'CN=root'");
}
END_TEST

START_TEST(root_that_only_came_along_is_not_trusted) {
    struct trio t = trio();
    struct cert_spec other = cert_ca("other root", 3, "other root", 3);
    struct scene s = {.bundle = {cert_make(&other)},
                      .num_bundle = 1,
                      .extra = {cert_make(&t.middle), cert_make(&t.root)},
                      .num_extra = 2,
                      .leaf = cert_make(&t.leaf)};
    assert_refused(&s, "no trusted issuer");
}
END_TEST

START_TEST(intermediate_alone_is_no_anchor) {
    struct trio t = trio();
    struct scene s = scene_of(&t);
    s.num_bundle = 1;
    assert_refused(&s, "no trusted issuer 'CN=root'");
    s.leaf = s.bundle[0]; /* not even for itself */
    assert_refused(&s, "no trusted issuer 'CN=root'");
}
END_TEST

START_TEST(leaf_by_another_key_of_the_same_name_is_refused) {
    struct trio t = trio();
    t.leaf.signer = 4;
    struct scene s = scene_of(&t);
    assert_refused(&s, "signature");
}
END_TEST

START_TEST(intermediate_by_another_key_of_the_same_name_is_refused) {
    struct trio t = trio();
    t.middle.signer = 4;
    struct scene s = scene_of(&t);
    assert_refused(&s, "signature");
}
END_TEST

START_TEST(root_that_another_key_signed_is_no_anchor) {
    struct trio t = trio();
    t.root.signer = 4; /* self-issued, not self-signed */
    struct scene s = scene_of(&t);
    assert_refused(&s, "no trusted issuer");
}
END_TEST

START_TEST(chain_with_any_flipped_bit_in_the_leaf_is_refused) {
    struct trio t = trio();
    struct scene s = scene_of(&t);
    struct trust_bundle *bundle = load(s.bundle, s.num_bundle);
    for (size_t bit = 0; bit < s.leaf.len * 8; bit++) {
        struct bytes leaf = cert_exact(s.leaf);
        cert_writable(leaf)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(trust_bundle_verify(bundle, leaf, NULL, 0, CERT_NOW, CHAIN_ANY, NULL) !=
                          STATUS_OK,
                      "bit %zu", bit);
        cert_drop(leaf);
    }
    trust_bundle_free(bundle);
}
END_TEST

START_TEST(chain_with_every_prefix_of_the_leaf_is_refused) {
    struct trio t = trio();
    struct scene s = scene_of(&t);
    struct trust_bundle *bundle = load(s.bundle, s.num_bundle);
    for (size_t len = 0; len < s.leaf.len; len++) {
        struct bytes leaf = cert_exact(bytes_of(s.leaf.data, len));
        ck_assert_int_ne(trust_bundle_verify(bundle, leaf, NULL, 0, CERT_NOW, CHAIN_ANY, NULL),
                         STATUS_OK);
        cert_drop(leaf);
    }
    trust_bundle_free(bundle);
}
END_TEST

/* A change to one certificate of the trio, and the reason it must be refused with. */
enum who { ROOT, MIDDLE, LEAF };
static const struct {
    enum who who;
    const char *reason;
    int ca, path_len, key_usage;   /* -2: as it is */
    int64_t not_before, not_after; /* 0: as it is */
} changes[] = {
    {ROOT, "no CA", 0, -1, -2, 0, 0},
    {ROOT, "no CA", -1, -1, -2, 0, 0},
    {MIDDLE, "no CA", 0, -1, -2, 0, 0},
    {MIDDLE, "no CA", -1, -1, -2, 0, 0},
    {ROOT, "keyCertSign", -2, -1, 0x80, 0, 0},
    {MIDDLE, "keyCertSign", -2, -1, 0x80, 0, 0},
    {MIDDLE, "keyCertSign", -2, -1, 0x02, 0, 0},
    {MIDDLE, "keyCertSign", -2, -1, 0x00, 0, 0},
    {ROOT, "pathLenConstraint of 0", -2, 0, -2, 0, 0},
    {ROOT, "expired", -2, -1, -2, 0, CERT_NOW - 1},
    {MIDDLE, "expired", -2, -1, -2, 0, CERT_NOW - 1},
    {LEAF, "expired", -2, -1, -2, 0, CERT_NOW - 1},
    {ROOT, "not valid yet", -2, -1, -2, CERT_NOW + 1, 0},
    {MIDDLE, "not valid yet", -2, -1, -2, CERT_NOW + 1, 0},
    {LEAF, "not valid yet", -2, -1, -2, CERT_NOW + 1, 0},
};

static struct cert_spec *pick(struct trio *t, enum who who) {
    return who == ROOT ? &t->root : who == MIDDLE ? &t->middle : &t->leaf;
}

START_TEST(chain_with_one_certificate_that_may_not_is_refused) {
    struct trio t = trio();
    struct cert_spec *spec = pick(&t, changes[_i].who);
    spec->ca = changes[_i].ca == -2 ? spec->ca : changes[_i].ca;
    spec->path_len = changes[_i].path_len;
    spec->key_usage = changes[_i].key_usage == -2 ? spec->key_usage : changes[_i].key_usage;
    spec->not_before = changes[_i].not_before == 0 ? spec->not_before : changes[_i].not_before;
    spec->not_after = changes[_i].not_after == 0 ? spec->not_after : changes[_i].not_after;
    struct scene s = scene_of(&t);
    assert_refused(&s, changes[_i].reason);
}
END_TEST

START_TEST(path_length_counts_intermediates_that_are_not_self_issued) {
    struct cert_spec root = cert_ca("root", 0, "root", 0), one = cert_ca("one", 1, "root", 0);
    struct cert_spec two = cert_ca("two", 3, "one", 1), leaf = cert_leaf("leaf", 2, "two", 3);
    struct cert_spec rollover = cert_ca("one", 4, "one", 1); /* self-issued: a new key */
    struct scene s = {.num_bundle = 3};
    root.path_len = 2;
    one.path_len = 1;
    two.path_len = 0;
    s.bundle[0] = cert_make(&root);
    s.bundle[1] = cert_make(&one);
    s.bundle[2] = cert_make(&two);
    s.leaf = cert_make(&leaf);
    assert_holds(&s);
    one.path_len = 0;
    s.bundle[1] = cert_make(&one);
    assert_refused(&s, "pathLenConstraint of 0");
    leaf.issuer = "one";
    leaf.signer = 4;
    s.bundle[2] = cert_make(&rollover);
    s.leaf = cert_make(&leaf);
    assert_holds(&s);
}
END_TEST

START_TEST(unknown_critical_extension_is_refused_with_its_name) {
    for (int who = ROOT; who <= LEAF; who++) {
        struct trio t = trio();
        pick(&t, (enum who)who)->extra[1] =
            cert_extension(LITERAL("\x2A\x83\x04"), true, LITERAL("\x05\x00"));
        struct scene s = scene_of(&t);
        assert_refused(&s, "1.2.388");
        pick(&t, (enum who)who)->extra[1] =
            cert_extension(LITERAL("\x2A\x83\x04"), false, LITERAL("\x05\x00"));
        s = scene_of(&t);
        assert_holds(&s);
    }
}
END_TEST

START_TEST(policy_constraints_that_are_critical_are_refused) {
    static const struct bytes oids[] = {{(const uint8_t *)OID_POLICY_CONSTRAINTS, 3},
                                        {(const uint8_t *)OID_INHIBIT_ANY_POLICY, 3},
                                        {(const uint8_t *)OID_POLICY_MAPPINGS, 3}};
    for (size_t i = 0; i < 3; i++) {
        struct trio t = trio();
        t.middle.extra[0] = cert_extension(oids[i], true, LITERAL("\x30\x00"));
        struct scene s = scene_of(&t);
        assert_refused(&s, "critical extension 2.5.29.");
    }
}
END_TEST

START_TEST(authority_with_name_constraints_is_refused_also_when_not_critical) {
    for (int critical = 0; critical < 2; critical++) {
        struct trio t = trio();
        t.middle.extra[0] =
            cert_extension(DER_OID_OF(OID_NAME_CONSTRAINTS), critical == 1, LITERAL("\x30\x00"));
        struct scene s = scene_of(&t);
        assert_refused(&s, "nameConstraints");
    }
}
END_TEST

static const struct {
    const char *what, *reason;
    struct bytes algorithm;
} weak[] = {
#define ALGORITHM(what, reason, data) {what, reason, {(const uint8_t *)("" data), sizeof(data) - 1}}
    ALGORITHM("ecdsa-with-SHA1", "sha1", "\x30\x09\x06\x07" OID_ECDSA_SHA1),
    ALGORITHM("sha1WithRSAEncryption", "does not fit", "\x30\x0D\x06\x09" OID_RSA_SHA1 "\x05\x00"),
    ALGORITHM("md5WithRSAEncryption", "1.2.840.113549.1.1.4",
              "\x30\x0D\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x01\x04\x05\x00"),
    ALGORITHM("ecdsa-with-SHA224", "1.2.840.10045.4.3.1",
              "\x30\x0A\x06\x08\x2A\x86\x48\xCE\x3D\x04\x03\x01"),
    ALGORITHM("of RSA", "does not fit", "\x30\x0D\x06\x09" OID_RSA_SHA256 "\x05\x00"),
    ALGORITHM("Ed25519", "does not fit", "\x30\x05\x06\x03" OID_ED25519),
    ALGORITHM("parameters", "parameters", "\x30\x0D\x06\x08" OID_ECDSA_SHA256 "\x02\x01\x00"),
    ALGORITHM("none", "algorithm is malformed", "\x30\x00"),
    ALGORITHM("PSS without parameters", "RSASSA-PSS", "\x30\x0B\x06\x09" OID_RSA_PSS),
    ALGORITHM("PSS of SHA-1", "RSASSA-PSS", "\x30\x0D\x06\x09" OID_RSA_PSS "\x30\x00"),
    ALGORITHM("another hash", "does not hold", "\x30\x0A\x06\x08" OID_ECDSA_SHA384),
};

START_TEST(signature_by_an_algorithm_that_is_weak_or_wrong_is_refused) {
    for (int who = MIDDLE; who <= LEAF; who++) {
        struct trio t = trio();
        pick(&t, (enum who)who)->inner_algorithm = weak[_i].algorithm;
        struct scene s = scene_of(&t);
        assert_refused(&s, weak[_i].reason);
    }
}
END_TEST

START_TEST(key_identifiers_that_differ_rule_an_issuer_out) {
    struct trio t = trio();
    t.middle.key_id = "right";
    t.leaf.authority_id = "right";
    struct scene s = scene_of(&t);
    assert_holds(&s);
    t.leaf.authority_id = "wrong";
    s = scene_of(&t);
    assert_refused(&s, "no trusted issuer");
}
END_TEST

/* A line of authorities above the leaf: the anchor on top is number `num`. */
static struct scene line(size_t num) {
    static const char *names[] = {"a0", "a1", "a2", "a3", "a4", "a5",
                                  "a6", "a7", "a8", "a9", "a10"};
    struct scene s = {.num_bundle = num};
    struct cert_spec leaf = cert_leaf("leaf", 0, names[0], 1);
    s.leaf = cert_make(&leaf);
    for (size_t i = 0; i < num; i++) {
        size_t above = i + 1 == num ? i : i + 1;
        struct cert_spec ca = cert_ca(names[i], 1 + i % 4, names[above], 1 + above % 4);
        s.bundle[i] = cert_make(&ca);
    }
    return s;
}

START_TEST(chain_is_of_at_most_eight_certificates) {
    struct scene s = line(7);
    assert_holds(&s);
    s = line(8);
    assert_refused(&s, "more than 8 certificates");
}
END_TEST

START_TEST(search_among_forged_issuers_ends_at_its_cap_of_signatures) {
    struct trio t = trio();
    struct scene s = {.leaf = cert_make(&t.leaf)};
    for (size_t i = 0; i < 40; i++) {
        struct cert_spec twin = cert_ca("middle", 4, "root", 0);
        twin.not_after += (int64_t)i;
        s.bundle[s.num_bundle++] = cert_make(&twin);
    }
    s.bundle[s.num_bundle++] = cert_make(&t.root);
    assert_refused(&s, "more than 32 signatures");
}
END_TEST

START_TEST(too_many_or_unreadable_intermediates_are_refused) {
    struct trio t = trio();
    struct scene s = scene_of(&t);
    struct detail detail = {0};
    for (size_t i = 0; i <= X509_CHAIN_MAX; i++) {
        s.extra[s.num_extra++] = s.bundle[0];
    }
    ck_assert_int_eq(verify(&s, &detail), STATUS_LIMIT);
    s.num_extra = 2;
    s.extra[1] = LITERAL("\x30\x00");
    ck_assert_int_eq(verify(&s, &detail), STATUS_MALFORMED);
    ck_assert_ptr_nonnull(strstr(detail.text, "intermediate 2"));
}
END_TEST

/* --- EK certificates
 * ---------------------------------------------------------------------------------- */

/* directoryName of manufacturer id:49424D00, model "vTPM", version id:00010002, one RDN each,
 * and without the last. */
#define TPM_MANUFACTURER                                                                           \
    "\x31\x16\x30\x14\x06\x05\x67\x81\x05\x02\x01\x0C\x0B"                                         \
    "id:49424D00"
#define TPM_MODEL                                                                                  \
    "\x31\x0F\x30\x0D\x06\x05\x67\x81\x05\x02\x02\x0C\x04"                                         \
    "vTPM"
#define TPM_VERSION                                                                                \
    "\x31\x16\x30\x14\x06\x05\x67\x81\x05\x02\x03\x0C\x0B"                                         \
    "id:00010002"
#define TPM_SAN "\xA4\x43\x30\x41" TPM_MANUFACTURER TPM_MODEL TPM_VERSION

static struct trio ek(void) {
    struct trio t = trio();
    t.leaf.subject = NULL;
    t.leaf.key = CERT_KEY_RSA;
    t.leaf.key_usage = 0x20;
    t.leaf.subject_alt_name = LITERAL(TPM_SAN);
    t.leaf.subject_alt_name_critical = true;
    t.leaf.extended_key_usage = LITERAL(OID_TCG_KP_EK);
    return t;
}

/* A leaf that a TLS client shows. */
static struct scene client_scene(const struct trio *t) {
    struct scene s = scene_of(t);
    s.purpose = CHAIN_TLS_CLIENT;
    return s;
}

static struct scene ek_scene(const struct trio *t) {
    struct scene s = scene_of(t);
    s.purpose = CHAIN_TPM_EK;
    return s;
}

START_TEST(ek_certificate_with_critical_san_and_empty_subject_holds) {
    struct trio t = ek();
    struct scene s = ek_scene(&t);
    assert_holds(&s);
}
END_TEST

START_TEST(ek_certificate_with_all_attributes_in_one_rdn_holds) {
    struct trio t = ek();
    static const char one[] = "\xA4\x3F\x30\x3D\x31\x3B" TPM_MANUFACTURER TPM_MODEL TPM_VERSION;
    uint8_t san[sizeof one];
    size_t len = 0;
    /* Drop the three SETs' heads of two bytes. */
    const char *parts[] = {TPM_MANUFACTURER, TPM_MODEL, TPM_VERSION};
    const size_t lens[] = {sizeof TPM_MANUFACTURER - 1, sizeof TPM_MODEL - 1,
                           sizeof TPM_VERSION - 1};
    memcpy(san, "\xA4\x3F\x30\x3D\x31\x3B", 6);
    len = 6;
    for (size_t i = 0; i < 3; i++) {
        memcpy(san + len, parts[i] + 2, lens[i] - 2);
        len += lens[i] - 2;
    }
    t.leaf.subject_alt_name = bytes_of(san, len);
    struct scene s = ek_scene(&t);
    assert_holds(&s);
}
END_TEST

START_TEST(ek_certificate_without_eku_or_with_a_subject_and_no_san_holds) {
    struct trio t = ek();
    t.leaf.extended_key_usage = bytes_of(NULL, 0);
    struct scene s = ek_scene(&t);
    assert_holds(&s);
    t.leaf.subject_alt_name = bytes_of(NULL, 0);
    t.leaf.subject = "TPM 1";
    s = ek_scene(&t);
    assert_holds(&s);
}
END_TEST

START_TEST(ek_certificate_with_neither_subject_nor_tpm_in_its_san_is_refused) {
    struct trio t = ek();
    t.leaf.subject_alt_name = bytes_of(NULL, 0);
    struct scene s = ek_scene(&t);
    assert_refused(&s, "neither its subject nor its subjectAltName");
    t.leaf.subject_alt_name = LITERAL("\x82\x01x");
    t.leaf.subject_alt_name_critical = false;
    s = ek_scene(&t);
    assert_refused(&s, "neither its subject nor its subjectAltName");
}
END_TEST

START_TEST(ek_certificate_may_be_valid_to_the_last_second_of_year_9999) {
    struct trio t = ek();
    t.leaf.not_after = t.middle.not_after = t.root.not_after = 253402300799;
    struct scene s = ek_scene(&t);
    s.now = 253402300799;
    assert_holds(&s);
    t.root.not_after--;
    s = ek_scene(&t);
    s.now = 253402300799;
    assert_refused(&s, "expired");
    /* There is no later time that a certificate could state. */
    struct detail detail = {0};
    uint8_t buffer[64];
    struct writer w = writer_of(buffer, sizeof buffer);
    size_t mark = der_open(&w, DER_SEQUENCE);
    der_write(&w, DER_UTC_TIME, bytes_of_text("200101000000Z"));
    der_write(&w, DER_GENERALIZED_TIME, bytes_of_text("100000101000000Z"));
    der_close(&w, mark);
    t.leaf.validity = writer_bytes(&w);
    s = ek_scene(&t);
    ck_assert_int_eq(verify(&s, &detail), STATUS_MALFORMED);
}
END_TEST

/* What TPM vendors do, each in every place of a chain. */
static void depart(struct cert_spec *spec, int how) {
    if (how == 0) {
        spec->serial = LITERAL("\x80\x01");
    } else if (how == 1) {
        spec->serial = LITERAL("\x00\x01");
    } else {
        spec->subject_name = cert_name_of_two("x", "y", false);
    }
}

START_TEST(departure_from_der_is_overlooked_for_eks_and_for_nothing_else) {
    static const char *const reasons[] = {"negative", "shortest", "not sorted"};
    for (int who = ROOT; who <= LEAF; who++) {
        for (int how = 0; how < 3; how++) {
            struct trio t = ek();
            t.leaf.extended_key_usage = bytes_of(NULL, 0);
            t.leaf.key_usage = -1;
            depart(pick(&t, (enum who)who), how);
            if (how == 2 && who != LEAF) {
                pick(&t, (enum who)(who + 1))->issuer_name = pick(&t, (enum who)who)->subject_name;
            }
            if (how == 2 && who == ROOT) {
                t.root.issuer_name = t.root.subject_name;
            }
            struct scene s = ek_scene(&t);
            assert_holds(&s);
            s = client_scene(&t);
            assert_refused(&s, reasons[how]);
            s.purpose = CHAIN_ANY;
            if (who != ROOT || how != 2) {
                assert_refused(&s, reasons[how]);
            }
        }
    }
}
END_TEST

START_TEST(issuer_whose_attributes_come_in_another_order_is_found_for_eks_only) {
    struct trio t = ek();
    t.leaf.extended_key_usage = bytes_of(NULL, 0);
    t.leaf.key_usage = -1;
    t.middle.subject_name = cert_name_of_two("x", "y", true);
    t.leaf.issuer_name = cert_name_of_two("x", "y", false);
    struct scene s = ek_scene(&t);
    assert_holds(&s);
    s = client_scene(&t);
    assert_refused(&s, "not sorted");
    static const char *const others[][2] = {{"x", "z"}, {"z", "y"}, {"y", "x"}, {"x", "yy"}};
    for (size_t i = 0; i < 4; i++) {
        t.leaf.issuer_name = cert_name_of_two(others[i][0], others[i][1], false);
        s = ek_scene(&t);
        assert_refused(&s, "no trusted issuer");
    }
}
END_TEST

/* --- TLS clients
 * -------------------------------------------------------------------------------------- */

START_TEST(client_certificate_with_client_auth_any_or_no_eku_holds) {
    static const struct bytes ekus[] = {
        {NULL, 0},
        {(const uint8_t *)OID_CLIENT_AUTH, sizeof OID_CLIENT_AUTH - 1},
        {(const uint8_t *)OID_ANY_EXTENDED_KEY_USAGE, 4}};
    for (size_t i = 0; i < 3; i++) {
        struct trio t = trio();
        t.leaf.extended_key_usage = ekus[i];
        struct scene s = client_scene(&t);
        assert_holds(&s);
        t.leaf.key_usage = -1;
        t.leaf.ca = 0;
        t.leaf.not_after = 253402300799;
        s = client_scene(&t);
        assert_holds(&s);
    }
}
END_TEST

START_TEST(client_certificate_for_another_use_is_refused) {
    struct trio t = trio();
    t.leaf.extended_key_usage = LITERAL(OID_SERVER_AUTH);
    struct scene s = client_scene(&t);
    assert_refused(&s, "lacks clientAuth");
    t = trio();
    t.leaf.key_usage = 0x20; /* keyEncipherment */
    s = client_scene(&t);
    assert_refused(&s, "lacks digitalSignature");
    t = trio();
    t.leaf.ca = 1;
    s = client_scene(&t);
    assert_refused(&s, "a CA's");
    t = trio();
    t.leaf.extra[0] = cert_extension(LITERAL("\x2A\x83\x04"), true, LITERAL("\x05\x00"));
    s = client_scene(&t);
    assert_refused(&s, "1.2.388");
    t = trio();
    t.leaf.not_after = CERT_NOW - 1;
    s = client_scene(&t);
    assert_refused(&s, "expired");
}
END_TEST

START_TEST(client_certificate_that_stands_in_the_bundle_itself_is_not_trusted_for_it) {
    struct cert_spec self = cert_leaf("self", 2, "self", 2);
    struct scene s = {.bundle = {cert_make(&self)},
                      .num_bundle = 1,
                      .leaf = cert_make(&self),
                      .purpose = CHAIN_TLS_CLIENT};
    assert_refused(&s, "it is no CA");
}
END_TEST

/* --- anchors that are named
 * --------------------------------------------------------------------------- */

/* The bundle of marked and of plain certificates, and what it says of the leaf. */
static enum status verify_named(const struct bytes *marked, size_t num_marked,
                                const struct bytes *plain, size_t num_plain, struct bytes leaf,
                                struct detail *detail) {
    struct trust_bundle *bundle = NULL;
    struct arena arena;
    arena_init(&arena, 4 << 20);
    const char *named = (const char *)cert_trusted_pem(&arena, marked, num_marked).data;
    const char *others = (const char *)cert_pem(&arena, plain, num_plain).data;
    char *pem = arena_printf(&arena, "%s%s", named, others);
    enum status status = trust_bundle_new(&bundle, bytes_of_text(pem), detail);
    if (status == STATUS_OK) {
        status = trust_bundle_verify(bundle, leaf, NULL, 0, CERT_NOW, CHAIN_ANY, detail);
    }
    trust_bundle_free(bundle);
    arena_free(&arena);
    return status;
}

START_TEST(intermediate_is_an_anchor_when_it_is_named_as_one) {
    struct trio t = trio();
    struct bytes middle = cert_make(&t.middle), leaf = cert_make(&t.leaf);
    struct detail detail = {0};
    ck_assert_int_eq(verify_named(&middle, 1, NULL, 0, leaf, &detail), STATUS_OK);
    /* Unnamed it waits for its root, whether that never was there or was removed. */
    ck_assert_int_eq(verify_named(NULL, 0, &middle, 1, leaf, &detail), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(detail.text, "no trusted issuer"));
    /* Another anchor's name helps it nothing. */
    struct cert_spec other = cert_ca("other", 3, "somebody", 4);
    struct bytes stranger = cert_make(&other);
    ck_assert_int_eq(verify_named(&stranger, 1, &middle, 1, leaf, &detail), STATUS_INVALID);
}
END_TEST

START_TEST(signature_of_a_named_anchor_is_not_looked_at) {
    struct trio t = trio();
    struct detail detail = {0};
    t.middle.signer = 5; /* not the root's key */
    t.middle.inner_algorithm = LITERAL("\x30\x06\x06\x04\x2A\x03\x04\x05");
    struct bytes middle = cert_make(&t.middle), leaf = cert_make(&t.leaf);
    ck_assert_msg(verify_named(&middle, 1, NULL, 0, leaf, &detail) == STATUS_OK, "%s", detail.text);
}
END_TEST

START_TEST(named_anchor_is_held_to_what_it_says_of_itself) {
    struct detail detail = {0};
    struct trio t = trio();
    t.middle.not_after = CERT_NOW - 1;
    struct bytes middle = cert_make(&t.middle), leaf = cert_make(&t.leaf);
    ck_assert_int_eq(verify_named(&middle, 1, NULL, 0, leaf, &detail), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(detail.text, "expired"));
    t = trio();
    t.middle.key_usage = 0x80;
    middle = cert_make(&t.middle);
    ck_assert_int_eq(verify_named(&middle, 1, NULL, 0, leaf, &detail), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(detail.text, "keyCertSign"));
    t.leaf.subject = "named";
    leaf = cert_make(&t.leaf);
    ck_assert_int_eq(verify_named(&leaf, 1, NULL, 0, leaf, &detail), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(detail.text, "certificate 1: it is marked as an anchor"));
}
END_TEST

START_TEST(certificate_that_cannot_serve_in_a_bundle_is_told_apart) {
    struct detail detail = {0};
    bool is_anchor = false;
    struct trio t = trio();
    struct trust_certificate c = {.der = cert_make(&t.root)};
    ck_assert_int_eq(trust_certificate_check(&is_anchor, &c, CHAIN_TPM_EK, &detail), STATUS_OK);
    ck_assert(is_anchor);
    c.der = cert_make(&t.middle);
    ck_assert_int_eq(trust_certificate_check(&is_anchor, &c, CHAIN_TPM_EK, &detail), STATUS_OK);
    ck_assert(!is_anchor);
    c.anchor = true;
    ck_assert_int_eq(trust_certificate_check(&is_anchor, &c, CHAIN_TPM_EK, &detail), STATUS_OK);
    ck_assert(is_anchor);
    c = (struct trust_certificate){.der = cert_make(&t.leaf)};
    ck_assert_int_eq(trust_certificate_check(&is_anchor, &c, CHAIN_TPM_EK, &detail),
                     STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(detail.text, "no CA"));
    struct cert_spec odd = cert_ca("odd", 1, "root", 0);
    odd.serial = LITERAL("\x80");
    c.der = cert_make(&odd);
    ck_assert_int_eq(trust_certificate_check(&is_anchor, &c, CHAIN_TPM_EK, &detail), STATUS_OK);
    ck_assert_int_eq(trust_certificate_check(&is_anchor, &c, CHAIN_TLS_CLIENT, &detail),
                     STATUS_INVALID);
    odd = cert_ca("odd", 1, "root", 0);
    odd.extra[0] = cert_extension(DER_OID_OF(OID_NAME_CONSTRAINTS), false, LITERAL("\x30\x00"));
    c.der = cert_make(&odd);
    ck_assert_int_eq(trust_certificate_check(&is_anchor, &c, CHAIN_TPM_EK, &detail),
                     STATUS_INVALID);
    odd = cert_ca("odd", CERT_KEY_RSA, "root", 0);
    odd.spki = cert_oaep_spki(CERT_KEY_RSA, bytes_of(NULL, 0));
    c.der = cert_make(&odd);
    ck_assert_int_eq(trust_certificate_check(&is_anchor, &c, CHAIN_TPM_EK, &detail),
                     STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(detail.text, "kind"));
}
END_TEST

START_TEST(ek_certificate_with_another_eku_is_refused) {
    struct trio t = ek();
    static const struct bytes ekus[] = {
        {(const uint8_t *)OID_CLIENT_AUTH, sizeof OID_CLIENT_AUTH - 1},
        {(const uint8_t *)OID_ANY_EXTENDED_KEY_USAGE, 4},
        {(const uint8_t *)"\x67\x81\x05\x08\x03", 5}};
    for (size_t i = 0; i < 3; i++) {
        t.leaf.extended_key_usage = ekus[i];
        struct scene s = ek_scene(&t);
        assert_refused(&s, "tcg-kp-EKCertificate");
        s.purpose = CHAIN_ANY;
        assert_holds(&s);
    }
}
END_TEST

START_TEST(ek_certificate_whose_critical_san_is_not_of_a_tpm_is_refused) {
    static const struct bytes names[] = {
        {(const uint8_t *)"\x82\x01x", 3},
        {(const uint8_t *)"\xA4\x02\x30\x00", 4},
        {(const uint8_t *)"\xA4\x2B\x30\x29" TPM_MANUFACTURER TPM_MODEL, 45},
        {(const uint8_t *)"\x84\x02\x30\x00", 4},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct trio t = ek();
        t.leaf.subject_alt_name = names[i];
        struct scene s = ek_scene(&t);
        assert_refused(&s, "does not describe a TPM");
    }
}
END_TEST

START_TEST(ek_certificate_that_is_a_ca_is_refused) {
    struct trio t = ek();
    t.leaf.ca = 1;
    struct scene s = ek_scene(&t);
    assert_refused(&s, "no CA");
}
END_TEST

START_TEST(ek_certificate_with_an_unknown_critical_extension_is_refused) {
    struct trio t = ek();
    t.leaf.extra[0] = cert_extension(LITERAL("\x67\x81\x05\x01\x02"), true, LITERAL("\x05\x00"));
    struct scene s = ek_scene(&t);
    assert_refused(&s, "2.23.133.1.2");
}
END_TEST

/* --- loading
 * ------------------------------------------------------------------------------------------ */

START_TEST(bundle_with_one_unreadable_certificate_is_refused_with_its_number) {
    struct trio t = trio();
    struct bytes der[3] = {cert_make(&t.root), cert_make(&t.middle), cert_make(&t.leaf)};
    for (size_t bad = 0; bad < 3; bad++) {
        struct trust_bundle *bundle = NULL;
        struct arena arena;
        struct detail detail = {0};
        struct bytes all[3] = {der[0], der[1], der[2]};
        all[bad] = bytes_of(der[bad].data, der[bad].len - 1);
        arena_init(&arena, 1 << 20);
        ck_assert_int_ne(trust_bundle_new(&bundle, cert_pem(&arena, all, 3), &detail), STATUS_OK);
        const char *numbers[] = {"certificate 1", "certificate 2", "certificate 3"};
        ck_assert_msg(strstr(detail.text, numbers[bad]) != NULL, "%s", detail.text);
        ck_assert_ptr_null(bundle);
        arena_free(&arena);
    }
}
END_TEST

START_TEST(bundle_of_nothing_is_refused) {
    struct trust_bundle *bundle = NULL;
    struct detail detail = {0};
    ck_assert_int_eq(trust_bundle_new(&bundle, bytes_of(NULL, 0), &detail), STATUS_MALFORMED);
    ck_assert_int_eq(trust_bundle_new(&bundle, bytes_of_text("# empty\n"), &detail),
                     STATUS_MALFORMED);
    ck_assert_ptr_null(bundle);
    trust_bundle_free(NULL);
}
END_TEST

#define COUNT(table) (int)(sizeof table / sizeof table[0])

int main(void) {
    for (size_t i = 0; i < CERT_KEYS; i++) {
        (void)cert_key(i);
    }
    TCase *holding = tcase_create("chains that hold");
    tcase_add_test(holding, chain_by_an_intermediate_of_the_bundle_holds);
    tcase_add_test(holding, chain_by_an_intermediate_that_came_along_holds);
    tcase_add_test(holding, chain_of_other_algorithms_holds);
    tcase_add_test(holding, chain_at_the_edges_of_its_validity_holds);
    tcase_add_test(holding, chain_to_one_of_two_roots_that_share_a_name_holds);
    tcase_add_test(holding, chain_by_one_of_many_intermediates_that_share_a_name_holds);
    tcase_add_test(holding, cross_signed_intermediate_holds_by_the_root_that_is_there);
    tcase_add_test(holding, authorities_that_sign_each_other_end_the_search);
    tcase_add_test(holding, anchor_with_a_sha1_self_signature_is_an_anchor);
    tcase_add_test(holding, ecdsa_identifier_with_null_parameters_is_taken);
    tcase_add_test(holding, authority_without_key_usage_may_sign);
    tcase_add_test(holding, critical_policies_are_understood);
    tcase_add_test(holding, leaf_that_is_an_anchor_itself_holds_but_not_as_an_ek);
    TCase *refused = tcase_create("chains that do not");
    tcase_set_timeout(refused, 60);
    tcase_add_test(refused, chain_without_its_root_is_refused_with_the_missing_name);
    tcase_add_test(refused, root_that_only_came_along_is_not_trusted);
    tcase_add_test(refused, intermediate_alone_is_no_anchor);
    tcase_add_test(refused, leaf_by_another_key_of_the_same_name_is_refused);
    tcase_add_test(refused, intermediate_by_another_key_of_the_same_name_is_refused);
    tcase_add_test(refused, root_that_another_key_signed_is_no_anchor);
    tcase_add_test(refused, chain_with_any_flipped_bit_in_the_leaf_is_refused);
    tcase_add_test(refused, chain_with_every_prefix_of_the_leaf_is_refused);
    tcase_add_loop_test(refused, chain_with_one_certificate_that_may_not_is_refused, 0,
                        COUNT(changes));
    tcase_add_test(refused, path_length_counts_intermediates_that_are_not_self_issued);
    tcase_add_test(refused, unknown_critical_extension_is_refused_with_its_name);
    tcase_add_test(refused, policy_constraints_that_are_critical_are_refused);
    tcase_add_test(refused, authority_with_name_constraints_is_refused_also_when_not_critical);
    tcase_add_loop_test(refused, signature_by_an_algorithm_that_is_weak_or_wrong_is_refused, 0,
                        COUNT(weak));
    tcase_add_test(refused, key_identifiers_that_differ_rule_an_issuer_out);
    tcase_add_test(refused, chain_is_of_at_most_eight_certificates);
    tcase_add_test(refused, search_among_forged_issuers_ends_at_its_cap_of_signatures);
    tcase_add_test(refused, too_many_or_unreadable_intermediates_are_refused);
    TCase *eks = tcase_create("EK certificates");
    tcase_add_test(eks, ek_certificate_with_critical_san_and_empty_subject_holds);
    tcase_add_test(eks, ek_certificate_with_all_attributes_in_one_rdn_holds);
    tcase_add_test(eks, ek_certificate_without_eku_or_with_a_subject_and_no_san_holds);
    tcase_add_test(eks, ek_certificate_with_neither_subject_nor_tpm_in_its_san_is_refused);
    tcase_add_test(eks, ek_certificate_may_be_valid_to_the_last_second_of_year_9999);
    tcase_add_test(eks, departure_from_der_is_overlooked_for_eks_and_for_nothing_else);
    tcase_add_test(eks, issuer_whose_attributes_come_in_another_order_is_found_for_eks_only);
    tcase_add_test(eks, ek_certificate_with_another_eku_is_refused);
    tcase_add_test(eks, ek_certificate_whose_critical_san_is_not_of_a_tpm_is_refused);
    tcase_add_test(eks, ek_certificate_that_is_a_ca_is_refused);
    tcase_add_test(eks, ek_certificate_with_an_unknown_critical_extension_is_refused);
    TCase *clients = tcase_create("TLS clients");
    tcase_add_test(clients, client_certificate_with_client_auth_any_or_no_eku_holds);
    tcase_add_test(clients, client_certificate_for_another_use_is_refused);
    tcase_add_test(clients,
                   client_certificate_that_stands_in_the_bundle_itself_is_not_trusted_for_it);
    TCase *named = tcase_create("anchors that are named");
    tcase_add_test(named, intermediate_is_an_anchor_when_it_is_named_as_one);
    tcase_add_test(named, signature_of_a_named_anchor_is_not_looked_at);
    tcase_add_test(named, named_anchor_is_held_to_what_it_says_of_itself);
    tcase_add_test(named, certificate_that_cannot_serve_in_a_bundle_is_told_apart);
    TCase *loading = tcase_create("loading");
    tcase_add_test(loading, bundle_with_one_unreadable_certificate_is_refused_with_its_number);
    tcase_add_test(loading, bundle_of_nothing_is_refused);
    Suite *suite = suite_create("x509: chains");
    suite_add_tcase(suite, holding);
    suite_add_tcase(suite, refused);
    suite_add_tcase(suite, eks);
    suite_add_tcase(suite, clients);
    suite_add_tcase(suite, named);
    suite_add_tcase(suite, loading);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
