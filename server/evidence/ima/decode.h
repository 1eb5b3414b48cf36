/* What the data of an IMA entry mean, for every template of the kernel and for custom formats
 * ("d-ng|n-ng|sig"). Allocates nothing; thread-safe. Source: Linux,
 * security/integrity/ima/ima_template.c and ima_template_lib.c.
 *
 * The template's name is a claim, so that whoever sends a log may rename an entry to have its fields
 * read as others. Each field is therefore held to its own form (a digest names its algorithm, a name
 * ends with its only zero, a signature begins with its type), and data that are a digest and a name
 * in the order of the kernel's own templates are read in that order or not at all. */
#ifndef GATEHOUSE_EVIDENCE_IMA_DECODE_H
#define GATEHOUSE_EVIDENCE_IMA_DECODE_H

#include "server/evidence/facts.h"

enum { IMA_MAX_FIELDS = 15 };

/* Fills all but index and violation. `data` as entries are kept: of the template "ima" the file's
 * digest (20 bytes) and its name, of others as logged. What cannot be read leaves readable false. */
void ima_decode(struct fact_ima_entry *out, struct bytes template_name, struct bytes data);

/* The kernel's number of a hash algorithm (include/uapi/linux/hash_info.h); HASH_NONE: not taken. */
enum hash_alg ima_hash_of_kernel(uint8_t number);
/* And back; of SHA-1 and better. */
uint8_t ima_kernel_hash(enum hash_alg alg);

#endif
