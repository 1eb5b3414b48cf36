#include "tests/unit/boot_fixture.h"

#include <stdio.h>
#include <string.h>

void sample_boot(struct sample_boot *out, unsigned shared, unsigned own) {
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < SAMPLE_PIECES; i++) {
        bool is_own = i == 6 || i == SAMPLE_PIECES - 1;
        (void)snprintf((char *)out->text[i], SAMPLE_PIECE, "piece %u of %u/%u", i, shared,
                       is_own ? own : 0);
        size_t len = SAMPLE_PIECE - i; /* of different lengths, none without its text */
        out->piece[i] = bytes_of(out->text[i], len);
    }
    struct writer w = writer_of(out->log, sizeof out->log);
    for (unsigned i = 0; i < SAMPLE_PIECES; i++) {
        write_bytes(&w, out->piece[i]);
    }
    (void)snprintf((char *)out->form, sizeof out->form, "boot state %u/%u", shared, own);
    out->row.form = bytes_of_text((const char *)out->form);
    struct writer state = writer_of(out->row.sha256, 32), log = writer_of(out->row.log_sha256, 32);
    write_u32be(&state, shared * 2654435761U ^ own);
    write_u32be(&state, own);
    write_bytes(&state, bytes_of_text("state"));
    write_u32be(&log, shared * 2654435761U ^ own);
    write_u32be(&log, own);
    write_bytes(&log, bytes_of_text("log"));
}

struct bytes sample_boot_log(const struct sample_boot *boot) {
    size_t len = 0;
    for (unsigned i = 0; i < SAMPLE_PIECES; i++) {
        len += boot->piece[i].len;
    }
    return bytes_of(boot->log, len);
}

enum status sample_boot_put(struct store_writer *writer, const struct sample_boot *boot,
                            const char *device_id, const struct sample_boot *trusted,
                            int64_t since) {
    struct device_boot_row row = {.since = since};
    (void)snprintf(row.device_id, sizeof row.device_id, "%s", device_id);
    memcpy(row.boot_state, boot->row.sha256, 32);
    if (trusted != NULL) {
        memcpy(row.trusted, trusted->row.sha256, 32);
    }
    enum status status = store_boot_state_put(writer, &boot->row, boot->piece, SAMPLE_PIECES);
    return status == STATUS_OK ? store_device_boot_put(writer, &row) : status;
}
