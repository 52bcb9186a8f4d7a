"""Lines that are chained by hash, so that one that is changed, taken away or slipped in is found.

The hash of a line is the SHA-256 of a JSON array (RFC 8259, no white space, UTF-8): the hash of the line
before, then the line's own values.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

GENESIS = "0" * 64
"""The hash before the first line."""

Value = str | int | None


@dataclass(frozen=True)
class Verdict:
    """What following a chain found: how many lines hold, the hash of the last, the number of a broken one."""

    lines: int
    head: str
    broken: int | None

    @property
    def holds(self) -> bool:
        """Whether every line does."""
        return self.broken is None


def link(before: str, values: Iterable[Value]) -> str:
    """The hash (hex) of a line with these values after the line of hash `before`.

    >>> link(GENESIS, [1, "a"])[:16]
    '1266e1eb61454636'
    """
    text = json.dumps([before, *values], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def follow(lines: Iterable[tuple[int, str, Iterable[Value]]]) -> Verdict:
    """Follow a chain from its beginning: lines as (number, hash as stored, values), in order.

    Numbers count up from 1 without gaps.
    """
    count, head = 0, GENESIS
    for number, stored, values in lines:
        if number != count + 1 or stored != link(head, values):
            return Verdict(count, head, count + 1)
        count, head = number, stored
    return Verdict(count, head, None)
