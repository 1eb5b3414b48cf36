/* Facts of a log: whatever its writer makes of data, types and labels, they are facts of the events that are there;
 * what is bound hashes to the digest; kept as a boot state, the same come back. */
#include "server/evidence/facts_json.h"
#include "server/evidence/tpm2/kept.h"
#include "server/evidence/tpm2/tpm2.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(bool claim) {
    if (!claim) {
        abort();
    }
}

static void check_events(const struct facts *facts) {
    for (size_t i = 0; i < facts->num_events; i++) {
        const struct fact_event *event = &facts->event[i];
        hold(event->index == i);
        hold(event->data_vouched == VOUCHED_CLAIMED || event->digest_vouched == VOUCHED_REPLAYED);
        hold(event->data_vouched == VOUCHED_BOUND || event->bound.len == 0);
        hold(event->bound.len <= event->data.len);
    }
}

static void check_keys(const struct facts *facts, const struct fact_keys *keys) {
    hold(keys->event == FACT_NO_EVENT || facts->event[keys->event].pcr == 7);
    hold(keys->known || keys->num == 0);
    hold(!keys->known || facts->event[keys->event].data_vouched == VOUCHED_BOUND);
}

static void check_facts(const struct facts *facts) {
    const struct fact_secure_boot *secure_boot = &facts->secure_boot;
    check_keys(facts, &secure_boot->platform_key);
    check_keys(facts, &secure_boot->key_exchange_keys);
    check_keys(facts, &secure_boot->db);
    check_keys(facts, &secure_boot->dbx);
    hold(secure_boot->enabled == FACT_UNKNOWN ||
         facts->event[secure_boot->enabled_event].data_vouched == VOUCHED_BOUND);
    for (size_t i = 0; i < facts->num_images; i++) {
        hold(facts->event[facts->image[i].event].digest_vouched == VOUCHED_REPLAYED);
        hold(facts->image[i].digest == facts->event[facts->image[i].event].digest);
    }
    hold(facts->num_images <= facts->num_events);
    hold(facts->os.num_command_lines <= facts->num_events);
    hold(facts->os.sbat_event == FACT_NO_EVENT ||
         facts->event[facts->os.sbat_event].data_vouched == VOUCHED_BOUND);
    hold(facts->firmware.version == NULL ||
         facts->event[facts->firmware.version_event].data_vouched == VOUCHED_BOUND);
}

static void check_kept(struct arena *arena, const struct facts *facts) {
    struct boot_state state, again;
    struct facts back;
    hold(boot_state_of(&state, arena, facts) == STATUS_OK);
    hold(boot_state_facts(&back, arena, state.form, facts->log, NULL) == STATUS_OK);
    hold(boot_state_of(&again, arena, &back) == STATUS_OK);
    hold(memcmp(state.sha256, again.sha256, sizeof state.sha256) == 0);
    hold(back.num_events == facts->num_events && back.num_images == facts->num_images);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    struct facts facts;
    struct json_out o;
    arena_init(&arena, (size_t)1 << 26);
    if (tpm2_unquoted_facts(&facts, &arena, bytes_of(data, size), NULL) == STATUS_OK) {
        check_events(&facts);
        check_facts(&facts);
        json_out_init(&o, &arena, 4096);
        json_out_object(&o, NULL);
        facts_json(&o, &facts);
        json_out_object_end(&o);
        hold(json_out_end(&o).len > 0);
        bool all = true; /* no quote selects a bank without a PCR */
        for (size_t b = 0; b < facts.num_banks; b++) {
            all = all && facts.selection.bank[b].mask != 0;
        }
        if (all) {
            check_kept(&arena, &facts);
        }
    }
    arena_free(&arena);
    return 0;
}
