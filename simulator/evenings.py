"""What one box reports on one viewing day: somebody comes, zaps, watches, pauses, orders, leaves.

A day of a box is drawn from (box, day) alone. The audience follows the curve of a winter's day (ARD, as a
proxy), Sunday is the strongest day. The box's software says when the next programme begins (`by: "box"`),
and gives a sign of life when nothing else happened for `SIGN_MS`.

A box is on for about 135 minutes a day: with 1.7 boxes and 2.1 people a home, and 1.4 of them before the same
picture, that makes the 150 minutes a person and day that surveys find.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import cached_property
from itertools import accumulate
from math import exp
from operator import itemgetter
from random import Random
from typing import Literal, NamedTuple

from simulator.guide import CHANNELS, MINUTE_MS, Guide, Programme, Taste, recorded_item
from simulator.offers import Shelf, Shop, Title
from simulator.town import Box, Household

HOUR_MS = 60 * MINUTE_MS
SIGN_MS = 295_000
"""Without another event the player reports progress after so long; boxes take five minutes as silence."""

# Percent of people watching in each hour from 02:00 on; only the shape counts.
_CURVE = (6, 4, 3, 3, 5, 7, 8, 8, 9, 10, 12, 13, 12.5, 12, 11.5, 16, 23, 33, 41, 44, 34, 20, 12, 8)
_CURVE_CUM = list(accumulate(_CURVE))
_WEEKDAYS = (1.0, 0.99, 0.98, 0.98, 0.93, 0.93, 1.16)  # Monday first
_SITTINGS = ((1, 2, 3, 4), (0.38, 0.74, 0.94, 1.0))
_SITTING_MIN = 78.0  # median length before tails, merging and a box's own amount
_SITTING_SPREAD = 0.6
_SHORTEST_MS = 4 * MINUTE_MS
_ZAPS_FIRST, _ZAPS_LATER = 0.35, 0.12
_STAYS = 0.6  # of viewers, when a programme ends
_BORED = 0.22  # of viewers, before a programme ends
_PAUSES, _SKIPS = 0.25, 0.3  # of recordings and films; of recordings
_LEFT_ON = 0.10
_LEFT_ON_MS = 8 * HOUR_MS
_KEY_EVERY_MS = 25 * MINUTE_MS
_LAGS = ((0, 1, 2, 3, 5, 7, 12, 21, 40, 90), (38, 60, 70, 77, 85, 90, 94, 97, 99, 100))
_CATCHUP_DAYS = 7  # what is older was recorded
_MAIN_ORDERS = 0.7  # of a home's orders come from its first box, if it has others
_WRONG_PIN, _FAILED = 0.02, 0.01
_REDUCED = 0.06  # of paid orders are placed with a promotion
_STOPPED = 0.08  # of orders with a preview are stopped within it
_STOPS_AFTER = (20, 180)  # seconds; with a clock that is corrected meanwhile still within the preview
_DOUBLED, _LOST_STOP = 0.01, 0.005
_MARGIN_MS = 2 * MINUTE_MS

_FILM_DVB = {
    "film-thriller": 0x11,
    "film-adventure": 0x12,
    "film-science-fiction": 0x13,
    "film-comedy": 0x14,
    "film-soap": 0x15,
    "film-romance": 0x16,
    "film-serious": 0x17,
    "film-general": 0x10,
}
_ADULT_DVB = 0x18

Body = dict[str, object]
Span = tuple[int, int]
Told = Literal["confirmed", "failed", "stopped"]


class Report(NamedTuple):
    """A player event. `at_ms` is true time; the body carries the box's own clock, `Box.skew_ms` ahead."""

    at_ms: int
    body: Body


class Purchase(NamedTuple):
    """An order at the screen; without a verified PIN the agent must refuse it, and nothing follows."""

    at_ms: int
    ref: str
    offer: str
    pin_verified: bool
    reduced: bool = False
    """Whether the household wants a promotion taken off it."""


class Outcome(NamedTuple):
    """What became of the purchase with this `ref`: delivered, not delivered, or stopped in its preview."""

    at_ms: int
    ref: str
    outcome: Told


Event = Report | Purchase | Outcome


