"""Who is at the console: signing in, being recognised, signing out. Moments are of real time.

A sign-in is 32 random bytes in a cookie, of which the database holds the SHA-256 only.
"""

import hashlib
import ipaddress
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus

from headend.console.passwords import decoy, fits
from headend.console.store import Action, Attempts, AuditLine, ConsoleStore, ConsoleTx, Operator, SignIn
from headend.kit.http import RefusedError
from shared.clock import Clock, to_ms

IDLE_MS = timedelta(minutes=30) // timedelta(milliseconds=1)
LONGEST_MS = timedelta(hours=12) // timedelta(milliseconds=1)
LOCKED_MS = timedelta(minutes=15) // timedelta(milliseconds=1)
OPERATOR_LIMIT = 5
ADDRESS_LIMIT = 30
# A wall clock may be put right by a little; a sign-in from further ahead is not believed.
_SKEW_MS = timedelta(minutes=5) // timedelta(milliseconds=1)
_SECRET_BYTES = 32
_IPV6 = 6
NOBODY = "(unknown name)"


class SignInRefusedError(RefusedError):
    """Name and password do not fit, the operator is disabled, or there were too many attempts.

    One refusal for all of these, so that it tells nobody which names exist.
    """

    name = "sign-in"
    status = HTTPStatus.FORBIDDEN


@dataclass(frozen=True)
class Signed:
    """An operator at work."""

    operator: Operator
    sign_in: SignIn


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
        decoy()

    def now_ms(self) -> int:
        """Real time in Unix milliseconds."""
        return to_ms(self._clock.now())

    def sign_in(self, name: str, password: str, address: str) -> tuple[str, SignIn]:
        """Begin a sign-in; gives what the cookie holds, and the sign-in.

        Raises:
            SignInRefusedError: it may not; nothing but the count of attempts and the audit changed.
        """
        operator = self.check_password(name, password, address)
        cookie = secret(self._random)
        started = SignIn(hashed(cookie), name, secret(self._random), self.now_ms(), self.now_ms())
        self._store.write(lambda tx: self._begin(tx, operator, started))
        return cookie, started

    def check_password(self, name: str, password: str, address: str) -> Operator:
        """The operator of that name and password; every attempt counts until it has proved good.

        Raises:
            SignInRefusedError: no such operator, another password, disabled, or too many attempts.
        """
        keys = ((_operator_key(name), OPERATOR_LIMIT), (_address_key(address), ADDRESS_LIMIT))
        # Counted before the password is looked at, so that guesses sent side by side all count.
        self._store.write(lambda tx: self._count_attempt(tx, keys))
        operator = self._store.read().operator(name)
        usable = operator is not None and not operator.disabled
        if not fits(operator.password_hash if operator else None, password) or operator is None or not usable:
            self.audit(name if operator else NOBODY, Action.SIGN_IN_REFUSED)
            raise SignInRefusedError("wrong name or password")
        self._store.write(lambda tx: _forgive(tx, name, address))
        return operator

    def recognise(self, cookie: str) -> Signed | None:
        """Whose cookie that is, unless the sign-in has ended, has idled or is too old."""
        look = self._store.read()
        sign_in = look.sign_in(hashed(cookie))
        if sign_in is None or not self._alive(sign_in):
            return None
        operator = look.operator(sign_in.operator)
        return None if operator is None or operator.disabled else Signed(operator, sign_in)

    def sign_out(self, signed: Signed) -> None:
        """End this sign-in."""

        def work(tx: ConsoleTx) -> None:
            tx.end_sign_in(signed.sign_in.id_hash)
            tx.write_audit(AuditLine(self.now_ms(), signed.operator.name, Action.SIGNED_OUT, "", ""))

        self._store.write(work)

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
        return -_SKEW_MS <= idle < IDLE_MS and -_SKEW_MS <= age < LONGEST_MS

    def _count_attempt(self, tx: ConsoleTx, keys: tuple[tuple[str, int], ...]) -> None:
        now = self.now_ms()
        tx.forget_attempts(now - LOCKED_MS)
        before = [(key, tx.attempts(key).failures, limit) for key, limit in keys]
        if any(failures >= limit for _, failures, limit in before):
            raise SignInRefusedError("too many attempts")
        for key, failures, _ in before:
            tx.put_attempts(key, Attempts(failures + 1, now))

    def _begin(self, tx: ConsoleTx, checked: Operator, started: SignIn) -> None:
        operator = tx.operator(checked.name)
        # The password was checked outside this transaction; somebody may have changed it since.
        if operator is None or operator.disabled or operator.password_hash != checked.password_hash:
            raise SignInRefusedError("changed meanwhile")
        tx.forget_sign_ins(started.started_ms - LONGEST_MS, started.started_ms - IDLE_MS)
        tx.add_sign_in(started)
        tx.put_operator(replace(operator, last_sign_in_ms=started.started_ms))
        tx.write_audit(AuditLine(started.started_ms, operator.name, Action.SIGNED_IN, "", ""))


def forgive_operator(tx: ConsoleTx, name: str) -> None:
    """Forget an operator's failed attempts."""
    tx.put_attempts(_operator_key(name), Attempts(0, 0))


def _forgive(tx: ConsoleTx, name: str, address: str) -> None:
    forgive_operator(tx, name)
    key = _address_key(address)
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
