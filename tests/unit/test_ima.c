/* IMA logs: framing, the fields of every template, and the start that a quote confirms. */
#include "server/evidence/ima/decode.h"
#include "server/evidence/ima/follow.h"
#include "tests/unit/evidence_builder.h"
#include "tests/unit/ima_builder.h"
#include "tests/unit/real_data.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct ima_builder made;
static struct facts facts;
static struct ima_following what;
static struct fact_ima_position kept;
static struct detail detail;
static const uint8_t digest[DIGEST_MAX] = {0xD1, 0xD2, 0xD3};
static uint8_t aggregate_pcr[10][32];
static unsigned trials;

/* --- a quote, as far as following looks at it: PCR 10 of each bank hashes to what was made ------- */

static uint8_t quoted[PCR_MAX_BANKS][DIGEST_MAX];

static bool meets(const struct facts *of, const void *context) {
    (void)context;
    trials++;
    for (size_t b = 0; b < of->num_banks; b++) {
        if (memcmp(of->bank[b].pcr[10].value, quoted[b], digest_len(of->bank[b].alg)) != 0) {
            return false;
        }
    }
    return true;
}

static void quote(const enum hash_alg *alg, size_t num, bool given) {
    facts = (struct facts){.tpm_reset_count = 7, .tpm_restart_count = 1, .num_banks = num};
    what.given = 0;
    for (size_t b = 0; b < num; b++) {
        facts.bank[b].alg = alg[b];
        facts.bank[b].pcr[10].quoted = true;
        memcpy(quoted[b], ima_pcr(&made, alg[b]), DIGEST_MAX);
        if (given) {
            memcpy(facts.bank[b].pcr[10].value, quoted[b], DIGEST_MAX);
            what.given |= 1u << b;
        }
        for (unsigned i = 0; i < 10 && alg[b] == HASH_SHA256; i++) {
            facts.bank[b].pcr[i].quoted = true;
            memcpy(facts.bank[b].pcr[i].value, aggregate_pcr[i], 32);
        }
    }
}

static const enum hash_alg sha256[] = {HASH_SHA256},
                           three[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384};

static enum ima_outcome follow(void) {
    enum ima_outcome outcome = IMA_ASTRAY;
    struct facts before = facts;
    ck_assert_int_eq(ima_follow(&facts, &outcome, &arena, &what, &detail), STATUS_OK);
    if (outcome != IMA_FOLLOWED) {
        ck_assert(!facts.ima.known);
        facts = before;
    }
    return outcome;
}

static void start(void) {
    arena_init(&arena, 1 << 26);
    ima_start(&made);
    for (unsigned i = 0; i < 10; i++) {
        memset(aggregate_pcr[i], (int)i + 1, 32);
    }
    what = (struct ima_following){.meets = meets};
    memset(quoted, 0, sizeof quoted);
    kept = (struct fact_ima_position){0};
    trials = 0;
}

static void end(void) {
    ima_free(&made);
    arena_free(&arena);
}

static void add_files(unsigned num) {
    for (unsigned i = 0; i < num; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "/usr/bin/tool-%u", made.num);
        ima_sample(&made, path);
    }
}

static void boot(unsigned num_files) {
    ima_aggregate(&made, (const uint8_t(*)[32])aggregate_pcr);
    add_files(num_files);
    what.log = ima_bytes(&made);
}

/* --- fields ------------------------------------------------------------------------------------- */

static uint8_t buffer[IMA_BUILDER_DATA];

static struct writer fields(void) {
    return writer_of(buffer, sizeof buffer);
}

static struct fact_ima_entry decode(const char *name, struct bytes data) {
    struct fact_ima_entry entry = {.index = 5};
    ima_decode(&entry, bytes_of_text(name), data);
    ck_assert_uint_eq(entry.index, 5);
    return entry;
}

#define ck_text(view, text) ck_assert(bytes_equal((view), bytes_of_text(text)))

static const struct {
    const char *name, *type;
    unsigned num_more; /* fields behind digest and name, empty here */
} usual[] = {
    {"ima-ng", NULL, 0},
    {"ima-ngv2", "ima", 0},
    {"ima-sig", NULL, 1},
    {"ima-sigv2", "ima", 1},
    {"ima-sigv2", "verity", 1},
    {"ima-buf", NULL, 1},
    {"ima-modsig", NULL, 3},
    {"evm-sig", NULL, 7},
    {"d-ng|n-ng", NULL, 0},
    {"d-ngv2|n|sig", "ima", 1},
    {"d-ng|n-ng|iuid|igid|imode|xattrnames|xattrlengths|xattrvalues", NULL, 6},
};

