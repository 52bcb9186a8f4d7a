"""Dayparts: the stretches of a viewing day that audience figures are told by."""

from datetime import datetime
from zoneinfo import ZoneInfo

from shared.weeks import DAY_STARTS_AT

DAYPARTS = ("02-06", "06-12", "12-17", "17-19", "19-23", "23-26")
_ENDS = tuple(int(part.split("-")[1]) for part in DAYPARTS)


def daypart(instant: datetime, zone: ZoneInfo) -> str:
    """The daypart whose hours the wall clock shows at `instant`.

    >>> from datetime import UTC
    >>> daypart(datetime(2026, 10, 5, 22, 30, tzinfo=UTC), ZoneInfo("Europe/Amsterdam"))
    '23-26'
    """
    hour = instant.astimezone(zone).hour
    clock = hour if hour >= DAY_STARTS_AT else hour + 24
    return next(part for part, end in zip(DAYPARTS, _ENDS, strict=True) if clock < end)
