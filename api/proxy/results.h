/* Decisions as signed attestation results (server/fleet/ear.h): which form is asked for, and the
 * answer. */
#ifndef GATEHOUSE_API_RESULTS_H
#define GATEHOUSE_API_RESULTS_H

#include "api/request.h"

struct result_query {
    const char *nonce; /* NULL: none */
};

enum decision_form { FORM_JSON, FORM_RESULT, FORM_NONE };
/* By Accept and what is configured; FORM_NONE: refused, with an answer. */
enum decision_form decision_form(struct request *r);
/* `subject` is the id that was asked for. */
enum http_next result_answer(struct request *r, const struct decision *d, const char *subject,
                             int64_t now);

#endif
