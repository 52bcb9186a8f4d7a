import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headend.analytics.estimates import estimate
from headend.analytics.intervals import Figure, PlainSums, share
from headend.analytics.reconciled import LinearSums, Row, Table, agree, constraints, reconcile
from shared.genres import DETAILS, GENRES, SHIFT_CLASSES, genre_of_detail
from shared.register import Grid, Kind, Profile, profile
from tests.headend.analytics.releases import REGIONS, genre, noisy, table

MINUTE = {
    name: [
        one.name
        for one in profile(name).measures
        if one.kind is Kind.ONE_MINUTE and one.grid != ("ordered-genre",)
    ]
    for name in ("regional", "national")
}


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[float], list[float], list[Row]]:
    """Values, their variances, and rules that are not always independent of each other."""
    size = draw(st.integers(2, 7))
    values = draw(st.lists(st.integers(-50, 400), min_size=size, max_size=size))
    weights = draw(st.lists(st.integers(1, 300), min_size=size, max_size=size))
    signs = st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=size, max_size=size)
    rules = draw(st.lists(signs, max_size=4))
    return (
        [float(one) for one in values],
        [float(one) for one in weights],
        [{at: sign for at, sign in enumerate(rule) if sign} for rule in rules],
    )


def combined(row: Row, values: list[float]) -> float:
    return sum(taken * values[index] for index, taken in row.items())


def independent(rules: list[Row], size: int) -> list[list[Fraction]]:
    """The rules in exact numbers, without those that the ones before imply."""
    kept: list[list[Fraction]] = []
    echelon: list[list[Fraction]] = []
    for rule in rules:
        row = [Fraction(rule.get(index, 0)) for index in range(size)]
        rest = list(row)
        for other in echelon:
            lead = next(index for index, value in enumerate(other) if value)
            factor = rest[lead] / other[lead]
            rest = [mine - factor * theirs for mine, theirs in zip(rest, other, strict=True)]
        if any(rest):
            echelon.append(rest)
            kept.append(row)
    return kept


def by_normal_equations(values: list[float], weights: list[float], rules: list[Row]) -> list[float]:
    """x - V C'(C V C')^-1 C x in exact numbers, by elimination."""
    kept = independent(rules, len(values))
    square = [
        [sum(a * Fraction(w) * b for a, w, b in zip(one, weights, other, strict=True)) for other in kept]
        for one in kept
    ]
    right = [sum(a * Fraction(x) for a, x in zip(one, values, strict=True)) for one in kept]
    for at in range(len(kept)):
        turn = next(row for row in range(at, len(kept)) if square[row][at])
        square[at], square[turn], right[at], right[turn] = square[turn], square[at], right[turn], right[at]
        for row in range(len(kept)):
            if row != at:
                factor = square[row][at] / square[at][at]
                square[row] = [mine - factor * own for mine, own in zip(square[row], square[at], strict=True)]
                right[row] -= factor * right[at]
    pulls = [right[at] / square[at][at] for at in range(len(kept))]
    return [
        float(
            Fraction(value)
            - Fraction(weights[index])
            * sum(pull * rule[index] for pull, rule in zip(pulls, kept, strict=True))
        )
        for index, value in enumerate(values)
    ]


@given(problems())
def test_reconciled_values_meet_every_rule(problem: tuple[list[float], list[float], list[Row]]) -> None:
    values, weights, rules = problem
    agreed = [combined(row, values) for row in agree(weights, rules)]
    for rule in rules:
        assert combined(rule, agreed) == pytest.approx(0, abs=1e-9 * 400 * len(values))


@given(problems())
def test_what_agrees_already_is_left_as_it_is(problem: tuple[list[float], list[float], list[Row]]) -> None:
    """So reconciling twice is reconciling once, and what is true of all tables is estimated without bias."""
    values, weights, rules = problem
    rows = agree(weights, rules)
    once = [combined(row, values) for row in rows]
    assert [combined(row, once) for row in rows] == pytest.approx(once, abs=1e-7)


