"""Whole disks: partition table, boot partitions, data; by tools that work on plain files.

Two ways to boot, each with two slots for systems:

- `uefi`: GPT with an EFI system partition and data. systemd-boot starts the newest version in EFI/Linux that has tries left.
- `raspberry-pi`: MBR with a FAT that says which slot to boot (autoboot.txt), two FAT slots with a whole system each, and data.
"""
import gzip
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import uki

MIB = 1 << 20
# Fixed names of partitions and file systems: the same bytes each time. The box tells its own id from its key, not from these.
DISK_ID = "77656972-0000-4000-8000-00000000000a"
ESP_ID = "77656972-0000-4000-8000-00000000000b"
DATA_ID = "77656972-0000-4000-8000-00000000000c"
ESP_TYPE, LINUX_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"


@dataclass(frozen=True)
class System:
    """What both ways to boot are made of."""

    board: object
    version: str
    kernel: object
    initramfs: bytes
    command_line: str
    cache: object
    contents: object


def uefi(system, work):
    """The disk's path, and the payload of an update: the system as one EFI program."""
    loader, esp_mib = system.board.loader, system.board.loader["esp_mib"]
    package = system.cache.unpacked(loader["suite"], loader["package"])
    system.contents.debian(package, "LGPL-2.1-or-later")
    efi = package.folder / "usr/lib/systemd/boot/efi"
    program = uki.make((efi / f"linux{loader['efi']}.efi.stub").read_bytes(), system.kernel.image(), system.initramfs, system.command_line, system.version)
    esp = Fat(work / "esp", esp_mib, "WEIRESP", 0x77656972, bits=32)
    esp.put(f"EFI/BOOT/BOOT{loader['efi'].upper()}.EFI", (efi / f"systemd-boot{loader['efi']}.efi").read_bytes())
    esp.put("loader/loader.conf", b"timeout 0\nconsole-mode keep\neditor no\n")
    esp.put(f"EFI/Linux/weir_{system.version}.efi", program)
    table = f"label: gpt\nlabel-id: {DISK_ID}\nfirst-lba: 2048\n"
    table += f'start=2048, size={esp_mib * 2048}, type={ESP_TYPE}, uuid={ESP_ID}, name="esp"\n'
    data_mib = system.board.data_mib
    table += f'start={(1 + esp_mib) * 2048}, size={data_mib * 2048}, type={LINUX_TYPE}, uuid={DATA_ID}, name="data"\n'
    return disk(work / "disk", table, [esp.path, data(work / "data", data_mib)], tail=1), program


def raspberry_pi(system, work):
    """The disk's path, and the payload of an update: the FAT of a slot."""
    loader, slot_mib = system.board.loader, system.board.loader["slot_mib"]
    package = system.cache.for_all(loader["suite"], loader["package"])
    system.contents.debian(package, "LicenseRef-Broadcom-boot-firmware")
    firmware = package.folder / "usr/lib/raspi-firmware"
    choose = Fat(work / "choose", 1, "WEIRBOOT", 0x77650001, bits=12)
    choose.put("autoboot.txt", b"[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n")
    choose.put("bootcode.bin", (firmware / "bootcode.bin").read_bytes())
    slot = Fat(work / "slot", slot_mib, "WEIRSYS", 0x77650002, bits=16)
    for name in loader["firmware"]:
        slot.put(name, (firmware / name).read_bytes())
    # Its licence wants to be where the firmware is.
    slot.put("firmware-licence.txt", package.licence_text().encode())
    for tree in system.kernel.device_trees(loader["device_trees"]):
        slot.put(tree.name, with_last_words(tree, loader["last_words"], work / "tree") if "last_words" in loader else tree.read_bytes())
    slot.put("config.txt", "".join(f"{line}\n" for line in loader["config"]).encode())
    slot.put("cmdline.txt", system.command_line.encode() + b"\n")
    kernel = system.kernel.image()
    # Gzip is what the firmware unpacks; a kernel of 32 bits unpacks itself.
    slot.put("vmlinuz", gzip.compress(kernel, 9, mtime=0) if kernel[56:60] == b"ARM\x64" else kernel)
    slot.put("initrd", system.initramfs)
    empty = work / "empty"
    empty.touch()
    os.truncate(empty, slot_mib * MIB)
    data_mib = system.board.data_mib
    starts = [1, 2, 2 + slot_mib, 2 + 2 * slot_mib]
    sizes = [1, slot_mib, slot_mib, data_mib]
    table = "label: dos\nlabel-id: 0x77656972\n" + "".join(
        f"start={start * 2048}, size={size * 2048}, type={kind}\n" for start, size, kind in zip(starts, sizes, ("c", "c", "c", "83"))
    )
    parts = [choose.path, slot.path, empty, data(work / "data", data_mib)]
    payload = slot.path.read_bytes().rstrip(b"\0")
    return disk(work / "disk", table, parts, tail=0), payload + bytes(-len(payload) % 4096)


