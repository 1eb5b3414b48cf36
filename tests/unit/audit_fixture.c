#include "tests/unit/audit_fixture.h"

#include "server/credential/checkpoint.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { START = 1795438800 };

void audit_fixture_open(struct audit_fixture *f) {
    *f = (struct audit_fixture){0};
    struct public_key key;
    arena_init(&f->arena, (size_t)64 << 20);
    ck_assert_int_eq(private_key_generate(&f->key, KEY_EC_P256), STATUS_OK);
    private_key_public(f->key, &key);
    f->authority = (struct audit_authority){.sha256 = {0xca}, .key = key};
}

void audit_fixture_close(struct audit_fixture *f) {
    private_key_free(f->key);
    arena_free(&f->arena);
}

static void keep(struct audit_fixture *f, const struct json_out *o, bool is_checkpoint) {
    ck_assert_uint_lt(f->num_lines, AUDIT_FIXTURE_LINES);
    f->line[f->num_lines] = json_out_end(o);
    f->seq[f->num_lines] = f->tip.seq;
    f->is_checkpoint[f->num_lines++] = is_checkpoint;
}

void audit_fixture_entry(struct audit_fixture *f) {
    struct json_out o;
    struct audit_row row = {.seq = f->tip.seq + 1,
                            .time_ms = START * 1000LL + f->tip.seq,
                            .actor = "operator:alice",
                            .action = "model.update",
                            .before = bytes_of_text("{\"hash\":\"\",\"seq\":1}"),
                            .request_id = "00112233445566778899aabbccddeeff"};
    (void)snprintf(row.object, sizeof row.object, "model:%lld", (long long)row.seq);
    memcpy(row.previous, f->tip.hash, sizeof row.previous);
    ck_assert_int_eq(audit_hash(row.hash, &row), STATUS_OK);
    memcpy(f->tip.hash, row.hash, sizeof row.hash);
    f->tip.seq = row.seq;
    json_out_init(&o, &f->arena, 1024);
    audit_write_entry(&o, &row);
    keep(f, &o, false);
}

struct bytes audit_fixture_sign(struct audit_fixture *f, struct audit_checkpoint_row *row) {
    uint8_t text[CHECKPOINT_TEXT_MAX], *signature = arena_alloc(&f->arena, KEY_SIGNATURE_MAX);
    struct writer w = writer_of(text, sizeof text), s = writer_of(signature, KEY_SIGNATURE_MAX);
    struct checkpoint c = {.trust_domain = row->trust_domain, .seq = row->seq, .time = row->time};
    struct json_out o;
    memcpy(c.hash, row->hash, sizeof c.hash);
    ck_assert_int_eq(checkpoint_text(&w, &c), STATUS_OK);
    ck_assert_int_eq(private_key_sign(f->key, &s, writer_bytes(&w)), STATUS_OK);
    row->signature = writer_bytes(&s);
    memcpy(row->authority, f->authority.sha256, sizeof row->authority);
    json_out_init(&o, &f->arena, 1024);
    audit_write_checkpoint(&o, row);
    return json_out_end(&o);
}

void audit_fixture_checkpoint(struct audit_fixture *f) {
    struct audit_checkpoint_row row = {
        .seq = f->tip.seq, .time = START, .trust_domain = "gatehouse.test"};
    memcpy(row.hash, f->tip.hash, sizeof row.hash);
    struct json_out o;
    json_out_init(&o, &f->arena, 0);
    (void)audit_fixture_sign(f, &row);
    audit_write_checkpoint(&o, &row);
    keep(f, &o, true);
}

uint8_t *audit_fixture_text(const struct audit_fixture *f, size_t *len) {
    size_t at = 0, sum = 0;
    for (size_t i = 0; i < f->num_lines; i++) {
        sum += f->line[i].len;
    }
    uint8_t *text = malloc(sum == 0 ? 1 : sum);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < f->num_lines; i++) {
        memcpy(text + at, f->line[i].data, f->line[i].len);
        at += f->line[i].len;
    }
    *len = sum;
    return text;
}

enum status audit_fixture_verify(struct audit_verifier *v, const struct audit_expectation *expected,
                                 struct bytes text) {
    size_t at = 0;
    audit_verifier_init(v, expected);
    while (at < text.len) {
        const uint8_t *end = memchr(text.data + at, '\n', text.len - at);
        size_t len = end == NULL ? text.len - at : (size_t)(end - (text.data + at));
        if (audit_verifier_line(v, bytes_of(text.data + at, len), end != NULL) != STATUS_OK) {
            break;
        }
        at += len + 1;
    }
    return audit_verifier_end(v);
}