@given(problems())
def test_reconciling_is_the_weighted_least_squares(
    problem: tuple[list[float], list[float], list[Row]],
) -> None:
    values, weights, rules = problem
    found = [combined(row, values) for row in agree(weights, rules)]
    assert found == pytest.approx(by_normal_equations(values, weights, rules), abs=1e-7)


@given(problems(), st.lists(st.integers(-2, 2), min_size=7, max_size=7))
def test_no_sum_of_reconciled_values_varies_more_than_before(
    problem: tuple[list[float], list[float], list[Row]], taken: list[int]
) -> None:
    _, weights, rules = problem
    rows = agree(weights, rules)
    after: Row = {}
    for index, row in enumerate(rows):
        for at, factor in row.items():
            after[at] = after.get(at, 0.0) + taken[index] * factor
    before = sum(taken[index] ** 2 * weight for index, weight in enumerate(weights))
    assert sum(factor**2 * weights[at] for at, factor in after.items()) <= before + 1e-6


def counts(taken: Profile, name: str, rnd: random.Random, boxes: int) -> list[int]:
    grid = Grid(taken.measure(name), REGIONS)
    found = [0] * grid.size
    for _ in range(boxes):
        found[min(int(rnd.expovariate(6 / grid.size)), grid.size - 1)] += 1
    return found


def noisy_tables(name: str, boxes: int = 5000):
    rnd = random.Random(1942)  # noqa: S311 (an invented panel)
    taken = profile(name)
    measures = [noisy(taken.measure(one), counts(taken, one, rnd, boxes), None, rnd) for one in MINUTE[name]]
    return table(measures, boxes, taken=name, everyone=3 * boxes)


def agreed(release) -> dict[str, dict[tuple[str, ...], float]]:
    """The reconciled counts of a release by measure and cell, scaled to equal delivery."""
    tables = [
        Table(one.name, one.grid, one.cells, one.amounts, one.noise_scale**2, release.accepted[one.name])
        for one in release.measures
    ]
    found = {}
    for one in tables:
        part = reconcile(tables)[one.name]
        sums = part.sums([[index] for index in range(len(one.cells))])
        values = [value / one.accepted for value in sums.values]
        found[one.name] = dict(zip(map(tuple, one.cells), values, strict=True))
    return found


def by_genre(cells: dict[tuple[str, ...], float], *, detail: bool = False) -> list[float]:
    sums = dict.fromkeys(GENRES, 0.0)
    for values, amount in cells.items():
        sums[genre_of_detail(values[0]) if detail else values[0]] += amount
    return list(sums.values())


@pytest.mark.parametrize("name", ["regional", "national"])
def test_all_one_minute_tables_of_viewing_agree_on_the_genres(name: str) -> None:
    release = noisy_tables(name)
    raw = {
        one.name: by_genre(
            dict(zip(map(tuple, one.cells), map(float, one.amounts), strict=True)),
            detail=one.grid == ["detail"],
        )
        for one in release.measures
    }
    first, *others = MINUTE[name]
    assert all(raw[other] != pytest.approx(raw[first]) for other in others)
    found = agreed(release)
    assert len(others) >= 3
    genres = by_genre(found[first])
    for other in others:
        assert by_genre(found[other], detail=other == "genre-detail") == pytest.approx(genres, abs=1e-9)


def test_unequal_delivery_is_made_even_before_tables_are_compared() -> None:
    tables = [
        Table("a", ["genre"], [["x"], ["y"]], [300.0, 100.0], 1.0, 400),
        Table("b", ["genre"], [["x"], ["y"]], [150.0, 50.0], 1.0, 200),
    ]
    for name, whole in (("a", [300, 100]), ("b", [150, 50])):
        assert reconcile(tables)[name].sums([[0], [1]]).values == pytest.approx(whole)


