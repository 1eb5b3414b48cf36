/* The parts of the signals' thread, and what they share. Internal to server/fleet; all of it belongs to
 * the thread but for what the lock guards. */
#ifndef GATEHOUSE_FLEET_SIGNALS_INTERNAL_H
#define GATEHOUSE_FLEET_SIGNALS_INTERNAL_H

#include "server/fleet/signal_event.h"
#include "server/fleet/signals.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SIGNALS_AHEAD = 64, SIGNALS_PAYLOAD = 64 * 1024 };

/* How far a stream got since it was written last; then on its way into the store. */
struct progress {
    int64_t delivered, refused, dropped;
    int64_t notice_done;     /* a notice that its receiver has; 0: none */
    char pause[STREAM_TEXT]; /* why it is to be paused; "": it is not */
    bool news;               /* more than the place alone */
};

struct receiver { /* of one stream */
    struct signals *signals;
    struct stream_row row; /* as read; its place, failures and last_ are ours and newer */
    int64_t written;       /* the place in the store */
    struct progress progress;
    bool writing; /* a commit is on its way */
    int64_t wrote_ms, write_not_before_ms;

    struct outbound_request request;
    int64_t sending; /* the seq or num that is under way */
    bool sending_notice;
    struct arena arena; /* of what is under way */
    int64_t next_ms;    /* not before */
    unsigned refused_in_a_row;

    struct arena ahead_arena;
    struct trust_change_row *ahead; /* what comes next, ascending */
    size_t ahead_at, num_ahead;
    bool caught_up;   /* there is no more in the store */
    bool has_notices; /* there may be */
    bool found;       /* in the list that is being read */
    struct receiver *next;
};

struct write {            /* the commit */
    struct commit commit; /* first */
    struct signals *signals;
    struct stream_row row; /* a snapshot */
    struct progress progress;
    struct arena arena;
    struct write *next;
};

struct signals {
    struct signals_options options;
    struct store_reader *reader;
    struct outbound *outbound;
    struct feed_follower follower;
    pthread_t thread;
    bool started, following;

    _Atomic bool news;    /* the feed has more */
    _Atomic bool reload;  /* streams were changed */
    pthread_mutex_t lock; /* of what follows */
    struct signals_poll *new_polls;
    struct write *written;
    bool ending_polls, stopping;

    struct receiver *receivers;
    struct signals_poll *polls;
    unsigned num_writing;
    int64_t reload_not_before_ms;
    bool ending; /* no poll waits */

    _Atomic uint64_t delivered, refused, failures, dropped, paused, streams[4], behind;
};

/* signals_deliver.c: the next attempt, if it is time for one. True: there is more to do at once. */
bool signals_deliver(struct signals *s, struct receiver *r, int64_t now_ms);
/* Fills ahead when it is used up; false: there is nothing, or it could not be read. Tells of what the
 * store has no more. */
bool signals_look_ahead(struct signals *s, struct receiver *r, int64_t now_ms);
/* It was lost before the receiver could have it. */
void signals_drop(struct signals *s, struct receiver *r, int64_t oldest);
/* Signs; as the option. */
enum status signals_make_tokens(struct signals *s, const struct bytes *claims, struct bytes *token,
                                size_t num, struct arena *arena, struct detail *detail);

/* signals_write.c */
void signals_write(struct signals *s, struct receiver *r, int64_t now_ms, bool force);
/* Takes back what the committer has done with. */
void signals_take_written(struct signals *s, int64_t now_ms);

/* signals_poll.c: answers those that can be. */
void signals_answer_polls(struct signals *s, int64_t now_ms);

/* signals.c */
struct receiver *signals_find(const struct signals *s, const char *stream);

#endif
