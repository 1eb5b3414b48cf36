#include "tests/unit/evidence_builder.h"

#include "server/crypto/der.h"
#include "server/evidence/tpm2/event_types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "evidence_builder: %s\n", what);
        abort();
    }
}

/* --- logs -------------------------------------------------------------------------------------- */

static void put(struct log_builder *log, const void *data, size_t len) {
    require(len <= BUILDER_LOG_MAX - log->len, "the log is full");
    if (len > 0) {
        memcpy(log->data + log->len, data, len);
        log->len += len;
    }
}

static void put_le(struct log_builder *log, uint32_t value, size_t len) {
    uint8_t byte[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                       (uint8_t)(value >> 24)};
    put(log, byte, len);
}

static void begin_event(struct log_builder *log, uint32_t pcr, uint32_t type) {
    require(log->num_events < BUILDER_EVENTS, "too many events");
    log->start[log->num_events] = log->len;
    put_le(log, pcr, 4);
    log->type_at[log->num_events] = log->len;
    put_le(log, type, 4);
}

static void end_event(struct log_builder *log, struct bytes data) {
    put_le(log, (uint32_t)data.len, 4);
    log->data_at[log->num_events] = log->len;
    put(log, data.data, data.len);
    log->num_events++;
}

void log_start(struct log_builder *log, const uint16_t *algs) {
    static const uint8_t zeros[20];
    uint8_t spec_id[128] = "Spec ID Event03";
    struct writer w = writer_of(spec_id, sizeof spec_id);
    memset(log, 0, sizeof *log);
    log->data = malloc(BUILDER_LOG_MAX);
    require(log->data != NULL, "no memory");
    for (; algs[log->num_banks] != 0; log->num_banks++) {
        size_t len = digest_len((enum hash_alg)algs[log->num_banks]);
        require(log->num_banks < BUILDER_BANKS, "too many banks");
        log->alg[log->num_banks] = algs[log->num_banks];
        log->digest_len[log->num_banks] = (uint16_t)(len == 0 ? 32 : len);
    }
    w.len = 16;
    write_u32le(&w, 0);
    write_u8(&w, 0);
    write_u8(&w, 2);
    write_u8(&w, 106);
    write_u8(&w, 2);
    write_u32le(&w, (uint32_t)log->num_banks);
    for (size_t i = 0; i < log->num_banks; i++) {
        write_u16le(&w, log->alg[i]);
        write_u16le(&w, log->digest_len[i]);
    }
    write_u8(&w, 0);
    begin_event(log, 0, EV_NO_ACTION);
    log->digest_at[0] = log->len;
    put(log, zeros, sizeof zeros);
    end_event(log, writer_bytes(&w));
    for (size_t b = 0; b < log->num_banks; b++) {
        for (unsigned i = 17; i <= 22; i++) {
            memset(log->pcr[b][i], 0xFF, DIGEST_MAX);
        }
    }
}

void log_free(struct log_builder *log) {
    free(log->data);
    log->data = NULL;
}

static void extend(struct log_builder *log, size_t bank, uint32_t pcr, const uint8_t *digest) {
    uint8_t both[2 * DIGEST_MAX];
    enum hash_alg alg = (enum hash_alg)log->alg[bank];
    size_t len = digest_len(alg);
    if (len == 0) {
        return;
    }
    memcpy(both, log->pcr[bank][pcr], len);
    memcpy(both + len, digest, len);
    digest_compute(alg, bytes_of(both, 2 * len), log->pcr[bank][pcr]);
    log->touched |= 1u << pcr;
}

static void measure(const struct log_builder *log, size_t bank, struct bytes measured,
                    uint8_t *out) {
    enum hash_alg alg = (enum hash_alg)log->alg[bank];
    if (digest_len(alg) > 0) {
        digest_compute(alg, measured, out);
    } else {
        memset(out, 0, log->digest_len[bank]);
    }
}

void log_event(struct log_builder *log, uint32_t pcr, uint32_t type, struct bytes data,
               struct bytes measured) {
    begin_event(log, pcr, type);
    put_le(log, (uint32_t)log->num_banks, 4);
    for (size_t i = 0; i < log->num_banks; i++) {
        size_t bank = log->reversed ? log->num_banks - 1 - i : i;
        uint8_t digest[DIGEST_MAX] = {0};
        if (type != EV_NO_ACTION) {
            measure(log, bank, measured, digest);
            extend(log, bank, pcr, digest);
        }
        put_le(log, log->alg[bank], 2);
        if (i == 0) {
            log->digest_at[log->num_events] = log->len;
        }
        put(log, digest, log->digest_len[bank]);
    }
    end_event(log, data);
}

