import json
import socket
import time
from contextlib import suppress
from datetime import timedelta

import pytest

from box_agent.sources import kodi as kodi_wire
from box_agent.sources import kodi_questions
from shared.system_clock import SystemClock
from tests.box_agent.sources.fake_kodi import FakeKodi, Watched
from tests.box_agent.sources.kodi_talk import FILM

LIBRARY = {**FILM, "genre": ["Comedy"], "label": "x", "mediapath": "x"}


def until(done):
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end
        time.sleep(0.005)


def now_ms():
    return time.time() * 1000


@pytest.fixture
def kodi():
    made = FakeKodi()
    yield made
    made.crash()


@pytest.fixture
def watched(kodi):
    made = Watched(kodi.address)
    until(lambda: "Player.GetActivePlayers" in kodi.asked)
    yield made
    made.stop()


def quiet_port():
    """A port that nobody listens on, and that no connection is given by chance."""
    for port in range(20_000, 30_000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


def begin(kodi, watched):
    kodi.on = LIBRARY
    kodi.say("Player.OnPlay", item=FILM, player={"playerid": 1, "speed": 1})
    kodi.say("Player.OnAVStart", item=FILM, player={"playerid": 1, "speed": 1})
    until(lambda: "play" in watched.names())


def test_what_kodi_tells_is_reported_at_its_moment(kodi, watched):
    begin(kodi, watched)
    kodi.say("Player.OnPause", item=FILM, player={"playerid": 1, "speed": 0})
    kodi.say("Player.OnStop", item=FILM, end=False)
    until(lambda: "stop" in watched.names())
    assert watched.names() == ["play", "pause", "stop"]
    assert all(abs(one.at_ms - now_ms()) < 2000 for one in watched.events)


def test_a_player_that_crashes_ends_what_was_on_at_that_moment(kodi, watched):
    begin(kodi, watched)
    time.sleep(0.2)
    crashed = now_ms()
    kodi.crash()
    until(lambda: "standby" in watched.names())
    assert abs(watched.events[-1].at_ms - crashed) < 500


def test_after_a_lost_connection_what_is_on_counts_again(kodi, watched):
    begin(kodi, watched)
    kodi.drop()
    until(lambda: watched.names().count("play") == 2)
    assert watched.names()[:3] == ["play", "standby", "play"]
    assert watched.source.counts()["reconnects"] == 1


def test_a_player_that_starts_later_is_found():
    port = quiet_port()
    watched = Watched(("127.0.0.1", port))
    time.sleep(0.1)
    kodi = FakeKodi(port)
    kodi.on = LIBRARY
    try:
        until(lambda: "play" in watched.names())
    finally:
        watched.stop()
        kodi.crash()


def test_a_player_that_no_longer_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(kodi_questions, "ANSWER_MS", 300)
    kodi = FakeKodi()
    kodi.on = LIBRARY
    watched = Watched(kodi.address)
    try:
        until(lambda: "play" in watched.names())
        heard = now_ms()
        kodi.mute = True
        kodi.say("Player.OnAVStart", item=FILM)
        kodi.say("Player.OnPlay", item=FILM)
        kodi.say("Player.OnAVStart", item=FILM)
        until(lambda: watched.source.counts()["unanswered"] >= 1)
        names = [one for one in watched.names() if one != "progress"]
        assert names[:4] == ["play", "stop", "play", "standby"]
        ends = [one.at_ms for one in watched.events if one.event == "standby"]
        assert ends[0] - heard < 250
    finally:
        watched.stop()
        kodi.crash()


def test_half_a_message_at_the_end_is_no_message(kodi, watched):
    begin(kodi, watched)
    half = json.dumps({"method": "Player.OnStop", "params": {"data": {"item": FILM}}}).encode()[:-5]
    kodi.send(half)
    kodi.drop()
    until(lambda: "standby" in watched.names())
    assert "stop" not in watched.names()


def test_garbage_is_counted_and_what_follows_is_heard(kodi, watched):
    begin(kodi, watched)
    kodi.send(b'garbage}{"x":}[[["')
    kodi.send(b'\xff\xff {"method": 17} {"method": "Player.OnStop"} {"id": {}} {"params": []}')
    kodi.send(b'{"big": "' + b"x" * 3_000_000 + b'"}' + b'{"deep": ' + b"[" * 5000 + b"]" * 5000 + b"}")
    kodi.say("Player.OnSeek", item=FILM)
    kodi.say("Player.OnStop", item=FILM, end=False)
    until(lambda: "stop" in watched.names())
    kodi.drop()
    until(lambda: watched.source.counts()["unreadable"] >= 3)
    assert watched.source.counts()["ignored"] >= 2


class JumpingClock(SystemClock):
    """The machine's clock, until somebody sets it."""

    ahead = timedelta()

    def now(self):
        return super().now() + self.ahead


@pytest.mark.parametrize("ahead", [timedelta(hours=5), timedelta(hours=-5)])
def test_a_clock_that_is_set_ends_what_was_on_and_begins_it_again(kodi, ahead, monkeypatch):
    monkeypatch.setattr(kodi_wire, "LOOK_SECONDS", 0.1)
    kodi.on = LIBRARY
    clock = JumpingClock()
    watched = Watched(kodi.address, clock)
    try:
        until(lambda: "play" in watched.names())
        clock.ahead = ahead
        until(lambda: watched.names().count("play") == 2)
        assert [one for one in watched.names() if one != "progress"] == ["play", "standby", "play"]
        standby = next(one for one in watched.events if one.event == "standby")
        assert standby.at_ms - watched.events[0].at_ms < 10_000
        assert watched.events[-1].at_ms - now_ms() > ahead.total_seconds() * 1000 - 10_000
    finally:
        watched.stop()


def test_a_stop_is_followed_while_nothing_arrives(kodi):
    watched = Watched(kodi.address)
    until(lambda: "Player.GetActivePlayers" in kodi.asked)
    began = time.monotonic()
    watched.stop()
    assert time.monotonic() - began < 1


def test_a_port_at_which_nobody_listens_is_no_player():
    watched = Watched(("127.0.0.1", quiet_port()))
    time.sleep(0.3)
    watched.stop()
    assert watched.events == []
    assert watched.source.counts()["reconnects"] == 0


def test_a_connection_that_meets_itself_is_no_player(monkeypatch):
    def met(*_where, **_how):
        line = socket.socket()
        line.bind(("127.0.0.1", 0))
        line.connect(line.getsockname())
        return line

    monkeypatch.setattr(kodi_wire.socket, "create_connection", met)
    watched = Watched(("127.0.0.1", 9))
    time.sleep(0.3)
    heard = watched.source.counts()
    watched.stop()
    assert (heard["connected"], heard["ignored"]) == (0, 0)
