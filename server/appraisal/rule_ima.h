/* ima: which files may have been used. Read by rule_ima_read.c, judged by rule_ima.c. Private to
 * server/appraisal.
 * {"mode": "enforce" | "report", "boot_aggregate": bool,
 *  "files": {"/usr/bin/agent": ["sha256:<hex>", "verity:sha256:<hex>"]}, "ignore": ["/var/log*"],
 *  "signers": [{"label", "public_key": PEM | base64 DER, "certificate": the same, "key_id": hex}],
 *  "violations": "deny" | "report", "sha1_template_digests": "deny" | "report"} */
#ifndef GATEHOUSE_APPRAISAL_RULE_IMA_H
#define GATEHOUSE_APPRAISAL_RULE_IMA_H

#include "server/appraisal/rule_text.h"
#include "server/crypto/key.h"

enum { IMA_FILES_MAX = 65536, IMA_DIGESTS_MAX = 64, IMA_IGNORE_MAX = 64, IMA_SIGNERS_MAX = 64 };

struct ima_digest {
    enum hash_alg alg;
    bool verity;
    struct bytes digest;
};
struct ima_file {
    uint64_t hash;     /* of path */
    struct bytes path; /* as the kernel writes it; NULL: an empty slot */
    struct ima_digest *digest;
    size_t num_digests;
};
struct ima_signer {
    uint32_t key_id;
    struct public_key key;
    const char *label; /* NULL: none */
};
struct ima_rules {
    bool report, report_violations, report_sha1, needs_aggregate;
    struct ima_file *slot; /* open addressing by ima_path_hash */
    size_t num_slots;      /* a power of two, or 0 */
    struct bytes *ignore;  /* globs: '*' is any bytes */
    size_t num_ignored;
    struct ima_signer *signer;
    size_t num_signers;
};

uint64_t ima_path_hash(struct bytes path);
enum status ima_rules_read(struct compiling *c, const struct place *at, const void **out);

#endif
