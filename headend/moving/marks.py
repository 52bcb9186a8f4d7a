"""The marks of a move that has begun: a file beside the old database, a table in the new one.

Both bear the move's own name, so that a second start goes on with its own target and with no other. While
the file stands, nothing opens the old database; while the table does, nothing opens the new one.
"""

import json
from typing import Any, Final

from headend.installation import Installation
from headend.kit.engine import Connection
from headend.kit.files import write_file, write_once
from headend.moving.tables import quoted
from shared.errors import StbError

_WHOLE: Final = ""
"""The row of the move itself; the others bear a table's name."""
_VERIFIED: Final = " verified"
_MAKE = (
    "CREATE TABLE moving (what TEXT PRIMARY KEY, upto TEXT NOT NULL, n BIGINT NOT NULL, done BIGINT NOT NULL)"
)
_PUT = (
    "INSERT INTO moving (what, upto, n, done) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (what) DO UPDATE SET upto = excluded.upto, n = excluded.n, done = excluded.done"
)


class TargetNotEmptyError(StbError):
    """The target holds rows that no move has put there."""


class OtherMoveError(StbError):
    """The target is being filled from another installation, or by a move that was given up."""


def name_of(installation: Installation, side: str, new_name: str) -> str:
    """The name of the move of a side: as its file says, which is written with `new_name` if there is none."""
    write_once(installation.moving_mark(side), new_name.encode())
    return name_here(installation, side) or new_name


def name_here(installation: Installation, side: str) -> str | None:
    """The name of the move of a side, if one has begun."""
    path = installation.moving_mark(side)
    return path.read_text().split()[0] if path.exists() else None


def verified(installation: Installation, side: str) -> bool:
    """Whether the move of a side has been verified, so that its settings may count."""
    return installation.moving_mark(side).read_text().endswith(_VERIFIED)


def set_verified(installation: Installation, side: str) -> None:
    """Record that."""
    write_file(installation.moving_mark(side), f"{name_here(installation, side)}{_VERIFIED}".encode())


def name_in(target: Connection) -> str | None:
    """The name of the move that fills the target, if one does."""
    if target.execute("SELECT to_regclass('moving')").fetchone()[0] is None:
        return None
    return str(target.execute("SELECT upto FROM moving WHERE what = ?", (_WHOLE,)).fetchone()[0])


def check_free(target: Connection, tables: list[str], mine: str | None) -> bool:
    """Whether the target is begun by the move `mine`; it is free if not.

    Raises:
        OtherMoveError: another move has begun it.
        TargetNotEmptyError: it holds something.
    """
    found = name_in(target)
    if found is not None:
        if found != mine:
            raise OtherMoveError("the target is being filled by another move; give it an empty database")
        return True
    full = [name for name in tables if _has_rows(target, name)]
    if full:
        raise TargetNotEmptyError(f"the target holds rows already: {', '.join(full)}")
    return False


def _has_rows(target: Connection, name: str) -> bool:
    return bool(target.execute(f"SELECT EXISTS (SELECT 1 FROM {quoted(name)})").fetchone()[0])


def begin(target: Connection, name: str) -> None:
    """Mark the target, in the transaction of the one who asks."""
    target.execute(_MAKE)
    target.execute(_PUT, (_WHOLE, name, 0, 0))


def position(target: Connection, table: str) -> tuple[list[Any] | None, int, bool]:
    """How far a table has come: the last key, how many rows, whether that is all."""
    row = target.execute("SELECT upto, n, done FROM moving WHERE what = ?", (table,)).fetchone()
    return (None, 0, False) if row is None else (_read(row[0]), row[1], bool(row[2]))


def advance(target: Connection, table: str, last: list[Any] | None, rows: int, *, done: bool) -> None:
    """Record how far a table has come, in the transaction that brought it there."""
    target.execute(_PUT, (table, _written(last), rows, done))


def reopen(target: Connection) -> None:
    """Say that not everything is there and the same: nobody may open the target."""
    target.execute("UPDATE moving SET done = 0 WHERE what = ?", (_WHOLE,))


def finish(target: Connection) -> None:
    """Say that everything is there and the same: from now on the target may be opened."""
    target.execute("UPDATE moving SET done = 1 WHERE what = ?", (_WHOLE,))


def remove(target: Connection) -> None:
    """Take the mark away."""
    target.execute("DROP TABLE IF EXISTS moving")


def _written(key: list[Any] | None) -> str:
    parts = None if key is None else [part.hex() if isinstance(part, bytes) else part for part in key]
    return json.dumps([parts, [isinstance(part, bytes) for part in key or ()]])


def _read(text: str) -> list[Any] | None:
    parts, binary = json.loads(text)
    if parts is None:
        return None
    return [bytes.fromhex(part) if is_bytes else part for part, is_bytes in zip(parts, binary, strict=True)]
