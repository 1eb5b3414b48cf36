/* How devices come, change and go; what they did last is device.c's. */
#include "db/sqlite/device.h"

#include <string.h>

/* Is `key` that of a device other than `id`? CONFLICT; an empty key is no key. */
static enum status key_known(struct store_writer *writer, enum statement statement,
                             struct bytes key, const char *id) {
    if (key.len == 0) {
        return STATUS_OK;
    }
    QUERY q = query_of(of_writer(writer), statement);
    bind_blob(&q, key);
    bind_id(&q, id);
    enum status status = query_step(&q);
    return status == STATUS_OK ? STATUS_CONFLICT : status == STATUS_END ? STATUS_OK : status;
}

static enum status owner_of(struct store_reader *reader, enum statement statement,
                            char out[static STORE_ID], struct bytes ak_public) {
    QUERY q = query_of(of_reader(reader), statement);
    char id[STORE_ID] = "";
    bind_blob(&q, ak_public);
    enum status status = query_first(&q);
    if (status == STATUS_OK) {
        column_id(&q, id);
        status = q.status;
    }
    if (status == STATUS_OK) {
        memcpy(out, id, STORE_ID);
    }
    return status;
}

enum status store_ak_owner(struct store_reader *reader, char device_id[static STORE_ID],
                           bool *in_force, struct bytes ak_public) {
    bool now = true;
    enum status status = owner_of(reader, SQL_AK_OWNER, device_id, ak_public);
    if (status == STATUS_NOT_FOUND) {
        now = false;
        status = owner_of(reader, SQL_AK_FORMER_OWNER, device_id, ak_public);
    }
    if (status == STATUS_OK) {
        *in_force = now;
    }
    return status;
}

/* CONFLICT: an AK that was given up, by whomever. */
static enum status ak_given_up(struct store_writer *writer, struct bytes ak_public) {
    char id[STORE_ID];
    if (ak_public.len == 0) {
        return STATUS_OK;
    }
    enum status status = owner_of(&writer->reader, SQL_AK_FORMER_OWNER, id, ak_public);
    return status == STATUS_OK ? STATUS_CONFLICT : status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status keys_known(struct store_writer *writer, const struct device_row *row) {
    enum status status = key_known(writer, SQL_DEVICE_EK_KNOWN, row->ek_public, row->id);
    if (status == STATUS_OK) {
        status = key_known(writer, SQL_DEVICE_AK_KNOWN, row->ak_public, row->id);
    }
    return status == STATUS_OK ? ak_given_up(writer, row->ak_public) : status;
}

static void bind_device(struct query *q, const struct device_row *row) {
    bind_id(q, row->id);
    bind_text(q, row->model);
    bind_int(q, row->state);
    bind_int(q, row->verdict);
    bind_int(q, row->tier);
    bind_id_or_null(q, row->appraisal_id);
    bind_clock(q, row);
    bind_int(q, row->enrolled);
    bind_int(q, row->last_seen);
    bind_int(q, row->updated);
    bind_sha256_or_null(q, row->identity_sha256);
    bind_text(q, row->identity_serial);
    bind_int(q, row->identity_not_after);
    bind_int(q, row->identity_kind);
    bind_int(q, row->key_protection);
    bind_sha256_or_null(q, row->idevid_sha256);
    bind_text(q, row->idevid_serial);
    bind_id_or_null(q, row->registration);
    bind_text(q, row->note);
    bind_int(q, row->trustworthiness);
}

/* What is empty is not kept: a device that was only announced has no keys. */
static enum status put_keys(struct store_writer *writer, const struct device_row *row) {
    bool none = row->ek_public.len == 0 && row->ak_public.len == 0 && row->ek_certificate.len == 0;
    QUERY q = query_of(of_writer(writer), none ? SQL_DEVICE_KEY_DELETE : SQL_DEVICE_KEY_PUT);
    bind_id(&q, row->id);
    if (!none) {
        bind_blob(&q, row->ek_public);
        bind_blob(&q, row->ak_public);
        bind_blob(&q, row->ek_certificate);
    }
    return query_run(&q);
}

enum status store_device_insert(struct store_writer *writer, const struct device_row *row) {
    enum status status = keys_known(writer, row);
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_DEVICE_INSERT);
    bind_device(&q, row);
    status = query_run(&q);
    bool keys = row->ek_public.len + row->ak_public.len + row->ek_certificate.len > 0;
    return status == STATUS_OK && keys ? put_keys(writer, row) : status;
}

enum status store_device_update(struct store_writer *writer, const struct device_row *row) {
    enum status status = keys_known(writer, row);
    if (status != STATUS_OK) {
        return status == STATUS_MALFORMED ? STATUS_NOT_FOUND : status;
    }
    QUERY q = query_of(of_writer(writer), SQL_DEVICE_UPDATE);
    bind_device(&q, row);
    status = query_run_one(&q);
    return status == STATUS_OK ? put_keys(writer, row) : status;
}

/* Has the device an AK that is not `ak_public`? */
static enum status has_another_ak(struct store_writer *writer, bool *out, const char *id,
                                  struct bytes ak_public) {
    QUERY q = query_of(of_writer(writer), SQL_DEVICE_AK_OTHER);
    bind_id(&q, id);
    bind_blob(&q, ak_public);
    enum status status = query_step(&q);
    *out = status == STATUS_OK;
    return status == STATUS_END         ? STATUS_OK
           : status == STATUS_MALFORMED ? STATUS_NOT_FOUND
                                        : status;
}

static enum status run_on(struct store_writer *writer, enum statement statement, const char *id) {
    QUERY q = query_of(of_writer(writer), statement);
    bind_id(&q, id);
    return query_run_one(&q);
}

enum status store_device_enrol(struct store_writer *writer, const struct device_row *row) {
    struct device_row enrolled = *row;
    enrolled.verdict = enrolled.tier = 0;
    enrolled.trustworthiness = 0;
    enrolled.appraisal_id[0] = '\0';
    enrolled.has_clock = false;
    bool another = false;
    enum status status = has_another_ak(writer, &another, row->id, row->ak_public);
    if (status == STATUS_OK && another) {
        status = run_on(writer, SQL_AK_RETIRE, row->id);
    }
    if (status == STATUS_OK) {
        status = store_device_update(writer, &enrolled);
    }
    if (status != STATUS_OK) {
        return status;
    }
    QUERY q = query_of(of_writer(writer), SQL_DEVICE_ENROLLED_SET);
    bind_id(&q, row->id);
    bind_int(&q, row->enrolled);
    return query_run_one(&q);
}

enum status store_device_delete(struct store_writer *writer, const char *id) {
    enum device_state state = 0;
    enum status status = store_device_state(&writer->reader, &state, id);
    if (status != STATUS_OK) {
        return status;
    }
    if (state != DEVICE_REGISTERED && state != DEVICE_PENDING_APPROVAL) {
        return STATUS_CONFLICT;
    }
    QUERY forget = query_of(of_writer(writer), SQL_AK_FORGET);
    bind_id(&forget, id);
    status = query_run(&forget);
    return status == STATUS_OK ? run_on(writer, SQL_DEVICE_DELETE, id) : status;
}
