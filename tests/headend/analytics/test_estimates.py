import random

import msgspec
import pytest

from headend.analytics.estimates import NoReleasesError, SeriesBrokenError, estimate
from headend.analytics.figures import NOBODY, SMALL, UNCERTAIN
from headend.analytics.intervals import PlainSums, Z, is_noise, least_shown, share
from headend.analytics.published import NoisyMeasure, ReleaseTable
from headend.analytics.series import Why
from headend.analytics.wording import Wording
from shared.register import GENRES, Grid, Kind, profile
from tests.builders import visit
from tests.headend.analytics.releases import REGIONS, WEEK, genre, noisy, table

ENGLISH = Wording(visit().language)
COUNTS = [200, 160, 100, 60, 40, 30, 20, 12, 8, 6, 4]
SMALL_PROFILE = profile("small")
BASE = [0.30, 0.22, 0.15, 0.08, 0.07, 0.055, 0.045, 0.03, 0.025, 0.015, 0.01]


def viewing(ks: int, rests: int, rnd: random.Random | None = None):
    return noisy(SMALL_PROFILE.measure("viewing"), [ks], [rests], rnd)


def test_shares_are_parts_of_the_noisy_whole() -> None:
    found = estimate([table([genre(COUNTS)], 640)]).measure("genre")
    shares = [cell.panel["share"].value for cell in found.groups[0].cells]
    assert shares == [count / 640 for count in COUNTS]
    assert sum(shares) == pytest.approx(1)


def test_several_weeks_are_summed_and_narrow_the_interval() -> None:
    weeks = [table([genre(COUNTS)], 640, week=WEEK.plus(week)) for week in range(4)]
    one = estimate(weeks[:1]).measure("genre").cell("film-drama").panel["share"]
    four = estimate(weeks).measure("genre").cell("film-drama").panel["share"]
    assert four.value == one.value
    assert four.half_width == pytest.approx(one.half_width / 2, rel=0.02)


def test_half_widths_are_those_the_profile_promises() -> None:
    top, sixth = (
        estimate([table([genre([round(640 * part) for part in BASE])], 640)])
        .measure("genre")
        .groups[0]
        .cells[at]
        for at in (0, 5)
    )
    assert top.panel["share"].half_width == pytest.approx(0.049, abs=0.004)
    assert sixth.panel["share"].half_width == pytest.approx(0.031, abs=0.003)


def test_intervals_cover_the_panels_figure_before_drawing() -> None:
    """Each box watches one genre for half of its time, so that the bound on drawing is not tight."""
    rnd = random.Random(2006)  # noqa: S311 (an invented panel)
    boxes, rounds = 400, 150
    tastes = [rnd.choices(range(11), BASE)[0] for _ in range(boxes)]
    mixed = [1.0 * part for part in BASE]
    truth = [0.5 * part + 0.5 * tastes.count(cell) / boxes for cell, part in enumerate(mixed)]
    covered = [0] * 11
    for _ in range(rounds):
        counts = [0] * 11
        for taste in tastes:
            counts[taste if rnd.random() < 0.5 else rnd.choices(range(11), mixed)[0]] += 1
        weeks = [
            table([genre(counts, rnd)], boxes, week=WEEK),
            table([genre(counts, rnd)], boxes, week=WEEK.plus(1)),
        ]
        for cell, one in enumerate(estimate(weeks[:1]).measure("genre").groups[0].cells):
            share = one.panel.get("share")
            covered[cell] += share is not None and share.low <= truth[cell] <= share.high
    shown = sum(covered) / (11 * rounds)
    assert 0.93 <= shown <= 1.0


def test_intervals_stand_on_unfloored_values_and_only_what_is_shown_is_floored() -> None:
    counts = [*COUNTS[:-1], -9]
    cell = estimate([table([genre(counts)], 640)]).measure("genre").cell("other")
    share = cell.panel["share"]
    assert share.value < 0
    assert share.low < share.value < share.high
    assert (share.shown_low, share.shown_value) == (0.0, 0.0)
    assert share.shown_high == share.high


