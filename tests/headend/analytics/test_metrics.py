"""What analytics tells Prometheus of taking part and of weeks."""

from headend.analytics.store import WeekState
from shared.weeks import Week
from tests.headend.analytics.builders import WEEK, Town, closed


def told(town: Town, name: str) -> dict[tuple[str, ...], float]:
    """What a family says, by its labels in the order of their names."""
    return {
        tuple(labels[key] for key in sorted(labels)): value
        for family, labels, value in town.side.side.metrics()
        if family == name
    }


def test_a_week_whose_fragments_are_taken_is_told_before_the_first_has_come(open_town: Town) -> None:
    measures = [measure.name for measure in open_town.setup.profile.measures]
    assert told(open_town, "headend_accepted_total") == {(name, str(WEEK)): 0 for name in measures}
    open_town.send_genre(3)
    assert told(open_town, "headend_accepted_total")["genre", str(WEEK)] == 1


def test_a_week_that_still_runs_or_has_closed_without_fragments_is_not_told(town: Town) -> None:
    town.publish()
    assert told(town, "headend_accepted_total") == {}
    town.clock.advance_to(closed())
    assert told(town, "headend_accepted_total") == {}


def test_zeros_push_no_week_out_that_has_fragments(open_town: Town) -> None:
    open_town.send_genre(3)
    open_town.publish(Week(2026, 42))
    assert {week for _, week in told(open_town, "headend_accepted_total")} == {str(WEEK)}


def test_every_state_of_a_week_is_told(town: Town) -> None:
    assert told(town, "headend_weeks") == {(state.value,): 0 for state in WeekState}
    town.publish()
    assert told(town, "headend_weeks")["open",] == 1
