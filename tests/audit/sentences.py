"""What must hold of the played towns: coverage, ranks, and where the figures of all boxes fail."""

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import NamedTuple

from tests.audit.bounds import Bound, Verdict
from tests.audit.coverage import ALL_BOXES, PANEL, Asked, Found, coverage, ranks_held
from tests.audit.lean import Leaning
from tests.audit.studies import EVERYBODY, SMALL

BAND = Bound(0.93, 0.97)
AT_LEAST = Bound(0.93, 1.0)
RANKS = Bound(0.95, 1.0)
MAIN = {
    "genre": "share",
    "genre-shift": "share",
    "genre-daypart": "share",
    "genre-region": "share",
    "genre-reach": "reach-share",
    "genre-minutes": "share",
    "genre-detail": "share",
    "viewing": "minutes",
}
"""The figure by which each measure of viewing is judged; its others are the same in another unit."""
CHECKS = 100  # of coverage and ranks in a long run


class Wanted(NamedTuple):
    """What to pick from the intervals."""

    of: str
    measure: str
    weeks: int
    rare: bool | None = None

    def __call__(self, asked: Asked) -> bool:
        return (
            (asked.of, asked.measure, asked.weeks) == (self.of, self.measure, self.weeks)
            and asked.figure == MAIN.get(self.measure, "box-weeks")
            and self.rare in {None, asked.rare}
        )


def _measures(found: Sequence[Found], of: str) -> list[tuple[str, int]]:
    return sorted({(asked.measure, asked.weeks) for one in found for asked in one.hits if asked.of == of})


def coverages(name: str, found: Sequence[Found], of: str, band: Bound, chance: float) -> Iterator[Verdict]:
    """All shown cells of a window together, then each measure by itself: rare cells are told apart.

    Each measure's other cells must hold their 93 %; that they hold more than the band's other end is told.
    Ordered genres, nearly all of them rare, are told only.
    """
    asked = _measures(found, of)
    for weeks in sorted({weeks for _, weeks in asked}):
        together = [Wanted(of, measure, weeks) for measure, one in asked if one == weeks and measure in MAIN]
        one = coverage(found, lambda this, together=together: any(wanted(this) for wanted in together))
        yield Verdict(
            f"coverage, {of}",
            f"{name}, {weeks} w, all shown cells: {band.low:.0%} to {band.high:.0%}",
            one.within(band, chance),
            f"{one.part:.1%} +- {one.error:.1%} of {one.shown:,}",
        )
    for measure, weeks in asked:
        yield _by_itself(name, found, Wanted(of, measure, weeks), chance)


def _by_itself(name: str, found: Sequence[Found], wanted: Wanted, chance: float) -> Verdict:
    common, rare = (coverage(found, wanted._replace(rare=rare)) for rare in (False, True))
    judged = wanted.measure in MAIN
    told = [
        f"{which} {one.part:.1%} +- {one.error:.1%} of {one.shown:,}"
        for which, one in (("common", common), ("rare", rare))
        if one.shown
    ]
    return Verdict(
        f"coverage, {wanted.of}",
        f"{name} {wanted.measure}, {wanted.weeks} w, "
        + ("common cells: 93 % or more" if judged else "told only"),
        not judged or common.within(AT_LEAST, chance),
        ", ".join(told),
    )


def ranks(name: str, found: Sequence[Found], chance: float) -> Iterator[Verdict]:
    """Rank ranges hold the true rank, and how many of the top six stand alone."""
    for measure, weeks in sorted({key for one in found for key in one.ranks}):
        if measure == "viewing":
            continue
        one, separated = ranks_held(found, measure, weeks)
        yield Verdict(
            "ranking",
            f"{name} {measure}, {weeks} w: 95 % of rank ranges hold the true rank",
            one.within(RANKS, chance),
            f"{one.part:.1%} of {one.shown:,}; {separated:.1f} of the top six stand alone",
        )


def drawing(name: str, found: Sequence[Found]) -> Iterator[str]:
    """How much of the bound on drawing is used: what is left makes intervals wider than they need be."""
    for measure in sorted({measure for one in found for measure in one.drawn}):
        used = fmean(one.drawn[measure] for one in found if measure in one.drawn)
        yield f"{name} {measure}: the drawing uses {used:.0%} of its bound; the rest lies between boxes"


def leanings(found: Sequence[Leaning]) -> Iterator[Verdict]:
    """Where consent leans on viewing the figures of all boxes fail, and the more the larger."""
    limits = {5_000: Bound(0.70, 0.93), 20_000: Bound(0.0, 0.40)}
    for one in found:
        limit = limits[one.size]
        yield Verdict(
            "leaning consent",
            f"{one.size:,} boxes: all boxes' minutes hold in {limit.low:.0%} to {limit.high:.0%} only",
            limit.holds(one.coverage),
            f"{one.coverage:.0%} of {one.trials}; those who consent view {one.bias:.1%} more",
        )


def of_studies(studies: dict[str, list[Found]], chance: float) -> Iterator[Verdict]:
    """Everything that is judged of the played towns."""
    each = chance / CHECKS
    for name, found in studies.items():
        if name != EVERYBODY:
            yield from coverages(name, found, PANEL, BAND, each)
            yield from ranks(name, found, each)
        if name in {SMALL, EVERYBODY}:
            yield from coverages(name, found, ALL_BOXES, AT_LEAST, each)
