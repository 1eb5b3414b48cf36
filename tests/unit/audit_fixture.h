/* An export of an audit log of its own, signed by an authority of its own. For tests: whatever fails ends the
 * test. */
#ifndef GATEHOUSE_TESTS_AUDIT_FIXTURE_H
#define GATEHOUSE_TESTS_AUDIT_FIXTURE_H

#include "server/fleet/audit_verify.h"

enum { AUDIT_FIXTURE_LINES = 64 };

struct audit_fixture {
    struct arena arena;
    struct private_key *key;
    struct audit_authority authority;
    struct audit_tip tip;
    struct bytes line[AUDIT_FIXTURE_LINES]; /* with their line ends */
    int64_t seq[AUDIT_FIXTURE_LINES];       /* the entry that each is of */
    bool is_checkpoint[AUDIT_FIXTURE_LINES];
    size_t num_lines;
};

void audit_fixture_open(struct audit_fixture *f);
void audit_fixture_close(struct audit_fixture *f);
/* The next entry, and a checkpoint of the last one. */
void audit_fixture_entry(struct audit_fixture *f);
void audit_fixture_checkpoint(struct audit_fixture *f);
/* Of any contents, signed well. */
struct bytes audit_fixture_sign(struct audit_fixture *f, struct audit_checkpoint_row *row);
/* All lines one after another, in malloc'd memory of just their size. */
uint8_t *audit_fixture_text(const struct audit_fixture *f, size_t *len);
/* Verifies a text; `v` says the rest. */
enum status audit_fixture_verify(struct audit_verifier *v, const struct audit_expectation *expected,
                                 struct bytes text);

#endif
