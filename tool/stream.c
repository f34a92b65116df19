/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

#define PATIENCE 10000 /* milliseconds, for an answer */

struct stream {
    int file;
    bool has_failed;
    int64_t deadline;
    size_t at, length; /* in the buffer */
    char *address;
    unsigned char buffer[16384];
};

static volatile sig_atomic_t is_interrupted;

static void interrupt(int number)
{
    (void)number;
    is_interrupted = 1;
}

static void catch_signals(void)
{
    const struct sigaction once = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND},
                           never = {.sa_handler = SIG_IGN};

    sigaction(SIGINT, &once, NULL);
    sigaction(SIGTERM, &once, NULL);
    sigaction(SIGHUP, &once, NULL);
    sigaction(SIGPIPE, &never, NULL);
}

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Is the file ready for POLLIN or POLLOUT before the deadline? If not, errno says why. */
static bool await(int file, short events, int64_t deadline)
{
    struct pollfd wanted = {.fd = file, .events = events};

    for (;;) {
        int64_t left = deadline - now();
        int count = left > 0 ? poll(&wanted, 1, (int)left) : 0;

        if (count > 0)
            return true;
        if (count == 0)
            errno = ETIMEDOUT;
        if (count == 0 || errno != EINTR)
            return false;
    }
}

/* A socket that is connected, or less than 0 with errno. */
static int connected(int family, const struct sockaddr *address, socklen_t length)
{
    int file = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
    socklen_t size = sizeof(error);

    if (file < 0)
        return -1;
    if (connect(file, address, length) == 0)
        return file;
    error = errno;
    if (error == EINPROGRESS &&
        (!await(file, POLLOUT, now() + PATIENCE) || getsockopt(file, SOL_SOCKET, SO_ERROR, &error, &size) != 0))
        error = errno;
    if (error == 0)
        return file;
    close(file);
    errno = error;
    return -1;
}

/* As above; `why` is set where errno does not say it. */
static int connect_tcp(const char *address, const char *port, const char **why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *all = NULL;
    char *host = strndup(address, (size_t)(port - 1 - address));
    int file = -1, status = host ? getaddrinfo(*host ? host : NULL, port, &hints, &all) : EAI_MEMORY;

    free(host);
    if (status != 0) {
        *why = gai_strerror(status);
        return -1;
    }
    for (const struct addrinfo *one = all; one && file < 0; one = one->ai_next)
        file = connected(one->ai_family, one->ai_addr, one->ai_addrlen);
    freeaddrinfo(all);
    return file;
}

static int connect_local(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(name.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name.sun_path, path, strlen(path) + 1);
    return connected(AF_UNIX, (struct sockaddr *)&name, sizeof(name));
}

struct stream *stream_open(const char *address)
{
    const char *colon = strrchr(address, ':'), *why = NULL;
    struct stream *stream = calloc(1, sizeof(*stream));

    if (stream)
        stream->address = strdup(address);
    if (!stream || !stream->address) {
        free(stream);
        complain("out of memory");
        return NULL;
    }
    catch_signals(); /* first: to be connected is to have stopped QEMU */
    stream->file = colon && !strchr(address, '/') ? connect_tcp(address, colon + 1, &why) : connect_local(address);
    if (stream->file < 0) {
        complain("%s: no connection: %s", address, why ? why : strerror(errno));
        stream_close(stream);
        return NULL;
    }
    stream_begin(stream);
    return stream;
}

void stream_close(struct stream *stream)
{
    if (stream->file >= 0)
        close(stream->file);
    free(stream->address);
    free(stream);
}

void stream_begin(struct stream *stream)
{
    stream->deadline = now() + PATIENCE;
}

bool stream_fail(struct stream *stream, const char *why)
{
    if (!stream->has_failed)
        complain("%s: %s", stream->address, why);
    stream->has_failed = true;
    return false;
}

bool stream_is_over(const struct stream *stream)
{
    return stream->has_failed || is_interrupted;
}

bool stream_send(struct stream *stream, const void *bytes, size_t length)
{
    const unsigned char *next = bytes;

    while (length > 0 && !stream->has_failed) {
        ssize_t count = send(stream->file, next, length, MSG_NOSIGNAL);

        if (count >= 0) {
            next += count;
            length -= (size_t)count;
        } else if (errno != EINTR && (errno != EAGAIN || !await(stream->file, POLLOUT, stream->deadline))) {
            stream_fail(stream, strerror(errno));
        }
    }
    return !stream->has_failed;
}

int stream_get(struct stream *stream)
{
    while (stream->at == stream->length && !stream->has_failed) {
        ssize_t count = -1;

        /* Waited for first, as one who sends without end keeps nobody waiting. */
        if (await(stream->file, POLLIN, stream->deadline))
            count = recv(stream->file, stream->buffer, sizeof(stream->buffer), 0);
        stream->at = 0;
        stream->length = count > 0 ? (size_t)count : 0;
        if (count == 0)
            stream_fail(stream, "the other side hung up");
        else if (count < 0 && errno == ETIMEDOUT)
            stream_fail(stream, "no answer");
        else if (count < 0 && errno != EINTR && errno != EAGAIN)
            stream_fail(stream, strerror(errno));
    }
    return stream->has_failed ? -1 : stream->buffer[stream->at++];
}
