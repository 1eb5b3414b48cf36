/* A baseline by component that one boot meets exactly, written from its facts: every family that they
 * give something for but ima, and nothing learned or left out. For tests that bend it, and for benches. */
#ifndef GATEHOUSE_TESTS_COMPONENT_BASELINE_H
#define GATEHOUSE_TESTS_COMPONENT_BASELINE_H

#include "server/appraisal/appraisal.h"

#include <jansson.h>

/* The whole document; the caller decrefs it. The facts have a log, and SHA-256 as their only bank. */
json_t *component_baseline(const struct facts *facts);
/* Compiled; what does not compile ends the program. */
struct baseline *compile_document(const json_t *document);

#endif
