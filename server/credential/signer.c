#include "server/credential/signer.h"

#include "server/base/clock.h"
#include "server/base/encoding.h"
#include "server/credential/signer_exchange.h"
#include "server/credential/signer_keeper.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

/* Those of a time: from then to `until` nothing changes. Kept to the end of the signer. */
struct roster {
    struct roster *before;
    int64_t until;
    size_t num;
    struct signer_authority authority[SIGNER_AUTHORITIES_MAX];
    uint8_t der[SIGNER_AUTHORITIES_MAX][CERTIFICATE_DER_MAX];
};

struct rosters {
    pthread_mutex_t lock; /* of who puts a new one */
    _Atomic(struct roster *) current;
};

struct signer {
    char trust_domain[256];
    struct keeper keeper;
    _Atomic int pid;
    _Atomic bool is_gone;
    pthread_mutex_t reload;
    struct channel channel[SIGNER_CHANNELS];
    struct rosters *rosters; /* beside: they follow the time whoever looks */
};

static enum status gone(struct signer *signer, struct detail *detail, const char *what) {
    atomic_store(&signer->is_gone, true);
    return status_fail(detail, STATUS_INTERNAL, "the signer is gone: %s", what);
}

/* --- the start ------------------------------------------------------------------------------ */

static bool id_of(char out[static AUTHORITY_ID_SIZE], struct bytes der,
                  struct certificate *certificate) {
    uint8_t sha256[32];
    if (certificate_parse(certificate, der, NULL) != STATUS_OK ||
        public_key_spki_sha256(sha256, &certificate->key) != STATUS_OK) {
        return false;
    }
    hex_encode(out, bytes_of(sha256, AUTHORITY_RAW_ID));
    return true;
}

static bool read_authority(struct roster *roster, struct bytes *body) {
    struct signer_authority *authority = &roster->authority[roster->num];
    struct certificate certificate;
    uint8_t profile, *copy = roster->der[roster->num];
    uint64_t signs_from, retires;
    struct bytes der;
    if (bytes_u8(body, &profile) != STATUS_OK || bytes_u64be(body, &signs_from) != STATUS_OK ||
        bytes_u64be(body, &retires) != STATUS_OK || bytes_u16be_prefixed(body, &der) != STATUS_OK ||
        profile > PROFILE_ACCESS || signs_from > INT64_MAX || retires > INT64_MAX ||
        der.len > CERTIFICATE_DER_MAX || !id_of(authority->id, der, &certificate)) {
        return false;
    }
    memcpy(copy, der.data, der.len);
    authority->profile = (enum profile)profile;
    authority->certificate = bytes_of(copy, der.len);
    authority->signs_from = (int64_t)signs_from;
    authority->retires = (int64_t)retires;
    authority->not_after = retires != 0 && authority->retires < certificate.not_after
                               ? authority->retires
                               : certificate.not_after;
    roster->num++;
    return true;
}

/* The child's greeting, as it came: who signs is not yet told. */
static enum status read_hello(struct roster *roster, struct bytes body, struct detail *detail) {
    struct bytes text;
    uint8_t status, num;
    if (bytes_u8(&body, &status) != STATUS_OK || bytes_u16be_prefixed(&body, &text) != STATUS_OK) {
        return status_fail(detail, STATUS_INTERNAL, "its greeting is malformed");
    }
    if (status != STATUS_OK) {
        return status_fail(detail,
                           status <= STATUS_INTERNAL ? (enum status)status : STATUS_INTERNAL,
                           "%.*s", (int)text.len, (const char *)text.data);
    }
    if (bytes_u8(&body, &num) != STATUS_OK || num > SIGNER_AUTHORITIES_MAX) {
        return status_fail(detail, STATUS_INTERNAL, "its greeting is malformed");
    }
    for (size_t i = 0; i < num; i++) {
        if (!read_authority(roster, &body)) {
            return status_fail(detail, STATUS_INTERNAL, "its greeting is malformed");
        }
    }
    bool whole = body.len == 0 && num >= 2 && roster->authority[0].profile == PROFILE_IDENTITY;
    return whole ? STATUS_OK : status_fail(detail, STATUS_INTERNAL, "its greeting is malformed");
}

