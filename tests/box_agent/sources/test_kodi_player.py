import json
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from box_agent.sessions import viewing_sessions
from tests.box_agent.sources.kodi_talk import (
    FILE,
    FILM,
    HOUR,
    MINUTE,
    NINE,
    SECOND,
    Talk,
    channel,
    items,
    programme,
    told_time,
)

NEWS = programme(2, NINE - HOUR, NINE + HOUR, "News / Current affairs")
SOAP = programme(1, NINE - HOUR, NINE + HOUR, "Soap / Melodrama / Folkloric", name="NPO1")
LIBRARY = {**FILM, "genre": ["Comedy", "Drama"], "label": "x", "mediapath": "x", "title": "A title"}


@pytest.fixture
def talk():
    return Talk().connect()


def viewed(talk, until_ms):
    found = viewing_sessions(talk.events, until_ms)
    return [(one.item.genre, one.viewed_ms() / SECOND) for one in found]


# --- pictures and zaps


def test_viewing_counts_from_the_picture_not_from_the_intent(talk):
    talk.say("Player.OnPlay", FILM).wait(7 * SECOND)
    talk.on = LIBRARY
    talk.say("Player.OnAVStart", FILM).wait(30 * SECOND).say("Player.OnStop", FILM, end=False)
    assert talk.told() == [("play", 7), ("stop", 37)]


def test_what_never_gets_a_picture_counts_nothing(talk):
    talk.say("Player.OnPlay", FILM).wait(30 * SECOND).say("Player.OnStop", FILM, end=False)
    talk.say("Player.OnPlay", FILM).wait(30 * SECOND).lost(talk.now)
    assert talk.told() == []


def test_a_zap_without_a_stop_ends_the_previous_item(talk):
    talk.play(channel(2), NEWS).wait(19 * SECOND)
    talk.play(channel(1, "NPO1"), SOAP).wait(20 * SECOND)
    assert talk.told() == [("play", 1), ("stop", 20), ("play", 21)]
    assert [one.genre for one in talk.items()] == [0x20, 0x15]


def test_a_zap_to_what_has_no_picture_ends_the_previous_item_all_the_same(talk):
    talk.play(channel(2), NEWS).wait(19 * SECOND)
    talk.say("Player.OnPlay", channel(9, "dark")).wait(MINUTE)
    assert talk.told() == [("play", 1), ("stop", 20)]


def test_a_stop_that_comes_after_the_next_item_began_ends_nothing(talk):
    talk.play(channel(2), NEWS).wait(9 * SECOND)
    talk.play(channel(1, "NPO1"), SOAP)
    talk.say("Player.OnStop", channel(2), end=False).wait(20 * SECOND)
    assert talk.told() == [("play", 1), ("stop", 10), ("play", 11)]


def test_a_picture_that_is_told_before_the_intent_is_the_same_start(talk):
    talk.play(channel(2), NEWS).wait(19 * SECOND)
    talk.on = SOAP
    talk.say("Player.OnAVStart", channel(1, "NPO1"))
    talk.now += 50
    talk.say("Player.OnPlay", channel(1, "NPO1")).wait(20 * SECOND)
    assert talk.told() == [("play", 1), ("stop", 20), ("play", 20), ("key", 20.05)]
    talk.say("Player.OnPlay", channel(2)).wait(SECOND)
    assert talk.told()[-1] == ("stop", 40.05)


def test_the_same_item_asked_for_again_later_is_another_start(talk):
    talk.on = LIBRARY
    talk.say("Player.OnAVStart", FILM).wait(20 * SECOND)
    talk.play(FILM, LIBRARY)
    assert talk.told() == [("play", 0), ("stop", 20), ("play", 21)]


def test_noise_is_counted_and_tells_nothing(talk):
    talk.play(channel(2), NEWS)
    for method in ("Player.OnAVChange", "VideoLibrary.OnUpdate", "Player.OnPropertyChanged"):
        talk.say(method, channel(2))
    assert talk.told() == [("play", 1)]
    assert talk.player.ignored == 3


