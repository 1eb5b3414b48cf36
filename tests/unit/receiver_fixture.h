/* A receiver of events on the loopback interface: takes one connection after another on a thread of
 * its own, reads the request and answers as it is told. For tests: whatever fails ends the test. */
#ifndef GATEHOUSE_TESTS_RECEIVER_FIXTURE_H
#define GATEHOUSE_TESTS_RECEIVER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

struct receiver;
/* `answer` is sent as it is, NULL: it hangs; then the connection is closed. `fill` more bytes of 'x'
 * come behind it. */
struct receiver *receiver_start(const char *answer, size_t fill);
/* What it answers from now on. */
void receiver_answer(struct receiver *r, const char *answer);
unsigned receiver_port(const struct receiver *r);
/* How many whole requests came. */
unsigned receiver_requests(struct receiver *r);
/* The request with this number, from 0, whole and terminated; waits up to ten seconds for it. NULL: it
 * did not come. */
const char *receiver_request(struct receiver *r, unsigned number);
void receiver_stop(struct receiver *r);

#endif
