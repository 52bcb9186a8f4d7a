"""What an XMLTV file says, told a second time: the whole file as a tree, times by `strptime`.

Slow and memory-hungry, as the reader may not be. It gives nothing where the file is not well-formed.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from xml.etree import ElementTree as ET

_FORMS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = timedelta(hours=48)
_UNTOLD_S = 4 * 3600
MOST_CHANNEL = 128
MOST_TEXT = 1000
MOST_CATEGORIES = 32


class Broadcast(NamedTuple):
    """One programme of the file."""

    channel: str
    start_ms: int
    end_ms: int | None
    categories: tuple[str, ...]


def broadcasts(raw: bytes) -> list[Broadcast] | None:
    """The programmes of a file, in its order; None if it is not well-formed or no XMLTV."""
    try:
        root = ET.fromstring(raw)  # noqa: S314 (made by ourselves; it declares no entities)
    except (ET.ParseError, ValueError, LookupError):
        return None
    if root.tag != "tv":
        return None
    found = (_broadcast(one) for one in root if one.tag == "programme")
    return [one for one in found if one is not None]


def _broadcast(one: ET.Element) -> Broadcast | None:
    channel, start, stop = one.get("channel", ""), _instant(one.get("start", "")), one.get("stop")
    end = None if stop is None else _instant(stop)
    if not 0 < len(channel) <= MOST_CHANNEL or start is None or (stop is not None and end is None):
        return None
    if end is not None and not start < end <= start + _LONGEST:
        return None
    texts = ["".join(part.itertext()) for part in one if part.tag == "category"]
    kept = [text.strip() for text in texts if len(text) <= MOST_TEXT and text.strip()][:MOST_CATEGORIES]
    return Broadcast(channel, _ms(start), None if end is None else _ms(end), tuple(kept))


def _instant(text: str) -> datetime | None:
    digits, zone = text.strip(), timedelta(0)
    for name in ("UTC", "GMT", "Z"):
        digits = digits.removesuffix(name)
    if digits == text.strip():
        sign = max(digits.rfind("+"), digits.rfind("-"))
        if sign > 0:
            told = digits[sign + 1 :]
            told = told.replace(":", "", 1) if len(told) == 5 and told[2] == ":" else told
            if len(told) != 4 or not _ascii(told) or int(told[:2]) > 23 or int(told[2:]) > 59:
                return None
            zone = timedelta(hours=int(told[:2]), minutes=int(told[2:])) * (1 if digits[sign] == "+" else -1)
            digits = digits[:sign]
    digits = digits.rstrip()
    if len(digits) not in _FORMS or not _ascii(digits):
        return None
    leap = len(digits) == 14 and digits.endswith("60")
    try:
        told = digits[:-2] + "59" if leap else digits
        at = datetime.strptime(told, _FORMS[len(digits)]).replace(tzinfo=UTC)
        return at - zone + timedelta(seconds=leap)
    except (ValueError, OverflowError):
        return None


def _ascii(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


def on_air(
    told: list[Broadcast], code: Callable[[tuple[str, ...]], int], window: range
) -> dict[str, dict[int, int]]:
    """For each channel and quarter of a minute in which something is on, its code.

    The one on is the one that began last, as long as it lasts; of two of one second, the later told.
    """
    inside = [
        one for one in told if one.start_ms < window.stop and (one.end_ms or one.start_ms) > window.start
    ]
    found: dict[str, dict[int, int]] = {}
    for channel in {one.channel for one in inside}:
        begun = {one.start_ms // 1000: one for one in inside if one.channel == channel}
        starts = sorted(begun)
        seconds = found.setdefault(channel, {})
        for at, after in zip(starts, [*starts[1:], None], strict=True):
            end_ms = begun[at].end_ms
            end = (after if after is not None else at + _UNTOLD_S) if end_ms is None else end_ms // 1000
            end = end if after is None else min(end, after)
            for second in range(at - at % 15, end, 15):
                if second >= at:
                    seconds[second] = code(begun[at].categories)
    return found
