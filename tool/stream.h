/* SPDX-License-Identifier: MIT */
/* A connection to QEMU, by TCP or by a socket in the file system. Whatever the other side does, nothing lasts forever. */
#ifndef TOOL_STREAM_H
#define TOOL_STREAM_H

#include <stdbool.h>
#include <stddef.h>

struct stream;

/**
 * "HOST:PORT", ":PORT" (this machine) or a path. Complains, and answers NULL, if nobody is there. From then on signals
 * that end programs only make streams be over, the first time: a QEMU that was stopped has to be let go on.
 */
struct stream *stream_open(const char *address);
void stream_close(struct stream *stream);

/** What is sent and received until the next call has to be done within some seconds. */
void stream_begin(struct stream *stream);

/** Complains, once for each stream, and answers false, if the other side is gone or keeps silent. */
bool stream_send(struct stream *stream, const void *bytes, size_t length);
/** The next byte, or less than 0. */
int stream_get(struct stream *stream);

/** Give the connection up because of what came: complains as above. The answer is false, to be returned. */
bool stream_fail(struct stream *stream, const char *why);
/** So it is, or the user wants an end (SIGINT and the like): nothing more is to be asked for but to leave QEMU as it was. */
bool stream_is_over(const struct stream *stream);

#endif
