"""A week of a real box's life, before a real headend and relay: what its log tells of it."""

import re
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from box_agent.client import AgentClient
from box_agent.core import STORE_NAME
from box_agent.pin import MOST
from shared.clock import from_ms
from shared.genres import DETAILS, GENRES
from shared.notice_version import notice_version
from shared.words import LANGUAGES, words_of
from tests.box_agent.fakes import W41, ZONE, offer
from tests.box_agent.running_box import EVIDENCE, RunningBox, publish
from tests.town import Installed

pytestmark = [pytest.mark.promise, pytest.mark.journey]

REF, TITLE, PIN = "A Particular Programme", "A Very Particular Film", "258013"
CHANNEL, TUNER = "channel-seven", "tuner-upstairs"


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A box that was enrolled, watched, ordered, told its week and was refused now and then; its log."""
    folder = tmp_path_factory.mktemp("lived")
    installed = Installed(folder)
    try:
        publish(installed, offer(title=TITLE))
        yield _live(RunningBox(folder / "box", installed), installed)
    finally:
        installed.stop()


def _live(box, installed):
    with box.running():
        who = box.ask("enrol", code=installed.code("acc-1"))
        box.ask("tick")
        box.ask("set-consent", granted=True, notice=notice_version(), how="screen")
        box.ask("set-pin", new=PIN)
        for day in range(7):
            _pass_time(box, installed, W41.start(ZONE) + timedelta(days=day, hours=18))
            _watch(box, installed, f"{REF} {day}")
        box.ask("order", offer="film-1", evidence=EVIDENCE)
        _refusals(box)
        _pass_time(box, installed, W41.closes(ZONE) - timedelta(hours=1))
        told = [box.ask(op, pin=PIN) for op in ("recorded", "waiting", "sent", "export")]
        assert told[2], "fragments have left"
        status = box.ask("status")
        installed.headend.stop()
        box.ask("order", offer="film-1", evidence=EVIDENCE)
        box.ask("tick")
    return box, who, told, status


def _watch(box, installed, ref):
    item = {"kind": "live", "genre": 0x43, "ref": ref, "channel": CHANNEL}
    event = {"v": 1, "event": "play", "item": item, "tuner": TUNER}
    assert box.ask("event", event=event) == {"kept": True}
    box.ask("tick")
    installed.move_to(from_ms(_now(installed) + 3_600_000))
    box.ask("event", event={"event": "stop", "tuner": TUNER})


def _now(installed):
    return int.from_bytes(installed.clock_file.read_bytes(), "little")


def _refusals(box):
    """What a log might be tempted to tell."""
    for request in (
        {"op": "event", "event": {"event": "play", "title": TITLE}},
        {"op": "event", "event": {"event": "play", "item": {"kind": "live", "genre": REF}}},
        {"op": "order", "offer": TITLE, "evidence": EVIDENCE},
        {"op": "sent", "pin": "0" * MOST},
        {"op": "set-consent", "granted": True, "notice": 99, "how": REF},
    ):
        assert not _exchange(box, request)["ok"]


def _exchange(box, request):
    with AgentClient(box.socket) as client:
        return client.exchange(request)


def _pass_time(box, installed, until):
    """Move time on, and stop at each fragment's moment: the box tells it to nobody, its store to the test."""
    while (now := from_ms(_now(installed))) < until:
        with closing(sqlite3.connect(f"file:{box.state / STORE_NAME}?mode=ro", uri=True)) as store:
            (due_ms,) = store.execute("SELECT min(due_ms) FROM outbox").fetchone()
        due = until if due_ms is None else max(from_ms(due_ms), now + timedelta(minutes=1))
        installed.move_to(min(until, due, now + timedelta(minutes=30)))
        box.ask("tick")


def told_words():
    """Everything by which a genre is called anywhere."""
    names = {*GENRES, *DETAILS} - {"other", "live", "news", "show"}
    return names | {words_of(language).values[name] for language in LANGUAGES for name in names}


def test_a_week_was_lived_with_orders_and_fragments(lived):
    box, _, told, status = lived
    assert "ready" in box.log.read_text()
    assert status["named"]["acknowledged"] >= 1
    assert {one["outcome"] for one in told[2]} == {"counted"}


def test_no_title_reference_channel_or_pin_is_in_the_log(lived):
    log = lived[0].log.read_text()
    for one in (REF, TITLE, PIN, CHANNEL, TUNER, "film-1"):
        assert one not in log


def test_no_genre_is_in_the_log_by_any_name(lived):
    log = lived[0].log.read_text().lower()
    assert [word for word in told_words() if re.search(rf"\b{re.escape(word.lower())}\b", log)] == []


def test_the_box_is_named_nowhere_in_the_log(lived):
    box, who, *_ = lived
    log = box.log.read_text()
    for one in (who["box"], box.given["serial"], box.given["postal_area"], "acc-1"):
        assert one not in log
    assert not re.search(r"[0-9a-f]{16}|[A-Za-z0-9+/_-]{40}", log), "nor a digest, key or token"
