"""A box without consent sends nothing on the anonymous line, and never what was viewed while refused."""

from datetime import timedelta

import pytest

from box_agent.events import read_event
from shared.clock import to_ms
from shared.genres import GENRES
from shared.weeks import Week
from tests.box_agent.fakes import START, ZONE, Bench, waiting

pytestmark = pytest.mark.promise


@pytest.mark.journey
def test_in_the_town_nobody_who_refused_sent_anything(town):
    assert town.invariants["who refuses, sends nothing"].holds
    assert town.outcome.account.fragments["counted"] > 300


def test_a_box_that_was_never_asked_neither_asks_for_tokens_nor_sends(tmp_path):
    bench = enrolled(tmp_path)
    live(bench, days=21)
    assert bench.headend.asks == []
    assert silent(bench)


def test_a_box_that_consents_does_send_so_that_silence_means_something(tmp_path):
    bench = enrolled(tmp_path)
    bench.consent()
    live(bench, days=21)
    assert bench.relay.fragments


def test_withdrawing_silences_the_line_at_once_and_for_good(tmp_path):
    bench = enrolled(tmp_path)
    bench.consent()
    while not waiting(bench.agent):
        assert bench.clock.now() < START + timedelta(days=30), "something comes to be sent"
        live(bench, days=1)
    bench.consent(granted=False)
    said = len(bench.relay.sealed) + len(bench.relay.fetched)
    live(bench, days=21)
    assert len(bench.relay.sealed) + len(bench.relay.fetched) == said


def test_what_was_viewed_while_refused_is_never_sent_later(tmp_path):
    bench = enrolled(tmp_path)
    bench.consent()
    live(bench, days=8)
    bench.consent(granted=False)
    live(bench, days=3, genre="sports")
    bench.consent()
    weeks_with_refusal = {Week.of(bench.clock.now(), ZONE), Week.of(bench.clock.now(), ZONE).plus(-1)}
    before = len(bench.relay.fragments)
    live(bench, days=28)
    sent = [fragment for _, fragment in bench.relay.fragments[before:]]
    assert sent, "weeks that consent covers whole are told again"
    assert not {fragment.week for fragment in sent} & weeks_with_refusal
    sports = GENRES.index("sports") + 1
    assert not [one for one in sent if one.measure_number == 1 and one.cell == sports]


def enrolled(folder):
    bench = Bench(folder)
    bench.enrol()
    return bench


def silent(bench):
    return not bench.relay.sealed and not bench.relay.fetched


def live(bench, *, days, genre="news"):
    """Views an hour each day, and ticks at each moment when something is due."""
    for _ in range(days):
        for minute in range(0, 61, 4):
            event = "play" if minute == 0 else "stop" if minute == 60 else "progress"
            item = {"kind": "live", "genre": genre, "ref": "x"} if event == "play" else None
            bench.agent.report(read_event({"event": event} | ({"item": item} if item else {})))
            bench.clock.advance(timedelta(minutes=4))
        bench.run_until(to_ms(bench.clock.now() + timedelta(hours=22, minutes=56)))
