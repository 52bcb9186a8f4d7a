from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from box_agent.events import SILENCE_MS, Event, Item
from box_agent.sessions import (
    CAP_MS,
    MINUTE_MS,
    Minute,
    clock_minutes,
    settle,
    still_needed,
    viewing_sessions,
)
from shared.clock import to_ms
from tests.box_agent.fakes import START, ZONE

T0 = to_ms(START + timedelta(hours=18))  # 20:00 in Amsterdam
NEWS = Item(kind="live", genre="news", ref="news")
SPORT = Item(kind="live", genre="sports", ref="sport")


def at(seconds: float, name: str, item: Item | None = None, **more: object) -> Event:
    return Event(event=name, at_ms=T0 + round(seconds * 1000), item=item, **more)  # type: ignore[arg-type]  # a test's own words


def viewed(events: list[Event], until: float = 36_000) -> list[tuple[str, float]]:
    sessions = viewing_sessions(events, T0 + round(until * 1000))
    return [(one.item.ref, one.viewed_ms() / 1000) for one in sessions]


def minutes(events: list[Event], until: float = 36_000) -> list[Minute]:
    return clock_minutes(viewing_sessions(events, T0 + round(until * 1000)), ZONE)


def test_an_item_is_viewed_from_play_to_stop() -> None:
    assert viewed([at(0, "play", NEWS), at(600, "stop")]) == [("news", 600)]


def test_a_pause_does_not_count() -> None:
    assert viewed([at(0, "play", NEWS), at(60, "pause"), at(400, "resume"), at(460, "stop")]) == [
        ("news", 120)
    ]


def test_only_normal_speed_counts() -> None:
    events = [at(0, "play", NEWS), at(60, "rate", rate=8), at(90, "rate", rate=1), at(150, "stop")]
    assert viewed(events) == [("news", 120)]


def test_standby_ends_what_was_on() -> None:
    assert viewed([at(0, "play", NEWS), at(60, "standby"), at(90, "wake"), at(99, "key")]) == [("news", 60)]


def test_a_zap_without_a_stop_ends_the_previous_item() -> None:
    events = [at(0, "play", NEWS), at(60, "play", SPORT), at(120, "stop")]
    assert viewed(events) == [("news", 60), ("sport", 60)]


def test_a_zap_that_stops_and_plays_in_one_millisecond_goes_on() -> None:
    events = [at(0, "play", NEWS), at(60, "play", SPORT), at(60, "stop"), at(120, "stop")]
    assert viewed(events) == [("news", 60), ("sport", 60)]


def test_less_than_fifteen_seconds_is_surfing() -> None:
    events = [at(0, "play", NEWS), at(14.9, "play", SPORT), at(29.9, "stop")]
    assert viewed(events) == [("sport", 15)]


def test_once_reached_the_dwell_is_credited_to_its_first_second() -> None:
    session = viewing_sessions([at(0, "play", NEWS), at(15, "stop")], T0 + 99_000)[0]
    assert session.stretches == ((T0, T0 + 15_000),)


def test_a_box_left_on_is_credited_with_three_hours_after_the_last_action() -> None:
    events = [at(0, "play", NEWS), at(600, "key"), at(6 * 3600, "stop")]
    session = viewing_sessions(events, T0 + 10**8)[0]
    assert session.viewed_ms() == 600_000 + CAP_MS
    assert session.cut_ms == 6 * 3_600_000 - session.viewed_ms()


def test_what_the_cap_cuts_off_is_kept_as_a_figure_even_where_it_leaves_less_than_the_dwell() -> None:
    events = [
        at(0, "play", NEWS),
        at(3 * 3600 - 10, "play", SPORT, by="box"),
        at(4 * 3600, "play", NEWS, by="box"),
        at(5 * 3600, "stop"),
    ]
    sessions = viewing_sessions(events, T0 + 10**8)
    assert [(one.viewed_ms(), one.cut_ms) for one in sessions] == [
        (10_790_000, 0),
        (10_000, 3_600_000),
        (0, 3_600_000),
    ]


