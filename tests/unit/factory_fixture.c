#include "tests/unit/factory_fixture.h"

#include "server/base/clock.h"
#include "server/crypto/der.h"
#include "server/crypto/oid.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct bytes factory_name(struct arena *arena, const char *serial, unsigned tag) {
    uint8_t *buffer = arena_alloc(arena, 512);
    struct writer w = writer_of(buffer, 512);
    size_t name = der_open(&w, DER_SEQUENCE);
    const struct bytes oids[] = {DER_OID_OF(OID_COMMON_NAME), DER_OID_OF(OID_SERIAL_NUMBER)};
    const char *values[] = {"unit", serial};
    for (size_t i = 0; i < 2 && values[i] != NULL; i++) {
        size_t set = der_open(&w, DER_SET), pair = der_open(&w, DER_SEQUENCE);
        der_write(&w, DER_OID, oids[i]);
        der_write(&w, i == 0 ? (unsigned)DER_UTF8_STRING : tag, bytes_of_text(values[i]));
        der_close(&w, pair);
        der_close(&w, set);
    }
    der_close(&w, name);
    ck_assert(!w.overflow);
    return writer_bytes(&w);
}

struct bytes factory_make(struct arena *arena, struct cert_spec spec) {
    int64_t now = clock_unix();
    spec.not_before = now - FACTORY_DAY;
    if (spec.not_after != 253402300799 && spec.not_after != 1) {
        spec.not_after = now + FACTORY_DAY;
    }
    return arena_bytes(arena, cert_make(&spec));
}

struct cert_spec factory_leaf(struct arena *arena, const char *serial, size_t key) {
    struct cert_spec spec = cert_leaf("unit", key, "middle", FACTORY_MIDDLE);
    spec.subject_name = factory_name(arena, serial, DER_PRINTABLE_STRING);
    spec.not_after = 253402300799;
    return spec;
}

const char *factory_text_json(struct arena *arena, const char *member, const char *text) {
    json_t *json = json_pack("{s:s}", member, text);
    char *dumped = json_dumps(json, 0);
    const char *kept = arena_text(arena, dumped);
    free(dumped);
    json_decref(json);
    return kept;
}

const char *factory_registration(struct arena *arena, const char *model, const struct bytes *der,
                                 size_t num, const char *ak, const char *ek_sha256) {
    json_t *json = json_pack("{s:s}", "model", model);
    if (num > 0) {
        const char *pem = (const char *)cert_pem(arena, der, num).data;
        ck_assert_int_eq(json_object_set_new(json, "idevid_certificate", json_string(pem)), 0);
    }
    if (ak != NULL) {
        ck_assert_int_eq(json_object_set_new(json, "ak_public", json_string(ak)), 0);
    }
    if (ek_sha256 != NULL) {
        ck_assert_int_eq(json_object_set_new(json, "ek_sha256", json_string(ek_sha256)), 0);
    }
    char *dumped = json_dumps(json, 0);
    const char *kept = arena_text(arena, dumped);
    free(dumped);
    json_decref(json);
    return kept;
}

struct caller factory_peer(const struct bytes *chain, size_t num, bool vouched) {
    struct caller caller = caller_nobody();
    caller.peer.authenticated = true;
    caller.peer.vouched = vouched;
    caller.peer.num_chain = num;
    memcpy(caller.peer.chain, chain, num * sizeof *chain);
    digest_compute(HASH_SHA256, chain[0], caller.peer.leaf_sha256);
    return caller;
}
