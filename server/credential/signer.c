#include "server/credential/signer.h"

#include "server/base/encoding.h"
#include "server/credential/signer_child.h"
#include "server/credential/signer_exchange.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A full batch takes some 10 ms; a child that is this late does not come back. */
enum { START_TIMEOUT_MS = 30000, SIGN_TIMEOUT_MS = 30000 };

struct channel {
    int fd;
    pthread_mutex_t lock; /* of what follows, and of the exchange of two frames */
    struct writer out;
    uint8_t *request, *reply;
    size_t request_max, reply_max;
};

struct signer {
    char trust_domain[256];
    pid_t pid;
    _Atomic bool is_gone;
    struct channel channel[SIGNER_CHANNELS];
    struct signer_authority authority[SIGNER_AUTHORITIES_MAX];
    size_t num_authorities;
    uint8_t der[SIGNER_AUTHORITIES_MAX][CERTIFICATE_DER_MAX];
};

static enum status gone(struct signer *signer, struct detail *detail, const char *what) {
    atomic_store(&signer->is_gone, true);
    return status_fail(detail, STATUS_INTERNAL, "the signer is gone: %s", what);
}

/* --- the start ------------------------------------------------------------------------------ */

static bool id_of(char out[static AUTHORITY_ID_SIZE], struct bytes der) {
    struct certificate certificate;
    uint8_t sha256[32];
    if (certificate_parse(&certificate, der, NULL) != STATUS_OK ||
        public_key_spki_sha256(sha256, &certificate.key) != STATUS_OK) {
        return false;
    }
    hex_encode(out, bytes_of(sha256, AUTHORITY_RAW_ID));
    return true;
}

static bool copy_authority(struct signer *signer, struct bytes *body) {
    struct signer_authority *authority = &signer->authority[signer->num_authorities];
    uint8_t *copy = signer->der[signer->num_authorities];
    uint8_t profile, signs;
    struct bytes der;
    if (bytes_u8(body, &profile) != STATUS_OK || bytes_u8(body, &signs) != STATUS_OK ||
        bytes_u16be_prefixed(body, &der) != STATUS_OK || profile > PROFILE_ACCESS || signs > 1 ||
        der.len > CERTIFICATE_DER_MAX || !id_of(authority->id, der)) {
        return false;
    }
    memcpy(copy, der.data, der.len);
    authority->profile = (enum profile)profile;
    authority->certificate = bytes_of(copy, der.len);
    authority->signs = signs == 1;
    signer->num_authorities++;
    return true;
}

static enum status copy_hello(struct signer *signer, struct bytes body, struct detail *detail) {
    struct bytes text;
    uint8_t status, num;
    if (bytes_u8(&body, &status) != STATUS_OK || bytes_u16be_prefixed(&body, &text) != STATUS_OK) {
        return gone(signer, detail, "its greeting is malformed");
    }
    if (status != STATUS_OK) {
        return status_fail(detail,
                           status <= STATUS_INTERNAL ? (enum status)status : STATUS_INTERNAL,
                           "signer: %.*s", (int)text.len, (const char *)text.data);
    }
    if (bytes_u8(&body, &num) != STATUS_OK || num > SIGNER_AUTHORITIES_MAX) {
        return gone(signer, detail, "its greeting is malformed");
    }
    for (size_t i = 0; i < num; i++) {
        if (!copy_authority(signer, &body)) {
            return gone(signer, detail, "its greeting is malformed");
        }
    }
    bool whole = body.len == 0 && signer_authority(signer, PROFILE_IDENTITY).len > 0 &&
                 signer_authority(signer, PROFILE_ACCESS).len > 0;
    return whole ? STATUS_OK : gone(signer, detail, "its greeting is malformed");
}

static enum status receive_hello(struct signer *signer, struct detail *detail) {
    struct channel *channel = &signer->channel[CHANNEL_COMMITTER];
    struct bytes body;
    enum status status = signer_frame_receive(channel->fd, SIGNER_HELLO, channel->reply,
                                              SIGNER_HELLO_MAX, START_TIMEOUT_MS, &body);
    return status == STATUS_OK ? copy_hello(signer, body, detail)
                               : gone(signer, detail, "it did not start");
}

