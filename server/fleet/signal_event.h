/* What changes in trust mean to a receiver of events: which it is told, under which name, and in which
 * words. Security event tokens (RFC 8417) of the Shared Signals Framework 1.0 and of CAEP 1.0, with
 * subjects of RFC 9493; and the bodies of webhooks. Pure; what is written lies in the arena given.
 *
 * An event is named after its stream and the number of the change or the notice: what is sent again has
 * the same name. */
#ifndef GATEHOUSE_FLEET_SIGNAL_EVENT_H
#define GATEHOUSE_FLEET_SIGNAL_EVENT_H

#include "db/store.h"

/* Bits of stream_row.events. */
enum signal_event {
    SIGNAL_COMPLIANCE = 1, /* whether a device is trusted: device-compliance-change */
    SIGNAL_CREDENTIAL = 2, /* a credential was given or revoked: credential-change */
    SIGNAL_MODEL = 4       /* webhooks: decisions about a whole model may be others */
};
enum { SIGNAL_SSF = SIGNAL_COMPLIANCE | SIGNAL_CREDENTIAL, SIGNAL_ALL = SIGNAL_SSF | SIGNAL_MODEL };
#define SIGNAL_METHOD_PUSH "urn:ietf:rfc:8935"
#define SIGNAL_METHOD_POLL "urn:ietf:rfc:8936"

/* The URI of a token's event, "" for SIGNAL_MODEL; a webhook's "device", "credential", "model". */
const char *signal_event_uri(enum signal_event event);
const char *signal_event_name(enum signal_event event);
unsigned signal_event_from_uri(const char *uri); /* 0: it is none that we have */
unsigned signal_event_from_name(const char *name);

/* "<stream id>.<seq>", "<stream id>.n<num>" */
enum { SIGNAL_JTI = STORE_ID + 22 };
void signal_jti(char out[static SIGNAL_JTI], const char *stream, int64_t seq);
void signal_notice_jti(char out[static SIGNAL_JTI], const char *stream, int64_t num);
/* False: it is none of this stream's. */
bool signal_jti_read(const char *jti, const char *stream, bool *is_notice, int64_t *number);

/* Whether the stream is told of this change. A token says that a device became compliant or ceased to
 * be; a webhook any change of it. */
bool signal_concerns(const struct stream_row *stream, const struct trust_change_row *change);

/* The claims of a token that is issued at `now`; empty when the arena is full. `change` concerns the
 * stream. */
struct bytes signal_claims(struct arena *arena, const char *issuer, const struct stream_row *stream,
                           const struct trust_change_row *change, int64_t now);
struct bytes signal_notice_claims(struct arena *arena, const char *issuer,
                                  const struct stream_row *stream, const struct notice_row *notice,
                                  int64_t now);
/* The body of a webhook; likewise. */
struct bytes signal_webhook(struct arena *arena, const struct stream_row *stream,
                            const struct trust_change_row *change);
struct bytes signal_notice_webhook(struct arena *arena, const struct stream_row *stream,
                                   const struct notice_row *notice);
/* "t=<unix>,v1=<hex>": HMAC-SHA-256 over "<unix>." and the body, with the bytes of the secret's text as
 * the key. NULL when the arena is full. */
char *signal_webhook_signature(struct arena *arena, const char *secret, int64_t now,
                               struct bytes body);

#endif
