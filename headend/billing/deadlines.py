"""Deadlines: periods of days and months, which end with a day's last hour where the account is.

The day of the event does not count, and a month ends with the day of the same number, or with the month's
last day (Regulation 1182/71, article 3).
"""

import calendar
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.clock import from_ms, to_ms

_MONTHS_OF_YEAR = 12


def days_later(at_ms: int, days: int, zone: ZoneInfo) -> int:
    """The end of a period of days that an instant begins, in Unix milliseconds; exclusive.

    >>> zone = ZoneInfo("Europe/Amsterdam")
    >>> from_ms(days_later(1_785_708_000_000, 92, zone)).astimezone(zone).isoformat()  # 3 August 2026
    '2026-11-04T00:00:00+01:00'
    """
    return _end_of(_day(at_ms, zone) + timedelta(days=days), zone)


def months_later(at_ms: int, months: int, zone: ZoneInfo) -> int:
    """The end of a period of months that an instant begins, in Unix milliseconds; exclusive.

    >>> zone = ZoneInfo("Europe/Amsterdam")
    >>> from_ms(months_later(1_738_314_000_000, 1, zone)).astimezone(zone).isoformat()  # 31 January 2025
    '2025-03-01T00:00:00+01:00'
    """
    day = _day(at_ms, zone)
    number = day.month - 1 + months
    year, month = day.year + number // _MONTHS_OF_YEAR, number % _MONTHS_OF_YEAR + 1
    last = min(day.day, calendar.monthrange(year, month)[1])
    return _end_of(date(year, month, last), zone)


def _day(at_ms: int, zone: ZoneInfo) -> date:
    return from_ms(at_ms).astimezone(zone).date()


def _end_of(day: date, zone: ZoneInfo) -> int:
    return to_ms(datetime.combine(day + timedelta(days=1), time(), tzinfo=zone))