def test_a_pair_of_shared_dimensions_agrees_on_both_at_once() -> None:
    pairs = [[one, other] for one in "xy" for other in "pq"]
    tables = [
        Table("a", ["genre", "shift"], pairs, [30.0, 10.0, 20.0, 40.0], 4.0, 100),
        Table("b", ["shift", "genre"], [[b, a] for a, b in pairs], [25.0, 15.0, 10.0, 50.0], 9.0, 100),
        Table("c", ["genre"], [["x"], ["y"]], [44.0, 56.0], 1.0, 100),
    ]
    found = reconcile(tables)
    a, b, c = (
        found[name].sums([[at] for at in range(size)]).values
        for name, size in zip("abc", (4, 4, 2), strict=True)
    )
    assert a == pytest.approx(b)
    assert [a[0] + a[1], a[2] + a[3]] == pytest.approx(c)


def test_tables_of_other_grids_make_no_rule() -> None:
    tables = [
        Table("a", ["genre"], [["x"], ["y"]], [1.0, 2.0], 1.0, 3),
        Table("b", ["genre"], [["x"], ["z"]], [1.0, 2.0], 1.0, 3),
        Table("d", ["detail"], [["of a register that is gone"]], [3.0], 1.0, 3),
    ]
    assert not list(constraints(tables, [range(2), range(2, 4), range(4, 5)]))


def test_details_are_nested_in_their_genres() -> None:
    details = Table("d", ["detail"], [[one] for one in DETAILS], [1.0] * len(DETAILS), 1.0, 100)
    genres = Table("g", ["genre"], [[one] for one in GENRES], [9.0] * len(GENRES), 1.0, 100)
    rules = list(constraints([genres, details], [range(11), range(11, 11 + len(DETAILS))]))
    assert len(rules) == len(GENRES)
    assert all(sum(rule.values()) <= 0 for rule in rules)


def test_the_regional_profile_gains_by_it_and_says_so() -> None:
    release = noisy_tables("regional")
    alone = table([release.measures[0]], 5000, taken="regional", everyone=15_000)
    before, after = (estimate([one]).measure("genre") for one in (alone, release))
    assert before.reconciled_with == []
    assert after.reconciled_with == ["genre-shift", "genre-daypart", "genre-region"]
    for was, now in zip(before.groups[0].cells, after.groups[0].cells, strict=True):
        assert now.panel["share"].half_width < 0.9 * was.panel["share"].half_width


def test_no_interval_of_a_reconciled_share_is_wider_than_before() -> None:
    release = noisy_tables("national", 20_000)
    after = estimate([release])
    for measure in release.measures:
        alone = estimate([table([measure], 20_000, taken="national", everyone=60_000)]).measure(measure.name)
        for was, now in zip(alone.groups, after.measure(measure.name).groups, strict=True):
            for old, new in zip(was.cells, now.cells, strict=True):
                # Near the threshold the choice of what is shown widens intervals, on either side of it.
                if "share" in old.panel and min(old.panel["share"].low, new.panel["share"].low) > 0.01:
                    assert new.panel["share"].half_width <= 1.02 * old.panel["share"].half_width


def test_timed_untimed_and_ordered_measures_are_left_as_they_are() -> None:
    taken = profile("regional")
    release = noisy_tables("regional")
    reach = noisy(taken.measure("genre-reach"), [2000, *[500] * 10])
    ordered = noisy(taken.measure("ordered-genre"), [90, *[5] * 17])
    alone = estimate([table([reach, ordered], 5000, taken="regional", everyone=15_000)])
    both = estimate([table([*release.measures, reach, ordered], 5000, taken="regional", everyone=15_000)])
    for name in ("genre-reach", "ordered-genre"):
        assert both.measure(name) == alone.measure(name)


def test_a_measure_by_region_that_has_no_place_for_some_boxes_is_left_out() -> None:
    release = noisy_tables("regional")
    release.boxes["none"] = 400
    found = estimate([release])
    assert found.measure("genre-region").reconciled_with == []
    assert "genre-region" not in found.measure("genre").reconciled_with


