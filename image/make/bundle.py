"""Update bundles: `WEIRUP1\\n`, length of the manifest (u32, little endian), manifest (JSON), Ed25519 signature of the manifest
(64 octets), payload packed with zstd. The manifest has board, version, and size and sha256 of the payload as it is packed
(`packed`, so that nothing unsigned is unpacked) and as it is written (`size`, `sha256`): one signature vouches for all."""
import hashlib
import json
import struct
import subprocess
import tempfile

MAGIC = b"WEIRUP1\n"


def public_key(key):
    """The public half, in hex."""
    der = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    return der[-32:].hex()


def make(key, board, version, payload, level=19):
    """The bundle's bytes."""
    packed = subprocess.run(["zstd", f"-{level}", "-T1", "-q", "-c"], input=payload, check=True, capture_output=True).stdout
    said = {"board": board, "version": version, **digest(payload), "packed": digest(packed)}
    manifest = json.dumps(said, sort_keys=True).encode()
    with tempfile.NamedTemporaryFile() as file:
        file.write(manifest)
        file.flush()
        command = ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", file.name]
        signature = subprocess.run(command, check=True, capture_output=True).stdout
    return MAGIC + struct.pack("<I", len(manifest)) + manifest + signature + packed


def digest(content):
    """Size and hash."""
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
