"""Where the two paths meet: the week's directory, and tokens that nobody can link to who asked for them.

The named path puts in, the anonymous path takes out. Nothing here says whose box this is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from box_agent.dues import WAITING
from box_agent.store import Door

EQUAL, DIFFERS = "equal", "differs"


@dataclass(frozen=True)
class Pending:
    """One token between request and answer; `stored` is `shared.tokens.PendingToken.to_bytes`."""

    measure: str
    number: int
    stored: bytes


class Wallet:
    """Tokens and directories by week (such as 2026-W41)."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def keep_pending(self, week: str, directory: bytes, pending: Sequence[Pending]) -> None:
        """Store the directory and all that is needed to finish the tokens, before anything is sent."""
        with self._door.transaction():
            self._door.write(
                "INSERT OR REPLACE INTO directories (week, named, tries, verdict) VALUES (?, ?, 0, ?)",
                (week, directory, WAITING),
            )
            self._door.write_many(
                "INSERT INTO wallet (week, measure, number, pending) VALUES (?, ?, ?, ?)",
                [(week, one.measure, one.number, one.stored) for one in pending],
            )

    def directory(self, week: str) -> bytes | None:
        """The directory as the named line brought it."""
        row = self._door.row("SELECT named FROM directories WHERE week = ?", (week,))
        return row[0] if row else None

    def pending(self, week: str) -> list[Pending]:
        """What was asked for and not answered, in the order of the asking."""
        rows = self._door.rows(
            "SELECT measure, number, pending FROM wallet WHERE week = ? AND pending IS NOT NULL"
            " ORDER BY measure, number",
            (week,),
        )
        return [Pending(*row) for row in rows]

    def finish(self, week: str, asked: Sequence[Pending], tokens: Sequence[bytes]) -> None:
        """Put tokens in place of what was pending; those dropped meanwhile stay dropped."""
        self._door.write_many(
            "UPDATE wallet SET token = ?, pending = NULL WHERE week = ? AND measure = ? AND number = ?"
            " AND pending IS NOT NULL",
            [(token, week, one.measure, one.number) for one, token in zip(asked, tokens, strict=True)],
        )

    def tokens(self, week: str) -> dict[str, list[bytes]]:
        """The tokens of a week by measure; empty while any of them is pending."""
        found: dict[str, list[bytes]] = {}
        rows = self._door.rows(
            "SELECT measure, token FROM wallet WHERE week = ? ORDER BY measure, number", (week,)
        )
        for measure, token in rows:
            if token is None:
                return {}
            found.setdefault(measure, []).append(token)
        return found

    def drop_tokens(self, week: str) -> None:
        """Destroy a week's tokens and what could make some."""
        self._door.write("DELETE FROM wallet WHERE week = ?", (week,))

    def drop(self, week: str) -> None:
        """Likewise, and the directory with them."""
        with self._door.transaction():
            self.drop_tokens(week)
            self._door.write("DELETE FROM directories WHERE week = ?", (week,))
