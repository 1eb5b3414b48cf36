/* GET /v1/devices/{id}/drift: what changed between the last boot of a device that was trusted and the
 * latest one, in words. GET /v1/devices/{id}/facts: what it booted. */
#include "server/appraisal/drift.h"
#include "api/admin/admin.h"
#include "api/admin/booted.h"
#include "server/evidence/facts_json.h"

#include <string.h>

enum { WORK_BYTES = 64 << 20, APPRAISALS_LOOKED_AT = 100 };

/* One of the two boots, and what was said of it. */
struct side {
    uint8_t sha256[32];
    struct facts facts;
    bool appraised;
    struct appraisal_row appraisal; /* the newest of this boot state that is still there */
    char label[sizeof((struct baseline_row *)0)->label];
};

struct comparing {
    struct request *r;
    struct arena arena; /* of facts and rows */
    struct device_row device;
    struct device_boot_row boot;
    struct side before, after;
    bool has_before;
    struct drift drift;
    struct detail detail;
};

static enum status find_appraisals(struct comparing *c) {
    struct store_reader *reader = c->r->worker->reader;
    const struct store_page page = {.after = "", .limit = APPRAISALS_LOOKED_AT};
    struct side *const sides[] = {&c->before, &c->after};
    struct appraisal_row *rows;
    size_t num;
    enum status status = store_appraisal_list(reader, &c->arena, &rows, &num, c->device.id, page);
    for (size_t i = 0; status == STATUS_OK && i < num; i++) {
        for (size_t s = 0; s < 2; s++) {
            if (!sides[s]->appraised && memcmp(rows[i].boot_state, sides[s]->sha256, 32) == 0) {
                sides[s]->appraised = true;
                sides[s]->appraisal = rows[i];
            }
        }
    }
    return status;
}

