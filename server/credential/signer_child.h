/* The signer's child process, in the steps that signer_start takes after the fork. Internal to
 * server/credential; single-threaded. */
#ifndef GATEHOUSE_CREDENTIAL_SIGNER_CHILD_H
#define GATEHOUSE_CREDENTIAL_SIGNER_CHILD_H

#include "server/credential/signer.h"

/* Becomes the signer: reads the keys, confines itself, says hello on `fd` and serves until the
 * channel closes or a frame is not well-formed. Never returns. */
_Noreturn void signer_child_run(int fd, const struct signer_options *options, int parent_pid);

/* From here on: no new file, process, privilege or core file, and of the system calls only read,
 * sendto, memory, time, randomness and exit; any other ends the process. Cannot be undone.
 * INTERNAL when the kernel refuses. */
MUST_USE enum status signer_confine(struct detail *detail);

#endif
