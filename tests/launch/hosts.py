"""Several hosts on this machine: network namespaces, each with a name and an address of its own, joined by a switch."""
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time

import runs

ISOLATED = "WEIR_TEST_ISOLATED"
NEEDED = ["ip", "nft", "nsenter", "unshare"]
ANSWER_S = 10
# Counts what arrives at a host, and drops one packet in a hundred of it.
LOSSY = """
add table inet lossy
add counter inet lossy arrived
add counter inet lossy dropped
add chain inet lossy arriving { type filter hook input priority 0; }
add rule inet lossy arriving iifname eth0 counter name arrived
add rule inet lossy arriving iifname eth0 numgen random mod 100 == 0 counter name dropped drop
"""


_refused = []  # why isolate() went on in this process


def isolate():
    """Goes on in a new process, with the same arguments, in PID and mount namespaces of its own.

    Their end takes with it every process and mount that a test made, however the test ended. Where this machine does
    not have or allow what hosts are made of, it returns, and `refusal` says why.
    """
    if ISOLATED in os.environ:
        return
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if os.geteuid() != 0:
        _refused.append("namespaces need root")
    elif missing:
        _refused.append(f"not installed: {', '.join(missing)}; bash launch/setup.sh --tests installs them")
    else:
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        probe = subprocess.run([*command, "--net", "--uts", "sh", "-c", "ip tuntap add dev eth0 mode tap && nft -f -"],
                               input=LOSSY, capture_output=True, text=True, check=False)
        if probe.returncode == 0:
            os.environ[ISOLATED] = "1"
            os.execvp(command[0], [*command, sys.executable, *sys.argv])
        _refused.append(f"namespaces with TAP devices and nftables: {probe.stderr}")


def refusal():
    """Why there can be no hosts here; None if there can."""
    if ISOLATED in os.environ:
        return None
    return _refused[0] if _refused else "isolate() was not called"


def check(*command, text=None):
    """Runs the command with `text` as its input and returns its output; an exit code that is not 0 is an error."""
    done = subprocess.run(command, capture_output=True, text=True, input=text, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}: {done.stderr}"
    return done.stdout


