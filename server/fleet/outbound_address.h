/* Which addresses of receivers may be connected to. Receivers are named by whoever makes a stream, and
 * must not lead the gateway to what only it can reach: itself, its neighbours, a cloud's metadata.
 * Pure; thread-safe. Source: the special-purpose address registries (RFC 6890) and RFC 6052. */
#ifndef GATEHOUSE_FLEET_OUTBOUND_ADDRESS_H
#define GATEHOUSE_FLEET_OUTBOUND_ADDRESS_H

#include "config/value.h"

struct sockaddr;

/* A public unicast address, or one of the networks named. An IPv4 address in an IPv6 one (mapped, or
 * of NAT64) counts as the IPv4 address; 6to4 and Teredo addresses are refused. Of any other family:
 * false. */
bool outbound_address_allowed(const struct sockaddr *address, size_t len,
                              const struct network *allow, size_t num);

#endif
