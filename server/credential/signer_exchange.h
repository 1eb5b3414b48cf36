/* The gateway's side of the answers channel, for the files signer_<what>.c. Internal to
 * server/credential. Thread-safe: from begin to end one thread has the channel, others wait. */
#ifndef GATEHOUSE_CREDENTIAL_SIGNER_EXCHANGE_H
#define GATEHOUSE_CREDENTIAL_SIGNER_EXCHANGE_H

#include "server/credential/signer_wire.h"

/* Takes the channel and opens a frame, of at most SIGNER_ANSWERS_MAX bytes, whose body the caller
 * writes. Never NULL; end is called whatever comes of it. */
struct writer *signer_answers_begin(struct signer *signer, enum signer_frame request);
/* Sends the frame and waits for the reply, whose body is good until end. LIMIT: the request did not
 * fit; the channel is as it was. INTERNAL: the signer is gone, now and for every later call. */
MUST_USE enum status signer_answers_exchange(struct signer *signer, enum signer_frame reply,
                                             struct bytes *body, struct detail *detail);
/* The reply was none: the signer is gone. INTERNAL. Between begin and end. */
enum status signer_answers_malformed(struct signer *signer, struct detail *detail);
void signer_answers_end(struct signer *signer);

#endif
