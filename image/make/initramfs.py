"""The whole system in one archive (cpio "newc"), which the kernel unpacks into memory: the program as /init, modules, a few texts."""
import json
import subprocess

FOLDERS = ("boot", "data", "dev", "etc", "proc", "run", "sys", "tmp")
FOLDER, FILE, PROGRAM, CONSOLE = 0o40755, 0o100644, 0o100755, 0o20600


class Files:
    """What is in the archive, by path."""

    def __init__(self):
        self._entries, self.module_bytes = {}, 0
        for folder in FOLDERS:
            self._folder(folder)
        self._entries["dev/console"] = (CONSOLE, b"", (5, 1))

    def __len__(self):
        return sum(mode in (FILE, PROGRAM) for mode, _, _ in self._entries.values())

    def _folder(self, path):
        if path and path not in self._entries:
            self._folder(path.rpartition("/")[0])
            self._entries[path] = (FOLDER, b"", (0, 0))

    def _file(self, path, content, mode=FILE):
        self._folder(path.rpartition("/")[0])
        self._entries[path] = (mode, content, (0, 0))

    def program(self, path):
        """The program, which is all there is."""
        self._file("init", path.read_bytes(), PROGRAM)

    def text(self, path, text):
        """A file with this text."""
        self._file(path, f"{text}\n".encode())

    def packed_file(self, path, content):
        """A file with this content, packed with zstd."""
        self._file(path, subprocess.run(["zstd", "-19", "-T1", "-q", "-c"], input=content, stdout=subprocess.PIPE, check=True).stdout)

    def json(self, path, value):
        """A file with this value."""
        self.text(path, json.dumps(value, sort_keys=True))

    def modules(self, kernel, wanted):
        """Kernel modules, and in /lib/modules.load the order in which /init loads them."""
        names = []
        for name, content in kernel.modules(wanted):
            self._file(f"lib/modules/{name}", content)
            self.module_bytes += len(content)
            names.append(name)
        self.text("lib/modules.load", "\n".join(names))

    def packed(self, epoch, level=19):
        """The archive, packed with zstd."""
        archive = bytearray()

        def pad():
            archive.extend(bytes(-len(archive) % 4))

        def entry(number, path, mode, content, device):
            name = path.encode() + b"\0"
            links = 2 if mode == FOLDER else 1
            fields = (number, mode, 0, 0, links, epoch, len(content), 0, 0, *device, len(name), 0)
            archive.extend(b"070701" + b"".join(b"%08X" % field for field in fields) + name)
            pad()
            archive.extend(content)
            pad()

        for number, path in enumerate(sorted(self._entries), 1):
            entry(number, path, *self._entries[path])
        entry(0, "TRAILER!!!", 0, b"", (0, 0))
        return subprocess.run(["zstd", f"-{level}", "-T1", "-q", "-c"], input=archive, stdout=subprocess.PIPE, check=True).stdout
