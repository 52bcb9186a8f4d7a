"""Signing in: name and password, then a second factor where the operator has one. Moments are of real time.

A right password of somebody with a second factor begins a half-done sign-in: a cookie of its own, good for
five minutes and for giving the code, and for nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus

from headend.console.access import IDLE_MS, LONGEST_MS, NOBODY, SKEW_MS, hashed, length_ms, secret
from headend.console.factors import CodeRefusedError, Factors, NoFactorError
from headend.console.lockout import count_attempt, forgive, uncount
from headend.console.passwords import decoy, fits
from headend.console.store import Action, AuditLine, ConsoleStore, ConsoleTx, HalfSignIn, Operator, SignIn
from headend.kit.http import RefusedError
from shared.clock import Clock, to_ms

HALF_MS = length_ms(minutes=5)


class SignInRefusedError(RefusedError):
    """Name and password do not fit, the operator is disabled, or there were too many attempts.

    One refusal for all of these, so that it tells nobody which names exist.
    """

    name = "sign-in"
    status = HTTPStatus.FORBIDDEN


@dataclass(frozen=True)
class Opened:
    """What a right password gives: a cookie, of a sign-in or of a half-done one."""

    cookie: str
    half: bool


class Entrance:
    """Beginnings of sign-ins in one store."""

    def __init__(
        self, store: ConsoleStore, factors: Factors, clock: Clock, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._factors = factors
        self._clock = clock
        self._random = random_bytes
        decoy()

    def sign_in(self, name: str, password: str, address: str) -> Opened:
        """Begin a sign-in, or a half-done one where a second factor is to follow.

        Raises:
            SignInRefusedError: it may not; nothing but the count of attempts and the audit changed.
        """
        operator = self.check_password(name, password, address)
        cookie = secret(self._random)
        return self._store.write(lambda tx: self._open(tx, operator, cookie, address))

    def second_step(self, half_cookie: str, code: str, address: str) -> str:
        """Make a half-done sign-in a whole one; gives what the cookie holds.

        Raises:
            NoFactorError: it is not half-done, or no more.
            SignInRefusedError: the code does not fit, or there were too many attempts.
        """
        half = self.half(half_cookie)
        if half is None:
            raise NoFactorError("Begin anew with name and password.")
        cookie = secret(self._random)

        def work(tx: ConsoleTx) -> None:
            operator = tx.operator(half.operator)
            if tx.half_sign_in(half.id_hash) is None or operator is None or operator.disabled:
                raise NoFactorError("Begin anew with name and password.")
            self._factors.use(tx, half.operator, code)
            tx.end_half_sign_in(half.id_hash)
            forgive(tx, half.operator, address)
            self._begin(tx, operator, cookie, address)

        self._guess(half.operator, address, work)
        return cookie

    def half(self, cookie: str) -> HalfSignIn | None:
        """The half-done sign-in of that cookie, unless its time is over."""
        half = self._store.read().half_sign_in(hashed(cookie))
        return half if half is not None and -SKEW_MS <= self._now() - half.started_ms < HALF_MS else None

    def begin_anew(self, name: str, address: str) -> str:
        """Begin a sign-in for somebody who was signed in, whose sign-ins have just been ended."""
        cookie = secret(self._random)

        def work(tx: ConsoleTx) -> None:
            operator = tx.operator(name)
            if operator is None or operator.disabled:
                raise SignInRefusedError("changed meanwhile")
            self._begin(tx, operator, cookie, address)

        self._store.write(work)
        return cookie

    def check_password(self, name: str, password: str, address: str) -> Operator:
        """The operator of that name and password; every attempt counts until it has proved good.

        Raises:
            SignInRefusedError: no such operator, another password, disabled, or too many attempts.
        """
        self._count(name, address)
        look = self._store.read()
        operator = look.operator(name)
        usable = operator is not None and not operator.disabled
        if not fits(operator.password_hash if operator else None, password) or operator is None or not usable:
            self._refused(name if operator else NOBODY, "")
            raise SignInRefusedError("wrong name or password")
        # A right password does not wipe out wrong codes: else whoever knows it could guess codes without end.
        good = forgive if look.second_factor(name) is None else uncount
        self._store.write(lambda tx: good(tx, name, address))
        return operator

    def check_code(self, name: str, code: str, address: str) -> None:
        """That a code is of an operator's second factor; it is used up.

        Raises:
            NoFactorError: there is none.
            SignInRefusedError: it does not fit, or there were too many attempts.
        """

        def work(tx: ConsoleTx) -> None:
            self._factors.use(tx, name, code)
            forgive(tx, name, address)

        self._guess(name, address, work)

    def _now(self) -> int:
        return to_ms(self._clock.now())

    def _count(self, name: str, address: str) -> None:
        # Counted before anything is looked at, so that guesses sent side by side all count.
        if not self._store.write(lambda tx: count_attempt(tx, name, address, self._now())):
            raise SignInRefusedError("too many attempts")

    def _guess(self, name: str, address: str, work: Callable[[ConsoleTx], None]) -> None:
        self._count(name, address)
        try:
            self._store.write(work)
        except CodeRefusedError as refusal:
            self._refused(name, "second factor")
            raise SignInRefusedError("wrong code") from refusal

    def _open(self, tx: ConsoleTx, checked: Operator, cookie: str, address: str) -> Opened:
        operator = tx.operator(checked.name)
        # The password was checked outside this transaction; somebody may have changed it since.
        if operator is None or operator.disabled or operator.password_hash != checked.password_hash:
            raise SignInRefusedError("changed meanwhile")
        if tx.second_factor(operator.name) is None:
            self._begin(tx, operator, cookie, address)
            return Opened(cookie, half=False)
        now = self._now()
        tx.forget_half_sign_ins(now - HALF_MS)
        tx.add_half_sign_in(HalfSignIn(hashed(cookie), operator.name, now))
        return Opened(cookie, half=True)

    def _begin(self, tx: ConsoleTx, operator: Operator, cookie: str, address: str) -> None:
        now = self._now()
        tx.forget_sign_ins(now - LONGEST_MS, now - IDLE_MS)
        tx.add_sign_in(SignIn(hashed(cookie), operator.name, secret(self._random), now, now, address))
        tx.put_operator(replace(operator, last_sign_in_ms=now))
        tx.write_audit(AuditLine(now, operator.name, Action.SIGNED_IN, "", ""))

    def _refused(self, name: str, detail: str) -> None:
        line = AuditLine(self._now(), name, Action.SIGN_IN_REFUSED, "", detail)
        self._store.write(lambda tx: tx.write_audit(line))
