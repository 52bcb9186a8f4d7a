"""Files that survive a power cut: written beside, synced, then renamed, with the folder synced too.

A file gets the mode that is asked for, whatever the process' umask.
"""

import os
from collections.abc import Iterable
from pathlib import Path

PRIVATE = 0o600


def write_file(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Put `content` at `path`, whole or not at all, durably."""
    write_pieces(path, (content,), mode)


def write_pieces(path: Path, pieces: Iterable[bytes], mode: int = PRIVATE) -> None:
    """Likewise, piece by piece: what is at `path` stays as it is if a piece cannot be had.

    Raises:
        Exception: whatever making the pieces raises; nothing is left behind.
    """
    beside = _beside(path)
    try:
        _write_synced(beside, pieces, mode)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_once(path: Path, content: bytes, mode: int = PRIVATE) -> bool:
    """Likewise, unless `path` stands already: then it stays as it is. Whether it was written."""
    beside = _beside(path)
    _write_synced(beside, (content,), mode)
    try:
        # A hard link fails where the name stands, so the first of two writers wins whole.
        os.link(beside, path)
    except FileExistsError:
        return False
    finally:
        beside.unlink()
    _sync_folder(path.parent)
    return True


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.new")


def _write_synced(path: Path, pieces: Iterable[bytes], mode: int) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # open(2) takes the umask off it
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
