#include "server/evidence/tpm2/eventlog.h"
#include "server/evidence/tpm2/event_types.h"

#include <string.h>

static const char spec_id_agile[16] = "Spec ID Event03"; /* with its terminator */

/* What did not fit, for the detail. */
struct problem {
    const char *text;
};

static enum status problem(struct problem *out, enum status status, const char *text) {
    out->text = text;
    return status;
}

static bool is_padding(struct bytes rest) {
    return bytes_all(rest, 0x00) || bytes_all(rest, 0xFF);
}

static bool pcr_is_known(uint32_t pcr, uint32_t type) {
    return pcr < PCR_COUNT || (pcr == UINT32_MAX && type == EV_NO_ACTION);
}

/* pcrIndex, eventType: the same in both formats. */
static enum status read_head(struct bytes *in, struct tcg_event *out, struct problem *why) {
    if (bytes_u32le(in, &out->pcr) != STATUS_OK || bytes_u32le(in, &out->type) != STATUS_OK) {
        return problem(why, STATUS_TRUNCATED, "the log ends in PCR index and event type");
    }
    if (!pcr_is_known(out->pcr, out->type)) {
        return problem(why, STATUS_MALFORMED, "there is no such PCR");
    }
    return STATUS_OK;
}

static enum status read_data(struct bytes *in, struct tcg_event *out, struct problem *why) {
    if (bytes_u32le_prefixed(in, &out->data) != STATUS_OK) {
        return problem(why, STATUS_TRUNCATED, "the event data run past the end of the log");
    }
    return STATUS_OK;
}

/* TCG_PCClientPCREvent, 10.2.1: a SHA-1 digest without an algorithm. */
static enum status read_sha1_event(struct bytes *in, struct tcg_event *out, struct problem *why) {
    enum status status = read_head(in, out, why);
    if (status != STATUS_OK) {
        return status;
    }
    if (bytes_take(in, digest_len(HASH_SHA1), &out->digest[0]) != STATUS_OK) {
        return problem(why, STATUS_TRUNCATED, "the log ends in the digest");
    }
    return read_data(in, out, why);
}

static uint32_t find_bank(const struct tcg_eventlog *log, uint16_t alg) {
    for (uint32_t i = 0; i < log->num_banks; i++) {
        if (log->bank[i].alg == alg) {
            return i;
        }
    }
    return TCG_MAX_BANKS;
}

/* TPML_DIGEST_VALUES, 10.2.2. Real firmware lists banks in another order than the Spec ID event,
 * and leaves some out: matched by algorithm; each at most once. */
static enum status read_digests(const struct tcg_eventlog *log, struct bytes *in,
                                struct tcg_event *out, struct problem *why) {
    uint32_t count;
    if (bytes_u32le(in, &count) != STATUS_OK) {
        return problem(why, STATUS_TRUNCATED, "the log ends in the digest count");
    }
    if (count == 0 || count > log->num_banks) {
        return problem(why, STATUS_MALFORMED, "not as many digests as there are banks");
    }
    for (uint32_t i = 0; i < count; i++) {
        uint16_t alg;
        if (bytes_u16le(in, &alg) != STATUS_OK) {
            return problem(why, STATUS_TRUNCATED, "the log ends in a digest's algorithm");
        }
        uint32_t bank = find_bank(log, alg);
        if (bank == TCG_MAX_BANKS) {
            return problem(why, STATUS_MALFORMED, "a digest of an undeclared bank");
        }
        if (out->digest[bank].data != NULL) {
            return problem(why, STATUS_MALFORMED, "two digests of one bank");
        }
        if (bytes_take(in, log->bank[bank].digest_len, &out->digest[bank]) != STATUS_OK) {
            return problem(why, STATUS_TRUNCATED, "the log ends in a digest");
        }
    }
    return STATUS_OK;
}

/* TCG_PCR_EVENT2, 10.2.2. */
static enum status read_agile_event(const struct tcg_eventlog *log, struct bytes *in,
                                    struct tcg_event *out, struct problem *why) {
    enum status status = read_head(in, out, why);
    if (status != STATUS_OK) {
        return status;
    }
    status = read_digests(log, in, out, why);
    if (status != STATUS_OK) {
        return status;
    }
    return read_data(in, out, why);
}

