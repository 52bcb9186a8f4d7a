"""Times in XMLTV, as its DTD describes them: `20261122030000 +0100`, from the left as long as is known.

"All dates and times in this DTD follow the same format, loosely based on ISO 8601. They can be
'YYYYMMDDhhmmss' or some initial substring … optionally followed by a timezone; if no explicit timezone is
given, UTC is assumed." A year or a month alone is no start of a programme and is refused.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

from shared.clock import to_ms

_FORM = re.compile(
    r"(\d{4})(\d\d)(\d\d)(\d\d)?(\d\d)?(\d\d)?(?:\s*(UTC|GMT|Z|[+-]\d{4}|[+-]\d\d:\d\d))?", re.ASCII
)
_MAX_OFFSET = 24 * 60


def xmltv_ms(text: str) -> int | None:
    """Unix milliseconds of a time, or None if it is none.

    >>> xmltv_ms("20261122030000 +0100") == xmltv_ms("202611220200")
    True
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    zone = _zone(match[7])
    if zone is None:
        return None
    try:
        # A leap second is told as 60; it is the next minute's first.
        at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)
        return to_ms(at.astimezone(UTC)) + (1000 if second == 60 else 0)  # noqa: PLR2004
    except (ValueError, OverflowError):
        return None


def _zone(text: str | None) -> timezone | None:
    if text is None or text in {"UTC", "GMT", "Z"}:
        return UTC
    digits = text.replace(":", "")
    minutes = int(digits[1:3]) * 60 + int(digits[3:5])
    if minutes >= _MAX_OFFSET or int(digits[3:5]) >= 60:  # noqa: PLR2004
        return None
    return timezone(timedelta(minutes=minutes if digits[0] == "+" else -minutes))
