"""Backup: databases as they stand at one moment each, settings, and the keys in an encrypted file.

The keys' file is `salt (16) | nonce (12) | AES-256-GCM of a JSON object from path to base64`, its key derived
with scrypt (RFC 7914; N = 2^17, r = 8, p = 1) from the passphrase.
"""

import base64
import json
import os
import shutil
import sqlite3
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from headend.installation import SETTINGS, Installation
from headend.kit.engine import is_url
from headend.kit.files import write_file
from shared.errors import StbError

KEYS_FILE = "keys.enc"
FOLDERS = ("releases", "totals")
"""What is kept as files beside the databases: releases ever drawn, and box totals handed over."""
_SALT, _NONCE = 16, 12


class BackupError(StbError):
    """A backup could not be made or restored; the message says why."""


def back_up(installation: Installation, target: Path, passphrase: bytes | None) -> list[str]:
    """Copy an installation to the new folder `target`; gives the names of what was written, and what was not.

    Raises:
        BackupError: `target` stands already.
    """
    try:
        target.mkdir(parents=True, mode=0o700)
    except FileExistsError as error:
        raise BackupError(f"{target} stands already") from error
    written = []
    for side in ("billing", "analytics", "console"):
        if is_url(installation.place(side)):
            written.append(f"{side}: not copied, it is on PostgreSQL; back it up there")
            continue
        source = installation.database(side)
        if source.exists():
            _copy_database(source, target / source.name)
            written.append(source.name)
    shutil.copy2(installation.folder / SETTINGS, target / SETTINGS)
    written.append(SETTINGS)
    for name in FOLDERS:
        if (installation.folder / name).is_dir():
            shutil.copytree(installation.folder / name, target / name)
            written.append(name)
    if passphrase is not None:
        write_file(target / KEYS_FILE, _encrypt(_keys(installation.folder / "keys"), passphrase))
        written.append(KEYS_FILE)
    return written


def _copy_database(source: Path, target: Path) -> None:
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


def restore(source: Path, folder: Path, passphrase: bytes) -> None:
    """Make the new folder `folder` from a backup.

    Raises:
        BackupError: the folder stands already, the backup has no keys, or the passphrase is not its own.
    """
    if folder.exists():
        raise BackupError(f"{folder} stands already")
    try:
        sealed = (source / KEYS_FILE).read_bytes()
        salt, nonce = sealed[:_SALT], sealed[_SALT : _SALT + _NONCE]
        keys = json.loads(_derive(passphrase, salt).decrypt(nonce, sealed[_SALT + _NONCE :], None))
    except FileNotFoundError as error:
        raise BackupError(f"{source} holds no {KEYS_FILE}") from error
    except InvalidTag as error:
        raise BackupError("another passphrase, or the file was changed") from error
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(KEYS_FILE))
    for name, text in keys.items():
        path = folder / "keys" / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(path, base64.b64decode(text))
