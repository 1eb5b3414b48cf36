#include "server/fleet/rcu.h"
#include "server/fleet/table.h"

#ifdef GATEHOUSE_TSAN
char rcu_told;
#endif

void fleet_thread_enter(void) {
    urcu_memb_register_thread();
}

void fleet_thread_leave(void) {
    urcu_memb_unregister_thread();
}
