"""What the console keeps: operators, their sign-ins, attempts to sign in, and the audit.

Moments are Unix milliseconds of real time. `ConsoleStore.write` is one durable transaction.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from headend.kit.language import N_

T = TypeVar("T")


class Role(StrEnum):
    """What an operator is there for; each has one."""

    BILLING = "billing"
    ANALYST = "analyst"
    PRIVACY_OFFICER = "privacy-officer"
    ADMIN = "admin"


class Action(StrEnum):
    """What an audit line tells."""

    SIGNED_IN = N_("signed in")
    SIGN_IN_REFUSED = N_("sign-in refused")
    SIGNED_OUT = N_("signed out")
    LOOKED = N_("looked")
    DID = N_("did")
    DOWNLOADED = N_("downloaded")
    REFUSED = N_("refused")
    ADDED = N_("operator added")
    ENABLED = N_("operator enabled")
    DISABLED = N_("operator disabled")
    ROLE_CHANGED = N_("role changed")
    PASSWORD_RESET = N_("password reset")
    PASSWORD_CHANGED = N_("password changed")
    FACTOR_ON = N_("second factor turned on")
    FACTOR_OFF = N_("second factor turned off")
    FACTORS_REQUIRED = N_("second factor required of roles")
    SIGN_IN_ENDED = N_("sign-in ended")
    FORM_REFUSED = N_("form refused")
    COOKIE_REFUSED = N_("cookie refused")
    COOKIE_COPIED = N_("old cookie used")


LOOKS = frozenset({Action.LOOKED, Action.DOWNLOADED, Action.DID})
"""What operators do with the pages of the sides; all other actions are about operators themselves."""
ALARMING = frozenset(
    {
        Action.SIGN_IN_REFUSED,
        Action.REFUSED,
        Action.FORM_REFUSED,
        Action.COOKIE_REFUSED,
        Action.COOKIE_COPIED,
    }
)
"""What nobody does who uses the console as it is meant."""


@dataclass(frozen=True)
class Operator:
    """Somebody who may sign in; `password_hash` is werkzeug's scrypt form."""

    name: str
    role: Role
    password_hash: str
    disabled: bool
    must_change: bool
    added_ms: int
    last_sign_in_ms: int | None


@dataclass(frozen=True)
class SignIn:
    """An operator's sign-in; `id_hash` is the SHA-256 of its first cookie.

    `address` is the network address that it began at; `offered` is a sealed second factor that the operator
    is setting up and has not confirmed.
    """

    id_hash: bytes
    operator: str
    csrf: str
    started_ms: int
    seen_ms: int
    address: str = ""
    offered: bytes | None = None


@dataclass(frozen=True)
class Cookie:
    """One value of a sign-in's cookie, kept as its SHA-256; `replaced_ms` tells when it was renewed."""

    id_hash: bytes
    sign_in: bytes
    made_ms: int
    replaced_ms: int | None = None


@dataclass(frozen=True)
class HalfSignIn:
    """A password that was right, of an operator whose second factor has not been shown yet."""

    id_hash: bytes
    operator: str
    started_ms: int


@dataclass(frozen=True)
class SecondFactor:
    """An operator's second factor: its sealed secret, and the last time step of which a code was used."""

    operator: str
    sealed: bytes
    last_step: int
    since_ms: int


@dataclass(frozen=True)
class Attempts:
    """Failed attempts to sign in under one key (an operator's name, or an address)."""

    failures: int
    last_ms: int


@dataclass(frozen=True)
class AuditLine:
    """One thing that an operator did; the store numbers the lines.

    `about` are the accounts whose records were shown or changed, with blanks between them.
    """

    at_ms: int
    operator: str
    action: Action
    what: str
    detail: str
    about: str = ""
    line: int = 0


@dataclass(frozen=True)
class Sought:
    """Which audit lines are looked for: what is empty asks for any.

    `people` leaves out what operators looked at; `before` is the moment and the number of the line above
    the first one; moments are half-open.
    """

    limit: int
    people: bool = False
    operator: str = ""
    action: Action | None = None
    account: str = ""
    from_ms: int | None = None
    until_ms: int | None = None
    before: tuple[int, int] | None = None