/* The baseline may be gone; its label is then not known. */
static enum status find_label(struct comparing *c, struct side *side) {
    struct baseline_row row;
    if (!side->appraised || side->appraisal.baseline_id[0] == '\0') {
        return STATUS_OK;
    }
    enum status status =
        store_baseline_get(c->r->worker->reader, &c->arena, &row, side->appraisal.baseline_id);
    if (status == STATUS_OK) {
        text_copy(side->label, sizeof side->label, row.label);
    }
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status read_sides(struct comparing *c) {
    struct store_reader *reader = c->r->worker->reader;
    memcpy(c->after.sha256, c->boot.boot_state, 32);
    memcpy(c->before.sha256, c->boot.trusted, 32);
    c->has_before = !booted_none(c->boot.trusted);
    enum status status =
        booted_facts(reader, &c->arena, &c->after.facts, c->after.sha256, &c->detail);
    if (status == STATUS_OK && c->has_before) {
        status = booted_facts(reader, &c->arena, &c->before.facts, c->before.sha256, &c->detail);
    }
    if (status == STATUS_OK) {
        status = find_appraisals(c);
    }
    if (status == STATUS_OK) {
        status = find_label(c, &c->before);
    }
    return status == STATUS_OK ? find_label(c, &c->after) : status;
}

static enum status compare(struct comparing *c) {
    struct store_reader *reader = c->r->worker->reader;
    enum status status = store_read_begin(reader);
    if (status != STATUS_OK) {
        return status;
    }
    status = store_device_get(reader, &c->arena, &c->device, c->r->param[0]);
    if (status == STATUS_OK) {
        status = store_device_boot_get(reader, &c->boot, c->device.id);
        status = status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
    }
    if (status == STATUS_OK) {
        status = read_sides(c);
    }
    store_read_end(reader);
    return status == STATUS_OK && c->has_before
               ? drift_between(&c->drift, &c->arena, &c->before.facts, &c->after.facts)
               : status;
}

static void write_side(struct json_out *o, const char *name, const struct side *side) {
    json_out_object(o, name);
    json_out_hex(o, "boot_state", bytes_of(side->sha256, 32));
    json_out_text(o, "appraisal_id", side->appraised ? side->appraisal.id : NULL);
    if (side->appraised) {
        json_out_time_ms(o, "appraised_at", side->appraisal.created_ms);
    } else {
        json_out_text(o, "appraised_at", NULL);
    }
    json_out_text(o, "verdict",
                  side->appraised ? verdict_name((enum verdict)side->appraisal.verdict) : NULL);
    json_out_text(o, "baseline_id",
                  side->appraised && side->appraisal.baseline_id[0] != '\0'
                      ? side->appraisal.baseline_id
                      : NULL);
    json_out_text_or_null(o, "baseline_label", side->label);
    json_out_object_end(o);
}

static enum http_next answer(const struct comparing *c) {
    struct json_out o;
    json_out_init(&o, c->r->x->arena, 4096);
    json_out_object(&o, NULL);
    json_out_text(&o, "device_id", c->device.id);
    json_out_text(&o, "verdict", verdict_name((enum verdict)c->device.verdict));
    json_out_time_or_null(&o, "since", c->boot.since);
    if (c->has_before) {
        write_side(&o, "before", &c->before);
    } else {
        json_out_text(&o, "before", NULL);
    }
    write_side(&o, "after", &c->after);
    drift_write(&o, "changes", &c->drift);
    json_out_bool(&o, "cut", c->drift.cut);
    json_out_object_end(&o);
    return answer_json(c->r, 200, &o);
}

enum http_next device_drift(struct request *r) {
    struct comparing *c = arena_alloc(r->x->arena, sizeof *c);
    if (c == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    c->r = r;
    arena_init(&c->arena, WORK_BYTES);
    enum status status = compare(c);
    enum http_next next = status == STATUS_CONFLICT ? problem(r->x, PROBLEM_NO_FACTS)
                          : status == STATUS_OK     ? answer(c)
                                                    : answer_status(r, status, &c->detail);
    arena_free(&c->arena);
    return next;
}

/* --- facts --- */

struct showing {
    struct arena arena;
    struct device_row device;
    struct device_boot_row boot;
    struct facts facts;
    struct detail detail;
};

static enum status read_facts(struct request *r, struct showing *s) {
    struct store_reader *reader = r->worker->reader;
    enum status status = store_read_begin(reader);
    if (status != STATUS_OK) {
        return status;
    }
    status = store_device_get(reader, &s->arena, &s->device, r->param[0]);
    if (status == STATUS_OK) {
        status = store_device_boot_get(reader, &s->boot, s->device.id);
        status = status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
    }
    if (status == STATUS_OK) {
        status = booted_facts(reader, &s->arena, &s->facts, s->boot.boot_state, &s->detail);
    }
    store_read_end(reader);
    return status;
}

static enum http_next answer_facts(struct request *r, const struct showing *s) {
    struct json_out o;
    json_out_init(&o, r->x->arena, 16384);
    json_out_object(&o, NULL);
    json_out_text(&o, "device_id", s->device.id);
    json_out_hex(&o, "boot_state", bytes_of(s->boot.boot_state, 32));
    json_out_time_or_null(&o, "since", s->boot.since);
    json_out_object(&o, "facts");
    facts_json(&o, &s->facts);
    json_out_object_end(&o);
    json_out_object_end(&o);
    return answer_json(r, 200, &o);
}

enum http_next device_facts(struct request *r) {
    struct showing *s = arena_alloc(r->x->arena, sizeof *s);
    if (s == NULL) {
        return problem(r->x, PROBLEM_INTERNAL);
    }
    arena_init(&s->arena, WORK_BYTES);
    enum status status = read_facts(r, s);
    enum http_next next = status == STATUS_CONFLICT ? problem(r->x, PROBLEM_NO_FACTS)
                          : status == STATUS_OK     ? answer_facts(r, s)
                                                    : answer_status(r, status, &s->detail);
    arena_free(&s->arena);
    return next;
}
