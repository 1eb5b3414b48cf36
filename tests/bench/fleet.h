/* A simulated fleet: devices with software TPMs that are put straight into a store, and a file of
 * their keys for the load generator. All of a fleet boot the same. */
#ifndef GATEHOUSE_TESTS_FLEET_H
#define GATEHOUSE_TESTS_FLEET_H

#include "server/tpm/pcr.h"
#include "tests/unit/soft_tpm.h"

enum { FLEET_MASK = 0x43FF, FLEET_LOG_SIZE = 40 * 1024 };
#define FLEET_MODEL "bench"

struct fleet_device {
    char id[33];
    char serial[33];               /* of the access credential that provisioning gave it */
    struct bytes key, certificate; /* PEM of its TLS key and identity certificate */
    char *csr;                     /* base64 */
    struct soft_tpm tpm;
};

struct fleet {
    struct fleet_device *device;
    size_t num;
    char *text; /* the file's content, which the devices' PEM views point into */
};

/* Creates model, baseline in force, `num` enrolled and trusted devices with an identity certificate
 * by the authority of the two files and one valid access credential each; writes the fleet file. */
void fleet_provision(const char *store_file, const char *authority_key,
                     const char *authority_certificate, const char *trust_domain, size_t num,
                     const char *fleet_file);
void fleet_load(struct fleet *fleet, const char *fleet_file);
void fleet_free(struct fleet *fleet);

#endif
