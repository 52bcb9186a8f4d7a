"""Analytics' own keys, each in a file that is made once: OHTTP keys by week, and the one for manifests.

Files are PKCS8 PEM under `keys/analytics/`, mode 0600. A weekly key is deleted when its week is done, so that
what a relay may have recorded stays sealed.
"""

import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from headend.kit.files import write_once
from shared.errors import StbError
from shared.ohttp import Gateway
from shared.weeks import Week

MANIFEST_KEY = "manifest.key"


class KeyFileError(StbError):
    """A key file is missing, of another kind, or readable by others than its owner."""


class AnalyticsKeys:
    """The folder of analytics' keys."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def gateway(self, week: Week) -> Gateway:
        """The end that opens what was sealed for a week; its key id is the ISO week's number.

        Raises:
            KeyFileError: the week's key is not there (any more), or the file cannot be trusted.
        """
        key = _load(self._ohttp(week))
        if not isinstance(key, X25519PrivateKey):
            raise KeyFileError(f"the file of week {week} holds a key of another kind")
        return Gateway(key, week.number)

    def key_config(self, week: Week) -> bytes:
        """The week's public OHTTP key configuration (RFC 9458 section 3.1) for the directory.

        The private key is made when it is asked for the first time, and durable before this answers.

        Raises:
            KeyFileError: the file cannot be trusted.
        """
        if not self._ohttp(week).exists():
            _store_once(self._ohttp(week), X25519PrivateKey.generate())
        return self.gateway(week).config.encode()

    def manifest_key(self) -> Ed25519PrivateKey:
        """The key that signs release manifests; made when it is asked for the first time.

        Raises:
            KeyFileError: the file cannot be trusted.
        """
        path = self._folder / MANIFEST_KEY
        if not path.exists():
            _store_once(path, Ed25519PrivateKey.generate())
        key = _load(path)
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{MANIFEST_KEY} holds a key of another kind")
        return key

    def forget(self, week: Week) -> None:
        """Delete a week's OHTTP key; nothing recorded for it can be opened afterwards."""
        self._ohttp(week).unlink(missing_ok=True)

    def _ohttp(self, week: Week) -> Path:
        return self._folder / f"ohttp-{week}.key"


def _store_once(path: Path, key: X25519PrivateKey | Ed25519PrivateKey) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_once(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _load(path: Path) -> object:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise KeyFileError(f"{path.name} may be read by others than its owner")
        return load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{path.name} cannot be read as a key") from error