static enum status read_banks(struct bytes *in, struct tcg_eventlog *out, struct problem *why) {
    uint32_t num;
    if (bytes_u32le(in, &num) != STATUS_OK) {
        return problem(why, STATUS_TRUNCATED, "the Spec ID event ends before its algorithms");
    }
    if (num == 0) {
        return problem(why, STATUS_MALFORMED, "the Spec ID event declares no bank");
    }
    if (num > TCG_MAX_BANKS) {
        return problem(why, STATUS_LIMIT, "the Spec ID event declares too many banks");
    }
    for (uint32_t i = 0; i < num; i++) {
        struct tcg_bank bank;
        if (bytes_u16le(in, &bank.alg) != STATUS_OK ||
            bytes_u16le(in, &bank.digest_len) != STATUS_OK) {
            return problem(why, STATUS_TRUNCATED, "the Spec ID event ends in its algorithms");
        }
        size_t known = digest_len((enum hash_alg)bank.alg);
        if (bank.digest_len == 0 || bank.digest_len > DIGEST_MAX ||
            (known > 0 && bank.digest_len != known)) {
            return problem(why, STATUS_MALFORMED, "the Spec ID event declares a wrong digest size");
        }
        if (find_bank(out, bank.alg) != TCG_MAX_BANKS) {
            return problem(why, STATUS_MALFORMED, "the Spec ID event declares a bank twice");
        }
        out->bank[out->num_banks++] = bank;
    }
    return STATUS_OK;
}

/* TCG_EfiSpecIDEvent, 10.4.5.1, after its signature. */
static enum status read_spec_id(struct bytes in, struct tcg_eventlog *out, struct problem *why) {
    uint32_t platform_class;
    uint8_t uintn_size, vendor_len;
    struct bytes vendor;
    if (bytes_u32le(&in, &platform_class) != STATUS_OK ||
        bytes_u8(&in, &out->spec_minor) != STATUS_OK ||
        bytes_u8(&in, &out->spec_major) != STATUS_OK ||
        bytes_u8(&in, &out->spec_errata) != STATUS_OK || bytes_u8(&in, &uintn_size) != STATUS_OK) {
        return problem(why, STATUS_TRUNCATED, "the Spec ID event ends in its version");
    }
    enum status status = read_banks(&in, out, why);
    if (status != STATUS_OK) {
        return status;
    }
    if (bytes_u8(&in, &vendor_len) != STATUS_OK ||
        bytes_take(&in, vendor_len, &vendor) != STATUS_OK) {
        return problem(why, STATUS_TRUNCATED, "the Spec ID event ends in its vendor information");
    }
    if (in.len != 0) {
        return problem(why, STATUS_MALFORMED, "bytes after the Spec ID event's vendor information");
    }
    return STATUS_OK;
}

static enum status open_log(struct tcg_eventlog *out, struct problem *why) {
    struct bytes in = out->rest, signature;
    struct tcg_event first = {0};
    if (is_padding(in)) {
        return problem(why, in.len == 0 ? STATUS_TRUNCATED : STATUS_MALFORMED, "no event");
    }
    enum status status = read_sha1_event(&in, &first, why);
    if (status != STATUS_OK) {
        return status;
    }
    if (first.type == EV_NO_ACTION &&
        bytes_take(&first.data, sizeof spec_id_agile, &signature) == STATUS_OK &&
        bytes_equal(signature, bytes_of(spec_id_agile, sizeof spec_id_agile))) {
        out->crypto_agile = true;
        return read_spec_id(first.data, out, why);
    }
    out->bank[0] = (struct tcg_bank){HASH_SHA1, (uint16_t)digest_len(HASH_SHA1)};
    out->num_banks = 1;
    return STATUS_OK;
}

enum status tcg_eventlog_open(struct tcg_eventlog *out, struct bytes raw, struct detail *detail) {
    struct tcg_eventlog log = {.rest = raw, .len = raw.len};
    struct problem why = {0};
    enum status status = open_log(&log, &why);
    if (status != STATUS_OK) {
        return status_fail(detail, status, "event 0 at byte 0: %s", why.text);
    }
    *out = log;
    return STATUS_OK;
}

enum status tcg_eventlog_next(struct tcg_eventlog *log, struct tcg_event *out,
                              struct detail *detail) {
    struct bytes in = log->rest;
    struct problem why = {0};
    struct tcg_event event = {.index = log->next_index, .offset = log->len - in.len};
    enum status status;
    if (is_padding(in)) {
        return STATUS_END;
    }
    if (log->next_index == TCG_MAX_EVENTS) {
        status = problem(&why, STATUS_LIMIT, "too many events");
    } else if (log->next_index == 0 || !log->crypto_agile) {
        status = read_sha1_event(&in, &event, &why);
    } else {
        status = read_agile_event(log, &in, &event, &why);
    }
    if (status != STATUS_OK) {
        return status_fail(detail, status, "event %u at byte %zu: %s", (unsigned)event.index,
                           event.offset, why.text);
    }
    if (log->next_index == 0 && log->crypto_agile) {
        event.digest[0] = bytes_of(NULL, 0); /* twenty zero bytes that belong to no bank */
    }
    log->rest = in;
    log->next_index++;
    *out = event;
    return STATUS_OK;
}

uint32_t tcg_eventlog_bank(const struct tcg_eventlog *log, enum hash_alg alg) {
    return find_bank(log, (uint16_t)alg);
}
