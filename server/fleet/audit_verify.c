#include "server/fleet/audit_verify.h"

#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/credential/checkpoint.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { HEX_LEN = 2 * AUDIT_HASH_LEN, TIME_MS_LEN = 24, TIME_LEN = RFC3339_SIZE - 1 };
enum { SEQ_DIGITS = 18, TRUST_DOMAIN_MAX = 253, CHECKPOINT_ARENA = 16384 };

/* How every entry ends. */
#define END_PREVIOUS ",\"previous\":\""
#define END_HASH     "\",\"hash\":\""
#define END_LINE     "\"}"
enum {
    END_HASH_LEN = sizeof END_HASH - 1 + HEX_LEN + sizeof END_LINE - 1, /* not in the hash */
    END_LEN = sizeof END_PREVIOUS - 1 + HEX_LEN + END_HASH_LEN
};

const char *audit_fault_name(enum audit_fault fault) {
    static const char *const names[NUM_AUDIT_FAULTS] = {
        [AUDIT_WHOLE] = "none",
        [AUDIT_MALFORMED] = "malformed",
        [AUDIT_TRUNCATED] = "truncated",
        [AUDIT_HASH] = "hash_differs",
        [AUDIT_PREVIOUS] = "previous_differs",
        [AUDIT_GAP] = "gap",
        [AUDIT_REPEATED] = "repeated",
        [AUDIT_CHECKPOINT] = "checkpoint_differs",
        [AUDIT_SIGNATURE] = "checkpoint_signature",
        [AUDIT_EMPTY] = "empty",
        [AUDIT_ENDS_EARLY] = "ends_early",
        [AUDIT_NOT_AS_EXPECTED] = "not_as_expected",
    };
    return (unsigned)fault < NUM_AUDIT_FAULTS ? names[fault] : "unknown";
}

const char *audit_beginning_name(enum audit_beginning beginning) {
    return beginning == AUDIT_FROM_FIRST        ? "first_entry"
           : beginning == AUDIT_FROM_CHECKPOINT ? "checkpoint"
                                                : "on_trust";
}

void audit_verifier_init(struct audit_verifier *v, const struct audit_expectation *expected) {
    *v = (struct audit_verifier){.expected = *expected};
}

enum status audit_verifier_break(struct audit_verifier *v, enum audit_fault fault, int64_t seq,
                                 const char *format, ...) {
    va_list arguments;
    v->fault = fault;
    v->fault_seq = seq;
    v->fault_line = v->line;
    va_start(arguments, format);
    (void)vsnprintf(v->fault_detail.text, sizeof v->fault_detail.text, format, arguments);
    va_end(arguments);
    return STATUS_INVALID;
}

/* The entry that this line should be. */
static int64_t due(const struct audit_verifier *v) {
    return v->next_seq == 0 ? 1 : v->next_seq;
}

/* --- reading -------------------------------------------------------------------------------- */

static bool take_literal(struct bytes *in, const char *literal, size_t len) {
    struct bytes found;
    return bytes_take(in, len, &found) == STATUS_OK && memcmp(found.data, literal, len) == 0;
}
#define TAKE(in, literal) take_literal((in), (literal), sizeof(literal) - 1)

/* A number from 1 on, as it is written canonically; what is longer is followed by no comma. */
static bool take_seq(struct bytes *in, int64_t *out) {
    int64_t value = 0;
    size_t digits = 0;
    while (digits < in->len && digits < SEQ_DIGITS && in->data[digits] >= '0' &&
           in->data[digits] <= '9') {
        value = value * 10 + (in->data[digits++] - '0');
        if (value == 0) {
            return false;
        }
    }
    struct bytes number;
    *out = value;
    return digits > 0 && bytes_take(in, digits, &number) == STATUS_OK;
}

static bool is_hex(struct bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return true;
}

struct entry_line {
    int64_t seq;
    struct bytes time;           /* TIME_MS_LEN */
    struct bytes previous, hash; /* HEX_LEN */
    struct bytes hashed;         /* what is hashed, without its last END_LINE */
};

