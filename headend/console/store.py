"""What the console keeps: operators, their sign-ins, attempts to sign in, and the audit.

Moments are Unix milliseconds of real time. `ConsoleStore.write` is one durable transaction.
"""

from collections.abc import Callable, Iterable
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
    """An operator's sign-in; `id_hash` is the SHA-256 of what the cookie holds."""

    id_hash: bytes
    operator: str
    csrf: str
    started_ms: int
    seen_ms: int


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

    def add_sign_in(self, sign_in: SignIn) -> None:
        """Begin a sign-in."""
        ...

    def see_sign_in(self, id_hash: bytes, seen_ms: int) -> None:
        """Note when a sign-in was last used."""
        ...

    def end_sign_in(self, id_hash: bytes) -> None:
        """End one sign-in."""
        ...

    def end_sign_ins_of(self, name: str) -> None:
        """End every sign-in of an operator."""
        ...

    def forget_sign_ins(self, started_before_ms: int, seen_before_ms: int) -> None:
        """Drop sign-ins that began, or were last used, before those moments."""
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

    def audit(
        self, actions: Iterable[Action], operator: str, before: int | None, limit: int
    ) -> list[AuditLine]:
        """The newest lines (below line `before`) of those actions, of one operator or (empty name) of all."""
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

    def close(self) -> None:
        """Let go of the database."""
        ...
