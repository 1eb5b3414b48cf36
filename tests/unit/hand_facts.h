/* Facts of a boot filled in by hand, as decoders would fill them: shim, GRUB and a kernel that is
 * loaded twice, Secure Boot on. Every part can be another. PCR values follow from the events. */
#ifndef GATEHOUSE_TESTS_HAND_FACTS_H
#define GATEHOUSE_TESTS_HAND_FACTS_H

#include "server/evidence/facts.h"

struct hand { /* texts stand for what has them as contents; NULL: not there */
    const char *platform_key, *key_exchange_key, *db[4], *dbx[4];
    bool secure_boot_off, setup_mode;
    const char *shim, *grub, *kernel, *extra_image, *driver;
    const char *kernel_path, *command_line, *initrd, *grub_cfg;
    const char *firmware, *version;
    const char *boot_order, *gpt, *mok;
    unsigned sbat_shim; /* 0: no SBAT level */
    bool no_log;
    uint64_t tpm_firmware;
    uint32_t not_quoted; /* bit i: PCR i */
};
extern const struct hand hand_usual;
/* In the arena. */
struct facts *hand_facts(struct arena *arena, const struct hand *hand);
/* SHA-256 of a text, as hex. */
const char *hand_hex(struct arena *arena, const char *text);

#endif
