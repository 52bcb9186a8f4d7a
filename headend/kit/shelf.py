"""Where a side's own keys stand: files of one machine, or sealed rows that several nodes share.

On SQLite a key is a file, mode 0600. On PostgreSQL every node needs the same week's keys, so they stand in
the side's own database, each as `nonce (12) | AES-256-GCM` with its name as associated data, sealed under the
one file that an operator gives to every node: `shelf.key`. Whoever has only the database has no key.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headend.kit.engine import Connection, Desk
from headend.kit.files import write_once
from shared.errors import StbError

SHELF_KEY: Final = "shelf.key"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_PUT = "INSERT INTO sealed_keys (name, sealed) VALUES (?, ?) ON CONFLICT DO NOTHING"
_GET = "SELECT sealed FROM sealed_keys WHERE name = ?"


class KeyFileError(StbError):
    """A key file is missing, of another kind, or readable by others than its owner."""


class OtherShelfError(KeyFileError):
    """The keys in the database were sealed under another shelf.key than this node's."""


class FolderShelf:
    """Keys as files of one folder, mode 0600."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> bytes | None:
        """A key's file.

        Raises:
            KeyFileError: others than its owner may read it.
        """
        path = self._folder / name
        try:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise KeyFileError(f"{name} may be read by others than its owner")
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeyFileError(f"{name} cannot be read") from error

    def put_once(self, name: str, key: bytes) -> bytes:
        """Write a key's file, unless it stands."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_once(self._folder / name, key)
        return (self._folder / name).read_bytes()

    def remove(self, prefix: str) -> None:
        """Remove the files."""
        for path in self._folder.glob(f"{prefix}*"):
            path.unlink(missing_ok=True)


class TableShelf:
    """Keys as sealed rows of a side's database, which every node opens with the same `shelf.key`."""

    def __init__(self, engine: Desk, folder: Path, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._engine = engine
        self._folder = FolderShelf(folder)
        self._random = random_bytes

    def get(self, name: str) -> bytes | None:
        """A key, opened.

        Raises:
            KeyFileError: this node has no `shelf.key`.
            OtherShelfError: it has another than the node that sealed the key.
        """
        row = self._engine.read().execute(_GET, (name,)).fetchone()
        return None if row is None else self._open(name, row[0])

    def put_once(self, name: str, key: bytes) -> bytes:
        """Seal a key into the database, unless one of that name is there; gives the one that is.

        Raises:
            OtherShelfError: what is there was sealed under another `shelf.key`.
        """
        sealed = self._seal(name, key)

        def work(connection: Connection) -> bytes:
            connection.execute(_PUT, (name, sealed))
            return bytes(connection.execute(_GET, (name,)).fetchone()[0])

        return self._open(name, self._engine.write(work))

    def remove(self, prefix: str) -> None:
        """Delete the rows."""
        self._engine.write(
            lambda connection: connection.execute(
                "DELETE FROM sealed_keys WHERE name >= ? AND name < ?", (prefix, prefix + "\U0010ffff")
            )
        )

    def _seal(self, name: str, key: bytes) -> bytes:
        nonce = self._random(_NONCE_BYTES)
        return nonce + self._cipher().encrypt(nonce, key, name.encode())

    def _open(self, name: str, sealed: bytes) -> bytes:
        try:
            return self._cipher().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except InvalidTag as error:
            raise OtherShelfError(
                f"{name} was sealed under another {SHELF_KEY}; copy that file from a node that serves"
            ) from error

    def _cipher(self) -> AESGCM:
        key = self._folder.get(SHELF_KEY)
        if key is None:
            # The first node of an installation makes it; whoever comes to keys that stand has to be given it.
            if self._engine.read().execute("SELECT 1 FROM sealed_keys LIMIT 1").fetchone():
                raise OtherShelfError(f"this node has no {SHELF_KEY}; copy that file from a node that serves")
            key = self._folder.put_once(SHELF_KEY, self._random(_KEY_BYTES))
        return AESGCM(key)
