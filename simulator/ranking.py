"""Does the ranking come out right? Many towns through the same roll-up, noise and estimates, without HTTP.

Of each town only the boxes that would report are played: one consenting reporting box an account. For every
seed it is asked whether the intervals of the town's top three genres lie above those of its bottom three.
"""

import multiprocessing
import os
from collections import Counter as Count
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random
from zoneinfo import ZoneInfo

from rich.console import Console

from box_agent.chance import below
from box_agent.events import pack, read_event
from box_agent.rollup import Viewed, contribution, draw
from headend.analytics.estimates import estimate
from headend.analytics.published import ReleaseTable
from headend.analytics.release import noisy_measure
from headend.analytics.store import Counter
from shared.clock import to_ms
from shared.genres import GENRES
from shared.register import Grid, profile, register_hash
from shared.weeks import Week
from simulator.evenings import Evenings, Report
from simulator.guide import Guide, Taste
from simulator.offers import make_titles, open_shop
from simulator.town import Box, Household, Town
from simulator.truth import viewed_in

FIRST_WEEK = Week(2026, 43)
WEEKS = 4
SHARES = 3
"""The top and the bottom so many genres are compared."""
FILMS, GAMES = 400, 60
BOXES_A_HOME = 1.7
GENRE = "genre"


@dataclass(frozen=True)
class Ranked:
    """One town: its genres by true share, and whether the intervals keep top and bottom apart."""

    seed: int
    apart: bool
    truth: dict[str, float]
    low_of_top: float
    high_of_bottom: float


def _reporting(town: Town) -> list[tuple[Household, Box]]:
    """Draws one box an account, as billing does, and keeps those that consent."""
    homes = [town.household(number) for number in range(town.size)]
    drawn = [(home, Random(f"draw/{town.seed}/{home.number}").choice(home.boxes)) for home in homes]
    return [(home, box) for home, box in drawn if box.consent]


def _viewed(evenings: Evenings, home: Household, box: Box, week: Week, zone: ZoneInfo) -> Viewed:
    days = [week.monday() + timedelta(days=number) for number in range(7)]
    events = [
        pack(read_event(dict(event.body) | {"at_ms": event.at_ms}))
        for day in days
        for event in evenings.day_events(home, box, day)
        if isinstance(event, Report)
    ]
    return viewed_in(events, [], week, zone)


def rank(seed: int, households: int, taste: str) -> Ranked:
    """Play one town for four weeks and look at its genres."""
    zone = ZoneInfo("Europe/Amsterdam")
    start = to_ms(FIRST_WEEK.start(zone))
    shop = open_shop(make_titles(Random(f"shop/{seed}"), FILMS, GAMES, start))
    evenings = Evenings(Guide(seed, zone), shop, Taste.parse(taste))
    panel = _reporting(Town(seed, households))
    measure = profile("small").measure(GENRE)
    grid = Grid(measure, ())
    truth: dict[int, float] = dict.fromkeys(range(1, grid.size + 1), 0.0)
    boxes, tables = 0, []
    for number in range(WEEKS):
        week, counted = FIRST_WEEK.plus(number), Count[int]()
        for home, box in panel:
            found = contribution(measure, grid, _viewed(evenings, home, box, week, zone))
            boxes += 1 if found.total() else 0
            for cell in found.counts:
                truth[cell] += float(found.share(cell))
            counted.update(
                fragment.cell for fragment in draw(found, week, below(os.urandom)) if fragment.cell
            )
        tables.append(_release(week, counted, grid, len(panel), households))
    shares = {grid.values(cell)[0]: amount / boxes for cell, amount in truth.items()}
    return _compare(seed, shares, tables)


def _release(week: Week, counted: Count[int], grid: Grid, panel: int, households: int) -> ReleaseTable:
    measure = profile("small").measure(GENRE)
    counters = [Counter(GENRE, cell, amount, 0) for cell, amount in counted.items()]
    return ReleaseTable(
        week=str(week),
        profile="small",
        register=register_hash(),
        simulated=True,
        regions=[],
        boxes={"none": 10 * round(households * BOXES_A_HOME / 10)},
        accounts_asked=panel,
        issued={GENRE: panel},
        accepted={GENRE: panel},
        measures=[noisy_measure(measure, grid, counters)],
    )


def _compare(seed: int, truth: dict[str, float], tables: list[ReleaseTable]) -> Ranked:
    found = estimate(tables).measure(GENRE)
    # A panel too small for shares tells nothing: anything may be true.
    figures = {genre: found.cell(genre).panel.get("share") for genre in GENRES}
    intervals = {genre: (one.low, one.high) if one else (0.0, 1.0) for genre, one in figures.items()}
    order = sorted(GENRES, key=lambda genre: -truth[genre])
    low_of_top = min(intervals[genre][0] for genre in order[:SHARES])
    high_of_bottom = max(intervals[genre][1] for genre in order[-SHARES:])
    return Ranked(seed, low_of_top > high_of_bottom, truth, low_of_top, high_of_bottom)


def judge_seeds(seeds: Iterable[int], households: int, taste: str, console: Console) -> int:
    """Rank every seed's town, on all cores, and print what came of it; gives how many came out right."""
    wanted = list(seeds)
    right = 0
    context = multiprocessing.get_context("spawn")
    with context.Pool() as pool:
        ranked = pool.imap_unordered(partial(rank, households=households, taste=taste), wanted)
        for done, one in enumerate(ranked, 1):
            right += one.apart
            top = sorted(one.truth, key=lambda genre: -one.truth[genre])[:SHARES]
            console.print(
                f"{done:>4}/{len(wanted)}  seed {one.seed:<6} {'apart' if one.apart else 'NOT apart'}  "
                f"top {', '.join(top)}; lowest of the top {one.low_of_top:.3f}, "
                f"highest of the bottom {one.high_of_bottom:.3f}"
            )
    console.print(f"top three above bottom three in {right} of {len(wanted)} towns")
    return right
