"""The anonymous line's one message: a fragment, eight bytes that carry a cell and nothing else.

    version (1) | measure number (1) | ISO year (2) | ISO week (1) | cell (2) | value (1)

Big-endian. Cell 0 is `none`, with value 0. Of a one-minute or untimed measure the value is 1; of a timed
measure it is k, the sixteenths of the volume that were viewed, 0 to 16. Every fragment has one size, so has
every sealed request and every sealed answer.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache

from shared.errors import StbError
from shared.register import SIXTEENTHS, Kind
from shared.weeks import NotAWeekError, Week

FRAGMENT_VERSION = 1
FRAGMENT_SIZE = 8
FRAGMENT_TYPE = "application/vnd.stb-telemetry.fragment"
FRAGMENT_AUTHORITY = "analytics.invalid"
"""The inner request's authority; the name can exist nowhere (RFC 6761), so it marks nobody."""
FRAGMENT_PATH = "/fragment"
INNER_REQUEST_SIZE = 768
"""Every inner binary HTTP request is padded to this many bytes (RFC 9292 section 3.8)."""
INNER_ANSWER_SIZE = 128
"""Likewise every inner answer."""
NONE_CELL = 0

_LAYOUT = struct.Struct(">BBHBHB")


class MalformedFragmentError(StbError):
    """The bytes are no fragment."""


@dataclass(frozen=True)
class Fragment:
    """One single fact: a bounded amount for one cell of one measure in one week."""

    measure_number: int
    week: Week
    cell: int
    value: int

    def encode(self) -> bytes:
        """Its eight bytes."""
        return _LAYOUT.pack(
            FRAGMENT_VERSION, self.measure_number, self.week.year, self.week.number, self.cell, self.value
        )

    @classmethod
    def decode(cls, raw: bytes) -> "Fragment":
        """Read eight bytes.

        Raises:
            MalformedFragmentError: another size or version, or a week that is in no calendar.
        """
        if len(raw) != FRAGMENT_SIZE:
            raise MalformedFragmentError("a fragment has eight bytes")
        version, measure, year, number, cell, value = _LAYOUT.unpack(raw)
        if version != FRAGMENT_VERSION:
            raise MalformedFragmentError("unknown version")
        return cls(measure, _week(year, number), cell, value)


@lru_cache(maxsize=8)
def _week(year: int, number: int) -> Week:
    """A week of the calendar; all fragments of a day name one or two."""
    try:
        return Week.parse(f"{year:04}-W{number:02}")
    except NotAWeekError as error:
        raise MalformedFragmentError("no such week") from error


def value_fits(kind: Kind, cell: int, value: int) -> bool:
    """Whether a value is one that a box may send for this kind and cell."""
    if cell == NONE_CELL:
        return value == 0
    return 0 <= value <= SIXTEENTHS if kind is Kind.TIMED else value == 1