def test_the_value_lies_within_its_interval_whatever_is_drawn() -> None:
    rnd = random.Random(7)  # noqa: S311 (an invented panel)
    for _ in range(200):
        counts = [rnd.randint(-40, 400) for _ in range(11)]
        for group in estimate([table([genre(counts)], 640)]).measure("genre").groups:
            for cell in group.cells:
                for one in (*cell.panel.values(), *cell.all_boxes.values()):
                    assert one.low <= one.value <= one.high
                    assert 0 <= one.shown_low <= one.shown_value <= one.shown_high <= 1


def test_withheld_is_judged_by_the_noisy_value_only() -> None:
    bound = Z * SMALL_PROFILE.measure("genre").sigma
    counts = [*COUNTS[:9], int(bound), int(bound) + 1]
    cells = estimate([table([genre(counts)], 640)]).measure("genre").groups[0].cells
    assert [cell.withheld for cell in cells[-2:]] == [SMALL, ""]


def test_shares_of_a_whole_that_is_mostly_noise_are_withheld_together() -> None:
    group = estimate([table([genre([8] * 11)], 88)]).measure("genre").groups[0]
    assert group.withheld == UNCERTAIN
    assert all(cell.withheld == UNCERTAIN and not cell.panel for cell in group.cells)


def test_genres_that_noise_cannot_tell_apart_are_ties() -> None:
    cells = (
        estimate([table([genre([300, 100, 95, 90, 5, 5, 5, 5, 5, 5, 5])], 620)])
        .measure("genre")
        .groups[0]
        .cells
    )
    assert [(cell.rank_low, cell.rank_high) for cell in cells[:4]] == [(1, 1), (2, 4), (2, 4), (2, 4)]
    assert (cells[4].rank_low, cells[4].rank_high) == (5, 11)


def test_all_boxes_need_a_wider_interval_over_several_weeks_but_not_over_one() -> None:
    weeks = [table([genre(COUNTS)], 640, week=WEEK.plus(week)) for week in range(4)]
    one = estimate(weeks[:1]).measure("genre").cell("news")
    four = estimate(weeks).measure("genre").cell("news")
    assert one.all_boxes["share"] == one.panel["share"]
    assert four.all_boxes["share"].half_width > 1.2 * four.panel["share"].half_width


def test_if_all_boxes_report_nothing_is_left_to_sampling() -> None:
    cell = (
        estimate([table([viewing(2773, 640 * 16 - 2773)], 640, everyone=640)])
        .measure("viewing")
        .groups[0]
        .cells[0]
    )
    panel, everyone = cell.panel["minutes"], cell.all_boxes["minutes"]
    assert everyone.value == pytest.approx(panel.value)
    rounding = panel.value / 640 * Z * (2 * 100 / 12) ** 0.5  # two regions, each told to 10
    assert everyone.half_width == pytest.approx((panel.half_width**2 + rounding**2) ** 0.5)


@pytest.mark.parametrize("mean", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0])
def test_what_is_shown_of_a_small_cell_covers_it_though_it_was_chosen_by_its_noise(mean: float) -> None:
    rnd = random.Random(41)  # noqa: S311 (an invented panel)
    scale = SMALL_PROFILE.measure("genre").noise_scale
    shown = covered = 0
    while shown < 1_500:
        sums = PlainSums([scale * (mean + rnd.gauss(0, 1)), 4000.0], scale**2, 0.0)
        if is_noise(sums, 0):
            continue
        found, truth = share(sums, 0), scale * mean / (4000 + scale * mean)
        shown += 1
        covered += found.low <= truth * 1.02 + 1e-9 and truth <= found.high
    assert covered / shown > 0.95


