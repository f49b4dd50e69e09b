# SPDX-License-Identifier: GPL-2.0-only
"""perfetto.py TRACE EXPECTED: a trace, as protoc decodes it by public.proto."""
import codecs
import collections
import os
import re
import subprocess
import sys

from expected import Expected

LINE = re.compile(r"^\s*(?:(\w+)(?:: (.*)| \{)|\})$")


def is_text(value):
    """Of a string as protoc prints it: UTF-8 without control characters"""
    raw = codecs.escape_decode(value[1:-1])[0]
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(c >= " " and c != "\x7f" for c in text)


def decode(path):
    """The packets, each a dictionary of lists."""
    here = os.path.dirname(os.path.abspath(__file__))
    command = ["protoc", "--decode=public.Trace", "-I", here, "public.proto"]
    with open(path, "rb") as file, \
         subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE,
                          encoding="utf-8") as protoc:
        stack = [collections.defaultdict(list)]
        for line in protoc.stdout:
            match = LINE.match(line)
            if not match:
                sys.exit(f"protoc says: {line}")
            name, value = match.groups()
            if name is None:
                stack.pop()
                if len(stack) == 1:
                    yield stack[0].pop("packet")[0]
                continue
            if name.isdigit():
                sys.exit(f"a field that the public schema has not: {line}")
            if value is None:
                inner = collections.defaultdict(list)
                stack[-1][name].append(inner)
                stack.append(inner)
            else:
                if value.startswith('"') and not is_text(value):
                    sys.exit(f"no text: {line}")
                stack[-1][name].append(value)
    if protoc.returncode:
        sys.exit("protoc cannot decode it")


class Trace:
    def __init__(self, path, expected):
        self.expected = expected
        self.tracks = {}
        self.events = []
        self.sequences = set()
        for packet in decode(path):
            self.sequences.update(packet["trusted_packet_sequence_id"])
            if packet["clock_snapshot"]:
                self.clock(packet)
            elif packet["track_descriptor"]:
                self.track(packet["track_descriptor"][0])
            else:
                self.event(packet)
        # readers sort, and keep what is of one time in its order
        self.events.sort(key=lambda event: event[0])
        expected.equal("packet sequences", len(self.sequences), 1)

    def clock(self, packet):
        snapshot = packet["clock_snapshot"][0]
        clocks = {c["clock_id"][0]: int(c["timestamp"][0])
                  for c in snapshot["clocks"]}
        self.expected.equal("events before the clocks", len(self.events), 0)
        self.expected.equal("the trace's clock",
                            snapshot["primary_trace_clock"],
                            ["BUILTIN_CLOCK_MONOTONIC"])
        self.expected.true("CLOCK_REALTIME is later than CLOCK_MONOTONIC",
                           clocks["1"] > clocks["3"])

    def track(self, track):
        uuid = track["uuid"][0]
        for parent in track["parent_uuid"]:
            self.expected.true("a track's parent is known",
                               parent in self.tracks)
        self.expected.true("a track is declared once",
                           uuid not in self.tracks)
        self.tracks[uuid] = track

    def event(self, packet):
        event = packet["track_event"][0]
        self.expected.equal("an event's clock", packet["timestamp_clock_id"],
                            ["3"])
        self.expected.true("an event's track is known",
                           event["track_uuid"][0] in self.tracks)
        self.events.append((int(packet["timestamp"][0]), event))

    def name(self, event):
        track = self.tracks[event["track_uuid"][0]]
        return (track["name"] or [""])[0].strip('"')


def slices(trace, expected):
    """Begun and ended, by the name of the track; each track has one at once."""
    is_open = collections.Counter()
    begun, ended = collections.Counter(), collections.Counter()
    for _, event in trace.events:
        uuid = event["track_uuid"][0]
        if event["type"] == ["TYPE_SLICE_BEGIN"]:
            expected.equal("open slices of a track that gets one",
                           is_open[uuid], 0)
            is_open[uuid] += 1
            begun[trace.name(event)] += 1
        elif event["type"] == ["TYPE_SLICE_END"]:
            expected.equal("open slices of a track that loses one",
                           is_open[uuid], 1)
            is_open[uuid] -= 1
            ended[trace.name(event)] += 1
    return begun, ended


def flows(trace, expected):
    """From an instant, through a slice, to an instant, in this order; what was
    sent before the start has no first instant."""
    steps = collections.defaultdict(list)
    for _, event in trace.events:
        kind = event["type"][0]
        for flow in event["flow_ids"]:
            steps[flow].append(kind)
        for flow in event["terminating_flow_ids"]:
            steps[flow].append("end at " + kind)
    complete = 0
    for found in steps.values():
        wanted = ["TYPE_INSTANT", "TYPE_SLICE_BEGIN", "end at TYPE_INSTANT"]
        if found[0] != "TYPE_INSTANT":
            wanted.pop(0)
        expected.equal("a flow", found, wanted[:len(found)])
        complete += len(found) == 3
    return len(steps), complete


def counters(trace, expected):
    """The last value of each, added up by the name of the track."""
    last = {}
    for _, event in trace.events:
        track = trace.tracks[event["track_uuid"][0]]
        counts = event["type"] == ["TYPE_COUNTER"]
        expected.equal("a counter's events are on its track",
                       bool(track["counter"]), counts)
        if counts:
            value = int(event["counter_value"][0])
            expected.true("a counter is not negative", value >= 0)
            uuid = event["track_uuid"][0]
            if trace.name(event) == "queue depth":
                before = last.get(uuid, (None, 0))[1]
                expected.equal("a step of a queue's depth",
                               abs(value - before), 1)
            last[uuid] = (trace.name(event), value)
    sums = collections.Counter()
    for name, value in last.values():
        sums[name] += value
    return sums


def main():
    expected = Expected(sys.argv[2])
    trace = Trace(sys.argv[1], expected)
    instants = collections.Counter(
        event["name"][0].strip('"') for _, event in trace.events
        if event["type"] == ["TYPE_INSTANT"])
    begun, ended = slices(trace, expected)
    n_flows, n_complete = flows(trace, expected)
    sums = counters(trace, expected)

    # what waited already has slices, too
    sent = expected.get("msg_send", "notify_send", "listed", "unlisted")
    arrived = expected.get("msg_recv", "notify_recv", "msg_discard",
                           "notify_drop") - expected.get("never_sent")
    expected.equal("slices in queues", begun["queue"], sent)
    expected.equal("their ends", ended["queue"], arrived)
    expected.equal("slices of calls", begun["calls"],
                   expected.get("tx_commit"))
    expected.equal("their ends", ended["calls"], begun["calls"])
    expected.equal("flows", n_flows, sent)
    expected.equal("complete flows", n_complete,
                   arrived - expected.get("before_received"))
    expected.equal("queue depths in the end", sums["queue depth"],
                   expected.get("waiting"))
    expected.equal("queued bytes in the end", sums["queued bytes"],
                   expected.get("waiting_bytes"))
    for name, key in (("send", "msg_send"), ("recv", "msg_recv"),
                      ("discard", "msg_discard"), ("notify", "notify_send"),
                      ("notified", "notify_recv"), ("vanish", "notify_drop"),
                      ("open", "peer_new"), ("gone", "peer_free"),
                      ("reject", "acct_reject")):
        expected.equal(f"instants {name}", instants[name], expected.get(key))
    expected.equal("instants of failures",
                   sum(n for name, n in instants.items()
                       if name.startswith(("send E", "recv E"))),
                   expected.get("op_fail"))
    expected.equal("LOST is said", instants["LOST"],
                   int(expected.get("lost") > 0))
    expected.finish()


main()
