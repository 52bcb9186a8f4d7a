import json
from pathlib import Path

import pytest

from box_agent.sessions import clock_minutes, viewing_sessions
from box_agent.sources.kodi_player import KodiPlayer
from box_agent.sources.replay import BadRecordingError, replay
from tests.box_agent.sources.kodi_talk import ZONE, items

RECORDED = Path(__file__).parents[1] / "data" / "kodi_session.jsonl"


def player():
    return KodiPlayer(items(), asking=False)


def played(lines):
    events = [event for _, event in replay(lines, player())]
    return events, viewing_sessions(events, 1_900_000_000_000)


def test_the_recorded_session_gives_the_sessions_that_were_played():
    _, sessions = played(RECORDED.read_text().splitlines())
    told = [(one.item.kind, one.item.genre, round(one.viewed_ms() / 1000)) for one in sessions]
    # What was viewed for less than 15 s is surfing: the second film, the zaps, the archive, the library.
    assert told == [("vod", 0, 15), ("live", 0x43, 47), ("live", 0x14, 40), ("live", 0x20, 81)]


def test_in_the_recorded_session_every_item_is_recognised():
    events, _ = played(RECORDED.read_text().splitlines())
    told = [(one.item.kind, one.item.genre) for one in events if one.event == "play"]
    assert told == [
        ("vod", 0x00),
        ("vod", 0x00),
        ("live", 0x20),
        ("live", 0x15),
        ("vod", 0x14),
        ("catchup", 0x43),
        ("live", 0x43),
        ("live", 0x14),
        ("live", 0x20),
    ]


def test_the_crash_in_the_recorded_session_ends_viewing_at_the_last_sign_of_life():
    events, _ = played(RECORDED.read_text().splitlines())
    (crash,) = [one for one in events if one.event == "standby"]
    assert crash.at_ms == 1795317527549


def test_the_recorded_session_gives_its_clock_minutes():
    _, sessions = played(RECORDED.read_text().splitlines())
    minutes = clock_minutes(sessions, ZONE)
    assert [one.genre for one in minutes] == ["film-drama", "news"]


def test_the_agents_own_events_are_told_again_with_their_time():
    lines = [
        {"t": 1795317364, "event": {"event": "play", "item": {"kind": "live", "genre": "news"}}},
        {"t": 1795317424, "event": {"event": "stop", "at_ms": 1795317414000}},
    ]
    events, sessions = played(json.dumps(one) for one in lines)
    assert [one.at_ms for one in events] == [1795317364000, 1795317414000]
    assert [one.viewed_ms() for one in sessions] == [50_000]


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        "{}",
        '{"t": "soon", "dir": "recv", "msg": {}}',
        '{"t": 1e400, "dir": "recv", "msg": {}}',
        '{"t": 1, "dir": "up", "msg": {}}',
        '{"t": 1, "dir": "recv"}',
        '{"t": 1, "event": {"event": "dance"}}',
        '{"t": 1, "event": 7}',
        '{"t": 1, "msg": {}}',
    ],
)
def test_a_line_of_another_form_is_refused_with_its_number(line):
    good = '{"t": 1, "dir": "recv", "msg": {}}'
    with pytest.raises(BadRecordingError, match="line 2"):
        list(replay([good, line], player()))
