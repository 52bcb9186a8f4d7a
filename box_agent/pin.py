"""The box's PIN before the log of what was sent: other members of the household are not to read it.

Only a scrypt hash (RFC 7914) of the PIN is kept, with a salt. A PIN of a few digits can be guessed by whoever
has the file; what it keeps off is guessing on the screen, so wrong ones cost time, and more each time.
"""

import hashlib
import hmac
from datetime import datetime

from box_agent.chance import RandomBytes
from box_agent.store import Door
from shared.clock import to_ms
from shared.errors import StbError

LEAST, MOST = 4, 32
FREE_TRIES = 5
WAIT_MS = 60_000
MOST_WAIT_MS = 24 * 3_600_000
_SALT = 16
# 4 MiB and some milliseconds on a small box.
_COST, _BLOCK, _PARALLEL, _LENGTH = 4096, 8, 1, 32


class NoPinError(StbError):
    """No PIN has been set, so nobody can show that the log is theirs."""


class WrongPinError(StbError):
    """Another PIN."""


class PinLockedError(StbError):
    """Too many wrong PINs: later."""


class BadPinError(StbError):
    """A PIN has 4 to 32 characters."""


class Pin:
    """One PIN a box, and how often it was missed."""

    def __init__(self, door: Door, random_bytes: RandomBytes) -> None:
        self._door = door
        self._random_bytes = random_bytes

    def is_set(self) -> bool:
        """Whether there is one."""
        return self._door.row("SELECT 1 FROM pin") is not None

    def set(self, new: str, old: str, now: datetime) -> None:
        """Set the PIN; where there is one already, `old` has to be it.

        Raises:
            BadPinError: the new one is too short or too long.
            WrongPinError: the old one is another.
            PinLockedError: too many wrong ones before.
        """
        if not LEAST <= len(new) <= MOST:
            raise BadPinError(f"a PIN has {LEAST} to {MOST} characters")
        if self.is_set():
            self.check(old, now)
        salt = self._random_bytes(_SALT)
        self._door.write(
            "INSERT OR REPLACE INTO pin (id, salt, hash, missed, until_ms) VALUES (1, ?, ?, 0, 0)",
            (salt, _hash(new, salt)),
        )

    def check(self, told: str, now: datetime) -> None:
        """See that this is the PIN.

        Raises:
            NoPinError: none has been set.
            PinLockedError: too many wrong ones before.
            WrongPinError: another.
        """
        row = self._door.row("SELECT salt, hash, missed, until_ms FROM pin")
        if row is None:
            raise NoPinError("no PIN has been set")
        salt, known, missed, until_ms = row
        if to_ms(now) < until_ms:
            raise PinLockedError("too many wrong PINs; try again later")
        if hmac.compare_digest(_hash(told, salt), known):
            self._door.write("UPDATE pin SET missed = 0, until_ms = 0")
            return
        # Counted durably before it is answered: pulling the plug gives no further tries.
        self._door.write(
            "UPDATE pin SET missed = ?, until_ms = ?", (missed + 1, to_ms(now) + _wait(missed + 1))
        )
        raise WrongPinError("another PIN")

    def forget(self) -> None:
        """Remove the PIN; whoever does that removes with it what it guarded."""
        self._door.write("DELETE FROM pin")


def _wait(missed: int) -> int:
    """How long to wait after so many wrong ones: nothing at first, then a minute, doubled each time."""
    return 0 if missed < FREE_TRIES else min(MOST_WAIT_MS, WAIT_MS << min(missed - FREE_TRIES, 20))


def _hash(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL, dklen=_LENGTH)