def test_a_measure_that_nobody_delivered_takes_no_part() -> None:
    release = noisy_tables("regional")
    release.accepted["genre-shift"] = 0
    found = estimate([release])
    assert "genre-shift" not in found.measure("genre").reconciled_with
    assert found.measure("not-live").groups[0].cells[0].withheld


# --- the intervals


def drawn(rnd: random.Random, boxes: list[list[tuple[str, str]]], noise: float) -> list[Table]:
    """Two tables of a panel: each box draws one of its minutes for each table."""
    pairs = [(one, other) for one in GENRES[:4] for other in SHIFT_CLASSES[:3]]
    genres, crossed = dict.fromkeys(GENRES[:4], 0.0), dict.fromkeys(pairs, 0.0)
    for minutes in boxes:
        genres[rnd.choice(minutes)[0]] += 1
        crossed[rnd.choice(minutes)] += 1
    scale = noise**0.5
    return [
        Table(
            "genre",
            ["genre"],
            [[one] for one in genres],
            [n + rnd.gauss(0, scale) for n in genres.values()],
            noise,
            len(boxes),
        ),
        Table(
            "genre-shift",
            ["genre", "shift"],
            [list(pair) for pair in pairs],
            [n + rnd.gauss(0, scale) for n in crossed.values()],
            noise,
            len(boxes),
        ),
    ]


def shares(sums: LinearSums | PlainSums, count: int) -> list[Figure]:
    return [share(sums, index) for index in range(count)]


def test_reconciled_intervals_cover_and_the_shares_have_no_bias() -> None:
    rnd = random.Random(2010)  # noqa: S311 (an invented panel)
    weights = [base * part for base in (0.55, 0.3, 0.1, 0.05) for part in (0.8, 0.15, 0.05)]
    pairs = [(one, other) for one in GENRES[:4] for other in SHIFT_CLASSES[:3]]
    boxes = [rnd.choices(pairs, weights, k=8) for _ in range(300)]
    truth = [sum(minutes.count(pair) / 8 for minutes in boxes) / len(boxes) for pair in pairs]
    rounds, covered, errors = 250, 0, [0.0] * len(pairs)
    narrower = 0.0
    for _ in range(rounds):
        tables = drawn(rnd, boxes, 60.0)
        found = shares(reconcile(tables)["genre-shift"].sums([[at] for at in range(12)]), 12)
        alone = shares(PlainSums(tables[1].amounts, 60.0, 1.0), 12)
        narrower += found[0].half_width / alone[0].half_width / rounds
        for at, one in enumerate(found):
            covered += one.low <= truth[at] <= one.high
            errors[at] += (one.value - truth[at]) / rounds
    assert 0.93 <= covered / rounds / 12 <= 0.985
    assert narrower < 0.9
    # Three standard errors of the mean of so many rounds; the widest half-interval is about eight points.
    assert max(map(abs, errors)) < 3 * 0.04 / rounds**0.5


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(-30, 300), min_size=11, max_size=11))
def test_a_measure_by_itself_is_what_its_counters_say(amounts: list[int]) -> None:
    measure = genre(amounts)
    alone = Table("genre", measure.grid, measure.cells, amounts, measure.noise_scale**2, 640)
    linear = reconcile([alone])["genre"].sums([[at] for at in range(11)])
    plain = PlainSums(amounts, measure.noise_scale**2, 1.0)
    assert linear.values == amounts
    for at in range(11):
        one, other = linear.spread(at), plain.spread(at)
        assert (one.cell, one.both, one.whole) == pytest.approx((other.cell, other.both, other.whole))
        assert (one.draws, one.excess) == pytest.approx((1.0, 0.0))
        assert linear.apart(at, 0) == pytest.approx(plain.apart(at, 0) if at else 0)
