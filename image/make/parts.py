"""The list of what is inside an image, with licences (SPDX 2.3), and kernels of our own."""
import hashlib
import json
import subprocess
from datetime import datetime, timezone
from pathlib import Path


class Parts:
    """What went into the image."""

    def __init__(self):
        self.packages = []

    def add(self, name, version, licence, file, origin="NOASSERTION"):
        """A file as it is."""
        digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()
        self.packages.append((name, version, licence, origin, digest))

    def debian(self, name, version, licence, folder):
        """A package of Debian's; its copyright file has the whole story, its source package the source."""
        digest = hashlib.sha256(str(folder.name).encode()).hexdigest()
        self.packages.append((name, version, licence, "Debian source package of this version", digest))

    def write(self, path, name, epoch):
        """Writes the list; also the crates of the program, as Cargo.lock names them."""
        made = datetime.fromtimestamp(int(epoch), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        packages = [
            {
                "SPDXID": f"SPDXRef-{index}", "name": name, "versionInfo": version, "licenseConcluded": "NOASSERTION",
                "licenseDeclared": licence, "downloadLocation": "NOASSERTION", "sourceInfo": origin, "filesAnalyzed": False,
                "copyrightText": "NOASSERTION", "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
            }
            for index, (name, version, licence, origin, digest) in enumerate(self.packages)
        ]
        for index, crate in enumerate(crates(), len(packages)):
            packages.append({
                "SPDXID": f"SPDXRef-{index}", "name": crate["name"], "versionInfo": crate["version"], "filesAnalyzed": False,
                "licenseConcluded": "NOASSERTION", "licenseDeclared": (crate.get("license") or "NOASSERTION").replace("/", " OR "),
                "downloadLocation": "NOASSERTION", "sourceInfo": "part of the program weir", "copyrightText": "NOASSERTION",
            })
        said = {
            "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": name,
            "documentNamespace": f"urn:weir:{name}",
            "creationInfo": {"created": made, "creators": ["Tool: weir image/build"]}, "packages": packages,
        }
        path.write_text(json.dumps(said, indent=1) + "\n")


def crates():
    """The crates that the program is linked from, sorted."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"]
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
        self.path, self.name = path, f"{path.name} (ours)"
        contents.add("linux", "ours", "GPL-2.0-only", path, "image/kernel: configuration, patch and source version")

    def image(self):
        """The kernel itself."""
        return self.path.read_bytes()

    def device_tree(self, name):
        """The description of a machine's hardware: beside the kernel."""
        return self.path.with_name(name).read_bytes()

    def modules(self, _wanted):
        """None."""
        return []
