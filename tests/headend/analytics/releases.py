"""Release tables of an invented panel whose truth is known; noise and drawing from a seeded generator."""

import random

from headend.analytics.published import NoisyMeasure, ReleaseTable
from shared.register import Grid, Measure, profile
from shared.weeks import Week

WEEK = Week(2026, 41)
REGIONS = ("north", "south")


def noisy(
    measure: Measure, amounts: list[int], rests: list[int] | None = None, rnd: random.Random | None = None
) -> NoisyMeasure:
    """A measure's table; without a generator the noise happens to be zero."""
    grid = Grid(measure, REGIONS)

    def draw(count: int) -> int:
        return count if rnd is None else count + round(rnd.gauss(0, measure.noise_scale))

    return NoisyMeasure(
        name=measure.name,
        kind=measure.kind.value,
        grid=list(measure.grid),
        quota=measure.quota,
        volume_minutes=measure.volume_minutes,
        rho_micro=measure.rho_micro,
        sigma=measure.sigma,
        noise_scale=measure.noise_scale,
        cells=[list(grid.values(cell)) for cell in range(1, grid.size + 1)],
        amounts=[draw(count) for count in amounts],
        rests=[draw(count) for count in rests or []],
    )


def table(
    measures: list[NoisyMeasure], boxes: int, *, week: Week = WEEK, taken: str = "small", everyone: int = 2000
) -> ReleaseTable:
    """A week in which `boxes` reported, of `everyone` in two regions of equal size."""
    tokens = {one.name: boxes * one.quota for one in measures}
    return ReleaseTable(
        week=str(week),
        profile=taken,
        register="r",
        simulated=True,
        regions=list(REGIONS),
        boxes=dict.fromkeys(REGIONS, everyone // 2),
        accounts_asked=boxes,
        issued={name: count * 2 for name, count in tokens.items()},
        accepted=tokens,
        measures=measures,
    )


def genre(counts: list[int], rnd: random.Random | None = None, taken: str = "small") -> NoisyMeasure:
    return noisy(profile(taken).measure("genre"), counts, None, rnd)
