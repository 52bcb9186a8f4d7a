"""Statements as PostgreSQL's driver wants them, from how they are written here."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

_HINTS = re.compile(r"\s*\b(?:NOT INDEXED|INDEXED BY \w+)")
_MARKS = re.compile(r"'[^']*'|\?(\d+)|\?|%")


class Spelled(NamedTuple):
    """A statement with the driver's own marks; `numbered` says that values are named p1, p2 and on."""

    text: str
    numbered: bool

    def bind(self, values: Sequence[Any]) -> Sequence[Any] | dict[str, Any] | None:
        """The values as the driver takes them with this text."""
        if self.numbered:
            return {f"p{place}": value for place, value in enumerate(values, 1)}
        return values or None


@lru_cache(maxsize=1024)
def spelled(sql: str, *, bare: bool) -> Spelled:
    """A statement for PostgreSQL: other marks for values, and no hints at an index.

    `bare` says that there are no values: the driver then leaves percent signs alone.

    >>> spelled("SELECT a FROM t INDEXED BY t_by_b WHERE b = ? AND c <> '?'", bare=False)
    Spelled(text="SELECT a FROM t WHERE b = %s AND c <> '?'", numbered=False)
    >>> spelled("SELECT a FROM t WHERE b > ?1 OR c > ?1", bare=False)
    Spelled(text='SELECT a FROM t WHERE b > %(p1)s OR c > %(p1)s', numbered=True)
    """
    numbered = False

    def mark(found: re.Match[str]) -> str:
        nonlocal numbered
        if found[1]:
            numbered = True
            return f"%(p{found[1]})s"
        if found[0] == "?":
            return "%s"
        return found[0] if bare else found[0].replace("%", "%%")

    return Spelled(_MARKS.sub(mark, _HINTS.sub("", sql)), numbered)
