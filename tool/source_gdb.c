/* SPDX-License-Identifier: MIT */
/*
 * The gdb stub of a running QEMU, with its own packets for physical memory (QEMU manual, "GDB usage"). GDB manual,
 * "Remote Protocol". QEMU stops when somebody connects, and goes on when he detaches.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor.h"
#include "source.h"
#include "stream.h"
#include "target_xml.h"
#include "tool.h"

#define MAX_PACKET (size_t)(1 << 20)
#define MAX_DOCUMENT (size_t)(1 << 20)

struct gdb {
    struct stream *stream;
    char *address;
    char *answer; /* to the last packet, with a 0 after it */
    size_t length, capacity;
    size_t packet_size; /* what QEMU takes and gives */
    char mode[2];       /* PhyMemMode as it was */
    bool is_switched;   /* ... and as it is no longer */
    bool stays_stopped;
    bool has_target, has_no_target; /* neither: not yet asked for */
    struct target target;
    char *text; /* what `info registers` says */
};

/* ---- Packets -------------------------------------------------------------------------------------- */

static bool append(struct gdb *gdb, int byte)
{
    if (gdb->length == MAX_PACKET)
        return stream_fail(gdb->stream, "a packet without end");
    if (gdb->length + 1 == gdb->capacity) {
        size_t capacity = gdb->capacity * 2;
        char *more = realloc(gdb->answer, capacity);

        if (!more)
            return stream_fail(gdb->stream, "out of memory");
        gdb->answer = more;
        gdb->capacity = capacity;
    }
    gdb->answer[gdb->length++] = (char)byte;
    gdb->answer[gdb->length] = 0;
    return true;
}

