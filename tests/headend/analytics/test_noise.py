import dataclasses
import itertools
import math

import pytest

from headend.analytics.noise import NoiseError, add_noise, sensitivity
from shared.register import SIXTEENTHS, Kind, Measure, profile, profile_names

MEASURES = [measure for name in profile_names() for measure in profile(name).measures]


@pytest.mark.parametrize("measure", MEASURES, ids=lambda one: f"{one.name}-{one.rho_micro}")
def test_the_library_agrees_with_the_declared_cost(measure: Measure) -> None:
    assert len(add_noise(measure, [0, 0, 0])) == 3


def test_a_cost_that_is_not_the_declared_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headend.analytics.noise.sensitivity", lambda _measure: 1.1)
    with pytest.raises(NoiseError):
        add_noise(profile("small").measure("genre"), [0])


def test_noise_has_the_declared_variance_and_no_bias() -> None:
    # The mean square of 40,000 draws has a relative deviation of sqrt(2 / 40,000) = 0.7 %; eight of them
    # are never met by chance.
    measure = profile("small").measure("genre")
    draws = add_noise(measure, [1000] * 40_000)
    mean_square = sum((draw - 1000) ** 2 for draw in draws) / len(draws)
    assert mean_square == pytest.approx(measure.noise_scale**2, rel=0.06)
    assert sum(draws) / len(draws) == pytest.approx(1000, abs=8 * measure.noise_scale / 200)


def test_timed_counters_get_sixteen_times_sigma() -> None:
    measure = profile("small").measure("viewing")
    draws = add_noise(measure, [0] * 40_000)
    assert sum(draw**2 for draw in draws) / 40_000 == pytest.approx((16 * measure.sigma) ** 2, rel=0.06)


def test_no_two_draws_are_alike() -> None:
    measure = profile("small").measure("genre")
    assert add_noise(measure, [0] * 64) != add_noise(measure, [0] * 64)


def test_negative_values_stand_as_they_are() -> None:
    assert min(add_noise(profile("small").measure("genre"), [0] * 200)) < 0


@pytest.mark.parametrize("measure", MEASURES, ids=lambda one: f"{one.name}-{one.rho_micro}")
def test_no_account_can_move_the_counters_by_more_than_the_sensitivity(measure: Measure) -> None:
    """Over every value in one cell; cells are distinct, so B of the worst bound the whole."""
    if measure.kind is Kind.TIMED:
        worst = max(math.hypot(k, SIXTEENTHS - k) for k in range(SIXTEENTHS + 1))
    else:
        worst = 1.0
    assert worst * math.sqrt(measure.quota) == pytest.approx(sensitivity(measure))


def test_the_quota_bounds_distinct_cells_by_brute_force() -> None:
    measure = dataclasses.replace(profile("national").measure("genre-minutes"), quota=2)
    values = range(SIXTEENTHS + 1)
    moved = max(
        math.sqrt(a**2 + (16 - a) ** 2 + b**2 + (16 - b) ** 2) for a, b in itertools.product(values, values)
    )
    assert moved == pytest.approx(sensitivity(measure))
