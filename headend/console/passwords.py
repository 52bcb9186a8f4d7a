"""Operators' passwords: made, refused when weak, kept as scrypt (RFC 7914), compared in constant time."""

import base64
import threading
from collections.abc import Callable
from functools import cache
from http import HTTPStatus

from werkzeug.security import check_password_hash, generate_password_hash

from headend.kit.http import RefusedError

METHOD = "scrypt:32768:8:1"
SHORTEST = 12
LONGEST = 256
_MADE_BYTES = 15
_GROUP = 6
# Each check takes 32 MiB; this many at once, so that a flood of sign-ins cannot take the memory.
_CHECKS = threading.BoundedSemaphore(4)


class PasswordRefusedError(RefusedError):
    """The new password is too short, too long, or no secret."""

    name = "weak-password"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


def make_password(random_bytes: Callable[[int], bytes]) -> str:
    """A password of 120 random bits, in groups that a person can copy.

    >>> make_password(bytes)
    'aaaaaa-aaaaaa-aaaaaa-aaaaaa'
    """
    letters = base64.b32encode(random_bytes(_MADE_BYTES)).decode().lower()
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def hash_password(name: str, password: str) -> str:
    """What is kept of a password.

    Raises:
        PasswordRefusedError: under 12 or over 256 characters, one character over and over, or the name.
    """
    if len(password) < SHORTEST:
        raise PasswordRefusedError(f"A password has at least {SHORTEST} characters.")
    if len(password) > LONGEST:
        raise PasswordRefusedError(f"A password has at most {LONGEST} characters.")
    if len(set(password)) == 1 or name.casefold() in password.casefold():
        raise PasswordRefusedError("A password does not hold the operator's name, nor one character only.")
    return generate_password_hash(password, method=METHOD)


def fits(kept: str | None, password: str) -> bool:
    """Whether a password is the one kept; with nothing kept it takes as long, and is false."""
    with _CHECKS:
        same = check_password_hash(kept or decoy(), password[: LONGEST + 1])
    return same and kept is not None


@cache
def decoy() -> str:
    """A hash that is checked in place of one that is not there, so that timing tells no names."""
    return generate_password_hash("nobody's password", method=METHOD)
