"""Analytics' own keys, each made once: OHTTP keys by week, and the one for manifests.

They are PKCS8 PEM on a shelf: files under `keys/analytics/`, or sealed in the database. A weekly key is
deleted when its week is done, so that what a relay may have recorded stays sealed.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from headend.kit.engine import Shelf
from headend.kit.shelf import KeyFileError
from shared.ohttp import Gateway
from shared.weeks import Week

MANIFEST_KEY = "manifest.key"


class AnalyticsKeys:
    """Analytics' keys on their shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def gateway(self, week: Week) -> Gateway:
        """The end that opens what was sealed for a week; its key id is the ISO week's number.

        Raises:
            KeyFileError: the week's key is not there (any more), or the file cannot be trusted.
        """
        key = self._load(_ohttp(week))
        if not isinstance(key, X25519PrivateKey):
            raise KeyFileError(f"the file of week {week} holds a key of another kind")
        return Gateway(key, week.number)

    def key_config(self, week: Week) -> bytes:
        """The week's public OHTTP key configuration (RFC 9458 section 3.1) for the directory.

        The private key is made when it is asked for the first time, and durable before this answers.

        Raises:
            KeyFileError: the file cannot be trusted.
        """
        if self._shelf.get(_ohttp(week)) is None:
            self._store_once(_ohttp(week), X25519PrivateKey.generate())
        return self.gateway(week).config.encode()

    def manifest_key(self) -> Ed25519PrivateKey:
        """The key that signs release manifests; made when it is asked for the first time.

        Raises:
            KeyFileError: the file cannot be trusted.
        """
        if self._shelf.get(MANIFEST_KEY) is None:
            self._store_once(MANIFEST_KEY, Ed25519PrivateKey.generate())
        key = self._load(MANIFEST_KEY)
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{MANIFEST_KEY} holds a key of another kind")
        return key

    def stands(self, week: Week) -> bool:
        """Whether the week's key is still there."""
        return self._shelf.get(_ohttp(week)) is not None

    def forget(self, week: Week) -> None:
        """Delete a week's OHTTP key; nothing recorded for it can be opened afterwards."""
        self._shelf.remove(_ohttp(week))

    def _store_once(self, name: str, key: X25519PrivateKey | Ed25519PrivateKey) -> None:
        self._shelf.put_once(name, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def _load(self, name: str) -> object:
        pem = self._shelf.get(name)
        if pem is None:
            raise KeyFileError(f"{name} is not there")
        try:
            return load_pem_private_key(pem, None)
        except ValueError as error:
            raise KeyFileError(f"{name} cannot be read as a key") from error


def _ohttp(week: Week) -> str:
    return f"ohttp-{week}.key"
