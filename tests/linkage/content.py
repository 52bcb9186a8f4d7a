"""What fragments say, laid beside what is known of a box and beside each other: measured apart.

No delay and no seal hides it from whoever opens them. A fragment of ordered genres says what one of the box's
orders was, and billing knows the orders; and a household that likes sport draws sport twice, however
independently. This is a limit, and is held against what it would be if draws were shared.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from math import erf, sqrt

from box_agent.chance import RandomBelow, below
from box_agent.events import pack, read_event
from box_agent.rollup import Viewed, fragments
from shared.anonymous import Fragment
from shared.register import Grid, Kind, Measure, Profile, profile
from shared.weeks import Week
from simulator.evenings import Report
from simulator.truth import viewed_in
from tests.headend.analytics.builders import WEEK, ZONE
from tests.linkage.attacks import Match, Pair, Seen
from tests.linkage.boxes import Trace
from tests.linkage.judge import Sample
from tests.linkage.place import END, evenings, town
from tests.linkage.reading import Opened
from tests.simulator.seeded import seeded

ORDERED = profile("small").measure("ordered-genre")
_GRID = Grid(ORDERED, ())
Rolled = Callable[[Sequence[tuple[Measure, Grid]], Week, Viewed, RandomBelow], list[Fragment]]


def genre_and_orders(_: Seen, one: Opened, box: Trace) -> int:
    """What a fragment of ordered genres says, against what the box ordered in the week."""
    if one.measure != ORDERED.name:
        return -1
    ordered = {genre for at, genre in box.orders if at < END and genre is not None}
    if not one.fragment.cell:
        return 1 if ordered else 0
    return 4 if _GRID.values(one.fragment.cell)[0] in ordered else 3 if ordered else 2


def viewing_and_orders(_: Seen, one: Opened, box: Trace) -> int:
    """What the other fragments say, against how much the box ordered."""
    if one.measure == ORDERED.name:
        return -1
    orders = min(3, sum(at < END for at, _ in box.orders))
    return (
        1_000 * orders
        + 100 * one.fragment.measure_number
        + min(99, one.fragment.cell * 17 + one.fragment.value)
    )


def said(_: Seen, one: Opened, other: Opened) -> int:
    """What two fragments say."""
    first, second = sorted((one, other), key=lambda found: found.fragment.measure_number)
    return _both(first.fragment, second.fragment)


CONTENT_MATCHES: dict[str, Match] = {
    "ordered genre, and the box's orders": genre_and_orders,
    "genre and volume, and the box's orders": viewing_and_orders,
}
CONTENT_PAIRS: dict[str, Pair] = {"what the two say": said}


def _both(one: Fragment, other: Fragment) -> int:
    found = 0
    for number in (one.measure_number, one.cell, one.value, other.measure_number, other.cell, other.value):
        found = 256 * found + number
    return found


def same_genre(taken: Profile, regions: Sequence[str]) -> Callable[[Fragment, Fragment], int]:
    """Whether two fragments of one-minute measures name one genre, by the grids of a profile."""
    grids = {measure.number: (measure, Grid(measure, tuple(regions))) for measure in taken.measures}

    def genre(one: Fragment) -> str | None:
        measure, grid = grids[one.measure_number]
        if measure.kind is not Kind.ONE_MINUTE or "genre" not in measure.grid or not one.cell:
            return None
        return grid.values(one.cell)[measure.grid.index("genre")]

    def score(one: Fragment, other: Fragment) -> int:
        named = genre(one), genre(other)
        return -1 if None in named else int(named[0] == named[1])

    return score


def across_measures(boxes: int, rolled: Rolled = fragments) -> list[Sample]:
    """Pairs of one-minute fragments of the regional profile, by the roll-up alone."""
    taken, regions = profile("regional"), ("north", "south")
    score = same_genre(taken, regions)
    measures = [
        (one, Grid(one, regions))
        for one in taken.measures
        if one.kind is Kind.ONE_MINUTE and "genre" in one.grid
    ]
    told = [rolled(measures, WEEK, viewed(number, boxes), below(os.urandom)) for number in range(boxes)]
    random, found = seeded(1), []
    for number, own in enumerate(told):
        for place, one in enumerate(own):
            for later in range(place + 1, len(own)):
                stranger = random.choice([box for box in (number - 2, number + 2) if 0 <= box < boxes])
                found += [
                    Sample(number % 2, true, (score(one, beside),))
                    for true, beside in ((True, own[later]), (False, told[stranger][later]))
                ]
    return found


def same_volume(one: Fragment, other: Fragment) -> int:
    """Whether two fragments of timed measures tell the same cell and the same volume."""
    if not one.cell or one.cell != other.cell:
        return -1
    return int(one.value == other.value)


def across_volumes(boxes: int) -> list[Sample]:
    """Pairs of timed fragments of one cell, if a second measure told the volumes of the same grid."""
    measure = profile("national").measure("genre-minutes")
    measures = [(one, Grid(one, ())) for one in (measure, replace(measure, number=measure.number + 100))]
    told = [fragments(measures, WEEK, viewed(number, boxes), below(os.urandom)) for number in range(boxes)]
    first, second = (
        [{one.cell: one for one in own if one.cell and one.measure_number == of.number} for own in told]
        for of, _ in measures
    )
    found = []
    for number in range(boxes - 2):
        for cell, one in first[number].items():
            if cell in second[number + 2]:
                found += [
                    Sample(number % 2, true, (same_volume(one, second[beside][cell]),))
                    for true, beside in ((True, number), (False, number + 2))
                ]
    return found


def viewed(number: int, boxes: int) -> Viewed:
    """What the first box of a home of the simulated town views in the week."""
    home = town(boxes).household(number)
    days = [WEEK.monday() + timedelta(days=day) for day in range(7)]
    events = [
        pack(read_event(dict(event.body) | {"at_ms": event.at_ms}))
        for day in days
        for event in evenings().day_events(home, home.boxes[0], day)
        if isinstance(event, Report)
    ]
    found = viewed_in(events, [], WEEK, ZONE)
    return Viewed(found.minutes, [], "north")


def release_bound(rho: float) -> float:
    """The most that a reader of releases gains in the same game from one week's noise of this cost.

    Gaussian noise gives two hypotheses a distance of mu = sqrt(2 rho) standard deviations; whoever sees one
    of each tells them apart with probability Phi(mu / sqrt 2).
    """
    mu = sqrt(2 * rho)
    return erf(mu / 2) / 2
