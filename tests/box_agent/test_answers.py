import json
from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from box_agent.answers import Reader
from box_agent.events import read_event
from shared.clock import to_ms
from shared.words import LANGUAGES
from tests.box_agent.fakes import W41, YES, ZONE


def reader(language="en"):
    return Reader(language, ZoneInfo("Europe/Amsterdam"))


def plain(result):
    """As it comes over the socket."""
    return json.loads(msgspec.json.encode(result))


@pytest.fixture
def box(bench):
    bench.enrol()
    bench.consent()
    bench.agent.set_pin("2580")
    bench.clock.advance(timedelta(hours=18))
    bench.agent.report(read_event({"event": "play", "item": {"kind": "live", "genre": 0x43, "ref": "x"}}))
    bench.clock.advance(timedelta(minutes=95))
    bench.agent.report(read_event({"event": "stop"}))
    bench.agent.place_order("film-1", YES)
    return bench


def test_a_consent_is_told_in_a_sentence(box):
    answer = box.agent.consent()._asdict()
    assert reader().told("consent", answer).startswith("You have given your consent, to version 2")
    assert "2026-10-05 02:00" in reader().told("consent", answer)
    assert "toestemming gegeven" in reader("nl").told("consent", answer)
    box.consent(granted=False)
    assert "withdrawn" in reader().told("consent", box.agent.consent()._asdict())


def test_a_box_that_was_never_asked_has_no_consent(bench):
    assert "not given" in reader().told("consent", bench.agent.consent()._asdict())


def test_what_is_recorded_is_a_table(box):
    told = reader().told("recorded", plain(box.agent.owner("2580").recorded()))
    assert told.splitlines()[2:4] == [
        "Day         Minutes  What",
        "2026-10-05  95       football, live, 19:00 to 23:00",
    ]
    assert "comedy" in told
    empty = {"viewed": [], "ordered": []}
    assert reader("fr").told("recorded", empty) == "Rien n'est enregistré."


def test_what_waits_and_what_was_sent_are_tables(box):
    box.run_until(to_ms(W41.end(ZONE)) + 3_600_000)
    waits = reader("nl").told("waiting", plain(box.agent.owner("2580").waiting("nl")))
    assert "2026-W41" in waits
    assert "aan niemand verteld" in waits
    box.run_until(to_ms(W41.closes(ZONE)) - 1)
    sent = reader().told("sent", plain(box.agent.owner("2580").sent("en")))
    assert len(sent.splitlines()) == 1 + 3
    assert "counted" in sent
    nothing = {"fragments": [], "tokens": []}
    assert reader().told("waiting", nothing).startswith("Nothing waits")
    assert reader("nl").told("sent", []) == "Er is niets verstuurd."


def test_orders_are_told_with_what_they_cost_and_what_became_of_them(box):
    (line,) = reader("nl").told("orders", plain(box.agent.orders())).splitlines()[1:]
    assert "Title of film-1" in line
    assert "EUR 4,99" in line
    assert line.endswith("bewaard, nog niet verstuurd")
    box.agent.tick()
    assert "received by the operator" in reader().told("orders", plain(box.agent.orders()))
    box.agent.report_delivery(1, "failed")
    assert "not paid" in reader().told("orders", plain(box.agent.orders()))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_status_is_told_by_labels_with_alarms_as_sentences(box, language):
    status = plain(box.agent.status())
    status["anonymous"]["alarms"] = ["directory-differs-2026-W41", "something-new"]
    told = reader(language).told("status", status)
    phrases = reader(language).phrases
    assert phrases.alarms["directory-differs-"] in told
    assert "    something-new" in told
    assert f"  {phrases.labels['enrolled']}: {phrases.states['yes']}" in told
    for name in ("reminder_due", "last_seq", "most_bytes", "refusal_owed"):
        assert name not in told


def test_every_field_of_a_status_has_a_label(box):
    def names(found):
        for name, value in found.items():
            yield name
            yield from names(value) if isinstance(value, dict) else ()

    labels = reader().phrases.labels
    assert [name for name in names(plain(box.agent.status())) if name not in labels] == []


def test_what_a_status_holds_beyond_what_is_known_is_told_too():
    told = reader().told("status", {"sources": {"kodi": {"connected": True, "events": 3}}, "new": []})
    assert told.splitlines() == [
        "Sources:",
        "  kodi:",
        "    connected: yes",
        "    Player events on hand: 3",
        "new: none",
    ]


def test_a_refusal_is_a_sentence_with_its_name_and_detail():
    told = reader("nl").refused("unknown-offer", "no offer film-9")
    assert told == "Dit aanbod bestaat niet. (unknown-offer: no offer film-9)"
    assert reader().refused("brand-new", "detail") == "brand-new: detail"


def test_nothing_done_wrong_is_told_as_done():
    assert reader("fr").told("wipe", None) == "C'est fait."