def test_the_least_that_is_shown_is_the_plain_bound_for_a_sum_that_is_clear() -> None:
    for value, least in ((3.0, 0.0), (3.5, 0.71), (4.0, 1.65), (6.0, 4.04), (7.5, 5.54)):
        assert least_shown(PlainSums([value], 1.0, 0.0), 0) == pytest.approx(least, abs=0.01)
    assert least_shown(PlainSums([1.9], 1.0, 0.0), 0) == 1.9, "a cell that is withheld is left alone"


def test_a_timed_measure_gives_minutes_reach_and_average_audience() -> None:
    ks, boxes = 2773, 640
    found = estimate([table([viewing(ks, boxes * 16 - ks)], boxes, everyone=2000)])
    cell = found.measure("viewing").groups[0].cells[0]
    assert cell.panel["minutes"].value == ks * 300
    assert cell.panel["minutes"].half_width / (ks * 300) == pytest.approx(0.16, abs=0.003)
    assert cell.panel["audience"].value == pytest.approx(ks * 300 / 10_080)
    assert cell.panel["reach"].value == pytest.approx(boxes)
    assert cell.panel["reach-share"].value == pytest.approx(1)
    assert cell.all_boxes["minutes"].value == pytest.approx(ks * 300 / boxes * 2000)
    sampling = 1.96 * (1300 * 3500 / boxes * (1 - boxes / 2000)) ** 0.5 * 2000
    noise = cell.panel["minutes"].half_width / boxes * 2000
    assert cell.all_boxes["minutes"].half_width == pytest.approx((sampling**2 + noise**2) ** 0.5, rel=0.01)


def test_minutes_are_covered_though_they_are_rounded_at_random() -> None:
    rnd = random.Random(11)  # noqa: S311 (an invented panel)
    views = [min(4800.0, rnd.gammavariate(2, 650)) for _ in range(300)]
    hits = 0
    for _ in range(200):
        ks = sum(int(view / 300) + (rnd.random() < view / 300 % 1) for view in views)
        found = estimate([table([viewing(ks, 300 * 16 - ks, rnd)], 300)])
        minutes = found.measure("viewing").groups[0].cells[0].panel["minutes"]
        hits += minutes.low <= sum(views) <= minutes.high
    assert 0.89 <= hits / 200 <= 1.0


def test_reach_of_an_untimed_measure_comes_with_its_part_of_the_panel() -> None:
    measure = profile("regional").measure("genre-reach")
    found = estimate([table([noisy(measure, [1540, *[500] * 10])], 3080, taken="regional", everyone=6000)])
    reach = found.measure("genre-reach").cell("film-drama")
    assert reach.panel["reach"].value == 1540
    assert reach.panel["reach-share"].value == pytest.approx(0.5)
    assert reach.panel["reach-share"].half_width == pytest.approx(0.03, abs=0.001)
    assert reach.all_boxes["reach"].value == pytest.approx(3000)


def test_minutes_by_genre_have_shares_of_all_minutes() -> None:
    measure = profile("national").measure("genre-minutes")
    boxes = 62_000
    ks = [round(boxes * 1300 * part / 112.5) for part in BASE]
    rests = [boxes * 16 - k for k in ks]
    found = estimate([table([noisy(measure, ks, rests)], boxes, taken="national", everyone=100_000)])
    cell = found.measure("genre-minutes").cell("film-drama")
    assert cell.panel["share"].value == pytest.approx(0.3, abs=1e-4)
    assert cell.panel["share"].half_width == pytest.approx(0.0036, abs=0.0004)
    assert cell.panel["reach"].half_width == pytest.approx(206, abs=2)
    assert cell.all_boxes["share"].half_width > cell.panel["share"].half_width