def test_a_user_who_comes_back_counts_again() -> None:
    events = [at(0, "play", NEWS), at(4 * 3600, "key"), at(5 * 3600, "stop")]
    assert viewed(events) == [("news", 4 * 3600)]


def test_the_next_programme_begun_by_the_box_is_no_user_action() -> None:
    events = [at(0, "play", NEWS), at(2 * 3600, "play", SPORT, by="box"), at(6 * 3600, "stop")]
    assert viewed(events) == [("news", 7200), ("sport", 3600)]


def test_a_lost_connection_closes_at_the_last_sign_of_life() -> None:
    events = [at(0, "play", NEWS), at(60, "progress"), at(120, "progress"), at(7200, "play", SPORT)]
    assert viewed(events, until=7260) == [("news", 120), ("sport", 60)]


def test_the_agent_s_own_sign_of_life_does_not_stand_for_a_player_that_has_gone() -> None:
    gone = [at(0, "play", NEWS), at(60, "progress"), at(1800, "rate", rate=0.5, tuner="b")]
    signs = [at(1860, "alive", by="box"), at(1861, "alive", by="box")]
    assert viewed([*gone, *signs], until=2200) == viewed(gone, until=2200) == [("news", 60)]
    told = [at(0, "play", NEWS), at(60, "progress"), at(120, "wake", by="box"), at(180, "stop")]
    assert viewed(told) == [("news", 180)], "a player's own is a sign of the player"
    silent = [at(0, "play", NEWS), at(1860, "alive", by="box")]
    assert viewed(silent, until=2200) == [("news", 2200)]


def test_progress_within_the_silence_keeps_counting() -> None:
    events = [at(0, "play", NEWS), at(60, "progress"), at(60 + SILENCE_MS / 1000, "stop")]
    assert viewed(events) == [("news", 60 + SILENCE_MS / 1000)]


def test_a_background_tuner_does_not_count() -> None:
    events = [
        at(0, "play", NEWS, tuner="a"),
        at(60, "play", SPORT, tuner="b"),
        at(90, "pause", tuner="a"),
        at(120, "stop", tuner="b"),
        at(600, "stop", tuner="a"),
    ]
    assert viewed(events) == [("news", 60), ("sport", 60)]


def test_a_tuner_can_be_brought_back_to_the_foreground() -> None:
    events = [
        at(0, "play", NEWS, tuner="a"),
        at(60, "play", SPORT, tuner="b"),
        at(120, "tune", tuner="a"),
        at(180, "standby"),
    ]
    assert viewed(events) == [("news", 60), ("sport", 60), ("news", 60)]


def test_the_same_item_played_again_is_the_same_session() -> None:
    assert viewed([at(0, "play", NEWS), at(5, "play", NEWS), at(60, "stop")]) == [("news", 60)]


def test_a_minute_belongs_to_the_item_viewed_longest_in_it() -> None:
    events = [at(0, "play", NEWS), at(60 + 25, "play", SPORT), at(120, "stop")]
    assert [minute.genre for minute in minutes(events)] == ["news", "sports"]


def test_a_dvb_byte_tells_its_detail_and_a_name_its_genre_in_general() -> None:
    def told(genre: int | str) -> tuple[str, str]:
        item = Item(kind="live", genre=genre, ref="r")
        (found,) = {(m.genre, m.detail) for m in minutes([at(0, "play", item), at(300, "stop")])}
        return found

    assert told(0x43) == ("sports", "sports-football")
    assert told("sports") == ("sports", "sports-general")
    assert told(0x73) == told("arts") == ("arts", "arts-general")
    assert told(0x18) == ("film-drama", "film-drama-general")


def test_less_than_half_a_minute_is_no_minute() -> None:
    assert minutes([at(0, "play", NEWS), at(29, "stop")]) == []
    assert len(minutes([at(0, "play", NEWS), at(30, "stop")])) == 1


