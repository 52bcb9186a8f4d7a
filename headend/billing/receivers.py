"""Receivers of exports: who holds a key to the pull interface, what it reaches, and what was acknowledged.

A key is 32 random bytes, told once; only its hash is stored, so that the database opens nothing.
"""

import base64
import hashlib
import re
from collections.abc import Callable

from headend.billing.refusals import ScopeError, UnknownKeyError, WrongHashError
from headend.billing.rows import Batch, BatchAcknowledgement, ExportKey, NotFoundError
from headend.billing.store import BillingTx
from headend.disclosure import Kind, Purpose, Recipient, clear
from shared.errors import StbError

PREFIX = "stbx_"
KEY_BYTES = 32
READ, ACKNOWLEDGE = "read", "acknowledge"
SCOPES = (READ, ACKNOWLEDGE)
COMMAND_LINE = "command line"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


class BadKeyError(StbError):
    """A key cannot be made as asked: its name is taken or no name, or a scope is unknown."""


def key_hash(key: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(b"stb-telemetry export key\x00" + key.encode()).hexdigest()


def create_key(
    tx: BillingTx,
    name: str,
    scopes: tuple[str, ...],
    now_ms: int,
    random_bytes: Callable[[int], bytes],
    who: str = COMMAND_LINE,
) -> str:
    """Make a key for the billing system and store its hash; the key itself is given here and never again.

    `who` is the operator that the audit names.

    Raises:
        BadKeyError: the name was used before or is none, or there is no such scope.
        DisclosureError: no export may leave to the billing system.
    """
    recipient = clear(None, Kind.EXPORT_BATCH, Recipient.BILLING_SYSTEM, Purpose.BILLING).recipient
    _check(tx, name, scopes)
    secret = base64.urlsafe_b64encode(random_bytes(KEY_BYTES)).rstrip(b"=").decode()
    key = f"{PREFIX}{secret}"
    held = " ".join(scope for scope in SCOPES if scope in scopes)
    tx.add_export_key(ExportKey(key_hash(key), name, recipient, held, now_ms, None))
    tx.add_audit(now_ms, who, "export key created", name, f"{recipient}: {held}")
    return key


def _check(tx: BillingTx, name: str, scopes: tuple[str, ...]) -> None:
    if _NAME.match(name) is None:
        raise BadKeyError("a key's name has 1 to 64 letters, digits, dots, dashes and underscores")
    if any(known.name == name for known in tx.export_keys()):
        raise BadKeyError(f"a key was called {name!r} before; the audit must not mistake one for the other")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise BadKeyError(f"a key has some of the scopes {', '.join(SCOPES)}")


def revoke_key(tx: BillingTx, name: str, now_ms: int, who: str = COMMAND_LINE) -> None:
    """End a key, for ever; `who` is the operator that the audit names.

    Raises:
        NotFoundError: there is none of that name that still holds.
    """
    if not tx.revoke_export_key(name, now_ms):
        raise NotFoundError(f"no key {name!r} that still holds")
    tx.add_audit(now_ms, who, "export key revoked", name, "")


def holder(tx: BillingTx, key: str | None, scope: str) -> ExportKey:
    """Who holds a key, if it reaches as far as `scope`.

    Raises:
        UnknownKeyError: there is no such key, or it has been revoked.
        ScopeError: it does not reach that far.
    """
    found = None if key is None else tx.export_key(key_hash(key))
    if found is None or found.revoked_ms is not None:
        raise UnknownKeyError("no such key")
    if scope not in found.scopes.split():
        raise ScopeError(f"not for {scope}")
    return found


def acknowledge(tx: BillingTx, batch: Batch, name: str, sha256: str, now_ms: int) -> BatchAcknowledgement:
    """Record that a receiver has a batch; said again, the first time stands.

    Raises:
        WrongHashError: it has other bytes.
    """
    if sha256 != batch.hash:
        raise WrongHashError("another hash")
    said = BatchAcknowledgement(batch.batch, name, sha256, now_ms)
    if tx.acknowledge_batch(said):
        tx.add_audit(now_ms, f"key {name}", "export acknowledged", str(batch.batch), sha256)
        return said
    return next(one for one in tx.acknowledgements(batch.batch) if one.name == name)
