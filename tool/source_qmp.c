/* SPDX-License-Identifier: MIT */
/*
 * The QMP socket of a running QEMU (QEMU manual, "QMP protocol specification"), and through it the human monitor, which
 * alone knows the registers. Memory comes by `xp`: pmemsave would need a file that both sides can reach.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor.h"
#include "source.h"
#include "stream.h"
#include "tool.h"

#define MAX_LINE (size_t)(4 << 20)

struct qmp {
    struct stream *stream;
    bool was_running;
    char *line; /* the last one that was received */
    size_t capacity;
    json_t *text; /* what `info registers` says, a string; NULL: not yet asked for */
};

/* The next object, or NULL. */
static json_t *receive(struct qmp *qmp)
{
    json_t *object;
    size_t length = 0;
    int byte;

    while ((byte = stream_get(qmp->stream)) >= 0 && byte != '\n') {
        if (length == qmp->capacity) {
            size_t capacity = qmp->capacity ? qmp->capacity * 2 : 4096;
            char *more = capacity <= MAX_LINE ? realloc(qmp->line, capacity) : NULL;

            if (!more)
                return stream_fail(qmp->stream, "a line without end"), NULL;
            qmp->line = more;
            qmp->capacity = capacity;
        }
        qmp->line[length++] = (char)byte;
    }
    if (byte < 0)
        return NULL;
    object = json_loadb(qmp->line ? qmp->line : "", length, 0, NULL);
    if (!json_is_object(object)) {
        stream_fail(qmp->stream, "this is no QMP");
        json_decref(object);
        return NULL;
    }
    return object;
}

/* Execute a command: what it returns, a reference of the caller's, or NULL. Takes the arguments. */
static json_t *execute(struct qmp *qmp, const char *command, json_t *arguments)
{
    json_t *request = json_pack("{ss so*}", "execute", command, "arguments", arguments), *answer, *result = NULL;
    char *line = request ? json_dumps(request, JSON_COMPACT) : NULL;

    stream_begin(qmp->stream);
    if (line && stream_send(qmp->stream, line, strlen(line)) && stream_send(qmp->stream, "\n", 1)) {
        while ((answer = receive(qmp)) != NULL) {
            json_t *error = json_object_get(answer, "error"), *returned = json_object_get(answer, "return");
            const char *why = json_string_value(json_object_get(error, "desc"));

            result = json_incref(returned);
            if (error)
                stream_fail(qmp->stream, why ? why : command);
            json_decref(answer);
            if (error || returned)
                break; /* other lines are events */
        }
    }
    free(line);
    json_decref(request);
    return result;
}

/* What a command of the human monitor says, a string; or NULL. */
static json_t *monitor(struct qmp *qmp, const char *command)
{
    json_t *text = execute(qmp, "human-monitor-command", json_pack("{ss}", "command-line", command));

    if (text && !json_is_string(text)) {
        stream_fail(qmp->stream, "the monitor says no text");
        json_decref(text);
        return NULL;
    }
    return text;
}

/* "0000000000001000: 0x0000000000002007 0x0000000000000000", two entries a line. */
static bool parse_memory(const char *text, pt_paddr frame, unsigned char *bytes)
{
    size_t at = 0;

    while (at < PT_FRAME_SIZE) {
        char *next;
        uint64_t number = strtoull(text, &next, 16);

        if (next == text)
            return false;
        if (*next == ':') {
            if (number != frame + at)
                return false;
            next++;
        } else {
            for (unsigned i = 0; i < 8; i++)
                bytes[at++] = (unsigned char)(number >> (8 * i));
        }
        text = next;
    }
    return text[strspn(text, " \r\n")] == 0;
}

static bool qmp_read(void *self, pt_paddr frame, void *bytes)
{
    struct qmp *qmp = self;
    char command[64];
    json_t *text;
    bool is_memory;

    if (stream_is_over(qmp->stream))
        return false;
    snprintf(command, sizeof(command), "gpa2hva 0x%llx", (unsigned long long)frame);
    text = monitor(qmp, command);
    is_memory = text && monitor_is_memory(json_string_value(text));
    json_decref(text);
    if (!is_memory)
        return false;
    snprintf(command, sizeof(command), "xp /%ugx 0x%llx", (unsigned)(PT_FRAME_SIZE / 8), (unsigned long long)frame);
    text = monitor(qmp, command);
    is_memory = text && (parse_memory(json_string_value(text), frame, bytes) ||
                         stream_fail(qmp->stream, "what was to be memory is not"));
    json_decref(text);
    return is_memory;
}

static bool qmp_register(void *self, const char *name, uint64_t *value)
{
    struct qmp *qmp = self;

    if (!qmp->text && !stream_is_over(qmp->stream))
        qmp->text = monitor(qmp, "info registers");
    return qmp->text && monitor_register(json_string_value(qmp->text), name, value);
}

static const char *qmp_lacks(void *self)
{
    const struct qmp *qmp = self;
    const char *text = qmp->text ? json_string_value(qmp->text) : "";

    return strstr(text, "PSTATE=") || strstr(text, "PSR=")
               ? "QEMU's monitor does not tell TTBR and TCR of ARM, its gdb stub (gdb:) does"
               : "QEMU's monitor does not tell the registers of a known MMU";
}

static bool qmp_is_lost(void *self)
{
    const struct qmp *qmp = self;

    return stream_is_over(qmp->stream);
}

static void qmp_close(void *self)
{
    struct qmp *qmp = self;

    if (qmp->stream) {
        if (qmp->was_running)
            json_decref(execute(qmp, "cont", NULL));
        stream_close(qmp->stream);
    }
    json_decref(qmp->text);
    free(qmp->line);
    free(qmp);
}

static bool shake_hands(struct qmp *qmp)
{
    json_t *greeting = receive(qmp), *status = NULL;
    bool is_qmp = greeting && json_object_get(greeting, "QMP");

    if (greeting && !is_qmp)
        stream_fail(qmp->stream, "this is no QMP");
    json_decref(greeting);
    if (!is_qmp)
        return false;
    json_decref(execute(qmp, "qmp_capabilities", NULL));
    if (!stream_is_over(qmp->stream))
        status = execute(qmp, "query-status", NULL);
    if (json_is_true(json_object_get(status, "running"))) {
        json_decref(execute(qmp, "stop", NULL));
        qmp->was_running = true;
    }
    json_decref(status);
    return !stream_is_over(qmp->stream);
}

const struct source_kind *source_qmp_open(const char *address, void **self)
{
    static const struct source_kind kind = {
        .read = qmp_read, .get_register = qmp_register, .lacks = qmp_lacks, .is_lost = qmp_is_lost, .close = qmp_close};
    struct qmp *qmp = calloc(1, sizeof(*qmp));

    if (!qmp)
        return complain("out of memory"), NULL;
    qmp->stream = stream_open(address);
    if (qmp->stream && shake_hands(qmp)) {
        *self = qmp;
        return &kind;
    }
    qmp_close(qmp);
    return NULL;
}
