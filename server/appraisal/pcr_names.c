#include "server/appraisal/pcr_names.h"

#include "server/tpm/pcr.h"

static const struct {
    const char *meaning, *suspect;
} names[PCR_COUNT] = {
    {"firmware code", "the firmware version, and how the firmware was updated"},
    {"firmware configuration", "firmware settings, boot order and hardware changes"},
    {"code of option ROMs and add-in cards", "add-in cards and their firmware"},
    {"configuration of option ROMs and add-in cards", "add-in cards and their settings"},
    {"boot loader and kernel images", "the versions of shim, boot loader and kernel, and what else "
                                      "the firmware started"},
    {"boot loader configuration and partition table", "the partition table and boot entries"},
    {"events of the platform's manufacturer",
     "resume and wake events, and the manufacturer's tools"},
    {"Secure Boot policy", "whether Secure Boot is on, its keys (PK, KEK, db, dbx), and who signed "
                           "what was booted"},
    {"kernel command line and GRUB's commands", "the kernel command line and GRUB's configuration"},
    {"files that GRUB or the kernel's loader read", "grub.cfg, kernel and initrd"},
    {"files measured by IMA", "the files that ran, and the IMA policy"},
    {"unified kernel image and boot phases", "the unified kernel image"},
    {"kernel command line and credentials of systemd-boot",
     "the kernel command line and system credentials"},
    {"system extensions of systemd", "the system extension images"},
    {"shim's MOK lists", "the machine owner's keys (MOK) enrolled in shim"},
    {"machine identity of systemd", "machine id, root file system and its key"},
    {"debugging", "who extends the debug PCR"},
    {"dynamic root of trust", "the dynamic launch"},
    {"dynamic root of trust", "the dynamic launch"},
    {"dynamic root of trust", "the dynamic launch"},
    {"dynamic root of trust", "the dynamic launch"},
    {"dynamic root of trust", "the dynamic launch"},
    {"dynamic root of trust", "the dynamic launch"},
    {"application use", "the application that extends it"},
};

const char *pcr_meaning(unsigned pcr) {
    return pcr < PCR_COUNT ? names[pcr].meaning : "unknown";
}

const char *pcr_suspect(unsigned pcr) {
    return pcr < PCR_COUNT ? names[pcr].suspect : "unknown";
}
