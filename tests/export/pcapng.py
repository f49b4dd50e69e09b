# SPDX-License-Identifier: GPL-2.0-only
"""pcapng.py CAPTURE NDJSON EXPECTED DISSECTOR: a capture, as tshark reads it,
has the events of the NDJSON of the same recording, and its counts."""
import json
import subprocess
import sys

from expected import Expected

CHARGES = ("acct_charge", "acct_discharge")
# What an event of JSON has besides its arguments
OTHERS = ("type", "payload", "pid", "tid", "comm")
FIELDS = ("frame.number", "frame.time_epoch", "frame.interface_name",
          "frame.packet_flags_direction", "frame.comment", "_ws.malformed",
          "_ws.lua.error", "bus1.malformed", "bus1.unknown", "bus1.sent_in",
          "bus1.recv_in", "bus1.tx_peer", "bus1.conversation")


def tshark(path, *arguments):
    command = ["tshark", "-n", "-r", path, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True,
                          stderr=subprocess.DEVNULL, encoding="utf-8",
                          errors="replace").stdout


def packets(path, dissector, fields):
    """One dictionary a packet: fields, each the first of its values."""
    options = ["-2", "-X", "lua_script:" + dissector, "-T", "json"]
    for field in fields:
        options += ["-e", field]
    return [{name: values[0] for name, values
             in packet["_source"]["layers"].items()}
            for packet in json.loads(tshark(path, *options))]


def events(path):
    """The events, and the start, of NDJSON."""
    found, start = [], None
    with open(path, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if record["type"] == "start":
                start = record
            elif "time" in record and record["type"] not in CHARGES:
                found.append(record)
    return start, found


def arguments(record):
    """By the names that the dissector has, as text."""
    roles = [key[:-5] for key in record if key.endswith("_comm")]
    more = {f"{role}_{what}" for role in roles
            for what in ("pid", "comm", "name")}
    found = {key: str(value) for key, value in record.items()
             if key not in OTHERS and key not in more}
    if record["type"] == "peer_new":
        found["opener"] = str(record["pid"])
    return found


def is_plain(text):
    return text.isascii() and text.isprintable()


def nanoseconds(packet):
    return int(packet["frame.time_epoch"].replace(".", ""))


def stamp(record):
    """A transaction stands where it began."""
    return record.get("begun") or record["time"]


def clocks(expected, found, records, start):
    """From CLOCK_MONOTONIC to CLOCK_REALTIME. Two programs that start at about
    the same time read them each for itself."""
    offset = start["realtime"] - start["time"]
    if expected.get("another_start") and found:
        other = nanoseconds(found[0]) - stamp(records[0])
        expected.true("two starts agree on the time",
                      abs(other - offset) < 100000000)
        offset = other
    return offset


def compare(expected, packet, record, offset):
    what = f"{record['type']} in frame {packet['frame.number']}"
    expected.equal(f"type of {what}", packet.get("bus1.type"),
                   record["type"])
    for key, value in arguments(record).items():
        if is_plain(value):
            expected.equal(f"{key} of {what}", packet.get("bus1." + key, ""),
                           value)
    for key in ("pid", "tid"):
        expected.equal(f"{key} of {what}", packet.get("bus1." + key),
                       str(record[key]))
    if is_plain(record["comm"]):
        expected.equal(f"comm of {what}", packet.get("bus1.comm", ""),
                       record["comm"])
    expected.equal(f"payload of {what}",
                   packet.get("bus1.payload", "").replace(":", ""),
                   record.get("payload", ""))
    expected.equal(f"time of {what}", nanoseconds(packet),
                   offset + stamp(record))
    peer = record.get("peer" if "receiver" not in record or
                      record["type"].endswith("_send") else "receiver")
    expected.true(f"interface of {what} is that of peer {peer}",
                  packet["frame.interface_name"].endswith(f"#{peer}")
                  if peer else packet["frame.interface_name"] == "bus1")
    direction = {"msg_send": 2, "notify_send": 2, "msg_recv": 1,
                 "notify_recv": 1}.get(record["type"], 0)
    expected.equal(f"direction of {what}", int(packet.get(
        "frame.packet_flags_direction", "0"), 16), direction)
    remarkable = record["type"] in ("msg_discard", "notify_drop", "op_fail",
                                    "acct_reject")
    expected.equal(f"there is a comment on {what}",
                   "frame.comment" in packet, remarkable)
    for field in FIELDS[5:9]:
        expected.true(f"no {field} in {what}", field not in packet)


def identity(record):
    return tuple(record.get(key) for key in
                 ("receiver", "peer", "tx", "index", "kind", "id"))


def links(expected, found, records):
    """Each end names the frame of its begin, and that names it."""
    sends = {identity(record): packet for packet, record
             in zip(found, records) if record["type"].endswith("_send")}
    n = 0
    for packet, record in zip(found, records):
        if record["type"] not in ("msg_recv", "msg_discard", "notify_recv",
                                  "notify_drop"):
            continue
        send = sends.get(identity(record))
        frame = packet["frame.number"]
        expected.equal(f"bus1.sent_in of frame {frame}",
                       packet.get("bus1.sent_in"),
                       send and send["frame.number"])
        if send:
            n += 1
            expected.equal("bus1.recv_in of its begin",
                           send.get("bus1.recv_in"), frame)
    return n


def statistics(path, what):
    """Of each interface, in order: by tshark's reader of pcapng as a format"""
    field = "pcapng.options.option.data.interface." + what
    out = tshark(path, "-X", "read_format:MIME Files Format", "-T", "fields",
                 "-E", "occurrence=a", "-E", "aggregator=,", "-e", field)
    return [int(value) for value in out.strip().split(",") if value]


def main():
    capture, ndjson, counts, dissector = sys.argv[1:]
    expected = Expected(counts)
    start, records = events(ndjson)
    names = {"bus1." + key for record in records
             for key in arguments(record)}
    found = packets(capture, dissector, sorted(
        names | set(FIELDS) | {"bus1.type", "bus1.pid", "bus1.tid",
                               "bus1.comm", "bus1.payload"}))
    expected.equal("packets", len(found), len(records))
    offset = clocks(expected, found, records, start)
    for packet, record in zip(found, records):
        compare(expected, packet, record, offset)
    n = links(expected, found, records)
    expected.equal("links", n, expected.get(
        "msg_recv", "notify_recv", "msg_discard", "notify_drop") -
        expected.get("never_sent") - expected.get("before_received"))

    peers = {packet["frame.interface_name"] for packet in found} | {"bus1"}
    received = statistics(capture, "received")
    expected.equal("interfaces with statistics", len(received), len(peers))
    expected.equal("packets that they have", sum(received[1:]) + sum(
        packet["frame.interface_name"] == "bus1" for packet in found),
        len(found))
    lost = expected.get("lost_here")
    expected.equal("events that there were", received[0], len(found) + lost)
    expected.equal("those that were lost", statistics(capture, "dropped"),
                   [lost])
    expected.equal("those that were written",
                   statistics(capture, "delivered_to_user"), [len(found)])
    expected.finish()


main()
