"""A guide file as bytes in chunks, plain or gzip, never more of it in memory than a few chunks."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from shared.errors import StbError

CHUNK = 65_536
MAX_BYTES = 4 * 1024**3
MAX_RATIO = 250
"""Real guides shrink ten to thirty times; nothing that is text shrinks more than this."""
_RATIO_FROM = 64 * 1024**2
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31


class BadGuideError(StbError):
    """The guide's file cannot be read, is too large, or holds what a guide may not."""


def unpacked(file: BinaryIO) -> Iterator[bytes]:
    """The file's content from where it stands, unpacked if it is gzip.

    Raises:
        BadGuideError: cut off, damaged, or larger than any guide.
    """
    first = file.read(CHUNK)
    chunks = _plain(file, first)
    total = 0
    for chunk in _gunzipped(chunks) if first.startswith(_GZIP) else chunks:
        total += len(chunk)
        if total > MAX_BYTES:
            raise BadGuideError(f"more than {MAX_BYTES} bytes")
        yield chunk


def _plain(file: BinaryIO, chunk: bytes) -> Iterator[bytes]:
    while chunk:
        yield chunk
        chunk = file.read(CHUNK)


def _gunzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    packed = unpacked_size = 0
    stream = zlib.decompressobj(_GZIP_WINDOW)
    for chunk in chunks:
        packed += len(chunk)
        rest = chunk
        while rest:
            if stream.eof:  # a file may be several gzip members, one after the other
                stream = zlib.decompressobj(_GZIP_WINDOW)
            try:
                found = stream.decompress(rest, CHUNK)
            except zlib.error as error:
                raise BadGuideError(f"damaged gzip: {error}") from error
            unpacked_size += len(found)
            if unpacked_size > max(_RATIO_FROM, packed * MAX_RATIO):
                raise BadGuideError(f"unpacks to more than {MAX_RATIO} times its size")
            if found:
                yield found
            rest = stream.unused_data if stream.eof else stream.unconsumed_tail
    if not stream.eof:
        raise BadGuideError("gzip that is cut off")
