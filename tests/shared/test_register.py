import itertools
import math
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import register
from shared.register import Grid, Kind, UndeclaredError, in_force, profile, profile_names, values_of
from shared.words import LANGUAGES

REGIONS = ("north", "south", "none")

# docs/privacy-guarantee.md: the noise that each profile declares, to one place.
SIGMA = {
    "small": {"genre": 8.2, "viewing": 14.1, "ordered-genre": 14.1},
    "regional": {
        "genre": 14.1,
        "genre-reach": 46.9,
        "viewing": 22.4,
        "genre-shift": 15.8,
        "genre-daypart": 15.8,
        "genre-region": 18.3,
        "ordered-genre": 22.4,
    },
    "national": {
        "genre-minutes": 74.2,
        "genre-shift": 22.4,
        "genre-daypart": 22.4,
        "genre-region": 22.4,
        "viewing": 44.7,
        "genre-detail": 31.6,
        "ordered-genre": 44.7,
    },
}
CASES = [(name, measure) for name in SIGMA for measure in profile(name).measures]
each_measure = pytest.mark.parametrize(
    ("name", "measure"), CASES, ids=lambda value: getattr(value, "name", value)
)


@pytest.mark.parametrize("name", profile_names())
def test_each_profile_has_the_noise_that_is_declared(name):
    assert {measure.name: round(measure.sigma, 1) for measure in profile(name).measures} == SIGMA[name]


def test_each_profile_costs_a_week_what_is_declared():
    assert {name: profile(name).rho_micro for name in profile_names()} == {
        "small": 12_500,
        "regional": 12_500,
        "national": 5_000,
    }


@each_measure
def test_a_measure_costs_what_its_noise_says(name, measure):
    assert measure.rho_micro / 1e6 == pytest.approx(measure.quota / (2 * measure.sigma**2))


@each_measure
def test_a_timed_counter_carries_sixteen_times_the_noise(name, measure):
    assert measure.noise_scale == pytest.approx(measure.sigma * (16 if measure.kind is Kind.TIMED else 1))
    assert (measure.volume_minutes > 0) == (measure.kind is Kind.TIMED)


@each_measure
def test_a_quota_covers_all_cells_that_a_box_can_fill(name, measure):
    one_draw = measure.kind is Kind.ONE_MINUTE
    assert measure.quota == (1 if one_draw else Grid(measure, REGIONS).size)


@each_measure
def test_a_measure_says_what_it_is_for_who_answers_for_it_and_until_when(name, measure):
    declared = register.declaration()
    assert measure.purpose in declared["purposes"]
    assert measure.owner
    assert measure.review > date(2027, 1, 1)
    assert all(dimension in declared["dimensions"] for dimension in measure.grid)


@each_measure
def test_a_measure_has_its_words_in_every_language(name, measure):
    told = {language: measure.words(language) for language in LANGUAGES}
    assert len(set(told.values())) == 3
    assert measure.plain == told["en"] == measure.words("pt")
    assert all("{" not in text for text in told.values())


def test_a_timed_measure_says_its_hours():
    assert "80 hours" in profile("small").measure("viewing").words("en")
    assert "30 uur" in profile("national").measure("genre-minutes").words("nl")


SMALL = profile("small")
ORDERED = SMALL.measure("ordered-genre")


def test_on_its_review_date_a_measure_is_in_force_and_a_day_later_no_more():
    assert in_force(SMALL, ORDERED.review) == SMALL
    after = in_force(SMALL, ORDERED.review + timedelta(days=1))
    assert [one.name for one in after.measures] == ["genre", "viewing"]
    assert in_force(SMALL, date.max).measures == ()


def test_a_week_costs_what_is_in_force_and_the_profile_stays_as_declared():
    after = in_force(SMALL, ORDERED.review + timedelta(days=1))
    assert after.rho_micro == SMALL.rho_micro - ORDERED.rho_micro
    assert profile("small").rho_micro == 12_500


def test_measure_numbers_are_never_given_to_another():
    # A number names its measure on the wire, for ever: a line may be added here, none changed.
    assert {measure["name"]: measure["number"] for measure in register.declaration()["measures"]} == {
        "genre": 1,
        "viewing": 2,
        "ordered-genre": 3,
        "genre-reach": 4,
        "genre-shift": 5,
        "genre-daypart": 6,
        "genre-region": 7,
        "genre-minutes": 8,
        "genre-detail": 9,
    }


def test_a_changed_copy_of_the_declaration_changes_nothing():
    register.declaration()["measures"].clear()
    assert register.declaration()["measures"]


def test_only_a_profile_with_a_measure_by_region_says_how_many_boxes_a_region_needs():
    assert {name: profile(name).min_boxes_a_region for name in profile_names()} == {
        "small": 0,
        "regional": 750,
        "national": 5000,
    }


def test_profiles_follow_each_other_by_panel_size_and_none_is_below_300():
    bounds = [(profile(name).min_accounts, profile(name).max_accounts) for name in profile_names()]
    assert bounds[0][0] == 300
    assert all(before[1] == after[0] for before, after in itertools.pairwise(bounds))


def test_measure_numbers_fit_a_byte_and_are_unique():
    numbers = [measure["number"] for measure in register._register()[0]["measures"]]
    assert len(set(numbers)) == len(numbers)
    assert all(1 <= number <= 255 for number in numbers)


@each_measure
@given(data=st.data())
def test_a_cell_survives_its_values_and_back(name, measure, data):
    grid = Grid(measure, REGIONS)
    cell = data.draw(st.integers(1, grid.size))
    assert grid.cell(*grid.values(cell)) == cell


@each_measure
def test_cells_are_numbered_from_one_and_fit_their_two_bytes(name, measure):
    grid = Grid(measure, REGIONS)
    assert len({grid.values(cell) for cell in range(1, grid.size + 1)}) == grid.size
    assert grid.size == math.prod(len(values_of(dimension, REGIONS)) for dimension in measure.grid) < 2**16


def test_the_last_dimension_varies_fastest():
    grid = Grid(profile("regional").measure("genre-shift"), ())
    assert grid.values(1) == ("film-drama", "live")
    assert grid.values(2) == ("film-drama", "same-day")
    assert grid.values(7) == ("news", "live")


@pytest.mark.parametrize("cell", [-1, 0, 12, 65_535])
def test_none_and_cells_outside_the_grid_have_no_values(cell):
    with pytest.raises(UndeclaredError):
        Grid(profile("small").measure("genre"), ()).values(cell)


def test_a_value_that_is_not_listed_has_no_cell():
    with pytest.raises(UndeclaredError):
        Grid(profile("small").measure("genre"), ()).cell("adult")


@pytest.mark.parametrize(
    "ask",
    [
        lambda: profile("advertisers"),
        lambda: profile("small").measure("title"),
        lambda: values_of("title", ()),
    ],
    ids=["profile", "measure", "dimension"],
)
def test_what_is_not_declared_is_refused(ask):
    with pytest.raises(UndeclaredError):
        ask()


def test_the_register_is_known_by_its_hash_and_version():
    assert len(bytes.fromhex(register.register_hash())) == 32
    assert register.register_version() == "2026.2"
