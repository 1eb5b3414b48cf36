/* A fleet of one model in a store, with what its devices booted, beside a committer, a policy and a
 * fleet table: what re-appraisal and preview work on. Whatever fails ends the test. */
#ifndef GATEHOUSE_TESTS_REJUDGE_FIXTURE_H
#define GATEHOUSE_TESTS_REJUDGE_FIXTURE_H

#include "server/fleet/preview.h"
#include "server/fleet/reappraisal.h"
#include "tests/unit/store_fixture.h"

#define RIG_MODEL "edge"

struct rig {
    struct store_fixture f;
    struct fleet_table *table;
    struct policy_holder *policy;
    struct committer *committer;
    struct reappraisals *reappraisals;
    unsigned num_appraisals;
};

/* The store with the model; a writer is there until rig_serve. */
void rig_open(struct rig *r);
void rig_close(struct rig *r);
/* Baseline n: in PCR 0 any of the states of this mask (bit i: state i). */
void rig_baseline(struct rig *r, unsigned n, uint32_t states, enum baseline_state state);
/* Its document, for previews; the text is the caller's to free. */
char *rig_document(uint32_t states);
enum { RIG_NO_FACTS = UINT32_MAX };
/* Device n booted this state, was found trusted by the baseline, and has a credential. */
void rig_device(struct rig *r, unsigned n, unsigned state, unsigned baseline);
/* New evidence of it: another appraisal, of another boot state. */
void rig_evidence(struct rig *r, unsigned n, unsigned state, unsigned baseline,
                  enum verdict verdict);
/* No writer any more: policy, table and committer. */
void rig_serve(struct rig *r);
void rig_stop_serving(struct rig *r); /* and the thread; there is a writer again */
/* The thread, with this window and batch. */
void rig_reappraise(struct rig *r, unsigned window, unsigned batch);
/* Puts baseline n into the state and asks for a re-appraisal, in one transaction. */
void rig_change(struct rig *r, unsigned n, enum baseline_state state, enum enforcement enforce,
                char job[static STORE_ID]);
/* Waits until the job has ended, and says how. */
struct reappraisal_row rig_wait(struct rig *r, const char *job);
struct device_row rig_get(struct rig *r, unsigned n);
struct decision rig_decide(const struct rig *r, unsigned n);

#endif
