#include "server/credential/signer_child.h"

#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/credential/epochs.h"
#include "server/credential/signer_crl_wire.h"
#include "server/credential/signer_jws.h"
#include "server/credential/signer_keeper.h"
#include "server/credential/signer_token.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    KEY_FILE_MAX = 6 << 10,
    CERTIFICATE_FILE_MAX = 64 << 10,
    FIRST_CHANNEL = 0,
    KEEPER = SIGNER_CHANNELS
};
/* Requests may have waited for their batch; they never come from the future. */
enum { BACKDATED_MAX_S = 600 };

const struct authority *child_authority(const struct child *child, enum profile profile) {
    const struct authority *found = NULL;
    for (size_t i = 0; i < child->num_authorities; i++) { /* later epochs come later */
        const struct authority *authority = &child->authority[i];
        if (authority->profile == profile && authority->signs_from <= child->now) {
            found = authority;
        }
    }
    return found;
}

const struct authority *child_authority_by_id(const struct child *child,
                                              const uint8_t id[static AUTHORITY_RAW_ID]) {
    for (size_t i = 0; i < child->num_authorities; i++) {
        const struct authority *authority = &child->authority[i];
        if (memcmp(authority->id, id, AUTHORITY_RAW_ID) == 0) {
            bool retired = authority->retires != 0 && child->now >= authority->retires;
            return retired ? NULL : authority;
        }
    }
    return NULL;
}

struct issuer authority_issuer(const struct authority *authority) {
    return (struct issuer){.key = authority->key,
                           .certificate = bytes_of(authority->der, authority->der_len)};
}

/* --- loading -------------------------------------------------------------------------------- */

