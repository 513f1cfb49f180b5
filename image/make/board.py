"""Boards: board/NAME/image.json, each inheriting from another. See board/README.md for what the fields mean."""
import json
import re
from dataclasses import dataclass, replace

from . import bundle
from .failure import Failure

DEEPEST = 4


@dataclass(frozen=True)
class Board:
    """What an image of this board is made of."""

    name: str
    target: str  # of cross/build: x86_64, aarch64, armv7, armv6
    debian: str  # Debian's word for the architecture
    boot: str  # a key of disk.BOOTS
    kernel: dict  # {"package": .., "suite": ..}
    modules: list  # by name, without what they need
    command_line: str  # the kernel's
    loader: dict  # what the boot loader needs, see disk
    data_mib: int  # size of the data partition before it grows
    vendor: dict  # board/NAME/vendor.json, else base's

    def with_vendor(self, path):
        """The same by another vendor."""
        return replace(self, vendor=vendor_of(path))


def vendor_of(path):
    """What a vendor.json says; a mistake in it is found here and not on the boxes."""
    said = json.loads(path.read_text())
    is_key = lambda key: bool(re.fullmatch("[0-9a-f]{64}", str(key)))  # noqa: E731
    unknown = set(said) - {"name", "keys", "licence", "defaults"}
    wrong = [key for key in said.get("keys", []) if not is_key(key)]
    if unknown or wrong or not isinstance(said.get("name", ""), str) or not isinstance(said.get("defaults", {}), dict):
        raise Failure(f"{path}: name is a text, keys are 64 digits in hex each, defaults is a part of the config; not so: {[*unknown, *wrong] or said}")
    if "licence" in said:
        said["licence"] = licence_of(said["licence"], path, is_key)
    return said


def licence_of(pair, path, is_key):
    """What of a licence key pair goes into the image: the public half alone, once the private one was seen to belong to it."""
    if not isinstance(pair, dict) or set(pair) - {"public", "private"} or not is_key(pair.get("public")):
        raise Failure(f"{path}: licence has public, 64 digits in hex, and maybe private, the name of a file in PEM")
    if private := pair.get("private"):
        file = path.parent / str(private)
        if not file.exists():
            raise Failure(f"{path}: there is no {file}: where the private half is kept elsewhere, the vendor file does not name it")
        if (belongs := bundle.public_key(file)) != pair["public"]:
            raise Failure(f"{path}: the public half of {file} is {belongs}, and not {pair['public']}")
    return {"public": pair["public"]}


def names(folder):
    """Boards that an image can be made for."""
    return sorted(path.parent.name for path in folder.glob("*/image.json") if not json.loads(path.read_text()).get("abstract"))


def read(folder, name):
    """The board with what it inherits: nearer values replace, lists that begin with "+" are added to."""
    if name not in names(folder):
        raise Failure(f"there is no board '{name}'; there are: {', '.join(names(folder))}")
    if f'("{name}", ' not in (folder.parent / "src/config/board.rs").read_text():
        raise Failure(f"the program does not know the board '{name}': src/config/board.rs lacks a line for its profile.json")
    merged, vendor, next_name, depth = {}, None, name, 0
    while next_name and depth < DEEPEST:
        path = folder / next_name / "image.json"
        said = json.loads(path.read_text())
        for key, value in said.items():
            if key == "modules" and key in merged and merged[key][:1] == ["+"]:
                merged[key] = [*value, *merged[key][1:]]
            else:
                merged.setdefault(key, value)
        own = path.with_name("vendor.json")
        if vendor is None and own.exists():
            vendor = vendor_of(own)
        next_name, depth = said.get("inherits"), depth + 1
    wanted = ["target", "debian", "boot", "kernel", "modules", "command_line", "loader", "data_mib"]
    absent = [key for key in wanted if key not in merged]
    if absent:
        raise Failure(f"board {name}: image.json and what it inherits lack: {', '.join(absent)}")
    return Board(name=name, vendor=vendor or {}, **{key: merged[key] for key in wanted})
