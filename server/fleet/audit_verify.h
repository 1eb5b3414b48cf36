/* Holds an export of the audit log against what audit_chain.h says of it: one strict pass, line by
 * line, without a JSON reader: a line's beginning and end are compared with the one way to write
 * them, and its hash covers the rest.
 *
 * What a pass proves: no line between the first and the last was altered, dropped, put in, doubled or
 * moved, as long as one later hash is known to be right. Such a one is a checkpoint's, when its
 * signature was looked at, or the one expected by the caller. Lines cut off at the end are only
 * missed by a checkpoint or an expectation beyond the cut. No state but the caller's; allocates only
 * for a checkpoint's line. */
#ifndef GATEHOUSE_FLEET_AUDIT_VERIFY_H
#define GATEHOUSE_FLEET_AUDIT_VERIFY_H

#include "server/crypto/key.h"
#include "server/fleet/audit_chain.h"

enum audit_fault {
    AUDIT_WHOLE = 0,
    AUDIT_MALFORMED,       /* the line is not written as lines are */
    AUDIT_TRUNCATED,       /* the last line has no end */
    AUDIT_HASH,            /* the line's hash is another: it was edited */
    AUDIT_PREVIOUS,        /* it does not follow the line before */
    AUDIT_GAP,             /* entries are missing before it */
    AUDIT_REPEATED,        /* its seq was there already */
    AUDIT_CHECKPOINT,      /* a checkpoint of another entry or hash than the one before it */
    AUDIT_SIGNATURE,       /* a checkpoint that the authority did not sign */
    AUDIT_EMPTY,           /* there is no entry */
    AUDIT_ENDS_EARLY,      /* it ends before what is expected */
    AUDIT_NOT_AS_EXPECTED, /* the expected entry has another hash */
    NUM_AUDIT_FAULTS
};
const char *audit_fault_name(enum audit_fault fault); /* "hash_differs", ... */

struct audit_authority { /* of checkpoints */
    uint8_t sha256[32];  /* of its certificate */
    struct public_key key;
};

struct audit_expectation {
    const struct audit_authority *authority; /* signatures must be of one of them; none: they are */
    size_t num_authorities;                  /* not looked at */
    const char *trust_domain;                /* of every checkpoint; NULL: any */
    int64_t seq;                             /* at least this far; 0: any */
    const char *hash; /* 64 hex digits, of entry `seq`, of the last one when seq is 0; NULL: any */
};

enum audit_beginning {
    AUDIT_FROM_FIRST = 0,  /* entry 1 */
    AUDIT_FROM_CHECKPOINT, /* of pruned entries, its signature verified */
    AUDIT_ON_TRUST /* the first line's previous, or an unverified checkpoint, was believed */
};
const char *audit_beginning_name(enum audit_beginning beginning);

struct audit_summary {
    enum audit_beginning beginning;
    int64_t entries, first_seq, last_seq;
    char last_hash[65]; /* "" before the first */
    char first_time[25], last_time[25];
    int64_t checkpoints, checkpoints_verified;
    int64_t last_checkpoint_seq; /* 0: none */
};

struct audit_verifier { /* caller-allocated */
    struct audit_expectation expected;
    struct audit_summary summary;
    int64_t line, next_seq; /* of lines read; 0: not known yet */
    char tip[65];           /* the hash that the next entry has to say */
    enum audit_fault fault; /* once not WHOLE: */
    int64_t fault_seq;      /* the first broken entry */
    int64_t fault_line;     /* and its line, from 1 */
    struct detail fault_detail;
};

void audit_verifier_init(struct audit_verifier *v, const struct audit_expectation *expected);
/* The next line without its line end; `ended`: it had one. OK; INVALID, now and for every later call:
 * the chain is broken, and v->fault says how; MEMORY. */
MUST_USE enum status audit_verifier_line(struct audit_verifier *v, struct bytes line, bool ended);
/* After the last line. OK: whole. */
MUST_USE enum status audit_verifier_end(struct audit_verifier *v);
/* For a caller that found something broken by itself. Is INVALID. */
enum status audit_verifier_break(struct audit_verifier *v, enum audit_fault fault, int64_t seq,
                                 const char *format, ...) PRINTF_LIKE(4, 5);

#endif
