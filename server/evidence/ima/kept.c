#include "server/evidence/ima/kept.h"

#include <string.h>

void ima_position_write(struct writer *out, const struct fact_ima_position *position) {
    write_u32be(out, position->reset_count);
    write_u32be(out, position->restart_count);
    write_u32be(out, position->num_entries);
    write_u64be(out, position->num_bytes);
    write_u16be(out, (uint16_t)position->aggregate_alg);
    write_bytes(out, bytes_of(position->aggregate, digest_len(position->aggregate_alg)));
    write_u8(out, (uint8_t)position->num_banks);
    for (size_t i = 0; i < position->num_banks; i++) {
        const struct fact_ima_bank *bank = &position->bank[i];
        write_u16be(out, (uint16_t)bank->alg);
        write_u8(out, bank->padded ? 1 : 0);
        write_bytes(out, bytes_of(bank->value, digest_len(bank->alg)));
    }
}

static bool read_digest(struct bytes *in, enum hash_alg *alg, uint8_t *value, uint8_t *flag) {
    uint16_t number;
    struct bytes digest;
    if (bytes_u16be(in, &number) != STATUS_OK ||
        (flag != NULL && (bytes_u8(in, flag) != STATUS_OK || *flag > 1))) {
        return false;
    }
    *alg = (enum hash_alg)number;
    if (flag == NULL && number == HASH_NONE) {
        return true;
    }
    if (digest_len(*alg) == 0 || bytes_take(in, digest_len(*alg), &digest) != STATUS_OK) {
        return false;
    }
    memcpy(value, digest.data, digest.len);
    return true;
}

enum status ima_position_read(struct fact_ima_position *out, struct bytes in) {
    struct fact_ima_position position = {0};
    uint8_t num, padded;
    if (bytes_u32be(&in, &position.reset_count) != STATUS_OK ||
        bytes_u32be(&in, &position.restart_count) != STATUS_OK ||
        bytes_u32be(&in, &position.num_entries) != STATUS_OK ||
        bytes_u64be(&in, &position.num_bytes) != STATUS_OK ||
        !read_digest(&in, &position.aggregate_alg, position.aggregate, NULL) ||
        bytes_u8(&in, &num) != STATUS_OK || num > PCR_MAX_BANKS) {
        return STATUS_MALFORMED;
    }
    for (; position.num_banks < num; position.num_banks++) {
        struct fact_ima_bank *bank = &position.bank[position.num_banks];
        if (!read_digest(&in, &bank->alg, bank->value, &padded)) {
            return STATUS_MALFORMED;
        }
        bank->padded = padded == 1;
    }
    if (in.len != 0) {
        return STATUS_MALFORMED;
    }
    *out = position;
    return STATUS_OK;
}

struct bytes ima_entry_pack(struct arena *arena, const struct fact_ima_entry *entry) {
    size_t len = 2 + entry->template_name.len + entry->data.len;
    uint8_t *packed = arena_alloc(arena, len);
    if (packed == NULL) {
        return bytes_of(NULL, 0);
    }
    struct writer w = writer_of(packed, len);
    write_u8(&w, entry->violation ? 1 : 0);
    write_u8(&w, (uint8_t)entry->template_name.len);
    write_bytes(&w, entry->template_name);
    write_bytes(&w, entry->data);
    return writer_bytes(&w);
}

enum status ima_entry_unpack(struct ima_kept_entry *out, struct bytes in) {
    uint8_t violation, len;
    struct bytes name;
    if (bytes_u8(&in, &violation) != STATUS_OK || violation > 1 ||
        bytes_u8(&in, &len) != STATUS_OK || len == 0 || len > IMA_TEMPLATE_NAME_MAX ||
        bytes_take(&in, len, &name) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    *out = (struct ima_kept_entry){violation == 1, name, in};
    return STATUS_OK;
}