START_TEST(each_template_names_file_and_digest) {
    static const enum hash_alg algs[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512};
    for (size_t a = 0; a < 4; a++) {
        struct writer data = fields();
        ima_digest(&data, usual[_i].type, algs[a], digest);
        ima_name(&data, "/usr/bin/agent");
        for (unsigned i = 0; i < usual[_i].num_more; i++) {
            ima_field(&data, bytes_of(NULL, 0));
        }
        struct fact_ima_entry entry = decode(usual[_i].name, writer_bytes(&data));
        ck_assert(entry.readable);
        ck_text(entry.path, "/usr/bin/agent");
        ck_text(entry.alg_name, hash_name(algs[a]));
        ck_assert_int_eq(entry.alg, algs[a]);
        ck_assert(bytes_equal(entry.digest, bytes_of(digest, digest_len(algs[a]))));
        ck_assert_int_eq(entry.verity,
                         usual[_i].type != NULL && strcmp(usual[_i].type, "verity") == 0);
        ck_assert_uint_eq(entry.signature.len, 0);
    }
}
END_TEST

START_TEST(a_part_of_the_data_is_none) {
    struct writer data = fields();
    ima_digest(&data, NULL, HASH_SHA256, digest);
    ima_name(&data, "/usr/bin/agent");
    ima_field(&data, bytes_of("\x03\x02\x04", 3));
    for (size_t len = 0; len < data.len; len++) {
        uint8_t *copy = exact_copy(bytes_of(buffer, len));
        ck_assert(!decode("ima-sig", bytes_of(copy, len)).readable);
        free(copy);
    }
    ck_assert(decode("ima-sig", writer_bytes(&data)).readable);
    write_u8(&data, 0);
    ck_assert(!decode("ima-sig", writer_bytes(&data)).readable);
}
END_TEST

START_TEST(no_flipped_bit_reads_past_the_data) {
    struct writer data = fields();
    ima_digest(&data, NULL, HASH_SHA256, digest);
    ima_name(&data, "/usr/bin/agent");
    ima_field(&data, bytes_of("\x03\x02\x04", 3));
    for (size_t bit = 0; bit < 8 * data.len; bit++) {
        uint8_t *copy = exact_copy(writer_bytes(&data));
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct fact_ima_entry entry = decode("ima-sig", bytes_of(copy, data.len));
        if (entry.readable) {
            ck_assert_uint_eq(entry.digest.len, 32);
            ck_assert_uint_gt(entry.path.len, 0);
        } else {
            ck_assert_uint_eq(entry.path.len + entry.digest.len + entry.signature.len, 0);
            ck_assert_int_eq(entry.alg, HASH_NONE);
        }
        free(copy);
    }
}
END_TEST

START_TEST(first_template_has_a_digest_and_a_name) {
    uint8_t data[20 + 7];
    memcpy(data, digest, 20);
    memcpy(data + 20, "/bin/sh", 7);
    struct fact_ima_entry entry = decode("ima", bytes_of(data, sizeof data));
    ck_assert(entry.readable);
    ck_text(entry.path, "/bin/sh");
    ck_assert_int_eq(entry.alg, HASH_SHA1);
    ck_assert(!decode("ima", bytes_of(data, 20)).readable);
    ck_assert(!decode("ima", bytes_of(data, 19)).readable);
    data[22] = 0;
    ck_assert(!decode("ima", bytes_of("01234567890123456789/bin\0sh", 27)).readable);
}
END_TEST

START_TEST(digests_of_unknown_algorithms_are_named_and_not_taken) {
    struct writer data = fields();
    ima_field(&data, bytes_of("sm3-256:\0AAAA", 13));
    ima_name(&data, "/x");
    struct fact_ima_entry entry = decode("ima-ng", writer_bytes(&data));
    ck_assert(entry.readable);
    ck_assert_int_eq(entry.alg, HASH_NONE);
    ck_text(entry.alg_name, "sm3-256");
    ck_assert_uint_eq(entry.digest.len, 4);
}
END_TEST

