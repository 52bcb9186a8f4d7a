"""What is broadcast, and how much the town likes it.

A dozen channels, each with a character of its own, follow the day: news and children's programmes in the
morning, films and shows in the evening. A viewing day's listing is drawn from (seed, channel, day) alone, so
that every process sees the same and nobody has to store it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from random import Random
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.clock import to_ms
from shared.errors import StbError
from shared.genres import GENRES
from shared.weeks import day_start, viewing_day

MINUTE_MS = 60_000
_STEP = 5  # minutes; programmes start on such a grid
_KEPT_DAYS = 16

# What viewers give a genre where all genres are broadcast alike. Fitted so that with the broadcast mix below
# film-drama gets 35 % of viewing, news 25, show 15, sports 9, children 5, leisure 3, education-science 2.4,
# and music, arts, social-political and other 1 to 2 each (Media Perspektiven as a proxy).
_ATTRACTION = {
    "film-drama": 0.53,
    "news": 1.0,
    "show": 0.58,
    "sports": 1.43,
    "children": 1.41,
    "music": 0.36,
    "arts": 0.53,
    "social-political": 0.75,
    "education-science": 0.42,
    "leisure": 0.97,
    "other": 0.87,
}

# What is recorded or caught up, by number of items: stories and shows far more than news and sports.
_SHIFTED = {
    "film-drama": 34,
    "news": 16,
    "show": 18,
    "sports": 5,
    "children": 14,
    "music": 2,
    "arts": 2,
    "social-political": 1.2,
    "education-science": 3,
    "leisure": 4,
    "other": 0.5,
}

# Broadcast mix in percent by stretch of the day (first hour of the stretch, counted to 26).
_MIX = {
    2: (26, 31, 8, 6, 2, 7, 3, 3, 6, 5, 3),
    6: (14, 33, 8, 4, 16, 3, 2, 3, 8, 7, 2),
    12: (24, 30, 11, 8, 8, 2, 2, 2, 5, 6, 2),
    17: (20, 39, 14, 7, 7, 1, 2, 2, 3, 3, 2),
    19: (32, 27, 17, 10, 2, 2, 2, 2, 2, 2, 2),
    23: (30, 31, 13, 8, 0, 5, 4, 3, 3, 2, 1),
}
# A genre in the mix's order: its DVB codes and the minutes that a programme lasts.
_GENRES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "film-drama": ((0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x15, 0x16, 0x17), (30, 45, 50, 90, 100, 120)),
    "news": ((0x20, 0x21, 0x21, 0x22, 0x23, 0x24), (15, 25, 30, 45)),
    "show": ((0x30, 0x31, 0x32, 0x33), (30, 45, 60, 90)),
    "sports": ((0x40, 0x42, 0x43, 0x43, 0x44, 0x47), (30, 60, 105, 120)),
    "children": ((0x50, 0x51, 0x52, 0x55), (10, 15, 25)),
    "music": ((0x60, 0x61, 0x62), (30, 60)),
    "arts": ((0x70, 0x72, 0x7A, 0x73), (30, 50)),
    "social-political": ((0x80, 0x81, 0x82), (30, 45)),
    "education-science": ((0x90, 0x91, 0x92, 0x94), (30, 50)),
    "leisure": ((0xA0, 0xA1, 0xA3, 0xA5, 0xA7), (25, 30, 45)),
    "other": ((0x00, 0xB3, 0xF0), (15, 30)),
}
_NAMES = tuple(_GENRES)


class BadTasteError(StbError):
    """A taste of another form than `sports=3.0,news=0.5`, of an unknown genre, or not positive."""


class Channel(NamedTuple):
    """A channel: how often it is chosen (before what is on counts), and the genres it is known for."""

    name: str
    weight: float
    leaning: tuple[str, ...]


CHANNELS = (
    Channel("one", 1.5, ("news", "show")),
    Channel("two", 1.0, ("news", "arts")),
    Channel("three", 0.8, ("film-drama", "children")),
    Channel("four", 1.5, ("show", "film-drama")),
    Channel("five", 1.2, ("film-drama",)),
    Channel("six", 1.0, ("show", "leisure")),
    Channel("seven", 0.8, ("film-drama",)),
    Channel("sport", 0.9, ("sports",)),
    Channel("junior", 0.7, ("children",)),
    Channel("world", 0.7, ("education-science", "news")),
    Channel("stage", 0.5, ("music", "arts")),
    Channel("region", 0.6, ("news", "leisure", "other")),
)
_LEAN = 3.0


@dataclass(frozen=True)
class Taste:
    """How much more (or less) than the default the whole town likes each genre; 1 where it is not named."""

    factors: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def parse(cls, text: str) -> "Taste":
        """Read `sports=3.0,news=0.5`; the empty text is the default taste.

        Raises:
            BadTasteError: Another form, a genre that is not in `shared.genres.GENRES`, a factor that is not
                between 0 (excluded) and 1000.
        """
        factors: dict[str, float] = {}
        for part in filter(None, text.split(",")):
            genre, _, factor = part.partition("=")
            factors[genre.strip()] = _factor(genre.strip(), factor)
        return cls(MappingProxyType(factors))

    def live(self) -> tuple[float, ...]:
        """Attraction of each genre on air, in the order of `shared.genres.GENRES`."""
        return self._times(_ATTRACTION)

    def shifted(self) -> tuple[float, ...]:
        """Attraction of each genre as a recording or in catch-up, in the same order."""
        return self._times(_SHIFTED)

    def _times(self, liking: Mapping[str, float]) -> tuple[float, ...]:
        return tuple(liking[genre] * self.factors.get(genre, 1.0) for genre in GENRES)


DEFAULT = Taste()
"""The town's own taste, to which all of `Taste` is relative."""


