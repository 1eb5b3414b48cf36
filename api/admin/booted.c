#include "api/admin/booted.h"

#include "server/evidence/tpm2/kept.h"

bool booted_none(const uint8_t sha256[static 32]) {
    return bytes_all(bytes_of(sha256, 32), 0);
}

enum status booted_facts(struct store_reader *reader, struct arena *arena, struct facts *out,
                         const uint8_t sha256[static 32], struct detail *detail) {
    struct boot_state_row row;
    struct bytes log;
    enum status status = store_boot_state_get(reader, arena, &row, &log, sha256);
    if (status != STATUS_OK) {
        return status;
    }
    status = boot_state_facts(out, arena, row.form, log, detail);
    if (status != STATUS_OK && status != STATUS_MEMORY) {
        detail_prefix(detail, "a kept boot state is damaged");
        return STATUS_STORAGE;
    }
    return status;
}
