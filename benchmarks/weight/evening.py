"""A household's week of player events, with a sign of life each minute that something plays."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from shared.clock import from_ms, to_ms
from shared.weeks import Week
from simulator.evenings import Evenings, Report
from simulator.guide import Guide, Taste
from simulator.offers import make_titles, open_shop
from simulator.town import Town

SEED = 2006
MINUTE_MS = 60_000
MOST_SILENT_MS = 8 * 60 * MINUTE_MS
_OFF = {"stop", "standby", "pause"}
_ON = {"play", "resume"}


class Told(NamedTuple):
    """One event, when the player tells it."""

    at: datetime
    body: dict[str, Any]


def week_of_events(week: Week, zone: ZoneInfo, household: int) -> list[Told]:
    """The events of one box of the simulated town in a week, in order."""
    start = datetime.combine(week.monday(), datetime.min.time(), UTC)
    shop = open_shop(make_titles(Random(SEED), 200, 30, to_ms(start)))
    evenings = Evenings(Guide(SEED, zone), shop, Taste.parse(""), flawless=True)
    home = Town(SEED, household + 1).household(household)
    days = [week.monday() + timedelta(days=number) for number in range(7)]
    told = [
        one
        for day in days
        for one in evenings.day_events(home, home.boxes[0], day)
        if isinstance(one, Report)
    ]
    wanted = [one for one in told if one.body["event"] != "progress"]
    return [Told(from_ms(at_ms), body) for at_ms, body in _with_signs(wanted)]


def _with_signs(told: list[Report]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The events, and between them a sign of life each minute in which something plays."""
    playing = False
    for one, after in zip(told, [*told[1:], None], strict=True):
        body = {name: value for name, value in one.body.items() if name != "at_ms"}
        yield one.at_ms, body
        name = body["event"]
        playing = name in _ON or (playing and name not in _OFF)
        end = one.at_ms if after is None else min(after.at_ms, one.at_ms + MOST_SILENT_MS)
        if playing:
            yield from ((at, {"event": "progress"}) for at in range(one.at_ms + MINUTE_MS, end, MINUTE_MS))