class ConsoleTx(Protocol):
    """Looking, and inside `ConsoleStore.write` changing."""

    def operator(self, name: str) -> Operator | None:
        """The operator of that name."""
        ...

    def operators(self) -> list[Operator]:
        """All operators by name."""
        ...

    def put_operator(self, operator: Operator) -> None:
        """Add an operator, or change the one of that name."""
        ...

    def sign_in(self, id_hash: bytes) -> SignIn | None:
        """The sign-in of that hash."""
        ...

    def sign_ins_of(self, name: str) -> list[SignIn]:
        """An operator's sign-ins, the newest first."""
        ...

    def add_sign_in(self, sign_in: SignIn) -> None:
        """Begin a sign-in; its hash is that of its first cookie."""
        ...

    def see_sign_in(self, id_hash: bytes, seen_ms: int) -> None:
        """Note when a sign-in was last used."""
        ...

    def offer_factor(self, id_hash: bytes, sealed: bytes | None) -> None:
        """Keep the second factor that is being set up in a sign-in, or none."""
        ...

    def end_sign_in(self, id_hash: bytes) -> None:
        """End one sign-in, with all its cookies."""
        ...

    def end_sign_ins_of(self, name: str, but: bytes = b"") -> None:
        """End every sign-in of an operator, half-done ones too, but the one of that hash."""
        ...

    def forget_sign_ins(self, started_before_ms: int, seen_before_ms: int) -> None:
        """Drop sign-ins that began, or were last used, before those moments."""
        ...

    def cookie(self, id_hash: bytes) -> Cookie | None:
        """The cookie of that hash."""
        ...

    def renew_cookie(self, id_hash: bytes, cookie: Cookie) -> None:
        """Replace the cookie of that hash by a new one, at the moment at which that was made."""
        ...

    def half_sign_in(self, id_hash: bytes) -> HalfSignIn | None:
        """The half-done sign-in of that hash."""
        ...

    def add_half_sign_in(self, half: HalfSignIn) -> None:
        """Begin a half-done sign-in."""
        ...

    def end_half_sign_in(self, id_hash: bytes) -> None:
        """End a half-done sign-in."""
        ...

    def forget_half_sign_ins(self, started_before_ms: int) -> None:
        """Drop half-done sign-ins that began before that moment."""
        ...

    def second_factor(self, name: str) -> SecondFactor | None:
        """An operator's second factor, which they have confirmed."""
        ...

    def with_factors(self) -> dict[str, int]:
        """The operators who have a second factor, and since when."""
        ...

    def put_second_factor(self, factor: SecondFactor) -> None:
        """Give an operator a second factor, or note its last step."""
        ...

    def drop_second_factor(self, name: str) -> None:
        """Take an operator's second factor away."""
        ...

    def required_factors(self) -> frozenset[str]:
        """The roles that need a second factor."""
        ...

    def require_factors(self, roles: frozenset[str]) -> None:
        """Say which roles need a second factor."""
        ...

    def attempts(self, key: str) -> Attempts:
        """Failures under a key; none if there were none."""
        ...

    def put_attempts(self, key: str, attempts: Attempts) -> None:
        """Set the failures under a key; none forgets the key."""
        ...

    def forget_attempts(self, last_before_ms: int) -> None:
        """Drop keys whose last failure lies before that moment."""
        ...

    def write_audit(self, line: AuditLine) -> None:
        """Add a line to the audit; no line is ever changed or taken away."""
        ...

    def audit(self, sought: Sought) -> list[AuditLine]:
        """The newest lines of those that are looked for."""
        ...

    def audit_chain(self) -> Iterator[tuple[int, str, tuple[str | int, ...]]]:
        """Every line in its order, as headend.kit.chain follows them: number, hash, values."""
        ...

    def count_audit(self, action: Action, since_ms: int) -> int:
        """How many lines of an action there are since that moment."""
        ...


class ConsoleStore(Protocol):
    """The console's database."""

    def write(self, work: Callable[[ConsoleTx], T]) -> T:
        """Do `work` in one durable transaction; what it raises undoes it and is raised here."""
        ...

    def read(self) -> ConsoleTx:
        """Look at what has been committed."""
        ...

    def measured(self) -> list[tuple[str, float]]:
        """What the database tells Prometheus of itself; see `Engine.measured`."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...
