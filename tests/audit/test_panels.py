from statistics import fmean

from box_agent.rollup import Viewed
from shared.genres import GENRES
from tests.audit.panels import FIRST_MINUTE, Panel, Run, minute, viewed


def test_sorts_found_beforehand_are_those_of_the_roll_up() -> None:
    panel = Panel(1, 20)
    for box in panel.boxes:
        week = panel.week(box, 0)
        slow = Viewed(minutes=list(week.minutes), ordered=week.ordered, region=week.region)
        assert week.sorts == slow.sorts
        assert week.reached == slow.reached
        assert len(week.minutes) == len(slow.minutes)


def test_minutes_are_in_order_and_each_once() -> None:
    panel = Panel(1, 5)
    numbers = [one.number for one in panel.week(panel.boxes[0], 0).minutes]
    assert numbers == sorted(set(numbers))


def test_the_same_seed_gives_the_same_panel_and_another_another() -> None:
    one, same, other = (Panel(seed, 30) for seed in (5, 5, 6))
    assert one.boxes == same.boxes
    assert one.week(one.boxes[3], 2).minutes.runs == same.week(same.boxes[3], 2).minutes.runs
    assert one.boxes != other.boxes


def test_homes_watch_few_genres_and_the_same_from_week_to_week() -> None:
    panel = Panel(3, 200)
    for box in panel.boxes:
        assert 2 <= len(box.genres) <= 5
        assert {one.genre for one in panel.week(box, 1).minutes} <= set(box.genres)


def test_a_panel_views_what_surveys_find() -> None:
    panel = Panel(4, 1_000)
    minutes = [len(panel.week(box, 0).minutes) for box in panel.boxes]
    assert 1_100 < fmean(minutes) < 1_400
    assert {genre for box in panel.boxes for genre in box.genres} == set(GENRES)


def test_a_run_is_as_long_as_it_says() -> None:
    week = viewed([Run(FIRST_MINUTE, 3, minute(0, GENRES[0], "live", "19-23"))], "north")
    assert [one.number for one in week.minutes] == [FIRST_MINUTE, FIRST_MINUTE + 1, FIRST_MINUTE + 2]
    assert week.minutes[2].genre == GENRES[0]