def test_a_second_start_of_the_same_picture_is_noise(talk):
    talk.play(channel(2), NEWS).wait(20 * SECOND).say("Player.OnAVStart", channel(2))
    assert talk.told() == [("play", 1)]


def test_pause_resume_and_other_speeds_are_told_with_their_speed(talk):
    talk.play(FILM, LIBRARY)
    talk.wait(SECOND).say("Player.OnPause", FILM, speed=0)
    talk.wait(SECOND).say("Player.OnResume", FILM, speed=1)
    talk.wait(SECOND).say("Player.OnSpeedChanged", FILM, speed=4)
    talk.wait(SECOND).say("Player.OnSpeedChanged", FILM, speed=1)
    assert talk.told() == [("play", 1), ("pause", 2), ("resume", 3), ("rate", 4), ("resume", 5)]
    assert [one.rate for one in talk.events if one.event == "rate"] == [4]


def test_seek_and_volume_say_that_somebody_is_there_but_not_over_and_over(talk):
    talk.say("Application.OnVolumeChanged", muted=False, volume=3)
    talk.play(FILM, LIBRARY).wait(SECOND)
    talk.wait(MINUTE)
    for _ in range(20):
        talk.say("Application.OnVolumeChanged", muted=False, volume=3).wait(SECOND)
    talk.say("Player.OnSeek", FILM)
    assert talk.told() == [("play", 1), ("key", 62), ("key", 77), ("seek", 82)]


def test_music_and_pictures_are_no_viewing_but_music_ends_it(talk):
    talk.play(FILM, LIBRARY).wait(19 * SECOND)
    talk.say("Player.OnPlay", {"type": "picture", "title": "p"}).say("Player.OnAVStart", {"type": "picture"})
    assert talk.told() == [("play", 1)]
    talk.on = None
    talk.say("Player.OnPlay", {"type": "song", "id": 3}).say("Player.OnAVStart", {"type": "song", "id": 3})
    talk.say("Player.OnPlay", {**channel(5), "channeltype": "radio"}).wait(MINUTE)
    assert talk.told() == [("play", 1), ("stop", 20)]


@pytest.mark.parametrize("method", ["System.OnQuit", "System.OnSleep", "System.OnRestart"])
def test_the_player_going_to_rest_ends_what_is_on(talk, method):
    talk.play(FILM, LIBRARY).wait(19 * SECOND).say(method)
    assert talk.told() == [("play", 1), ("standby", 20)]


# --- what it is


def test_a_live_item_has_the_genre_that_kodi_answers(talk):
    talk.play(channel(2), NEWS)
    (item,) = talk.items()
    assert (item.kind, item.genre, item.channel) == ("live", 0x20, "")


@pytest.mark.parametrize("genres", [[], ["Other / Unknown"], ["gibberish"]])
def test_where_kodi_knows_no_genre_the_guide_is_asked_for_the_channel(talk, genres):
    talk.play(channel(2), programme(2, NINE, NINE + HOUR, *genres, name="Één"))
    (item,) = talk.items()
    assert (item.genre, item.channel) == (0, "Één")


def test_where_kodi_knows_no_programme_the_guide_is_asked_for_the_channel(talk):
    answer = {"channel": "EEN", "channeltype": "tv", "genre": [], "id": 2, "label": "EEN", "type": "channel"}
    talk.play(channel(2), {**answer, "starttime": "", "endtime": ""}).wait(10 * MINUTE)
    (item,) = talk.items()
    assert (item.ref, item.genre, item.channel) == ("ch2", 0, "EEN")


def test_a_film_of_the_library_has_its_genre_and_number(talk):
    talk.play(FILM, LIBRARY)
    (item,) = talk.items()
    assert (item.kind, item.genre, item.ref) == ("vod", 0x14, "movie-1")


