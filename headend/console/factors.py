"""Operators' second factors: offered, confirmed, asked for, turned off, and required of roles."""

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

from headend.console import second_factor
from headend.console.second_factor import Seals
from headend.console.store import Action, AuditLine, ConsoleStore, ConsoleTx, Role, SecondFactor, SignIn
from headend.kit.http import RefusedError
from shared.clock import Clock, to_ms


class CodeRefusedError(RefusedError):
    """The code is not the one of this moment, or it has been used."""

    name = "second-factor"
    status = HTTPStatus.FORBIDDEN


class NoFactorError(RefusedError):
    """There is no second factor here: begin anew."""

    name = "no-second-factor"
    status = HTTPStatus.CONFLICT


class Factors:
    """The second factors in one store; moments are of real time."""

    def __init__(
        self, store: ConsoleStore, seals: Seals, clock: Clock, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._seals = seals
        self._clock = clock
        self._random = random_bytes

    def offer(self, sign_in: SignIn) -> None:
        """Make a new secret for this sign-in to set up; it counts once a code of it has been given."""
        secret = second_factor.make_secret(self._random)
        sealed = self._seals.seal(sign_in.operator, secret)
        self._store.write(lambda tx: tx.offer_factor(sign_in.id_hash, sealed))

    def offered(self, sign_in: SignIn) -> bytes | None:
        """The secret that this sign-in is setting up.

        Raises:
            SealError: it cannot be read.
        """
        return None if sign_in.offered is None else self._seals.open(sign_in.operator, sign_in.offered)

    def confirm(self, sign_in: SignIn, code: str) -> None:
        """Turn on what was offered; every other sign-in of the operator ends.

        Raises:
            NoFactorError: nothing was offered in this sign-in.
            CodeRefusedError: the code is not of the secret that was offered.
            SealError: the secret cannot be read.
        """
        now = to_ms(self._clock.now())

        def work(tx: ConsoleTx) -> None:
            found = tx.sign_in(sign_in.id_hash)
            if found is None or found.offered is None:
                raise NoFactorError("Nothing has been offered here.")
            given = SecondFactor(found.operator, found.offered, 0, now)
            tx.put_second_factor(self._used(given, code, now))
            tx.offer_factor(found.id_hash, None)
            tx.end_sign_ins_of(found.operator, but=found.id_hash)
            tx.write_audit(AuditLine(now, found.operator, Action.FACTOR_ON, found.operator, ""))

        self._store.write(work)

    def use(self, tx: ConsoleTx, name: str, code: str) -> None:
        """Take a code of an operator's second factor, once, within a transaction.

        Raises:
            NoFactorError: the operator has none.
            CodeRefusedError: the code is not of this moment, or was used.
            SealError: the secret cannot be read.
        """
        factor = tx.second_factor(name)
        if factor is None:
            raise NoFactorError("There is no second factor.")
        tx.put_second_factor(self._used(factor, code, to_ms(self._clock.now())))

    def turn_off(self, name: str) -> None:
        """Take an operator's second factor away, after password and code have proved good."""
        now = to_ms(self._clock.now())

        def work(tx: ConsoleTx) -> None:
            tx.drop_second_factor(name)
            tx.write_audit(AuditLine(now, name, Action.FACTOR_OFF, name, ""))

        self._store.write(work)

    def require(self, roles: frozenset[Role], by: str) -> None:
        """Say which roles need a second factor; whoever of them has none is sent to set one up."""
        names = frozenset(role.value for role in roles)
        now = to_ms(self._clock.now())

        def work(tx: ConsoleTx) -> None:
            tx.require_factors(names)
            tx.write_audit(AuditLine(now, by, Action.FACTORS_REQUIRED, " ".join(sorted(names)), ""))

        self._store.write(work)

    def required(self) -> frozenset[str]:
        """The roles that need one."""
        return self._store.read().required_factors()

    def since(self) -> dict[str, int]:
        """Who has one, and since when."""
        return self._store.read().with_factors()

    def _used(self, factor: SecondFactor, code: str, now_ms: int) -> SecondFactor:
        secret = self._seals.open(factor.operator, factor.sealed)
        step = second_factor.step_of(secret, code, now_ms, factor.last_step)
        if step is None:
            raise CodeRefusedError("The code does not fit.")
        return replace(factor, last_step=step)
