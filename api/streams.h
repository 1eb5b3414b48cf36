/* Streams of events, as receivers (proxy plane) and administrators change them: one kind of change, two
 * ways to say it. What a receiver does not own is not there for it. */
#ifndef GATEHOUSE_API_STREAMS_H
#define GATEHOUSE_API_STREAMS_H

#include "api/change.h"
#include "api/handlers.h"
#include "server/fleet/signal_event.h"

enum { STREAM_VERIFY_S = 60 }; /* between two verifications that a receiver asks for */

/* What is asked of a stream; NULL and absent: it stays as it is, or has none. */
struct stream_edit {
    enum stream_method method; /* of a new one */
    const char *proxy;         /* whose it is; "": nobody's */
    const char *description, *endpoint_url, *authorization, *audience;
    bool has_events;
    unsigned events;
};

enum stream_op { STREAM_CREATE, STREAM_UPDATE, STREAM_STATUS, STREAM_VERIFY, STREAM_DELETE };
struct stream_change {
    struct change change; /* first */
    enum stream_op op;
    enum http_next (*answer)(struct change *c);
    const char *id; /* NULL: a new one */
    struct stream_edit edit;
    enum stream_status status; /* for STREAM_STATUS */
    const char *text;          /* its reason, or the state of a verification; NULL: none */
    int64_t version;           /* wanted; 0: any */
    struct stream_row row;     /* as it is afterwards */
};

/* The proxy plane's caller, NULL for others. False, and it was answered: at the Unix socket nobody is
 * known by name. */
MUST_USE bool stream_caller(struct request *r, const char **proxy);
/* False, and it was answered: there are no tokens without a key. */
MUST_USE bool stream_needs_key(struct request *r);
/* The stream as the caller may see it; else the answer is a problem. */
MUST_USE bool stream_read(struct request *r, struct stream_row *out, const char *id);

/* Each checks what is asked, and submits; `answer` words the answer once it is durable. */
/* NULL: the answer is a problem already. */
struct stream_change *stream_change_new(struct request *r, enum stream_op op,
                                        enum http_next (*answer)(struct change *c));
enum http_next stream_submit(struct stream_change *s);

/* As administrators and the audit see it; `secret` NULL but where it is shown for the only time. */
void stream_write(struct json_out *o, const struct stream_row *row, const char *secret);
bool stream_status_from_name(enum stream_status *out, const char *name);

#endif