def test_a_file_that_is_in_no_library_is_other(talk):
    answer = {
        "file": "/media/a.mp4",
        "mediapath": "/media/a.mp4",
        "genre": [],
        "label": "a.mp4",
        "type": "unknown",
    }
    talk.play(FILE, answer)
    (item,) = talk.items()
    assert (item.kind, item.genre_name()) == ("vod", "other")
    assert "a.mp4" not in item.ref


@pytest.mark.parametrize(
    ("answer", "kind", "genre", "day"),
    [
        # as Kodi 20.1 answered: the day is that of the start, which is told in UTC
        (
            {
                "mediapath": "pvr://guide/0001/2026-11-22 00:30:00.epg",
                "starttime": "2026-11-22 00:30:00",
                "genre": ["Football"],
                "type": "unknown",
                "id": 120,
            },
            "catchup",
            0x43,
            date(2026, 11, 21),
        ),
        (
            {
                "mediapath": "pvr://guide/0001/2026-11-22 01:30:00.epg",
                "starttime": "2026-11-22 01:30:00",
                "genre": ["Football"],
                "type": "unknown",
            },
            "catchup",
            0x43,
            date(2026, 11, 22),
        ),
        (
            {
                "mediapath": "pvr://recordings/tv/active/News, TV (EEN), 20261120_190000, 7.pvr",
                "genre": ["News / Current affairs"],
                "type": "unknown",
            },
            "recording",
            0x20,
            date(2026, 11, 20),
        ),
        ({"mediapath": "pvr://recordings/tv/active/x.pvr", "type": "unknown"}, "recording", 0, None),
        ({"type": "episode", "id": 4, "genre": ["Crime"], "mediapath": "/s/e.mkv"}, "vod", 0x11, None),
        ({"type": "musicvideo", "id": 4, "genre": [], "mediapath": "/m.mkv"}, "vod", 0x60, None),
        ({"type": "movie", "id": 4, "genre": [], "mediapath": "/f.mkv"}, "vod", 0x10, None),
    ],
    ids=["catch-up-night", "catch-up-day", "recording", "bare-recording", "episode", "music-video", "film"],
)
def test_each_kind_of_item_is_told_by_its_path_or_type(talk, answer, kind, genre, day):
    talk.play(FILE, answer)
    (item,) = talk.items()
    assert (item.kind, item.genre, item.broadcast_day) == (kind, genre, day)


def test_catch_up_without_a_path_is_told_by_the_players_number(talk):
    talk.say("Player.OnPlay", FILE, player={"playerid": -1, "speed": 1})
    talk.on = {"genre": ["Football"], "id": 1, "label": "Sportweekend", "type": "unknown"}
    talk.say("Player.OnAVStart", FILE)
    assert [one.kind for one in talk.items()] == ["catchup"]


def test_no_title_and_no_path_goes_into_an_event(talk):
    talk.play(
        FILE, {"mediapath": "/films/Secret.mkv", "label": "Secret", "title": "Secret", "type": "unknown"}
    )
    talk.wait(MINUTE)
    talk.play(FILM, {**LIBRARY, "title": "Secret", "label": "Secret"}).wait(MINUTE)
    talk.play(channel(2), {**NEWS, "title": "Secret"}).wait(MINUTE)
    talk.play(FILE, {"mediapath": "pvr://guide/1/Secret.epg", "title": "Secret", "type": "unknown"})
    assert "Secret" not in repr(talk.events)
    assert len(talk.items()) == 4


def test_references_tell_items_apart_and_nothing_to_those_without_the_key():
    one, other = items(b"one"), items(b"other")
    told = {"mediapath": "/films/a.mkv", "type": "unknown"}
    assert one.shown(told).item.ref == one.shown(told).item.ref
    assert one.shown(told).item.ref != one.shown({**told, "mediapath": "/films/b.mkv"}).item.ref
    assert one.shown(told).item.ref != other.shown(told).item.ref


