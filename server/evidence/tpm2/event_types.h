/* Event types by number (TCG PC Client Platform Firmware Profile 1.06, 10.4.1; older ones from TCG
 * EFI Platform 1.22). A type is a claim of the log: no digest covers it. Constant data. */
#ifndef GATEHOUSE_EVIDENCE_TPM2_EVENT_TYPES_H
#define GATEHOUSE_EVIDENCE_TPM2_EVENT_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#define TCG_EVENT_TYPES(X)                                                                         \
    X(EV_PREBOOT_CERT, 0x00000000u)                                                                \
    X(EV_POST_CODE, 0x00000001u)                                                                   \
    X(EV_UNUSED, 0x00000002u)                                                                      \
    X(EV_NO_ACTION, 0x00000003u)                                                                   \
    X(EV_SEPARATOR, 0x00000004u)                                                                   \
    X(EV_ACTION, 0x00000005u)                                                                      \
    X(EV_EVENT_TAG, 0x00000006u)                                                                   \
    X(EV_S_CRTM_CONTENTS, 0x00000007u)                                                             \
    X(EV_S_CRTM_VERSION, 0x00000008u)                                                              \
    X(EV_CPU_MICROCODE, 0x00000009u)                                                               \
    X(EV_PLATFORM_CONFIG_FLAGS, 0x0000000Au)                                                       \
    X(EV_TABLE_OF_DEVICES, 0x0000000Bu)                                                            \
    X(EV_COMPACT_HASH, 0x0000000Cu)                                                                \
    X(EV_IPL, 0x0000000Du)                                                                         \
    X(EV_IPL_PARTITION_DATA, 0x0000000Eu)                                                          \
    X(EV_NONHOST_CODE, 0x0000000Fu)                                                                \
    X(EV_NONHOST_CONFIG, 0x00000010u)                                                              \
    X(EV_NONHOST_INFO, 0x00000011u)                                                                \
    X(EV_OMIT_BOOT_DEVICE_EVENTS, 0x00000012u)                                                     \
    X(EV_POST_CODE2, 0x00000013u)                                                                  \
    X(EV_EFI_VARIABLE_DRIVER_CONFIG, 0x80000001u)                                                  \
    X(EV_EFI_VARIABLE_BOOT, 0x80000002u)                                                           \
    X(EV_EFI_BOOT_SERVICES_APPLICATION, 0x80000003u)                                               \
    X(EV_EFI_BOOT_SERVICES_DRIVER, 0x80000004u)                                                    \
    X(EV_EFI_RUNTIME_SERVICES_DRIVER, 0x80000005u)                                                 \
    X(EV_EFI_GPT_EVENT, 0x80000006u)                                                               \
    X(EV_EFI_ACTION, 0x80000007u)                                                                  \
    X(EV_EFI_PLATFORM_FIRMWARE_BLOB, 0x80000008u)                                                  \
    X(EV_EFI_HANDOFF_TABLES, 0x80000009u)                                                          \
    X(EV_EFI_PLATFORM_FIRMWARE_BLOB2, 0x8000000Au)                                                 \
    X(EV_EFI_HANDOFF_TABLES2, 0x8000000Bu)                                                         \
    X(EV_EFI_VARIABLE_BOOT2, 0x8000000Cu)                                                          \
    X(EV_EFI_GPT_EVENT2, 0x8000000Du)                                                              \
    X(EV_EFI_HCRTM_EVENT, 0x80000010u)                                                             \
    X(EV_EFI_VARIABLE_AUTHORITY, 0x800000E0u)                                                      \
    X(EV_EFI_SPDM_FIRMWARE_BLOB, 0x800000E1u)                                                      \
    X(EV_EFI_SPDM_FIRMWARE_CONFIG, 0x800000E2u)                                                    \
    X(EV_EFI_SPDM_DEVICE_POLICY, 0x800000E3u)                                                      \
    X(EV_EFI_SPDM_DEVICE_AUTHORITY, 0x800000E4u)

#define TCG_EVENT_TYPE_CONSTANT(name, value) name = (value),
enum tcg_event_type { TCG_EVENT_TYPES(TCG_EVENT_TYPE_CONSTANT) };
#undef TCG_EVENT_TYPE_CONSTANT

/* "EV_SEPARATOR"; NULL for a number without a name. */
const char *tcg_event_type_name(uint32_t type);
/* False when there is no such name. */
bool tcg_event_type_from_name(uint32_t *out, const char *name);

#endif
