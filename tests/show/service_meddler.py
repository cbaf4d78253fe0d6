#!/usr/bin/env python3
"""An evaluator that stands between worker and engine (worker/evaluator_protocol.h)
and meddles by EVOPRESS_MEDDLE:

  record:FILE   appends the name of every assignment that it sees
  poison:NAME   dies when asked about the assignment NAME
  nan, flip     gives NaN, or the lowest bit of a sum flipped, in every answer
                after the third

EVOPRESS_ENGINE is the engine."""

import hashlib
import os
import signal
import socket
import struct
import sys
import threading

EVALUATE, EVALUATED = 3, 7


class Reader:
    def __init__(self, payload):
        self.payload, self.at = payload, 0

    def u32(self):
        self.at += 4
        return struct.unpack_from("<I", self.payload, self.at - 4)[0]

    def text(self):
        size = self.u32()
        self.at += size
        return self.payload[self.at - size:self.at]


def assignments(payload):
    """A name for every assignment asked about: a hash of its levels."""
    reader = Reader(payload)
    names = []
    for _ in range(reader.u32()):
        name = hashlib.sha256()
        for _ in range(reader.u32()):
            name.update(reader.text() + b"=" + os.path.basename(reader.text()) + b";")
        for _ in range(reader.u32()):
            name.update(reader.text() + b";")
        names.append(name.hexdigest()[:16])
    return names


def spoil(payload, how):
    changed = bytearray(payload)  # rows, samples, then the first sample's KL
    if how == "nan":
        struct.pack_into("<d", changed, 8, float("nan"))
    else:
        changed[8] ^= 1
    return bytes(changed)


def receive(sock):
    def exactly(size):
        parts = []
        while size:
            part = sock.recv(min(size, 1 << 20))
            if not part:
                os._exit(0)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    kind, size = struct.unpack("<II", exactly(8))
    return kind, exactly(size)


def send(sock, kind, payload):
    sock.sendall(struct.pack("<II", kind, len(payload)) + payload)


def main():
    engine = os.environ["EVOPRESS_ENGINE"]
    if "--numeric-class" in sys.argv:
        os.execv(engine, [engine, "--numeric-class"])
    how, _, what = os.environ["EVOPRESS_MEDDLE"].partition(":")
    worker = socket.socket(fileno=3)
    ours, theirs = socket.socketpair()
    # The engine finds its end on descriptor 3, as the worker's end was.
    child = os.fork()
    if child == 0:
        ours.close()
        os.dup2(theirs.fileno(), 3, inheritable=True)
        os.execv(engine, [engine, "--serve"])
    theirs.close()

    def to_engine():
        while True:
            kind, payload = receive(worker)
            if kind == EVALUATE and how in ("record", "poison"):
                names = assignments(payload)
                if how == "poison" and what in names:
                    print(f"poisoned by assignment {what}", file=sys.stderr, flush=True)
                    os.kill(os.getpid(), signal.SIGABRT)
                if how == "record":
                    with open(what, "a") as out:
                        out.write("".join(f"{name}\n" for name in names))
            send(ours, kind, payload)

    threading.Thread(target=to_engine, daemon=True).start()
    answers = 0
    while True:
        kind, payload = receive(ours)
        if kind == EVALUATED:
            answers += 1
            if how in ("nan", "flip") and answers > 3:
                payload = spoil(payload, how)
        send(worker, kind, payload)


if __name__ == "__main__":
    main()