static const struct {
    const char *what;
    struct bytes field[3];
} bent[] = {
#define B(text) {(const uint8_t *)(text), sizeof(text) - 1}
    {"a digest without its zero", {B("sha1:AAAAAAAAAAAAAAAAAAAA"), B("/x\0"), B("")}},
    {"a digest of another size", {B("sha1:\0AAAAAAAAAAAAAAAAAAA"), B("/x\0"), B("")}},
    {"a digest without an algorithm", {B(":\0AAAAAAAAAAAAAAAAAAAA"), B("/x\0"), B("")}},
    {"an algorithm in capitals", {B("SHA1:\0AAAAAAAAAAAAAAAAAAAA"), B("/x\0"), B("")}},
    {"an algorithm without its colon", {B("sha1\0AAAAAAAAAAAAAAAAAAAA"), B("/x\0"), B("")}},
    {"a digest of nothing", {B("sm3:\0"), B("/x\0"), B("")}},
    {"a type where none belongs", {B("ima:sha1:\0AAAAAAAAAAAAAAAAAAAA"), B("/x\0"), B("")}},
    {"no digest", {B(""), B("/x\0"), B("")}},
    {"a name without its zero", {B("sha1:\0AAAAAAAAAAAAAAAAAAAA"), B("/x"), B("")}},
    {"a name with two zeros", {B("sha1:\0AAAAAAAAAAAAAAAAAAAA"), B("/x\0\0"), B("")}},
    {"a name with a zero inside", {B("sha1:\0AAAAAAAAAAAAAAAAAAAA"), B("/x\0y\0"), B("")}},
    {"an empty name", {B("sha1:\0AAAAAAAAAAAAAAAAAAAA"), B("\0"), B("")}},
    {"no name", {B("sha1:\0AAAAAAAAAAAAAAAAAAAA"), B(""), B("")}},
    {"a signature for a name", {B("sha1:\0AAAAAAAAAAAAAAAAAAAA"), B("\x03\x02x\0"), B("")}},
    {"a name for a signature", {B("sha1:\0AAAAAAAAAAAAAAAAAAAA"), B("/x\0"), B("/x\0")}},
};

START_TEST(fields_that_are_not_what_they_should_be_are_not_read) {
    struct writer data = fields();
    for (size_t i = 0; i < 3; i++) {
        ima_field(&data, bent[_i].field[i]);
    }
    ck_assert_msg(!decode("ima-sig", writer_bytes(&data)).readable, "%s", bent[_i].what);
}
END_TEST

START_TEST(names_that_are_no_template_are_not_read) {
    static const char *const names[] = {"",           "ima-xx",    "d-ng|",          "|d-ng|n-ng",
                                        "d-ng||n-ng", "D-NG|N-NG", "d-ng|n-ng|d-ng", "n-ng|n-ng",
                                        "d-ng,n-ng"};
    struct writer data = fields();
    ima_digest(&data, NULL, HASH_SHA256, digest);
    ima_name(&data, "/x");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_assert_msg(!decode(names[i], writer_bytes(&data)).readable, "%s", names[i]);
    }
}
END_TEST

/* The template's name is covered by nothing: an entry that the kernel wrote as digest and name must
 * not become another file, or another digest, under another name. */