def test_ordered_genres_are_counts_and_shares_only_where_the_whole_is_certain() -> None:
    found = estimate([table([noisy(SMALL_PROFILE.measure("ordered-genre"), [60, *[2] * 17])], 640)])
    group = found.measure("ordered-genre").groups[0]
    assert group.withheld == UNCERTAIN
    first = group.cells[0]
    assert (first.withheld, set(first.panel)) == ("", {"box-weeks"})
    assert first.panel["box-weeks"].value == 60
    assert first.panel["box-weeks"].high - 60 == pytest.approx(28, abs=0.5)
    assert 60 - first.panel["box-weeks"].low == pytest.approx(31.5, abs=0.5), "it was chosen by its noise too"
    assert first.all_boxes["box-weeks"].value == pytest.approx(60 / 640 * 2000)
    assert group.cells[1].withheld == SMALL


def test_a_measure_by_region_has_shares_within_each_region_and_weighted_over_all() -> None:
    measure = profile("regional").measure("genre-region")
    counts = [0] * 22
    counts[0::2] = [round(6000 * part) for part in BASE]
    counts[1::2] = [round(2000 * part) for part in reversed(BASE)]
    found = estimate([table([noisy(measure, counts)], 8000, taken="regional", everyone=20_000)])
    north, south, both = found.measure("genre-region").groups
    assert (north.region, south.region) == ("north", "south")
    assert north.cells[0].panel["share"].value == pytest.approx(0.3)
    assert south.cells[0].panel["share"].value == pytest.approx(0.01)
    assert both.cells[0].all_boxes["share"].value == pytest.approx(0.155)
    assert both.cells[0].panel == {}


def test_a_region_that_is_too_small_for_one_week_is_withheld() -> None:
    measure = profile("regional").measure("genre-region")
    counts = [round(750 * part) for part in BASE for _ in range(2)]
    found = estimate([table([noisy(measure, counts)], 1500, taken="regional")])
    assert all(group.withheld == UNCERTAIN for group in found.measure("genre-region").groups)
    weeks = [table([noisy(measure, counts)], 1500, taken="regional", week=WEEK.plus(at)) for at in range(4)]
    four = estimate(weeks).measure("genre-region").groups[0]
    assert four.cells[0].panel["share"].half_width == pytest.approx(0.033, abs=0.002)


def test_delivered_is_the_part_of_issued_tokens_that_came() -> None:
    found = estimate([table([genre(COUNTS)], 640)]).measure("genre")
    assert (found.issued, found.accepted, found.delivered) == (1280, 640, 0.5)


def test_a_measure_that_nobody_delivered_is_withheld_whole() -> None:
    found = estimate([table([genre([0] * 11), viewing(0, 0)], 0)])
    for measure in found.measures:
        assert measure.groups[0].withheld == NOBODY
        assert all(cell.withheld and not cell.panel for cell in measure.groups[0].cells)


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(NoReleasesError):
        estimate([])


def test_weeks_that_do_not_follow_each_other_are_refused() -> None:
    with pytest.raises(SeriesBrokenError):
        estimate([table([genre(COUNTS)], 640), table([genre(COUNTS)], 640, week=WEEK.plus(2))])


@pytest.mark.parametrize("change", [{"profile": "regional"}, {"register": "other"}])
def test_a_series_breaks_where_profile_or_register_change(change: dict[str, object]) -> None:
    later = msgspec.structs.replace(table([genre(COUNTS)], 640, week=WEEK.plus(1)), **change)
    with pytest.raises(SeriesBrokenError):
        estimate([table([genre(COUNTS)], 640), later])


def both(week: int, *measures: NoisyMeasure) -> ReleaseTable:
    return table(list(measures), 640, week=WEEK.plus(week))


def test_a_measure_that_is_taken_otherwise_is_told_over_the_weeks_that_it_was_not() -> None:
    otherwise = genre(COUNTS, None, "regional")
    seen = viewing(2773, 7467)
    found = estimate([both(0, genre(COUNTS), seen), both(1, genre(COUNTS), seen), both(2, otherwise, seen)])
    assert found.measure("genre").weeks == ["2026-W43"]
    assert found.measure("genre").cell("news").panel["share"].value == 160 / 640
    assert found.measure("viewing").weeks == found.weeks
    assert found.measure("viewing").groups[0].cells[0].panel["minutes"].value == 3 * 2773 * 300
    assert [one.plain for one in found.breaks] == [
        "The series of genre begins with 2026-W43: it was taken otherwise before."
    ]