void log_text(struct log_builder *log, uint32_t pcr, uint32_t type, const char *text) {
    log_event(log, pcr, type, bytes_of_text(text), bytes_of_text(text));
}

void log_event_in_bank(struct log_builder *log, uint16_t alg, uint32_t pcr, uint32_t type,
                       const char *text) {
    for (size_t bank = 0; bank < log->num_banks; bank++) {
        if (log->alg[bank] == alg) {
            uint8_t digest[DIGEST_MAX];
            measure(log, bank, bytes_of_text(text), digest);
            begin_event(log, pcr, type);
            put_le(log, 1, 4);
            put_le(log, alg, 2);
            log->digest_at[log->num_events] = log->len;
            put(log, digest, log->digest_len[bank]);
            end_event(log, bytes_of_text(text));
            extend(log, bank, pcr, digest);
        }
    }
}

void log_no_action(struct log_builder *log, uint32_t pcr, struct bytes data) {
    log_event(log, pcr, EV_NO_ACTION, data, bytes_of(NULL, 0));
}

static void start_pcr0(struct log_builder *log, uint8_t locality) {
    for (size_t i = 0; i < log->num_banks; i++) {
        log->pcr[i][0][log->digest_len[i] - 1] = locality;
    }
}

void log_locality(struct log_builder *log, uint8_t locality) {
    uint8_t data[17] = "StartupLocality";
    data[16] = locality;
    start_pcr0(log, locality);
    log_no_action(log, 0, bytes_of(data, sizeof data));
}

void log_hcrtm(struct log_builder *log, const char *measured) {
    start_pcr0(log, 4);
    log_event(log, 0, EV_EFI_HCRTM_EVENT, bytes_of_text("HCRTM"), bytes_of_text(measured));
}

void log_padding(struct log_builder *log, uint8_t value, size_t len) {
    for (size_t i = 0; i < len; i++) {
        put(log, &value, 1);
    }
}

struct bytes log_bytes(const struct log_builder *log) {
    return bytes_of(log->data, log->len);
}

void log_small_boot(struct log_builder *log, const uint16_t *algs) {
    static const uint8_t separator[4];
    static const uint8_t secure_boot[] = {
        0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03,
        0x2b, 0x8c, 10,   0,    0,    0,    0,    0,    0,    0,    1,    0,    0,    0,
        0,    0,    0,    0,    'S',  0,    'e',  0,    'c',  0,    'u',  0,    'r',  0,
        'e',  0,    'B',  0,    'o',  0,    'o',  0,    't',  0,    1};
    struct bytes zeros = bytes_of(separator, sizeof separator);
    struct bytes variable = bytes_of(secure_boot, sizeof secure_boot);
    log_start(log, algs);
    log_text(log, 0, EV_S_CRTM_VERSION, "edge9 firmware 1.42");
    log_event(log, 0, EV_EFI_PLATFORM_FIRMWARE_BLOB,
              bytes_of("\0\0\x80\0\0\0\0\0\0\0\x10\0\0\0\0", 16), bytes_of_text("firmware volume"));
    log_event(log, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, variable, variable);
    log_text(log, 1, EV_PLATFORM_CONFIG_FLAGS, "settings");
    for (uint32_t pcr = 0; pcr < 8; pcr++) {
        log_event(log, pcr, EV_SEPARATOR, zeros, zeros);
    }
    log_event(log, 4, EV_EFI_BOOT_SERVICES_APPLICATION, bytes_of_text("shim"),
              bytes_of_text("shim 15.8"));
    log_event(log, 4, EV_EFI_BOOT_SERVICES_APPLICATION, bytes_of_text("grub"),
              bytes_of_text("grub 2.12"));
    log_event(log, 14, EV_IPL, bytes_of("MokList", 8), bytes_of_text("certificates"));
    log_event(log, 8, EV_IPL, bytes_of("kernel_cmdline: /vmlinuz ro quiet", 34),
              bytes_of_text("/vmlinuz ro quiet"));
    log_event(log, 9, EV_IPL, bytes_of("/vmlinuz", 9), bytes_of_text("kernel 6.1"));
    log_event(log, 9, EV_IPL, bytes_of("/initrd.img", 12), bytes_of_text("initrd"));
}

const uint8_t *log_pcr(const struct log_builder *log, uint16_t alg, unsigned pcr) {
    for (size_t i = 0; i < log->num_banks; i++) {
        if (log->alg[i] == alg) {
            return log->pcr[i][pcr];
        }
    }
    abort();
}

