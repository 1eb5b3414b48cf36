/* The keeper: a process that forks signers. A gateway with threads cannot fork one that may read keys
 * anew, so the keeper is forked before there are any; it has the files that the gateway has, reads none
 * of them, and serves one socket, on which only the gateway speaks:
 *
 *   fork    'F' with the signer's ends of both channels; the answer is its process id
 *   adopt   'A': that signer is the one from now on. The one before hands over what never goes back
 *           (struct signer_state) and ends, so that both never sign at one time
 *
 * When the signer that is in force ends by itself, so does the keeper: that is how the gateway, whose
 * child it is, learns of it. Its end is that of all its signers, as the gateway's is its own. Internal
 * to server/credential; the gateway's side has one caller at a time. */
#ifndef GATEHOUSE_CREDENTIAL_SIGNER_KEEPER_H
#define GATEHOUSE_CREDENTIAL_SIGNER_KEEPER_H

#include "server/credential/signer_wire.h"

struct keeper {
    int fd; /* -1: none */
    int pid;
};

/* Forks it. INTERNAL. */
MUST_USE enum status keeper_start(struct keeper *out, const struct signer_options *options,
                                  struct detail *detail);
/* A new signer with these ends by enum signer_channel, which stay the caller's; it greets on the
 * committer's. One that was not adopted is ended first. INTERNAL: the keeper is gone. */
MUST_USE enum status keeper_fork(const struct keeper *keeper, int *pid,
                                 const int fd[static SIGNER_CHANNELS], struct detail *detail);
/* INTERNAL: it could not take over. No exchange may be under way on either channel. */
MUST_USE enum status keeper_adopt(const struct keeper *keeper, struct detail *detail);
/* Whether it has ended, or has been killed; it is not waited for. */
bool keeper_has_ended(const struct keeper *keeper);
/* Ends it and all its signers, and waits. Nothing where there is none. */
void keeper_end(struct keeper *keeper);

/* The keeper's side. What the signer in force hands over: one message on the socket between it and the
 * keeper, asked for by one byte. */
struct signer_state {
    int64_t signed_seq; /* the latest checkpoint's; 0: none yet */
    uint8_t signed_hash[32];
    struct {
        uint8_t authority[AUTHORITY_RAW_ID];
        uint64_t number; /* of its latest list of revocations; 0: none yet */
    } crl[SIGNER_AUTHORITIES_MAX];
};
enum { KEEPER_HAND_OVER = 'H' };

/* For a process that was just forked: signals for the whole gateway are no longer its own, its parent's
 * end is its end, and of all descriptors it keeps these, as 0 to num - 1. False: it must exit. */
enum { DETACH_MAX = 8 };
bool signer_detach(const int *fd, size_t num, int parent_pid);

#endif