static bool read_entry(struct entry_line *e, struct bytes line) {
    struct bytes rest = line, end, quote;
    if (!TAKE(&rest, "{\"seq\":") || !take_seq(&rest, &e->seq) || !TAKE(&rest, ",\"time\":\"") ||
        bytes_take(&rest, TIME_MS_LEN, &e->time) != STATUS_OK || !TAKE(&rest, "\",\"actor\":\"") ||
        rest.len < END_LEN || bytes_take(&rest, rest.len - END_LEN, &quote) != STATUS_OK) {
        return false;
    }
    end = rest;
    if (!TAKE(&end, END_PREVIOUS) || bytes_take(&end, HEX_LEN, &e->previous) != STATUS_OK ||
        !TAKE(&end, END_HASH) || bytes_take(&end, HEX_LEN, &e->hash) != STATUS_OK ||
        !TAKE(&end, END_LINE) || end.len != 0) {
        return false;
    }
    e->hashed = bytes_of(line.data, line.len - END_HASH_LEN);
    return true;
}

/* --- entries -------------------------------------------------------------------------------- */

static enum status begin_at(struct audit_verifier *v, const struct entry_line *e) {
    static const uint8_t zeros[AUDIT_HASH_LEN];
    if (e->seq == 1) {
        hex_encode(v->tip, bytes_of(zeros, sizeof zeros));
    } else {
        v->summary.beginning = AUDIT_ON_TRUST;
        memcpy(v->tip, e->previous.data, HEX_LEN);
    }
    v->next_seq = e->seq;
    return STATUS_OK;
}

static enum status check_place(struct audit_verifier *v, const struct entry_line *e) {
    if (v->next_seq == 0) {
        return is_hex(e->previous) ? begin_at(v, e)
                                   : audit_verifier_break(v, AUDIT_MALFORMED, due(v),
                                                          "the previous hash is not hex");
    }
    if (e->seq < v->next_seq) {
        return audit_verifier_break(v, AUDIT_REPEATED, v->next_seq,
                                    "entry %" PRId64 " is due, and %" PRId64 " is there again",
                                    v->next_seq, e->seq);
    }
    if (e->seq > v->next_seq) {
        return audit_verifier_break(v, AUDIT_GAP, v->next_seq,
                                    "entry %" PRId64 " is missing: %" PRId64 " follows",
                                    v->next_seq, e->seq);
    }
    return STATUS_OK;
}

static enum status check_expected_hash(struct audit_verifier *v) {
    const struct audit_expectation *x = &v->expected;
    if (x->hash != NULL && x->seq == v->summary.last_seq &&
        strcmp(x->hash, v->summary.last_hash) != 0) {
        return audit_verifier_break(v, AUDIT_NOT_AS_EXPECTED, x->seq,
                                    "its hash is %s, and %s is expected", v->summary.last_hash,
                                    x->hash);
    }
    return STATUS_OK;
}

static enum status take_entry(struct audit_verifier *v, const struct entry_line *e) {
    uint8_t digest[AUDIT_HASH_LEN];
    char hash[HEX_LEN + 1];
    digest_compute2(HASH_SHA256, e->hashed, bytes_of_text(END_LINE), digest);
    hex_encode(hash, bytes_of(digest, sizeof digest));
    if (memcmp(hash, e->hash.data, HEX_LEN) != 0) {
        return audit_verifier_break(v, AUDIT_HASH, due(v),
                                    "the line, of entry %" PRId64
                                    ", was edited: it hashes to %s, and says %.*s",
                                    e->seq, hash, (int)HEX_LEN, (const char *)e->hash.data);
    }
    enum status status = check_place(v, e);
    if (status != STATUS_OK) {
        return status;
    }
    if (memcmp(e->previous.data, v->tip, HEX_LEN) != 0) {
        return audit_verifier_break(v, AUDIT_PREVIOUS, e->seq,
                                    "it does not follow the entry before, whose hash is %s",
                                    v->tip);
    }
    memcpy(v->tip, hash, sizeof v->tip);
    memcpy(v->summary.last_hash, hash, sizeof v->summary.last_hash);
    memcpy(v->summary.last_time, e->time.data, TIME_MS_LEN);
    if (v->summary.entries++ == 0) {
        v->summary.first_seq = e->seq;
        memcpy(v->summary.first_time, e->time.data, TIME_MS_LEN);
    }
    v->summary.last_seq = e->seq;
    v->next_seq = e->seq + 1;
    return check_expected_hash(v);
}