def test_a_measure_that_is_taken_anew_or_no_longer_breaks_its_own_series_only() -> None:
    seen = viewing(2773, 7467)
    anew = estimate([both(0, genre(COUNTS)), both(1, genre(COUNTS), seen)])
    assert anew.measure("viewing").weeks == ["2026-W42"]
    assert anew.breaks[0].why is Why.ANEW
    ended = estimate([both(0, genre(COUNTS), seen), both(1, genre(COUNTS))])
    assert ended.measure("viewing").weeks == ["2026-W41"]
    assert ended.measure("viewing").issued == 1280
    assert ended.measure("genre").weeks == ended.weeks
    assert [one.name for one in ended.measures] == ["genre", "viewing"]


def test_measures_of_fewer_weeks_are_not_reconciled_with_the_others() -> None:
    taken = profile("regional")
    genres = noisy(taken.measure("genre"), [280] * 11)
    crossed = noisy(taken.measure("genre-shift"), [50] * 66)
    weeks = [
        table([genres], 3300, taken="regional", everyone=9000),
        table([genres, crossed], 3300, week=WEEK.plus(1), taken="regional", everyone=9000),
    ]
    assert estimate(weeks).measure("genre").reconciled_with == []
    assert estimate(weeks[1:]).measure("genre").reconciled_with == ["genre-shift"]


def shifted(live: int, other: int, week: int = 0, dayparts: int = 0) -> ReleaseTable:
    taken = profile("regional")
    measures = [noisy(taken.measure("genre-shift"), [live, *[other] * 5] * 11)]
    if dayparts:
        measures.append(noisy(taken.measure("genre-daypart"), [dayparts] * 66))
    return table(measures, 11 * (live + 5 * other), week=WEEK.plus(week), taken="regional", everyone=15_000)


def test_the_part_that_is_not_live_is_told_for_panel_and_all_boxes() -> None:
    found = estimate([shifted(300, 20)])
    cell = found.measure("not-live").groups[0].cells[0]
    assert cell.panel["share"].value == pytest.approx(0.25)
    live = found.measure("shift").cell("live")
    assert live.panel["share"].value == pytest.approx(0.75)
    assert cell.panel["share"].half_width == pytest.approx(live.panel["share"].half_width, rel=1e-6)
    weeks = estimate([shifted(300, 20, at) for at in range(4)]).measure("not-live").groups[0].cells[0]
    assert weeks.panel["share"].half_width < 0.6 * cell.panel["share"].half_width
    assert weeks.all_boxes["share"].half_width > 1.05 * weeks.panel["share"].half_width


def test_the_part_that_is_not_live_is_told_by_genre_within_each_genre() -> None:
    release = shifted(1200, 80)
    release.measures[0].amounts[6] = 600  # news, live
    cells = estimate([release]).measure("not-live-by-genre").groups[0].cells
    assert [cell.panel["share"].value for cell in cells[:3]] == pytest.approx([0.25, 0.4, 0.25])
    assert (cells[1].rank_low, cells[1].rank_high) == (1, 1)
    assert (cells[0].rank_low, cells[0].rank_high) == (2, 11)


def test_the_part_that_is_not_live_is_withheld_where_it_cannot_be_told_from_nothing() -> None:
    found = estimate([shifted(300, 0)])
    assert found.measure("not-live").groups[0].cells[0].withheld == SMALL
    assert estimate([shifted(8, 1)]).measure("not-live").groups[0].cells[0].withheld == UNCERTAIN


