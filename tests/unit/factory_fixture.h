/* Makers that put certificates into devices (IEEE 802.1AR), and what an operator and TLS make of those. What is
 * given lives in the arena. Failures fail the test that runs. */
#ifndef GATEHOUSE_TESTS_FACTORY_FIXTURE_H
#define GATEHOUSE_TESTS_FACTORY_FIXTURE_H

#include "tests/unit/api_fixture.h"
#include "tests/unit/cert_fixture.h"

enum { FACTORY_DAY = 86400, FACTORY_MIDDLE = 1 }; /* key of the CA "middle", which issues */

/* CN and a serialNumber; NULL: none. */
struct bytes factory_name(struct arena *arena, const char *serial, unsigned tag);
/* Its DER: good since yesterday, and until tomorrow but where not_after is 9999, or 1. */
struct bytes factory_make(struct arena *arena, struct cert_spec spec);
/* A device's, with this serialNumber and key of cert_key. */
struct cert_spec factory_leaf(struct arena *arena, const char *serial, size_t key);
/* {member:text} */
const char *factory_text_json(struct arena *arena, const char *member, const char *text);
/* The body of POST /v1/devices; NULL and empty members are left out. */
const char *factory_registration(struct arena *arena, const char *model, const struct bytes *der,
                                 size_t num, const char *ak, const char *ek_sha256);
/* What TLS would say of the peer. */
struct caller factory_peer(const struct bytes *chain, size_t num, bool vouched);

#endif