static enum status receive_hello(int fd, struct roster *roster, struct detail *detail) {
    struct bytes body;
    uint8_t *buffer = malloc(SIGNER_HELLO_MAX);
    if (buffer == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    enum status status =
        signer_frame_receive(fd, SIGNER_HELLO, buffer, SIGNER_HELLO_MAX, START_TIMEOUT_MS, &body);
    status = status == STATUS_OK
                 ? read_hello(roster, body, detail)
                 : status_fail(detail, STATUS_INTERNAL, "the signer is gone: it did not start");
    free(buffer);
    return status;
}

/* --- rosters -------------------------------------------------------------------------------- */

static int place_of(const struct signer_authority *authority, int64_t now) {
    return authority->signs ? 0 : authority->signs_from > now ? 1 : 2;
}

static void copy_authority(struct roster *to, const struct signer_authority *from) {
    memcpy(to->der[to->num], from->certificate.data, from->certificate.len);
    to->authority[to->num] = *from;
    to->authority[to->num].certificate = bytes_of(to->der[to->num], from->certificate.len);
    to->num++;
}

/* Of all those there are, what is so at `now`: of each profile the latest that is not to come signs. */
static void roster_at(struct roster *out, const struct roster *all, int64_t now) {
    const struct signer_authority *signing[2] = {NULL, NULL};
    struct signer_authority copy[SIGNER_AUTHORITIES_MAX];
    out->num = 0;
    out->until = INT64_MAX;
    for (size_t i = 0; i < all->num; i++) {
        const struct signer_authority *a = &all->authority[i];
        const struct signer_authority **at = &signing[a->profile];
        const int64_t times[] = {a->signs_from, a->retires};
        if (a->signs_from <= now && (*at == NULL || a->signs_from > (*at)->signs_from)) {
            *at = a;
        }
        for (size_t t = 0; t < 2; t++) {
            out->until = times[t] > now && times[t] < out->until ? times[t] : out->until;
        }
    }
    for (size_t i = 0; i < all->num; i++) {
        copy[i] = all->authority[i];
        copy[i].signs = &all->authority[i] == signing[copy[i].profile];
    }
    for (int place = 0; place < 3; place++) {
        for (size_t i = 0; i < all->num; i++) {
            bool retired = copy[i].retires != 0 && now >= copy[i].retires;
            if (!retired && place_of(&copy[i], now) == place) {
                copy_authority(out, &copy[i]);
            }
        }
    }
}

static bool same_roster(const struct roster *a, const struct roster *b) {
    bool same = a->num == b->num;
    for (size_t i = 0; same && i < a->num; i++) {
        const struct signer_authority *x = &a->authority[i], *y = &b->authority[i];
        same = x->signs == y->signs && x->signs_from == y->signs_from && x->retires == y->retires &&
               bytes_equal(x->certificate, y->certificate);
    }
    return same;
}

/* What holds now of `all`, into `fresh`, which is from calloc and taken over. Under the lock. */
static void put_roster(struct rosters *rosters, struct roster *fresh, const struct roster *all) {
    struct roster *before = atomic_load(&rosters->current);
    roster_at(fresh, all, clock_unix());
    if (before != NULL && same_roster(before, fresh)) {
        free(fresh); /* who compares pointers sees that nothing changed */
        return;
    }
    fresh->before = before;
    atomic_store(&rosters->current, fresh);
}

static const struct roster *current_roster(const struct signer *signer) {
    struct rosters *rosters = signer->rosters;
    const struct roster *current = atomic_load(&rosters->current);
    if (clock_unix() < current->until) {
        return current;
    }
    (void)pthread_mutex_lock(&rosters->lock);
    current = atomic_load(&rosters->current);
    struct roster *fresh = clock_unix() < current->until ? NULL : calloc(1, sizeof *fresh);
    if (fresh != NULL) { /* else: the child knows by itself; somebody asks again soon */
        put_roster(rosters, fresh, current);
        current = atomic_load(&rosters->current);
    }
    (void)pthread_mutex_unlock(&rosters->lock);
    return current;
}

static void rosters_free(struct rosters *rosters) {
    if (rosters == NULL) {
        return;
    }
    struct roster *roster = atomic_load(&rosters->current);
    while (roster != NULL) {
        struct roster *before = roster->before;
        free(roster);
        roster = before;
    }
    (void)pthread_mutex_destroy(&rosters->lock);
    free(rosters);
}

/* --- starting and reloading ----------------------------------------------------------------- */

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
    signer->keeper.fd = -1;
    (void)pthread_mutex_init(&signer->reload, NULL);
    for (int i = 0; i < SIGNER_CHANNELS; i++) {
        signer->channel[i].fd = -1;
        (void)pthread_mutex_init(&signer->channel[i].lock, NULL); /* cannot fail on Linux */
    }
    signer->rosters = calloc(1, sizeof *signer->rosters);
    if (signer->rosters != NULL) {
        (void)pthread_mutex_init(&signer->rosters->lock, NULL);
    }
    if (signer->rosters == NULL ||
        !open_channel(&signer->channel[CHANNEL_COMMITTER], SIGNER_REQUEST_MAX, SIGNER_REPLY_MAX) ||
        !open_channel(&signer->channel[CHANNEL_ANSWERS], SIGNER_ANSWERS_MAX, SIGNER_ANSWERS_MAX)) {
        signer_free(signer);
        return NULL;
    }
    return signer;
}

/* A child that has greeted, and is not yet in force. */
struct successor {
    int fd[SIGNER_CHANNELS]; /* our ends; -1: none */
    int pid;
    struct roster *roster; /* malloc'd: as it greeted */
};