START_TEST(renamed_template_never_reads_as_another_file_or_digest) {
    static const char *const ids[] = {"d",   "d-ng",   "d-ngv2", "d-modsig", "n",   "n-ng",
                                      "sig", "evmsig", "modsig", "buf",      "iuid"};
    enum { N = sizeof ids / sizeof *ids };
    static const struct bytes third[] = {B(""), B("/tmp/x\0"),
                                         B("sha256:\0AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
                                         B("\x03\x02\x04xyz\0"), B("AAAAAAAAAAAAAAAAAAAA")};
    for (size_t t = 0; t < sizeof third / sizeof *third; t++) {
        struct writer data = fields();
        ima_digest(&data, NULL, HASH_SHA256, digest);
        ima_name(&data, "/usr/bin/agent");
        ima_field(&data, third[t]);
        for (unsigned i = 0; i < N * N * N; i++) {
            char name[64];
            (void)snprintf(name, sizeof name, "%s|%s|%s", ids[i % N], ids[i / N % N],
                           ids[i / N / N]);
            struct fact_ima_entry entry = decode(name, writer_bytes(&data));
            if (entry.readable) {
                ck_text(entry.path, "/usr/bin/agent");
                ck_assert(bytes_equal(entry.digest, bytes_of(digest, 32)));
            }
        }
    }
}
END_TEST

START_TEST(usual_data_never_read_as_the_first_template) {
    uint8_t whole[276] = {0}, chosen[32];
    struct writer data = writer_of(whole, sizeof whole);
    memset(chosen, 'x', sizeof chosen);
    memcpy(chosen + 8, "/tmp/", 5); /* a file can be made to have such a digest */
    ima_digest(&data, NULL, HASH_SHA256, chosen);
    ima_name(&data, "/usr/bin/agent");
    write_u32le(&data, (uint32_t)(sizeof whole - data.len - 4));
    for (size_t len = 20 + 26; len <= sizeof whole; len++) {
        ck_assert(!decode("ima", bytes_of(whole, len)).readable);
    }
}
END_TEST

/* --- framing ------------------------------------------------------------------------------------ */

START_TEST(log_with_any_size_of_template_digest_is_walked) {
    static const enum hash_alg algs[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512};
    struct ima_entry entry;
    made.template_alg = algs[_i];
    boot(20);
    ima_add(&made, 10, "ima-ng", bytes_of("x", 1), true);
    struct ima_log log = ima_log_open(ima_bytes(&made));
    for (unsigned i = 0; i < made.num; i++) {
        ck_assert_int_eq(ima_log_next(&log, &entry, &detail), STATUS_OK);
        ck_assert_uint_eq(entry.index, i);
        ck_assert_uint_eq(entry.template_digest.len, digest_len(algs[_i]));
        ck_assert(ima_entry_is_consistent(&entry));
    }
    ck_assert(ima_entry_is_violation(&entry));
    ck_assert_int_eq(ima_log_next(&log, &entry, &detail), STATUS_END);
}
END_TEST

START_TEST(template_digest_that_does_not_cover_the_data_is_told) {
    struct ima_entry entry;
    boot(0);
    made.data[4] ^= 1;
    struct ima_log log = ima_log_open(ima_bytes(&made));
    ck_assert_int_eq(ima_log_next(&log, &entry, &detail), STATUS_OK);
    ck_assert(!ima_entry_is_consistent(&entry));
}
END_TEST

START_TEST(each_start_of_a_log_is_walked_within_its_bounds) {
    boot(3);
    for (size_t len = 0; len <= made.len; len++) {
        uint8_t *copy = exact_copy(bytes_of(made.data, len));
        struct ima_log log = ima_log_open(bytes_of(copy, len));
        struct ima_entry entry;
        enum status status;
        while ((status = ima_log_next(&log, &entry, &detail)) == STATUS_OK) {
        }
        ck_assert(status == STATUS_END || status == STATUS_TRUNCATED);
        ck_assert_uint_le(log.next_index, made.num);
        free(copy);
    }
}
END_TEST

/* --- following ---------------------------------------------------------------------------------- */

START_TEST(log_leads_to_the_quoted_value) {
    bool given = _i % 2 == 1, in_three = _i / 2 % 2 == 1;
    boot(30);
    ima_add(&made, 11, "ima-ng", bytes_of("elsewhere", 9), false);
    ima_add_first(&made, digest, "/old/template");
    ima_add(&made, 10, "ima-ng", bytes_of("x", 1), true);
    what.log = ima_bytes(&made);
    quote(in_three ? three : sha256, in_three ? 3 : 1, given);
    ck_assert_int_eq(follow(), IMA_FOLLOWED);
    const struct fact_ima *ima = &facts.ima;
    ck_assert(ima->known && !ima->sha1_only);
    ck_assert_int_eq(ima->boot_aggregate, FACT_YES);
    ck_assert_uint_eq(ima->num_entries, 33);
    ck_assert_uint_eq(ima->num_confirmed, 34);
    ck_assert_uint_eq(ima->first, 0);
    ck_text(ima->entry[1].path, "/usr/bin/tool-1");
    ck_assert_uint_eq(ima->entry[31].index, 32);
    ck_text(ima->entry[31].path, "/old/template");
    ck_assert(ima->entry[32].violation && !ima->entry[32].readable);
    ck_assert_uint_eq(ima->end.num_entries, 34);
    ck_assert_uint_eq(ima->end.reset_count, 7);
    ck_assert_uint_eq(ima->end.num_banks, in_three ? 3 : 1);
}
END_TEST

START_TEST(only_the_start_that_is_quoted_is_confirmed) {
    boot(10);
    quote(three, 3, _i == 1);
    add_files(10);
    what.log = ima_bytes(&made);
    ck_assert_int_eq(follow(), IMA_FOLLOWED);
    ck_assert_uint_eq(facts.ima.num_entries, 11);
    ck_assert_uint_eq(facts.ima.num_confirmed, 11);
}
END_TEST

START_TEST(what_stands_behind_the_quote_may_be_anything) {
    static const char *const tails[] = {
        "\x0a", "\x0a\0\0\0AAAAAAAAAAAAAAAAAAAA\xff\xff\xff\xff",
        ("\x0a\0\0\0AAAAAAAAAAAAAAAAAAAA\x41\0\0\0AAAAAAAAAAAAAAAAAA"
         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        "\x0a\0\0\0AAAAAAAAAAAAAAAAAAAA\x01\0\0\0\x07"};
    static const size_t lens[] = {1, 28, 28 + 65, 29};
    uint8_t log[8192];
    struct writer w = writer_of(log, sizeof log);
    boot(10);
    quote(sha256, 1, _i % 2 == 1);
    write_bytes(&w, ima_bytes(&made));
    write_bytes(&w, bytes_of(tails[_i / 2], lens[_i / 2]));
    what.log = writer_bytes(&w);
    ck_assert_int_eq(follow(), IMA_FOLLOWED);
    ck_assert_uint_eq(facts.ima.num_confirmed, 11);
    what.log.data += made.len; /* the tail alone */
    what.log.len -= made.len;
    facts.ima.known = false;
    quote(sha256, 1, _i % 2 == 1);
    ck_assert_int_eq(follow(), IMA_ASTRAY);
}
END_TEST

START_TEST(no_entry_may_be_dropped_changed_swapped_or_put_in) {
    boot(6);
    quote(sha256, 1, _i == 1);
    size_t begin[8] = {0};
    struct ima_log log = ima_log_open(ima_bytes(&made));
    struct ima_entry entry;
    for (unsigned i = 0; i < 7; i++) {
        ck_assert_int_eq(ima_log_next(&log, &entry, NULL), STATUS_OK);
        begin[i] = entry.offset;
    }
    begin[7] = made.len;
    uint8_t bentlog[4096];
    for (unsigned i = 0; i < 7; i++) {
        size_t len = begin[i + 1] - begin[i];
        struct writer dropped = writer_of(bentlog, sizeof bentlog);
        write_bytes(&dropped, bytes_of(made.data, begin[i]));
        write_bytes(&dropped, bytes_of(made.data + begin[i + 1], made.len - begin[i + 1]));
        what.log = writer_bytes(&dropped);
        ck_assert_int_eq(follow(), IMA_ASTRAY);
        struct writer twice = writer_of(bentlog, sizeof bentlog);
        write_bytes(&twice, bytes_of(made.data, begin[i + 1]));
        write_bytes(&twice, bytes_of(made.data + begin[i], made.len - begin[i]));
        what.log = writer_bytes(&twice);
        /* The last one twice is a longer log. */
        ck_assert_int_eq(follow(), i == 6 ? IMA_FOLLOWED : IMA_ASTRAY);
        facts.ima = (struct fact_ima){0};
        quote(sha256, 1, _i == 1);
        if (i < 6) {
            struct writer swapped = writer_of(bentlog, sizeof bentlog);
            write_bytes(&swapped, bytes_of(made.data, begin[i]));
            write_bytes(&swapped, bytes_of(made.data + begin[i + 1], begin[i + 2] - begin[i + 1]));
            write_bytes(&swapped, bytes_of(made.data + begin[i], len));
            write_bytes(&swapped, bytes_of(made.data + begin[i + 2], made.len - begin[i + 2]));
            what.log = writer_bytes(&swapped);
            ck_assert_int_eq(follow(), IMA_ASTRAY);
        }
    }
}
END_TEST

/* Nothing but the data is covered: a bit elsewhere may do no more than make the entry unreadable. */
START_TEST(no_flipped_bit_changes_what_is_confirmed) {
    boot(2);
    quote(sha256, 1, true);
    uint8_t *copy = exact_copy(ima_bytes(&made));
    what.log = bytes_of(copy, made.len);
    for (size_t bit = 0; bit < 8 * made.len; bit++) {
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (follow() == IMA_FOLLOWED) {
            ck_assert_uint_eq(facts.ima.num_entries, 3);
            for (unsigned i = 1; i < 3; i++) {
                const struct fact_ima_entry *entry = &facts.ima.entry[i];
                char path[32];
                (void)snprintf(path, sizeof path, "/usr/bin/tool-%u", i);
                if (entry->readable) {
                    ck_text(entry->path, path);
                    ck_assert_int_eq(entry->alg, HASH_SHA256);
                }
            }
            quote(sha256, 1, true);
        }
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(copy);
}
END_TEST

START_TEST(padded_sha1_digests_are_followed_and_told) {
    bool given = _i % 2 == 1;
    made.padded = (unsigned)_i / 2 << 1; /* none, SHA-256, SHA-384, both */
    boot(5);
    quote(three, 3, given);
    ck_assert_int_eq(follow(), IMA_FOLLOWED);
    ck_assert_int_eq(facts.ima.sha1_only, (made.padded & 6) == 6);
    ck_assert_int_eq(facts.ima.end.bank[1].padded, (made.padded & 2) != 0);
    ck_assert_int_eq(facts.ima.end.bank[2].padded, (made.padded & 4) != 0);
}
END_TEST

START_TEST(padded_digests_are_of_the_data_and_not_what_the_log_says) {
    made.padded = 2;
    boot(2);
    quote(sha256, 1, true);
    memset(made.data + made.len - 1, 'X', 1); /* the last name's zero */
    ck_assert_int_eq(follow(), IMA_ASTRAY);
}
END_TEST

START_TEST(banks_that_disagree_are_astray) {
    boot(5);
    quote(three, 3, true);
    add_files(1);
    memcpy(facts.bank[1].pcr[10].value, ima_pcr(&made, HASH_SHA256), 32);
    memcpy(quoted[1], ima_pcr(&made, HASH_SHA256), 32);
    what.log = ima_bytes(&made);
    ck_assert_int_eq(follow(), IMA_ASTRAY);
}
END_TEST

START_TEST(log_of_another_pcr_is_told) {
    ima_add(&made, 12, "ima-ng", bytes_of("elsewhere", 9), false);
    what.log = ima_bytes(&made);
    quote(sha256, 1, true);
    memset(quoted[0], 1, 32);
    ck_assert_int_eq(follow(), IMA_OTHER_PCR);
}
END_TEST

START_TEST(value_that_nothing_extended_confirms_nothing) {
    quote(sha256, 1, true); /* zeros */
    boot(3);
    ck_assert_int_eq(follow(), IMA_ASTRAY);
}
END_TEST

START_TEST(boot_aggregate_is_held_against_the_quoted_values) {
    boot(1);
    quote(sha256, 1, true);
    facts.bank[0].pcr[_i].value[3] ^= 1;
    ck_assert_int_eq(follow(), IMA_FOLLOWED);
    ck_assert_int_eq(facts.ima.boot_aggregate, FACT_NO);
    facts.ima = (struct fact_ima){0};
    facts.bank[0].pcr[_i].quoted = false;
    ck_assert_int_eq(follow(), IMA_FOLLOWED);
    ck_assert_int_eq(facts.ima.boot_aggregate, FACT_UNKNOWN);
}
END_TEST

START_TEST(boot_aggregate_of_older_kernels_leaves_out_8_and_9) {
    uint8_t older[32];
    digest_compute(HASH_SHA256, bytes_of(aggregate_pcr, 8 * 32), older);
    ima_file(&made, "boot_aggregate", older, bytes_of(NULL, 0));
    what.log = ima_bytes(&made);
    quote(sha256, 1, true);
    ck_assert_int_eq(follow(), IMA_FOLLOWED);
    ck_assert_int_eq(facts.ima.boot_aggregate, FACT_YES);
}
END_TEST

START_TEST(log_that_does_not_begin_with_its_aggregate_has_none) {
    add_files(1);
    ima_aggregate(&made, (const uint8_t(*)[32])aggregate_pcr);
    what.log = ima_bytes(&made);
    quote(sha256, 1, true);
    ck_assert_int_eq(follow(), IMA_FOLLOWED);
    ck_assert_int_eq(facts.ima.boot_aggregate, FACT_NO);
}
END_TEST

/* --- going on from what was confirmed ------------------------------------------------------------ */

static size_t first_part(unsigned files) {
    boot(files);
    quote(three, 3, true);
    ck_assert_int_eq(follow(), IMA_FOLLOWED);
    kept = facts.ima.end;
    what.kept = &kept;
    what.from = kept.num_entries;
    return made.len;
}

static void second_part(size_t at, unsigned files, bool given) {
    add_files(files);
    what.log = bytes_of(made.data + at, made.len - at);
    quote(three, 3, given);
}

START_TEST(only_new_entries_need_to_be_sent) {
    made.padded = (unsigned)_i / 2 << 1;
    second_part(first_part(20), 5, _i % 2 == 1);
    ck_assert_int_eq(follow(), IMA_FOLLOWED);
    ck_assert_uint_eq(facts.ima.first, 21);
    ck_assert_uint_eq(facts.ima.num_entries, 5);
    ck_assert_uint_eq(facts.ima.num_confirmed, 26);
    ck_assert_uint_eq(facts.ima.entry[0].index, 21);
    ck_text(facts.ima.entry[0].path, "/usr/bin/tool-21");
    ck_assert_int_eq(facts.ima.boot_aggregate, FACT_YES);
    ck_assert_uint_eq(facts.ima.end.num_entries, 26);
}
END_TEST

START_TEST(nothing_new_is_a_log_too) {
    second_part(first_part(20), 0, _i % 2 == 1);
    ck_assert_int_eq(follow(), IMA_FOLLOWED);
    ck_assert_uint_eq(facts.ima.num_entries, 0);
    ck_assert_uint_eq(facts.ima.num_confirmed, 21);
}
END_TEST

START_TEST(boot_aggregate_is_judged_again_with_each_quote) {
    second_part(first_part(20), 1, _i % 2 == 1);
    facts.bank[1].pcr[4].value[0] ^= 1;
    ck_assert_int_eq(follow(), IMA_FOLLOWED);
    ck_assert_int_eq(facts.ima.boot_aggregate, FACT_NO);
}
END_TEST

START_TEST(what_is_kept_counts_for_its_own_boot_and_place_alone) {
    second_part(first_part(20), 5, _i % 2 == 1);
    struct fact_ima_position good = kept;
    static const int bends = 7;
    for (int i = 0; i < bends; i++) {
        kept = good;
        what.kept = &kept;
        what.from = good.num_entries;
        if (i == 0) {
            kept.reset_count++;
        } else if (i == 1) {
            kept.restart_count--;
        } else if (i == 2) {
            what.from++;
        } else if (i == 3) {
            kept.bank[2].value[0] ^= 1;
        } else if (i == 4) {
            kept.num_banks = 2;
        } else if (i == 5) {
            kept.bank[1].padded = !kept.bank[1].padded;
        } else {
            what.kept = NULL;
        }
        quote(three, 3, _i % 2 == 1);
        ck_assert_int_eq(follow(), IMA_START_WANTED);
    }
}
END_TEST

START_TEST(whole_log_sent_as_what_is_new_wants_the_start) {
    size_t at = first_part(20);
    second_part(at, 5, _i % 2 == 1);
    what.log = ima_bytes(&made);
    ck_assert_int_eq(follow(), IMA_START_WANTED);
}
END_TEST

START_TEST(a_log_from_the_start_needs_nothing_kept) {
    (void)first_part(20);
    add_files(3);
    what.log = ima_bytes(&made);
    what.from = 0;
    kept.bank[0].value[0] ^= 1;
    quote(three, 3, true);
    ck_assert_int_eq(follow(), IMA_FOLLOWED);
    ck_assert_uint_eq(facts.ima.num_entries, 24);
}
END_TEST

START_TEST(kept_entries_are_facts_again) {
    boot(3);
    quote(sha256, 1, true);
    ck_assert_int_eq(follow(), IMA_FOLLOWED);
    struct ima_kept_entry entry[4];
    struct fact_ima again;
    for (unsigned i = 0; i < 4; i++) {
        entry[i] =
            (struct ima_kept_entry){facts.ima.entry[i].violation, facts.ima.entry[i].template_name,
                                    facts.ima.entry[i].data};
    }
    ck_assert_int_eq(ima_restore(&again, &arena, &facts, &facts.ima.end, entry, 4), STATUS_OK);
    ck_assert(again.known);
    ck_assert_uint_eq(again.num_entries, 4);
    ck_assert_uint_eq(again.entry[2].index, FACT_NO_EVENT);
    ck_assert(bytes_equal(again.entry[2].path, facts.ima.entry[2].path));
    ck_assert_int_eq(again.boot_aggregate, FACT_YES);
    facts.bank[0].pcr[1].value[0] ^= 1;
    ck_assert_int_eq(ima_restore(&again, &arena, &facts, &facts.ima.end, entry, 4), STATUS_OK);
    ck_assert_int_eq(again.boot_aggregate, FACT_NO);
}
END_TEST

/* --- limits ------------------------------------------------------------------------------------- */

START_TEST(hostile_logs_are_given_up_early) {
    static const enum hash_alg many[] = {HASH_SHA256, HASH_SHA384, HASH_SHA512};
    for (unsigned i = 0; i < IMA_MAX_ENTRIES; i++) {
        ima_add(&made, 10, "n", bytes_of(&i, sizeof i), false);
    }
    what.log = ima_bytes(&made);
    quote(many, 3, false);
    memset(quoted, 1, sizeof quoted);
    ck_assert_int_eq(follow(), IMA_TOO_LONG);
    ck_assert_uint_le(trials, IMA_MAX_TRIALS);
    ima_add(&made, 10, "n", bytes_of("x", 1), false);
    what.log = ima_bytes(&made);
    quote(sha256, 1, true);
    ck_assert_int_eq(follow(), IMA_TOO_LONG);
    static uint8_t large[IMA_MAX_BYTES + 1];
    what.log = bytes_of(large, sizeof large);
    ck_assert_int_eq(follow(), IMA_TOO_LONG);
}
END_TEST

/* --- data of real machines ---------------------------------------------------------------------- */

static struct bytes real_log(const char *name) {
    struct bytes log = real_file(&arena, "ima/%s", name);
    ck_assert_uint_gt(log.len, 0);
    return log;
}

START_TEST(real_logs_of_each_digest_size_lead_to_what_the_tpm_held) {
    static const enum hash_alg all[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512};
    static const char *const names[] = {"ibmtss-sha1.log", "ibmtss-sha256.log",
                                        "ibmtss-sha384.log"};
    struct bytes text = real_file(&arena, "ima/ibmtss-imakvtpcr10.txt");
    if (text.len == 0) {
        return;
    }
    const char *at = arena_text_n(&arena, (const char *)text.data, text.len);
    quote(all, 4, true);
    for (size_t b = 0; b < 4; b++) {
        at = strstr(at, "PCR 10:") + 7;
        for (size_t i = 0; i < digest_len(all[b]); i++) {
            char *next;
            quoted[b][i] = (uint8_t)strtoul(at, &next, 16);
            at = next;
        }
        memcpy(facts.bank[b].pcr[10].value, quoted[b], DIGEST_MAX);
    }
    what.log = real_log(names[_i]);
    ck_assert_int_eq(follow(), IMA_FOLLOWED);
    ck_assert_uint_eq(facts.ima.num_entries, 362);
    for (size_t i = 0; i < facts.ima.num_entries; i++) {
        ck_assert(facts.ima.entry[i].readable);
    }
}
END_TEST

START_TEST(real_entries_of_each_template_are_read) {
    if (real_data() == NULL) {
        return;
    }
    struct ima_log log = ima_log_open(real_log("ibmtss-imatest.log"));
    struct ima_entry entry;
    unsigned readable = 0, num = 0;
    while (ima_log_next(&log, &entry, &detail) == STATUS_OK) {
        struct fact_ima_entry fact = {0};
        ck_assert(ima_entry_is_consistent(&entry));
        if (!ima_entry_is_violation(&entry)) {
            ima_decode(&fact, entry.template_name, entry.data);
            ck_assert_msg(fact.readable, "entry %u", entry.index);
            readable++;
        }
        num++;
    }
    ck_assert_uint_eq(num, 17);
    ck_assert_uint_eq(readable, 16);
}
END_TEST

START_TEST(real_log_with_a_wrong_template_digest_is_told) {
    if (real_data() == NULL) {
        return;
    }
    struct ima_log log = ima_log_open(real_log("acs-imasig.log"));
    struct ima_entry entry;
    unsigned num = 0;
    for (; ima_log_next(&log, &entry, &detail) == STATUS_OK; num++) {
        ck_assert_int_eq(ima_entry_is_consistent(&entry), entry.index != 1079);
    }
    ck_assert_uint_eq(num, 1083);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("evidence: ima");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, start, end);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, each_template_names_file_and_digest, 0,
                        (int)(sizeof usual / sizeof *usual));
    tcase_add_test(tests, a_part_of_the_data_is_none);
    tcase_add_test(tests, no_flipped_bit_reads_past_the_data);
    tcase_add_test(tests, first_template_has_a_digest_and_a_name);
    tcase_add_test(tests, digests_of_unknown_algorithms_are_named_and_not_taken);
    tcase_add_loop_test(tests, fields_that_are_not_what_they_should_be_are_not_read, 0,
                        (int)(sizeof bent / sizeof *bent));
    tcase_add_test(tests, names_that_are_no_template_are_not_read);
    tcase_add_test(tests, renamed_template_never_reads_as_another_file_or_digest);
    tcase_add_test(tests, usual_data_never_read_as_the_first_template);
    tcase_add_loop_test(tests, log_with_any_size_of_template_digest_is_walked, 0, 4);
    tcase_add_test(tests, template_digest_that_does_not_cover_the_data_is_told);
    tcase_add_test(tests, each_start_of_a_log_is_walked_within_its_bounds);
    tcase_add_loop_test(tests, log_leads_to_the_quoted_value, 0, 4);
    tcase_add_loop_test(tests, only_the_start_that_is_quoted_is_confirmed, 0, 2);
    tcase_add_loop_test(tests, what_stands_behind_the_quote_may_be_anything, 0, 8);
    tcase_add_loop_test(tests, no_entry_may_be_dropped_changed_swapped_or_put_in, 0, 2);
    tcase_add_test(tests, no_flipped_bit_changes_what_is_confirmed);
    tcase_add_loop_test(tests, padded_sha1_digests_are_followed_and_told, 0, 8);
    tcase_add_test(tests, padded_digests_are_of_the_data_and_not_what_the_log_says);
    tcase_add_test(tests, banks_that_disagree_are_astray);
    tcase_add_test(tests, log_of_another_pcr_is_told);
    tcase_add_test(tests, value_that_nothing_extended_confirms_nothing);
    tcase_add_loop_test(tests, boot_aggregate_is_held_against_the_quoted_values, 0, 8);
    tcase_add_test(tests, boot_aggregate_of_older_kernels_leaves_out_8_and_9);
    tcase_add_test(tests, log_that_does_not_begin_with_its_aggregate_has_none);
    tcase_add_loop_test(tests, only_new_entries_need_to_be_sent, 0, 8);
    tcase_add_loop_test(tests, nothing_new_is_a_log_too, 0, 2);
    tcase_add_test(tests, boot_aggregate_is_judged_again_with_each_quote);
    tcase_add_loop_test(tests, what_is_kept_counts_for_its_own_boot_and_place_alone, 0, 2);
    tcase_add_loop_test(tests, whole_log_sent_as_what_is_new_wants_the_start, 0, 2);
    tcase_add_test(tests, a_log_from_the_start_needs_nothing_kept);
    tcase_add_test(tests, kept_entries_are_facts_again);
    tcase_add_test(tests, hostile_logs_are_given_up_early);
    tcase_add_loop_test(tests, real_logs_of_each_digest_size_lead_to_what_the_tpm_held, 0, 3);
    tcase_add_test(tests, real_entries_of_each_template_are_read);
    tcase_add_test(tests, real_log_with_a_wrong_template_digest_is_told);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
