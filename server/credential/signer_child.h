/* The signer's child process, in the steps that signer_start takes after the fork; and what the files
 * signer_<what>.c that sign in it have of it. Internal to server/credential; single-threaded. */
#ifndef GATEHOUSE_CREDENTIAL_SIGNER_CHILD_H
#define GATEHOUSE_CREDENTIAL_SIGNER_CHILD_H

#include "server/credential/checkpoint.h"
#include "server/credential/signer_wire.h"

/* Becomes the signer: reads the keys, confines itself, says hello on the committer's channel and
 * serves until a channel closes or a frame is not well-formed, or until its keeper has another one
 * take over. `fd` by enum signer_channel, `keeper_fd` is the keeper's (signer_keeper.h). Never
 * returns. */
_Noreturn void signer_child_run(const int fd[static SIGNER_CHANNELS], int keeper_fd,
                                const struct signer_options *options, int keeper_pid);

/* From here on: no new file, process, privilege or core file, and of the system calls only read,
 * sendto, poll, memory, time, randomness and exit; any other ends the process. Cannot be undone.
 * INTERNAL when the kernel refuses. */
MUST_USE enum status signer_confine(struct detail *detail);

struct authority {
    enum profile profile;
    struct private_key *key;
    uint8_t id[AUTHORITY_RAW_ID];
    uint8_t der[CERTIFICATE_DER_MAX];
    size_t der_len;
    int64_t signs_from;  /* unix seconds; it does until another one of the profile signs */
    int64_t retires;     /* nothing is signed from then on; 0: not known */
    uint64_t crl_number; /* of the latest list that it signed; 0: none yet */
};

struct child_ocsp; /* signer_ocsp.c */
struct crl_build;  /* signer_crl_child.c */
struct jws_child;

struct child {
    const char *trust_domain;
    int64_t now;            /* of the request: who signs is the same throughout it */
    const char *public_url; /* NULL: credentials say that nothing tells of their revocation */
    struct authority authority[SIGNER_AUTHORITIES_MAX];
    size_t num_authorities;
    int64_t signed_seq; /* the latest checkpoint's; 0: none yet */
    uint8_t signed_hash[CHECKPOINT_HASH_LEN];
    struct child_ocsp *ocsp;
    struct crl_build *crl; /* NULL: there was none yet */
    struct jws_child *jws; /* signer_jws.c */
};

/* The one that signs what is issued by child->now; NULL: that of ACCESS is to come, after the clock was
 * set back. */
const struct authority *child_authority(const struct child *child, enum profile profile);
/* NULL: none that is not retired has this id. */
const struct authority *child_authority_by_id(const struct child *child,
                                              const uint8_t id[static AUTHORITY_RAW_ID]);
/* A private key out of a file that is its owner's alone; for the time before the doors close. As
 * file_read_private and private_key_from_pem. */
MUST_USE enum status child_read_key(struct private_key **out, const char *path,
                                    struct detail *detail);
struct issuer authority_issuer(const struct authority *authority);

/* What the child does with a request: writes the reply's body into a frame that is open already. On
 * anything but OK the request was none, and the child ends. What it refuses is said in the reply. */
typedef enum status signer_answer(struct child *child, struct bytes body, struct writer *reply);
struct signer_handler {
    enum signer_channel channel;
    enum signer_frame request, reply;
    signer_answer *answer;
};

/* signer_ocsp.c: a new key for OCSP answers, and those. */
MUST_USE enum status child_ocsp_new(struct child_ocsp **out, struct detail *detail);
signer_answer child_ocsp_answer;

#endif