# --- answers that come late or never


def test_an_item_that_kodi_never_answers_counts_with_what_it_told_by_itself(talk):
    talk.play(channel(2), None).wait(10 * SECOND)
    assert talk.told() == [("play", 1)]
    assert talk.items()[0].channel == "EEN"


def test_an_answer_that_comes_late_does_not_change_when_viewing_began(talk):
    talk.play(channel(2), None).wait(3 * SECOND)
    talk.on = NEWS
    talk.wait(2 * SECOND)
    assert talk.told() == [("play", 1)]
    assert talk.items()[0].genre == 0x20


def test_what_ended_before_kodi_answered_counts_too(talk):
    talk.play(channel(2), None).wait(SECOND)
    talk.say("Player.OnPlay", channel(1, "NPO1"))
    assert talk.told() == [("play", 1), ("stop", 2)]


def test_an_answer_to_what_was_on_before_is_not_taken(talk):
    talk.say("Player.OnPlay", channel(2))
    talk.player.take({"method": "Player.OnAVStart", "params": {"data": {"item": channel(2)}}}, talk.now)
    (question,) = talk.player.questions.unsent()
    talk.say("Player.OnPlay", FILM)
    talk.player.take({"id": question["id"], "result": {"item": NEWS}}, talk.now)
    talk.on = LIBRARY
    talk.say("Player.OnAVStart", FILM)
    assert [one.kind for one in talk.items()][-1] == "vod"
    assert 0x20 not in [one.genre for one in talk.items()]


def test_an_answer_that_comes_after_the_end_begins_nothing(talk):
    talk.say("Player.OnPlay", channel(2))
    talk.player.take({"method": "Player.OnAVStart", "params": {"data": {"item": channel(2)}}}, talk.now)
    (question,) = talk.player.questions.unsent()
    talk.player.take({"method": "Player.OnStop", "params": {"data": {"item": channel(2)}}}, talk.now)
    talk.player.take({"id": question["id"], "result": {"item": NEWS}}, talk.now + SECOND)
    assert [one.event for one in talk.player.events()] == ["play", "stop"]


# --- programme boundaries


def test_the_next_programme_is_asked_for_two_seconds_after_the_last_ended(talk):
    end = NINE + 10 * SECOND
    talk.play(channel(2), programme(2, NINE - HOUR, end, "News / Current affairs"))
    talk.on = programme(2, end, end + HOUR, "Football")
    talk.wait(10 * SECOND)
    assert talk.told() == [("play", 1)]
    talk.wait(SECOND)
    assert talk.told() == [("play", 1), ("play", 10)]


def test_events_of_one_millisecond_keep_their_order(talk):
    talk.play(channel(2), {"channel": "EEN", "channeltype": "tv", "id": 2, "label": "EEN", "type": "channel"})
    talk.on = NEWS
    talk.wait(2 * MINUTE)
    assert talk.told() == [("play", 1), ("play", 1)]
    assert [one.seq for one in talk.events] == sorted({one.seq for one in talk.events})
    assert viewed(talk, talk.now) == [(0x20, (talk.now - NINE) / SECOND - 1)]


def test_at_a_programmes_end_the_next_one_begins_exactly_when_the_guide_says(talk):
    end = NINE + 10 * MINUTE
    talk.play(channel(2), programme(2, NINE - HOUR, end, "News / Current affairs")).wait(9 * MINUTE)
    talk.on = programme(2, end, end + HOUR, "Football")
    talk.wait(10 * MINUTE)
    assert talk.told() == [("play", 1), ("play", 600)]
    assert talk.events[-1].by == "box"
    assert [one.by for one in talk.events if one.event == "play"] == ["user", "box"]
    assert viewed(talk, talk.now) == [(0x20, 599), (0x43, (talk.now - end) / SECOND)]


