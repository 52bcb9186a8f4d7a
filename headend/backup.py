"""Backup: databases as they stand at one moment each, settings, and the keys in an encrypted file.

The order is what makes the moments fit: billing, then analytics, then folders, then keys. What one hands to
the next is handed again until the giver has recorded it as done, and is the same each time. So analytics may
have what billing's copy does not know it has handed over, such as a week's directory or box totals, and never
the other way round; a release that is in the copy of analytics has its files in the copied folder; and the
key of everything that was signed is among the keys.

The keys' file is `salt (16) | nonce (12) | AES-256-GCM of a JSON object from path to base64`, its key derived
with scrypt (RFC 7914; N = 2^17, r = 8, p = 1) from the passphrase.
"""

import base64
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from headend.installation import (
    ALL_SIDES,
    KEPT_AS_FILES,
    SETTINGS,
    SIDES_FILE,
    Installation,
    InstallationError,
    databases_of,
)
from headend.kit.files import PRIVATE, make_private, new_folder, write_file
from shared.errors import StbError

KEYS_FILE = "keys.enc"
EXCHANGE = "exchange"
"""What a side served apart has laid down, where that stands in its own folder."""
DUMP = ".dump"
"""What stands behind the name of a side's dump, as pg_dump writes it (custom format)."""
DATABASE = ".db"
SHORTEST = 12
"""Bytes of a passphrase that keys are encrypted with."""
_SALT, _NONCE = 16, 12


class BackupError(StbError):
    """A backup could not be made or restored; the message says why."""


@contextmanager
def _told() -> Iterator[None]:
    """What the machine refuses, as a sentence.

    Raises:
        BackupError: a folder or a file cannot be read or written, or there is no room.
    """
    try:
        yield
    except OSError as error:
        raise BackupError(f"{error.filename}: {error.strerror}" if error.strerror else str(error)) from error
    except sqlite3.Error as error:
        raise BackupError(f"a database could not be copied: {error}") from error


def back_up(installation: Installation, target: Path, passphrase: bytes | None) -> list[str]:
    """Copy an installation to the new folder `target`; gives the names of what was written.

    The installation keeps in mind when that was.

    Raises:
        BackupError: the passphrase is too short; `target` stands already or cannot be written; nothing is
            left behind.
        StorageError: a database on PostgreSQL could not be written into a file.
    """
    if passphrase is not None and len(passphrase) < SHORTEST:
        raise BackupError(f"the passphrase has {len(passphrase)} bytes, and needs {SHORTEST}")
    with _told():
        with new_folder(target) as folder:
            written = _copy_all(installation, folder)
            if passphrase is not None:
                write_file(folder / KEYS_FILE, _encrypt(_keys(installation.folder / "keys"), passphrase))
                written.append(KEYS_FILE)
        installation.note_backup()
    return written


def _copy_all(installation: Installation, target: Path) -> list[str]:
    """Everything but the keys."""
    written = []
    for side in ALL_SIDES:
        if side in installation.sides:
            written += _copy_side(installation, side, target)
    for name in (SETTINGS, SIDES_FILE):
        if (installation.folder / name).exists():
            shutil.copy2(installation.folder / name, target / name)
            written.append(name)
    for name in (*KEPT_AS_FILES, EXCHANGE):
        if (installation.folder / name).is_dir():
            shutil.copytree(installation.folder / name, target / name)
            written.append(name)
    return written


def _copy_side(installation: Installation, side: str, target: Path) -> list[str]:
    address, file = installation.address(side), installation.database(side)
    if address is not None:
        from headend.kit.postgres_dump import dump  # noqa: PLC0415 (the driver is an extra)

        dump(address, target / f"{side}{DUMP}")
        return [f"{side}{DUMP}"]
    if not file.exists():
        return []
    copy_database(file, target / file.name)
    return [file.name]


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as it stands at one moment, while others may write to it, for its owner alone."""
    make_private(target)
    live, copy = sqlite3.connect(f"file:{source}?mode=ro", uri=True), sqlite3.connect(target)
    try:
        live.backup(copy)
    finally:
        live.close()
        copy.close()


def _keys(folder: Path) -> bytes:
    return json.dumps(
        {
            str(path.relative_to(folder)): base64.b64encode(path.read_bytes()).decode()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    ).encode()


def _derive(passphrase: bytes, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, length=32, n=2**17, r=8, p=1).derive(passphrase))


def _encrypt(plain: bytes, passphrase: bytes) -> bytes:
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    return salt + nonce + _derive(passphrase, salt).encrypt(nonce, plain, None)


def restore(
    source: Path,
    folder: Path,
    passphrase: bytes,
    database: str | None = None,
    finish: Callable[[Installation], None] = lambda _made: None,
) -> None:
    """Make the new folder `folder` from a backup, and fill the empty databases that `database` names.

    `database` is an address with `{side}` in it; it is needed if sides were on PostgreSQL. `finish` is what
    has to be done before anybody may serve it. If anything fails there is no folder.

    Raises:
        BackupError: the folder stands already or cannot be written, the backup has no keys, or the passphrase
            is not its own; `database` is missing, or does not fit.
        StorageError: a database is not empty, or did not take its dump.
    """
    with _told():
        keys = _decrypt(source, passphrase)
        addresses = _addresses(source, database)
        with new_folder(folder) as beside:
            _copy_files(source, beside)
            if addresses:
                # Before anything else could open it: the settings still name those that were backed up.
                Installation(beside).place_at(addresses)
            for name, text in keys.items():
                path = beside / "keys" / name
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_file(path, base64.b64decode(text))
            _load(source, addresses)
            finish(Installation(beside))


def _decrypt(source: Path, passphrase: bytes) -> dict[str, str]:
    try:
        sealed = (source / KEYS_FILE).read_bytes()
        salt, nonce = sealed[:_SALT], sealed[_SALT : _SALT + _NONCE]
        keys: dict[str, str] = json.loads(
            _derive(passphrase, salt).decrypt(nonce, sealed[_SALT + _NONCE :], None)
        )
    except FileNotFoundError as error:
        raise BackupError(f"{source} holds no {KEYS_FILE}") from error
    except (InvalidTag, ValueError) as error:
        raise BackupError("another passphrase, or the file was changed") from error
    return keys


def _copy_files(source: Path, folder: Path) -> None:
    """All but keys and dumps; databases are for their owner alone, whatever became of the copies' modes."""
    for path in source.iterdir():
        if path.is_dir():
            shutil.copytree(path, folder / path.name)
        elif path.name != KEYS_FILE and path.suffix != DUMP:
            shutil.copy2(path, folder / path.name)
            if path.suffix == DATABASE:
                (folder / path.name).chmod(PRIVATE)


def _addresses(source: Path, database: str | None) -> dict[str, str]:
    """Where each dump goes."""
    sides = tuple(side for side in ALL_SIDES if (source / f"{side}{DUMP}").exists())
    if not sides:
        return {}
    if database is None:
        raise BackupError(f"{', '.join(sides)} were on PostgreSQL: --database says where they go")
    try:
        return databases_of(database, sides)
    except InstallationError as error:
        raise BackupError(str(error)) from error


def _load(source: Path, addresses: dict[str, str]) -> None:
    if not addresses:
        return
    from headend.kit import postgres_dump  # noqa: PLC0415 (the driver is an extra)

    for address in addresses.values():
        postgres_dump.check_target(address)
    for side, address in addresses.items():
        postgres_dump.load(source / f"{side}{DUMP}", address)
