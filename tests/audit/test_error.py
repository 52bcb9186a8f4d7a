import pytest
from msgspec import structs

from headend.analytics.release import noisy_measure
from shared.register import profile
from tests.audit import error
from tests.audit.bounds import SHORT, deviations
from tests.audit.panels import Panel, chance_of
from tests.audit.towns import FIRST_WEEK, Town

DRAWS = 20


@pytest.fixture(scope="module")
def town() -> Town:
    return Town(Panel(1, 400, error.REGIONS), profile("regional"), 400)


@pytest.fixture(scope="module")
def played(town: Town):
    return town.play(DRAWS)


def limit(found: error.Squares) -> float:
    return 1 + deviations(SHORT) * found.error


def test_released_counters_are_as_near_as_opendps_own(town: Town, played) -> None:
    found = error.squares(town, played, [town.release(week, FIRST_WEEK) for week in played])
    assert 1 / limit(found) <= found.ratio <= limit(found)


def test_noise_that_is_added_on_the_way_is_caught(town: Town, played) -> None:
    rnd = chance_of(3)

    def worse(measure, grid, counters):
        said = noisy_measure(measure, grid, counters)
        more = [value + round(rnd.gauss(0, measure.noise_scale)) for value in said.amounts]
        return structs.replace(said, amounts=more)

    found = error.squares(town, played, [town.release(week, FIRST_WEEK, worse) for week in played])
    assert found.ratio > limit(found)


def test_shares_of_the_whole_release_are_compared_with_those_of_each_measure_alone(
    town: Town, played
) -> None:
    tables = [town.release(week, FIRST_WEEK) for week in played[:2]]
    found = {one.measure: one for one in error.shares(town, played[:2], tables)}
    for one in found.values():
        assert one.alone > 0
        assert one.together > 0
    assert set(found) <= {"genre", "genre-shift", "genre-daypart", "genre-region"}
