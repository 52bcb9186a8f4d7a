import pytest

from headend.analytics.noise import sensitivity
from shared.anonymous import Fragment
from shared.register import profile, profile_names
from tests.audit.sensitivity import (
    WEEK,
    Account,
    counters_of,
    distance,
    honest,
    on_the_line,
    panel_weeks,
    tampered,
    tampered_bound,
    worst_weeks,
)
from tests.headend.analytics.builders import make_town, over


@pytest.mark.parametrize("name", profile_names())
def test_no_week_of_an_honest_box_moves_the_counters_further_than_declared(name: str) -> None:
    taken = profile(name)
    worst = dict.fromkeys(taken.measures, 0.0)
    for week in (*worst_weeks(), *panel_weeks(20)):
        moved = counters_of(honest(taken, week), taken)
        worst = {one: max(most, distance(moved, {}, one)) for one, most in worst.items()}
    for measure, most in worst.items():
        # Not passed; and nearly reached, since a few minutes of a cell may be rounded up to a sixteenth.
        assert 0.98 * sensitivity(measure) <= most <= sensitivity(measure) * (1 + 1e-9)


def test_all_tokens_in_one_cell_move_a_release_by_no_more_than_is_said() -> None:
    taken = profile("small")
    for sent in tampered(taken):
        before, after = on_the_line(taken, sent)
        for measure in taken.measures:
            assert distance(after, before, measure) <= tampered_bound(measure)


def test_a_tampered_box_reaches_the_bound_that_is_said_of_it() -> None:
    taken = profile("regional")
    measure = taken.measure("genre-reach")
    before, after = on_the_line(taken, [Fragment(measure.number, WEEK, 1, 1)] * measure.quota)
    assert distance(after, before, measure) == tampered_bound(measure) > sensitivity(measure)


def test_none_and_boxes_without_tokens_move_nothing() -> None:
    before, after = on_the_line(profile("small"), [])
    assert before == after


def test_what_other_boxes_try_is_refused_or_a_duplicate(tmp_path) -> None:
    town, taken = make_town(tmp_path), profile("small")
    town.publish()
    town.clock.advance_to(over())
    account = Account(town, taken)
    account.report([])
    statuses = account.push_on()
    town.side.close()
    assert statuses == [200, 400, 401, 401] * len(taken.measures)


def test_an_agent_that_sends_a_cell_twice_is_seen_by_the_distance() -> None:
    taken = profile("small")
    twice = counters_of([Fragment(1, WEEK, 3, 1)] * 2, taken)
    assert distance(twice, {}, taken.measure("genre")) > sensitivity(taken.measure("genre"))
