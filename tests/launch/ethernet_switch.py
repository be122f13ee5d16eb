"""ethernet_switch.py NAME=NETNS_FILE ...: a switch in user space between network namespaces, for tests of whole jobs.

In each namespace it makes a TAP device, eth0, and holds its other end: every packet between the hosts passes this
process, which can delay frames (each by a time of its own, so that they overtake each other) and cut the network in
two. The devices go when it ends. One JSON object a line on stdin is a command, answered by a line of JSON on stdout:
  {"delay_ms": [15, 25]}               from now on each frame waits a time drawn evenly from this range; [0, 0]: none
  {"cut": [["a", "b"], ["c", "d"]]}    frames between the two groups are dropped; [] joins them again
  {"count": true}                      the counters since the last such command
The end of stdin ends it.
"""
import collections
import ctypes
import fcntl
import heapq
import itertools
import json
import os
import random
import select
import struct
import sys
import time

DEVICE = "eth0"
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
CLONE_NEWNET = 0x40000000
FRAME_BYTES_MAX = 65536
WAITING_FRAMES_MAX = 20000  # beyond them frames are dropped, as a full switch does
FRAMES_PER_TURN = 64


def enter(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"setns to {namespace.name}: {os.strerror(ctypes.get_errno())}")


def open_tap(path):
    """The file descriptor of a new TAP device in the namespace that this file stands for."""
    with open("/proc/self/ns/net", "rb") as own, open(path, "rb") as namespace:
        enter(namespace)
        tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TAP | IFF_NO_PI))
        enter(own)
    return tap


class Switch:
    """Learns which address is at which port; the owner calls `run`, which returns at the end of stdin."""

    def __init__(self, namespaces):
        self.taps = {name: open_tap(path) for name, path in namespaces.items()}
        self.port_of = {}  # address: name
        self.waiting = []  # heap of (due, number, name of the port, frame)
        self.numbers = itertools.count()
        self.delay_s = (0.0, 0.0)
        self.side_of = {}  # name: 0 or 1 while the network is cut
        self.random = random.Random(1)
        self.last_sent = collections.defaultdict(int)  # port: greatest number sent there
        self.counters = collections.Counter()

    def run(self):
        poller = select.poll()
        names = {tap: name for name, tap in self.taps.items()}
        for descriptor in [0, *names]:
            poller.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in poller.poll(self.wait_ms()):
                if descriptor in names:
                    self.receive(names[descriptor])
                elif not self.command():
                    return
            self.send_due()

    def wait_ms(self):
        if not self.waiting:
            return None
        return max(0, 1000 * (self.waiting[0][0] - time.monotonic()))

    def command(self):
        # Unbuffered: a line that a buffer holds back would not wake poll.
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(0, 1)
            if not byte:
                return False
            line += byte
        wanted = json.loads(line)
        answer = {}
        if "delay_ms" in wanted:
            self.delay_s = tuple(ms / 1000 for ms in wanted["delay_ms"])
        if "cut" in wanted:
            self.side_of = {name: side for side, group in enumerate(wanted["cut"]) for name in group}
        if "count" in wanted:
            answer, self.counters = dict(self.counters), collections.Counter()
        os.write(1, json.dumps(answer).encode() + b"\n")
        return True

    def receive(self, source):
        for _ in range(FRAMES_PER_TURN):
            try:
                frame = os.read(self.taps[source], FRAME_BYTES_MAX)
            except BlockingIOError:
                return
            self.port_of[frame[6:12]] = source
            target = self.port_of.get(frame[:6])
            for name in self.taps if target is None else [target]:
                if name != source:
                    self.forward(source, name, frame)

    def forward(self, source, target, frame):
        if self.side_of.get(source) != self.side_of.get(target):
            self.counters["cut"] += 1
            return
        if len(self.waiting) >= WAITING_FRAMES_MAX:
            self.counters["overflowed"] += 1
            return
        due = time.monotonic() + self.random.uniform(*self.delay_s)
        heapq.heappush(self.waiting, (due, next(self.numbers), target, frame))

    def send_due(self):
        now = time.monotonic()
        while self.waiting and self.waiting[0][0] <= now:
            _, number, target, frame = heapq.heappop(self.waiting)
            self.counters["forwarded"] += 1
            self.counters["overtaken"] += number < self.last_sent[target]
            self.last_sent[target] = max(self.last_sent[target], number)
            try:
                os.write(self.taps[target], frame)
            except OSError:
                self.counters["refused"] += 1  # the device is down, at the start and the end


if __name__ == "__main__":
    switch = Switch(dict(argument.split("=", 1) for argument in sys.argv[1:]))
    print("{}", flush=True)
    switch.run()
