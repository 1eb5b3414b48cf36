/* What the signer's two ends read of each other: taken, it is written back byte by byte; refused, nothing is
 * touched. The first byte says which end reads. */
#include "server/credential/signer_wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

static bool read_job(struct bytes *rest) {
    struct sign_job job = {.spki_len = 7777};
    struct bytes before = *rest;
    static uint8_t buffer[2048];
    struct writer w = writer_of(buffer, sizeof buffer);
    if (signer_job_read(rest, &job) != STATUS_OK) {
        require(rest->data == before.data && rest->len == before.len && job.spki_len == 7777);
        return false;
    }
    signer_job_write(&w, &job);
    require(!w.overflow && w.len == before.len - rest->len &&
            memcmp(buffer, before.data, w.len) == 0);
    return true;
}

static bool read_answer(struct bytes *rest) {
    enum status status = STATUS_BUSY;
    struct bytes before = *rest, content = bytes_of(NULL, 0);
    static uint8_t buffer[4096];
    char text[DETAIL_SIZE] = "";
    struct writer w = writer_of(buffer, sizeof buffer);
    if (signer_answer_read(rest, &status, &content) != STATUS_OK) {
        require(rest->data == before.data && rest->len == before.len && status == STATUS_BUSY);
        return false;
    }
    require(content.len <= (status == STATUS_OK ? CERTIFICATE_DER_MAX : SIGNER_TEXT_MAX));
    if (status != STATUS_OK) {
        memcpy(text, content.data, content.len);
        if (strlen(text) != content.len) {
            return true; /* a text with a zero in it is not written so */
        }
    }
    signer_answer_write(&w, status, content, text);
    require(!w.overflow && w.len == before.len - rest->len &&
            memcmp(buffer, before.data, w.len) == 0);
    return true;
}

static void read_checkpoint(struct bytes body) {
    struct checkpoint_job job = {0};
    uint8_t buffer[64];
    struct writer w = writer_of(buffer, sizeof buffer);
    if (signer_checkpoint_read(body, &job) == STATUS_OK) {
        signer_checkpoint_write(&w, &job);
        require(!w.overflow && w.len == body.len && memcmp(buffer, body.data, w.len) == 0);
    }
}

static void read_checkpoint_answer(struct bytes body) {
    struct checkpoint_job job = {.status = STATUS_BUSY};
    struct bytes text = bytes_of(NULL, 0);
    static uint8_t buffer[1024];
    struct writer w = writer_of(buffer, sizeof buffer);
    if (signer_checkpoint_answer_read(body, &job, &text) != STATUS_OK) {
        require(job.status == STATUS_BUSY);
    } else if (job.status == STATUS_OK) {
        require(job.time >= 0 && job.signature_len > 0);
        signer_checkpoint_answer_write(&w, &job, "");
        require(!w.overflow && w.len == body.len && memcmp(buffer, body.data, w.len) == 0);
    } else {
        require(text.len <= SIGNER_TEXT_MAX && job.signature_len == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes rest = bytes_of(data, size);
    uint8_t which;
    if (bytes_u8(&rest, &which) != STATUS_OK) {
        return 0;
    }
    if (which % 4 >= 2) {
        which % 4 == 2 ? read_checkpoint(rest) : read_checkpoint_answer(rest);
        return 0;
    }
    for (int i = 0; i < SIGNER_BATCH_MAX; i++) {
        if (!(which % 2 == 0 ? read_job(&rest) : read_answer(&rest))) {
            break;
        }
    }
    return 0;
}
