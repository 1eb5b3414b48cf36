/* Event logs: what is framed lies in the input, in order and without gaps; a second walk gives the same; and the structures in the
 * events' data can be read to their last byte. */
#include "server/evidence/tpm2/event_data.h"
#include "server/evidence/tpm2/event_types.h"
#include "server/evidence/tpm2/replay.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

static void touch(struct bytes in) {
    for (size_t i = 0; i < in.len; i++) {
        sink = (uint8_t)(sink ^ in.data[i]);
    }
}

static void touch_variable(struct arena *arena, struct bytes data) {
    struct efi_variable variable;
    struct efi_signature_list list;
    struct bytes owner, signature;
    if (efi_variable_parse(&variable, data) != STATUS_OK) {
        return;
    }
    hold(variable.guid.len == EFI_GUID_LEN && variable.name.len % 2 == 0);
    hold(16 + 16 + variable.name.len + variable.data.len + variable.rest.len == data.len);
    touch(variable.name);
    touch(variable.data);
    touch(variable.rest);
    const char *name = utf16_text(arena, variable.name);
    hold(name == NULL || strlen(name) <= variable.name.len / 2 * 3);
    struct bytes rest = variable.data;
    while (efi_signature_list_next(&rest, &list) == STATUS_OK) {
        size_t before = list.entries.len;
        while (efi_signature_next(&list, &owner, &signature) == STATUS_OK) {
            hold(list.entries.len < before);
            before = list.entries.len;
            touch(owner);
            touch(signature);
        }
        hold(list.entries.len == 0);
    }
}

static void touch_others(struct arena *arena, struct bytes data) {
    struct efi_image_load image;
    struct efi_gpt gpt;
    struct efi_gpt_entry entry;
    struct efi_blob blob;
    struct tcg_tagged tagged;
    struct bytes text;
    const char *path;
    if (efi_image_load_parse(&image, data) == STATUS_OK) {
        touch(image.device_path);
        touch(image.rest);
        if (efi_path_text(arena, &path, image.device_path) == STATUS_OK) {
            touch(bytes_of_text(path));
        }
    }
    if (efi_gpt_parse(&gpt, data) == STATUS_OK) {
        uint64_t num = 0;
        while (efi_gpt_next(&gpt, &entry) == STATUS_OK) {
            touch(entry.name);
            num++;
        }
        hold(num == gpt.num_partitions);
    }
    if (efi_blob_parse(&blob, data) == STATUS_OK || efi_blob2_parse(&blob, data) == STATUS_OK) {
        touch(blob.description);
    }
    if (tcg_tagged_parse(&tagged, data) == STATUS_OK) {
        touch(tagged.data);
    }
    if (ascii_text(data, &text)) {
        touch(text);
    }
}

static void touch_event(const struct tcg_eventlog *log, const struct tcg_event *event) {
    struct arena arena;
    hold(event->pcr < PCR_COUNT || event->type == EV_NO_ACTION);
    hold(event->index < TCG_MAX_EVENTS);
    arena_init(&arena, 1 << 20);
    for (uint32_t b = 0; b < log->num_banks; b++) {
        hold(event->digest[b].data == NULL || event->digest[b].len == log->bank[b].digest_len);
        touch(event->digest[b]);
    }
    touch(event->data);
    touch_variable(&arena, event->data);
    touch_others(&arena, event->data);
    arena_free(&arena);
}

static enum status walk(struct tcg_replay *replay, uint32_t *num, struct bytes raw, bool first) {
    static const enum hash_alg banks[] = {HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512};
    struct tcg_eventlog log;
    struct tcg_event event;
    struct detail detail = {0};
    size_t next = 0;
    *num = 0;
    enum status status = tcg_eventlog_open(&log, raw, &detail);
    if (status != STATUS_OK) {
        hold(detail.text[0] != '\0');
        return status;
    }
    hold(log.num_banks >= 1 && log.num_banks <= TCG_MAX_BANKS);
    tcg_replay_start(replay, &log, banks, 4);
    while ((status = tcg_eventlog_next(&log, &event, &detail)) == STATUS_OK) {
        hold(event.index == *num && event.offset == next);
        next = raw.len - log.rest.len;
        hold(next > event.offset);
        if (first) {
            touch_event(&log, &event);
        }
        tcg_replay_event(replay, &event);
        (*num)++;
    }
    hold(status != STATUS_END || bytes_all(log.rest, 0x00) || bytes_all(log.rest, 0xFF));
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct tcg_replay once, twice;
    uint32_t num_once, num_twice;
    struct bytes raw = bytes_of(data, size);
    memset(&once, 0, sizeof once);
    memset(&twice, 0, sizeof twice);
    enum status status = walk(&once, &num_once, raw, true);
    hold(walk(&twice, &num_twice, raw, false) == status && num_once == num_twice);
    hold(memcmp(&once, &twice, sizeof once) == 0);
    return 0;
}