def test_dayparts_and_time_shift_have_tables_of_their_own_that_agree_with_their_measure() -> None:
    found = estimate([shifted(300, 20, dayparts=67)])
    assert found.measure("daypart").summed_from == "genre-daypart"
    assert found.measure("shift").grid == ["shift"]
    for name, measure in (("shift", "genre-shift"), ("daypart", "genre-daypart")):
        for cell in found.measure(name).groups[0].cells:
            parts = [one for one in found.measure(measure).groups[0].cells if one.values[1] == cell.values[0]]
            whole = sum(one.panel["share"].value for one in parts)
            assert cell.panel["share"].value == pytest.approx(whole)


@pytest.mark.parametrize("name", ["small", "regional", "national"])
def test_a_quarter_tells_every_kind_of_measure_with_all_boxes_wider_than_the_panel(name: str) -> None:
    taken, boxes = profile(name), profile(name).min_accounts * 2
    measures = []
    for one in taken.measures:
        size = Grid(one, REGIONS).size
        if one.kind is Kind.TIMED:
            measures.append(noisy(one, [4 * boxes] * size, [6 * boxes] * size))
        else:
            measures.append(noisy(one, [int(0.9 * boxes / size)] * size))
    weeks = [table(measures, boxes, week=WEEK.plus(at), taken=name, everyone=3 * boxes) for at in range(13)]
    quarter, month = estimate(weeks), estimate(weeks[:4])
    for long, short in zip(quarter.measures, month.measures, strict=True):
        cell, before = long.groups[0].cells[0], short.groups[0].cells[0]
        assert not cell.withheld, long.name
        for figure in cell.panel:
            assert cell.all_boxes[figure].half_width > 0
            if figure in before.all_boxes and figure in {"share", "reach-share"}:
                panel = cell.panel[figure].half_width / before.panel[figure].half_width
                everyone = cell.all_boxes[figure].half_width / before.all_boxes[figure].half_width
                assert panel == pytest.approx((4 / 13) ** 0.5, rel=0.15), (long.name, figure)
                assert panel < everyone <= 1.01, (long.name, figure)


def test_the_ranking_is_told_in_words_and_ties_are_said_to_be_ties() -> None:
    found = estimate([table([genre([300, 100, 95, 90, 5, 5, 5, 5, 5, 5, 5])], 620)]).measure("genre")
    assert ENGLISH.ranking(found.groups[0]) == [
        "Rank 1: film or drama.",
        "Ranks 2 to 4: news, show and sports cannot be told apart.",
    ]


def test_nothing_that_is_told_apart_is_called_a_tie() -> None:
    """A chain: the first and the last are told apart, each of them is not from the one between."""
    found = estimate([table([genre([180, 150, 120, 90, 0, 0, 0, 0, 0, 0, 0])], 540)]).measure("genre")
    assert ENGLISH.ranking(found.groups[0]) == [
        "Ranks 1 to 3: film or drama and news cannot be told apart.",
        "Ranks 1 to 4: news and show cannot be told apart.",
        "Ranks 2 to 4: show and sports cannot be told apart.",
    ]


def test_of_many_cells_only_the_first_places_are_put_into_words() -> None:
    steps = [3000 - 40 * at for at in range(66)]
    crossed = noisy(profile("regional").measure("genre-shift"), steps)
    words = estimate([table([crossed], sum(steps), taken="regional", everyone=300_000)])
    ranking = ENGLISH.ranking(words.measure("genre-shift").groups[0])
    assert ranking[-1].startswith("The other ")
    assert len(ranking) < 30


def test_estimates_are_json_as_they_stand() -> None:
    found = msgspec.json.decode(
        msgspec.json.encode(estimate([table([genre(COUNTS), viewing(2773, 7467)], 640)]))
    )
    assert found["measures"][0]["groups"][0]["cells"][0]["values"] == [GENRES[0]]
    assert "same" not in found


def test_an_unknown_measure_or_cell_is_a_clear_error() -> None:
    found = estimate([table([genre(COUNTS)], 640)])
    with pytest.raises(NoReleasesError):
        found.measure("other")
    with pytest.raises(NoReleasesError):
        found.measure("genre").cell("opera")
    assert found.measure("genre").kind == Kind.ONE_MINUTE
