"""Parts that come from Debian: fetched by apt into a folder of our own, unpacked, never installed.

apt checks signatures and hashes as always; it works on its own lists, so that foreign architectures and other suites need
no change of the system and no privileges.
"""
import glob
import lzma
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .failure import Failure

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def mirrors():
    """Where this machine gets Debian and its security updates from, or WEIR_DEBIAN_MIRROR (one or two, a space between)."""
    if given := os.environ.get("WEIR_DEBIAN_MIRROR"):
        return given.split()
    plain, security = [], []
    for path in ["/etc/apt/sources.list", *sorted(glob.glob("/etc/apt/sources.list.d/*"))]:
        text = Path(path).read_text() if os.path.exists(path) else ""
        for pattern in (r"^URIs:\s*(\S+)", r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+\S+\s+main"):
            for found in re.findall(pattern, text, re.M):
                if "/debian" in found:
                    (security if "security" in found else plain).append(found)
    if not plain:
        raise Failure("no Debian mirror in /etc/apt: name one in WEIR_DEBIAN_MIRROR")
    return plain[:1] + security[:1]


@dataclass(frozen=True)
class Package:
    """A package of Debian's, unpacked."""

    name: str
    version: str
    sha256: str  # of the package file
    folder: Path  # what is in it

    def licence_text(self):
        """What Debian says about copyright and licences."""
        return (self.folder / "usr/share/doc" / self.name / "copyright").read_text()


class Cache:
    """Packages of one architecture."""

    def __init__(self, folder, arch):
        self.folder, self.arch, self.updated = folder.resolve(), arch, set()

    def _apt(self, suite, tool, *arguments):
        root = self.folder / f"{suite}-{self.arch}"
        for part in ("state/lists/partial", "cache/archives/partial", "etc/sources.list.d", "etc/preferences.d", "etc/trusted.gpg.d"):
            (root / part).mkdir(parents=True, exist_ok=True)
        (root / "state/status").touch()
        plain, *security = mirrors()
        places = [(plain, suite), *((place, f"{suite}-security") for place in security if not suite.endswith("-backports"))]
        source = "".join(f"deb [signed-by={KEYRING}] {place} {name} main non-free-firmware\n" for place, name in places)
        (root / "etc/sources.list").write_text(source)
        settings = {
            "Dir::State": root / "state", "Dir::State::status": root / "state/status", "Dir::Cache": root / "cache",
            "Dir::Etc": root / "etc", "APT::Architecture": self.arch, "APT::Architectures": self.arch, "Acquire::Languages": "none",
            "Acquire::Retries": "3", "APT::Sandbox::User": "", "APT::Get::List-Cleanup": "false",
        }
        words = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        run = lambda *command: subprocess.run([*command], capture_output=True, text=True, cwd=root)  # noqa: E731
        if (suite, self.arch) not in self.updated:
            fresh = run("apt-get", "-q", *words, "update")
            if fresh.returncode != 0 and not list((root / "state/lists").glob("*Packages*")):
                raise Failure(f"no package lists of {suite} for {self.arch}:\n{fresh.stderr.strip()[-400:]}")
            self.updated.add((suite, self.arch))
        said = run(tool, *words, *arguments)
        if said.returncode != 0:
            raise Failure(f"{tool} {' '.join(arguments)} ({suite}, {self.arch}): {said.stderr.strip()[-400:]}")
        return said.stdout, root

    def depends(self, suite, package, pattern):
        """The package that this one needs and whose name has the pattern."""
        text, _ = self._apt(suite, "apt-cache", "depends", package)
        found = re.findall(rf"Depends: ({pattern})\s", text)
        if not found:
            raise Failure(f"{package} ({suite}, {self.arch}) needs nothing like {pattern}")
        return found[0]

    def unpacked(self, suite, package):
        """The package, fetched and unpacked where it was not."""
        text, root = self._apt(suite, "apt-cache", "show", "--no-all-versions", package)
        fields = dict(line.split(": ", 1) for line in text.split("\n\n")[0].splitlines() if ": " in line and line[0] != " ")
        version, hashed = fields["Version"], fields["SHA256"]
        folder = self.folder / "unpacked" / f"{package}-{hashed[:16]}"
        if not folder.exists():
            self._apt(suite, "apt-get", "-q", "download", f"{package}={version}")
            (archive,) = root.glob(f"{package}_*.deb")
            folder.parent.mkdir(exist_ok=True)
            part = folder.with_suffix(".part")
            subprocess.run(["rm", "-rf", part], check=True)
            subprocess.run(["dpkg-deb", "-x", archive, part], check=True)
            archive.unlink()
            part.rename(folder)
        return Package(package, version, hashed, folder)

    def for_all(self, suite, package):
        """The same of a package for all architectures: by the lists of one of them, whichever board it is for."""
        return Cache(self.folder, "arm64").unpacked(suite, package)


class Kernel:
    """A kernel of Debian's with its modules."""

    def __init__(self, cache, wanted, contents):
        suite, package = wanted["suite"], wanted["package"]
        real = cache.depends(suite, package, r"linux-image-\d[^\s]*")
        unpacked = cache.unpacked(suite, real)
        self.folder, self.name = unpacked.folder, f"{real} {unpacked.version}"
        self.release = real.removeprefix("linux-image-")
        contents.debian(unpacked, "GPL-2.0-only")
        if not (self._modules / "modules.dep").exists():
            subprocess.run(["depmod", "-b", self._base, self.release], check=True)

    @property
    def _base(self):
        # Since trixie modules lie under usr/lib.
        return self.folder if (self.folder / "lib/modules").exists() else self.folder / "usr"

    @property
    def _modules(self):
        return self._base / "lib/modules" / self.release

    def image(self):
        """The kernel itself."""
        return (self.folder / f"boot/vmlinuz-{self.release}").read_bytes()

    def device_trees(self, names):
        """Descriptions of machines' hardware: the paths of these."""
        for name in names:
            found = sorted(self.folder.glob(f"usr/lib/linux-image-*/**/{name}"))
            if not found:
                raise Failure(f"{self.name} has no device tree {name}")
            yield found[0]

    @cached_property
    def _known(self):
        bare = lambda path: Path(path).name.split(".ko")[0].replace("-", "_")  # noqa: E731
        needs = dict(line.split(":") for line in (self._modules / "modules.dep").read_text().splitlines())
        built_in = {bare(line) for line in (self._modules / "modules.builtin").read_text().splitlines()}
        soft = {}
        for line in (self._modules / "modules.softdep").read_text().splitlines():
            words = line.replace("-", "_").split()
            if words[:1] == ["softdep"] and "pre:" in words:
                before = words[words.index("pre:") + 1:]
                soft[words[1]] = before[: before.index("post:")] if "post:" in before else before
        return {bare(path): path for path in needs}, needs, built_in, soft

    def modules(self, wanted):
        """The modules with all that they need, in the order in which they must be loaded: (file name, bytes)."""
        paths, needs, built_in, soft = self._known
        order = []

        def add(path):
            for needed in reversed(needs[path].split()):
                add(needed)
            if path not in order:
                order.append(path)

        for name in (name.replace("-", "_") for name in wanted):
            if name in built_in:
                continue
            if name not in paths:
                raise Failure(f"{self.name} has no module {name}")
            for before in soft.get(name, []):
                if before in paths:
                    add(paths[before])
            add(paths[name])
        for path in order:
            content = (self._modules / path).read_bytes()
            if path.endswith(".xz"):
                content = lzma.decompress(content)
            yield Path(path).name.removesuffix(".xz"), content


if __name__ == "__main__":
    # CACHE ARCH SUITE PACKAGE: prints the package's version and the folder with its files, for scripts.
    cache, arch, suite, package = sys.argv[1:]
    unpacked = Cache(Path(cache), arch).unpacked(suite, package)
    print(unpacked.version, unpacked.folder)
