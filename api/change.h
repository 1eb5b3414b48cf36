/* A request that writes: a commit with an audit entry, whose exchange waits until it is durable.
 *
 * The handler allocates its own struct, with a change as the first member, in the exchange's arena,
 * fills it and returns change_submit(). From then until the answer it belongs to the committer's
 * thread. */
#ifndef GATEHOUSE_API_CHANGE_H
#define GATEHOUSE_API_CHANGE_H

#include "api/request.h"

struct change;

struct change_kind {
    struct commit_kind commit; /* CHANGE_COMMIT(...) */
    /* In the transaction, after the actor's right was looked at once more. OK: durable with its
     * audit entry, then `answer`. Another status undoes it; c->problem may say what that means. */
    enum status (*apply)(struct change *c, struct store_writer *writer, struct detail *detail);
    /* The commit is durable. */
    enum http_next (*answer)(struct change *c);
    /* It was undone, and c->problem is set. NULL: the answer is that problem and no more. */
    enum http_next (*refuse)(struct change *c);
    bool silent; /* apply may leave no audit entry; else nothing is changed without one */
};
#define CHANGE_COMMIT(...) {.apply = change_apply, .done = change_done, __VA_ARGS__}

struct change {
    struct commit commit; /* first */
    const struct change_kind *kind;
    struct request *r;
    int64_t now_ms;            /* when the handler made it; seconds are change_now() */
    enum problem_kind problem; /* NUM_PROBLEMS: none */
    struct audit_row audit;    /* action "": no entry, of a silent kind */
};

/* `size` bytes in the arena, a struct whose first member is a change. NULL: the arena is full. */
MUST_USE void *change_new(struct request *r, const struct change_kind *kind, size_t size);
int64_t change_now(const struct change *c);
/* What the audit entry says; apply may set it anew. `kind` and `id` are written "kind:id". */
void change_audit(struct change *c, const char *action, const char *kind, const char *id);
/* HTTP_WAIT, or HTTP_ANSWER when the committer takes no more. Where the route takes two people, the
 * request is proposed instead (api/two_person.h), and the change is dropped. */
enum http_next change_submit(struct change *c);
/* The same, but for that. */
enum http_next change_enqueue(struct change *c);
/* For apply: sets the problem and returns the status. */
MUST_USE enum status change_fail(struct change *c, enum problem_kind problem, enum status status);

enum status change_apply(struct commit *commit, struct store_writer *writer, struct detail *detail);
void change_done(struct commit *commit);

#endif
