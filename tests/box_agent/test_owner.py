import json
from datetime import timedelta

import msgspec
import pytest

from box_agent.events import read_event
from box_agent.pin import NoPinError, WrongPinError
from shared.clock import to_ms
from tests.box_agent.fakes import W41, YES, ZONE, Bench

FOOTBALL = {"kind": "live", "genre": 0x43, "ref": "A Particular Match", "channel": "channel-seven"}
SERIES = {"kind": "recording", "genre": "film-drama", "broadcast_day": "2026-10-01", "ref": "A Series"}


def watch(bench, minutes, item):
    bench.agent.report(read_event({"event": "play", "item": item}))
    bench.clock.advance(timedelta(minutes=minutes))
    bench.agent.report(read_event({"event": "stop"}))


@pytest.fixture
def box(bench):
    bench.enrol()
    bench.consent()
    bench.agent.set_pin("2580")
    bench.clock.advance(timedelta(hours=18))  # Monday, 20:00
    watch(bench, 95, FOOTBALL)
    watch(bench, 20, SERIES)
    bench.agent.place_order("film-1", YES)
    return bench


def test_what_is_recorded_is_told_by_genre_and_part_of_the_day(box):
    told = box.agent.owner("2580").recorded("en")
    assert [(one.day, one.daypart, one.genre, one.minutes, one.words) for one in told["viewed"]] == [
        ("2026-10-05", "19-23", "sports", 95, "football, live, 19:00 to 23:00"),
        ("2026-10-05", "19-23", "film-drama", 20, SERIES_WORDS),
    ]
    assert [(one.day, one.words) for one in told["ordered"]] == [("2026-10-05", "comedy")]


SERIES_WORDS = "film or drama in general, recording, within 7 days, 19:00 to 23:00"


def test_no_title_channel_or_time_of_day_is_told(box):
    archive = json.dumps(msgspec.to_builtins(box.agent.owner("2580").archive()))
    for one in ("A Particular Match", "A Series", "channel-seven", str(to_ms(box.clock.now()))[:8]):
        assert one not in json.dumps(msgspec.to_builtins(box.agent.owner("2580").recorded()))
    assert "Particular" not in archive


def test_what_was_viewed_in_the_night_belongs_to_the_day_before(box):
    box.clock.advance(timedelta(hours=3, minutes=10))  # 01:05
    watch(box, 10, FOOTBALL)
    assert box.agent.owner("2580").recorded()["viewed"][-1].day == "2026-10-05"


def test_what_waits_is_told_in_words_with_its_week_and_without_its_moment(box):
    box.run_until(to_ms(W41.end(ZONE)) + 3_600_000)
    told = box.agent.owner("2580").waiting("nl")
    assert {one.week for one in told["fragments"]} == {"2026-W41"}
    assert len(told["fragments"]) + len(box.relay.fragments) == 3
    assert all(": " in one.words for one in told["fragments"])
    due = [str(row[0]) for row in box.agent._store.connection().execute("SELECT due_ms FROM outbox")]
    said = msgspec.json.encode(told).decode()
    assert [one for one in due if one in said] == []


def test_what_waits_is_not_listed_in_the_order_of_sending(box):
    box.run_until(to_ms(W41.end(ZONE)) + 700_000)
    connection = box.agent._store.connection()
    before = [one.words for one in box.agent.owner("2580").waiting()["fragments"]]
    connection.execute("UPDATE outbox SET due_ms = due_ms + 1000 * (10 - id)")
    assert [one.words for one in box.agent.owner("2580").waiting()["fragments"]] == before


def test_tokens_are_told_by_week_and_state(box):
    box.agent.tick()
    (tokens,) = box.agent.owner("2580").waiting()["tokens"]
    assert (tokens.week, tokens.state, tokens.ready, tokens.directory) == ("2026-W41", "planned", 0, "none")
    box.run_until(to_ms(W41.end(ZONE)) - 1)
    (tokens,) = box.agent.owner("2580").waiting()["tokens"]
    assert (tokens.state, tokens.pending, tokens.ready, tokens.directory) == ("granted", 0, 3, "equal")


@pytest.mark.parametrize("look", ["recorded", "waiting", "sent", "archive"])
def test_nothing_of_it_opens_without_the_pin(bench, look):
    with pytest.raises(NoPinError):
        getattr(bench.agent.owner("2580"), look)()
    bench.agent.set_pin("2580")
    with pytest.raises(WrongPinError):
        getattr(bench.agent.owner("0852"), look)()
    assert getattr(bench.agent.owner("2580"), look)() is not None


def test_the_archive_holds_every_part_and_explains_it(box):
    box.agent.reminded("screen", "fr")
    box.run_until(to_ms(W41.closes(ZONE)) - 1)
    archive = json.loads(msgspec.json.encode(box.agent.owner("2580").archive("fr")))
    assert (archive["archive"], archive["version"]) == ("box-agent", 1)
    assert archive["box"] == {
        "box": "box-1",
        "epoch": 1,
        "serial": "serial-1",
        "zone": "Europe/Amsterdam",
        "postal_area": "1012",
        "language": "en",
    }
    assert [one["act"] for one in archive["consent"]["proof"]] == ["granted", "reminded"]
    assert all(len(one["notice_sha256"]) == 64 for one in archive["consent"]["proof"])
    assert [one["title"] for one in archive["orders"]] == ["Title of film-1"]
    assert len(archive["sent"]) == len(box.relay.fragments) == 3
    explained = set(archive["explanation"]) - {"about", "times"}
    assert explained == set(archive) - {"archive", "version", "made", "explanation"}


def test_a_status_tells_room_on_the_disk_and_what_is_not_durable_yet(bench: Bench):
    bench.consent()
    found = bench.agent.status()
    assert 0 < found["store"]["bytes"] < found["store"]["most_bytes"] == 64 * 1024 * 1024
    assert found["store"]["free_bytes"] > 0
    assert found["anonymous"]["refusal_owed"] is False
