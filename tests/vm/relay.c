/* relay: TCP connections of a virtual machine that has no network, carried over one virtio serial port.
 *
 *   relay host SOCKET SECONDS PORT...   waits at the Unix socket for the machine's end of the serial port
 *   relay guest DEVICE SECONDS PORT...  listens on loopback in the machine
 *
 * A connection to one of the ports in the guest becomes one to the same port of the host's loopback; no
 * other port is reached. One connection is carried at a time, further ones wait to be accepted. Writes
 * block, so the two ends must not both send much at once: HTTP takes turns. The relay ends when the channel
 * does, and after SECONDS in any case.
 *
 * A frame is its type, the length of what follows (16 bits, big-endian), and that many bytes. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_PORTS = 8, MAX_DATA = 4096, HEADER = 3 };

enum frame_type {
    FRAME_OPEN = 1, /* guest to host: a connection to this port (16 bits, big-endian) */
    FRAME_DATA,     /* 1..MAX_DATA bytes of the connection */
    FRAME_END,      /* this side sends no more; after one of each side the connection is over */
};

struct frame {
    enum frame_type type;
    size_t len;
    uint8_t data[MAX_DATA];
};

struct relay {
    int channel;
    uint16_t port[MAX_PORTS];
    int listener[MAX_PORTS]; /* the guest's */
    size_t num_ports;
};

static _Noreturn void die(const char *what) {
    perror(what);
    exit(1);
}

/* --- the channel -------------------------------------------------------------------------------
 */

/* The channel's end is the relay's. */
static void channel_read(int channel, void *out, size_t len) {
    uint8_t *at = out;
    while (len > 0) {
        ssize_t n = read(channel, at, len);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            exit(0);
        }
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
}

static bool write_all(int fd, const void *data, size_t len) {
    const uint8_t *at = data;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
    return true;
}

static void frame_receive(int channel, struct frame *out) {
    uint8_t header[HEADER];
    channel_read(channel, header, sizeof header);
    out->type = (enum frame_type)header[0];
    out->len = (size_t)header[1] << 8 | header[2];
    if (out->type < FRAME_OPEN || out->type > FRAME_END || out->len > sizeof out->data) {
        errno = EPROTO;
        die("relay: a frame");
    }
    channel_read(channel, out->data, out->len);
}

static void frame_send(int channel, enum frame_type type, const void *data, size_t len) {
    uint8_t header[HEADER] = {(uint8_t)type, (uint8_t)(len >> 8), (uint8_t)len};
    if (!write_all(channel, header, sizeof header) || !write_all(channel, data, len)) {
        exit(0);
    }
}

/* --- one connection ----------------------------------------------------------------------------
 */

/* Until both sides have ended. A connection that breaks, or that was never made (-1), is ended too: what
 * the other side still sends is dropped. */
static void carry(int channel, int connection) {
    struct frame frame;
    bool sent_end = false, got_end = false, broken = connection < 0;
    if (broken) {
        frame_send(channel, FRAME_END, NULL, 0);
        sent_end = true;
    }
    while (!sent_end || !got_end) {
        struct pollfd ready[2] = {{.fd = channel, .events = POLLIN},
                                  {.fd = sent_end ? -1 : connection, .events = POLLIN}};
        if (poll(ready, 2, -1) < 0) {
            die("relay: poll");
        }
        if (ready[1].revents != 0) {
            ssize_t n = read(connection, frame.data, sizeof frame.data);
            sent_end = n <= 0;
            frame_send(channel, sent_end ? FRAME_END : FRAME_DATA, frame.data,
                       n > 0 ? (size_t)n : 0);
        }
        if (ready[0].revents != 0) {
            frame_receive(channel, &frame);
            if (frame.type == FRAME_DATA && !broken) {
                broken = !write_all(connection, frame.data, frame.len);
            } else if (frame.type == FRAME_END) {
                got_end = true;
                (void)shutdown(connection, SHUT_WR);
            }
        }
    }
    if (connection >= 0) {
        (void)close(connection);
    }
}

static struct sockaddr_in loopback(uint16_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* --- the two sides -----------------------------------------------------------------------------
 */

static int connect_to(const struct relay *relay, uint16_t port) {
    struct sockaddr_in address = loopback(port);
    bool allowed = false;
    for (size_t i = 0; i < relay->num_ports; i++) {
        allowed |= relay->port[i] == port;
    }
    int fd = allowed ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static _Noreturn void host(struct relay *relay, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        die("relay: the socket");
    }
    (void)memcpy(address.sun_path, path, strlen(path) + 1);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 1) < 0) {
        die("relay: the socket");
    }
    relay->channel = accept(listener, NULL, NULL);
    if (relay->channel < 0) {
        die("relay: accept");
    }
    for (;;) {
        struct frame frame;
        frame_receive(relay->channel, &frame);
        if (frame.type != FRAME_OPEN || frame.len != 2) {
            errno = EPROTO;
            die("relay: a frame");
        }
        carry(relay->channel, connect_to(relay, (uint16_t)(frame.data[0] << 8 | frame.data[1])));
    }
}

static void listen_on(struct relay *relay, size_t i) {
    struct sockaddr_in address = loopback(relay->port[i]);
    int yes = 1;
    relay->listener[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (relay->listener[i] < 0 ||
        setsockopt(relay->listener[i], SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(relay->listener[i], (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(relay->listener[i], 8) < 0) {
        die("relay: a listener");
    }
}

static _Noreturn void guest(struct relay *relay, const char *device) {
    struct pollfd ready[MAX_PORTS];
    relay->channel = open(device, O_RDWR | O_CLOEXEC);
    if (relay->channel < 0) {
        die("relay: the device");
    }
    for (size_t i = 0; i < relay->num_ports; i++) {
        listen_on(relay, i);
        ready[i] = (struct pollfd){.fd = relay->listener[i], .events = POLLIN};
    }
    for (;;) {
        if (poll(ready, relay->num_ports, -1) < 0) {
            die("relay: poll");
        }
        for (size_t i = 0; i < relay->num_ports; i++) {
            int connection = ready[i].revents == 0 ? -1 : accept(relay->listener[i], NULL, NULL);
            if (connection >= 0) {
                uint8_t port[2] = {(uint8_t)(relay->port[i] >> 8), (uint8_t)relay->port[i]};
                frame_send(relay->channel, FRAME_OPEN, port, sizeof port);
                carry(relay->channel, connection);
            }
        }
    }
}

static unsigned number(const char *text, unsigned max) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || value == 0 || value > max) {
        (void)fprintf(stderr, "relay: '%s' is not a number from 1 to %u\n", text, max);
        exit(2);
    }
    return (unsigned)value;
}

int main(int argc, char **argv) {
    struct relay relay = {.num_ports = argc > 4 ? (size_t)argc - 4 : 0};
    if (relay.num_ports == 0 || relay.num_ports > MAX_PORTS) {
        (void)fprintf(
            stderr,
            "usage: relay host SOCKET SECONDS PORT... | relay guest DEVICE SECONDS PORT...\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)alarm(number(argv[3], 3600));
    for (size_t i = 0; i < relay.num_ports; i++) {
        relay.port[i] = (uint16_t)number(argv[4 + i], UINT16_MAX);
    }
    if (strcmp(argv[1], "host") == 0) {
        host(&relay, argv[2]);
    }
    if (strcmp(argv[1], "guest") == 0) {
        guest(&relay, argv[2]);
    }
    (void)fprintf(stderr, "relay: '%s' is neither host nor guest\n", argv[1]);
    return 2;
}