def test_however_late_the_question_the_boundary_is_exact(talk):
    end = NINE + 10 * MINUTE
    talk.play(channel(2), programme(2, NINE - HOUR, end, "News / Current affairs"))
    talk.on = programme(2, end, end + HOUR, "Football")
    talk.now = end + 40 * MINUTE  # the box was busy
    talk.wait(0)
    assert talk.told() == [("play", 1), ("play", 600)]


def test_programmes_that_were_missed_are_left_to_the_guide(talk):
    end = NINE + 10 * MINUTE
    talk.play(channel(2), programme(2, NINE - HOUR, end, "News / Current affairs"))
    talk.on = programme(2, end + HOUR, end + 2 * HOUR, "Football")
    talk.now = end + HOUR + MINUTE
    talk.wait(0)
    assert talk.told() == [("play", 1), ("play", 600), ("play", 4200)]
    assert [(one.genre, one.channel) for one in talk.items()] == [(0x20, ""), (0, "EEN"), (0x43, "")]


def test_a_programme_that_is_followed_by_none_ends_when_it_should(talk):
    end = NINE + 5 * MINUTE
    talk.play(channel(2), programme(2, NINE - HOUR, end, "News / Current affairs")).wait(4 * MINUTE)
    talk.on = {"channel": "EEN", "channeltype": "tv", "genre": [], "id": 2, "label": "EEN", "type": "channel"}
    talk.wait(5 * MINUTE)
    assert talk.told() == [("play", 1), ("play", 300)]
    assert talk.items()[1].channel == "EEN"


def test_viewing_behind_the_broadcast_moves_on_when_kodi_does(talk):
    end = NINE + 10 * MINUTE
    talk.play(channel(2), programme(2, NINE - HOUR, end, "News / Current affairs")).wait(20 * MINUTE)
    talk.on = programme(2, end, end + HOUR, "Football")
    talk.wait(2 * MINUTE)
    (_, (name, at)) = talk.told()
    assert name == "play"
    assert abs(at - (20 * 60 + 1)) <= 10


# --- signs of life


def test_progress_is_told_about_each_minute_while_something_plays(talk):
    talk.wait(10 * MINUTE)
    assert talk.events == []
    talk.play(FILM, LIBRARY).wait(10 * MINUTE)
    assert 9 <= len(talk.told("progress")) <= 11
    talk.say("Player.OnPause", FILM, speed=0)
    talk.speed = 0
    before = len(talk.told("progress"))
    talk.wait(10 * MINUTE)
    assert len(talk.told("progress")) == before


def test_what_was_on_already_counts_from_the_connection(talk):
    late = Talk()
    late.on, late.now = LIBRARY, NINE + MINUTE
    late.connect().wait(30 * SECOND).say("Player.OnStop", FILM, end=False)
    assert late.told() == [("play", 60), ("stop", 90)]
    assert late.events[0].by == "box"


def test_what_was_on_but_paused_does_not_count(talk):
    late = Talk()
    late.on, late.speed = LIBRARY, 0
    late.connect().wait(10 * MINUTE)
    assert viewed(late, late.now) == []


def test_a_lost_connection_ends_what_was_on_at_the_last_sign_of_life(talk):
    talk.play(FILM, LIBRARY).wait(3 * MINUTE)
    talk.lost(NINE + 2 * MINUTE)
    assert talk.told() == [("play", 1), ("standby", 120)]
    talk.lost(NINE + 5 * MINUTE)
    assert len(talk.told()) == 2


def test_a_stop_that_was_missed_is_noticed_within_a_minute(talk):
    talk.play(FILM, LIBRARY).wait(150 * SECOND)
    talk.on = None
    talk.wait(2 * MINUTE)
    assert talk.told()[0] == ("play", 1)
    assert 100 <= talk.told()[1][1] <= 151


