"""Who is at the console: recognised, signed out, told to the audit. Moments are of real time.

A sign-in is 32 random bytes in a cookie, of which the database holds the SHA-256 only. The bytes are renewed
while it is in use; who comes with bytes that were renewed longer ago than two pages take has copied them.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from headend.console.lockout import count_stranger
from headend.console.store import Action, AuditLine, ConsoleStore, ConsoleTx, Cookie, Operator, SignIn
from shared.clock import Clock, to_ms


def length_ms(**length: int) -> int:
    """A length of time in milliseconds."""
    return timedelta(**length) // timedelta(milliseconds=1)


IDLE_MS = length_ms(minutes=30)
LONGEST_MS = length_ms(hours=12)
RENEWED_MS = length_ms(minutes=15)
REPLACED_MS = length_ms(seconds=60)
"""How long a cookie that was renewed still opens: two pages may have been asked for side by side."""
# A wall clock may be put right by a little; a sign-in from further ahead is not believed.
SKEW_MS = length_ms(minutes=5)
_SECRET_BYTES = 32
NOBODY = "(unknown name)"


class Stranger(Enum):
    """Why a cookie opens nothing: there is none, it was never made here, its time is over, it was copied."""

    NONE = "none"
    UNKNOWN = "unknown"
    OVER = "over"
    COPIED = "copied"


@dataclass(frozen=True)
class Signed:
    """An operator at work; `cookie` is what they came with, `lacks_factor` that their role needs one."""

    operator: Operator
    sign_in: SignIn
    cookie: Cookie
    has_factor: bool
    lacks_factor: bool

    @property
    def held(self) -> bool:
        """Whether something has to be done about the sign-in itself before anything is seen."""
        return self.operator.must_change or self.lacks_factor


def secret(random_bytes: Callable[[int], bytes]) -> str:
    """256 random bits as text for a cookie or a form."""
    return urlsafe_b64encode(random_bytes(_SECRET_BYTES)).decode().rstrip("=")


def hashed(cookie: str) -> bytes:
    """What the database knows of a cookie."""
    return hashlib.sha256(cookie.encode()).digest()


class Access:
    """Sign-ins over one store."""

    def __init__(self, store: ConsoleStore, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._store = store
        self._clock = clock
        self._random = random_bytes

    def now_ms(self) -> int:
        """Real time in Unix milliseconds."""
        return to_ms(self._clock.now())

    # --- recognised
    def recognise(self, value: str) -> Signed | Stranger:
        """Whose cookie that is; a cookie that was copied ends its sign-in, and the audit says so."""
        if not value:
            return Stranger.NONE
        look = self._store.read()
        cookie = look.cookie(hashed(value))
        sign_in = None if cookie is None else look.sign_in(cookie.sign_in)
        if cookie is None or sign_in is None:
            return Stranger.UNKNOWN
        operator = look.operator(sign_in.operator)
        if not self._alive(sign_in) or operator is None or operator.disabled:
            return Stranger.OVER
        if cookie.replaced_ms is not None and self.now_ms() - cookie.replaced_ms > REPLACED_MS:
            self._end(sign_in, Action.COOKIE_COPIED, "the sign-in has been ended")
            return Stranger.COPIED
        has_factor = look.second_factor(operator.name) is not None
        lacks = not has_factor and operator.role in look.required_factors()
        return Signed(operator, sign_in, cookie, has_factor, lacks)

    def renew(self, signed: Signed) -> str | None:
        """A new value for the cookie where it is time for one; the old one opens for a minute more."""
        if signed.cookie.replaced_ms is not None or self.now_ms() - signed.cookie.made_ms < RENEWED_MS:
            return None
        value = secret(self._random)

        def work(tx: ConsoleTx) -> bool:
            found = tx.cookie(signed.cookie.id_hash)
            if found is None or found.replaced_ms is not None:
                return False  # another page of this sign-in was quicker
            tx.renew_cookie(found.id_hash, Cookie(hashed(value), found.sign_in, self.now_ms()))
            return True

        return value if self._store.write(work) else None

    def refuse_stranger(self, action: Action, what: str, detail: str, address: str) -> None:
        """Tell the audit what somebody not signed in has sent, unless that address sent too much of it."""
        now = self.now_ms()

        def work(tx: ConsoleTx) -> None:
            if count_stranger(tx, address, now):
                tx.write_audit(AuditLine(now, NOBODY, action, what, detail))

        self._store.write(work)

    # --- out
    def sign_out(self, signed: Signed) -> None:
        """End this sign-in."""
        self._end(signed.sign_in, Action.SIGNED_OUT, "")

    def sign_ins(self, name: str) -> list[SignIn]:
        """An operator's sign-ins that still open something, the newest first."""
        return [one for one in self._store.read().sign_ins_of(name) if self._alive(one)]

    def end_others(self, signed: Signed, id_hash: bytes | None) -> None:
        """End one of the operator's other sign-ins, or all of them."""
        name, now = signed.operator.name, self.now_ms()

        def work(tx: ConsoleTx) -> None:
            others = [one for one in tx.sign_ins_of(name) if one.id_hash != signed.sign_in.id_hash]
            for other in others:
                if id_hash in {None, other.id_hash}:
                    tx.end_sign_in(other.id_hash)
                    tx.write_audit(AuditLine(now, name, Action.SIGN_IN_ENDED, "", other.address))

        self._store.write(work)

    # --- the audit
    def note(
        self, signed: Signed, action: Action, what: str, detail: str = "", about: Iterable[str] = ()
    ) -> None:
        """Write to the audit what somebody signed in does and whom it is about; the sign-in is in use."""
        now = self.now_ms()

        def work(tx: ConsoleTx) -> None:
            tx.see_sign_in(signed.sign_in.id_hash, now)
            tx.write_audit(AuditLine(now, signed.operator.name, action, what, detail, " ".join(about)))

        self._store.write(work)

    def audit(self, operator: str, action: Action, what: str = "", detail: str = "") -> None:
        """Write one line to the audit."""
        line = AuditLine(self.now_ms(), operator, action, what, detail)
        self._store.write(lambda tx: tx.write_audit(line))

    def _alive(self, sign_in: SignIn) -> bool:
        now = self.now_ms()
        idle, age = now - sign_in.seen_ms, now - sign_in.started_ms
        return -SKEW_MS <= idle < IDLE_MS and -SKEW_MS <= age < LONGEST_MS

    def _end(self, sign_in: SignIn, action: Action, detail: str) -> None:
        def work(tx: ConsoleTx) -> None:
            tx.end_sign_in(sign_in.id_hash)
            tx.write_audit(AuditLine(self.now_ms(), sign_in.operator, action, "", detail))

        self._store.write(work)
