import math

import pytest

from tests.audit.bounds import binomial, chi_square_tails, deviations, mean_and_error


@pytest.mark.parametrize(
    ("value", "freedom", "above"),
    [(3.841458821, 1, 0.05), (18.30703805, 10, 0.05), (2.558212, 10, 0.99), (124.3421134, 100, 0.05)],
)
def test_chi_square_tails_are_those_of_the_tables(value: float, freedom: int, above: float) -> None:
    assert chi_square_tails(value, freedom) == pytest.approx((1 - above, above), rel=1e-5)


def test_a_chi_square_of_many_freedoms_is_nearly_normal() -> None:
    below, above = chi_square_tails(200_000 + 3 * math.sqrt(400_000), 200_000)
    assert above == pytest.approx(0.00135, rel=0.05)
    assert below + above == pytest.approx(1)


def test_a_binomial_bound_leaves_out_no_more_than_its_chance() -> None:
    trials, part, chance = 60, 0.2, 0.01
    bound = binomial(trials, part, chance)
    masses = [math.comb(trials, k) * part**k * (1 - part) ** (trials - k) for k in range(trials + 1)]
    assert sum(masses[: bound.low]) <= chance / 2 < sum(masses[: bound.low + 1])
    assert sum(masses[bound.high + 1 :]) <= chance / 2 < sum(masses[bound.high :])


def test_a_rare_chance_is_many_deviations() -> None:
    assert deviations(0.05) == pytest.approx(1.959964)
    assert 6.0 < deviations(1e-9) < 6.2


def test_the_error_of_a_mean_is_that_of_independent_values() -> None:
    assert mean_and_error([1.0, 3.0]) == pytest.approx((2.0, 1.0))
