#!/usr/bin/env python3
"""Makes export datagrams of a made-up office: NetFlow v5, v9 and sFlow v5.

    make_exports.py OUT --kind nf5|nf9|sflow [--records 1000000] [--exporters 1] [--templates 1] [--now SECONDS]

The file holds, for each datagram, the exporter's number and the length (two octets each, little endian) and its bytes. Conversations are both ways, one record
each; every one has ports of its own, so that nothing merges but the two ways. NetFlow's flows ended within the last half minute; one in eight sFlow samples is
of a conversation sampled before. With several templates, each has another number of fields, and datagrams take turns.
"""

import argparse
import itertools
import random
import struct
import time

CLIENTS, SERVERS = 4_000, 600
SERVICES = [(6, 443)] * 8 + [(17, 53)] * 4 + [(17, 443)] * 3 + [(6, 80), (6, 22), (17, 123), (6, 993)]


def conversations(count, rng):
    """Client, server, client's port, server's port, protocol."""
    for _ in range(count):
        protocol, port = rng.choice(SERVICES)
        client, server = 0x0A000000 | rng.randrange(CLIENTS), 0xC6120000 | rng.randrange(SERVERS)
        yield client, server, rng.randrange(32_768, 61_000), port, protocol


def flows(count, rng):
    """Source, destination, ports, protocol, packets, octets, milliseconds ago of begin and end, interfaces: both ways of each conversation, apart a little."""
    waiting = []
    for client, server, client_port, server_port, protocol in conversations((count + 1) // 2, rng):
        packets, length, ago = rng.randrange(1, 60), rng.randrange(0, 9_000), rng.randrange(1_000, 20_000)
        there = (client, server, client_port, server_port, protocol, packets, packets * 90, ago + length, ago, 1, 2)
        back = (server, client, server_port, client_port, protocol, packets + 2, packets * 900, ago + length, ago, 2, 1)
        waiting.append(back)
        yield there
        if len(waiting) > 40:
            yield waiting.pop(rng.randrange(len(waiting)))
    yield from waiting


UPTIME = 900_000_000


def nf5(chosen, number, now, sequence):
    head = struct.pack(">HHIIIIBBH", 5, len(chosen), UPTIME, now, 0, sequence, 0, 0, 0)
    body = (struct.pack(">IIIHHIIIIHHBBBBHHBBH", s, d, 0, i, o, p, b, UPTIME - f, UPTIME - l, sp, dp, 0, 0x1B if pr == 6 else 0, pr, 0, 0, 0, 0, 0, 0)
            for s, d, sp, dp, pr, p, b, f, l, i, o in chosen)
    return head + b"".join(body)


FIELDS = [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (5, 1), (2, 4), (1, 4), (22, 4), (21, 4), (10, 2), (14, 2)]
# What templates add to it: masks, AS, next hop, VLAN, direction.
MORE = [(9, 1), (13, 1), (16, 4), (17, 4), (15, 4), (58, 2), (61, 1)]


def nf9_template(number, templates):
    number %= templates
    more = MORE[: number % (len(MORE) + 1)]
    return 256 + number, FIELDS + more, sum(size for _, size in more)


def nf9_announce(now, sequence, source, templates):
    """Datagrams with all templates, ten each."""
    for at in range(0, templates, 10):
        body = b""
        for number in range(at, min(at + 10, templates)):
            ident, fields, _ = nf9_template(number, templates)
            body += struct.pack(">HH", ident, len(fields)) + b"".join(struct.pack(">HH", *field) for field in fields)
        yield struct.pack(">HHIIII", 9, min(10, templates - at), UPTIME, now, sequence + at // 10, source) + struct.pack(">HH", 0, 4 + len(body)) + body


def nf9(chosen, number, now, sequence, source, templates):
    ident, _, extra = nf9_template(number, templates)
    more = b"\0" * extra
    body = b"".join(struct.pack(">IIHHBBBIIIIHH", s, d, sp, dp, pr, 0x1B if pr == 6 else 0, 0, p, b, UPTIME - f, UPTIME - l, i, o) + more
                    for s, d, sp, dp, pr, p, b, f, l, i, o in chosen)
    body += b"\0" * (-len(body) % 4)
    return struct.pack(">HHIIII", 9, len(chosen), UPTIME, now, sequence, source) + struct.pack(">HH", ident, 4 + len(body)) + body


def sflow(chosen, agent, sequence, sampled):
    out = [struct.pack(">IIIIIII", 5, 1, agent, 0, sequence, UPTIME, len(chosen))]
    for s, d, sp, dp, pr, p, b, f, l, i, o in chosen:
        size = 60 + b // p % 1_400
        if pr == 6:
            rest = struct.pack(">HHIIBBHHH", sp, dp, 1, 1, 0x50, 0x10, 1024, 0, 0)
        else:
            rest = struct.pack(">HHHH", sp, dp, size - 20, 0)
        frame = b"\2\0\0\0\0\2\2\0\0\0\0\1\x08\0" + struct.pack(">BBHHHBBHII", 0x45, 0, size, 0, 0, 64, pr, 0, s, d) + rest
        frame += b"\0" * (128 - len(frame))
        record = struct.pack(">IIIIII", 1, 16 + 128, 1, size + 18, 4, 128) + frame
        switch = struct.pack(">IIIIII", 1001, 16, 10, 0, 10, 0)
        body = struct.pack(">IIIIIIII", sampled, i, 256, sampled * 256, 0, i, o, 2) + record + switch
        out.append(struct.pack(">II", 1, len(body)) + body)
        sampled += 1
    return b"".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--kind", choices=["nf5", "nf9", "sflow"], required=True)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--exporters", type=int, default=1)
    parser.add_argument("--templates", type=int, default=1)
    parser.add_argument("--now", type=int, default=int(time.time()))
    options = parser.parse_args()
    rng = random.Random(7)
    size = {"nf5": 30, "nf9": 24, "sflow": 5}[options.kind]
    sequences, datagrams = [0] * options.exporters, 0
    with open(options.out, "wb") as out:

        def put(exporter, datagram):
            out.write(struct.pack("<HH", exporter, len(datagram)) + datagram)

        if options.kind == "nf9":
            for exporter in range(options.exporters):
                for datagram in nf9_announce(options.now, 0, exporter, options.templates):
                    put(exporter, datagram)
                    sequences[exporter] += 1
        # Both ways of a conversation come from one exporter.
        share = options.records // options.exporters
        streams = [itertools.islice(flows(share, rng), share) for _ in range(options.exporters)]
        while streams:
            for exporter, stream in list(enumerate(streams)):
                chosen = [flow for _, flow in zip(range(size), stream)]
                if not chosen:
                    streams = []
                    break
                sequence = sequences[exporter]
                if options.kind == "nf5":
                    put(exporter, nf5(chosen, datagrams, options.now, sequence))
                    sequences[exporter] += len(chosen)
                elif options.kind == "nf9":
                    put(exporter, nf9(chosen, sequence, options.now, sequence, exporter, options.templates))
                    sequences[exporter] += 1
                else:
                    put(exporter, sflow(chosen, 0x7F000101 + exporter, sequence, sequence * size))
                    sequences[exporter] += 1
                datagrams += 1


main()
