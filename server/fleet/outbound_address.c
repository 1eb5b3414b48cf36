#include "server/fleet/outbound_address.h"

#include <netinet/in.h>
#include <string.h>

#define NUM(table) (sizeof(table) / sizeof(table)[0])

static const struct network refused4[] = {
    {false, {0}, 8},            /* "this network" */
    {false, {10}, 8},           /* private */
    {false, {100, 64}, 10},     /* shared (carrier-grade NAT) */
    {false, {127}, 8},          /* loopback */
    {false, {169, 254}, 16},    /* link-local, and the metadata of clouds */
    {false, {172, 16}, 12},     /* private */
    {false, {192, 0, 0}, 24},   /* protocol assignments */
    {false, {192, 0, 2}, 24},   /* documentation */
    {false, {192, 88, 99}, 24}, /* 6to4 relays */
    {false, {192, 168}, 16},    /* private */
    {false, {198, 18}, 15},     /* benchmarking */
    {false, {198, 51, 100}, 24},
    {false, {203, 0, 113}, 24},
    {false, {224}, 3}, /* multicast, reserved, broadcast */
};
/* Unicast that is routed is in 2000::/3; of that, what is not another's. */
static const struct network global6 = {true, {0x20}, 3};
static const struct network refused6[] = {
    {true, {0x20, 0x01}, 23},             /* protocol assignments, Teredo */
    {true, {0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {true, {0x20, 0x02}, 16},             /* 6to4: it names an IPv4 address */
    {true, {0x3f, 0xff}, 20},             /* documentation */
};
static const struct network mapped = {true, {[10] = 0xff, [11] = 0xff}, 96};
static const struct network nat64 = {true, {0x00, 0x64, 0xff, 0x9b}, 96};

static bool any_has(const struct network *network, size_t num, struct bytes ip) {
    for (size_t i = 0; i < num; i++) {
        if (network_has(&network[i], ip)) {
            return true;
        }
    }
    return false;
}

static bool ip_allowed(struct bytes ip, const struct network *allow, size_t num) {
    if (any_has(allow, num, ip)) {
        return true;
    }
    if (ip.len == 4) {
        return !any_has(refused4, NUM(refused4), ip);
    }
    if (network_has(&mapped, ip) || network_has(&nat64, ip)) {
        return ip_allowed(bytes_of(ip.data + 12, 4), allow, num);
    }
    return network_has(&global6, ip) && !any_has(refused6, NUM(refused6), ip);
}

bool outbound_address_allowed(const struct sockaddr *address, size_t len,
                              const struct network *allow, size_t num) {
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (len >= sizeof in && address->sa_family == AF_INET) {
        memcpy(&in, address, sizeof in);
        return ip_allowed(bytes_of(&in.sin_addr, 4), allow, num);
    }
    if (len >= sizeof in6 && address->sa_family == AF_INET6) {
        memcpy(&in6, address, sizeof in6);
        return ip_allowed(bytes_of(&in6.sin6_addr, 16), allow, num);
    }
    return false;
}
