import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from box_agent.events import BadEventError, Event, Item
from box_agent.guide.categories import BadCategoriesError
from box_agent.guide.store import GUIDE_NAME, GuideStore
from box_agent.sources.reporter import Reporter
from box_agent.sources.running import start_sources
from shared.system_clock import SystemClock
from tests.box_agent.fakes import settings
from tests.box_agent.sources.fake_kodi import FakeKodi
from tests.box_agent.sources.kodi_talk import FILM

GUIDE = (
    """<tv><programme start="{start} +0000" channel="een.be"><category>Voetbal</category></programme></tv>"""
)


def until(done):
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_with_nothing_named_nothing_runs(tmp_path):
    before = threading.active_count()
    running = start_sources(settings(tmp_path), lambda _: True, SystemClock())
    assert threading.active_count() == before
    assert running.counts() == {}
    running.stop()


def test_what_the_settings_name_runs_until_it_is_stopped(tmp_path):
    kodi = FakeKodi()
    kodi.on = {**FILM, "genre": ["Comedy"], "mediapath": "x"}
    guide = tmp_path / "guide.xml"
    guide.write_text(GUIDE.format(start=f"{datetime.now(UTC):%Y%m%d%H%M%S}"))
    reported = []
    host, port = kodi.address
    given = settings(tmp_path / "state", kodi=f"{host}:{port}", guide_file=str(guide))
    given.state().mkdir()
    running = start_sources(given, lambda event: not reported.append(event), SystemClock())
    until(lambda: reported and running.counts()["guide"].get("loaded") == 1)
    running.stop()
    kodi.crash()
    assert [one.event for one in reported if one.event != "progress"] == ["play", "standby"]
    assert running.counts()["kodi"]["kept"] == len(reported)
    now = int(time.time() * 1000)
    assert GuideStore(given.state() / GUIDE_NAME).programmes("een.be", now, now + 1)[0].code == 0x43
    assert (given.state() / GUIDE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_list_of_categories_of_another_form_stops_the_start(tmp_path):
    own = tmp_path / "own.tsv"
    own.write_text("nonsense")
    given = settings(tmp_path, kodi="127.0.0.1:9", guide_categories=str(own))
    with pytest.raises(BadCategoriesError):
        start_sources(given, lambda _: True, SystemClock())


def test_an_agent_without_sources_does_not_import_them():
    code = (
        "import sys, box_agent.sources.running; "
        "print([m for m in sys.modules if 'kodi' in m or 'xml' in m or 'guide' in m])"
    )
    import subprocess

    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- the reporter


class Agent:
    """Keeps events while it may."""

    def __init__(self):
        self.may = True
        self.kept = []
        self.reporter = Reporter(self.report)

    def report(self, event):
        if self.may:
            self.kept.append(event)
        return self.may

    def told(self):
        return [(one.event, one.at_ms, one.by) for one in self.kept]


PLAY = Event(event="play", item=Item(kind="vod", genre=0x14, ref="movie-1"), at_ms=1000, seq=1)


def progress(at_ms):
    return Event(event="progress", by="box", at_ms=at_ms, seq=at_ms)


def test_consent_in_the_middle_of_a_film_counts_from_then_and_not_before():
    agent = Agent()
    agent.may = False
    agent.reporter(PLAY)
    agent.reporter(progress(2000))
    agent.may = True
    agent.reporter(progress(3000))
    agent.reporter(progress(4000))
    assert agent.told() == [
        ("progress", 3000, "box"),
        ("play", 3000, "box"),
        ("progress", 4000, "box"),
    ]


def test_consent_that_was_withdrawn_and_given_again_counts_from_then():
    agent = Agent()
    agent.reporter(PLAY)
    agent.may, agent.kept = False, []
    agent.reporter(progress(2000))
    agent.may = True
    agent.reporter(progress(3000))
    agent.reporter(progress(4000))
    assert agent.told() == [("progress", 3000, "box"), ("play", 3000, "box"), ("progress", 4000, "box")]


def test_what_was_paused_without_consent_is_still_paused_when_it_is_given():
    agent = Agent()
    agent.may = False
    agent.reporter(PLAY)
    agent.reporter(Event(event="pause", at_ms=2000))
    agent.may = True
    agent.reporter(Event(event="key", at_ms=3000))
    assert [one.rate for one in agent.kept if one.event == "play"] == [0.0]


@pytest.mark.parametrize("end", ["stop", "standby"])
def test_what_ended_without_consent_does_not_begin_again(end):
    agent = Agent()
    agent.may = False
    agent.reporter(PLAY)
    agent.reporter(Event(event=end, at_ms=2000))
    agent.may = True
    agent.reporter(progress(3000))
    assert agent.told() == [("progress", 3000, "box")]


@pytest.mark.parametrize(("error", "name"), [(BadEventError("no"), "refused"), (OSError("full"), "failed")])
def test_an_agent_that_refuses_or_fails_does_not_end_the_watching(error, name):
    def report(_event):
        raise error

    reporter = Reporter(report)
    reporter(PLAY)
    reporter(progress(2000))
    assert reporter.counts() == {name: 2, "not_kept": 2}
