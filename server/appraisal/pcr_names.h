/* What a PCR stands for, in words for an administrator. Constant data. Source: TCG PC Client
 * Platform Firmware Profile 1.06, 3.3.4; above PCR 7 what GRUB, shim, systemd and Linux do with it
 * (UAPI Group, Linux TPM PCR Registry). */
#ifndef GATEHOUSE_APPRAISAL_PCR_NAMES_H
#define GATEHOUSE_APPRAISAL_PCR_NAMES_H

const char *pcr_meaning(unsigned pcr); /* "firmware code"; never NULL */
/* What to look at when its value is not the expected one: "the device's firmware version". */
const char *pcr_suspect(unsigned pcr);

#endif
