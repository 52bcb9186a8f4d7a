"""Panels of each profile's size, many towns each: coverage, ranks and half-widths come out of the same play.

Sizes are those that half-widths are told for: 640 boxes that report of about 1,032, 3,080 of 4,968, 62,000 of
100,000, which is 62 % consenting.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from shared.register import profile
from tests.audit.coverage import Found, judge
from tests.audit.panels import Panel
from tests.audit.towns import Town

SMALL, REGIONAL, NATIONAL = "small", "regional", "national"
EVERYBODY = "regional, all boxes"
WEEK, FOUR, QUARTER = 1, 4, 13
_REGIONS = tuple(f"region-{letter}" for letter in "abcdefghijkl")


@dataclass(frozen=True)
class Study:
    """So many towns of one kind; the first `quarters` are played for a quarter, the others for four weeks."""

    name: str
    towns: int
    quarters: int
    seed: int = 10_000

    def seeds(self) -> list[tuple[int, int]]:
        """Seeds with the weeks each is played for."""
        return [
            (self.seed + number, QUARTER if number < self.quarters else FOUR) for number in range(self.towns)
        ]


LONG_STUDIES = (
    Study(NATIONAL, 4, 4),  # the longest towns first
    Study(EVERYBODY, 40, 0),
    Study(REGIONAL, 400, 20),
    Study(SMALL, 400, 60),
)


def town_of(name: str, seed: int) -> Town:
    """The town of a study."""
    match name:
        case "small":  # of varying size, so that rounding all boxes to tens falls either way
            panel = Panel(seed, 1_022 + seed % 21, _REGIONS[:2])
            return Town(panel, profile(SMALL), 640, whole=True, fresh=4)
        case "regional":
            return Town(Panel(seed, 3_080, _REGIONS[:4]), profile(REGIONAL), 3_080)
        case "regional, all boxes":
            panel = Panel(seed, 4_950 + seed % 41, _REGIONS[:4])
            return Town(
                panel, profile(REGIONAL), 3_080, only=("genre", "viewing", "genre-region"), whole=True
            )
        case "national":
            return Town(Panel(seed, 62_000, _REGIONS), profile(NATIONAL), 62_000)
    raise ValueError(name)


def study(asked: tuple[int, int], name: str) -> Found:
    """Play one town and judge its first week, its first four and, if it was played so long, its quarter."""
    seed, weeks = asked
    town, found = town_of(name, seed), Found(seed)
    played = town.play(weeks)
    tables = town.releases(played)
    for window in (WEEK, FOUR, QUARTER):
        if window <= weeks:
            judge(town, played[:window], tables[:window], found)
    return found.plain()


def run(studies: tuple[Study, ...], say: Callable[[str], None]) -> Iterator[tuple[str, list[Found]]]:
    """All studies, on all cores; a process of its own each, so that the noise library starts afresh."""
    with multiprocessing.get_context("spawn").Pool() as pool:
        for one in studies:
            found: list[Found] = []
            seeds = one.seeds()
            say(f"{one.name}: {one.towns} towns of seeds {seeds[0][0]} to {seeds[-1][0]}")
            for done, town in enumerate(pool.imap_unordered(partial(study, name=one.name), seeds), 1):
                found.append(town)
                if done % max(1, one.towns // 5) == 0:
                    say(f"  {done} of {one.towns}")
            yield one.name, found
