#include "server/credential/signer_child.h"

#include "server/base/clock.h"
#include "server/base/file.h"
#include "server/credential/checkpoint.h"
#include "server/credential/signer_wire.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { KEY_FILE_MAX = 6 << 10, CERTIFICATE_FILE_MAX = 64 << 10, CHANNEL = 3 };
/* Requests may have waited for their batch; they never come from the future. */
enum { BACKDATED_MAX_S = 600 };

struct authority {
    struct private_key *key;
    uint8_t der[CERTIFICATE_DER_MAX];
    size_t der_len;
};

struct child {
    const char *trust_domain;
    struct authority authorities[2]; /* by enum profile: IDENTITY, ACCESS */
    int64_t signed_seq;              /* the latest checkpoint's; 0: none yet */
    uint8_t signed_hash[CHECKPOINT_HASH_LEN];
    uint8_t request[SIGNER_REQUEST_MAX], reply[SIGNER_REPLY_MAX];
};

static struct issuer issuer_of(const struct authority *authority) {
    return (struct issuer){.key = authority->key,
                           .certificate = bytes_of(authority->der, authority->der_len)};
}

/* --- loading -------------------------------------------------------------------------------- */

static enum status load_key(struct authority *out, const char *path, struct detail *detail) {
    uint8_t *text;
    size_t len;
    enum status status = file_read_private(&text, &len, path, KEY_FILE_MAX, detail);
    if (status != STATUS_OK) {
        return status;
    }
    status = private_key_from_pem(&out->key, bytes_of(text, len), detail);
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
static enum status rehearse(const struct child *child, enum profile profile,
                            struct detail *detail) {
    const struct authority *authority = &child->authorities[profile];
    struct issuer issuer = issuer_of(authority);
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
    }
    return profile_issue(&out, &issuer, &request, detail);
}

static enum status load(struct child *child, const struct signer_options *options,
                        struct detail *detail) {
    struct authority *identity = &child->authorities[PROFILE_IDENTITY];
    struct authority *access = &child->authorities[PROFILE_ACCESS];
    struct public_key identity_key, access_key;
    child->trust_domain = options->trust_domain;
    enum status status = load_key(identity, options->identity_key_file, detail);
    if (status == STATUS_OK) {
        status = load_certificate(identity, options->identity_certificate_file, detail);
    }
    if (status == STATUS_OK) {
        status = load_key(access, options->access_key_file, detail);
    }
    if (status == STATUS_OK) {
        status = load_certificate(access, options->access_certificate_file, detail);
    }
    if (status == STATUS_OK) {
        status = rehearse(child, PROFILE_IDENTITY, detail);
    }
    if (status == STATUS_OK) {
        status = rehearse(child, PROFILE_ACCESS, detail);
    }
    if (status != STATUS_OK) {
        return status;
    }
    private_key_public(identity->key, &identity_key);
    private_key_public(access->key, &access_key);
    if (public_key_equal(&identity_key, &access_key)) {
        return status_fail(detail, STATUS_INVALID, "identity and access authority share one key");
    }
    return STATUS_OK;
}

/* --- serving -------------------------------------------------------------------------------- */

/* Whatever the parent sends is checked here again: it reads what devices send, and may be in
 * their hands. */
static enum status issue(const struct child *child, const struct sign_job *job, struct writer *out,
                         struct detail *detail) {
    char uri[X509_SAN_URI_MAX];
    int64_t now = clock_unix();
    if (job->profile != PROFILE_IDENTITY && job->profile != PROFILE_ACCESS) {
        return status_fail(detail, STATUS_INVALID, "the signer does not issue by the profile %s",
                           profile_name(job->profile));
    }
    if (job->not_before > now || job->not_before < now - BACKDATED_MAX_S) {
        return status_fail(detail, STATUS_INVALID, "not_before is not in the last %d s",
                           BACKDATED_MAX_S);
    }
    enum status status =
        profile_san_uri(uri, job->profile, child->trust_domain, job->device_id, detail);
    if (status != STATUS_OK) {
        return status;
    }
    struct issuer issuer = issuer_of(&child->authorities[job->profile]);
    struct certificate_request request = {.profile = job->profile,
                                          .spki = bytes_of(job->spki, job->spki_len),
                                          .common_name = job->device_id,
                                          .san_uri = uri,
                                          .not_before = job->not_before,
                                          .not_after = job->not_after};
    memcpy(request.serial, job->serial, sizeof request.serial);
    request.tier = job->tier[0] == '\0' ? NULL : job->tier;
    request.segment = job->segment[0] == '\0' ? NULL : job->segment;
    return profile_issue(out, &issuer, &request, detail);
}

