"""The lines of the console's audit in its database: added with their hashes, found, followed."""

from collections.abc import Iterator
from dataclasses import replace

from headend.console.store import Action, AuditLine, Sought
from headend.kit.chain import GENESIS, link
from headend.kit.engine import Connection

_COLUMNS = "audit.line, audit.at_ms, audit.operator, audit.action, audit.what, audit.detail, audit.about"
# As the index of those lines says it, so that it is used.
_PEOPLE = "audit.action NOT IN ('looked', 'downloaded', 'did')"

Condition = tuple[str, tuple[str | int, ...]]


def add(database: Connection, line: AuditLine) -> None:
    """Add a line after the last one, chained to it; the number that it has been given does not count."""
    last = database.execute("SELECT line, hash FROM audit ORDER BY line DESC LIMIT 1").fetchone()
    number, before = (0, GENESIS) if last is None else last
    values = _values(replace(line, line=number + 1))
    database.execute(
        "INSERT INTO audit (line, at_ms, operator, action, what, detail, about, hash)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (*values, link(before, values)),
    )
    database.executemany(
        "INSERT INTO audit_about (account, at_ms, line) VALUES (?, ?, ?)",
        [(account, line.at_ms, number + 1) for account in sorted(set(line.about.split()))],
    )


def find(database: Connection, sought: Sought) -> list[AuditLine]:
    """The newest lines of those looked for, by their moment and then their number."""
    index = "audit_about" if sought.account else "audit"
    moment, number = f"{index}.at_ms", f"{index}.line"
    table = "audit_about JOIN audit USING (line)" if sought.account else "audit"
    wanted = list(_conditions(sought, moment, number))
    where = " AND ".join(text for text, _ in wanted) or "1 = 1"
    rows = database.execute(
        f"SELECT {_COLUMNS} FROM {table} WHERE {where}"  # noqa: S608 (all its pieces are this room's own)
        f" ORDER BY {moment} DESC, {number} DESC LIMIT ?",
        (*(value for _, values in wanted for value in values), sought.limit),
    )
    return [
        AuditLine(at_ms, who, Action(done), what, detail, about, line)
        for line, at_ms, who, done, what, detail, about in rows
    ]


def in_order(database: Connection) -> Iterator[tuple[int, str, tuple[str | int, ...]]]:
    """Every line from the first: its number, its hash as stored, the values that the hash is over."""
    for hashed, *values in database.execute(
        "SELECT hash, line, at_ms, operator, action, what, detail, about FROM audit ORDER BY line"
    ):
        yield values[0], hashed, tuple(values)


def _conditions(sought: Sought, moment: str, number: str) -> Iterator[Condition]:
    if sought.account:
        yield "audit_about.account = ?", (sought.account,)
    if sought.people:
        yield _PEOPLE, ()
    if sought.operator:
        yield "audit.operator = ?", (sought.operator,)
    if sought.action is not None:
        yield "audit.action = ?", (sought.action.value,)
    if sought.from_ms is not None:
        yield f"{moment} >= ?", (sought.from_ms,)
    if sought.until_ms is not None:
        yield f"{moment} < ?", (sought.until_ms,)
    if sought.before is not None:
        yield f"({moment}, {number}) < (?, ?)", sought.before


def _values(line: AuditLine) -> tuple[str | int, ...]:
    return (line.line, line.at_ms, line.operator, line.action.value, line.what, line.detail, line.about)
