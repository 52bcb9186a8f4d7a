import math
import os
import random
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from box_agent.chance import below
from box_agent.rollup import Viewed, contribution, draw, fragments, has_run, sixteenths
from box_agent.sessions import Minute
from shared.anonymous import NONE_CELL, value_fits
from shared.dayparts import DAYPARTS
from shared.genres import DETAILS, GENRES, SHIFT_CLASSES, detail_of_dvb, general_detail
from shared.register import Grid, Kind, profile, profile_names
from tests.box_agent.fakes import W41

REGIONS = ("north", "south")
SYSTEM = below(os.urandom)


def taken(name: str) -> list[tuple[object, Grid]]:
    return [(measure, Grid(measure, REGIONS)) for measure in profile(name).measures]


def viewed(*runs: tuple[str, int], ordered: tuple[str | None, ...] = (), region: str = "north") -> Viewed:
    minutes, number = [], 1000
    for genre, length in runs:
        minutes += [
            Minute(number + one, genre, "live", "19-23", general_detail(genre)) for one in range(length)
        ]
        number += length + 10
    return Viewed(minutes, ordered, region)


def of(name: str, measure: str, found: Viewed):
    one = profile(name).measure(measure)
    return contribution(one, Grid(one, REGIONS), found)


MINUTES = st.lists(
    st.builds(
        Minute,
        st.integers(0, 3000),
        st.sampled_from(GENRES),
        st.sampled_from(SHIFT_CLASSES),
        st.sampled_from(DAYPARTS),
        st.sampled_from(DETAILS),
    ),
    max_size=300,
    unique_by=lambda minute: minute.number,
).map(sorted)
ORDERED = st.lists(st.sampled_from([None, "film-comedy", "game-puzzle"]), max_size=4)


@given(st.sampled_from(profile_names()), MINUTES, ORDERED, st.sampled_from(["north", "none"]))
def test_the_quota_is_always_full_and_every_value_fits(
    name: str, minutes: list[Minute], ordered: list[str | None], region: str
) -> None:
    measures = taken(name)
    found = fragments(measures, W41, Viewed(minutes, ordered, region), SYSTEM)  # type: ignore[arg-type]  # pairs
    counted = Counter(fragment.measure_number for fragment in found)
    assert counted == {measure.number: measure.quota for measure, _ in measures}  # type: ignore[attr-defined]  # a measure
    by_number = {measure.number: (measure, grid) for measure, grid in measures}  # type: ignore[attr-defined]  # a measure
    for fragment in found:
        measure, grid = by_number[fragment.measure_number]
        assert 0 <= fragment.cell <= grid.size
        assert value_fits(measure.kind, fragment.cell, fragment.value)  # type: ignore[attr-defined]  # a measure
        assert fragment.week == W41


@given(MINUTES)
def test_a_cell_is_sent_at_most_once_by_timed_and_untimed_measures(minutes: list[Minute]) -> None:
    for name, measure in (("national", "genre-minutes"), ("regional", "genre-reach")):
        found = draw(of(name, measure, Viewed(minutes, (), "north")), W41, SYSTEM)
        cells = [fragment.cell for fragment in found if fragment.cell != NONE_CELL]
        assert len(cells) == len(set(cells))


def test_one_minute_is_drawn_uniformly() -> None:
    found = of("small", "genre", viewed(("news", 300), ("sports", 100)))
    chance = random.Random(7)  # noqa: S311 (seeded, to be the same each time)
    drawn = Counter(draw(found, W41, chance.randrange)[0].cell for _ in range(4000))
    news, sports = Grid(found.measure, ()).cell("news"), Grid(found.measure, ()).cell("sports")
    assert set(drawn) == {news, sports}
    assert abs(drawn[news] - 3000) < 5 * math.sqrt(4000 * 0.75 * 0.25)
    assert found.share(news) == Fraction(3, 4)
    assert found.total() == 400


def test_each_minute_of_the_week_can_be_the_one() -> None:
    found = of("small", "genre", viewed(("news", 3), ("sports", 1)))
    cells = [draw(found, W41, lambda _n, k=k: k)[0].cell for k in range(4)]  # type: ignore[misc]  # a fixed draw
    assert Counter(cells) == {
        Grid(found.measure, ()).cell("news"): 3,
        Grid(found.measure, ()).cell("sports"): 1,
    }


