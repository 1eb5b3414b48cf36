#include "server/fleet/crl_file.h"

#include "server/base/encoding.h"
#include "server/crypto/digest.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 48, LINE_CHARS = 64, ETAG_BYTES = 16 };
static const char head[] = "-----BEGIN X509 CRL-----\n", tail[] = "-----END X509 CRL-----\n";

struct held {
    struct crl_file file; /* first: of_file casts */
    _Atomic unsigned holders;
    uint8_t *content;
};

static struct held *of_file(const struct crl_file *file) {
    union {
        const struct crl_file *in;
        struct held *out;
    } pointer = {.in = file};
    return pointer.out;
}

/* Of what it says, not of how: lists are told apart by the authority's signature over their number. */
static void set_etag(struct crl_file *file) {
    uint8_t digest[32];
    digest_compute(HASH_SHA256, file->content, digest);
    file->etag[0] = '"';
    hex_encode(file->etag + 1, bytes_of(digest, ETAG_BYTES));
    memcpy(file->etag + 1 + 2 * ETAG_BYTES, "\"", 2);
}

enum status crl_file_new(struct crl_file **out, uint8_t *content, size_t len) {
    struct held *held = calloc(1, sizeof *held);
    if (held == NULL) {
        free(content);
        return STATUS_MEMORY;
    }
    held->content = content;
    held->file.content = bytes_of(content, len);
    atomic_init(&held->holders, 1);
    set_etag(&held->file);
    *out = &held->file;
    return STATUS_OK;
}

void crl_file_hold(const struct crl_file *file) {
    atomic_fetch_add_explicit(&of_file(file)->holders, 1, memory_order_relaxed);
}

void crl_file_release(const struct crl_file *file) {
    if (file == NULL) {
        return;
    }
    struct held *held = of_file(file);
    if (atomic_fetch_sub_explicit(&held->holders, 1, memory_order_acq_rel) == 1) {
        free(held->content);
        free(held);
    }
}

static size_t pem_len(size_t len) {
    size_t lines = (len + LINE_BYTES - 1) / LINE_BYTES;
    return sizeof head - 1 + base64_encoded_size(len) + lines + sizeof tail - 1;
}

static void write_pem(struct writer *w, struct bytes der) {
    char line[LINE_CHARS + 1];
    struct bytes piece;
    write_bytes(w, bytes_of_text(head));
    while (der.len > 0 &&
           bytes_take(&der, der.len < LINE_BYTES ? der.len : LINE_BYTES, &piece) == STATUS_OK) {
        base64_encode(line, piece);
        write_bytes(w, bytes_of_text(line));
        write_u8(w, '\n');
    }
    write_bytes(w, bytes_of_text(tail));
}

enum status crl_file_bundle(struct crl_file **out, const struct crl_file *const *list, size_t num) {
    size_t room = pem_len(list[0]->content.len);
    for (size_t i = 1; i < num; i++) {
        room += pem_len(list[i]->content.len);
    }
    uint8_t *text = malloc(room);
    if (text == NULL) {
        return STATUS_MEMORY;
    }
    struct writer w = writer_of(text, room);
    struct crl_file times = *list[0];
    for (size_t i = 0; i < num; i++) {
        write_pem(&w, list[i]->content);
        /* As new as the newest; to be asked for again when the first is over. */
        if (list[i]->this_update > times.this_update) {
            times.this_update = list[i]->this_update;
        }
        if (list[i]->next_update < times.next_update) {
            times.next_update = list[i]->next_update;
        }
        if (list[i]->renewed < times.renewed) {
            times.renewed = list[i]->renewed;
        }
    }
    enum status status = crl_file_new(out, text, w.len);
    if (status == STATUS_OK) {
        (*out)->this_update = times.this_update;
        (*out)->next_update = times.next_update;
        (*out)->renewed = times.renewed;
    }
    return status;
}
