"""How far released counters are from the exact ones, beside OpenDP used directly on the same counters.

The release draws with OpenDP, so the ratio is to prove that nothing is added on the way from counters to
table. And whether making overlapping tables agree brings shares nearer to the truth: each measure's shares
are estimated from a release that holds this measure alone, and from the whole release.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from msgspec import structs

from headend.analytics.estimates import estimate
from headend.analytics.noise import sensitivity
from headend.analytics.published import ReleaseTable
from shared.register import Grid, Kind, Measure, profile
from tests.audit.bounds import LONG, Verdict, deviations, mean_and_error
from tests.audit.coverage import PANEL, Case, cases
from tests.audit.panels import Panel
from tests.audit.towns import FIRST_WEEK, Played, Town, counters

MOST = 1.02
SHARED = 100
"""Draws of which shares are estimated too; it takes longer."""
REGIONS = ("region-a", "region-b", "region-c", "region-d")


class Squares(NamedTuple):
    """Sums of squared errors in units of the declared scale: of releases, of OpenDP, and their number."""

    ours: float
    direct: float
    count: int

    @property
    def ratio(self) -> float:
        """Of the root mean squares."""
        return math.sqrt(self.ours / self.direct)

    @property
    def error(self) -> float:
        """The ratio's standard error, if both are the same law: each mean square has one of sqrt(2 / n)."""
        return math.sqrt(1 / self.count)


def opendp_directly(measure: Measure, exact: list[int]) -> list[int]:
    """OpenDP's own choice of scale for the sensitivity and the cost, and its own draw."""
    import opendp.prelude as dp

    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64"), size=len(exact)), dp.l2_distance(T="f64")
    scale = dp.binary_search_param(
        lambda at: dp.m.make_gaussian(*space, at, MO="ZeroConcentratedDivergence"),
        d_in=sensitivity(measure),
        d_out=measure.rho_micro / 1_000_000,
        bounds=(1.0, 1e5),
    )
    return dp.m.make_gaussian(*space, scale, MO="ZeroConcentratedDivergence")(exact)


def exact_counters(measure: Measure, grid: Grid, played: Played) -> list[int]:
    """The whole vector, in the order of a release: amounts, then the rests of a timed measure."""
    amounts, rests = [0] * grid.size, [0] * grid.size
    for one in counters(measure, played):
        amounts[one.cell - 1], rests[one.cell - 1] = one.amount, one.rest
    return amounts + rests if measure.kind is Kind.TIMED else amounts


def squares(town: Town, played: list[dict[str, Played]], tables: list[ReleaseTable]) -> Squares:
    """Released and drawn-directly counters against the exact ones, over all weeks."""
    ours = direct = 0.0
    count = 0
    for (measure, grid), index in zip(town.measures(), range(100), strict=False):
        exact = [exact_counters(measure, grid, week[measure.name]) for week in played]
        ours += _squared(
            exact, [one.measures[index].amounts + one.measures[index].rests for one in tables], measure
        )
        flat = [value for vector in exact for value in vector]
        direct += _squared([flat], [opendp_directly(measure, flat)], measure)
        count += len(flat)
    return Squares(ours, direct, count)


def _squared(exact: list[list[int]], noisy: list[list[int]], measure: Measure) -> float:
    return sum(
        ((value - true) / measure.noise_scale) ** 2
        for one, other in zip(noisy, exact, strict=True)
        for value, true in zip(one, other, strict=True)
    )


class Shares(NamedTuple):
    """Root mean squared errors of one measure's shares, alone and in the whole release, and how sure that is.

    `gain` is the mean over weeks of the difference of squared errors, alone less together, and `error` its
    standard error: weeks are independent of each other.
    """

    measure: str
    alone: float
    together: float
    gain: float
    error: float


def shares(town: Town, played: list[dict[str, Played]], tables: list[ReleaseTable]) -> Iterator[Shares]:
    """Every one-minute measure of viewing."""
    truth = {case.measure.name: case for case in cases(town, played[:1])}
    whole = [estimate([table]) for table in tables]
    for index, (measure, _) in enumerate(town.measures()):
        if measure.kind is not Kind.ONE_MINUTE or "ordered-genre" in measure.grid:
            continue
        case, pairs = truth[measure.name], []
        for table, together in zip(tables, whole, strict=True):
            alone = estimate([structs.replace(table, measures=[table.measures[index]])])
            one, other = (_share_errors(case, found.measure(measure.name)) for found in (alone, together))
            both = one.keys() & other.keys()
            if both:
                pairs.append([sum(errors[cell] ** 2 for cell in both) for errors in (one, other)])
        if pairs:
            gain, error = mean_and_error([alone - together for alone, together in pairs])
            cells = len(pairs) * case.grid.size
            roots = [math.sqrt(sum(column) / cells) for column in zip(*pairs, strict=True)]
            yield Shares(measure.name, *roots, gain, error)


def _share_errors(case: Case, said) -> dict[int, float]:
    found = {}
    for group in said.groups:
        pairs = [(case.grid.cell(*cell.values), cell) for cell in group.cells if "share" in cell.panel]
        numbers = [number for number, _ in pairs]
        for number, cell in pairs:
            found[number] = cell.panel["share"].value - case.truth(PANEL, "share", number, numbers)
    return found


def audit(draws: int = 300, boxes: int = 3_080, chance: float = LONG) -> Iterator[Verdict]:
    """The regional table, drawn again and again; each time boxes draw their minutes anew as well."""
    town = Town(Panel(60_000, boxes, REGIONS), profile("regional"), boxes)
    played = town.play(draws)
    tables = [town.release(week, FIRST_WEEK) for week in played]
    found = squares(town, played, tables)
    limit = max(MOST, 1 + deviations(chance / 2) * found.error)
    yield Verdict(
        "error",
        f"counters, {draws} draws of {found.count // draws} cells: at most {limit:.3f} of OpenDP's",
        found.ratio <= limit,
        f"ratio {found.ratio:.4f}, its standard error {found.error:.4f}",
    )
    for one in shares(town, played[:SHARED], tables[:SHARED]):
        yield Verdict(
            "error",
            f"{one.measure}: shares of the whole release are no worse than those of the measure alone",
            one.gain >= -deviations(chance / 8) * one.error,
            f"{100 * one.alone:.3f} points alone, {100 * one.together:.3f} together",
        )
