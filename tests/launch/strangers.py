"""strangers.py HOST[,HOST...] PORT-PORT [--unix]: what a hostile network does to the ports of a running job.

Every address of the hosts and ports (with --unix also each abstract Unix socket of this host that is named weir-*) is
scanned: connected to over and over, with a probe of another protocol each time. One that accepts also gets
  drips     connections that send a header one byte a second, some of a frame, some of garbage; a new one for each that
            the server closes
  oversize  frame headers that are whole but for the job's token and announce up to 2^64 - 1 bytes, and then many bytes
  crowds    now and then more silent connections at once than a server holds
On a Unix socket the scanner's probes are the socket's; frames go, as a worker's, through the memory that the server offers.
The end of stdin ends it; it prints {address: {counter: n}} of the addresses that accepted, as one JSON object:
  probes, drips, oversize, crowds  connections made
  probes_closed, ...               of these, closed by the server before we did
  drips_waited_for                 of the closed drips, those that had sent more than three bytes
  answers                          connections on which the server sent anything
"""
import asyncio
import collections
import functools
import itertools
import json
import mmap
import os
import re
import socket
import struct
import subprocess
import sys

HELLO = 1
DRIPS = 20  # at an address at a time; a server, of two addresses, holds 64 connections without a handshake
DRIP_S = 1.0
CROWD = 100
CROWD_S = 6.0  # between crowds: long enough for drips to see the end of a server's patience, 5 s
ENOUGH_S = 8.0  # for a crowd and more than a generation of drips
PROBE_S = 0.02  # between the probes of an address
REPLY_S = 0.1
RETRY_S = 0.2
OVERSIZE_S = 0.1
OVERSIZE_SENT_BYTES = 4 << 20  # over TCP; within the machine what the ring takes
LENGTHS = [4097, 1 << 31, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]

TLS_HELLO = bytes.fromhex("16030100650100006103035f") + bytes(range(31)) + bytes.fromhex(
    "000018c02bc02fc02cc030c009c013c00ac014009c009d002f00350100002000050005010000000000"
    "0a00080006001d00170018000b00020100000d0004000204010000")
SMB_NEGOTIATE = bytes.fromhex("00000031ff534d4272000000001801280000000000000000000000000000fffe00000000"
                              "000e00024e54204c4d20302e313200")
PROBES = [
    b"",  # a bare connection
    b"GET / HTTP/1.1\r\nHost: weir.example\r\nUser-Agent: scanner\r\nAccept: */*\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    TLS_HELLO,
    SMB_NEGOTIATE,
    b"SSH-2.0-scanner\r\n",
    b"*1\r\n$4\r\nPING\r\n",
    bytes.fromhex("0300001303e00000000000010008000300000000")[:19],  # RDP
    b"\x00" * 4096,
    b"WEIR" * 1024,
    struct.pack("<Q", 2**63) * 64,
    b"\xff",
]


@functools.cache
def protocol_version():
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../param_server/protocol.h")
    with open(source, encoding="utf-8") as file:
        return int(re.search(r"kProtocolVersion = (\d+)", file.read()).group(1))


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def frame_header(payload_bytes):
    """A header as docs/protocol.md has it, whole but for the token, which strangers do not know."""
    head = b"WEIR" + struct.pack("<HHQQII", protocol_version(), HELLO, payload_bytes, 1, 1000, 0)
    head += os.urandom(16) + bytes(20)  # the token; no number, nothing acknowledged, reserved
    return head + struct.pack("<I", crc32c(head))