enum status child_read_key(struct private_key **out, const char *path, struct detail *detail) {
    uint8_t *text;
    size_t len;
    enum status status = file_read_private(&text, &len, path, KEY_FILE_MAX, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = private_key_from_pem(out, bytes_of(text, len), detail);
    if (status != STATUS_OK) {
        detail_prefix(detail, "%s", path);
    }
    bytes_wipe(text, len);
    free(text);
    return status;
}

static enum status load_certificate(struct authority *out, const char *path,
                                    struct detail *detail) {
    uint8_t *text;
    size_t len, num;
    struct bytes der;
    struct arena arena;
    enum status status = file_read(&text, &len, path, CERTIFICATE_FILE_MAX, detail);
    if (status != STATUS_OK) {
        return status;
    }
    arena_init(&arena, 2 * CERTIFICATE_FILE_MAX);
    status = pem_certificates(&arena, &der, &num, 1, bytes_of(text, len), detail);
    if (status == STATUS_OK && der.len > sizeof out->der) {
        status = status_fail(detail, STATUS_LIMIT, "a certificate of %zu bytes", der.len);
    }
    if (status == STATUS_OK) {
        memcpy(out->der, der.data, der.len);
        out->der_len = der.len;
    } else {
        detail_prefix(detail, "%s", path);
    }
    arena_free(&arena);
    free(text);
    return status;
}

/* Issues a certificate for its own key and throws it away: proves that key, certificate and
 * profile go together, and brings whatever the libraries load late (the time zone, for one) in
 * before the doors close. */
static enum status rehearse(const struct child *child, const struct authority *authority,
                            struct detail *detail) {
    enum profile profile = authority->profile;
    struct issuer issuer = authority_issuer(authority);
    struct public_key key;
    uint8_t spki[KEY_SPKI_MAX], der[CERTIFICATE_DER_MAX];
    char uri[X509_SAN_URI_MAX];
    static const char nobody[] = "00000000000000000000000000000000";
    struct writer spki_writer = writer_of(spki, sizeof spki), out = writer_of(der, sizeof der);
    int64_t now = clock_unix();
    private_key_public(authority->key, &key);
    enum status status = public_key_to_spki(&spki_writer, &key);
    if (status == STATUS_OK) {
        status = profile_san_uri(uri, profile, child->trust_domain, nobody, detail);
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct certificate_request request = {.profile = profile,
                                          .spki = writer_bytes(&spki_writer),
                                          .common_name = nobody,
                                          .san_uri = uri,
                                          .not_before = now,
                                          .not_after = now + 300,
                                          .serial = {1}};
    if (profile == PROFILE_ACCESS) {
        request.tier = "identified";
        request.public_url = child->public_url;
    }
    return profile_issue(&out, &issuer, &request, detail);
}

/* `token`: its key, when that is on one. */
static enum status load_authority(struct child *child, enum profile profile,
                                  const struct epoch *epoch, struct private_key *token,
                                  struct detail *detail) {
    struct authority *authority = &child->authority[child->num_authorities];
    struct public_key key;
    uint8_t sha256[32];
    *authority = (struct authority){
        .profile = profile, .key = token, .signs_from = epoch->signs, .retires = epoch->retires};
    enum status status =
        token == NULL ? child_read_key(&authority->key, epoch->key, detail) : STATUS_OK;
    if (status == STATUS_OK) {
        status = load_certificate(authority, epoch->certificate, detail);
    }
    if (status != STATUS_OK) {
        return status;
    }
    private_key_public(authority->key, &key);
    if (public_key_spki_sha256(sha256, &key) != STATUS_OK) {
        return status_fail(detail, STATUS_INTERNAL, "%s: its key has no SPKI", epoch->certificate);
    }
    memcpy(authority->id, sha256, sizeof authority->id);
    for (size_t i = 0; i < child->num_authorities; i++) {
        const struct authority *other = &child->authority[i];
        if (memcmp(other->id, authority->id, AUTHORITY_RAW_ID) == 0) {
            return status_fail(detail, STATUS_INVALID,
                               other->profile != profile
                                   ? "identity and access authority share one key"
                                   : "two epochs of the access authority share one key");
        }
    }
    child->num_authorities++;
    return STATUS_OK;
}

/* What is not retired. Without a list, what the configuration names is the one epoch. */
static enum status read_epochs(struct epochs *out, struct arena *arena,
                               const struct signer_options *options, int64_t now,
                               struct detail *detail) {
    struct epochs all = {.epoch[0] = {.key = options->access_key_file,
                                      .certificate = options->access_certificate_file},
                         .num = 1};
    enum status status = STATUS_NOT_FOUND;
    if (options->access_authorities_file != NULL) {
        status = epochs_read(&all, arena, options->access_authorities_file, detail);
    }
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return status;
    }
    detail_set(detail, "%s", "");
    out->num = 0;
    for (size_t i = 0; i < all.num; i++) {
        if (epochs_state(&all, i, now) != EPOCH_RETIRED) {
            out->epoch[out->num++] = all.epoch[i];
        }
    }
    return STATUS_OK;
}

/* Keys on tokens first: their processes come of this one, and nothing is to be in it yet. */
static enum status load_authorities(struct child *child, const struct signer_options *options,
                                    const struct epochs *epochs, struct detail *detail) {
    const struct epoch identity = {.key = options->identity_key_file,
                                   .certificate = options->identity_certificate_file};
    struct private_key *token[EPOCHS_MAX] = {NULL};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < epochs->num && status == STATUS_OK; i++) {
        if (epoch_key_is_uri(epochs->epoch[i].key)) {
            status = token_key(&token[i], epochs->epoch[i].key, detail);
        }
    }
    if (status == STATUS_OK) {
        status = load_authority(child, PROFILE_IDENTITY, &identity, NULL, detail);
    }
    for (size_t i = 0; i < epochs->num && status == STATUS_OK; i++) {
        status = load_authority(child, PROFILE_ACCESS, &epochs->epoch[i], token[i], detail);
    }
    if (status == STATUS_OK && child_authority(child, PROFILE_ACCESS) == NULL) {
        return status_fail(detail, STATUS_INVALID, "%s: no authority signs yet",
                           options->access_authorities_file);
    }
    return status;
}

static enum status load(struct child *child, const struct signer_options *options,
                        struct detail *detail) {
    struct arena arena;
    struct epochs epochs;
    child->trust_domain = options->trust_domain;
    child->public_url = options->public_url;
    child->now = clock_unix();
    arena_init(&arena, EPOCHS_ARENA);
    enum status status = read_epochs(&epochs, &arena, options, child->now, detail);
    if (status == STATUS_OK) {
        status = load_authorities(child, options, &epochs, detail);
    }
    arena_free(&arena);
    for (size_t i = 0; i < child->num_authorities && status == STATUS_OK; i++) {
        status = rehearse(child, &child->authority[i], detail);
    }
    if (status == STATUS_OK) {
        status = child_ocsp_new(&child->ocsp, detail);
    }
    return status == STATUS_OK ? jws_child_load(child, &options->jws, detail) : status;
}

