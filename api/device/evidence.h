/* One request of POST /v1/evidence on its way: what was verified, what was appraised, and what is
 * written of it. */
#ifndef GATEHOUSE_API_DEVICE_EVIDENCE_H
#define GATEHOUSE_API_DEVICE_EVIDENCE_H

#include "api/change.h"
#include "api/device/evidence_body.h"
#include "api/device/evidence_ima.h"
#include "api/exception_ids.h"
#include "server/evidence/tpm2/kept.h"

enum { APPRAISALS_KEPT = 64, CREDENTIAL_BACKDATE_S = 60, CREDENTIAL_LIFETIME_MAX_S = 86400 };

struct evidence_rollout {
    char baseline_id[STORE_ID];
    int64_t run;
};

struct evidence {
    struct change change; /* first */
    struct evidence_body body;
    struct tpm_public ak;           /* the device's */
    struct pcr_selection selection; /* what the challenge asked for */
    uint8_t context[32];            /* the challenge's; see challenge_context.h */
    struct csr csr;
    struct facts facts;
    struct evidence_ima ima;
    struct boot_state boot_state; /* once appraised */
    struct appraisal appraisal;
    uint64_t leaked_keys_since; /* which list it was appraised with; policy_leaked_keys_since() */
    int64_t lifetime_s;         /* of a credential of this model */
    enum tier wanted;           /* what the model asks for */
    bool earns;                 /* the verdict is trusted, and the tier reached is enough */
    enum key_protection key_protection; /* of the CSR's key */
    int64_t exceptions_end;             /* of the exceptions needed, the first; 0: none is */
    bool use_changes;                   /* which exceptions are needed is not what it was */
    struct evidence_rollout *rollout;   /* those whose rings the device was judged in */
    size_t num_rollouts;
    struct appraisal_row row;
    struct device_row standing;
    struct credential_row credential;
    struct sign_job job;
    bool grants;               /* trusted, and the device may have a credential */
    enum problem_kind refusal; /* of evidence that verifies against nothing, or cannot be read */
    const char *why;           /* the refusal's detail; NULL: none */
};

struct evidence *evidence_new(struct request *r); /* NULL: the arena is full */

/* Fills the row out of facts and appraisal; what the boot state holds is left to it when the row
 * refers to one. False: the arena is full. */
MUST_USE bool evidence_describe(struct evidence *e);
/* For apply: keeps what the device booted, and that it is in that now. `before` is the device as it
 * was before this evidence. */
MUST_USE enum status evidence_keep(struct evidence *e, struct store_writer *writer,
                                   const struct device_row *before);

/* NUM_PROBLEMS when the evidence shows of its keys what this model asks for: of the CSR's, and of the
 * one that the device is known by. */
enum problem_kind evidence_keys_suffice(const struct evidence *e, const struct model_row *model);

/* Evidence without a quote, of a device whose identity is all there is (api/idevid.h). Whether this is
 * such evidence; false, and answered: its device has to quote, or cannot. What it comes to. */
bool evidence_is_bare(const struct evidence *e);
bool evidence_suits_device(const struct evidence *e);
MUST_USE enum status evidence_appraise_bare(struct evidence *e, const struct policy *policy,
                                            const struct model_row *model);

/* What the model makes of the tier reached; one that is too low becomes a finding. */
void evidence_take_tier(struct evidence *e, const struct model_row *model);
/* For the commit: the model still makes of it what it did. */
bool evidence_tier_stands(const struct evidence *e, const struct model_row *model);
/* The device's exceptions, for the appraisal; which of them it needed, afterwards (false: more than
 * there may be); and for the commit, that they are still in force. */
MUST_USE enum status evidence_take_exceptions(struct evidence *e, const struct policy *policy,
                                              struct appraisal_inputs *against);
MUST_USE bool evidence_note_exceptions(struct evidence *e, const struct policy *policy);
bool evidence_exceptions_stand(const struct evidence *e, const struct policy *policy);
/* The rollouts under way whose ring the device is in; and for apply, that it was seen in them. False:
 * the arena is full. */
MUST_USE bool evidence_note_rollouts(struct evidence *e, const struct policy_model *model);
MUST_USE enum status evidence_count_rollouts(const struct evidence *e, struct store_writer *writer);
/* The answer to what is trusted, and earns nothing. */
enum http_next evidence_answer_too_low(struct evidence *e);

/* Evidence that verifies against nothing is recorded, and the standing stays. Of evidence that cannot
 * be read only an audit entry stays. `code` is stable. */
enum http_next evidence_refuse(struct evidence *e, enum problem_kind problem, const char *code,
                               const struct detail *detail);
/* Appraised evidence: records it, and gives or takes away credentials. */
enum http_next evidence_conclude(struct evidence *e);

#endif