def test_measures_draw_independently() -> None:
    found = viewed(("news", 5), ("sports", 5))
    measures = [(profile("regional").measure(n), REGIONS) for n in ("genre", "genre-shift")]
    chance = random.Random(1)  # noqa: S311 (likewise)
    pairs = {
        tuple(
            grid.values(fragment.cell)[0]
            for fragment, grid in zip(
                fragments([(m, Grid(m, r)) for m, r in measures], W41, found, chance.randrange),
                [Grid(m, r) for m, r in measures],
                strict=True,
            )
        )
        for _ in range(100)
    }
    assert len(pairs) == 4


@given(st.integers(0, 6000), st.sampled_from([1800, 4800]))
def test_sixteenths_are_rounded_without_bias(minutes: int, volume: int) -> None:
    # Over all draws of random_below(volume) the mean is exact.
    capped = min(minutes, volume)
    total = sum(sixteenths(minutes, volume, lambda _n, d=d: d) for d in range(volume))  # type: ignore[misc]  # a fixed draw
    assert Fraction(total, volume) == Fraction(capped * 16, volume)
    assert 0 <= sixteenths(minutes, volume, SYSTEM) <= 16


def test_a_box_below_reach_says_none_for_every_viewing_measure() -> None:
    found = viewed(("news", 2), ("sports", 2), ("news", 1), ordered=("film-comedy",))
    for name in profile_names():
        for measure in profile(name).measures:
            drawn = draw(contribution(measure, Grid(measure, REGIONS), found), W41, SYSTEM)
            cells = {fragment.cell for fragment in drawn}
            assert (cells == {NONE_CELL}) == (measure.name != "ordered-genre")


def test_three_consecutive_minutes_are_reach_whatever_they_show() -> None:
    found = Viewed(
        [
            Minute(1, "news", "live", "19-23", "news-general"),
            Minute(2, "show", "live", "19-23", "show-general"),
            Minute(3, "arts", "live", "19-23", "arts-general"),
        ],
        (),
        "",
    )
    assert of("small", "viewing", found).counts == {1: 3}
    assert of("regional", "genre-reach", found).reached == frozenset()


def test_timed_minutes_are_capped_at_the_volume() -> None:
    assert of("small", "viewing", viewed(("news", 5000))).total() == 4800
    cell = Grid(profile("national").measure("genre-minutes"), ()).cell("news")
    found = of("national", "genre-minutes", viewed(("news", 2000), ("sports", 2)))
    assert found.counts == {cell: 1800}
    assert draw(found, W41, SYSTEM)[0].value == 16


def test_a_timed_cell_that_rounds_to_nothing_is_still_reached() -> None:
    drawn = draw(of("national", "genre-minutes", viewed(("news", 3))), W41, lambda n: n - 1)
    assert [(one.cell, one.value) for one in drawn if one.cell] == [(2, 0)]


def test_an_order_is_drawn_and_adult_ones_never_count() -> None:
    cell = Grid(profile("small").measure("ordered-genre"), ()).cell("film-comedy")
    found = of("small", "ordered-genre", viewed(ordered=(None, "film-comedy", None)))
    assert found.counts == {cell: 1}
    assert draw(of("small", "ordered-genre", viewed(ordered=(None,))), W41, SYSTEM)[0].cell == NONE_CELL


def test_a_minute_is_told_by_its_detail_where_that_is_the_measure() -> None:
    football = [Minute(n, "sports", "live", "19-23", "sports-football") for n in range(3)]
    religion = [Minute(n, "arts", "live", "19-23", detail_of_dvb(0x73)) for n in range(3, 9)]
    found = of("national", "genre-detail", Viewed(football + religion, (), "north"))
    grid = Grid(found.measure, ())
    assert found.counts == {grid.cell("sports-football"): 3, grid.cell("arts-general"): 6}
    shift = of("national", "genre-shift", Viewed(football + religion, (), "north"))
    assert sum(shift.counts.values()) == 9
    assert len(shift.counts) == 2


def test_an_unlisted_region_is_none() -> None:
    found = of("regional", "genre-region", viewed(("news", 10), region="none"))
    assert found.counts == {NONE_CELL: 10}
    assert draw(found, W41, SYSTEM)[0] == draw(of("regional", "genre-region", viewed()), W41, SYSTEM)[0]


@pytest.mark.parametrize(
    ("numbers", "found"), [([], False), ([1, 2], False), ([1, 2, 4, 5, 6], True), ([7, 8, 9], True)]
)
def test_a_run_is_three_in_a_row(numbers: list[int], found: bool) -> None:  # noqa: FBT001 (a case)
    assert has_run(numbers) is found


def test_every_kind_of_measure_was_tried() -> None:
    assert {measure.kind for name in profile_names() for measure in profile(name).measures} == set(Kind)