/* --- checkpoints ---------------------------------------------------------------------------- */

struct checkpoint_line {
    struct checkpoint checkpoint;
    char hash[HEX_LEN + 1];
    uint8_t authority[32];
    struct bytes signature;
};

/* `len` bytes, terminated, in the arena. */
static bool take_text(struct bytes *in, struct arena *arena, size_t len, char **out) {
    struct bytes text;
    if (bytes_take(in, len, &text) != STATUS_OK) {
        return false;
    }
    *out = arena_text_n(arena, (const char *)text.data, text.len);
    return *out != NULL && strlen(*out) == text.len;
}

static size_t until_quote(struct bytes in, size_t max) {
    size_t len = 0;
    while (len < in.len && len < max && in.data[len] != '"') {
        len++;
    }
    return len;
}

static bool read_domain(struct bytes *in, struct arena *arena, const char **out) {
    char *domain;
    if (!take_text(in, arena, until_quote(*in, TRUST_DOMAIN_MAX), &domain)) {
        return false;
    }
    for (const char *c = domain; *c != '\0'; c++) {
        if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '.' || *c == '-' ||
              *c == '_')) {
            return false;
        }
    }
    *out = domain;
    return domain[0] != '\0';
}

static bool read_checkpoint(struct checkpoint_line *c, struct arena *arena, struct bytes line) {
    struct bytes in = line;
    char *hash, *time, *authority, *signature;
    if (!TAKE(&in, "{\"checkpoint\":") || !take_seq(&in, &c->checkpoint.seq) ||
        !TAKE(&in, ",\"hash\":\"") || !take_text(&in, arena, HEX_LEN, &hash) ||
        !TAKE(&in, "\",\"time\":\"") || !take_text(&in, arena, TIME_LEN, &time) ||
        !TAKE(&in, "\",\"trust_domain\":\"") ||
        !read_domain(&in, arena, &c->checkpoint.trust_domain) ||
        !TAKE(&in, "\",\"authority\":\"") || !take_text(&in, arena, HEX_LEN, &authority) ||
        !TAKE(&in, "\",\"signature\":\"") ||
        !take_text(&in, arena, until_quote(in, in.len), &signature) || !TAKE(&in, END_LINE) ||
        in.len != 0) {
        return false;
    }
    memcpy(c->hash, hash, sizeof c->hash);
    return hex_decode(c->checkpoint.hash, sizeof c->checkpoint.hash, hash) == STATUS_OK &&
           rfc3339_parse(&c->checkpoint.time, time) == STATUS_OK &&
           hex_decode(c->authority, sizeof c->authority, authority) == STATUS_OK &&
           base64_decode_arena(arena, &c->signature, signature, strlen(signature), NULL) ==
               STATUS_OK;
}

static const struct audit_authority *find_authority(const struct audit_verifier *v,
                                                    const uint8_t sha256[static 32]) {
    for (size_t i = 0; i < v->expected.num_authorities; i++) {
        if (memcmp(v->expected.authority[i].sha256, sha256, 32) == 0) {
            return &v->expected.authority[i];
        }
    }
    return NULL;
}

static enum status check_signature(struct audit_verifier *v, const struct checkpoint_line *c) {
    int64_t seq = c->checkpoint.seq;
    struct detail detail = {0};
    if (v->expected.trust_domain != NULL &&
        strcmp(v->expected.trust_domain, c->checkpoint.trust_domain) != 0) {
        return audit_verifier_break(v, AUDIT_SIGNATURE, seq, "its checkpoint is of %s",
                                    c->checkpoint.trust_domain);
    }
    if (v->expected.num_authorities == 0) {
        return STATUS_OK;
    }
    const struct audit_authority *authority = find_authority(v, c->authority);
    if (authority == NULL) {
        return audit_verifier_break(v, AUDIT_SIGNATURE, seq,
                                    "its checkpoint is of an authority that was not given");
    }
    if (checkpoint_verify(&c->checkpoint, &authority->key, c->signature, &detail) != STATUS_OK) {
        return audit_verifier_break(v, AUDIT_SIGNATURE, seq,
                                    "its checkpoint was not signed so by the authority");
    }
    v->summary.checkpoints_verified++;
    return STATUS_OK;
}