static enum status answer(const struct child *child, struct bytes body, struct writer *reply) {
    uint16_t num;
    if (bytes_u16be(&body, &num) != STATUS_OK || num == 0 || num > SIGNER_BATCH_MAX) {
        return STATUS_MALFORMED;
    }
    signer_frame_open(reply, SIGNER_REPLY);
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
    return body.len == 0 ? signer_frame_close(reply) : STATUS_MALFORMED;
}

static enum status sign_checkpoint(struct child *child, struct checkpoint_job *job,
                                   struct detail *detail) {
    uint8_t text[CHECKPOINT_TEXT_MAX];
    struct writer w = writer_of(text, sizeof text);
    struct writer signature = writer_of(job->signature, sizeof job->signature);
    struct checkpoint checkpoint = {
        .trust_domain = child->trust_domain, .seq = job->seq, .time = clock_unix()};
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
    if (private_key_sign(child->authorities[PROFILE_IDENTITY].key, &signature, writer_bytes(&w)) !=
        STATUS_OK) {
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
    signer_frame_open(reply, SIGNER_CHECKPOINT_REPLY);
    signer_checkpoint_answer_write(reply, &job, detail.text);
    return signer_frame_close(reply);
}

/* Ends when the parent closes the channel, or sends what is no request. */
static int serve(int fd, struct child *child) {
    for (;;) {
        struct bytes body;
        enum signer_frame type;
        enum status status =
            signer_request_receive(fd, &type, child->request, sizeof child->request, &body);
        if (status == STATUS_END) {
            return EXIT_SUCCESS;
        }
        struct writer reply = writer_of(child->reply, sizeof child->reply);
        if (status == STATUS_OK) {
            status = type == SIGNER_REQUEST ? answer(child, body, &reply)
                                            : answer_checkpoint(child, body, &reply);
        }
        if (status != STATUS_OK || signer_frame_send(fd, writer_bytes(&reply)) != STATUS_OK) {
            return EXIT_FAILURE;
        }
    }
}

static enum status say_hello(int fd, const struct child *child, enum status status,
                             const char *text) {
    uint8_t buffer[SIGNER_HELLO_MAX];
    struct writer w = writer_of(buffer, sizeof buffer);
    size_t text_len = strnlen(text, SIGNER_TEXT_MAX);
    signer_frame_open(&w, SIGNER_HELLO);
    write_u8(&w, (uint8_t)status);
    write_u16be(&w, (uint16_t)text_len);
    write_bytes(&w, bytes_of(text, text_len));
    for (size_t i = 0; i < 2; i++) {
        const struct authority *authority = child == NULL ? NULL : &child->authorities[i];
        size_t len = authority == NULL ? 0 : authority->der_len;
        write_u16be(&w, (uint16_t)len);
        write_bytes(&w, bytes_of(len == 0 ? NULL : authority->der, len));
    }
    enum status closed = signer_frame_close(&w);
    return closed == STATUS_OK ? signer_frame_send(fd, writer_bytes(&w)) : closed;
}

/* Nothing of the parent's stays but the channel; signals for the whole gateway leave us to our
 * parent, which has requests to finish: its end is ours. */
static bool leave_parent(int *fd, int parent_pid) {
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        (void)signal(ignored[i], SIG_IGN);
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent_pid) {
        return false;
    }
    if (*fd != CHANNEL && dup2(*fd, CHANNEL) < 0) {
        return false;
    }
    *fd = CHANNEL;
    return close_range(0, CHANNEL - 1, 0) == 0 && close_range(CHANNEL + 1, ~0u, 0) == 0;
}

_Noreturn void signer_child_run(int fd, const struct signer_options *options, int parent_pid) {
    struct detail detail = {0};
    struct child *child = calloc(1, sizeof *child);
    if (!leave_parent(&fd, parent_pid)) {
        _exit(EXIT_FAILURE);
    }
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* signer_confine insists on it */
    enum status status = child == NULL ? status_fail(&detail, STATUS_MEMORY, "out of memory")
                                       : load(child, options, &detail);
    if (status == STATUS_OK) {
        status = signer_confine(&detail);
    }
    enum status sent = say_hello(fd, child, status, detail.text);
    _exit(status == STATUS_OK && sent == STATUS_OK ? serve(fd, child) : EXIT_FAILURE);
}
