"""What the benches of a running weir share: a veth pair between two network namespaces, a sender at one end, and a program
at the other whose CPU time and memory are read from /proc. Needs root and Linux.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# The sender and what is measured do not share a CPU where there are two.
SENDER_CPU, MEASURED_CPU = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))


def install(programs):
    """Installs what is missing of {program: Debian package}; gives the programs that are there then."""
    missing = sorted({package for program, package in programs.items() if not shutil.which(program)})
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        subprocess.run(["apt-get", "-qq", "update"], env=environment, capture_output=True)
        subprocess.run(["apt-get", "-qq", "install", "-y", "--no-install-recommends", *missing], env=environment, capture_output=True)
    return {program for program in programs if shutil.which(program)}


def made(name, *options):
    """A capture of make_capture.py, kept between runs."""
    path = os.path.join(ROOT, "target", "bench", name)
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        subprocess.run([sys.executable, os.path.join(HERE, "make_capture.py"), path + ".part", *options], check=True)
        os.rename(path + ".part", path)
    return path


def records(capture):
    """Offset and captured octets of each record of a classic pcap file of this machine's byte order."""
    with open(capture, "rb") as file:
        at, size = 24, os.fstat(file.fileno()).st_size
        while at + 16 <= size:
            file.seek(at + 8)
            octets = int.from_bytes(file.read(4), sys.byteorder)
            yield at, octets
            at += 16 + octets


def head_of(capture, packets, longest, out):
    """Copies the first packets that an interface with an MTU of `longest` - 14 sends; gives how many there were."""
    count = 0
    with open(capture, "rb") as source, open(out, "wb") as target:
        target.write(source.read(24))
        for at, octets in records(capture):
            if octets <= longest:
                source.seek(at)
                target.write(source.read(16 + octets))
                count += 1
            if count == packets:
                break
    return count


def first_in_line(cpu):
    """What a child does before it becomes what is measured: its own CPU, ahead of other work."""
    os.setsid()
    os.sched_setaffinity(0, {cpu})
    os.nice(-15)
    # With autogroups the kernel weighs sessions, not processes.
    if os.path.exists("/proc/self/autogroup"):
        with open("/proc/self/autogroup", "w") as file:
            file.write("-15")


class Quota:
    """A control group that holds a process to a share of one CPU, in periods of 10 ms. `ok` is false where there is none."""

    def __init__(self, percent):
        name = f"weir-bench-{os.getpid()}"
        v1, v2 = "/sys/fs/cgroup/cpu", "/sys/fs/cgroup"
        self.folder = os.path.join(v1 if os.path.isdir(v1) else v2, name)
        self.ok = False
        try:
            os.makedirs(self.folder, exist_ok=True)
            if os.path.isdir(v1):
                self.write("cpu.cfs_period_us", 10_000)
                self.write("cpu.cfs_quota_us", percent * 100)
            else:
                self.write("cpu.max", f"{percent * 100} 10000")
            self.ok = True
        except OSError:
            self.close()

    def write(self, name, value):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(str(value))

    def hold(self, pid):
        self.write("cgroup.procs", pid)

    def close(self):
        for _ in range(50):
            try:
                return os.rmdir(self.folder)
            except FileNotFoundError:
                return None
            except OSError:
                time.sleep(0.05)


class Program:
    """A running program and all its threads."""

    def __init__(self, command, log):
        self.process = subprocess.Popen(
            shlex.split(command), stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=lambda: first_in_line(MEASURED_CPU)
        )
        self.pid = self.process.pid

    def cpu(self):
        """Seconds on a CPU so far, to the nanosecond."""
        total = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            try:
                with open(f"/proc/{self.pid}/task/{task}/schedstat") as file:
                    total += int(file.read().split()[0])
            except FileNotFoundError:
                pass
        return total / 1e9

    def memory(self, field="VmRSS"):
        """Resident MiB: VmRSS now, VmHWM at most so far."""
        with open(f"/proc/{self.pid}/status") as file:
            return int(re.search(rf"^{field}:\s+(\d+)", file.read(), re.M)[1]) / 1024

    def settle(self, longest=20):
        """Waits until it has nothing to do."""
        deadline, last, quiet = time.monotonic() + longest, self.cpu(), 0
        while quiet < 5 and time.monotonic() < deadline:
            time.sleep(0.1)
            now = self.cpu()
            quiet = quiet + 1 if now - last < 0.005 else 0
            last = now

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Lane:
    """Two namespaces joined by two veth pairs, gone after the `with`; programs are told to capture at the end of the first."""

    def __enter__(self):
        tag = f"weir-bench-{os.getpid()}"
        self.near, self.far = f"{tag}-a", f"{tag}-b"
        self.sender, self.interface = "wbsend", "wbrecv"
        self.aside = "wbaside"
        for namespace in (self.near, self.far):
            self.ip("netns", "add", namespace)
            quiet = [f"net.ipv6.conf.{which}.disable_ipv6=1" for which in ("all", "default")]
            self.ip("netns", "exec", namespace, "sysctl", "-qw", *quiet)
        for sender, receiver in ((self.sender, self.interface), (self.aside, "wbnobody")):
            self.ip("link", "add", sender, "netns", self.near, "type", "veth", "peer", "name", receiver, "netns", self.far)
            self.ip("-n", self.near, "link", "set", sender, "up", "arp", "off")
            self.ip("-n", self.far, "link", "set", receiver, "up", "arp", "off", "promisc", "on")
        self.ip("-n", self.far, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_):
        for namespace in (self.near, self.far):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True)

    @staticmethod
    def ip(*arguments):
        return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout

    def start(self, command, log):
        """Starts a program at the receiving end and waits until it captures there."""
        program = Program(f"ip netns exec {self.far} {command}", log)
        deadline = time.monotonic() + 20
        while len(self.ip("netns", "exec", self.far, "cat", "/proc/net/packet").splitlines()) < 2:
            if program.process.poll() is not None or time.monotonic() > deadline:
                program.stop()
                sys.exit(f"does not capture: {command}; see {log.name}")
            time.sleep(0.05)
        time.sleep(0.7)
        return program

    def received(self):
        """Packets that came to the receiving end so far."""
        return json.loads(self.ip("-n", self.far, "-s", "-j", "link", "show", self.interface))[0]["stats64"]["rx"]["packets"]

    def send(self, capture, rate=None, aside=False):
        """Sends a capture, as fast as possible without a rate; gives packets received and packets a second. Aside nobody captures it."""
        pace = ["--pps", str(rate)] if rate else ["--topspeed"]
        command = ["ip", "netns", "exec", self.near, "tcpreplay", "-q", "-K", "-i", self.aside if aside else self.sender, *pace, capture]
        before = self.received()
        run = subprocess.run(command, capture_output=True, text=True, preexec_fn=lambda: first_in_line(SENDER_CPU))
        rated = re.search(r"([\d.]+) pps", run.stdout)
        if run.returncode != 0 or not rated:
            sys.exit(f"tcpreplay: {run.stdout}{run.stderr}")
        return self.received() - before, float(rated[1])


def ask(socket, path):
    """A JSON answer of weir over its local socket, where root is the administrator."""
    out = subprocess.run(["curl", "-sSf", "--unix-socket", socket, f"http://localhost{path}"], check=True, capture_output=True).stdout
    return json.loads(out)
