import pytest

from box_agent.consent import BadConsentError
from box_agent.pin import NoPinError
from box_agent.store import StoreError, StoreFullError
from box_agent.wipe import NotOverwrittenError, UnacknowledgedOrdersError
from shared.clock import to_ms
from tests.box_agent.fakes import W41, YES, ZONE, Bench


@pytest.fixture
def box(bench):
    bench.enrol()
    bench.consent()
    bench.agent.set_pin("2580")
    bench.agent.place_order("film-1", YES)
    bench.agent.tick()
    bench.run_until(to_ms(W41.end(ZONE)) + 3_600_000)
    return bench


def filled(bench):
    connection = bench.agent._store.connection()
    names = [
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        if not name.startswith(("sqlite_", "_sqlite_"))
    ]
    return {name for name in names if connection.execute(f"SELECT 1 FROM {name}").fetchone()}


def test_a_wipe_leaves_the_proof_of_what_is_billed_and_of_the_consent(box):
    box.agent.wipe("screen")
    assert filled(box) == {"identity", "head", "chain", "orders", "asks", "catalogue", "duties"} | {
        "consent",
        "consent_log",
    }
    assert [one["act"] for one in box.agent._consent.proof()] == ["granted", "withdrawn"]
    assert not box.agent.consent().granted
    with pytest.raises(NoPinError):
        box.agent.owner("2580")


def test_a_wiped_box_orders_on_in_the_same_chain(box):
    box.agent.wipe("screen")
    box.clock.advance_to(W41.closes(ZONE))
    assert box.agent.place_order("film-1", YES).seq == 2
    box.agent.tick()
    assert len(box.headend.chain) == 2


def test_a_wiped_box_is_silent_on_the_anonymous_line(box):
    before = len(box.relay.sealed), len(box.relay.fetched)
    assert before[0] < 3
    box.agent.wipe("screen")
    box.run_until(to_ms(W41.closes(ZONE)))
    assert (len(box.relay.sealed), len(box.relay.fetched)) == before


def test_everything_is_wiped_for_a_resale(box):
    box.agent.wipe("installer", everything=True)
    assert filled(box) == set()
    assert not box.settings.consent_witness().exists()
    assert box.agent.next_due() is None
    assert box.agent.status()["named"]["enrolled"] is False
    box.start()
    assert not box.agent.consent().granted
    assert filled(box) == set()


def test_a_box_that_was_wiped_of_everything_can_be_enrolled_and_asked_again(box):
    box.agent.wipe("installer", everything=True)
    box.headend.chain.clear()
    box.enrol()
    box.consent()
    assert box.agent.place_order("film-1", YES).seq == 1
    box.agent.tick()
    assert len(box.headend.chain) == 1


def test_orders_that_the_headend_does_not_have_are_not_wiped(box):
    box.headend.down = True
    box.clock.advance_to(W41.closes(ZONE))
    box.agent.place_order("film-1", YES)
    before = filled(box)
    with pytest.raises(UnacknowledgedOrdersError):
        box.agent.wipe("installer", everything=True)
    assert filled(box) == before
    assert box.agent.consent().granted
    box.agent.wipe("installer")
    assert not box.agent.consent().granted


def test_a_wipe_says_how_it_was_asked_for_or_does_nothing(box):
    with pytest.raises(BadConsentError):
        box.agent.wipe("")
    assert box.agent.consent().granted


def test_where_nothing_can_be_overwritten_the_deletion_stands_and_it_is_said(box, monkeypatch):
    def full():
        raise StoreFullError("no room")

    monkeypatch.setattr(box.agent._store, "scrub", full)
    with pytest.raises(NotOverwrittenError):
        box.agent.wipe("screen")
    assert "sentlog" not in filled(box)
    monkeypatch.undo()
    box.agent.wipe("screen")


def test_somebody_else_who_reads_keeps_the_traces_and_is_told_of(box):
    other = Bench(box.settings.state())
    reading = other.agent._store.connection()
    reading.execute("BEGIN")
    reading.execute("SELECT * FROM orders").fetchall()
    box.agent._store.connection().execute("PRAGMA busy_timeout = 10")
    with pytest.raises((NotOverwrittenError, StoreError)):
        box.agent.wipe("screen")
    assert not box.agent.consent().granted
    reading.execute("ROLLBACK")
    box.agent.wipe("screen")


def test_wiping_twice_is_wiping_once(box):
    box.agent.wipe("screen")
    once = filled(box)
    box.agent.wipe("screen")
    assert filled(box) == once