def with_last_words(tree, at, work):
    """The device tree with memory set aside, at this address (in hex), where the kernel keeps its last words over a restart (ramoops):
    64 KiB for four deaths, with what mends bits that were lost."""
    shutil.copyfile(tree, work)
    parent = "/reserved-memory"
    cells = [subprocess.run(["fdtget", work, parent, f"#{what}-cells"], check=True, capture_output=True) for what in ("address", "size")]
    addresses, sizes = (int(said.stdout) for said in cells)
    node = f"{parent}/ramoops@{at}"
    subprocess.run(["fdtput", "-c", work, node], check=True)
    subprocess.run(["fdtput", "-t", "s", work, node, "compatible", "ramoops"], check=True)
    region = [*["0"] * (addresses - 1), at, *["0"] * (sizes - 1), "10000"]
    for name, value in (("reg", region), ("record-size", ["4000"]), ("ecc-size", ["10"])):
        subprocess.run(["fdtput", "-t", "x", work, node, name, *value], check=True)
    return work.read_bytes()


BOOTS = {"uefi": uefi, "raspberry-pi": raspberry_pi}


class Fat:
    """A FAT file system in a file."""

    def __init__(self, path, mib, label, serial, bits):
        self.path, self._folders = path, set()
        path.touch()
        os.truncate(path, mib * MIB)
        cluster = ["-s", "1"] if bits == 32 else []
        command = ["mkfs.vfat", "--invariant", "-F", str(bits), *cluster, "-n", label, "-i", f"{serial:08x}", path]
        subprocess.run(command, check=True, capture_output=True)

    def put(self, name, content):
        """Writes a file, and the folders it needs."""
        environment = dict(os.environ, MTOOLS_SKIP_CHECK="1")
        for depth in range(1, name.count("/") + 1):
            folder = "/".join(name.split("/")[:depth])
            if folder not in self._folders:
                subprocess.run(["mmd", "-i", self.path, f"::/{folder}"], check=True, env=environment)
                self._folders.add(folder)
        source = self.path.with_name("put")
        source.write_bytes(content)
        epoch = int(os.environ["SOURCE_DATE_EPOCH"])
        os.utime(source, (epoch, epoch))
        subprocess.run(["mcopy", "-m", "-i", self.path, source, f"::/{name}"], check=True, env=environment)


def data(path, mib):
    """An empty ext4, which grows to what the disk has at the first boot."""
    path.touch()
    os.truncate(path, mib * MIB)
    extended = f"hash_seed={DATA_ID},lazy_itable_init=0,lazy_journal_init=0,resize=4194304,root_owner=0:0"
    command = ["mke2fs", "-q", "-t", "ext4", "-b", "4096", "-m", "0", "-L", "weirdata", "-U", DATA_ID, "-J", "size=4", "-E", extended, path]
    subprocess.run(command, check=True, capture_output=True)
    return path


def disk(path, table, parts, tail):
    """The parts behind one another, from 1 MiB on, with a partition table; `tail` MiB are left for the copy of a GPT."""
    at = [1]
    for part in parts:
        at.append(at[-1] + part.stat().st_size // MIB)
    path.touch()
    os.truncate(path, (at[-1] + tail) * MIB)
    subprocess.run(["sfdisk", "-q", path], input=table.encode(), check=True, capture_output=True)
    for part, start in zip(parts, at):
        command = ["dd", f"if={part}", f"of={path}", "bs=1M", f"seek={start}", "conv=notrunc,sparse", "status=none"]
        subprocess.run(command, check=True)
    return path
