#include "server/credential/signer.h"

#include "server/credential/signer_child.h"
#include "server/credential/signer_wire.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A full batch takes some 10 ms; a child that is this late does not come back. */
enum { START_TIMEOUT_MS = 30000, SIGN_TIMEOUT_MS = 30000 };

struct signer {
    char trust_domain[256];
    int fd;
    pid_t pid;
    bool is_gone;
    uint8_t authority[2][CERTIFICATE_DER_MAX]; /* by enum profile: IDENTITY, ACCESS */
    size_t authority_len[2];
    uint8_t request[SIGNER_REQUEST_MAX], reply[SIGNER_REPLY_MAX];
};

static enum status gone(struct signer *signer, struct detail *detail, const char *what) {
    signer->is_gone = true;
    return status_fail(detail, STATUS_INTERNAL, "the signer is gone: %s", what);
}

static enum status copy_hello(struct signer *signer, struct bytes body, struct detail *detail) {
    struct bytes text, der;
    uint8_t status;
    if (bytes_u8(&body, &status) != STATUS_OK || bytes_u16be_prefixed(&body, &text) != STATUS_OK) {
        return gone(signer, detail, "its greeting is malformed");
    }
    if (status != STATUS_OK) {
        return status_fail(detail,
                           status <= STATUS_INTERNAL ? (enum status)status : STATUS_INTERNAL,
                           "signer: %.*s", (int)text.len, (const char *)text.data);
    }
    for (size_t i = 0; i < 2; i++) {
        if (bytes_u16be_prefixed(&body, &der) != STATUS_OK || der.len == 0 ||
            der.len > CERTIFICATE_DER_MAX) {
            return gone(signer, detail, "its greeting is malformed");
        }
        memcpy(signer->authority[i], der.data, der.len);
        signer->authority_len[i] = der.len;
    }
    return body.len == 0 ? STATUS_OK : gone(signer, detail, "its greeting is malformed");
}

static enum status receive_hello(struct signer *signer, struct detail *detail) {
    struct bytes body;
    enum status status = signer_frame_receive(signer->fd, SIGNER_HELLO, signer->reply,
                                              SIGNER_HELLO_MAX, START_TIMEOUT_MS, &body);
    return status == STATUS_OK ? copy_hello(signer, body, detail)
                               : gone(signer, detail, "it did not start");
}

enum status signer_start(struct signer **out, const struct signer_options *options,
                         struct detail *detail) {
    int ends[2];
    pid_t parent = getpid();
    struct signer *signer = calloc(1, sizeof *signer);
    if (signer == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    (void)snprintf(signer->trust_domain, sizeof signer->trust_domain, "%s", options->trust_domain);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        free(signer);
        return status_fail(detail, STATUS_INTERNAL, "no socketpair for the signer: %s",
                           strerror(errno));
    }
    pid_t pid = fork();
    if (pid == 0) {
        signer_child_run(ends[1], options, (int)parent);
    }
    (void)close(ends[1]);
    signer->fd = ends[0];
    signer->pid = pid;
    enum status status =
        pid < 0 ? status_fail(detail, STATUS_INTERNAL, "cannot fork: %s", strerror(errno))
                : receive_hello(signer, detail);
    if (status != STATUS_OK) {
        signer_free(signer);
        return status;
    }
    *out = signer;
    return STATUS_OK;
}

static enum status write_request(struct signer *signer, struct bytes *out,
                                 struct sign_job *const *jobs, size_t num) {
    struct writer w = writer_of(signer->request, sizeof signer->request);
    signer_frame_open(&w, SIGNER_REQUEST);
    write_u16be(&w, (uint16_t)num);
    for (size_t i = 0; i < num; i++) {
        signer_job_write(&w, jobs[i]);
    }
    *out = writer_bytes(&w);
    return signer_frame_close(&w);
}

/* Takes one job's answer; false when it is malformed. */
static bool read_answer(struct bytes *body, struct sign_job *job, size_t index,
                        struct detail *detail) {
    struct bytes content;
    enum status status;
    if (signer_answer_read(body, &status, &content) != STATUS_OK ||
        (status == STATUS_OK && content.len == 0)) {
        return false;
    }
    if (status == STATUS_OK) {
        memcpy(job->der, content.data, content.len);
        job->der_len = content.len;
        digest_compute(HASH_SHA256, content, job->sha256);
    } else if (detail != NULL && detail->text[0] == '\0') {
        detail_set(detail, "job %zu: %.*s", index, (int)content.len, (const char *)content.data);
    }
    job->status = status;
    return true;
}