static void successor_free(struct successor *successor) {
    for (int i = 0; i < SIGNER_CHANNELS; i++) {
        if (successor->fd[i] >= 0) {
            (void)close(successor->fd[i]);
        }
    }
    free(successor->roster);
}

static enum status fork_successor(const struct signer *signer, struct successor *out,
                                  struct detail *detail) {
    int theirs[SIGNER_CHANNELS] = {-1, -1};
    enum status status = STATUS_OK;
    for (int i = 0; i < SIGNER_CHANNELS && status == STATUS_OK; i++) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
            status = status_fail(detail, STATUS_INTERNAL, "no socketpair for the signer: %s",
                                 strerror(errno));
            break;
        }
        out->fd[i] = ends[0];
        theirs[i] = ends[1];
    }
    if (status == STATUS_OK) {
        status = keeper_fork(&signer->keeper, &out->pid, theirs, detail);
    }
    for (int i = 0; i < SIGNER_CHANNELS; i++) {
        if (theirs[i] >= 0) {
            (void)close(theirs[i]);
        }
    }
    return status;
}

static enum status greet_successor(const struct signer *signer, struct successor *successor,
                                   struct detail *detail) {
    successor->roster = calloc(1, sizeof *successor->roster);
    if (successor->roster == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    enum status status = receive_hello(successor->fd[CHANNEL_COMMITTER], successor->roster, detail);
    const struct roster *now = atomic_load(&signer->rosters->current);
    if (status == STATUS_OK && now != NULL &&
        !bytes_equal(signer_authority(signer, PROFILE_IDENTITY),
                     successor->roster->authority[0].certificate)) {
        return status_fail(detail, STATUS_INVALID,
                           "the identity authority is another one: that takes a restart");
    }
    return status;
}

/* Nobody exchanges anything meanwhile. */
static enum status change_over(struct signer *signer, struct successor *successor,
                               struct detail *detail) {
    struct roster *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    for (int i = SIGNER_CHANNELS - 1; i >= 0; i--) { /* the committer waits last */
        (void)pthread_mutex_lock(&signer->channel[i].lock);
    }
    enum status status = keeper_adopt(&signer->keeper, detail);
    for (int i = 0; i < SIGNER_CHANNELS && status == STATUS_OK; i++) {
        int old = signer->channel[i].fd;
        signer->channel[i].fd = successor->fd[i];
        successor->fd[i] = old;
    }
    if (status == STATUS_OK) {
        (void)pthread_mutex_lock(&signer->rosters->lock);
        put_roster(signer->rosters, fresh, successor->roster);
        (void)pthread_mutex_unlock(&signer->rosters->lock);
        atomic_store(&signer->pid, successor->pid);
    } else {
        free(fresh);
    }
    for (int i = 0; i < SIGNER_CHANNELS; i++) {
        (void)pthread_mutex_unlock(&signer->channel[i].lock);
    }
    return status;
}

static enum status start_child(struct signer *signer, struct detail *detail) {
    struct successor successor = {.fd = {-1, -1}};
    enum status status = fork_successor(signer, &successor, detail);
    if (status == STATUS_OK) {
        status = greet_successor(signer, &successor, detail);
    }
    if (status == STATUS_OK) {
        status = change_over(signer, &successor, detail);
    }
    successor_free(&successor);
    return status;
}

enum status signer_start(struct signer **out, const struct signer_options *options,
                         struct detail *detail) {
    struct signer *signer = signer_new(options->trust_domain);
    if (signer == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    enum status status = keeper_start(&signer->keeper, options, detail);
    if (status == STATUS_OK) {
        status = start_child(signer, detail);
    }
    if (status != STATUS_OK) {
        signer_free(signer);
        return status;
    }
    *out = signer;
    return STATUS_OK;
}

enum status signer_reload(struct signer *signer, struct detail *detail) {
    if (atomic_load(&signer->is_gone)) {
        return gone(signer, detail, "it was before");
    }
    (void)pthread_mutex_lock(&signer->reload);
    enum status status = start_child(signer, detail);
    (void)pthread_mutex_unlock(&signer->reload);
    return status;
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
    const struct roster *roster = current_roster(signer);
    *out = roster->authority;
    return roster->num;
}

struct bytes signer_authority(const struct signer *signer, enum profile profile) {
    const struct roster *roster = current_roster(signer);
    for (size_t i = 0; i < roster->num; i++) {
        if (roster->authority[i].profile == profile && roster->authority[i].signs) {
            return roster->authority[i].certificate;
        }
    }
    return bytes_of(NULL, 0);
}

int64_t signer_next_change(const struct signer *signer) {
    return current_roster(signer)->until;
}

int signer_pid(const struct signer *signer) {
    return atomic_load(&signer->pid);
}

bool signer_has_ended(const struct signer *signer) {
    return keeper_has_ended(&signer->keeper);
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
    keeper_end(&signer->keeper);
    rosters_free(signer->rosters);
    (void)pthread_mutex_destroy(&signer->reload);
    free(signer);
}