/* Pages of the buffers that nobody writes to take no memory. */
static bool open_channel(struct channel *channel, size_t request_max, size_t reply_max) {
    channel->request_max = request_max;
    channel->reply_max = reply_max;
    channel->request = calloc(1, request_max);
    channel->reply = calloc(1, reply_max);
    return channel->request != NULL && channel->reply != NULL;
}

static struct signer *signer_new(const char *trust_domain) {
    struct signer *signer = calloc(1, sizeof *signer);
    if (signer == NULL) {
        return NULL;
    }
    (void)snprintf(signer->trust_domain, sizeof signer->trust_domain, "%s", trust_domain);
    for (int i = 0; i < SIGNER_CHANNELS; i++) {
        signer->channel[i].fd = -1;
        (void)pthread_mutex_init(&signer->channel[i].lock, NULL); /* cannot fail on Linux */
    }
    if (!open_channel(&signer->channel[CHANNEL_COMMITTER], SIGNER_REQUEST_MAX, SIGNER_REPLY_MAX) ||
        !open_channel(&signer->channel[CHANNEL_ANSWERS], SIGNER_ANSWERS_MAX, SIGNER_ANSWERS_MAX)) {
        signer_free(signer);
        return NULL;
    }
    return signer;
}

/* The child's ends are in `fd`. */
static bool make_channels(struct signer *signer, int fd[static SIGNER_CHANNELS]) {
    for (int i = 0; i < SIGNER_CHANNELS; i++) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
            return false;
        }
        signer->channel[i].fd = ends[0];
        fd[i] = ends[1];
    }
    return true;
}

static enum status start_child(struct signer *signer, const struct signer_options *options,
                               struct detail *detail) {
    int fd[SIGNER_CHANNELS] = {-1, -1};
    pid_t parent = getpid();
    bool made = make_channels(signer, fd);
    if (made) {
        signer->pid = fork();
        if (signer->pid == 0) {
            signer_child_run(fd, options, (int)parent);
        }
    }
    int error = errno;
    for (int i = 0; i < SIGNER_CHANNELS; i++) {
        if (fd[i] >= 0) {
            (void)close(fd[i]);
        }
    }
    if (!made || signer->pid < 0) {
        return status_fail(detail, STATUS_INTERNAL, "cannot %s the signer: %s",
                           made ? "fork" : "make channels for", strerror(error));
    }
    return receive_hello(signer, detail);
}