/* --- serving -------------------------------------------------------------------------------- */

/* Whatever the parent sends is checked here again: it reads what devices send, and may be in
 * their hands. */
static enum status issue(const struct child *child, const struct sign_job *job, struct writer *out,
                         struct detail *detail) {
    char uri[X509_SAN_URI_MAX];
    int64_t now = child->now;
    const struct authority *authority = child_authority(child, job->profile);
    if (job->profile != PROFILE_IDENTITY && job->profile != PROFILE_ACCESS) {
        return status_fail(detail, STATUS_INVALID, "the signer does not issue by the profile %s",
                           profile_name(job->profile));
    }
    if (job->not_before > now || job->not_before < now - BACKDATED_MAX_S) {
        return status_fail(detail, STATUS_INVALID, "not_before is not in the last %d s",
                           BACKDATED_MAX_S);
    }
    if (authority == NULL) {
        return status_fail(detail, STATUS_INVALID, "no authority signs yet");
    }
    if (authority->retires != 0 && job->not_after > authority->retires) {
        return status_fail(detail, STATUS_INVALID, "not_after is after the authority is retired");
    }
    enum status status =
        profile_san_uri(uri, job->profile, child->trust_domain, job->device_id, detail);
    if (status != STATUS_OK) {
        return status;
    }
    struct issuer issuer = authority_issuer(authority);
    struct certificate_request request = {.profile = job->profile,
                                          .spki = bytes_of(job->spki, job->spki_len),
                                          .common_name = job->device_id,
                                          .san_uri = uri,
                                          .not_before = job->not_before,
                                          .not_after = job->not_after};
    memcpy(request.serial, job->serial, sizeof request.serial);
    request.tier = job->tier[0] == '\0' ? NULL : job->tier;
    request.segment = job->segment[0] == '\0' ? NULL : job->segment;
    request.public_url = job->profile == PROFILE_ACCESS ? child->public_url : NULL;
    return profile_issue(out, &issuer, &request, detail);
}

static enum status answer(struct child *child, struct bytes body, struct writer *reply) {
    uint16_t num;
    if (bytes_u16be(&body, &num) != STATUS_OK || num == 0 || num > SIGNER_BATCH_MAX) {
        return STATUS_MALFORMED;
    }
    write_u16be(reply, num);
    for (uint16_t i = 0; i < num; i++) {
        struct sign_job job = {0};
        struct detail detail = {0};
        struct writer der = writer_of(job.der, sizeof job.der);
        enum status status = signer_job_read(&body, &job);
        if (status != STATUS_OK) {
            return status;
        }
        status = issue(child, &job, &der, &detail);
        signer_answer_write(reply, status, writer_bytes(&der), detail.text);
    }
    for (enum profile profile = PROFILE_IDENTITY; profile <= PROFILE_ACCESS; profile++) {
        static const uint8_t nobody[AUTHORITY_RAW_ID];
        const struct authority *authority = child_authority(child, profile);
        write_bytes(reply, bytes_of(authority == NULL ? nobody : authority->id, AUTHORITY_RAW_ID));
    }
    return body.len == 0 ? STATUS_OK : STATUS_MALFORMED;
}

static enum status sign_checkpoint(struct child *child, struct checkpoint_job *job,
                                   struct detail *detail) {
    uint8_t text[CHECKPOINT_TEXT_MAX];
    struct writer w = writer_of(text, sizeof text);
    struct writer signature = writer_of(job->signature, sizeof job->signature);
    struct checkpoint checkpoint = {
        .trust_domain = child->trust_domain, .seq = job->seq, .time = child->now};
    memcpy(checkpoint.hash, job->hash, sizeof checkpoint.hash);
    if (job->seq < child->signed_seq) {
        return status_fail(detail, STATUS_INVALID, "entry %lld after entry %lld",
                           (long long)job->seq, (long long)child->signed_seq);
    }
    if (job->seq == child->signed_seq &&
        memcmp(job->hash, child->signed_hash, sizeof job->hash) != 0) {
        return status_fail(detail, STATUS_INVALID, "entry %lld had another hash",
                           (long long)job->seq);
    }
    if (checkpoint_text(&w, &checkpoint) != STATUS_OK) {
        return status_fail(detail, STATUS_INVALID, "no such entry");
    }
    if (private_key_sign(child_authority(child, PROFILE_IDENTITY)->key, &signature,
                         writer_bytes(&w)) != STATUS_OK) {
        return status_fail(detail, STATUS_INTERNAL, "the key does not sign");
    }
    child->signed_seq = job->seq;
    memcpy(child->signed_hash, job->hash, sizeof child->signed_hash);
    job->time = checkpoint.time;
    job->signature_len = signature.len;
    return STATUS_OK;
}

