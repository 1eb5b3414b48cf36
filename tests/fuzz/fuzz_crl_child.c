/* Whatever the gateway asks the signer's child to put on a list: a signature is given for nothing but the list
 * of the entries that were taken, in order, under a number that goes up. Frames, each u16 length and body;
 * times and numbers are counted from now, and an id that begins with zero is the authority's. */
#include "server/base/clock.h"
#include "server/credential/crl.h"
#include "server/credential/signer_crl_wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_MAX = 4096, LIST_MAX = 1 << 18, BEGIN_LEN = 1 + 8 + 8 + 8 + 8 + 4 + 4 };
enum { ENTRIES_HEAD = 1 + 8 + 2, ENTRY_LEN = PROFILE_SERIAL_LEN + 8 + 1 };

static struct child child;
static struct certificate authority;
static struct { /* what was taken of the list that is being signed */
    struct crl_shape shape;
    struct crl_entry entry[LIST_MAX / 32];
    size_t num;
} taken;
static uint64_t last_number;

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

static void make_authority(void) {
    struct authority *a = &child.authority[0];
    struct public_key key;
    uint8_t spki[KEY_SPKI_MAX], sha256[32];
    struct writer w = writer_of(spki, sizeof spki), der = writer_of(a->der, sizeof a->der);
    require(private_key_generate(&a->key, KEY_EC_P256) == STATUS_OK);
    private_key_public(a->key, &key);
    require(public_key_to_spki(&w, &key) == STATUS_OK);
    const struct issuer self = {.key = a->key};
    const struct certificate_request request = {.profile = PROFILE_CA,
                                                .spki = writer_bytes(&w),
                                                .common_name = "fuzz",
                                                .not_before = clock_unix() - 60,
                                                .not_after = clock_unix() + 86400,
                                                .serial = {1}};
    require(profile_issue(&der, &self, &request, NULL) == STATUS_OK);
    a->der_len = der.len;
    a->profile = PROFILE_ACCESS;
    require(public_key_spki_sha256(sha256, &key) == STATUS_OK);
    memcpy(a->id, sha256, sizeof a->id);
    child.num_authorities = 1;
    require(certificate_parse(&authority, bytes_of(a->der, a->der_len), NULL) == STATUS_OK);
}

/* Adds `more` to the u64 at `at`, where it is small: others stay what they are. */
static uint64_t shift(uint8_t *at, uint64_t more) {
    struct bytes in = bytes_of(at, 8);
    struct writer out = writer_of(at, 8);
    uint64_t value = 0;
    require(bytes_u64be(&in, &value) == STATUS_OK);
    value = value < 1U << 20 ? more + value : value;
    write_u64be(&out, value);
    return value;
}

static void shift_begin(uint8_t *body) {
    if (body[1] == 0) {
        memcpy(body + 1, child.authority[0].id, AUTHORITY_RAW_ID);
    }
    uint64_t this_update = shift(body + 9, (uint64_t)clock_unix() - 600);
    uint64_t next_update = shift(body + 17, (uint64_t)clock_unix());
    uint64_t number = shift(body + 25, (uint64_t)clock_unix_ms() - 1000000);
    taken.num = 0;
    taken.shape = (struct crl_shape){
        .issuer = authority.subject_name,
        .key_id = bytes_of(authority.subject_key_id, authority.subject_key_id_len),
        .kind = authority.key.kind,
        .this_update = (int64_t)this_update,
        .next_update = (int64_t)next_update,
        .number = number};
}

static void take_entries(struct bytes body) {
    struct bytes head, serial;
    uint64_t revoked;
    uint8_t reason;
    require(bytes_take(&body, ENTRIES_HEAD, &head) == STATUS_OK);
    while (body.len > 0 && taken.num < sizeof taken.entry / sizeof taken.entry[0]) {
        struct crl_entry *entry = &taken.entry[taken.num++];
        require(bytes_take(&body, sizeof entry->serial, &serial) == STATUS_OK &&
                bytes_u64be(&body, &revoked) == STATUS_OK && bytes_u8(&body, &reason) == STATUS_OK);
        memcpy(entry->serial, serial.data, serial.len);
        entry->revoked = (int64_t)revoked;
        entry->reason = (enum crl_reason)reason;
        require(crl_reason_is_known(reason) && entry->revoked >= 0 &&
                entry->revoked <= clock_unix());
        require(taken.num < 2 ||
                memcmp(taken.entry[taken.num - 2].serial, entry->serial, sizeof entry->serial) < 0);
    }
    taken.shape.entries_len = 0;
    for (size_t i = 0; i < taken.num; i++) {
        taken.shape.entries_len += crl_entry_len(&taken.entry[i]);
    }
}

static void check_signature(struct bytes signature) {
    static uint8_t list[LIST_MAX];
    struct writer w = writer_of(list, sizeof list);
    crl_write_head(&w, &taken.shape);
    for (size_t i = 0; i < taken.num; i++) {
        crl_write_entry(&w, &taken.entry[i]);
    }
    crl_write_tail(&w, &taken.shape);
    require(!w.overflow);
    require(signature_verify_der(&authority.key, HASH_SHA256, signature, writer_bytes(&w), NULL) ==
            STATUS_OK);
    require(taken.shape.number > last_number);
    last_number = taken.shape.number;
}

/* False: it was no frame, and the child would have ended. */
static bool play(struct bytes frame) {
    static uint8_t body[BODY_MAX], answer[BODY_MAX];
    struct writer reply = writer_of(answer, sizeof answer);
    struct bytes in, content;
    enum status answered;
    size_t len = frame.len < sizeof body ? frame.len : sizeof body;
    if (len > 0) {
        memcpy(body, frame.data, len);
    }
    if (len == BEGIN_LEN && body[0] == CRL_BEGIN) {
        shift_begin(body);
    } else if (len >= 9) {
        (void)shift(body + 1, (uint64_t)clock_unix_ms() - 1000000);
        struct bytes number = bytes_of(body + 1, 8);
        uint64_t value = 0;
        require(bytes_u64be(&number, &value) == STATUS_OK);
        if (value + 5000 > taken.shape.number && value < taken.shape.number + 5000) {
            struct writer same = writer_of(body + 1, 8); /* the clock went on since */
            write_u64be(&same, taken.shape.number);
        }
    }
    if (signer_crl_answer(&child, bytes_of(body, len), &reply) != STATUS_OK) {
        return false;
    }
    in = writer_bytes(&reply);
    require(signer_answer_read(&in, &answered, &content) == STATUS_OK && in.len == 0);
    if (answered == STATUS_OK && body[0] == CRL_ENTRIES) {
        take_entries(bytes_of(body, len));
    } else if (answered == STATUS_OK && body[0] == CRL_END) {
        check_signature(content);
    } else {
        require(content.len == 0 || answered != STATUS_OK);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes rest = bytes_of(data, size), frame;
    if (child.num_authorities == 0) {
        make_authority();
    }
    child.now = clock_unix();
    child.authority[0].crl_number = last_number = 0;
    while (bytes_u16be_prefixed(&rest, &frame) == STATUS_OK && play(frame)) {
    }
    return 0;
}
