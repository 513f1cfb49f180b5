"""A unified kernel image: kernel, initramfs and command line as sections of one EFI program (systemd's stub finds them by name)."""
import struct

from .failure import Failure

SECTION = struct.Struct("<8sIIIIIIHHI")
READ_ONLY_DATA = 0x4000_0040


def make(stub, kernel, initramfs, command_line, version):
    """The EFI program's bytes. `stub` is systemd's; sections are added behind its own."""
    image = bytearray(stub)
    (pe,) = struct.unpack_from("<I", image, 0x3C)
    if image[pe : pe + 4] != b"PE\0\0":
        raise Failure("the EFI stub is no PE program")
    (count,) = struct.unpack_from("<H", image, pe + 6)
    (optional_size,) = struct.unpack_from("<H", image, pe + 20)
    optional = pe + 24
    section_align, file_align = struct.unpack_from("<II", image, optional + 32)
    table = optional + optional_size
    sections = [SECTION.unpack_from(image, table + SECTION.size * index) for index in range(count)]
    first_content = min(section[4] for section in sections if section[4])
    added = [
        (b".osrel", f'ID=weir\nNAME="weir"\nPRETTY_NAME="weir {version}"\nVERSION_ID={version}\nIMAGE_ID=weir\nIMAGE_VERSION={version}\n'.encode()),
        (b".cmdline", command_line.encode() + b"\0"),
        (b".initrd", initramfs),
        (b".linux", kernel),
    ]
    if table + SECTION.size * (count + len(added)) > first_content:
        raise Failure("the EFI stub has no room for four more section headers")
    # No symbol table, nothing behind the last section: neither is read.
    struct.pack_into("<II", image, pe + 12, 0, 0)
    del image[max(section[3] + section[4] for section in sections) :]
    address = max(section[2] + section[1] for section in sections)
    grown = 0
    for index, (name, content) in enumerate(added, count):
        address = aligned(address, section_align)
        image.extend(bytes(-len(image) % file_align))
        size = aligned(len(content), file_align)
        header = SECTION.pack(name, len(content), address, size, len(image), 0, 0, 0, 0, READ_ONLY_DATA)
        image[table + SECTION.size * index : table + SECTION.size * (index + 1)] = header
        image.extend(content)
        image.extend(bytes(size - len(content)))
        address += len(content)
        grown += size
    struct.pack_into("<H", image, pe + 6, count + len(added))
    (initialised,) = struct.unpack_from("<I", image, optional + 8)
    struct.pack_into("<I", image, optional + 8, initialised + grown)
    struct.pack_into("<I", image, optional + 56, aligned(address, section_align))
    struct.pack_into("<I", image, optional + 64, 0)  # checksum: only drivers need one
    return bytes(image)


def aligned(number, to):
    """The next multiple."""
    return -(-number // to) * to
