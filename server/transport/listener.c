#include "server/transport/internal.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024, HOST_SIZE = 128 };

static const char unix_prefix[] = "unix:";

bool listen_is_unix(const char *address) {
    return strncmp(address, unix_prefix, sizeof unix_prefix - 1) == 0;
}

const char *listen_unix_path(const char *address) {
    return address + sizeof unix_prefix - 1;
}

/* Splits "host:port" or "[host]:port"; the port part stays in the address. */
static const char *split(char host[static HOST_SIZE], const char *address) {
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon[1] == '\0') {
        return NULL;
    }
    size_t len = (size_t)(colon - address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    } else if (memchr(address, ':', len) != NULL) {
        return NULL; /* an IPv6 address without brackets */
    }
    if (len == 0 || len >= HOST_SIZE) {
        return NULL;
    }
    memcpy(host, address, len);
    host[len] = '\0';
    return colon + 1;
}

enum status listen_port(uint16_t *port, const char *address, struct detail *detail) {
    char host[HOST_SIZE];
    const char *text = split(host, address);
    char *end = NULL;
    unsigned long value = text == NULL ? 0 : strtoul(text, &end, 10);
    if (text == NULL || text[0] < '0' || text[0] > '9' || *end != '\0' || value > 65535) {
        return status_fail(detail, STATUS_INVALID, "%s: not an address with a port", address);
    }
    *port = (uint16_t)value;
    return STATUS_OK;
}

static bool set(int fd, int level, int option) {
    int one = 1;
    return setsockopt(fd, level, option, &one, sizeof one) == 0;
}

/* SO_REUSEPORT would let a second gateway share the port in silence, so a bind without it comes
 * first. */
static int probe(const struct addrinfo *info) {
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int error = 0;
    if (!set(fd, SOL_SOCKET, SO_REUSEADDR) ||
        (info->ai_family == AF_INET6 && !set(fd, IPPROTO_IPV6, IPV6_V6ONLY)) ||
        bind(fd, info->ai_addr, info->ai_addrlen) != 0) {
        error = errno;
    }
    (void)close(fd);
    return error;
}

static int open_tcp(int *out, const struct addrinfo *info) {
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    /* Accepted sockets inherit TCP_NODELAY. */
    if (!set(fd, SOL_SOCKET, SO_REUSEADDR) || !set(fd, SOL_SOCKET, SO_REUSEPORT) ||
        !set(fd, IPPROTO_TCP, TCP_NODELAY) ||
        (info->ai_family == AF_INET6 && !set(fd, IPPROTO_IPV6, IPV6_V6ONLY)) ||
        bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int error = errno;
        (void)close(fd);
        return error;
    }
    *out = fd;
    return 0;
}

static uint16_t bound_port(int fd) {
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof at;
    if (getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        return 0;
    }
    if (at.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, &at, sizeof in6);
        return ntohs(in6.sin6_port);
    }
    struct sockaddr_in in4;
    memcpy(&in4, &at, sizeof in4);
    return ntohs(in4.sin_port);
}

enum status listen_tcp(int *fd, uint16_t *port, const char *address, bool first,
                       struct detail *detail) {
    char host[HOST_SIZE], service[8];
    if (split(host, address) == NULL) {
        return status_fail(detail, STATUS_INVALID, "%s: not an address with a port", address);
    }
    (void)snprintf(service, sizeof service, "%u", *port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *info = NULL;
    if (getaddrinfo(host, service, &hints, &info) != 0) {
        return status_fail(detail, STATUS_INVALID, "%s: not a numeric address", address);
    }
    int error = first && *port != 0 ? probe(info) : 0;
    if (error == 0) {
        error = open_tcp(fd, info);
    }
    freeaddrinfo(info);
    if (error != 0) {
        return status_fail(detail, error == EADDRINUSE ? STATUS_CONFLICT : STATUS_INTERNAL,
                           "%s: %s", address, strerror(error));
    }
    *port = bound_port(*fd);
    return STATUS_OK;
}

/* Removes a socket that nobody listens on any more. */
static bool clear_stale(const struct sockaddr_un *at) {
    struct stat st;
    if (lstat(at->sun_path, &st) != 0) {
        return errno == ENOENT;
    }
    if (!S_ISSOCK(st.st_mode)) {
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    bool stale = connect(fd, (const struct sockaddr *)at, sizeof *at) != 0 && errno == ECONNREFUSED;
    (void)close(fd);
    return stale && unlink(at->sun_path) == 0;
}

enum status listen_unix(int *out, const char *path, unsigned mode, struct detail *detail) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof at.sun_path) {
        return status_fail(detail, STATUS_INVALID, "unix:%s: path is empty or too long", path);
    }
    memcpy(at.sun_path, path, len);
    if (!clear_stale(&at)) {
        return status_fail(detail, STATUS_CONFLICT, "unix:%s: in use, or not a socket", path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return status_fail(detail, STATUS_INTERNAL, "unix:%s: %s", path, strerror(errno));
    }
    /* Nobody can connect before listen(), so the permissions are there in time. */
    if (bind(fd, (const struct sockaddr *)&at, sizeof at) != 0 || chmod(path, (mode_t)mode) != 0 ||
        listen(fd, BACKLOG) != 0) {
        int error = errno;
        (void)close(fd);
        return status_fail(detail, STATUS_INTERNAL, "unix:%s: %s", path, strerror(error));
    }
    *out = fd;
    return STATUS_OK;
}
