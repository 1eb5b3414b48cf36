/* RCU as the fleet uses it: liburcu's memb flavour, whose readers pay no barrier. The library's own
 * synchronisation is invisible to ThreadSanitizer, so it is told of it here, and only here. */
#ifndef GATEHOUSE_FLEET_RCU_H
#define GATEHOUSE_FLEET_RCU_H

#include <urcu/rculfhash.h>
#include <urcu/urcu-memb.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GATEHOUSE_TSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define GATEHOUSE_TSAN 1
#endif

#ifdef GATEHOUSE_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
extern char rcu_told; /* an address to tell of */
static inline void rcu_tell_release(void) {
    __tsan_release(&rcu_told);
}
static inline void rcu_tell_acquire(void) {
    __tsan_acquire(&rcu_told);
}
#else
static inline void rcu_tell_release(void) {
}
static inline void rcu_tell_acquire(void) {
}
#endif

static inline void rcu_begin(void) {
    urcu_memb_read_lock();
}

static inline void rcu_end(void) {
    rcu_tell_release();
    urcu_memb_read_unlock();
}

/* Returns when every reader that began before has ended. Not between rcu_begin and rcu_end. */
static inline void rcu_wait(void) {
    urcu_memb_synchronize_rcu();
    rcu_tell_acquire();
}

#endif
