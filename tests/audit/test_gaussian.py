from itertools import pairwise

import pytest

from headend.analytics.noise import add_noise
from shared.register import Measure, profile
from tests.audit.bounds import SHORT
from tests.audit.gaussian import (
    DiscreteGaussian,
    Draw,
    draws_to_tell_rounded,
    inspect,
    measures,
    sample,
)
from tests.audit.panels import chance_of

GENRE = profile("small").measure("genre")
PLANTED = 40_000


def failed(measure: Measure, draw: Draw, size: int, chance: float = SHORT) -> set[str]:
    return {one.name for one in inspect(measure, sample(measure, draw, size), chance) if not one.holds}


def rounded(factor: float = 1.0, seed: int = 2006) -> Draw:
    rnd = chance_of(seed)
    return lambda measure, counters: [
        counter + round(rnd.gauss(0, factor * measure.noise_scale)) for counter in counters
    ]


def laplace(seed: int = 2006) -> Draw:
    """Of the declared variance."""
    rnd = chance_of(seed)

    def draw(measure: Measure, counters: list[int]) -> list[int]:
        rate = 2**0.5 / measure.noise_scale
        return [counter + round(rnd.choice((-1, 1)) * rnd.expovariate(rate)) for counter in counters]

    return draw


def sparing(measure: Measure, counters: list[int]) -> list[int]:
    noisy = rounded()(measure, counters)
    return [after if before else 0 for before, after in zip(counters, noisy, strict=True)]


def shared_by_neighbours(measure: Measure, counters: list[int]) -> list[int]:
    noise = [
        value - counter for value, counter in zip(rounded(seed=7)(measure, counters), counters, strict=True)
    ]
    mixed = [(one + other) / 2**0.5 for one, other in pairwise([*noise, noise[0]])]
    return [counter + round(value) for counter, value in zip(counters, mixed, strict=True)]


@pytest.mark.parametrize(("taken", "measure"), measures(), ids=lambda one: getattr(one, "name", one))
def test_noise_is_the_declared_discrete_gaussian(taken: str, measure: Measure) -> None:
    assert failed(measure, add_noise, 4_000, SHORT / len(measures())) == set()


def test_noise_that_is_five_percent_too_small_is_caught() -> None:
    assert {"variance", "empty cells"} <= failed(GENRE, rounded(0.95), PLANTED)


def test_laplace_noise_of_the_same_variance_is_caught() -> None:
    assert {"shape", "beyond 4 sigma"} <= failed(GENRE, laplace(), PLANTED)


def test_noise_that_is_left_off_empty_cells_is_caught() -> None:
    assert "empty cells" in failed(GENRE, sparing, PLANTED)


def test_noise_that_is_drawn_anew_from_the_same_seed_is_caught() -> None:
    def seeded(measure: Measure, counters: list[int]) -> list[int]:
        return rounded()(measure, counters)

    assert "repetitions" in failed(GENRE, seeded, PLANTED)


def test_noise_that_neighbours_share_is_caught() -> None:
    assert "neighbours" in failed(GENRE, shared_by_neighbours, PLANTED)


def test_noise_with_a_bias_is_caught() -> None:
    unbiased = rounded()
    shifted = failed(GENRE, lambda one, counters: [value + 1 for value in unbiased(one, counters)], PLANTED)
    assert "mean" in shifted


def test_a_rounded_continuous_gaussian_cannot_be_told_and_the_audit_says_so() -> None:
    assert failed(GENRE, rounded(), PLANTED) == set()
    assert draws_to_tell_rounded(GENRE.noise_scale) > 10_000_000


def test_the_law_is_that_of_the_definition() -> None:
    law = DiscreteGaussian(GENRE.noise_scale)
    assert sum(law.masses) == pytest.approx(1)
    assert law.variance == pytest.approx(GENRE.noise_scale**2)
    assert law.beyond(3 * law.scale) == pytest.approx(0.0027, rel=0.1)
