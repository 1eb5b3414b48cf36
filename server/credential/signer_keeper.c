#include "server/credential/signer_keeper.h"

#include "server/credential/signer_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A signer that is asked for its state has no request before it: the gateway holds both channels. */
enum { CONTROL = 0, HAND_OVER_TIMEOUT_MS = 10000, ANSWER_TIMEOUT_MS = 30000 };
enum { ASK_FORK = 'F', ASK_ADOPT = 'A' };

bool signer_detach(const int *fd, size_t num, int parent_pid) {
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE};
    enum { OUT_OF_THE_WAY = 64 };
    int moved[DETACH_MAX];
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        (void)signal(ignored[i], SIG_IGN);
    }
    if (num > DETACH_MAX || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 ||
        getppid() != parent_pid) {
        return false;
    }
    for (size_t i = 0; i < num; i++) { /* one may stand where another has to go */
        moved[i] = fcntl(fd[i], F_DUPFD, OUT_OF_THE_WAY);
        if (moved[i] < 0) {
            return false;
        }
    }
    for (size_t i = 0; i < num; i++) {
        if (dup2(moved[i], (int)i) < 0) {
            return false;
        }
    }
    return close_range((unsigned)num, ~0U, 0) == 0;
}

/* --- the keeper's side ---------------------------------------------------------------------- */

struct ward { /* a signer; pid 0: none */
    pid_t pid;
    int fd; /* to it */
};

struct keeping {
    const struct signer_options *options;
    struct ward current, candidate;
};

static void drop(struct ward *ward) {
    if (ward->pid != 0) {
        (void)close(ward->fd);
        *ward = (struct ward){0};
    }
}

static void end_ward(struct ward *ward) {
    if (ward->pid != 0) {
        (void)kill(ward->pid, SIGKILL);
        while (waitpid(ward->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    drop(ward);
}

static _Noreturn void end_all(struct keeping *k, int code) {
    end_ward(&k->candidate);
    end_ward(&k->current);
    _exit(code);
}

/* One message with up to SIGNER_CHANNELS descriptors, -1 where there is none. False: the gateway is gone. */
static bool receive(uint8_t *what, int fd[static SIGNER_CHANNELS]) {
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * SIGNER_CHANNELS)];
    } control = {.space = {0}};
    struct iovec iov = {.iov_base = what, .iov_len = 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof control.space};
    ssize_t n;
    do {
        n = recvmsg(CONTROL, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    const struct cmsghdr *head = n == 1 ? CMSG_FIRSTHDR(&message) : NULL;
    fd[0] = fd[1] = -1;
    if (head != NULL && head->cmsg_type == SCM_RIGHTS &&
        head->cmsg_len == CMSG_LEN(sizeof(int) * SIGNER_CHANNELS)) {
        memcpy(fd, CMSG_DATA(head), sizeof(int) * SIGNER_CHANNELS);
    }
    return n == 1;
}

static bool reply(int value) {
    return sendto(CONTROL, &value, sizeof value, MSG_NOSIGNAL, NULL, 0) == (ssize_t)sizeof value;
}

/* Its process id, or -1. */
static int fork_candidate(struct keeping *k, const int fd[static SIGNER_CHANNELS]) {
    int ends[2];
    pid_t keeper = getpid();
    end_ward(&k->candidate);
    if (fd[0] < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        signer_child_run(fd, ends[1], k->options, (int)keeper);
    }
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return -1;
    }
    k->candidate = (struct ward){.pid = pid, .fd = ends[0]};
    return (int)pid;
}

/* What the signer in force has signed. */
static bool take_state(const struct ward *ward, struct signer_state *state) {
    const uint8_t ask = KEEPER_HAND_OVER;
    struct pollfd one = {.fd = ward->fd, .events = POLLIN};
    return sendto(ward->fd, &ask, sizeof ask, MSG_NOSIGNAL, NULL, 0) == (ssize_t)sizeof ask &&
           poll(&one, 1, HAND_OVER_TIMEOUT_MS) == 1 &&
           read(ward->fd, state, sizeof *state) == (ssize_t)sizeof *state;
}

/* Once the old one was asked, there is no way back: whatever fails then ends everything. */
static int adopt_candidate(struct keeping *k) {
    struct signer_state state = {0};
    if (k->candidate.pid == 0) {
        return -1;
    }
    if (k->current.pid != 0) {
        if (!take_state(&k->current, &state) ||
            sendto(k->candidate.fd, &state, sizeof state, MSG_NOSIGNAL, NULL, 0) !=
                (ssize_t)sizeof state) {
            end_all(k, EXIT_FAILURE);
        }
        end_ward(&k->current);
    }
    k->current = k->candidate;
    k->candidate = (struct ward){0};
    return 0;
}

static void serve_gateway(struct keeping *k) {
    uint8_t what = 0;
    int fd[SIGNER_CHANNELS];
    if (!receive(&what, fd)) {
        end_all(k, EXIT_SUCCESS);
    }
    int answer = what == ASK_FORK    ? fork_candidate(k, fd)
                 : what == ASK_ADOPT ? adopt_candidate(k)
                                     : -1;
    for (int i = 0; i < SIGNER_CHANNELS; i++) {
        if (fd[i] >= 0) {
            (void)close(fd[i]);
        }
    }
    if (!reply(answer)) {
        end_all(k, EXIT_SUCCESS);
    }
}

static void reap(struct keeping *k, int signal_fd) {
    struct signalfd_siginfo info;
    (void)!read(signal_fd, &info, sizeof info);
    for (pid_t pid = waitpid(-1, NULL, WNOHANG); pid > 0; pid = waitpid(-1, NULL, WNOHANG)) {
        if (pid == k->current.pid) {
            drop(&k->current);
            end_all(k, EXIT_FAILURE);
        }
        if (pid == k->candidate.pid) {
            drop(&k->candidate);
        }
    }
}

static _Noreturn void keep(int control, const struct signer_options *options, int parent_pid) {
    struct keeping k = {.options = options};
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)signal(SIGCHLD, SIG_DFL);
    int signal_fd = -1;
    if (signer_detach(&control, 1, parent_pid) && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && sigprocmask(SIG_BLOCK, &set, NULL) == 0) {
        signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    }
    while (signal_fd >= 0) {
        struct pollfd fds[] = {{.fd = CONTROL, .events = POLLIN},
                               {.fd = signal_fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            break;
        }
        if (fds[0].revents != 0) {
            serve_gateway(&k);
        } else if (fds[1].revents != 0) {
            reap(&k, signal_fd);
        }
    }
    end_all(&k, EXIT_FAILURE);
}

/* --- the gateway's side --------------------------------------------------------------------- */

enum status keeper_start(struct keeper *out, const struct signer_options *options,
                         struct detail *detail) {
    int ends[2];
    pid_t parent = getpid();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return status_fail(detail, STATUS_INTERNAL, "no socketpair for the signer: %s",
                           strerror(errno));
    }
    pid_t pid = fork();
    if (pid == 0) {
        keep(ends[1], options, (int)parent);
    }
    int error = errno;
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return status_fail(detail, STATUS_INTERNAL, "cannot fork the signer: %s", strerror(error));
    }
    *out = (struct keeper){.fd = ends[0], .pid = (int)pid};
    return STATUS_OK;
}

