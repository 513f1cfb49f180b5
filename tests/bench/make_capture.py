#!/usr/bin/env python3
"""Writes a synthetic Ethernet capture: the same arguments give the same bytes.

usage: make_capture.py OUT.pcap [--packets N] [--hosts N] [--syns] [--seconds S] [--seed N]

Without --syns: interleaved sessions as a small office makes them: TCP with handshake, TLS ClientHello with a server name,
data both ways and FIN; DNS over UDP with answers; QUIC-like UDP; ICMP echo; a tenth of it IPv6, a tenth VLAN tagged.
With --syns: SYNs of 60 bytes, every 5-tuple different, 10 us apart unless --seconds says otherwise.
"""
import argparse
import heapq
import random
import struct

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("out")
arguments.add_argument("--packets", type=int, default=100_000)
arguments.add_argument("--hosts", type=int, default=200)
arguments.add_argument("--syns", action="store_true")
arguments.add_argument("--seconds", type=float)
arguments.add_argument("--seed", type=int, default=1)
arguments = arguments.parse_args()
seconds = arguments.seconds or (arguments.packets * 1e-5 if arguments.syns else 60.0)
rng = random.Random(arguments.seed)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Host:
    def __init__(self, number, outside):
        self.mac = struct.pack(">HI", 0x0200, (1 << 31 if outside else 0) | number)
        self.v4 = struct.pack(">I", (0xC6120000 if outside else 0x0A000000) + number)  # 198.18.0.0/15, RFC 2544
        self.v6 = bytes.fromhex("20010db8" + ("0001" if outside else "0002")) + struct.pack(">QH", number, 1)  # RFC 3849


def ip(a, b, protocol, payload, six):
    if six:
        return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + a.v6 + b.v6 + payload
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), rng.getrandbits(16), 0x4000, 64, protocol, 0, a.v4, b.v4)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def frame(a, b, protocol, payload, six=False, vlan=0):
    kind = struct.pack(">H", 0x86DD if six else 0x0800)
    if vlan:
        kind = struct.pack(">HH", 0x8100, vlan) + kind
    return (b.mac + a.mac + kind + ip(a, b, protocol, payload, six)).ljust(60, b"\0")


def tcp(sport, dport, seq, ack, flags, data=b""):
    return struct.pack(">HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags, 64240, 0, 0) + data


def udp(sport, dport, data):
    return struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data


def client_hello(name):
    name = name.encode()
    sni = struct.pack(">HBH", len(name) + 3, 0, len(name)) + name
    extensions = struct.pack(">HH", 0, len(sni)) + sni
    body = struct.pack(">H", 0x0303) + rng.randbytes(32) + b"\0" + b"\0\2\x13\x01" + b"\1\0" + struct.pack(">H", len(extensions)) + extensions
    handshake = b"\1" + struct.pack(">I", len(body))[1:] + body
    return struct.pack(">BHH", 22, 0x0301, len(handshake)) + handshake


def dns_name(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


inside = [Host(n + 1, False) for n in range(arguments.hosts)]
outside = [Host(n + 1, True) for n in range(arguments.hosts * 4)]


def session(start):
    """The packets of one session: (time, frame)."""
    a, b = rng.choice(inside), rng.choice(outside)
    six, vlan = rng.random() < 0.1, rng.choice([0] * 9 + [10])
    sport, rtt = rng.randint(1024, 65535), rng.uniform(0.002, 0.08)
    name = f"host{rng.randint(1, 400)}.example.net"
    kind, t = rng.random(), start
    if kind < 0.15:
        ask = struct.pack(">HHHHHH", rng.getrandbits(16), 0x0100, 1, 0, 0, 0) + dns_name(name) + b"\0\1\0\1"
        answer = ask[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + ask[12:] + b"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4" + b.v4
        yield t, frame(a, b, 17, udp(sport, 53, ask), six, vlan)
        yield t + rtt, frame(b, a, 17, udp(53, sport, answer), six, vlan)
    elif kind < 0.2:
        for n in range(rng.randint(1, 10)):
            echo = struct.pack(">BBHHH", 8, 0, 0, sport, n) + bytes(48)
            yield t + n, frame(a, b, 1, echo, False, vlan)
            yield t + n + rtt, frame(b, a, 1, b"\0" + echo[1:], False, vlan)
    elif kind < 0.35:
        for _ in range(int(rng.paretovariate(1.1) * 4) % 400 + 2):
            t += rng.expovariate(400)
            down = rng.random() < 0.7
            x, y, p, q = (b, a, 443, sport) if down else (a, b, sport, 443)
            yield t, frame(x, y, 17, udp(p, q, bytes(1200 if down else 60)), six, vlan)
    else:
        s, r = rng.getrandbits(32), rng.getrandbits(32)
        port = rng.choice([443, 443, 443, 80, 22, 25, 993, 8080])
        yield t, frame(a, b, 6, tcp(sport, port, s, 0, 2), six, vlan)
        yield t + rtt, frame(b, a, 6, tcp(port, sport, r, s + 1, 18), six, vlan)
        t += rtt * 1.05
        s, r = s + 1, r + 1
        yield t, frame(a, b, 6, tcp(sport, port, s, r, 16), six, vlan)
        hello = client_hello(name) if port == 443 else f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode()
        yield t, frame(a, b, 6, tcp(sport, port, s, r, 24, hello), six, vlan)
        s += len(hello)
        for _ in range(int(rng.paretovariate(1.05) * 3) % 600 + 1):
            t += rng.expovariate(300)
            size = rng.choice([1428, 1428, 1428, 700, 120])  # fits an MTU of 1500 over IPv6, too
            yield t, frame(b, a, 6, tcp(port, sport, r, s, 16, bytes(size)), six, vlan)
            r += size
            if rng.random() < 0.5:
                yield t + rtt, frame(a, b, 6, tcp(sport, port, s, r, 16), six, vlan)
        t += rtt * 2
        yield t, frame(a, b, 6, tcp(sport, port, s, r, 17), six, vlan)
        yield t + rtt, frame(b, a, 6, tcp(port, sport, r, s + 1, 17), six, vlan)


def office():
    """Sessions started at even intervals, their packets in order of time."""
    waiting, started, step = [], 0.0, seconds / max(1, arguments.packets / 25)
    while True:
        while not waiting or waiting[0][0] >= started:
            for n, (t, data) in enumerate(session(started)):
                heapq.heappush(waiting, (t, n, data))
            started += step
        t, _, data = heapq.heappop(waiting)
        yield t, data


def syns():
    a, b = inside[0], outside[0]
    for n in range(arguments.packets):
        a.v4 = struct.pack(">I", 0x0A000000 + (n >> 8))
        yield n * seconds / arguments.packets, frame(a, b, 6, tcp(1024 + (n & 0xFF), 80, n, 0, 2))


with open(arguments.out, "wb") as out:
    out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
    base = 1_700_000_000
    for _, (t, data) in zip(range(arguments.packets), syns() if arguments.syns else office()):
        micros = int(t * 1e6)
        out.write(struct.pack("<IIII", base + micros // 1_000_000, micros % 1_000_000, len(data), len(data)) + data)
