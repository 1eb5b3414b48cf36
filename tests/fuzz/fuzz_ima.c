/* IMA logs: whatever is read stays within its bounds; what the log leads to is confirmed entry by entry,
 * goes on from any entry, and what is kept of an entry is that entry again.
 * Input: a byte of flags (1: the kernel pads SHA-1, 2: values are not given), one that says after how
 * many entries the log is cut in two; then the log. */
#include "server/evidence/ima/decode.h"
#include "server/evidence/ima/kept.h"
#include "server/evidence/ima/signature.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;
static uint8_t quoted[DIGEST_MAX];

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

static void touch(struct bytes in) {
    for (size_t i = 0; i < in.len; i++) {
        sink = (uint8_t)(sink ^ in.data[i]);
    }
}

static bool meets(const struct facts *facts, const void *context) {
    (void)context;
    return memcmp(facts->bank[0].pcr[IMA_PCR].value, quoted, 32) == 0;
}

/* What PCR 10 holds after `num` entries; returns how many there are, and where the last of them ends. */
static uint32_t extend(struct bytes raw, enum ima_extend how, uint32_t num, size_t *at) {
    struct ima_log log = ima_log_open(raw);
    struct ima_entry entry;
    uint8_t digest[DIGEST_MAX];
    memset(quoted, 0, sizeof quoted);
    while (log.next_index < num && ima_log_next(&log, &entry, NULL) == STATUS_OK) {
        if (entry.pcr == IMA_PCR) {
            ima_entry_digest(&entry, HASH_SHA256, how, digest);
            digest_compute2(HASH_SHA256, bytes_of(quoted, 32), bytes_of(digest, 32), quoted);
        }
    }
    *at = raw.len - log.rest.len;
    return log.next_index;
}

static void check_entry(struct arena *arena, const struct fact_ima_entry *entry) {
    struct ima_kept_entry kept;
    struct ima_signature signature;
    struct fact_ima_entry again = {.index = entry->index, .violation = entry->violation};
    touch(entry->path);
    touch(entry->digest);
    touch(entry->alg_name);
    touch(entry->data);
    if (ima_signature_read(&signature, entry->signature) == STATUS_OK) {
        touch(signature.raw);
    }
    hold(entry->readable || (entry->path.len == 0 && entry->digest.len == 0 && entry->alg == 0));
    hold(entry->alg == HASH_NONE || entry->digest.len == digest_len(entry->alg));
    struct bytes packed = ima_entry_pack(arena, entry);
    hold(ima_entry_unpack(&kept, packed) == STATUS_OK && kept.violation == entry->violation);
    ima_decode(&again, kept.template_name, kept.data);
    hold(again.readable == entry->readable && bytes_equal(again.path, entry->path) &&
         bytes_equal(again.digest, entry->digest));
}

static enum ima_outcome follow(struct facts *facts, struct arena *arena,
                               const struct ima_following *what) {
    enum ima_outcome outcome = IMA_ASTRAY;
    struct detail detail = {0};
    hold(ima_follow(facts, &outcome, arena, what, &detail) == STATUS_OK);
    hold((outcome == IMA_FOLLOWED) == facts->ima.known);
    return outcome;
}

static struct facts quote(bool given) {
    struct facts facts = {.num_banks = 1, .bank = {{.alg = HASH_SHA256}}};
    facts.bank[0].pcr[IMA_PCR].quoted = true;
    if (given) {
        memcpy(facts.bank[0].pcr[IMA_PCR].value, quoted, 32);
    }
    return facts;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    size_t at, end;
    if (size < 2 || size > 65536) {
        return 0;
    }
    enum ima_extend how = (data[0] & 1) != 0 ? IMA_PADDED : IMA_HASHED;
    bool given = (data[0] & 2) == 0;
    struct bytes raw = bytes_of(data + 2, size - 2);
    arena_init(&arena, (size_t)64 << 20);
    uint32_t first = extend(raw, how, data[1], &at);
    struct ima_following what = {.log = raw, .given = given ? 1 : 0, .meets = meets};
    struct facts facts = quote(given);
    if (first == data[1] && !bytes_all(bytes_of(quoted, 32), 0) &&
        follow(&facts, &arena, &what) == IMA_FOLLOWED) {
        hold(facts.ima.num_confirmed <= first && facts.ima.num_entries <= first);
        for (size_t i = 0; i < facts.ima.num_entries; i++) {
            check_entry(&arena, &facts.ima.entry[i]);
        }
        struct fact_ima_position kept = facts.ima.end, again;
        uint8_t position[IMA_POSITION_MAX];
        struct writer w = writer_of(position, sizeof position);
        ima_position_write(&w, &kept);
        hold(!w.overflow && ima_position_read(&again, writer_bytes(&w)) == STATUS_OK);
        /* The rest, from where that ended. */
        (void)extend(raw, how, UINT32_MAX, &end);
        what.kept = &again;
        what.from = again.num_entries;
        what.log = bytes_of(raw.data + again.num_bytes, raw.len - again.num_bytes);
        struct facts later = quote(given);
        enum ima_outcome outcome = follow(&later, &arena, &what);
        hold(outcome == IMA_FOLLOWED || outcome == IMA_START_WANTED);
        if (outcome == IMA_FOLLOWED) {
            hold(later.ima.first == again.num_entries && later.ima.end.num_bytes <= raw.len);
        }
    }
    struct fact_ima_position any;
    if (ima_position_read(&any, raw) == STATUS_OK) {
        hold(any.num_banks <= PCR_MAX_BANKS);
    }
    arena_free(&arena);
    return 0;
}
