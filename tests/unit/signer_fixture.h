/* A signer with authorities of its own, whose files are made in a folder. For tests: whatever fails
 * ends the test. Start it before any thread. */
#ifndef GATEHOUSE_TESTS_SIGNER_FIXTURE_H
#define GATEHOUSE_TESTS_SIGNER_FIXTURE_H

#include "server/credential/signer.h"

/* FOLDER/NAME.key and NAME.pem: a new authority. */
void signer_fixture_authority(const char *folder, const char *name);
struct signer *signer_fixture_start(const char *folder);
/* A job for an access credential of an hour, for the n-th sample device; good unless changed. */
struct sign_job sample_job(unsigned n);

#endif
