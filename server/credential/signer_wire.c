#include "server/credential/signer_wire.h"

#include "server/base/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LENGTH_LEN = 4 };
enum { ANSWER_OK = 0, ANSWER_INVALID = 1, ANSWER_INTERNAL = 2 };

void signer_frame_open(struct writer *w, enum signer_frame type) {
    write_u32be(w, 0);
    write_u8(w, SIGNER_VERSION);
    write_u8(w, (uint8_t)type);
}

enum status signer_frame_close(struct writer *w) {
    if (w->overflow || w->len < SIGNER_HEAD_LEN) {
        return STATUS_LIMIT;
    }
    struct writer head = writer_of(w->data, LENGTH_LEN);
    write_u32be(&head, (uint32_t)(w->len - LENGTH_LEN));
    return STATUS_OK;
}

enum status signer_frame_send(int fd, struct bytes frame) {
    while (frame.len > 0) {
        struct bytes sent;
        ssize_t n = sendto(fd, frame.data, frame.len, MSG_NOSIGNAL, NULL, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0 || bytes_take(&frame, (size_t)n, &sent) != STATUS_OK) {
            return STATUS_INTERNAL;
        }
    }
    return STATUS_OK;
}

/* Waits until `fd` can be read, at most until `deadline_ms` (negative: for ever, and without a
 * call). */
static enum status wait_readable(int fd, int64_t deadline_ms) {
    while (deadline_ms >= 0) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        int64_t left = deadline_ms - clock_monotonic_ms();
        if (left <= 0) {
            return STATUS_EXPIRED;
        }
        int ready = poll(&one, 1, (int)left);
        if (ready > 0) {
            break;
        }
        if (ready < 0 && errno != EINTR) {
            return STATUS_INTERNAL;
        }
    }
    return STATUS_OK;
}

/* Exactly len bytes. END when there is not one. */
static enum status read_exactly(int fd, uint8_t *out, size_t len, int64_t deadline_ms) {
    for (size_t have = 0; have < len;) {
        enum status status = wait_readable(fd, deadline_ms);
        if (status != STATUS_OK) {
            return status;
        }
        ssize_t n = read(fd, out + have, len - have);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 && have == 0 ? STATUS_END : STATUS_INTERNAL;
        }
        have += (size_t)n;
    }
    return STATUS_OK;
}

/* A frame of one of the types in `types`, a bit for each; *type is which. */
static enum status receive(int fd, unsigned types, enum signer_frame *type, uint8_t *buffer,
                           size_t cap, int timeout_ms, struct bytes *body) {
    int64_t deadline_ms = timeout_ms < 0 ? -1 : clock_monotonic_ms() + timeout_ms;
    uint8_t head_bytes[SIGNER_HEAD_LEN], version, got;
    uint32_t len;
    enum status status = read_exactly(fd, head_bytes, sizeof head_bytes, deadline_ms);
    if (status != STATUS_OK) {
        return status;
    }
    struct bytes head = bytes_of(head_bytes, sizeof head_bytes);
    if (bytes_u32be(&head, &len) != STATUS_OK || bytes_u8(&head, &version) != STATUS_OK ||
        bytes_u8(&head, &got) != STATUS_OK || version != SIGNER_VERSION || got >= SIGNER_FRAMES ||
        (types & 1U << got) == 0 || len < SIGNER_HEAD_LEN - LENGTH_LEN || len > cap) {
        return STATUS_MALFORMED;
    }
    size_t body_len = len - (SIGNER_HEAD_LEN - LENGTH_LEN);
    status = read_exactly(fd, buffer, body_len, deadline_ms);
    if (status != STATUS_OK) {
        return status == STATUS_END ? STATUS_INTERNAL : status;
    }
    *type = (enum signer_frame)got;
    *body = bytes_of(buffer, body_len);
    return STATUS_OK;
}

enum status signer_frame_receive(int fd, enum signer_frame type, uint8_t *buffer, size_t cap,
                                 int timeout_ms, struct bytes *body) {
    enum signer_frame got;
    return receive(fd, 1U << type, &got, buffer, cap, timeout_ms, body);
}

enum status signer_request_receive(int fd, unsigned types, enum signer_frame *type, uint8_t *buffer,
                                   size_t cap, struct bytes *body) {
    return receive(fd, types, type, buffer, cap, -1, body);
}

static void write_prefixed(struct writer *w, struct bytes in) {
    write_u16be(w, (uint16_t)in.len);
    write_bytes(w, in);
}

void signer_job_write(struct writer *w, const struct sign_job *job) {
    write_u8(w, (uint8_t)job->profile);
    write_bytes(w, bytes_of(job->device_id, sizeof job->device_id - 1));
    write_u64be(w, (uint64_t)job->not_before);
    write_u64be(w, (uint64_t)job->not_after);
    write_bytes(w, bytes_of(job->serial, sizeof job->serial));
    write_prefixed(w, bytes_of_text(job->tier));
    write_prefixed(w, bytes_of_text(job->segment));
    write_prefixed(w, bytes_of(job->spki, job->spki_len));
}