def test_shift_class_and_daypart_are_those_of_the_minute() -> None:
    recording = Item(kind="recording", genre="news", broadcast_day=date(2026, 9, 28), ref="r")
    found = minutes([at(3 * 3600 - 60, "play", recording), at(3 * 3600 + 60, "stop")])
    assert [(one.shift, one.daypart) for one in found] == [
        ("within-7-days", "19-23"),
        ("within-7-days", "23-26"),
    ]


def test_a_recording_of_an_unknown_day_is_later_and_catch_up_within_seven_days() -> None:
    for kind, shift in (
        ("recording", "later"),
        ("catchup", "within-7-days"),
        ("vod", "vod"),
        ("live", "live"),
    ):
        item = Item(kind=kind, genre=0x43)  # type: ignore[arg-type]  # all four kinds
        assert {(m.genre, m.shift) for m in minutes([at(0, "play", item), at(300, "stop")])} == {
            ("sports", shift)
        }


def test_what_still_runs_at_a_boundary_goes_on_after_it() -> None:
    events = [
        at(-9000, "play", NEWS),
        at(-600, "key"),
        at(0, "play", SPORT),
        at(60, "pause"),
        at(90, "resume"),
    ]
    end = T0 + 120_000
    kept = still_needed(events, end)
    later = [at(600, "stop")]

    def after(found: list[Event]) -> list[Minute]:
        return [one for one in minutes(found + later) if one.number * MINUTE_MS >= end]

    assert after(kept) == after(events)
    assert len(after(kept)) == 8
    assert at(-9000, "play", NEWS) not in kept


def test_nothing_is_kept_of_what_has_ended() -> None:
    assert still_needed([at(0, "play", NEWS), at(60, "stop")], T0 + 120_000) == []


EVENTS = st.lists(
    st.builds(
        at,
        st.integers(0, 40_000),
        st.sampled_from(
            ["play", "pause", "resume", "rate", "seek", "stop", "tune", "standby", "key", "progress"]
        ),
        st.sampled_from([NEWS, SPORT]),
        rate=st.sampled_from([0.0, 1.0, 2.0, -4.0]),
        tuner=st.sampled_from(["", "b"]),
        by=st.sampled_from(["user", "box"]),
        seq=st.integers(0, 3),
    ),
    max_size=40,
)


@given(EVENTS, st.integers(0, 50_000))
def test_viewing_is_never_negative_and_never_more_than_the_time_that_passed(
    events: list[Event], until: int
) -> None:
    sessions = viewing_sessions(events, T0 + until * 1000)
    end = T0
    for session in sessions:
        assert session.cut_ms >= 0
        for start, stop in session.stretches:
            assert end <= start < stop <= T0 + until * 1000
            end = stop
    found = clock_minutes(sessions, ZONE)
    assert len({minute.number for minute in found}) == len(found) <= until // 60 + 1
    assert sum(session.viewed_ms() for session in sessions) >= len(found) * 30_000


