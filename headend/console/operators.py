"""Operators: added, disabled, given a role or a new password, by an admin or on the command line."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

from headend.console.lockout import forgive_operator
from headend.console.passwords import hash_password, make_password
from headend.console.store import Action, AuditLine, ConsoleStore, ConsoleTx, Operator, Role
from headend.kit.http import RefusedError
from shared.clock import Clock, to_ms

COMMAND_LINE = "(command line)"
"""Who did it, in the audit, where nobody was signed in; no operator can have such a name."""
_NAME = re.compile(r"[a-z][a-z0-9._-]{1,31}")


class OperatorNameError(RefusedError):
    """The name is not one that an operator can have."""

    name = "operator-name"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class OperatorExistsError(RefusedError):
    """There is an operator of that name; names are never given twice."""

    name = "operator-exists"
    status = HTTPStatus.CONFLICT


class UnknownOperatorError(RefusedError):
    """There is no operator of that name."""

    name = "unknown-operator"
    status = HTTPStatus.NOT_FOUND


class UnknownRoleError(RefusedError):
    """There is no such role."""

    name = "unknown-role"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class LastAdminError(RefusedError):
    """That would leave nobody to look after operators."""

    name = "last-admin"
    status = HTTPStatus.CONFLICT


def role_of(text: str) -> Role:
    """The role of that name.

    Raises:
        UnknownRoleError: there is none.
    """
    try:
        return Role(text)
    except ValueError as error:
        raise UnknownRoleError(f"The roles are {', '.join(Role)}.") from error


class Operators:
    """The operators of one store. `by` is the name of who does it, for the audit."""

    def __init__(
        self, store: ConsoleStore, clock: Clock, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._store = store
        self._clock = clock
        self._random = random_bytes

    def list_operators(self) -> list[Operator]:
        """All operators by name, disabled ones too."""
        return self._store.read().operators()

    def add_operator(
        self, name: str, role: str, password: str, *, must_change: bool = True, by: str = COMMAND_LINE
    ) -> Operator:
        """Add an operator, who has to choose a password of their own first unless told otherwise.

        Raises:
            OperatorNameError: not 2 to 32 of a-z, 0-9, dot, dash, underscore, beginning with a letter.
            OperatorExistsError: the name is taken.
            UnknownRoleError: no such role.
            PasswordRefusedError: too weak.
        """
        if not _NAME.fullmatch(name):
            raise OperatorNameError("A name is 2 to 32 of a-z, 0-9, . _ - and begins with a letter.")
        kept = hash_password(name, password)
        operator = Operator(name, role_of(role), kept, False, must_change, self._now(), None)  # noqa: FBT003 (a row's columns in their order)

        def work(tx: ConsoleTx) -> Operator:
            if tx.operator(name) is not None:
                raise OperatorExistsError(f"There is an operator {name}.")
            tx.put_operator(operator)
            tx.write_audit(AuditLine(self._now(), by, Action.ADDED, name, operator.role))
            return operator

        return self._store.write(work)

    def disable(self, name: str, by: str = COMMAND_LINE) -> None:
        """Let an operator in no more, and end their sign-ins.

        Raises:
            UnknownOperatorError: nobody has that name.
            LastAdminError: it is the last admin.
        """
        self._change(name, by, Action.DISABLED, lambda operator: replace(operator, disabled=True))

    def enable(self, name: str, by: str = COMMAND_LINE) -> None:
        """Let an operator in again.

        Raises:
            UnknownOperatorError: nobody has that name.
        """
        self._change(name, by, Action.ENABLED, lambda operator: replace(operator, disabled=False))

    def change_role(self, name: str, role: str, by: str = COMMAND_LINE) -> None:
        """Give an operator another role; they have to sign in again.

        Raises:
            UnknownOperatorError: nobody has that name.
            UnknownRoleError: no such role.
            LastAdminError: it is the last admin.
        """
        wanted = role_of(role)
        self._change(
            name, by, Action.ROLE_CHANGED, lambda operator: replace(operator, role=wanted), detail=wanted
        )

    def reset_password(self, name: str, by: str = COMMAND_LINE) -> str:
        """Give an operator a random password, to be changed at once, and take their second factor away.

        Their lockout ends too.

        Raises:
            UnknownOperatorError: nobody has that name.
        """
        password = make_password(self._random)
        kept = hash_password(name, password)
        self._change(
            name,
            by,
            Action.PASSWORD_RESET,
            lambda operator: replace(operator, password_hash=kept, must_change=True),
        )
        return password

    def choose_password(self, name: str, password: str) -> None:
        """An operator's own new password; every sign-in of theirs ends.

        Raises:
            PasswordRefusedError: too weak.
            UnknownOperatorError: nobody has that name.
        """
        kept = hash_password(name, password)
        self._change(
            name,
            name,
            Action.PASSWORD_CHANGED,
            lambda operator: replace(operator, password_hash=kept, must_change=False),
        )

    def _now(self) -> int:
        return to_ms(self._clock.now())

    def _change(
        self, name: str, by: str, action: Action, change: Callable[[Operator], Operator], *, detail: str = ""
    ) -> None:
        def work(tx: ConsoleTx) -> None:
            operator = tx.operator(name)
            if operator is None:
                raise UnknownOperatorError(f"There is no operator {name}.")
            admins = _admins(tx)
            tx.put_operator(change(operator))
            if admins and not _admins(tx):
                raise LastAdminError("That would leave no admin who can sign in.")
            tx.end_sign_ins_of(name)
            told = _reset(tx, name) if action is Action.PASSWORD_RESET else detail
            tx.write_audit(AuditLine(self._now(), by, action, name, told))

        self._store.write(work)


def _reset(tx: ConsoleTx, name: str) -> str:
    """What goes with a password that an admin resets: the lockout and the second factor."""
    forgive_operator(tx, name)
    if tx.second_factor(name) is None:
        return ""
    tx.drop_second_factor(name)
    return "and second factor"


def _admins(tx: ConsoleTx) -> int:
    return sum(operator.role is Role.ADMIN and not operator.disabled for operator in tx.operators())
