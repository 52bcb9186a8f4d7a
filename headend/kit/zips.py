"""ZIP archives as a stream, byte for byte repeatable: members stored as they are, all of one fixed moment.

Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 to 4.5. Nothing is compressed, since what a compressor gives
depends on its version. Sizes may pass 4 GiB and members 65,535 (ZIP64). What has to be remembered until the
end, 46 bytes and a name for each member, goes to a temporary file beyond one megabyte.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from tempfile import SpooledTemporaryFile

PIECE = 65_536
_IN_MEMORY = 1024 * 1024
_32 = 0xFFFFFFFF
_16 = 0xFFFF
_UTF8 = 1 << 11
_MOMENT = (0, 0x21)
"""MS-DOS time and date: midnight, 1 January 1980, the first that there is."""
_MEMBER, _DIRECTORY, _END = 0x04034B50, 0x02014B50, 0x06054B50
_END64, _LOCATOR64 = 0x06064B50, 0x07064B50
_UNIX = 3 << 8
_MODE = 0o100644 << 16
_PLAIN, _ZIP64 = 20, 45


def zipped(members: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """The archive of these names and contents, in their order, in pieces of some 64 KiB.

    A member is held in memory while it is written, and has to be smaller than 4 GiB.
    """
    at, count, buffer = 0, 0, bytearray()
    with SpooledTemporaryFile(_IN_MEMORY) as directory:
        for name, content in members:
            directory.write(_entry(name, content, at))
            member = _local(name, content) + content
            at, count = at + len(member), count + 1
            buffer += member
            if len(buffer) >= PIECE:
                yield bytes(buffer)
                buffer.clear()
        size = directory.tell()
        directory.seek(0)
        yield bytes(buffer)
        while piece := directory.read(PIECE):
            yield piece
    yield _end(count, size, at)


def _local(name: str, content: bytes) -> bytes:
    path, size = name.encode(), len(content)
    head = struct.pack(
        "<IHHHHHIIIHH", _MEMBER, _PLAIN, _UTF8, 0, *_MOMENT, zlib.crc32(content), size, size, len(path), 0
    )
    return head + path


def _entry(name: str, content: bytes, at: int) -> bytes:
    """A member's line in the directory; where it begins needs ZIP64 beyond 4 GiB (4.5.3)."""
    path, size = name.encode(), len(content)
    extra = struct.pack("<HHQ", 1, 8, at) if at >= _32 else b""
    needed = _ZIP64 if extra else _PLAIN
    head = struct.pack(
        "<IHHHHHHIIIHHHHHII",
        *(_DIRECTORY, _UNIX | needed, needed, _UTF8, 0, *_MOMENT, zlib.crc32(content), size, size),
        *(len(path), len(extra), 0, 0, 0, _MODE, min(at, _32)),
    )
    return head + path + extra


def _end(count: int, size: int, at: int) -> bytes:
    """The end of the directory (4.3.16), after ZIP64's where numbers are too large (4.3.14, 4.3.15)."""
    large = b""
    if count >= _16 or size >= _32 or at >= _32:
        large = struct.pack(
            "<IQHHIIQQQQ", _END64, 44, _UNIX | _ZIP64, _ZIP64, 0, 0, count, count, size, at
        ) + struct.pack("<IIQI", _LOCATOR64, 0, at + size, 1)
    few = min(count, _16)
    return large + struct.pack("<IHHHHIIH", _END, 0, 0, few, few, min(size, _32), min(at, _32), 0)