static enum status take_text(char *out, size_t size, struct bytes in) {
    if (in.len >= size) {
        return STATUS_LIMIT;
    }
    if (in.len > 0 && memchr(in.data, 0, in.len) != NULL) {
        return STATUS_MALFORMED;
    }
    memset(out, 0, size);
    if (in.len > 0) {
        memcpy(out, in.data, in.len);
    }
    return STATUS_OK;
}

enum status signer_job_read(struct bytes *body, struct sign_job *job) {
    struct bytes rest = *body, id, serial, tier, segment, spki;
    char tier_text[sizeof job->tier], segment_text[sizeof job->segment];
    uint64_t not_before, not_after;
    uint8_t profile;
    if (bytes_u8(&rest, &profile) != STATUS_OK ||
        bytes_take(&rest, sizeof job->device_id - 1, &id) != STATUS_OK ||
        bytes_u64be(&rest, &not_before) != STATUS_OK ||
        bytes_u64be(&rest, &not_after) != STATUS_OK ||
        bytes_take(&rest, sizeof job->serial, &serial) != STATUS_OK ||
        bytes_u16be_prefixed(&rest, &tier) != STATUS_OK ||
        bytes_u16be_prefixed(&rest, &segment) != STATUS_OK ||
        bytes_u16be_prefixed(&rest, &spki) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    if (spki.len > sizeof job->spki) {
        return STATUS_LIMIT;
    }
    enum status status = take_text(tier_text, sizeof tier_text, tier);
    if (status == STATUS_OK) {
        status = take_text(segment_text, sizeof segment_text, segment);
    }
    if (status != STATUS_OK) {
        return status;
    }
    memcpy(job->tier, tier_text, sizeof tier_text);
    memcpy(job->segment, segment_text, sizeof segment_text);
    job->profile = (enum profile)profile;
    memcpy(job->device_id, id.data, id.len);
    job->device_id[id.len] = '\0';
    job->not_before = (int64_t)not_before;
    job->not_after = (int64_t)not_after;
    memcpy(job->serial, serial.data, serial.len);
    memcpy(job->spki, spki.data, spki.len);
    job->spki_len = spki.len;
    *body = rest;
    return STATUS_OK;
}

void signer_answer_write(struct writer *w, enum status status, struct bytes der, const char *text) {
    if (status == STATUS_OK) {
        write_u8(w, ANSWER_OK);
        write_prefixed(w, der);
        return;
    }
    write_u8(w, status == STATUS_INVALID ? ANSWER_INVALID : ANSWER_INTERNAL);
    write_prefixed(w, bytes_of(text, strnlen(text, SIGNER_TEXT_MAX)));
}

enum status signer_answer_read(struct bytes *body, enum status *status, struct bytes *content) {
    struct bytes rest = *body, found;
    uint8_t code;
    if (bytes_u8(&rest, &code) != STATUS_OK || bytes_u16be_prefixed(&rest, &found) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    if (code > ANSWER_INTERNAL ||
        found.len > (code == ANSWER_OK ? CERTIFICATE_DER_MAX : SIGNER_TEXT_MAX)) {
        return STATUS_MALFORMED;
    }
    *status = code == ANSWER_OK        ? STATUS_OK
              : code == ANSWER_INVALID ? STATUS_INVALID
                                       : STATUS_INTERNAL;
    *content = found;
    *body = rest;
    return STATUS_OK;
}

void signer_checkpoint_write(struct writer *w, const struct checkpoint_job *job) {
    write_u64be(w, (uint64_t)job->seq);
    write_bytes(w, bytes_of(job->hash, sizeof job->hash));
}

enum status signer_checkpoint_read(struct bytes body, struct checkpoint_job *job) {
    struct bytes hash;
    uint64_t seq;
    if (bytes_u64be(&body, &seq) != STATUS_OK ||
        bytes_take(&body, sizeof job->hash, &hash) != STATUS_OK) {
        return STATUS_TRUNCATED;
    }
    if (body.len != 0) {
        return STATUS_MALFORMED;
    }
    job->seq = (int64_t)seq;
    memcpy(job->hash, hash.data, hash.len);
    return STATUS_OK;
}

void signer_checkpoint_answer_write(struct writer *w, const struct checkpoint_job *job,
                                    const char *text) {
    uint8_t content[8 + KEY_SIGNATURE_MAX];
    struct writer c = writer_of(content, sizeof content);
    write_u64be(&c, (uint64_t)job->time);
    write_bytes(&c, bytes_of(job->signature, job->signature_len));
    signer_answer_write(w, job->status, writer_bytes(&c), text);
}

enum status signer_checkpoint_answer_read(struct bytes body, struct checkpoint_job *job,
                                          struct bytes *text) {
    struct bytes content;
    enum status answered;
    uint64_t time;
    enum status status = signer_answer_read(&body, &answered, &content);
    if (status != STATUS_OK) {
        return status;
    }
    if (body.len != 0) {
        return STATUS_MALFORMED;
    }
    if (answered == STATUS_OK) {
        if (bytes_u64be(&content, &time) != STATUS_OK || content.len == 0 ||
            content.len > sizeof job->signature || time > INT64_MAX) {
            return STATUS_MALFORMED;
        }
        job->time = (int64_t)time;
        memcpy(job->signature, content.data, content.len);
        job->signature_len = content.len;
    } else {
        *text = content;
    }
    job->status = answered;
    return STATUS_OK;
}
