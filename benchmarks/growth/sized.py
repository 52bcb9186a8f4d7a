"""How large an installation is, and the names and places that follow from a box's number."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.clock import to_ms
from shared.weeks import Month, Week

ZONE = "Europe/Amsterdam"
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NOW_MS = to_ms(NOW)
RUNNING, TAKEN, CLOSED = Week(2026, 48), Week(2026, 47), Week(2026, 46)
"""At `NOW`: the week that boxes ask tokens for, the one whose fragments are taken, the one to be released."""
BILLED = Month(2026, 11)
BILL_MS = to_ms(datetime(2026, 12, 3, 1, 0, tzinfo=UTC))
"""When the newest week's orders are billed."""
HOUR_MS = 3_600_000
WEEK_MS = 7 * 24 * HOUR_MS
SIGNED_WEEKS = 17
"""An order's signed bytes and title stay until 92 days after its bill (the Netherlands): so long, about."""
CONSENTING = 0.62
DRAWN = 0.9
SILENT = 33
"""One box of so many."""
TAIL = 1_000
"""Ledger entries that are in no batch yet."""
DIGEST = 16


@dataclass(frozen=True, order=True)
class Size:
    """So many boxes, each with an account of its own and an order a week, over so many weeks."""

    boxes: int
    weeks: int

    @property
    def name(self) -> str:
        """Such as `10,000 boxes, 13 weeks`."""
        return f"{self.boxes:,} boxes, {self.weeks} week{'s' if self.weeks > 1 else ''}"


def box_of(number: int) -> str:
    """A box's id: as random as those that are given out."""
    return f"bx{hashlib.sha256(f'box {number}'.encode()).hexdigest()[:DIGEST]}"


def account_of(number: int) -> str:
    """Its account's name."""
    return f"acc-{number:08}"


def ordered_ms(number: int, age: int) -> int:
    """When a box ordered, `age` weeks ago: some moment of that week."""
    return NOW_MS - (age + 1) * WEEK_MS + (number * 7_919_993) % (WEEK_MS - HOUR_MS)


def heard_ms(number: int) -> int:
    """When a box was last heard: within a day, at a moment of its own; 3 % have been silent for days."""
    ago_ms = (number * 7_919_993) % (24 * HOUR_MS)
    return NOW_MS - ago_ms - (3 * 24 * HOUR_MS if number % SILENT == 0 else 0)


def drawn_of(size: Size) -> int:
    """How many boxes, from the first on, report this week."""
    return round(DRAWN * size.boxes)
