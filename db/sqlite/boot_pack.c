/* Pieces without their zeros: what firmware measures is full of them (names that are padded, numbers
 * that are wide). Literal bytes and zeros in turn, each as how many (a varint), the literals behind. */
#include "db/sqlite/boot.h"

enum { ZEROS_MIN = 3 }; /* fewer are literals: two counts take as much */

void write_varint(struct writer *w, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        write_u8(w, (uint8_t)(value | 0x80));
    }
    write_u8(w, (uint8_t)value);
}

enum status read_varint(struct bytes *in, uint64_t *out) {
    uint64_t value = 0;
    uint8_t byte = 0x80;
    for (unsigned bits = 0; (byte & 0x80) != 0; bits += 7) {
        if (bits > 56 || bytes_u8(in, &byte) != STATUS_OK) {
            return STATUS_STORAGE;
        }
        value |= (uint64_t)(byte & 0x7F) << bits;
    }
    *out = value;
    return STATUS_OK;
}

static size_t zeros_at(struct bytes in, size_t at) {
    size_t num = 0;
    while (at + num < in.len && in.data[at + num] == 0) {
        num++;
    }
    return num;
}

/* How many bytes come before zeros that are worth it, or the end. */
static size_t literals_of(struct bytes in) {
    size_t at = 0;
    while (at < in.len) {
        size_t zeros = zeros_at(in, at);
        if (zeros >= ZEROS_MIN) {
            break;
        }
        at += zeros + (at + zeros < in.len ? 1 : 0);
    }
    return at;
}

void piece_pack(struct writer *w, struct bytes piece) {
    while (piece.len > 0) {
        struct bytes part = {NULL, 0}, zeros = {NULL, 0};
        size_t literals = literals_of(piece), num = zeros_at(piece, literals);
        if (bytes_take(&piece, literals, &part) != STATUS_OK ||
            bytes_take(&piece, num, &zeros) != STATUS_OK) {
            return; /* both were counted in it */
        }
        write_varint(w, literals);
        write_bytes(w, part);
        write_varint(w, num);
    }
}

/* The next literals and zeros. */
static enum status next_part(struct bytes *packed, struct bytes *part, uint64_t *zeros) {
    uint64_t literals;
    if (read_varint(packed, &literals) != STATUS_OK || literals > packed->len ||
        bytes_take(packed, (size_t)literals, part) != STATUS_OK) {
        return STATUS_STORAGE;
    }
    return read_varint(packed, zeros);
}

enum status piece_unpack(struct writer *w, struct bytes packed) {
    while (packed.len > 0) {
        struct bytes part;
        uint64_t zeros;
        if (next_part(&packed, &part, &zeros) != STATUS_OK || part.len > w->cap - w->len ||
            zeros > w->cap - w->len - part.len) {
            return STATUS_STORAGE;
        }
        write_bytes(w, part);
        for (uint64_t i = 0; i < zeros; i++) {
            write_u8(w, 0);
        }
    }
    return STATUS_OK;
}

enum status piece_copy(struct bytes *out, struct arena *arena, struct bytes packed) {
    enum { LARGEST = 64 << 20 };
    uint64_t len = 0;
    for (struct bytes rest = packed; rest.len > 0;) {
        struct bytes part;
        uint64_t zeros;
        if (next_part(&rest, &part, &zeros) != STATUS_OK || zeros > LARGEST ||
            (len += part.len + zeros) > LARGEST) {
            return STATUS_STORAGE;
        }
    }
    uint8_t *piece = arena_alloc(arena, (size_t)len);
    if (piece == NULL) {
        return STATUS_MEMORY;
    }
    struct writer w = writer_of(piece, (size_t)len);
    enum status status = piece_unpack(&w, packed);
    if (status == STATUS_OK) {
        *out = writer_bytes(&w);
    }
    return status;
}
