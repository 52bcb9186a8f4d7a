"""The console's database in SQL, over either engine; see headend.console.store for what each method means."""

from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any, TypeVar

from headend.console import audit_lines
from headend.console.store import (
    Action,
    Attempts,
    AuditLine,
    ConsoleTx,
    Cookie,
    HalfSignIn,
    Operator,
    Role,
    SecondFactor,
    SignIn,
    Sought,
)
from headend.kit.engine import Connection, Engine, Shelf
from headend.kit.storage import StorageError

T = TypeVar("T")

_OPERATOR = "name, role, password_hash, disabled, must_change, added_ms, last_sign_in_ms"
_SIGN_IN = "id_hash, operator, csrf, started_ms, seen_ms, address, offered"


class WrongStampError(StorageError):
    """A simulated installation's database opened as a real one, or the other way round."""


class SqlConsoleTx:
    """`ConsoleTx` over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def operator(self, name: str) -> Operator | None:
        row = self._db.execute(f"SELECT {_OPERATOR} FROM operators WHERE name = ?", (name,)).fetchone()
        return None if row is None else _operator(row)

    def operators(self) -> list[Operator]:
        rows = self._db.execute(f"SELECT {_OPERATOR} FROM operators ORDER BY name")
        return [_operator(row) for row in rows]

    def put_operator(self, operator: Operator) -> None:
        self._db.execute(
            f"INSERT INTO operators ({_OPERATOR}) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET role = excluded.role,"
            " password_hash = excluded.password_hash, disabled = excluded.disabled,"
            " must_change = excluded.must_change, last_sign_in_ms = excluded.last_sign_in_ms",
            astuple(operator),
        )

    def sign_in(self, id_hash: bytes) -> SignIn | None:
        row = self._db.execute(f"SELECT {_SIGN_IN} FROM sign_ins WHERE id_hash = ?", (id_hash,)).fetchone()
        return None if row is None else SignIn(*row)

    def sign_ins_of(self, name: str) -> list[SignIn]:
        rows = self._db.execute(
            f"SELECT {_SIGN_IN} FROM sign_ins WHERE operator = ? ORDER BY started_ms DESC", (name,)
        )
        return [SignIn(*row) for row in rows]

    def add_sign_in(self, sign_in: SignIn) -> None:
        self._db.execute(f"INSERT INTO sign_ins ({_SIGN_IN}) VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(sign_in))
        self._add_cookie(Cookie(sign_in.id_hash, sign_in.id_hash, sign_in.started_ms))

    def see_sign_in(self, id_hash: bytes, seen_ms: int) -> None:
        self._db.execute("UPDATE sign_ins SET seen_ms = ? WHERE id_hash = ?", (seen_ms, id_hash))

    def offer_factor(self, id_hash: bytes, sealed: bytes | None) -> None:
        self._db.execute("UPDATE sign_ins SET offered = ? WHERE id_hash = ?", (sealed, id_hash))

    def end_sign_in(self, id_hash: bytes) -> None:
        self._db.execute("DELETE FROM sign_ins WHERE id_hash = ?", (id_hash,))

    def end_sign_ins_of(self, name: str, but: bytes = b"") -> None:
        self._db.execute("DELETE FROM sign_ins WHERE operator = ? AND id_hash <> ?", (name, but))
        self._db.execute("DELETE FROM half_sign_ins WHERE operator = ?", (name,))

    def forget_sign_ins(self, started_before_ms: int, seen_before_ms: int) -> None:
        self._db.execute(
            "DELETE FROM sign_ins WHERE started_ms < ? OR seen_ms < ?", (started_before_ms, seen_before_ms)
        )

    def cookie(self, id_hash: bytes) -> Cookie | None:
        row = self._db.execute(
            "SELECT id_hash, sign_in, made_ms, replaced_ms FROM cookies WHERE id_hash = ?", (id_hash,)
        ).fetchone()
        return None if row is None else Cookie(*row)

    def renew_cookie(self, id_hash: bytes, cookie: Cookie) -> None:
        self._db.execute("UPDATE cookies SET replaced_ms = ? WHERE id_hash = ?", (cookie.made_ms, id_hash))
        self._add_cookie(cookie)

    def half_sign_in(self, id_hash: bytes) -> HalfSignIn | None:
        row = self._db.execute(
            "SELECT id_hash, operator, started_ms FROM half_sign_ins WHERE id_hash = ?", (id_hash,)
        ).fetchone()
        return None if row is None else HalfSignIn(*row)

    def add_half_sign_in(self, half: HalfSignIn) -> None:
        self._db.execute(
            "INSERT INTO half_sign_ins (id_hash, operator, started_ms) VALUES (?, ?, ?)", astuple(half)
        )

    def end_half_sign_in(self, id_hash: bytes) -> None:
        self._db.execute("DELETE FROM half_sign_ins WHERE id_hash = ?", (id_hash,))

    def forget_half_sign_ins(self, started_before_ms: int) -> None:
        self._db.execute("DELETE FROM half_sign_ins WHERE started_ms < ?", (started_before_ms,))

    def second_factor(self, name: str) -> SecondFactor | None:
        row = self._db.execute(
            "SELECT operator, sealed, last_step, since_ms FROM second_factors WHERE operator = ?", (name,)
        ).fetchone()
        return None if row is None else SecondFactor(*row)

    def with_factors(self) -> dict[str, int]:
        return dict(self._db.execute("SELECT operator, since_ms FROM second_factors").fetchall())

    def put_second_factor(self, factor: SecondFactor) -> None:
        self._db.execute(
            "INSERT INTO second_factors (operator, sealed, last_step, since_ms) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (operator) DO UPDATE SET sealed = excluded.sealed,"
            " last_step = excluded.last_step, since_ms = excluded.since_ms",
            astuple(factor),
        )

    def drop_second_factor(self, name: str) -> None:
        self._db.execute("DELETE FROM second_factors WHERE operator = ?", (name,))

    def required_factors(self) -> frozenset[str]:
        return frozenset(role for (role,) in self._db.execute("SELECT role FROM required_factors"))

    def require_factors(self, roles: frozenset[str]) -> None:
        self._db.execute("DELETE FROM required_factors")
        self._db.executemany("INSERT INTO required_factors (role) VALUES (?)", [(role,) for role in roles])

    def attempts(self, key: str) -> Attempts:
        row = self._db.execute("SELECT failures, last_ms FROM attempts WHERE key = ?", (key,)).fetchone()
        return Attempts(0, 0) if row is None else Attempts(*row)

    def put_attempts(self, key: str, attempts: Attempts) -> None:
        self._db.execute("DELETE FROM attempts WHERE key = ?", (key,))
        if attempts.failures > 0:
            self._db.execute(
                "INSERT INTO attempts (key, failures, last_ms) VALUES (?, ?, ?)", (key, *astuple(attempts))
            )

    def forget_attempts(self, last_before_ms: int) -> None:
        self._db.execute("DELETE FROM attempts WHERE last_ms < ?", (last_before_ms,))

    def write_audit(self, line: AuditLine) -> None:
        audit_lines.add(self._db, line)

    def audit(self, sought: Sought) -> list[AuditLine]:
        return audit_lines.find(self._db, sought)

    def audit_chain(self) -> Iterator[tuple[int, str, tuple[str | int, ...]]]:
        return audit_lines.in_order(self._db)

    def count_audit(self, action: Action, since_ms: int) -> int:
        row = self._db.execute(
            "SELECT count(*) FROM audit WHERE action = ? AND at_ms >= ?", (action, since_ms)
        ).fetchone()
        return int(row[0])

    def _add_cookie(self, cookie: Cookie) -> None:
        self._db.execute(
            "INSERT INTO cookies (id_hash, sign_in, made_ms, replaced_ms) VALUES (?, ?, ?, ?)",
            astuple(cookie),
        )

    def stamp(self, *, simulated: bool) -> None:
        """Mark the database as a simulated or a real installation's, once and for all.

        Raises:
            WrongStampError: it is marked as the other.
        """
        self._db.execute(
            "INSERT INTO installation (id, simulated) VALUES (1, ?) ON CONFLICT DO NOTHING", (simulated,)
        )
        (found,) = self._db.execute("SELECT simulated FROM installation").fetchone()
        if bool(found) != simulated:
            raise WrongStampError("the console's database is stamped otherwise (simulated or real)")


class SqlConsole:
    """`ConsoleStore` over one engine."""

    def __init__(self, storage: Engine, *, simulated: bool) -> None:
        self._storage = storage
        try:
            self._storage.write(lambda connection: SqlConsoleTx(connection).stamp(simulated=simulated))
        except StorageError:
            self._storage.close()
            raise

    def write(self, work: Callable[[ConsoleTx], T]) -> T:
        return self._storage.write(lambda connection: work(SqlConsoleTx(connection)))

    def read(self) -> ConsoleTx:
        return SqlConsoleTx(self._storage.read())

    def shelf(self, folder: Path) -> Shelf:
        return self._storage.shelf(folder)

    def measured(self) -> list[tuple[str, float]]:
        return self._storage.measured()

    def close(self) -> None:
        self._storage.close()


def _operator(row: Any) -> Operator:  # noqa: ANN401 (a row of the driver)
    return Operator(
        row["name"],
        Role(row["role"]),
        row["password_hash"],
        bool(row["disabled"]),
        bool(row["must_change"]),
        row["added_ms"],
        row["last_sign_in_ms"],
    )