static enum status read_reply(struct signer *signer, struct bytes body,
                              struct sign_job *const *jobs, size_t num, struct detail *detail) {
    struct detail refused = {0};
    uint16_t answered;
    if (bytes_u16be(&body, &answered) != STATUS_OK || answered != num) {
        return gone(signer, detail, "its reply is malformed");
    }
    for (size_t i = 0; i < num; i++) {
        if (!read_answer(&body, jobs[i], i, &refused)) {
            return gone(signer, detail, "its reply is malformed");
        }
    }
    if (body.len != 0) {
        return gone(signer, detail, "its reply is malformed");
    }
    if (refused.text[0] != '\0') {
        detail_set(detail, "%s", refused.text);
    }
    return STATUS_OK;
}

enum status signer_sign(struct signer *signer, struct sign_job *const *jobs, size_t num,
                        struct detail *detail) {
    struct bytes frame, body;
    if (num == 0 || num > SIGNER_BATCH_MAX) {
        return status_fail(detail, STATUS_LIMIT, "a batch of %zu jobs", num);
    }
    for (size_t i = 0; i < num; i++) {
        jobs[i]->status = STATUS_INTERNAL;
        jobs[i]->der_len = 0;
        if (jobs[i]->spki_len > KEY_SPKI_MAX) {
            return status_fail(detail, STATUS_LIMIT, "job %zu: an SPKI of %zu bytes", i,
                               jobs[i]->spki_len);
        }
    }
    if (signer->is_gone) {
        return gone(signer, detail, "it was before");
    }
    if (write_request(signer, &frame, jobs, num) != STATUS_OK) {
        return status_fail(detail, STATUS_LIMIT, "the batch does not fit");
    }
    if (signer_frame_send(signer->fd, frame) != STATUS_OK) {
        return gone(signer, detail, "its channel is closed");
    }
    if (signer_frame_receive(signer->fd, SIGNER_REPLY, signer->reply, sizeof signer->reply,
                             SIGN_TIMEOUT_MS, &body) != STATUS_OK) {
        return gone(signer, detail, "it did not reply");
    }
    return read_reply(signer, body, jobs, num, detail);
}

enum status signer_checkpoint(struct signer *signer, struct checkpoint_job *job,
                              struct detail *detail) {
    struct bytes body, text = bytes_of(NULL, 0);
    struct writer w = writer_of(signer->request, sizeof signer->request);
    job->status = STATUS_INTERNAL;
    job->signature_len = 0;
    if (signer->is_gone) {
        return gone(signer, detail, "it was before");
    }
    signer_frame_open(&w, SIGNER_CHECKPOINT);
    signer_checkpoint_write(&w, job);
    if (signer_frame_close(&w) != STATUS_OK ||
        signer_frame_send(signer->fd, writer_bytes(&w)) != STATUS_OK) {
        return gone(signer, detail, "its channel is closed");
    }
    if (signer_frame_receive(signer->fd, SIGNER_CHECKPOINT_REPLY, signer->reply,
                             sizeof signer->reply, SIGN_TIMEOUT_MS, &body) != STATUS_OK) {
        return gone(signer, detail, "it did not reply");
    }
    if (signer_checkpoint_answer_read(body, job, &text) != STATUS_OK) {
        return gone(signer, detail, "its reply is malformed");
    }
    if (job->status != STATUS_OK) {
        detail_set(detail, "checkpoint: %.*s", (int)text.len, (const char *)text.data);
    }
    return STATUS_OK;
}

const char *signer_trust_domain(const struct signer *signer) {
    return signer->trust_domain;
}

struct bytes signer_authority(const struct signer *signer, enum profile profile) {
    if (profile != PROFILE_IDENTITY && profile != PROFILE_ACCESS) {
        return bytes_of(NULL, 0);
    }
    return bytes_of(signer->authority[profile], signer->authority_len[profile]);
}

int signer_pid(const struct signer *signer) {
    return (int)signer->pid;
}

void signer_free(struct signer *signer) {
    if (signer == NULL) {
        return;
    }
    (void)close(signer->fd);
    if (signer->pid > 0) {
        (void)kill(signer->pid,
                   SIGKILL); /* it keeps no state; waiting for it to notice gains nothing */
        while (waitpid(signer->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    free(signer);
}
