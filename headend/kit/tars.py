"""TAR archives as a stream, byte for byte repeatable: members stored as they are, all of one fixed moment.

POSIX ustar, headers by the standard library. A TAR has no directory at its end, so that nothing has to be
remembered however many members there are; and nothing is compressed, since what a compressor gives depends
on its version.
"""

import tarfile
from collections.abc import Iterable, Iterator

_MODE = 0o644
_END = bytes(2 * tarfile.BLOCKSIZE)


def tarred(members: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """The archive of these names and contents, in their order, a piece for each member.

    A name has at most 100 bytes.
    """
    for name, content in members:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = len(content), 0, _MODE
        padding = bytes(-len(content) % tarfile.BLOCKSIZE)
        yield info.tobuf(tarfile.USTAR_FORMAT) + content + padding
    yield _END
