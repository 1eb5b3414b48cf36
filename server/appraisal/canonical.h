/* The JSON Canonicalization Scheme (RFC 8785): one byte form of a document, whatever its white
 * space, order of members and escapes, so that a signature over it holds wherever it is sent. Pure;
 * thread-safe. */
#ifndef GATEHOUSE_APPRAISAL_CANONICAL_H
#define GATEHOUSE_APPRAISAL_CANONICAL_H

#include "server/base/arena.h"

/* Numbers are integers of at most 2^53 - 1 either way, which is all that our documents have; others
 * are refused. MALFORMED (no JSON, a member twice, another number), LIMIT (nesting), MEMORY. */
MUST_USE enum status canonical_json(struct bytes *out, struct arena *arena, struct bytes json,
                                    struct detail *detail);

#endif