static int hex_digit(int byte)
{
    return byte >= '0' && byte <= '9' ? byte - '0' : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static unsigned char checksum(const char *bytes, size_t length)
{
    unsigned sum = 0;

    for (size_t i = 0; i < length; i++)
        sum += (unsigned char)bytes[i];
    return (unsigned char)sum;
}

/* "$data#sum", where } escapes the next byte and * repeats the last. What stands between packets does not matter. */
static bool receive(struct gdb *gdb)
{
    unsigned sum = 0;
    int byte, high, low;

    gdb->answer[gdb->length = 0] = 0;
    do {
        byte = stream_get(gdb->stream);
    } while (byte >= 0 && byte != '$');
    while ((byte = stream_get(gdb->stream)) >= 0 && byte != '#') {
        int count = 1;

        sum += (unsigned)byte;
        if (byte == '}' || byte == '*') {
            bool is_escape = byte == '}';

            byte = stream_get(gdb->stream);
            sum += (unsigned)byte;
            if (byte < 0)
                return false;
            if (!is_escape && (gdb->length == 0 || byte < ' '))
                return stream_fail(gdb->stream, "a packet that repeats nothing");
            count = is_escape ? 1 : byte - 29;
            byte = is_escape ? byte ^ 0x20 : (unsigned char)gdb->answer[gdb->length - 1];
        }
        while (count-- > 0)
            if (!append(gdb, byte))
                return false;
    }
    if (byte < 0)
        return false;
    high = hex_digit(tolower(stream_get(gdb->stream)));
    low = hex_digit(tolower(stream_get(gdb->stream)));
    if (high < 0 || low < 0 || (unsigned)(high << 4 | low) != (sum & 0xff))
        return stream_fail(gdb->stream, "a packet with a wrong sum: this is no gdb stub");
    return stream_send(gdb->stream, "+", 1);
}

/* Send a packet and receive what comes of it. */
static bool ask(struct gdb *gdb, const char *packet)
{
    char end[4];
    size_t length = strlen(packet);

    stream_begin(gdb->stream);
    snprintf(end, sizeof(end), "#%02x", checksum(packet, length));
    return stream_send(gdb->stream, "$", 1) && stream_send(gdb->stream, packet, length) &&
           stream_send(gdb->stream, end, 3) && receive(gdb);
}

/* The hexadecimal digits of the answer from `at` on as bytes. */
static bool unhex(const struct gdb *gdb, size_t at, unsigned char *bytes, size_t count)
{
    if (gdb->length != at + 2 * count)
        return false;
    for (size_t i = 0; i < count; i++) {
        int high = hex_digit(tolower((unsigned char)gdb->answer[at + 2 * i]));
        int low = hex_digit(tolower((unsigned char)gdb->answer[at + 2 * i + 1]));

        if (high < 0 || low < 0)
            return false;
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

/* What a command of the human monitor says, to be freed; "" where the stub has none. NULL: the connection is lost. */
static char *monitor(struct gdb *gdb, const char *command)
{
    char packet[160], *text = calloc(1, 1);
    size_t used = (size_t)snprintf(packet, sizeof(packet), "qRcmd,"), length = 0;
    bool is_fine = text != NULL;

    for (; *command && used + 3 < sizeof(packet); command++)
        used += (size_t)snprintf(packet + used, sizeof(packet) - used, "%02x", (unsigned char)*command);
    is_fine = is_fine && ask(gdb, packet);
    while (is_fine && gdb->answer[0] == 'O' && strcmp(gdb->answer, "OK") != 0) { /* output, until there is "OK" */
        size_t count = (gdb->length - 1) / 2;
        char *more = length + count < MAX_DOCUMENT ? realloc(text, length + count + 1) : NULL;

        if (more)
            text = more;
        is_fine = (more && unhex(gdb, 1, (unsigned char *)text + length, count)) ||
                  stream_fail(gdb->stream, "what the monitor says makes no sense");
        length += is_fine ? count : 0;
        is_fine = is_fine && receive(gdb);
    }
    if (is_fine) {
        text[length] = 0;
        return text;
    }
    free(text);
    return NULL;
}

/* ---- Registers ------------------------------------------------------------------------------------ */

/* A document of the target's description, piece by piece. */
static char *fetch(void *arg, const char *document, size_t *length)
{
    struct gdb *gdb = arg;
    char packet[256], *text = NULL;

    *length = 0;
    if (strlen(document) > 128 || strchr(document, ':'))
        return complain("%s: %s: no name of a document", gdb->address, document), NULL;
    for (;;) {
        char *more;
        bool is_last;

        snprintf(packet, sizeof(packet), "qXfer:features:read:%s:%zx,%zx", document, *length, gdb->packet_size / 2);
        if (!ask(gdb, packet))
            break;
        if (gdb->answer[0] != 'm' && gdb->answer[0] != 'l') {
            complain("%s: %s: the stub does not have it", gdb->address, document);
            break;
        }
        is_last = gdb->answer[0] == 'l';
        more = (is_last || gdb->length > 1) && *length + gdb->length <= MAX_DOCUMENT
                   ? realloc(text, *length + gdb->length)
                   : NULL;
        if (!more) {
            complain("%s: %s: is too long, or has no end", gdb->address, document);
            break;
        }
        text = more;
        memcpy(text + *length, gdb->answer + 1, gdb->length - 1);
        *length += gdb->length - 1;
        if (is_last)
            return text;
    }
    free(text);
    return NULL;
}

/* By the target's description, where bytes are in the target's order: little-endian is all that QEMU has of these. */
static bool described_register(struct gdb *gdb, const char *name, uint64_t *value)
{
    const struct target_register *one = target_find(&gdb->target, name);
    unsigned char bytes[8];
    char packet[32];

    if (!one || one->bits > 64 || one->bits == 0 || one->bits % 8 != 0)
        return false;
    snprintf(packet, sizeof(packet), "p%lx", one->number);
    if (!ask(gdb, packet) || !unhex(gdb, 0, bytes, one->bits / 8))
        return false;
    *value = 0;
    for (size_t i = one->bits / 8; i-- > 0;)
        *value = *value << 8 | bytes[i];
    return true;
}

static bool gdb_register(void *self, const char *name, uint64_t *value)
{
    struct gdb *gdb = self;

    if (!gdb->has_target && !gdb->has_no_target) {
        gdb->has_target = target_read(&gdb->target, gdb->address, fetch, gdb);
        gdb->has_no_target = !gdb->has_target;
    }
    if (!gdb->has_target || stream_is_over(gdb->stream))
        return false;
    if (strcmp(name, "is_32") == 0) {
        *value = strcmp(gdb->target.architecture, "riscv:rv32") == 0;
        return true;
    }
    if (described_register(gdb, name, value))
        return true;
    /* LoongArch's CSRs are not described. */
    if (!gdb->text)
        gdb->text = monitor(gdb, "info registers");
    return gdb->text && monitor_register(gdb->text, name, value);
}

static const char *gdb_lacks(void *self)
{
    const struct gdb *gdb = self;

    return gdb->has_target ? "the stub does not tell the registers of a known MMU" : "the stub describes no registers";
}

/* ---- Memory --------------------------------------------------------------------------------------- */

static bool gdb_read(void *self, pt_paddr frame, void *bytes)
{
    struct gdb *gdb = self;
    size_t most = (gdb->packet_size - 8) / 2, at = 0;
    char packet[64], *text;
    bool is_memory;

    if (stream_is_over(gdb->stream))
        return false;
    snprintf(packet, sizeof(packet), "gpa2hva 0x%llx", (unsigned long long)frame);
    text = monitor(gdb, packet);
    is_memory = text && monitor_is_memory(text);
    free(text);
    while (is_memory && at < PT_FRAME_SIZE) {
        size_t count = PT_FRAME_SIZE - at < most ? PT_FRAME_SIZE - at : most;

        snprintf(packet, sizeof(packet), "m%" PRIx64 ",%zx", frame + at, count);
        if (!ask(gdb, packet))
            return false;
        if (gdb->answer[0] == 'E' && gdb->length == 3)
            return false;
        if (!unhex(gdb, 0, (unsigned char *)bytes + at, count))
            return stream_fail(gdb->stream, "what was to be memory is not");
        at += count;
    }
    return is_memory;
}

/* ---- To and fro ----------------------------------------------------------------------------------- */

static bool gdb_is_lost(void *self)
{
    const struct gdb *gdb = self;

    return stream_is_over(gdb->stream);
}

static void gdb_close(void *self)
{
    struct gdb *gdb = self;
    char packet[] = "Qqemu.PhyMemMode:0";

    if (gdb->stream) {
        /* QEMU keeps the mode for whoever comes next. */
        packet[sizeof(packet) - 2] = gdb->mode[0];
        if (gdb->is_switched)
            ask(gdb, packet);
        if (!gdb->stays_stopped)
            ask(gdb, "D");
        stream_close(gdb->stream);
    }
    target_free(&gdb->target);
    free(gdb->address);
    free(gdb->answer);
    free(gdb->text);
    free(gdb);
}

static bool shake_hands(struct gdb *gdb)
{
    const char *size;
    char *text;

    if (!ask(gdb, "qSupported:xmlRegisters=i386"))
        return false;
    size = strstr(gdb->answer, "PacketSize=");
    gdb->packet_size = size ? strtoul(size + strlen("PacketSize="), NULL, 16) : 0;
    if (gdb->packet_size < 256)
        gdb->packet_size = 256;
    if (gdb->packet_size > 4 * PT_FRAME_SIZE)
        gdb->packet_size = 4 * PT_FRAME_SIZE;

    /* "paused", by connecting or before; with a reason in parentheses, for another reason, and so it is to stay. */
    text = monitor(gdb, "info status");
    if (!text)
        return false;
    if (strchr(text, '('))
        gdb->stays_stopped = true;
    free(text);

    if (!ask(gdb, "qqemu.PhyMemMode"))
        return false;
    gdb->mode[0] = gdb->answer[0];
    if (gdb->length != 1 || (gdb->mode[0] != '0' && gdb->mode[0] != '1') || !ask(gdb, "Qqemu.PhyMemMode:1") ||
        strcmp(gdb->answer, "OK") != 0)
        return stream_is_over(gdb->stream) ? false
                                           : complain("%s: knows no physical memory: is it QEMU?", gdb->address);
    gdb->is_switched = true;
    return true;
}

const struct source_kind *source_gdb_open(const char *address, bool stays_stopped, void **self)
{
    static const struct source_kind kind = {
        .read = gdb_read, .get_register = gdb_register, .lacks = gdb_lacks, .is_lost = gdb_is_lost, .close = gdb_close};
    struct gdb *gdb = calloc(1, sizeof(*gdb));

    if (!gdb)
        return complain("out of memory"), NULL;
    gdb->address = strdup(address);
    gdb->answer = malloc(gdb->capacity = 4096);
    if (!gdb->address || !gdb->answer) {
        gdb_close(gdb);
        return complain("out of memory"), NULL;
    }
    gdb->stays_stopped = stays_stopped;
    gdb->stream = stream_open(address);
    if (gdb->stream && shake_hands(gdb)) {
        *self = gdb;
        return &kind;
    }
    gdb_close(gdb);
    return NULL;
}
