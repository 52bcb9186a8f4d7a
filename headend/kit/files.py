"""Files that survive a power cut: written beside, synced, then renamed, with the folder synced too.

A file gets the mode that is asked for, whatever the process' umask.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
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
    _sync(path.parent)


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
    _sync(path.parent)
    return True


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder for its owner alone, to be filled: durably at `path` once the body has ended, else not at all.

    It is filled beside `path`. What one who was killed has left there is removed first.

    Raises:
        FileExistsError: `path` stands already, or another process is about to make it.
    """
    if path.exists():
        raise FileExistsError(errno.EEXIST, "stands already", str(path))
    beside = path.with_name(f".{path.name}.new")
    beside.mkdir(parents=True, exist_ok=True, mode=0o700)
    held = os.open(beside, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _take(held, path)
        try:
            _empty(beside)
            yield beside
            for one in (*beside.rglob("*"), beside):
                _sync(one)
            beside.rename(path)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
    finally:
        os.close(held)
    _sync(path.parent)


def _take(held: int, path: Path) -> None:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FileExistsError(errno.EEXIST, "is being made", str(path)) from error


def _empty(folder: Path) -> None:
    for one in folder.iterdir():
        if one.is_dir():
            shutil.rmtree(one)
        else:
            one.unlink()


def make_private(path: Path) -> None:
    """Make an empty file for its owner alone, unless `path` stands already."""
    with suppress(FileExistsError):
        # Exclusively: closing a file that stands would let go of the locks that SQLite has on it.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))


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


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