/* --- quotes ------------------------------------------------------------------------------------ */

void quote_start(struct quote_builder *quote, struct bytes nonce, const uint16_t *algs,
                 uint32_t mask, const struct log_builder *log, enum hash_alg hash) {
    uint8_t values[BUILDER_BANKS * PCR_COUNT * DIGEST_MAX], reset[DIGEST_MAX];
    struct writer w = writer_of(values, sizeof values);
    *quote = (struct quote_builder){
        .magic = 0xff544347,
        .type = 0x8018,
        .nonce = nonce,
        .clock = 81234,
        .reset_count = 7,
        .restart_count = 1,
        .safe = 1,
        .firmware_version = 0x2019102300163636,
        .digest_len = digest_len(hash),
    };
    for (; algs[quote->num_banks] != 0; quote->num_banks++) {
        size_t b = quote->num_banks;
        size_t len = digest_len((enum hash_alg)algs[b]);
        quote->bank[b].alg = algs[b];
        quote->bank[b].size_of_select = 3;
        quote->bank[b].mask = mask;
        for (unsigned i = 0; i < PCR_COUNT; i++) {
            if ((mask >> i & 1) != 0) {
                memset(reset, i >= 17 && i <= 22 ? 0xFF : 0, sizeof reset);
                write_bytes(&w, bytes_of(log == NULL ? reset : log_pcr(log, algs[b], i), len));
            }
        }
    }
    digest_compute(hash, writer_bytes(&w), quote->digest);
}

void quote_write(struct writer *out, const struct quote_builder *quote) {
    uint8_t name[34] = {0x00, 0x0B, 0xA5};
    write_u32be(out, quote->magic);
    write_u16be(out, quote->type);
    write_u16be(out, sizeof name);
    write_bytes(out, bytes_of(name, sizeof name));
    write_u16be(out, (uint16_t)quote->nonce.len);
    write_bytes(out, quote->nonce);
    write_u64be(out, quote->clock);
    write_u32be(out, quote->reset_count);
    write_u32be(out, quote->restart_count);
    write_u8(out, quote->safe);
    write_u64be(out, quote->firmware_version);
    write_u32be(out, (uint32_t)quote->num_banks);
    for (size_t i = 0; i < quote->num_banks; i++) {
        write_u16be(out, quote->bank[i].alg);
        write_u8(out, quote->bank[i].size_of_select);
        for (unsigned n = 0; n < quote->bank[i].size_of_select; n++) {
            write_u8(out, (uint8_t)(n < 4 ? quote->bank[i].mask >> (8 * n) : 0));
        }
    }
    write_u16be(out, (uint16_t)quote->digest_len);
    write_bytes(out, bytes_of(quote->digest, quote->digest_len));
    require(!out->overflow, "no room for the quote");
}

void quote_sign(struct writer *out, const struct private_key *ak, struct bytes message) {
    uint8_t der_bytes[KEY_SIGNATURE_MAX];
    struct writer der = writer_of(der_bytes, sizeof der_bytes);
    struct public_key public;
    private_key_public(ak, &public);
    require(private_key_sign(ak, &der, message) == STATUS_OK, "no signature");
    if (public.kind == KEY_RSA) {
        write_u16be(out, 0x0014);
        write_u16be(out, HASH_SHA256);
        write_u16be(out, (uint16_t)der.len);
        write_bytes(out, writer_bytes(&der));
    } else {
        struct bytes in = writer_bytes(&der), sequence, r, s;
        require(der_take(&in, DER_SEQUENCE, &sequence) == STATUS_OK &&
                    der_take_unsigned(&sequence, &r) == STATUS_OK &&
                    der_take_unsigned(&sequence, &s) == STATUS_OK,
                "a strange signature");
        write_u16be(out, 0x0018);
        write_u16be(out, public.kind == KEY_EC_P384 ? HASH_SHA384 : HASH_SHA256);
        write_u16be(out, (uint16_t)r.len);
        write_bytes(out, r);
        write_u16be(out, (uint16_t)s.len);
        write_bytes(out, s);
    }
    require(!out->overflow, "no room for the signature");
}

uint8_t *exact_copy(struct bytes in) {
    uint8_t *copy = malloc(in.len > 0 ? in.len : 1);
    require(copy != NULL, "no memory");
    if (in.len > 0) {
        memcpy(copy, in.data, in.len);
    }
    return copy;
}
