"""What slows guessing down: failed attempts are counted, by operator and by address, and lock for a while."""

import hashlib
import ipaddress
from dataclasses import replace
from datetime import timedelta

from headend.console.store import Attempts, ConsoleTx

LOCKED_MS = timedelta(minutes=15) // timedelta(milliseconds=1)
OPERATOR_LIMIT = 5
ADDRESS_LIMIT = 30
_IPV6 = 6


def count_attempt(tx: ConsoleTx, name: str, address: str, now_ms: int) -> bool:
    """Count an attempt of that name from that address, unless either is locked; whether neither is."""
    return _count(tx, ((_operator_key(name), OPERATOR_LIMIT), (_address_key(address), ADDRESS_LIMIT)), now_ms)


def count_stranger(tx: ConsoleTx, address: str, now_ms: int) -> bool:
    """Count what came from an address with no sign-in at all; false once there was too much of it."""
    return _count(tx, ((f"stranger {_address_key(address)}", ADDRESS_LIMIT),), now_ms)


def forgive_operator(tx: ConsoleTx, name: str) -> None:
    """Forget an operator's failed attempts."""
    tx.put_attempts(_operator_key(name), Attempts(0, 0))


def forgive(tx: ConsoleTx, name: str, address: str) -> None:
    """An attempt has proved good: the operator's failures are forgotten, the address's were one fewer."""
    forgive_operator(tx, name)
    _one_fewer(tx, _address_key(address))


def uncount(tx: ConsoleTx, name: str, address: str) -> None:
    """An attempt was no failure, but proves nothing yet: those before it stay counted."""
    _one_fewer(tx, _operator_key(name))
    _one_fewer(tx, _address_key(address))


def _count(tx: ConsoleTx, keys: tuple[tuple[str, int], ...], now_ms: int) -> bool:
    tx.forget_attempts(now_ms - LOCKED_MS)
    before = [(key, tx.attempts(key).failures, limit) for key, limit in keys]
    if any(failures >= limit for _, failures, limit in before):
        return False
    for key, failures, _ in before:
        tx.put_attempts(key, Attempts(failures + 1, now_ms))
    return True


def _one_fewer(tx: ConsoleTx, key: str) -> None:
    so_far = tx.attempts(key)
    tx.put_attempts(key, replace(so_far, failures=so_far.failures - 1))


def _operator_key(name: str) -> str:
    return "operator " + hashlib.sha256(name.encode()).hexdigest()


def _address_key(address: str) -> str:
    """The address, or its /64 network: one household or machine commonly has a whole one of those."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "address"
    bits = 64 if parsed.version == _IPV6 else 32
    return f"address {ipaddress.ip_network((parsed, bits), strict=False)}"