static enum status answer_checkpoint(struct child *child, struct bytes body, struct writer *reply) {
    struct checkpoint_job job = {0};
    struct detail detail = {0};
    enum status status = signer_checkpoint_read(body, &job);
    if (status != STATUS_OK) {
        return status;
    }
    job.status = sign_checkpoint(child, &job, &detail);
    signer_checkpoint_answer_write(reply, &job, detail.text);
    return STATUS_OK;
}

static const struct signer_handler handlers[] = {
    {CHANNEL_COMMITTER, SIGNER_REQUEST, SIGNER_REPLY, answer},
    {CHANNEL_COMMITTER, SIGNER_CHECKPOINT, SIGNER_CHECKPOINT_REPLY, answer_checkpoint},
    {CHANNEL_ANSWERS, SIGNER_OCSP, SIGNER_OCSP_REPLY, child_ocsp_answer},
    {CHANNEL_ANSWERS, SIGNER_CRL, SIGNER_CRL_REPLY, signer_crl_answer},
    {CHANNEL_ANSWERS, SIGNER_JWS, SIGNER_JWS_REPLY, jws_child_sign},
    {CHANNEL_ANSWERS, SIGNER_JWS_KEYS, SIGNER_JWS_KEYS_REPLY, jws_child_keys},
};
enum { NUM_HANDLERS = sizeof handlers / sizeof handlers[0] };

struct desk { /* where frames are read and written */
    uint8_t request[SIGNER_ANSWERS_MAX], reply[SIGNER_ANSWERS_MAX];
};

static unsigned types_of(enum signer_channel channel) {
    unsigned types = 0;
    for (size_t i = 0; i < NUM_HANDLERS; i++) {
        types |= handlers[i].channel == channel ? 1U << handlers[i].request : 0;
    }
    return types;
}

static const struct signer_handler *handler_of(enum signer_frame type) {
    size_t i = 0;
    while (handlers[i].request != type) {
        i++; /* types_of let nothing else in */
    }
    return &handlers[i];
}

/* One frame. END: the channel was closed. */
static enum status serve_one(int fd, enum signer_channel channel, struct child *child,
                             struct desk *desk) {
    struct bytes body;
    enum signer_frame type;
    size_t cap = channel == CHANNEL_COMMITTER ? (size_t)SIGNER_REQUEST_MAX : sizeof desk->request;
    enum status status =
        signer_request_receive(fd, types_of(channel), &type, desk->request, cap, &body);
    if (status != STATUS_OK) {
        return status;
    }
    child->now = clock_unix();
    const struct signer_handler *handler = handler_of(type);
    struct writer reply = writer_of(desk->reply, sizeof desk->reply);
    signer_frame_open(&reply, handler->reply);
    status = handler->answer(child, body, &reply);
    if (status == STATUS_OK) {
        status = signer_frame_close(&reply);
    }
    return status == STATUS_OK ? signer_frame_send(fd, writer_bytes(&reply)) : status;
}

static void give_state(const struct child *child, struct signer_state *out) {
    *out = (struct signer_state){.signed_seq = child->signed_seq};
    memcpy(out->signed_hash, child->signed_hash, sizeof out->signed_hash);
    for (size_t i = 0; i < child->num_authorities; i++) {
        memcpy(out->crl[i].authority, child->authority[i].id, AUTHORITY_RAW_ID);
        out->crl[i].number = child->authority[i].crl_number;
    }
}

static void take_state(struct child *child, const struct signer_state *state) {
    child->signed_seq = state->signed_seq;
    memcpy(child->signed_hash, state->signed_hash, sizeof child->signed_hash);
    for (size_t i = 0; i < SIGNER_AUTHORITIES_MAX; i++) {
        for (size_t j = 0; j < child->num_authorities; j++) {
            if (memcmp(state->crl[i].authority, child->authority[j].id, AUTHORITY_RAW_ID) == 0) {
                child->authority[j].crl_number = state->crl[i].number;
            }
        }
    }
}