enum status signer_start(struct signer **out, const struct signer_options *options,
                         struct detail *detail) {
    struct signer *signer = signer_new(options->trust_domain);
    if (signer == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    enum status status = start_child(signer, options, detail);
    if (status != STATUS_OK) {
        signer_free(signer);
        return status;
    }
    *out = signer;
    return STATUS_OK;
}

/* --- exchanges ------------------------------------------------------------------------------ */

static struct writer *begin(struct channel *channel, enum signer_frame request) {
    (void)pthread_mutex_lock(&channel->lock);
    channel->out = writer_of(channel->request, channel->request_max);
    signer_frame_open(&channel->out, request);
    return &channel->out;
}

static void end(struct channel *channel) {
    (void)pthread_mutex_unlock(&channel->lock);
}

static enum status exchange(struct signer *signer, struct channel *channel, enum signer_frame reply,
                            struct bytes *body, struct detail *detail) {
    if (atomic_load(&signer->is_gone)) {
        return gone(signer, detail, "it was before");
    }
    if (signer_frame_close(&channel->out) != STATUS_OK) {
        return status_fail(detail, STATUS_LIMIT, "the request to the signer does not fit");
    }
    if (signer_frame_send(channel->fd, writer_bytes(&channel->out)) != STATUS_OK) {
        return gone(signer, detail, "its channel is closed");
    }
    if (signer_frame_receive(channel->fd, reply, channel->reply, channel->reply_max,
                             SIGN_TIMEOUT_MS, body) != STATUS_OK) {
        return gone(signer, detail, "it did not reply");
    }
    return STATUS_OK;
}

struct writer *signer_answers_begin(struct signer *signer, enum signer_frame request) {
    return begin(&signer->channel[CHANNEL_ANSWERS], request);
}

enum status signer_answers_exchange(struct signer *signer, enum signer_frame reply,
                                    struct bytes *body, struct detail *detail) {
    return exchange(signer, &signer->channel[CHANNEL_ANSWERS], reply, body, detail);
}

enum status signer_answers_malformed(struct signer *signer, struct detail *detail) {
    return gone(signer, detail, "its reply is malformed");
}

void signer_answers_end(struct signer *signer) {
    end(&signer->channel[CHANNEL_ANSWERS]);
}

/* --- certificates --------------------------------------------------------------------------- */

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

/* Who signed. */
static bool read_authorities(struct bytes *body, struct sign_job *const *jobs, size_t num) {
    char id[2][AUTHORITY_ID_SIZE]; /* by enum profile */
    for (int i = 0; i < 2; i++) {
        struct bytes raw;
        if (bytes_take(body, AUTHORITY_RAW_ID, &raw) != STATUS_OK) {
            return false;
        }
        hex_encode(id[i], raw);
    }
    for (size_t i = 0; i < num; i++) {
        memcpy(jobs[i]->authority, id[jobs[i]->profile == PROFILE_ACCESS], AUTHORITY_ID_SIZE);
    }
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
    if (!read_authorities(&body, jobs, num) || body.len != 0) {
        return gone(signer, detail, "its reply is malformed");
    }
    if (refused.text[0] != '\0') {
        detail_set(detail, "%s", refused.text);
    }
    return STATUS_OK;
}

enum status signer_sign(struct signer *signer, struct sign_job *const *jobs, size_t num,
                        struct detail *detail) {
    struct bytes body;
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
    struct channel *channel = &signer->channel[CHANNEL_COMMITTER];
    struct writer *w = begin(channel, SIGNER_REQUEST);
    write_u16be(w, (uint16_t)num);
    for (size_t i = 0; i < num; i++) {
        signer_job_write(w, jobs[i]);
    }
    enum status status = exchange(signer, channel, SIGNER_REPLY, &body, detail);
    if (status == STATUS_OK) {
        status = read_reply(signer, body, jobs, num, detail);
    }
    end(channel);
    return status;
}

/* --- checkpoints of the audit log ----------------------------------------------------------- */

static enum status read_checkpoint(struct signer *signer, struct bytes body,
                                   struct checkpoint_job *job, struct detail *detail) {
    struct bytes text = bytes_of(NULL, 0);
    if (signer_checkpoint_answer_read(body, job, &text) != STATUS_OK) {
        return gone(signer, detail, "its reply is malformed");
    }
    if (job->status != STATUS_OK) {
        detail_set(detail, "checkpoint: %.*s", (int)text.len, (const char *)text.data);
    }
    return STATUS_OK;
}

enum status signer_checkpoint(struct signer *signer, struct checkpoint_job *job,
                              struct detail *detail) {
    struct channel *channel = &signer->channel[CHANNEL_COMMITTER];
    struct bytes body;
    job->status = STATUS_INTERNAL;
    job->signature_len = 0;
    signer_checkpoint_write(begin(channel, SIGNER_CHECKPOINT), job);
    enum status status = exchange(signer, channel, SIGNER_CHECKPOINT_REPLY, &body, detail);
    if (status == STATUS_OK) {
        status = read_checkpoint(signer, body, job, detail);
    }
    end(channel);
    return status;
}

/* --- what is known of it -------------------------------------------------------------------- */

const char *signer_trust_domain(const struct signer *signer) {
    return signer->trust_domain;
}

size_t signer_authorities(const struct signer *signer, const struct signer_authority **out) {
    *out = signer->authority;
    return signer->num_authorities;
}

struct bytes signer_authority(const struct signer *signer, enum profile profile) {
    for (size_t i = 0; i < signer->num_authorities; i++) {
        if (signer->authority[i].profile == profile && signer->authority[i].signs) {
            return signer->authority[i].certificate;
        }
    }
    return bytes_of(NULL, 0);
}

int signer_pid(const struct signer *signer) {
    return (int)signer->pid;
}

void signer_free(struct signer *signer) {
    if (signer == NULL) {
        return;
    }
    for (int i = 0; i < SIGNER_CHANNELS; i++) {
        struct channel *channel = &signer->channel[i];
        if (channel->fd >= 0) {
            (void)close(channel->fd);
        }
        free(channel->request);
        free(channel->reply);
        (void)pthread_mutex_destroy(&channel->lock);
    }
    if (signer->pid > 0) {
        (void)kill(signer->pid,
                   SIGKILL); /* it keeps no state; waiting for it to notice gains nothing */
        while (waitpid(signer->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    free(signer);
}
