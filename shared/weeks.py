"""Weeks of viewing days, and months of bills.

A viewing day runs from 02:00 to 26:00 local time (the field's convention), a week is the ISO week of
such days: Monday 02:00 to the next Monday 02:00. Where 02:00 occurs twice the first counts, where it
does not exist 03:00 local does. Every range is half-open, in UTC.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.errors import StbError

DAY_STARTS_AT = 2
_WEEK = re.compile(r"(\d{4})-W(\d{2})")
_MONTH = re.compile(r"(\d{4})-(\d{2})")


class NotAWeekError(StbError):
    """The text names no ISO week."""


class NotAMonthError(StbError):
    """The text names no month."""


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which viewing day `day` starts, in UTC.

    >>> day_start(date(2026, 10, 25), ZoneInfo("Europe/Amsterdam")).isoformat()
    '2026-10-25T00:00:00+00:00'
    """
    # fold=0 takes the first of two 02:00s; for a 02:00 that does not exist it yields the offset before
    # the gap, so that 02:00 becomes the instant at which the clocks show 03:00.
    return datetime.combine(day, time(DAY_STARTS_AT), tzinfo=zone).astimezone(UTC)


def viewing_day(instant: datetime, zone: ZoneInfo) -> date:
    """The viewing day that an aware instant belongs to."""
    local = instant.astimezone(zone).date()
    return local if instant >= day_start(local, zone) else local - timedelta(days=1)


@dataclass(frozen=True, order=True)
class Week:
    """An ISO week of viewing days, such as 2026-W41."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> "Week":
        """Read `2026-W41`.

        Raises:
            NotAWeekError: the text has another form, or that year has no such week.
        """
        match = _WEEK.fullmatch(text)
        if match is None:
            raise NotAWeekError(f"{text!r} is not of the form 2026-W41")
        week = cls(int(match[1]), int(match[2]))
        try:
            week.monday()
        except ValueError as error:
            raise NotAWeekError(f"{text} is not in the calendar") from error
        return week

    @classmethod
    def of(cls, instant: datetime, zone: ZoneInfo) -> "Week":
        """The week that an instant belongs to."""
        iso = viewing_day(instant, zone).isocalendar()
        return cls(iso.year, iso.week)

    def monday(self) -> date:
        """Its first viewing day."""
        return date.fromisocalendar(self.year, self.number, 1)

    def plus(self, weeks: int) -> "Week":
        """The week that lies `weeks` later (earlier, if negative)."""
        iso = (self.monday() + timedelta(weeks=weeks)).isocalendar()
        return Week(iso.year, iso.week)

    def weeks_since(self, other: "Week") -> int:
        """How many weeks lie from `other` to this one."""
        return (self.monday() - other.monday()).days // 7

    def start(self, zone: ZoneInfo) -> datetime:
        """Its first instant, in UTC."""
        return day_start(self.monday(), zone)

    def end(self, zone: ZoneInfo) -> datetime:
        """The first instant after it, in UTC."""
        return self.plus(1).start(zone)

    def closes(self, zone: ZoneInfo) -> datetime:
        """From this instant on its fragments are refused: seven viewing days after its end."""
        return self.plus(2).start(zone)

    def __str__(self) -> str:
        return f"{self.year:04}-W{self.number:02}"


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month, cut in an account's zone."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> "Month":
        """Read `2026-10`.

        Raises:
            NotAMonthError: the text has another form or no such month exists.
        """
        match = _MONTH.fullmatch(text)
        if match is None or not 1 <= int(match[2]) <= 12 or int(match[1]) < 1:  # noqa: PLR2004 (months)
            raise NotAMonthError(f"{text!r} is not of the form 2026-10")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of(cls, instant: datetime, zone: ZoneInfo) -> "Month":
        """The month that an instant belongs to where `zone` is the time."""
        local = instant.astimezone(zone)
        return cls(local.year, local.month)

    def plus(self, months: int) -> "Month":
        """The month that lies `months` later."""
        index = self.year * 12 + self.number - 1 + months
        return Month(index // 12, index % 12 + 1)

    def start(self, zone: ZoneInfo) -> datetime:
        """Its first instant, in UTC."""
        return datetime(self.year, self.number, 1, tzinfo=zone).astimezone(UTC)

    def end(self, zone: ZoneInfo) -> datetime:
        """The first instant after it, in UTC."""
        return self.plus(1).start(zone)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"