/* The keeper asks for the state, for the one that takes over: END, for both never sign at one time. Or
 * it gives that of the one before. */
static enum status serve_keeper(struct child *child) {
    union {
        uint8_t ask;
        struct signer_state state;
    } got;
    struct signer_state state;
    ssize_t n = read(KEEPER, &got, sizeof got);
    if (n == (ssize_t)sizeof got.state) {
        take_state(child, &got.state);
        return STATUS_OK;
    }
    if (n != 1 || got.ask != KEEPER_HAND_OVER) {
        return STATUS_INTERNAL;
    }
    give_state(child, &state);
    return signer_frame_send(KEEPER, bytes_of(&state, sizeof state)) == STATUS_OK ? STATUS_END
                                                                                  : STATUS_INTERNAL;
}

/* The keeper's before all, then the committer's: everybody's credentials wait for it. Ends when the
 * parent closes a channel, or sends what is no request. */
static int serve(struct child *child, struct desk *desk) {
    for (;;) {
        struct pollfd fds[SIGNER_CHANNELS + 1];
        for (int i = 0; i <= SIGNER_CHANNELS; i++) {
            fds[i] = (struct pollfd){.fd = FIRST_CHANNEL + i, .events = POLLIN};
        }
        if (poll(fds, SIGNER_CHANNELS + 1, -1) < 0) {
            if (errno == EINTR) {
                continue;
            }
            return EXIT_FAILURE;
        }
        enum signer_channel channel =
            fds[CHANNEL_COMMITTER].revents != 0 ? CHANNEL_COMMITTER : CHANNEL_ANSWERS;
        enum status status = fds[KEEPER].revents != 0
                                 ? serve_keeper(child)
                                 : serve_one(fds[channel].fd, channel, child, desk);
        if (status != STATUS_OK) {
            return status == STATUS_END ? EXIT_SUCCESS : EXIT_FAILURE;
        }
    }
}

static enum status say_hello(const struct child *child, struct desk *desk, enum status status,
                             const char *text) {
    struct writer w = writer_of(desk->reply, SIGNER_HELLO_MAX);
    size_t text_len = strnlen(text, SIGNER_TEXT_MAX);
    signer_frame_open(&w, SIGNER_HELLO);
    write_u8(&w, (uint8_t)status);
    write_u16be(&w, (uint16_t)text_len);
    write_bytes(&w, bytes_of(text, text_len));
    write_u8(&w, (uint8_t)child->num_authorities);
    for (size_t i = 0; i < child->num_authorities; i++) {
        const struct authority *authority = &child->authority[i];
        write_u8(&w, (uint8_t)authority->profile);
        write_u64be(&w, (uint64_t)authority->signs_from);
        write_u64be(&w, (uint64_t)authority->retires);
        write_u16be(&w, (uint16_t)authority->der_len);
        write_bytes(&w, bytes_of(authority->der, authority->der_len));
    }
    enum status closed = signer_frame_close(&w);
    return closed == STATUS_OK ? signer_frame_send(FIRST_CHANNEL, writer_bytes(&w)) : closed;
}

_Noreturn void signer_child_run(const int fd[static SIGNER_CHANNELS], int keeper_fd,
                                const struct signer_options *options, int keeper_pid) {
    const int kept[] = {
        [CHANNEL_COMMITTER] = fd[0], [CHANNEL_ANSWERS] = fd[1], [KEEPER] = keeper_fd};
    struct detail detail = {0};
    struct child *child = calloc(1, sizeof *child);
    struct desk *desk = calloc(1, sizeof *desk); /* pages that nobody writes to take no memory */
    if (child == NULL || desk == NULL ||
        !signer_detach(kept, sizeof kept / sizeof kept[0], keeper_pid)) {
        _exit(EXIT_FAILURE);
    }
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* signer_confine insists on it */
    enum status status = load(child, options, &detail);
    if (status == STATUS_OK) {
        status = signer_confine(&detail);
    }
    if (status != STATUS_OK) {
        child->num_authorities = 0;
    }
    enum status sent = say_hello(child, desk, status, detail.text);
    _exit(status == STATUS_OK && sent == STATUS_OK ? serve(child, desk) : EXIT_FAILURE);
}
