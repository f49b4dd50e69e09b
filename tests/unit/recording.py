#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Read a recording by bus1-trace(5) alone, and print what is in it."""
import struct
import sys
import zlib


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    def signed(self):
        value = self.varint()
        return value // 2 if value % 2 == 0 else -(value + 1) // 2

    def bytes(self, n):
        self.at += n
        return self.data[self.at - n : self.at]

    def rest(self):
        return self.bytes(len(self.data) - self.at)

    def left(self):
        return self.at < len(self.data)


def entries(cursor, events):
    address, time, tasks, last = 0, 0, [], {}
    while cursor.left():
        code = cursor.varint()
        if code >> 2 == 0:
            words = [cursor.varint(), cursor.varint()]
            for _ in range(cursor.varint()):
                address = (address + cursor.signed()) % 2**64
                words.append(address)
            print("stack", *words)
        elif code >> 2 == 1:
            words = [cursor.varint() for _ in range(3)]
            print("payload", *words, cursor.bytes(cursor.varint()).hex())
        else:
            name, at, mask = events[(code >> 2) - 2]
            n, before = last.get(name, (0, [0] * 16))
            if code & 2:
                n = cursor.varint()
            number = cursor.varint()
            if number == len(tasks):
                task = [cursor.varint() for _ in range(3)]
                tasks.append(task + [cursor.bytes(cursor.varint()).hex()])
            time = (time + cursor.signed()) % 2**64
            args = []
            for i in range(n):
                if i == at:
                    args.append(time)
                else:
                    base = time if mask >> i & 1 else before[i]
                    args.append((base + cursor.signed()) % 2**64)
            last[name] = n, args + before[n:]
            print(name, code & 1, *tasks[number], *args)


def main(path):
    with open(path, "rb") as file:
        data = file.read()
    assert data[:8] == b"bus1rec\n"
    assert struct.unpack("<HH", data[8:12]) == (1, 0)
    cursor, events, ended = Cursor(data), [], False
    cursor.at = 12
    while cursor.left():
        start = cursor.at
        kind, size = cursor.byte(), cursor.varint()
        frame = Cursor(cursor.bytes(size))
        crc = zlib.crc32(data[start : cursor.at])
        assert cursor.bytes(4) == struct.pack("<I", crc)
        assert size <= 131072 and not ended
        if kind == 1:
            for line in frame.rest().decode().splitlines():
                key, value = line.split("=", 1)
                if key == "event":
                    name, at, mask = value.split()
                    events.append((name, int(at), int(mask)))
        elif kind == 2:
            entries(frame, events)
        elif kind == 3:
            frame.byte()
            text = zlib.decompress(frame.rest())
            assert len(text) <= 65536
            for line in text.decode().splitlines():
                assert line.split()[0] in ("snapshot", "peer", "node", "holder")
        elif kind == 4:
            words = frame.varint(), frame.varint()
            print("symbol", *words, frame.rest().decode())
        elif kind == 5:
            print("cgroup", frame.varint(), frame.rest().decode())
        elif kind == 6:
            print("account", frame.rest().decode())
        elif kind == 7:
            counts = [frame.varint() for _ in range(1 + 5 * len(events))]
            assert not frame.left() and counts[0] == 5
            print("counts")
        elif kind == 8:
            ended = (frame.varint(), frame.varint()) == (0, 42)
    assert ended


main(sys.argv[1])
