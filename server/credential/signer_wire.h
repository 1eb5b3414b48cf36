/* What parent and child of the signer say to each other: frames on a stream socket, big-endian.
 *
 *   frame    u32 length of what follows, u8 version, u8 type, body
 *   hello    u8 status, u16+text, u8 number of authorities, each: u8 profile, u64 signs from,
 *            u64 retires (0: not known), u16+DER of its certificate; identity's, then epochs by age
 *   request  u16 number of jobs, each: u8 profile, 32 bytes device id, u64 not before,
 *            u64 not after, 16 bytes serial, u16+tier, u16+segment, u16+SPKI
 *   reply    u16 number, the same, each: u8 status, u16+DER when OK, u16+text otherwise; then the
 *            ids of the two authorities that signed, identity and access, 8 bytes each
 *   checkpoint        u64 seq, 32 bytes hash (of the audit log: checkpoint.h)
 *   checkpoint reply  u8 status, u16+(u64 time, signature) when OK, u16+text otherwise
 *
 * Requests and checkpoints come on the committer's channel. On the other, for answers to relying
 * parties, come the frames that signer_<what>.c describes, one file for each thing that is signed.
 * Every length has a cap, a body ends where its last field does. Internal to server/credential. */
#ifndef GATEHOUSE_CREDENTIAL_SIGNER_WIRE_H
#define GATEHOUSE_CREDENTIAL_SIGNER_WIRE_H

#include "server/credential/signer.h"

enum { SIGNER_VERSION = 3, SIGNER_HEAD_LEN = 6, SIGNER_TEXT_MAX = DETAIL_SIZE - 1 };
enum {
    SIGNER_REQUEST_MAX = SIGNER_HEAD_LEN + 2 +
                         SIGNER_BATCH_MAX * (1 + 32 + 8 + 8 + PROFILE_SERIAL_LEN + 2 + 15 + 2 +
                                             SEGMENT_MAX + 2 + KEY_SPKI_MAX),
    SIGNER_REPLY_MAX = SIGNER_HEAD_LEN + 2 + SIGNER_BATCH_MAX * (1 + 2 + CERTIFICATE_DER_MAX) +
                       2 * AUTHORITY_RAW_ID,
    SIGNER_HELLO_MAX = SIGNER_HEAD_LEN + 1 + 2 + SIGNER_TEXT_MAX + 1 +
                       SIGNER_AUTHORITIES_MAX * (1 + 8 + 8 + 2 + CERTIFICATE_DER_MAX),
    SIGNER_ANSWERS_MAX = 16 << 20 /* a frame of the other channel */
};
enum signer_frame {
    SIGNER_HELLO = 1,
    SIGNER_REQUEST,
    SIGNER_REPLY,
    SIGNER_CHECKPOINT,
    SIGNER_CHECKPOINT_REPLY,
    SIGNER_OCSP,
    SIGNER_OCSP_REPLY,
    SIGNER_CRL,
    SIGNER_CRL_REPLY,
    SIGNER_JWS,
    SIGNER_JWS_REPLY,
    SIGNER_JWS_KEYS,
    SIGNER_JWS_KEYS_REPLY,
    SIGNER_FRAMES /* how many there are, and one more */
};
enum signer_channel { CHANNEL_COMMITTER, CHANNEL_ANSWERS, SIGNER_CHANNELS };

/* Starts a frame in an empty writer, and fills in its length at the end. LIMIT when it
 * overflowed. */
void signer_frame_open(struct writer *w, enum signer_frame type);
MUST_USE enum status signer_frame_close(struct writer *w);

/* Writes the whole frame. INTERNAL when the other side is gone. Raises no SIGPIPE. */
MUST_USE enum status signer_frame_send(int fd, struct bytes frame);
/* Reads one frame of this type into buffer[0..cap); `body` is its body. timeout_ms is for the
 * whole of it; -1 waits for ever. END: closed before its first byte; MALFORMED: another version,
 * type or length; EXPIRED; INTERNAL: closed or failed in the middle. */
MUST_USE enum status signer_frame_receive(int fd, enum signer_frame type, uint8_t *buffer,
                                          size_t cap, int timeout_ms, struct bytes *body);
/* The same for one of several types, a bit 1 << type for each; never expires. */
MUST_USE enum status signer_request_receive(int fd, unsigned types, enum signer_frame *type,
                                            uint8_t *buffer, size_t cap, struct bytes *body);

/* One job of a request. TRUNCATED; LIMIT for an SPKI over KEY_SPKI_MAX, or a text that is longer than
 * its field; MALFORMED for a text with a zero in it. */
void signer_job_write(struct writer *w, const struct sign_job *job);
MUST_USE enum status signer_job_read(struct bytes *body, struct sign_job *job);
/* Its answer. The status is OK, INVALID or INTERNAL. */
void signer_answer_write(struct writer *w, enum status status, struct bytes der, const char *text);
MUST_USE enum status signer_answer_read(struct bytes *body, enum status *status,
                                        struct bytes *content);
/* The whole body of a checkpoint: TRUNCATED; MALFORMED when bytes follow. */
void signer_checkpoint_write(struct writer *w, const struct checkpoint_job *job);
MUST_USE enum status signer_checkpoint_read(struct bytes body, struct checkpoint_job *job);
/* The whole body of its reply, which sets status, time and signature, or the text. The status is OK, INVALID or
 * INTERNAL. TRUNCATED, MALFORMED. */
void signer_checkpoint_answer_write(struct writer *w, const struct checkpoint_job *job,
                                    const char *text);
MUST_USE enum status signer_checkpoint_answer_read(struct bytes body, struct checkpoint_job *job,
                                                   struct bytes *text);

#endif
