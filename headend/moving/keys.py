"""A side's own keys on their way from files to sealed rows of the database that its nodes will share."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from headend.installation import Installation
from headend.kit.engine import Connection
from headend.kit.shelf import FolderShelf, KeyFileError, TableShelf

T = TypeVar("T")

SHELVED: Final = {
    "billing": ("token-*.pem",),
    "analytics": ("ohttp-*.key", "manifest.key"),
    "console": ("second-factor.key",),
}
"""By side, the files that stand on its shelf; what it signs with stays a file of every node."""


class _Over:
    """One open connection as a shelf asks for it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self) -> Connection:
        return self._connection

    def write(self, work: Callable[[Connection], T]) -> T:
        return work(self._connection)


def shelve(installation: Installation, side: str, target: Connection) -> None:
    """Seal a side's keys into its new database; what is there already stays.

    Raises:
        KeyFileError: a key file cannot be trusted, or another key of that name is there.
    """
    folder, shelf = _shelves(installation, side, target)
    for path in _files(installation, side):
        key = folder.get(path.name)
        if key is not None and shelf.put_once(path.name, key) != key:
            raise KeyFileError(f"another {path.name} is in the database of {side}")


def let_go(installation: Installation, side: str, target: Connection) -> None:
    """Remove the files of keys that are sealed in the database, so that a week's are forgotten with it."""
    folder, shelf = _shelves(installation, side, target)
    for path in _files(installation, side):
        if shelf.get(path.name) == folder.get(path.name):
            path.unlink()


def _shelves(installation: Installation, side: str, target: Connection) -> tuple[FolderShelf, TableShelf]:
    folder = installation.keys_of(side)
    return FolderShelf(folder), TableShelf(_Over(target), folder)


def _files(installation: Installation, side: str) -> list[Path]:
    folder = installation.keys_of(side)
    return sorted(path for pattern in SHELVED[side] for path in folder.glob(pattern))
