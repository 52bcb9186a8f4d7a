from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from box_agent.events import Event, Item
from box_agent.guide.programme import Programme
from box_agent.programmes import no_guide, split
from box_agent.sessions import MINUTE_MS, clock_minutes, viewing_sessions
from shared.clock import to_ms
from tests.box_agent.fakes import START, ZONE

T0 = to_ms(START) // MINUTE_MS * MINUTE_MS
CHANNEL = Item(kind="live", genre="other", ref="svc-1", channel="npo1.nl")
NEWS, SPORT, FILM = 0x20, 0x43, 0x14


def session(minutes: float, *more: Event):
    events = [
        Event(event="play", item=CHANNEL, at_ms=T0),
        *more,
        Event(event="stop", at_ms=T0 + round(minutes * MINUTE_MS)),
    ]
    return viewing_sessions(events, T0 + 10 * 3_600_000)


def guide(*programmes: tuple[float, float, int]):
    known = [
        Programme(T0 + round(a * MINUTE_MS), T0 + round(b * MINUTE_MS), code) for a, b, code in programmes
    ]
    return lambda channel, start, end: [
        one for one in known if channel == "npo1.nl" and one.start_ms < end and one.end_ms > start
    ]


def told(sessions):
    return [(one.item.genre, one.viewed_ms() / MINUTE_MS) for one in sessions]


def test_a_stay_on_a_channel_is_split_where_one_programme_ends_and_the_next_begins() -> None:
    found = split(session(50), guide((-10, 20, NEWS), (20, 45, SPORT), (45, 90, FILM)))
    assert told(found) == [(NEWS, 20), (SPORT, 25), (FILM, 5)]


def test_where_the_guide_knows_nothing_the_item_s_own_genre_stays() -> None:
    assert told(split(session(50), guide((10, 20, NEWS)))) == [("other", 10), (NEWS, 10), ("other", 30)]
    assert split(session(50), no_guide) == session(50)


def test_an_item_without_a_channel_is_left_alone() -> None:
    item = Item(kind="live", genre="news", ref="svc-1")
    events = [Event(event="play", item=item, at_ms=T0), Event(event="stop", at_ms=T0 + 60 * MINUTE_MS)]
    sessions = viewing_sessions(events, T0 + 10**8)
    assert split(sessions, guide((0, 60, FILM))) == sessions


def test_a_pause_over_a_boundary_counts_for_neither_programme() -> None:
    paused = [
        Event(event="pause", at_ms=T0 + 18 * MINUTE_MS),
        Event(event="resume", at_ms=T0 + 25 * MINUTE_MS),
    ]
    assert told(split(session(30, *paused), guide((0, 20, NEWS), (20, 40, SPORT)))) == [
        (NEWS, 18),
        (SPORT, 5),
    ]


def test_a_programme_whose_genre_the_guide_does_not_say_keeps_the_item_s_own() -> None:
    assert told(split(session(20), guide((0, 10, 0), (10, 20, NEWS)))) == [("other", 10), (NEWS, 10)]


def test_two_programmes_of_one_genre_stay_two_items() -> None:
    found = split(session(20), guide((0, 10, NEWS), (10, 20, NEWS)))
    assert len({one.item for one in found}) == 2


def test_a_boundary_within_a_minute_gives_it_to_what_was_viewed_longest() -> None:
    minutes = clock_minutes(split(session(4), guide((0, 1.4, NEWS), (1.4, 4, SPORT))), ZONE)
    assert [one.genre for one in minutes] == ["news", "sports", "sports", "sports"]


def test_minutes_cut_off_by_the_cap_are_kept() -> None:
    sessions = session(8 * 60)
    found = split(sessions, guide((0, 60, NEWS), (60, 120, SPORT)))
    assert sum(one.cut_ms for one in found) == sessions[0].cut_ms == 5 * 60 * MINUTE_MS


@given(st.lists(st.integers(1, 200), min_size=1, max_size=20), st.integers(1, 170))
def test_splitting_neither_makes_nor_loses_time(lengths: list[int], stay: int) -> None:
    edges = [sum(lengths[:n]) - 50 for n in range(len(lengths) + 1)]
    programmes = guide(*((a, b, NEWS + n % 3) for n, (a, b) in enumerate(pairwise(edges))))
    found = split(session(stay), programmes)
    assert sum(one.viewed_ms() for one in found) == stay * MINUTE_MS
    stretches = [stretch for one in found for stretch in one.stretches]
    assert stretches == sorted(stretches)