class Hosts:
    """Hosts with the given names, at 10.77.0.1 and up, that reach each other by name and see the same files.

    Every packet between them passes the switch (ethernet_switch.py). One at a time in a process, after `isolate`; of
    one thread. `folder` is made by `open` and takes what MPI leaves behind. `close` is due even if `open` failed.
    """

    def __init__(self, names, folder):
        self.names = names
        self.folder = folder
        self.switch = None
        self.mounts = []

    def open(self):
        os.makedirs(self.folder)
        addresses = [f"10.77.0.{i + 1}" for i in range(len(self.names))]
        self.write("hosts", "127.0.0.1 localhost\n" + "".join(f"{a} {n}\n" for a, n in zip(addresses, self.names)))
        check("mount", "--bind", self.path("hosts"), "/etc/hosts")  # in this mount namespace alone
        self.mounts.append("/etc/hosts")
        for name in self.names:
            kinds = [self.path(f"{name}.{kind}") for kind in ("net", "uts")]
            for path in kinds:
                self.write(path, "")
            check("unshare", f"--net={self.path(name)}.net", f"--uts={self.path(name)}.uts", "sh", "-c",
                  f"echo {name} >/proc/sys/kernel/hostname")
            self.mounts += kinds
        self.plug_in()
        for name, address in zip(self.names, addresses):
            self.set(name, "net/ipv6/conf/all/disable_ipv6", 1)
            self.on(name, "ip", "link", "set", "lo", "up")
            self.on(name, "ip", "address", "add", f"{address}/24", "dev", "eth0")
            self.on(name, "ip", "link", "set", "eth0", "up")
        # What mpirun starts its daemons with, instead of ssh.
        self.write("enter", f'#!/bin/sh\nhost=$1\nshift\n'
                   f'exec nsenter "--net={self.folder}/$host.net" "--uts={self.folder}/$host.uts" sh -c "$*"\n')
        os.chmod(self.path("enter"), 0o755)

    def close(self):
        """Kills what still runs on the hosts, and takes them down."""
        deadline = time.monotonic() + 10
        while (left := self.processes()) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        if self.switch:
            self.switch.stdin.close()
            self.switch.wait(ANSWER_S)
            self.switch.stdout.close()
        for mount in reversed(self.mounts):
            check("umount", mount)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def enter(self, name):
        return ["nsenter", f"--net={self.path(name)}.net", f"--uts={self.path(name)}.uts"]

    def on(self, name, *command, text=None):
        return check(*self.enter(name), *command, text=text)

    def set(self, name, setting, value):
        """Sets what is under /proc/sys on a host; of net/ it has its own."""
        self.on(name, "tee", f"/proc/sys/{setting}", text=str(value))

    def mpirun(self, slots, *options):
        """The command that starts `slots` ranks on each of n hosts: rank i on host i modulo n. It runs on the first."""
        settings = {"plm_rsh_agent": self.path("enter"), "btl_tcp_if_include": "eth0", "oob_tcp_if_include": "eth0",
                    "orte_tmpdir_base": self.folder}
        return [*self.enter(self.names[0]), "mpirun", "--bind-to", "none", "--oversubscribe", "--map-by", "node",
                *(word for name, value in settings.items() for word in ("--mca", name, value)), *options,
                "--host", ",".join(f"{name}:{slots}" for name in self.names), "-n", str(slots * len(self.names))]

    def weir(self, slots, stdout, stderr, *arguments, options=()):
        """Starts `weir` with `slots` ranks a host and returns mpirun's process; the output goes to two files."""
        with open(stdout, "w", encoding="utf-8") as out, open(stderr, "w", encoding="utf-8") as err:
            return subprocess.Popen([*self.mpirun(slots, *options), runs.WEIR, *arguments], stdin=subprocess.DEVNULL,
                                    stdout=out, stderr=err, env=runs.environment(), start_new_session=True)

    def processes(self):
        """{pid: "name on host"} of all but this process and the switch: whatever a job started, on any host."""
        hosts = {os.stat(f"{self.path(name)}.uts").st_ino: name for name in self.names
                 if os.path.exists(f"{self.path(name)}.uts")}
        found = {}
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            if pid in (os.getpid(), self.switch and self.switch.pid):
                continue
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                    name, rest = file.read().split("(", 1)[1].rsplit(")", 1)
                if rest.split()[0] not in "ZX":
                    found[pid] = f"{name} on {hosts.get(os.stat(f'/proc/{pid}/ns/uts').st_ino, 'this machine')}"
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended meanwhile
        return found

    def plug_in(self):
        self.switch = subprocess.Popen(
            [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "ethernet_switch.py"),
             *(f"{name}={self.path(name)}.net" for name in self.names)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answer()

    def answer(self):
        ready, _, _ = select.select([self.switch.stdout], [], [], ANSWER_S)
        line = self.switch.stdout.readline() if ready else b""
        assert line, f"no answer from the switch; its exit code is {self.switch.poll()}"
        return json.loads(line)

    def tell(self, **command):
        self.switch.stdin.write(json.dumps(command).encode() + b"\n")
        self.switch.stdin.flush()
        return self.answer()

    def delay(self, least_ms, most_ms):
        self.tell(delay_ms=[least_ms, most_ms])

    def cut(self, *groups):
        self.tell(cut=groups)

    def join(self):
        self.tell(cut=[])

    def frames(self):
        """What the switch counted since it was last asked: forwarded, overtaken, cut."""
        return self.tell(count=True)

    def lose_packets(self):
        """From now on each host drops one in a hundred of the packets that reach it."""
        for name in self.names:
            self.on(name, "nft", "-f", "-", text=LOSSY)

    def reset_connections(self, name, first_port, last_port):
        """From now on TCP connections from other hosts to these ports of a host are reset, and new ones refused."""
        packets = f"iifname eth0 tcp dport {first_port}-{last_port}"
        self.on(name, "nft", "-f", "-", text=f"""
            add table inet broken
            add counter inet broken answered
            add chain inet broken arriving {{ type filter hook input priority 0; }}
            add rule inet broken arriving {packets} counter name answered reject with tcp reset
        """)

    def end_resets(self, name):
        """Ends what reset_connections began; returns the number of packets that it answered with a reset."""
        packets = self.counters(name)["answered"]
        self.on(name, "nft", "delete", "table", "inet", "broken")
        return packets

    def counters(self, name):
        """{counter: packets} of a host's packet filter."""
        entries = json.loads(self.on(name, "nft", "-j", "list", "counters"))["nftables"]
        return {entry["counter"]["name"]: entry["counter"]["packets"] for entry in entries if "counter" in entry}

    def packets(self):
        """(arrived, dropped of these) over all hosts since lose_packets."""
        counters = [self.counters(name) for name in self.names]
        return sum(counter["arrived"] for counter in counters), sum(counter["dropped"] for counter in counters)
