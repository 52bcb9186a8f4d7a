"""Box totals: the one figure that billing hands to analytics, through the disclosure table.

Written when a week closes, signed by billing (DSSE payload type `PayloadType.TOTALS`). It says how many boxes
there are in each region, rounded to 10, and how many tokens were issued: participation is not secret, and
nothing in it belongs to one account.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from shared.errors import StbError
from shared.weeks import NotAWeekError, Week

TOTALS_VERSION = 1
ROUNDED_TO = 10
MAX_TOTALS = 64 * 1024

_Name = Annotated[str, Meta(min_length=1, max_length=64)]
_Count = Annotated[int, Meta(ge=0, le=2**53)]


class BadTotalsError(StbError):
    """A totals file that is not accepted; the message says why."""


class BoxTotals(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What billing tells of one week.

    Attributes:
        v: The version, 1.
        week: Such as 2026-W41.
        boxes: Boxes by merged region, each rounded to 10; `none` is a region like others.
        accounts_drawn: Accounts that had a reporting box drawn.
        accounts_asked: Those whose reporting box asked for tokens; the floor is judged by it.
        issued: Tokens issued, by measure.
    """

    v: int = TOTALS_VERSION
    week: str
    boxes: dict[_Name, _Count]
    accounts_drawn: _Count
    accounts_asked: _Count
    issued: dict[_Name, _Count]


def read_totals(payload: bytes) -> tuple[Week, BoxTotals]:
    """Read a totals file whose signature has been verified.

    Raises:
        BadTotalsError: another form, version or week; a figure that is not rounded; more askers than drawn.
    """
    if len(payload) > MAX_TOTALS:
        raise BadTotalsError(f"larger than {MAX_TOTALS} bytes")
    try:
        found = msgspec.json.decode(payload, type=BoxTotals)
        week = Week.parse(found.week)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, NotAWeekError) as error:
        raise BadTotalsError(str(error)) from error
    if found.v != TOTALS_VERSION:
        raise BadTotalsError(f"this is version {found.v}")
    if any(count % ROUNDED_TO for count in found.boxes.values()):
        raise BadTotalsError(f"boxes by region are rounded to {ROUNDED_TO}")
    if found.accounts_asked > found.accounts_drawn:
        raise BadTotalsError("more accounts asked for tokens than were drawn")
    return week, found