static enum status take_checkpoint(struct audit_verifier *v, const struct checkpoint_line *c) {
    int64_t seq = c->checkpoint.seq;
    bool first = v->next_seq == 0;
    if (!first && (seq != v->next_seq - 1 || strcmp(c->hash, v->tip) != 0)) {
        return audit_verifier_break(v, AUDIT_CHECKPOINT, v->next_seq - 1,
                                    "a checkpoint says that entry %" PRId64 " has hash %s", seq,
                                    c->hash);
    }
    if (!first && seq == v->summary.last_checkpoint_seq) {
        return audit_verifier_break(v, AUDIT_CHECKPOINT, seq, "its checkpoint is there twice");
    }
    enum status status = check_signature(v, c);
    if (status != STATUS_OK) {
        return status;
    }
    if (first) { /* what came before was pruned */
        v->summary.beginning =
            v->expected.num_authorities > 0 ? AUDIT_FROM_CHECKPOINT : AUDIT_ON_TRUST;
        memcpy(v->tip, c->hash, sizeof v->tip);
        v->next_seq = seq + 1;
    }
    v->summary.checkpoints++;
    v->summary.last_checkpoint_seq = seq;
    return STATUS_OK;
}

/* --- lines ---------------------------------------------------------------------------------- */

static enum status checkpoint_of_line(struct audit_verifier *v, struct bytes line) {
    struct arena arena;
    struct checkpoint_line c = {0};
    arena_init(&arena, CHECKPOINT_ARENA);
    bool read = read_checkpoint(&c, &arena, line);
    enum status status =
        read ? take_checkpoint(v, &c)
             : audit_verifier_break(v, AUDIT_MALFORMED, due(v), "the line is no checkpoint");
    arena_free(&arena);
    return status;
}

enum status audit_verifier_line(struct audit_verifier *v, struct bytes line, bool ended) {
    struct entry_line e;
    struct bytes start = line;
    if (v->fault != AUDIT_WHOLE) {
        return STATUS_INVALID;
    }
    v->line++;
    if (!ended) {
        return audit_verifier_break(v, AUDIT_TRUNCATED, due(v), "the last line has no end");
    }
    if (read_entry(&e, line)) {
        return take_entry(v, &e);
    }
    if (TAKE(&start, "{\"checkpoint\":")) {
        return checkpoint_of_line(v, line);
    }
    return audit_verifier_break(v, AUDIT_MALFORMED, due(v), "the line is no entry");
}

enum status audit_verifier_end(struct audit_verifier *v) {
    const struct audit_expectation *x = &v->expected;
    if (v->fault != AUDIT_WHOLE) {
        return STATUS_INVALID;
    }
    if (v->summary.entries == 0) {
        return audit_verifier_break(v, AUDIT_EMPTY, due(v), "there is no entry");
    }
    if (v->summary.last_seq < x->seq) {
        return audit_verifier_break(v, AUDIT_ENDS_EARLY, v->summary.last_seq + 1,
                                    "it ends with entry %" PRId64 ", and %" PRId64 " is expected",
                                    v->summary.last_seq, x->seq);
    }
    if (x->hash != NULL && x->seq == 0 && strcmp(x->hash, v->summary.last_hash) != 0) {
        return audit_verifier_break(v, AUDIT_NOT_AS_EXPECTED, v->summary.last_seq,
                                    "the last hash is %s, and %s is expected", v->summary.last_hash,
                                    x->hash);
    }
    if (x->seq > 0 && x->hash != NULL && x->seq < v->summary.first_seq) {
        return audit_verifier_break(v, AUDIT_NOT_AS_EXPECTED, x->seq,
                                    "it begins with entry %" PRId64, v->summary.first_seq);
    }
    return STATUS_OK;
}