@given(EVENTS, st.randoms(use_true_random=False))
def test_deliveries_may_be_doubled_and_out_of_order(events: list[Event], chance: object) -> None:
    shuffled = events + events[: len(events) // 2]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]  # a seeded Random
    assert viewing_sessions(shuffled, T0 + 10**8) == viewing_sessions(events, T0 + 10**8)


@given(EVENTS, st.integers(0, 40_000))
def test_no_time_is_counted_in_both_of_two_weeks(events: list[Event], cut: int) -> None:
    end = T0 + cut * 1000
    until = T0 + 50_000_000
    # What the cap cuts counts as whole too: a week begins without the last week's user action, so that what
    # the box plays by itself is capped from its own beginning.
    whole = sum(session.viewed_ms() + session.cut_ms for session in viewing_sessions(events, until))
    kept = [*still_needed(events, end), *(event for event in events if (event.at_ms or 0) >= end)]
    before = sum(
        min(stop, end) - start
        for session in viewing_sessions(events, until)
        for start, stop in session.stretches
        if start < end
    )
    after = sum(
        stop - max(start, end)
        for session in viewing_sessions(kept, until)
        for start, stop in session.stretches
        if stop > end
    )
    assert before + after <= whole + 15_000


# What holds of any stream of events.

ITEMS = (NEWS, SPORT, Item(kind="vod", genre=0x14, ref="film"))
NAMES = ("play", "tune", "stop", "pause", "resume", "rate", "standby", "wake", "key", "seek", "progress")
STREAMS = st.lists(
    st.tuples(
        st.integers(0, 4 * 3600),
        st.sampled_from(NAMES),
        st.sampled_from(ITEMS),
        st.sampled_from([0.0, 1.0, 4.0, -8.0]),
        st.sampled_from(["", "b"]),
        st.sampled_from(["user", "box"]),
    ),
    max_size=40,
)


def stream(drawn: list[tuple[int, str, Item, float, str, str]]) -> list[Event]:
    return [
        at(seconds, name, item if name in {"play", "tune"} else None, rate=rate, tuner=tuner, by=by)
        if name == "rate"
        else at(seconds, name, item if name in {"play", "tune"} else None, tuner=tuner, by=by)
        for seconds, name, item, rate, tuner, by in drawn
    ]


@given(STREAMS)
def test_what_is_viewed_never_exceeds_the_time_that_passed_nor_overlaps(drawn) -> None:
    events = stream(drawn)
    sessions = viewing_sessions(events, T0 + 5 * 3_600_000)
    stretches = sorted(stretch for one in sessions for stretch in one.stretches)
    assert all(start < end for start, end in stretches)
    assert all(one[1] <= two[0] for one, two in pairwise(stretches))
    if stretches:
        assert stretches[0][0] >= T0
        assert stretches[-1][1] <= T0 + 5 * 3_600_000
    assert all(one.cut_ms >= 0 for one in sessions)
    numbers = [minute.number for minute in clock_minutes(sessions, ZONE)]
    assert numbers == sorted(set(numbers))
    assert len(numbers) <= 5 * 60 + 1


@given(STREAMS, st.data())
def test_duplicates_and_another_order_of_delivery_change_nothing(drawn, data) -> None:
    events = stream(drawn)
    wanted = viewing_sessions(events, T0 + 5 * 3_600_000)
    shuffled = data.draw(st.permutations(events + events[::2]))
    assert viewing_sessions(shuffled, T0 + 5 * 3_600_000) == wanted


@given(STREAMS, STREAMS, st.integers(-7200, 7200))
def test_over_a_jump_of_the_clock_minutes_never_exceed_what_both_runs_lasted(first, second, jump) -> None:
    early, late = stream(first), [event._replace(at_ms=event.at_ms + jump * 1000) for event in stream(second)]
    until = T0 + (5 * 3600 + jump) * 1000
    sessions, _ = settle([early, late], until, until)
    lasted = sum(
        max(event.at_ms for event in run) - min(event.at_ms for event in run) for run in (early, late) if run
    )
    still = until - max((event.at_ms for event in late), default=until)
    assert sum(one.viewed_ms() for one in sessions) <= lasted + max(0, still)
    numbers = [minute.number for minute in clock_minutes(sessions, ZONE)]
    assert len(numbers) == len(set(numbers))


def test_what_was_delivered_before_a_jump_and_again_after_it_counts_once() -> None:
    run = [at(0, "play", NEWS), at(600, "stop")]
    later = [*run[:1], at(7200, "key")]
    sessions, _ = settle([run, later], T0 + 8_000_000, T0 + 8_000_000)
    assert [one.viewed_ms() for one in sessions] == [600_000]


def test_of_a_run_that_has_ended_nothing_is_needed_any_more() -> None:
    before = [at(0, "play", NEWS), at(600, "key")]
    after = [at(700, "play", SPORT), at(800, "key")]
    end = T0 + 900_000
    _, needed = settle([before, after], end, end)
    assert needed[0] == []
    assert [event.event for event in needed[1]] == ["play", "key"]