def _factor(genre: str, text: str) -> float:
    most = 1000
    try:
        factor = float(text)
    except ValueError as error:
        raise BadTasteError(f"{genre}: {text!r} is no number") from error
    if genre not in _ATTRACTION or not 0 < factor <= most:
        raise BadTasteError(f"{genre}={text}: a genre of the list, and a factor above 0 and at most {most}")
    return factor


class Programme(NamedTuple):
    """One programme of a channel; half-open, Unix milliseconds. `genre` is its place in `GENRES`."""

    channel: int
    start_ms: int
    end_ms: int
    dvb: int
    genre: int
    ref: str


class Listing:
    """A viewing day of all channels."""

    def __init__(self, start_ms: int, rows: list[list[Programme]]) -> None:
        self.start_ms = start_ms
        self.end_ms = rows[0][-1].end_ms
        self._step_ms = _STEP * MINUTE_MS
        columns = [self._column(row) for row in rows]
        self._slots = list(zip(*columns, strict=True))
        self.rows = rows

    def _column(self, row: list[Programme]) -> list[Programme]:
        return [one for one in row for _ in range(one.start_ms, one.end_ms, self._step_ms)]

    def on_air(self, at_ms: int) -> tuple[Programme, ...]:
        """What each channel shows at an instant of this day, in the order of `CHANNELS`."""
        return self._slots[(at_ms - self.start_ms) // self._step_ms]


class Guide:
    """The listing of every viewing day, for one seed and zone."""

    def __init__(self, seed: int, zone: ZoneInfo) -> None:
        self._seed = seed
        self.zone = zone
        # Per guide, and few: a town walks through its days in order.
        self.listing = lru_cache(_KEPT_DAYS)(self._listing)

    def programme_at(self, channel: int, instant: datetime) -> Programme:
        """What a channel (its number in `CHANNELS`) shows at an aware instant."""
        return self.listing(viewing_day(instant, self.zone)).on_air(to_ms(instant))[channel]

    def _listing(self, day: date) -> Listing:
        start_ms = to_ms(day_start(day, self.zone))
        end_ms = to_ms(day_start(day + timedelta(days=1), self.zone))
        rows = [self._row(number, day, start_ms, end_ms) for number in range(len(CHANNELS))]
        return Listing(start_ms, rows)

    def _row(self, channel: int, day: date, start_ms: int, end_ms: int) -> list[Programme]:
        random = Random(f"guide/{self._seed}/{channel}/{day}")
        row: list[Programme] = []
        while start_ms < end_ms:
            # Counted from the day's end: clocks change in its first hour, so the evening stays in its place.
            hour = max(2.0, 26 - (end_ms - start_ms) / (60 * MINUTE_MS))
            genre = random.choices(_NAMES, cum_weights=_mix(channel, _stretch(hour)))[0]
            codes, lengths = _GENRES[genre]
            stop_ms = min(end_ms, start_ms + random.choice(lengths) * MINUTE_MS)
            ref = f"{CHANNELS[channel].name}/{day}/{len(row)}"
            row.append(Programme(channel, start_ms, stop_ms, random.choice(codes), GENRES.index(genre), ref))
            start_ms = stop_ms
        return row


def _stretch(hour: float) -> int:
    return max(first for first in _MIX if first <= hour)


@lru_cache
def _mix(channel: int, stretch: int) -> list[float]:
    """Cumulative weights of the genres for a programme of a channel; long programmes are drawn less often."""
    leaning = CHANNELS[channel].leaning
    weights = [
        part * (_LEAN if genre in leaning else 1.0) / (sum(_GENRES[genre][1]) / len(_GENRES[genre][1]))
        for genre, part in zip(_NAMES, _MIX[stretch], strict=True)
    ]
    return list(accumulate(weights))


def recorded_item(random: Random, genre: int) -> tuple[int, int]:
    """A DVB code and a length in minutes for an item of a genre (its place in `GENRES`)."""
    codes, lengths = _GENRES[GENRES[genre]]
    return random.choice(codes), random.choice(lengths)


def broadcast_shares(guide: Guide, days: list[date]) -> dict[str, float]:
    """Each genre's part of what is broadcast on these days, over all channels; sums to 1."""
    minutes = dict.fromkeys(GENRES, 0)
    for day in days:
        for row in guide.listing(day).rows:
            for one in row:
                minutes[GENRES[one.genre]] += one.end_ms - one.start_ms
    whole = sum(minutes.values())
    return {genre: spent / whole for genre, spent in minutes.items()}
