/* The steps of a boot in an administrator's words: "shim", "grub", "kernel", and which one of them it
 * was. Names come from paths and texts that no digest covers: they are for telling and labelling,
 * never for judging. Pure; thread-safe. */
#ifndef GATEHOUSE_APPRAISAL_BOOT_STEPS_H
#define GATEHOUSE_APPRAISAL_BOOT_STEPS_H

#include "server/evidence/facts.h"

enum { BOOT_STEP_NAME = 32, BOOT_LABEL_MAX = 64 };

struct boot_step {
    const struct fact_image *image;
    char name
        [BOOT_STEP_NAME]; /* "kernel"; a second one is "kernel-2"; else "image-3", by position */
    const char *label;    /* "6.1.0-27-amd64", "grubx64.efi"; NULL: nothing says so */
};
/* The images of one kind, in the log's order. MEMORY. */
MUST_USE enum status boot_steps(struct boot_step **out, size_t *num, struct arena *arena,
                                const struct facts *facts, enum fact_image_kind kind);

/* Behind the last slash of either kind; cut to BOOT_LABEL_MAX bytes, with "?" for what is not
 * printable ASCII. NULL: nothing stands there, or memory ran out. */
const char *path_base(struct arena *arena, const char *path);
/* "5f21ff2c0d5d": enough of a digest to tell it from others at sight. "" on a full arena. */
const char *digest_short(struct arena *arena, struct bytes digest);

#endif