def start(hosts, first_port, last_port, unix=False, enter=()):
    """Begins, under the command `enter` if it is not empty; returns the process for `stop`."""
    return subprocess.Popen([*enter, sys.executable, os.path.abspath(__file__), ",".join(hosts),
                             f"{first_port}-{last_port}", *(["--unix"] if unix else [])],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def stop(process):
    """{address: {counter: n}}, as above."""
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, f"strangers.py: exit {process.returncode}"
    return {name: collections.Counter(counters) for name, counters in json.loads(out).items()}


def check(test, attacked, log, took_s):
    """Each address was attacked in each way for ENOUGH_S and defended itself, without a word to the strangers."""
    for name, count in attacked.items():
        with test.subTest(address=name, count=count):
            test.assertGreaterEqual(count["probes"], len(PROBES))
            test.assertGreater(count["drips_waited_for"], 0)
            test.assertGreater(count["drips"], DRIPS)
            test.assertGreaterEqual(count["crowds_closed"], CROWD - 64)
            test.assertGreaterEqual(count["oversize"], len(LENGTHS))
            test.assertGreaterEqual(count["oversize_closed"], count["oversize"] - 1)
            test.assertEqual(count["answers"], 0)
    # A server logs a drop at most once a second.
    servers = set(re.findall(r"server (\d+): dropped a connection", log))
    test.assertTrue(servers)
    test.assertLess(log.count("dropped a connection"), len(servers) * (took_s + 2))


class RingWriter:
    """Writes into the memory that a server offers on a Unix socket (docs/protocol.md, "Within a machine"), and rings."""
    HEADS_BYTES = 4096
    WRITTEN, READ = 192, 192 + 64  # of ring 1, from the end that dialed

    def __init__(self, socket_writer, memory):
        self.socket_writer = socket_writer
        self.memory = memory
        self.ring_bytes = (len(memory) - self.HEADS_BYTES) // 2
        self.written = 0
        self.transport = socket_writer.transport
        self.get_extra_info = socket_writer.get_extra_info

    def write(self, data):
        """As much as there is room for."""
        read, = struct.unpack_from("<Q", self.memory, self.READ)
        data = data[:self.ring_bytes - (self.written - read)]
        while data:
            at = self.written % self.ring_bytes
            part = data[:self.ring_bytes - at]
            begin = self.HEADS_BYTES + self.ring_bytes + at
            self.memory[begin:begin + len(part)] = part
            self.written += len(part)
            data = data[len(part):]
        struct.pack_into("<Q", self.memory, self.WRITTEN, self.written)
        self.socket_writer.write(b"!")


async def connect_unix(name):
    """OSError if the server offers no memory: it closed the connection."""
    loop = asyncio.get_running_loop()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await loop.sock_connect(connection, "\0" + name)
        readable = loop.create_future()
        loop.add_reader(connection, lambda: readable.done() or readable.set_result(None))
        try:
            await readable
        finally:
            loop.remove_reader(connection)
        offer, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
        if offer != b"m":
            raise ConnectionResetError(f"found {offer} instead of an offer")
        memory = mmap.mmap(descriptors[0], 0)
        os.close(descriptors[0])
        reader, writer = await asyncio.open_unix_connection(sock=connection)
    except BaseException:
        connection.close()
        raise
    return reader, RingWriter(writer, memory)


class Address:
    """One address and what was done to it. connect() returns (reader, writer) or raises OSError."""

    def __init__(self, name, connect):
        self.name = name
        self.connect = connect
        self.counters = collections.Counter()

    async def closed(self, reader, within_s, kind):
        """Whether the server closes the connection within the time; counts it, and the connections it answers."""
        try:
            data = await asyncio.wait_for(reader.read(1), within_s)
            self.counters["answers"] += len(data)
            done = not data
        except asyncio.TimeoutError:
            return False
        except OSError:  # reset, which is a close with bytes unread
            done = True
        self.counters[f"{kind}_closed"] += done
        return done

    async def probe(self, data, abort):
        reader, writer = await self.connect()
        try:
            self.counters["probes"] += 1
            getattr(writer, "socket_writer", writer).write(data)
            await self.closed(reader, REPLY_S, "probes")
            if abort:  # with a reset
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        finally:
            writer.transport.abort()

    async def drip(self, data):
        reader, writer = await self.connect()
        try:
            self.counters["drips"] += 1
            for sent, byte in enumerate(itertools.chain(data, itertools.repeat(0)), 1):
                writer.write(bytes([byte]))
                if await self.closed(reader, DRIP_S, "drips"):
                    self.counters["drips_waited_for"] += sent > 3
                    return
        finally:
            writer.transport.abort()

    async def oversize(self, length):
        reader, writer = await self.connect()
        try:
            self.counters["oversize"] += 1
            writer.write(frame_header(length))
            writer.write(bytes(min(length, OVERSIZE_SENT_BYTES)))
            await self.closed(reader, 10, "oversize")
        finally:
            writer.transport.abort()

    async def crowd(self):
        await asyncio.sleep(CROWD_S)
        made = await asyncio.gather(*(self.connect() for _ in range(CROWD)), return_exceptions=True)
        made = [connection for connection in made if not isinstance(connection, BaseException)]
        self.counters["crowds"] += len(made)
        await asyncio.gather(*(self.closed(reader, DRIP_S, "crowds") for reader, _ in made))
        for _, writer in made:
            writer.transport.abort()


async def repeat(calls, pause_s):
    """Makes the calls of an endless iterator, one at a time, whatever becomes of each."""
    for call in calls:
        try:
            await call()
            await asyncio.sleep(pause_s)
        except OSError:
            await asyncio.sleep(RETRY_S)


class Strangers:
    def __init__(self):
        self.addresses = {}
        self.tasks = []

    def scan(self, name, connect):
        if name in self.addresses:
            return
        address = self.addresses[name] = Address(name, connect)
        self.tasks.append(asyncio.create_task(self.attack(address)))

    async def attack(self, address):
        probes = ((lambda data=data, abort=abort: address.probe(data, abort))
                  for abort in itertools.cycle([False, True]) for data in PROBES)
        scanning = asyncio.create_task(repeat(probes, PROBE_S))
        self.tasks.append(scanning)
        while not address.counters["probes"]:
            await asyncio.sleep(RETRY_S)
        for i in range(DRIPS):
            data = frame_header(100) if i % 2 else os.urandom(72)
            self.tasks.append(asyncio.create_task(repeat(itertools.repeat(lambda d=data: address.drip(d)), 0)))
        lengths = ((lambda length=length: address.oversize(length)) for length in itertools.cycle(LENGTHS))
        self.tasks.append(asyncio.create_task(repeat(lengths, OVERSIZE_S)))
        self.tasks.append(asyncio.create_task(repeat(itertools.repeat(address.crowd), 0)))

    async def watch_unix(self):
        while True:
            with open("/proc/net/unix", encoding="utf-8") as sockets:
                names = set(re.findall(r"@(weir-\w+)", sockets.read()))
            for name in names:
                self.scan(f"unix:{name}", lambda name=name: connect_unix(name))
            await asyncio.sleep(RETRY_S)

    async def run(self, hosts, ports, unix):
        for host, port in itertools.product(hosts, ports):
            self.scan(f"{host}:{port}", lambda host=host, port=port: asyncio.open_connection(host, port))
        if unix:
            self.tasks.append(asyncio.create_task(self.watch_unix()))
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        failed = [task.exception() for task in self.tasks if task.done() and task.exception()]
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if failed:
            raise failed[0]
        print(json.dumps({a.name: a.counters for a in self.addresses.values() if a.counters["probes"]}), flush=True)


if __name__ == "__main__":
    first, last = map(int, sys.argv[2].split("-"))
    asyncio.run(Strangers().run(sys.argv[1].split(","), range(first, last + 1), "--unix" in sys.argv))