static enum status ask(const struct keeper *keeper, struct msghdr *message, int *answer,
                       struct detail *detail) {
    struct pollfd one = {.fd = keeper->fd, .events = POLLIN};
    int ready = sendmsg(keeper->fd, message, MSG_NOSIGNAL) == 1 ? 0 : -1;
    while (ready == 0) {
        ready = poll(&one, 1, ANSWER_TIMEOUT_MS);
        if (ready == 0) {
            break;
        }
        ready = ready < 0 && errno == EINTR ? 0 : ready;
    }
    if (ready != 1 || read(keeper->fd, answer, sizeof *answer) != (ssize_t)sizeof *answer) {
        return status_fail(detail, STATUS_INTERNAL, "the signer is gone: its keeper ended");
    }
    return STATUS_OK;
}

enum status keeper_fork(const struct keeper *keeper, int *pid, const int fd[static SIGNER_CHANNELS],
                        struct detail *detail) {
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * SIGNER_CHANNELS)];
    } control = {.space = {0}};
    uint8_t what = ASK_FORK;
    struct iovec iov = {.iov_base = &what, .iov_len = 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof control.space};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    int answer = -1;
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * SIGNER_CHANNELS);
    memcpy(CMSG_DATA(head), fd, sizeof(int) * SIGNER_CHANNELS);
    enum status status = ask(keeper, &message, &answer, detail);
    if (status == STATUS_OK && answer < 0) {
        return status_fail(detail, STATUS_INTERNAL, "cannot fork the signer");
    }
    *pid = answer;
    return status;
}

enum status keeper_adopt(const struct keeper *keeper, struct detail *detail) {
    uint8_t what = ASK_ADOPT;
    struct iovec iov = {.iov_base = &what, .iov_len = 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    int answer = -1;
    enum status status = ask(keeper, &message, &answer, detail);
    return status == STATUS_OK && answer != 0
               ? status_fail(detail, STATUS_INTERNAL, "the signer ended before it took over")
               : status;
}

bool keeper_has_ended(const struct keeper *keeper) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)keeper->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0;
}

void keeper_end(struct keeper *keeper) {
    if (keeper->fd < 0) {
        return;
    }
    (void)close(keeper->fd); /* it ends its signers, waits for them, and ends */
    while (waitpid((pid_t)keeper->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    *keeper = (struct keeper){.fd = -1};
}