class Evenings:
    """Plays the days of a town's boxes.

    Args:
        guide: What is broadcast.
        shop: What can be ordered; no shelf may be empty.
        taste: What the town likes.
        flawless: Leave out doubled events and lost stops.
    """

    def __init__(
        self, guide: Guide, shop: Shop, taste: Taste | None = None, *, flawless: bool = False
    ) -> None:
        taste = taste or Taste()
        self.guide = guide
        self.shop = shop
        self._live = taste.live()
        self._shifted = taste.shifted()
        self._flawless = flawless

    def day_events(self, household: Household, box: Box, day: date) -> list[Event]:
        """All events of a box on a viewing day, in order of time."""
        viewer, plan, games = self._planned(household, box, day)
        viewer.spend(plan, games)
        events = sorted(viewer.events, key=itemgetter(0))
        # A generator of its own, so that a flawless day is the same day.
        return events if self._flawless else _spoil(events, Random(f"{box.key}/{day}/faults"))

    def day_orders(self, household: Household, box: Box, day: date) -> list[Event]:
        """What a box that records nothing still has to tell on such a day: its orders and their outcomes."""
        viewer, plan, games = self._planned(household, box, day)
        viewer.spend([sitting for sitting in plan if sitting.film is not None], games)
        return sorted((one for one in viewer.events if not isinstance(one, Report)), key=itemgetter(0))

    def _planned(
        self, household: Household, box: Box, day: date
    ) -> tuple["_Viewer", list["_Sitting"], list[Title]]:
        random = Random(f"{box.key}/{day}")
        viewer = _Viewer(self.guide, random, box, day)
        viewer.live = [own * town for own, town in zip(household.taste, self._live, strict=True)]
        viewer.shifted = list(
            accumulate(own * town for own, town in zip(household.taste, self._shifted, strict=True))
        )
        viewer.shift_lean = household.shift_lean
        films, games = self._orders(random, household, box)
        plan = _sittings(random, box, day, viewer.span)
        return viewer, _with_films(random, plan, films, viewer.span), games

    def _orders(self, random: Random, household: Household, box: Box) -> tuple[list[Title], list[Title]]:
        part, orders = _part_of_orders(household, box), household.orders
        films = _drawn(random, self.shop.free, orders.free_films * part)
        films += _drawn(random, self.shop.paid, orders.paid_films * part)
        return films, _drawn(random, self.shop.games, orders.games * part)


def _part_of_orders(household: Household, box: Box) -> float:
    others = len(household.boxes) - 1
    if not others:
        return 1.0
    return (1 - _MAIN_ORDERS) / others if box.index else _MAIN_ORDERS


def _drawn(random: Random, shelf: Shelf, mean: float) -> list[Title]:
    """A Poisson number of titles (Knuth's method; means are small)."""
    if not mean:
        return []
    found, limit, product = [], exp(-mean), random.random()
    while product > limit:
        found.append(shelf.choose(random))
        product *= random.random()
    return found


class _Sitting(NamedTuple):
    start: int
    end: int
    film: Title | None = None


def _moment(random: Random, span: Span, hours: range = range(len(_CURVE))) -> int:
    """A moment of the day from the audience's curve, in ms.

    Counted from the day's end, since clocks change in its first hour.
    """
    first = _CURVE_CUM[hours.start - 1] if hours.start else 0
    drawn = first + random.random() * (_CURVE_CUM[hours.stop - 1] - first)
    hour = next(number for number in hours if drawn <= _CURVE_CUM[number])
    before = len(_CURVE) - hour - random.random()
    return max(span[0], span[1] - int(before * HOUR_MS))


