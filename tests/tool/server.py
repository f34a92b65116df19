#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A gdb stub or a QMP socket that lies: server.py gdb|qmp LIE SOCKET IMAGE BASE

IMAGE is the memory from BASE on. The lie "none" is none. What was asked for is printed, a line each. One client.
"""
import json
import os
import socket
import sys
import time

protocol, lie, path, image, base = sys.argv[1:]
base = int(base, 0)
with open(image, "rb") as file:
    memory = file.read()
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen(1)
client = server.accept()[0]
reads = 0


def hang_up():
    client.close()
    sys.exit()


def flood(piece):
    try:
        while True:
            client.sendall(piece)
    except OSError:
        sys.exit()


def memory_at(address, size):
    at = address - base
    return memory[at:at + size] if 0 <= at <= len(memory) - size else None


def lie_at_once():
    if lie == "hang-up":
        hang_up()
    elif lie == "silent":
        time.sleep(30)
    elif lie == "garbage":
        client.sendall(os.urandom(100000).replace(b"\n", b""))
        hang_up()
    elif lie == "endless":
        flood((b"$" if protocol == "gdb" else b"[") + b"x" * 65535)
    elif lie == "drip":
        for _ in range(300):
            client.sendall(b"+" if protocol == "gdb" else b" ")
            time.sleep(0.1)
        hang_up()


def packet(data, total=None):
    client.sendall(b"$" + data + b"#%02x" % (sum(data) % 256 if total is None else total))


FEATURE = '<feature name="f"><!-- <reg name="no" bitsize="8"/> -->%s</feature>'
REGISTERS = "".join('<reg name="%s" bitsize="64" regnum="%d"/>' % one for one in
                    (("CR0", 7), ("CR3", 8), ("CR4", 9), ("EFER", 10)))
VALUES = {7: 0x80010001, 8: base, 9: 0xa0, 10: 0xd00}


def document(name):
    if lie == "bad-xml":
        return "<target><feature></target>"
    if lie == "include-itself":
        return '<target><xi:include href="target.xml"/></target>'
    if lie == "include-many":
        return "<target>" + '<xi:include href="other%s.xml"/>' % name * 3 + "</target>" if len(name) < 60 else FEATURE
    if lie == "nameless":
        return "<target>" + FEATURE % '<reg bitsize="64"/>' + "</target>"
    if lie == "entities":
        text = "<!DOCTYPE t [" + '<!ENTITY a "%s">' % ("x" * 1000)
        for one, other in zip("bcdefghij", "abcdefghi"):
            text += '<!ENTITY %s "%s">' % (one, ("&%s;" % other) * 10)
        return text + "]><target><architecture>&j;</architecture></target>"
    if lie == "wide":
        return "<target>" + FEATURE % REGISTERS.replace('"64"', '"4096"') + "</target>"
    if name == "target.xml":
        return '<target><architecture>i386:x86-64</architecture><xi:include href="more.xml"/></target>'
    return FEATURE % REGISTERS


def gdb(question):
    global reads
    if question.startswith("qSupported"):
        packet(b"PacketSize=%s;qXfer:features:read+" % (b"0" if lie == "tiny-packets" else b"400"))
    elif question.startswith("qRcmd,"):
        command = bytes.fromhex(question[6:]).decode()
        print("monitor", command, flush=True)
        if lie == "bad-monitor":
            packet(b"Ozz")
            return
        if command == "info status":
            packet(b"O" + b"VM status: paused\n".hex().encode())
        packet(b"OK")
    elif question == "qqemu.PhyMemMode":
        packet(b"" if lie == "no-mode" else b"0")
    elif question.startswith("Qqemu.PhyMemMode:") or question == "D":
        packet(b"OK")
    elif question.startswith("qXfer:features:read:"):
        name, place = question[20:].split(":")
        offset, size = (int(one, 16) for one in place.split(","))
        if lie == "no-xml":
            packet(b"E00")
        elif lie == "endless-xml":
            packet(b"m" + b" " * 200)
        elif lie == "empty-xml":
            packet(b"m")
        else:
            text = document(name).encode()
            packet((b"l" if len(text) <= offset + size else b"m") + text[offset:offset + size])
    elif question.startswith("p"):
        value = VALUES.get(int(question[1:], 16), 0).to_bytes(8, "little").hex().encode()
        packet(b"xyz" if lie == "bad-register" else b"E01" if lie == "no-register" else value)
    elif question.startswith("m"):
        reads += 1
        address, size = (int(one, 16) for one in question[1:].split(","))
        data = memory_at(address, size)
        if lie == "hang-up-later" and reads > 8:
            hang_up()
        elif lie == "short":
            packet(b"00" * (size - 1))
        elif lie == "wrong-sum":
            packet(b"00" * size, 1)
        elif lie == "repeats-nothing":
            packet(b"*~")
        else:
            packet(b"E14" if data is None else data.hex().encode().replace(b"000000", b"0*\""))
    else:
        packet(b"")


def serve_gdb():
    buffer = b""
    while True:
        while b"#" not in buffer or len(buffer) < buffer.index(b"#") + 3:
            more = client.recv(65536)
            if not more:
                return
            buffer += more
        end = buffer.index(b"#")
        question = buffer[buffer.index(b"$") + 1:end].decode()
        buffer = buffer[end + 3:]
        print(question, flush=True)
        gdb(question)


def answer(what):
    client.sendall(json.dumps(what).encode() + b"\r\n")


def qmp(request):
    global reads
    command = request["execute"]
    if command == "query-status":
        answer({"return": {"running": True, "status": "running"}})
        return
    if command != "human-monitor-command":
        answer({"event": "STOP"})
        answer({"error": {"class": "GenericError", "desc": "no"}} if lie == "error" else {"return": {}})
        return
    line = request["arguments"]["command-line"]
    text = ""
    if line == "info registers":
        text = "CR0=80010001 CR2=00 CR3=%016x CR4=000000a0\r\nEFER=0000000000000d00\r\n" % base
    elif line.startswith("xp"):
        reads += 1
        address = int(line.split()[2], 16)
        data = memory_at(address, 4096) or bytes(4096)
        if lie == "hang-up-later" and reads > 4:
            hang_up()
        elif lie == "elsewhere":
            address += 8
        text = "".join("%016x: 0x%s 0x%s\r\n" % (address + at, data[at:at + 8][::-1].hex(), data[at + 8:at + 16][::-1].hex())
                       for at in range(0, 4096 if lie != "short" else 2048, 16))
    answer({"return": 5 if lie == "number" else None if lie == "null" else text})


def serve_qmp():
    if lie == "other-json":
        answer({"hello": 1})
    elif lie == "deep":
        client.sendall(b"[" * 100000 + b"\n")
    elif lie == "list":
        answer([1])
    else:
        answer({"QMP": {"version": {}, "capabilities": []}})
    for line in client.makefile("r"):
        print(line, end="", flush=True)
        qmp(json.loads(line))


lie_at_once()
try:
    serve_gdb() if protocol == "gdb" else serve_qmp()
except (BrokenPipeError, ConnectionResetError):
    pass