def test_a_speed_that_was_missed_is_noticed_within_a_minute(talk):
    talk.play(FILM, LIBRARY).wait(30 * SECOND)
    talk.speed = 0
    talk.wait(2 * MINUTE)
    (pause,) = talk.told("pause")
    assert pause[1] <= 61


def test_no_answer_for_twenty_seconds_is_a_player_that_has_gone(talk):
    talk.play(FILM, LIBRARY)
    talk.player.tick(talk.now + MINUTE)
    assert not talk.player.gone(talk.now + MINUTE + 19 * SECOND)
    assert talk.player.gone(talk.now + MINUTE + 20 * SECOND)
    talk.lost(talk.now)
    assert not talk.player.gone(talk.now + HOUR)


def test_the_next_of_a_list_is_chosen_by_nobody(talk):
    talk.play(FILM, LIBRARY).wait(MINUTE).say("Player.OnStop", FILM, end=True).wait(2 * SECOND)
    talk.play({**FILM, "id": 2}, {**LIBRARY, "id": 2}).wait(MINUTE)
    talk.on = None
    talk.say("Player.OnStop", {**FILM, "id": 2}, end=True).wait(MINUTE)
    talk.play(FILM, LIBRARY)
    assert [one.by for one in talk.events if one.event == "play"] == ["user", "box", "user"]


# --- whatever it says


ITEMS = st.sampled_from(
    [FILM, FILE, channel(1), channel(2), {"type": "song", "id": 1}, {"type": "picture"}, None, {}]
)
METHODS = [
    "Player.OnPlay",
    "Player.OnAVStart",
    "Player.OnAVChange",
    "Player.OnPause",
    "Player.OnResume",
    "Player.OnSpeedChanged",
    "Player.OnSeek",
    "Player.OnStop",
    "Application.OnVolumeChanged",
    "System.OnQuit",
    "System.OnWake",
]
STEPS = st.one_of(
    st.tuples(st.just("say"), st.sampled_from(METHODS), ITEMS, st.sampled_from([-2, 0, 1, 4])),
    st.tuples(st.just("wait"), st.integers(0, 5 * MINUTE)),
    st.tuples(st.just("on"), st.sampled_from([None, NEWS, SOAP, LIBRARY, {"type": "unknown", "label": ""}])),
    st.tuples(st.just("lost"), st.integers(0, MINUTE)),
)


@given(st.lists(STEPS, max_size=40))
def test_whatever_comes_in_whatever_order_minutes_stay_within_what_elapsed(steps):
    talk = Talk().connect()
    for step in steps:
        match step:
            case ("say", method, item, speed):
                talk.say(method, item, speed=speed)
            case ("wait", span):
                talk.wait(span)
            case ("on", answer):
                talk.on = answer
            case ("lost", before):
                talk.lost(max(NINE, talk.now - before)).connect()
    stretches = sorted(
        stretch for one in viewing_sessions(talk.events, talk.now) for stretch in one.stretches
    )
    assert all(NINE <= start <= end <= talk.now for start, end in stretches)
    assert all(one[1] <= two[0] for one, two in pairwise(stretches))
    assert all(NINE <= one.at_ms <= talk.now for one in talk.events)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["data", "item", "player", "speed", "type", "id", "title", "end", "genre", "result"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(st.lists(st.tuples(st.sampled_from([*METHODS, None]), JSON), max_size=12))
def test_messages_of_any_form_are_survived(messages):
    talk = Talk().connect()
    for method, found in messages:
        message = {"id": 1, "result": found} if method is None else {"method": method, "params": found}
        talk.player.take(message, talk.now)
        talk.player.take({"method": method or "Player.OnPlay", "params": {"data": found}}, talk.now)
        for question in talk.player.questions.unsent():
            talk.player.take({"id": question["id"], "result": found}, talk.now)
            talk.player.take({"id": question["id"], "result": {"item": found}}, talk.now)
    json.dumps(told_time(talk.now))
    assert talk.player.events() is not None
