#include "server/fleet/feed.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct feed {
    pthread_mutex_t lock;
    struct trust_change_row *ring; /* those after `from`, up to `newest`, by arrival */
    size_t capacity, first, num;
    int64_t from;           /* what came later than this is in the ring */
    _Atomic int64_t newest; /* of all that was published; written under the lock */

    pthread_mutex_t followers_lock; /* held while they are told; never inside of `lock` */
    struct feed_follower *followers;
};

enum status feed_new(struct feed **out, unsigned capacity) {
    struct feed *feed = calloc(1, sizeof *feed);
    struct trust_change_row *ring = calloc(capacity, sizeof *ring);
    if (feed == NULL || ring == NULL || capacity == 0 ||
        pthread_mutex_init(&feed->lock, NULL) != 0) {
        free(ring);
        free(feed);
        return STATUS_MEMORY;
    }
    if (pthread_mutex_init(&feed->followers_lock, NULL) != 0) {
        (void)pthread_mutex_destroy(&feed->lock);
        free(ring);
        free(feed);
        return STATUS_MEMORY;
    }
    feed->ring = ring;
    feed->capacity = capacity;
    *out = feed;
    return STATUS_OK;
}

void feed_free(struct feed *feed) {
    if (feed != NULL) {
        (void)pthread_mutex_destroy(&feed->followers_lock);
        (void)pthread_mutex_destroy(&feed->lock);
        free(feed->ring);
        free(feed);
    }
}

static void append(struct feed *feed, const struct trust_change_row *row) {
    if (feed->num == feed->capacity) {
        feed->from = feed->ring[feed->first].seq;
        feed->first = (feed->first + 1) % feed->capacity;
        feed->num--;
    }
    feed->ring[(feed->first + feed->num++) % feed->capacity] = *row;
    atomic_store(&feed->newest, row->seq);
}

void feed_publish(struct feed *feed, const struct trust_change_row *row, size_t num,
                  int64_t newest) {
    (void)pthread_mutex_lock(&feed->lock);
    for (size_t i = 0; i < num; i++) {
        append(feed, &row[i]);
    }
    if (newest > atomic_load(&feed->newest)) {
        feed->num = 0;
        feed->from = newest;
        atomic_store(&feed->newest, newest);
    }
    (void)pthread_mutex_unlock(&feed->lock);
    (void)pthread_mutex_lock(&feed->followers_lock);
    for (struct feed_follower *f = feed->followers; f != NULL; f = f->next) {
        f->wake(f);
    }
    (void)pthread_mutex_unlock(&feed->followers_lock);
}

int64_t feed_newest(const struct feed *feed) {
    return atomic_load(&feed->newest);
}

/* How many of the ring are not after `after_seq`. */
static size_t skip(const struct feed *feed, int64_t after_seq) {
    size_t low = 0, high = feed->num;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (feed->ring[(feed->first + middle) % feed->capacity].seq <= after_seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

enum status feed_read(struct feed *feed, struct trust_change_row *out, size_t *num,
                      int64_t after_seq, size_t max) {
    enum status status = STATUS_EXPIRED;
    (void)pthread_mutex_lock(&feed->lock);
    if (after_seq >= feed->from) {
        size_t at = skip(feed, after_seq), some = feed->num - at;
        some = some < max ? some : max;
        for (size_t i = 0; i < some; i++) {
            out[i] = feed->ring[(feed->first + at + i) % feed->capacity];
        }
        *num = some;
        status = STATUS_OK;
    }
    (void)pthread_mutex_unlock(&feed->lock);
    return status;
}

void feed_follow(struct feed *feed, struct feed_follower *follower) {
    (void)pthread_mutex_lock(&feed->followers_lock);
    follower->next = feed->followers;
    follower->previous = &feed->followers;
    if (follower->next != NULL) {
        follower->next->previous = &follower->next;
    }
    feed->followers = follower;
    (void)pthread_mutex_unlock(&feed->followers_lock);
}

void feed_unfollow(struct feed *feed, struct feed_follower *follower) {
    (void)pthread_mutex_lock(&feed->followers_lock);
    *follower->previous = follower->next;
    if (follower->next != NULL) {
        follower->next->previous = follower->previous;
    }
    (void)pthread_mutex_unlock(&feed->followers_lock);
}