def _sittings(random: Random, box: Box, day: date, span: Span) -> list[_Sitting]:
    if random.random() >= box.active:
        return []
    count = random.choices(_SITTINGS[0], cum_weights=_SITTINGS[1])[0]
    typical = _SITTING_MIN * box.amount * _WEEKDAYS[day.weekday()] * MINUTE_MS
    found = []
    for _ in range(count):
        length = max(_SHORTEST_MS, int(typical * random.lognormvariate(0, _SITTING_SPREAD)))
        start = max(span[0], _moment(random, span) - length // 2)
        found.append(_Sitting(start, min(start + length, span[1] - _MARGIN_MS)))
    return _apart(sorted(one for one in found if one.end - one.start >= _SHORTEST_MS))


def _apart(sittings: list[_Sitting]) -> list[_Sitting]:
    """Join sittings that touch; the first one's film stays first."""
    found: list[_Sitting] = []
    for one in sittings:
        if found and one.film is None and one.start < found[-1].end + _MARGIN_MS:
            last = found[-1]
            found[-1] = last._replace(end=max(last.end, one.end))
        else:
            found.append(one)
    return found


def _with_films(random: Random, plan: list[_Sitting], films: list[Title], span: Span) -> list[_Sitting]:
    """Make room for ordered films: an evening's sitting each, in a row; what collides gives way."""
    free_from = span[0]
    shown: list[_Sitting] = []
    for start, film in zip(sorted(_moment(random, span, range(16, 21)) for _ in films), films, strict=True):
        begins = max(start, free_from)
        ends = min(begins + (film.runtime_min + 15) * MINUTE_MS, span[1] - _MARGIN_MS)
        if ends - begins >= _SHORTEST_MS:
            shown.append(_Sitting(begins, ends, film))
            free_from = ends + _MARGIN_MS
    kept = [one for one in plan if not any(_collide(one, film) for film in shown)]
    return _apart(sorted(kept + shown, key=itemgetter(0)))


def _collide(one: _Sitting, film: _Sitting) -> bool:
    return one.start <= film.end and one.end + _MARGIN_MS >= film.start


class _Viewer:
    """One box's day in the making: where it stands in time, and what it has reported."""

    def __init__(self, guide: Guide, random: Random, box: Box, day: date) -> None:
        self.events: list[Event] = []
        self.live: list[float] = []
        self.shifted: list[float] = []
        self.shift_lean = 0.0
        self._guide = guide
        self._random = random
        self._box = box
        self._day = day
        self._listing = guide.listing(day)
        self.span = (self._listing.start_ms, self._listing.end_ms)
        self._now = self._listing.start_ms
        self._channel = 0
        self._bought = 0
        self._ref = ""

    @cached_property
    def _choices(self) -> Random:
        # A generator of its own, so that the same day without these choices is the same day.
        return Random(f"{self._box.key}/{self._day}/choices")

    def spend(self, plan: Sequence[_Sitting], games: list[Title]) -> None:
        """Live through the day."""
        for game in games:
            self._now = _moment(self._random, self.span)
            self._buy(game)
        left_on = bool(plan) and self._random.random() < _LEFT_ON
        for sitting in plan:
            self._sit(sitting)
            if left_on and sitting is plan[-1]:
                self._leave_on()
            self._say("standby", self._now)

    def _say(self, event: str, at_ms: int, **more: object) -> None:
        self._now = at_ms
        self.events.append(
            Report(at_ms, {"v": 1, "event": event, "at_ms": at_ms + self._box.skew_ms, **more})
        )

    def _wait(self, seconds_from: float, seconds_to: float) -> int:
        """Let a random while pass; answers with the new time."""
        self._now += int(self._random.uniform(seconds_from, seconds_to) * 1000)
        return self._now

    def _sit(self, sitting: _Sitting) -> None:
        self._say("wake", sitting.start)
        self._wait(2, 6)
        if sitting.film is not None:
            self._view_film(sitting.film, sitting.end)
        elif self._random.random() < _ZAPS_FIRST:
            self._zap(sitting.end)
        while self._now < sitting.end:
            if self._random.random() < self.shift_lean:
                self._view_recording(sitting.end)
            else:
                self._view_live(sitting.end)

    def _zap(self, end: int) -> None:
        """Three to eight channels, two to ten seconds each."""
        for _ in range(self._random.randint(3, 8)):
            if self._now >= end:
                return
            self._channel = (self._channel + 1) % len(CHANNELS)
            self._say("tune", self._now, item=_live_item(self._on_air()))
            self._wait(2, 10)

    def _on_air(self) -> Programme:
        return self._listing.on_air(self._now)[self._channel]

    def _choose(self) -> Programme:
        weights, total = [], 0.0
        for channel, programme in zip(CHANNELS, self._listing.on_air(self._now), strict=True):
            total += channel.weight * self.live[programme.genre]
            weights.append(total)
        self._channel = self._random.choices(range(len(CHANNELS)), cum_weights=weights)[0]
        return self._on_air()

    def _view_live(self, end: int) -> None:
        programme = self._choose()
        self._say("tune", self._now, item=_live_item(programme))
        while True:
            until = min(end, programme.end_ms)
            if self._random.random() < _BORED:
                until = min(until, self._now + int(self._random.uniform(1, 20) * MINUTE_MS))
            self._watch(until)
            if until < programme.end_ms or until >= end or self._random.random() >= _STAYS:
                break
            programme = self._on_air()
            self._say("play", self._now, item=_live_item(programme), by="box")
        if self._now < end and self._random.random() < _ZAPS_LATER:
            self._zap(end)

    def _view_recording(self, end: int) -> None:
        genre = self._random.choices(range(len(self.shifted)), cum_weights=self.shifted)[0]
        code, minutes = recorded_item(self._random, genre)
        self._say("play", self._now, item=self._shifted_item(code))
        if self._random.random() < _SKIPS:
            self._skip(end)
        self._view_with_pause(min(end, self._now + minutes * MINUTE_MS), end)
        if self._now < end:
            self._say("stop", self._now)
            self._wait(3, 20)

    def _shifted_item(self, code: int) -> Body:
        days = self._random.choices(_LAGS[0], cum_weights=_LAGS[1])[0]
        recorded = days > _CATCHUP_DAYS or self._random.random() < 0.5  # noqa: PLR2004 (half of either)
        return {
            "kind": "recording" if recorded else "catchup",
            "genre": code,
            "broadcast_day": str(self._day - timedelta(days=days)),
            "ref": f"shifted-{self._random.getrandbits(40):010x}",
        }

    def _skip(self, end: int) -> None:
        """Run forward over what was before the programme: trick play counts as no viewing."""
        self._wait(5, 60)
        if self._now >= end:
            return
        self._say("rate", self._now, rate=8.0)
        self._say("rate", min(end, self._wait(5, 40)), rate=1.0)

    def _view_with_pause(self, until: int, end: int) -> None:
        if self._now < until and self._random.random() < _PAUSES:
            self._watch(self._now + int((until - self._now) * self._random.random()))
            self._say("pause", self._now)
            pause = min(end, self._wait(20, 600)) - self.events[-1].at_ms
            self._say("resume", self.events[-1].at_ms + pause)
            until = min(end, until + pause)
        self._watch(until)

    def _view_film(self, film: Title, end: int) -> None:
        self._say("key", self._now)
        self._wait(5, 40)
        outcome = self._buy(film)
        if outcome != "failed":
            code = _ADULT_DVB if film.offer.genre is None else _FILM_DVB[film.offer.genre]
            item: Body = {"kind": "vod", "genre": code, "ref": film.offer.offer}
            self._say("play", self._now, item=item)
            if outcome == "stopped":
                self._stop()
            else:
                self._view_with_pause(min(end, self._now + film.runtime_min * MINUTE_MS), end)
            if self._now < end:
                self._say("stop", self._now)
                self._wait(3, 20)

    def _stop(self) -> None:
        """It was not what they thought: they stop it before it is charged."""
        self._now += int(self._choices.uniform(*_STOPS_AFTER) * 1000)
        self.events.append(Outcome(self._now, self._ref, "stopped"))

    def _buy(self, title: Title) -> Told:
        """Order it, after a mistyped PIN at times; answers what becomes of it. `_stop` tells of a stop."""
        self._bought += 1
        ref = self._ref = f"{self._box.key}/{self._day}/{self._bought}"
        if title.offer.price_cents and self._random.random() < _WRONG_PIN:
            self.events.append(Purchase(self._now, f"{ref}/mistyped", title.offer.offer, pin_verified=False))
            self._wait(4, 15)
        reduced = bool(title.offer.price_cents) and self._choices.random() < _REDUCED
        self.events.append(Purchase(self._now, ref, title.offer.offer, pin_verified=True, reduced=reduced))
        delivered = self._random.random() >= _FAILED
        self._wait(3, 15)
        if delivered and title.offer.preview_minutes and self._choices.random() < _STOPPED:
            return "stopped"
        outcome: Told = "confirmed" if delivered else "failed"
        self.events.append(Outcome(self._now, ref, outcome))
        return outcome

    def _watch(self, until: int) -> None:
        """Let time pass in front of the picture: a key now and then, else signs of life."""
        while self._now < until:
            pressed = int(self._random.expovariate(1 / _KEY_EVERY_MS)) + 1
            step = min(pressed, SIGN_MS)
            if self._now + step >= until:
                self._now = until
            else:
                self._say("key" if pressed < SIGN_MS else "progress", self._now + step)

    def _leave_on(self) -> None:
        """Nobody is there; the box plays on by itself, until it goes to sleep or the day ends."""
        end = min(self._now + _LEFT_ON_MS, self.span[1] - 1)
        while self._now < end:
            programme = self._on_air()
            self._say("play", self._now, item=_live_item(programme), by="box")
            until = min(end, programme.end_ms)
            while self._now + SIGN_MS < until:
                self._say("progress", self._now + SIGN_MS)
            self._now = until


def _live_item(programme: Programme) -> Body:
    return {"kind": "live", "genre": programme.dvb, "ref": programme.ref}


def _spoil(events: list[Event], random: Random) -> list[Event]:
    """What the agent gets: some events twice, the second time late; a few ends of viewing never."""
    found: list[Event] = []
    late: Report | None = None
    for event in events:
        if isinstance(event, Report) and _is_lost(event, random):
            continue
        found.append(event)
        if late is not None:
            found.append(Report(event.at_ms, late.body))
        late = event if isinstance(event, Report) and random.random() < _DOUBLED else None
    return found + ([late] if late is not None else [])


def _is_lost(event: Report, random: Random) -> bool:
    return event.body["event"] in {"stop", "standby"} and random.random() < _LOST_STOP
