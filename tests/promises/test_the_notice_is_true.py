"""What the notice tells a household of its own box is so."""

from datetime import timedelta

import pytest

from box_agent.events import read_event
from box_agent.pin import NoPinError, WrongPinError
from shared.clock import to_ms
from shared.notice import LANGUAGES, notice_text
from shared.register import profile, profile_names
from tests.box_agent.fakes import W41, ZONE, Bench
from tests.promises.needles import inflated

pytestmark = pytest.mark.promise

WATCHED = {"event": "play", "item": {"kind": "live", "genre": "news", "ref": "A Particular Programme"}}


@pytest.fixture
def box(tmp_path):
    bench = Bench(tmp_path)
    bench.enrol()
    bench.consent()
    bench.agent.report(read_event(WATCHED))
    bench.clock.advance(timedelta(hours=1))
    bench.agent.report(read_event({"event": "stop"}))
    return bench


def on_disk(bench):
    """Every byte of the box's files, and what is deflated within them."""
    raw = b"".join(path.read_bytes() for path in bench.settings.state().iterdir() if path.is_file())
    return raw + b"".join(inflated(raw))


def test_what_was_viewed_is_deleted_once_the_facts_are_drawn(box):
    box.agent.close()
    assert b"A Particular Programme" in on_disk(box)
    box.run_until(to_ms(W41.closes(ZONE)) - 1)
    events = box.agent._store.connection().execute("SELECT coalesce(sum(events), 0) FROM viewing").fetchone()
    assert events == (0,)
    assert box.relay.fragments


def test_everything_that_left_can_be_read_and_only_with_the_pin(box):
    box.run_until(to_ms(W41.closes(ZONE)) - 1)
    with pytest.raises(NoPinError):
        box.agent.show_sent("2580")
    box.agent.set_pin("2580")
    with pytest.raises(WrongPinError):
        box.agent.show_sent("0852")
    assert len(box.agent.show_sent("2580")) == len(box.relay.fragments)


def test_once_a_year_the_box_reminds_and_without_that_the_consent_ends(box):
    given = box.agent.consent().since_ms
    assert box.agent.consent().reminder_due_ms == given + 365 * 86_400_000
    box.clock.advance(timedelta(days=401))
    box.agent.tick()
    assert not box.agent.consent().granted


def test_it_sends_no_more_facts_than_the_notice_says(box):
    most = max(sum(measure.quota for measure in profile(name).measures) for name in profile_names())
    assert f"at most {most} a week" in " ".join(notice_text("en").split()).replace("\n", " ")
    box.run_until(to_ms(W41.closes(ZONE)) - 1)
    assert len(box.relay.fragments) <= most


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_notice_lists_every_measure_that_a_profile_takes(language):
    told = " ".join(notice_text(language).split())
    for name in profile_names():
        for measure in profile(name).measures:
            assert " ".join(measure.words(language).split()) in told
