#include "server/credential/signer_child.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const int allowed[] = {
    SCMP_SYS(read),         SCMP_SYS(sendto),  SCMP_SYS(brk),           SCMP_SYS(munmap),
    SCMP_SYS(mremap),       SCMP_SYS(madvise), SCMP_SYS(clock_gettime), SCMP_SYS(clock_gettime64),
    SCMP_SYS(getrandom),    SCMP_SYS(getpid),  SCMP_SYS(futex),         SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(exit),    SCMP_SYS(exit_group),    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
};

static int add_rules(scmp_filter_ctx filter) {
    int result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0] && result == 0; i++) {
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    }
    if (result == 0) { /* memory, but none that can be executed */
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    }
    return result == 0 ? seccomp_load(filter) : result;
}

static bool limit(__rlimit_resource_t resource, rlim_t value) {
    const struct rlimit both = {.rlim_cur = value, .rlim_max = value};
    return setrlimit(resource, &both) == 0;
}

enum status signer_confine(struct detail *detail) {
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        !limit(RLIMIT_CORE, 0) || !limit(RLIMIT_NOFILE, SIGNER_CHANNELS + 1) ||
        !limit(RLIMIT_NPROC, 0) || !limit(RLIMIT_FSIZE, 0)) {
        return status_fail(detail, STATUS_INTERNAL, "the signer cannot be confined: %s",
                           strerror(errno));
    }
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (filter == NULL) {
        return status_fail(detail, STATUS_MEMORY, "out of memory");
    }
    int result = add_rules(filter);
    seccomp_release(filter);
    if (result != 0) {
        return status_fail(detail, STATUS_INTERNAL,
                           "the signer's system call filter was refused: %s", strerror(-result));
    }
    return STATUS_OK;
}
