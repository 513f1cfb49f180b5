"""The list of what is inside an image, with licences (SPDX 2.3), and kernels of our own."""
import hashlib
import json
import re
import struct
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from .failure import Failure

TRIPLES = {
    "x86_64": "x86_64-unknown-linux-musl", "aarch64": "aarch64-unknown-linux-musl",
    "armv7": "armv7-unknown-linux-musleabihf", "armv6": "arm-unknown-linux-musleabihf",
}
# What the program is linked from beside crates.
LIBRARIES = {"rust-std": "MIT OR Apache-2.0", "musl": "MIT"}
# C sources that a crate brings, under a licence that it does not name.
BROUGHT = {"zstd-sys": "BSD-3-Clause"}


class Parts:
    """What went into the image."""

    def __init__(self):
        self._packages, self._texts = [], {}

    def add(self, name, version, licence, file, origin="weir"):
        """A file as it is."""
        self._packages.append(package(name, licence, version=version, origin=origin, sha256=sha256(file)))

    def debian(self, unpacked, licence):
        """A package of Debian's. The text of a licence that SPDX does not know comes along."""
        origin = f"Debian package; its source is Debian's source package of version {unpacked.version}"
        self._packages.append(package(unpacked.name, licence, version=unpacked.version, origin=origin, sha256=unpacked.sha256, purl="deb/debian"))
        if licence.startswith("LicenseRef-"):
            self._texts[licence] = unpacked.licence_text()

    def write(self, path, name, version, target, epoch):
        """Writes the list; also what the program was linked from: crates as Cargo.lock names them, and libraries."""
        made = datetime.fromtimestamp(int(epoch), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        linked = [package(library, licence, origin="linked into the program") for library, licence in LIBRARIES.items()]
        linked += [
            package(crate["name"], licence_of(crate), version=crate["version"], origin="linked into the program", purl="cargo")
            for crate in crates(TRIPLES[target])
        ]
        everything = [package(name, "NOASSERTION", version=version, origin="image/build"), *self._packages, *linked]
        for index, one in enumerate(everything):
            one["SPDXID"] = f"SPDXRef-{index}"
        image, *contained = (one["SPDXID"] for one in everything[: len(self._packages) + 1])
        (program,) = (one["SPDXID"] for one in self._packages if one["name"] == "weir")
        related = [("SPDXRef-DOCUMENT", "DESCRIBES", image)]
        related += [(image, "CONTAINS", each) for each in contained]
        related += [(program, "STATIC_LINK", one["SPDXID"]) for one in linked]
        said = {
            "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": name,
            "documentNamespace": f"urn:weir:{name}:{hashlib.sha256(repr(everything).encode()).hexdigest()[:16]}",
            "creationInfo": {"created": made, "creators": ["Tool: weir-image-build"]},
            "packages": everything,
            "relationships": [
                {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other} for one, kind, other in related
            ],
            "hasExtractedLicensingInfos": [
                {"licenseId": licence, "name": licence.removeprefix("LicenseRef-"), "extractedText": text}
                for licence, text in self._texts.items()
            ],
        }
        path.write_text(json.dumps(said, indent=1) + "\n")


def package(name, licence, *, origin, version=None, sha256=None, purl=None):
    """One entry of the list."""
    entry = {
        "name": name, "licenseConcluded": "NOASSERTION", "licenseDeclared": licence, "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False, "copyrightText": "NOASSERTION", "sourceInfo": origin,
    }
    if version:
        entry["versionInfo"] = version
    if sha256:
        entry["checksums"] = [{"algorithm": "SHA256", "checksumValue": sha256}]
    if purl:
        locator = f"pkg:{purl}/{name}@{version}".replace("+", "%2B").replace("~", "%7E")
        entry["externalRefs"] = [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}]
    return entry


def sha256(file):
    """The hash of a file."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def licence_of(crate):
    """What a crate declares, in SPDX's words, and what it brings."""
    declared = (crate.get("license") or "NOASSERTION").replace("/", " OR ")
    brought = BROUGHT.get(crate["name"])
    return f"({declared}) AND {brought}" if brought else declared


def crates(triple):
    """The crates that the program is linked from, sorted."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", triple]
    top = Path(__file__).resolve().parents[2]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, cwd=top).stdout)
    by_id = {package["id"]: package for package in said["packages"]}
    nodes = {node["id"]: node for node in said["resolve"]["nodes"]}
    linked, waiting = set(), [said["resolve"]["root"]]
    while waiting:
        found = waiting.pop()
        if found not in linked:
            linked.add(found)
            waiting += [need["pkg"] for need in nodes[found]["deps"] if any(kind["kind"] is None for kind in need["dep_kinds"])]
    linked.discard(said["resolve"]["root"])
    return sorted((by_id[one] for one in linked), key=lambda crate: (crate["name"], crate["version"]))


class OwnKernel:
    """A kernel that image/kernel/build made: everything in it, no modules."""

    def __init__(self, path, contents):
        self._path = path
        release, source = release_of(self.image()), path.with_name("source")
        if release is None:
            raise Failure(f"{path} is no kernel for PCs nor one for arm64: what image/kernel/build made is wanted")
        self.name = f"{release} (ours)"
        made_of = source.read_text().strip() if source.exists() else "sources that are not known"
        contents.add("linux", release, "GPL-2.0-only", path, f"built by image/kernel/build from {made_of}")

    def image(self):
        """The kernel itself."""
        return self._path.read_bytes()

    def device_trees(self, _names):
        """Descriptions of machines' hardware: all that were made with it."""
        found = sorted(self._path.parent.glob("*.dtb"))
        if not found:
            raise Failure(f"no device trees (*.dtb) beside {self._path}")
        return found

    def modules(self, _wanted):
        """None."""
        return []


def release_of(image):
    """The version that a kernel says it has: a bzImage in its header, the others in plain text."""
    if image[0x202:0x206] == b"HdrS":
        (at,) = struct.unpack_from("<H", image, 0x20E)
        return image[at + 0x200 : at + 0x280].split(b" ")[0].decode()
    found = re.search(rb"Linux version (\d\S*)", image)
    return found and found[1].decode()
