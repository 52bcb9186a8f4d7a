import base64
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from box_agent.chance import full_jitter
from box_agent.identity import NotEnrolledError, PendingOrdersError
from box_agent.lines import RefusedError
from box_agent.ordering import (
    MissingEvidenceError,
    UnknownOrderError,
    UnknownOutcomeError,
)
from box_agent.published import BadCatalogueError
from box_agent.submission import BACKOFF_BASE_MS, BACKOFF_MOST_MS
from box_agent.terms import OfferNotValidError, UnknownOfferError
from shared.clock import to_ms
from shared.named import MAX_ENVELOPES, MAX_SUBMISSION, Evidence, read_chained
from tests.box_agent.fakes import START, YES, Bench, TwoClocks, offer, sign_catalogue


@pytest.fixture
def enrolled(bench: Bench) -> Bench:
    bench.enrol()
    return bench


def offers(bench: Bench, *names: str) -> None:
    bench.headend.catalogue = sign_catalogue(*(offer(name) for name in names), version=2)
    bench.agent._open().ordering.accept_catalogue(bench.headend.catalogue, None)


def test_an_order_carries_what_the_screen_showed_and_reaches_the_headend(enrolled: Bench) -> None:
    placed = enrolled.agent.place_order("film-1", YES)
    enrolled.agent.tick()
    message = read_chained(enrolled.headend.chain[0])
    assert message.seq == placed.seq == 1
    assert (message.offer, message.price_cents, message.vat_bp, message.evidence) == (
        "film-1",
        499,
        2100,
        YES,
    )  # type: ignore[union-attr]  # an order
    assert enrolled.agent.orders()[0].acknowledged


def test_a_box_that_is_not_enrolled_places_no_order(bench: Bench) -> None:
    with pytest.raises(NotEnrolledError):
        bench.agent.place_order("film-1", YES)


@pytest.mark.parametrize("missing", ["pin_verified", "consent_immediate_supply", "confirmation_shown"])
def test_an_order_without_evidence_is_refused(enrolled: Bench, missing: str) -> None:
    evidence = msgspec.convert(msgspec.to_builtins(YES) | {missing: False}, Evidence)
    with pytest.raises(MissingEvidenceError):
        enrolled.agent.place_order("film-1", evidence)
    assert enrolled.agent.orders() == []


def test_unknown_and_expired_offers_are_refused(enrolled: Bench) -> None:
    now = to_ms(enrolled.clock.now())
    catalogue = sign_catalogue(offer("old", valid_to_ms=now), offer("new", valid_from_ms=now + 1), version=2)
    enrolled.agent._open().ordering.accept_catalogue(catalogue, None)
    with pytest.raises(UnknownOfferError):
        enrolled.agent.place_order("none", YES)
    for name in ("old", "new"):
        with pytest.raises(OfferNotValidError):
            enrolled.agent.place_order(name, YES)
    assert enrolled.agent.orders() == []


def test_a_second_play_inside_the_window_is_no_order(enrolled: Bench) -> None:
    first = enrolled.agent.place_order("film-1", YES)
    enrolled.clock.advance(timedelta(hours=48) - timedelta(milliseconds=1))
    again = enrolled.agent.place_order("film-1", YES)
    assert (again.seq, again.repeated) == (first.seq, True)
    enrolled.clock.advance(timedelta(milliseconds=1))
    assert enrolled.agent.place_order("film-1", YES).seq == 2


def test_what_was_bought_is_bought_for_ever_even_after_retention(enrolled: Bench) -> None:
    catalogue = sign_catalogue(offer("game", kind="game", mode="buy", window_hours=0), version=2)
    enrolled.headend.catalogue = catalogue
    enrolled.agent._open().ordering.accept_catalogue(catalogue, None)
    enrolled.agent.place_order("game", YES)
    enrolled.agent.tick()
    enrolled.clock.advance(timedelta(days=500))
    enrolled.agent.tick()
    assert enrolled.agent.place_order("game", YES).repeated


def test_after_a_failed_delivery_the_order_may_be_placed_again(enrolled: Bench) -> None:
    seq = enrolled.agent.place_order("film-1", YES).seq
    told = enrolled.agent.report_delivery(seq, "failed")
    assert enrolled.agent.report_delivery(seq, "failed") == seq, "told once is enough"
    assert (told, enrolled.agent.place_order("film-1", YES).seq) == (2, 3)
    with pytest.raises(UnknownOrderError):
        enrolled.agent.report_delivery(77, "failed")
    with pytest.raises(UnknownOutcomeError):
        enrolled.agent.report_delivery(seq, "perhaps")
    enrolled.agent.tick()
    assert len(enrolled.headend.chain) == 3


def test_the_catalogue_has_to_be_signed_by_the_pinned_key_and_never_goes_back(enrolled: Bench) -> None:
    ordering = enrolled.agent._open().ordering
    with pytest.raises(BadCatalogueError):
        ordering.accept_catalogue(sign_catalogue(offer(), version=9, key=Ed25519PrivateKey.generate()), None)
    ordering.accept_catalogue(sign_catalogue(offer(), version=5), None)
    with pytest.raises(BadCatalogueError):
        ordering.accept_catalogue(sign_catalogue(offer("other"), version=4), None)
    assert [one.offer for one in ordering.offers()] == ["film-1"]


def test_orders_placed_during_an_outage_arrive_once_in_order(enrolled: Bench) -> None:
    enrolled.headend.down = True
    offers(enrolled, *(f"film-{number}" for number in range(250)))
    for number in range(250):
        enrolled.agent.place_order(f"film-{number}", YES)
        enrolled.agent.tick()
    enrolled.headend.down = False
    enrolled.run_until(to_ms(enrolled.clock.now()) + BACKOFF_MOST_MS)
    assert [read_chained(one).seq for one in enrolled.headend.chain] == list(range(1, 251))
    sent = [body for path, body in enrolled.headend.posted if path == "chain"]
    assert all(len(body) <= MAX_SUBMISSION for body in sent)
    assert max(len(msgspec.json.decode(body)["envelopes"]) for body in sent) == MAX_ENVELOPES


def test_a_lost_answer_means_the_same_bytes_again(enrolled: Bench) -> None:
    enrolled.headend.lose_answer = True
    enrolled.agent.place_order("film-1", YES)
    enrolled.agent.tick()
    enrolled.headend.lose_answer = False
    enrolled.run_until(to_ms(enrolled.clock.now()) + 3_600_000)
    sent = [body for path, body in enrolled.headend.posted if path == "chain"]
    assert len(sent) == 2
    assert sent[0] == sent[1]
    assert len(enrolled.headend.chain) == 1


def test_an_acknowledgement_of_what_was_never_sent_is_not_believed(enrolled: Bench) -> None:
    enrolled.headend.acknowledge = lambda stored: stored + 1
    enrolled.agent.place_order("film-1", YES)
    enrolled.agent.tick()
    assert not enrolled.agent.orders()[0].acknowledged
    assert "submit-BadAcknowledgementError" in enrolled.agent.status()["named"]["alarms"]


def test_a_headend_restored_from_a_backup_gets_the_missing_orders_again(enrolled: Bench) -> None:
    offers(enrolled, "a", "b", "c")
    for name in "abc":
        enrolled.agent.place_order(name, YES)
        enrolled.agent.tick()
    enrolled.headend.chain = enrolled.headend.chain[:1]
    enrolled.run_until(to_ms(enrolled.clock.now() + timedelta(days=3)))
    assert len(enrolled.headend.chain) == 3


def test_a_refusal_is_an_alarm_and_the_order_is_not_given_up(enrolled: Bench) -> None:
    enrolled.headend.refuse["chain"] = RefusedError("unknown-box", 403)
    enrolled.agent.place_order("film-1", YES)
    enrolled.agent.tick()
    assert enrolled.agent.status()["named"]["alarms"] == ["submit-refused-unknown-box"]
    enrolled.headend.refuse.clear()
    enrolled.run_until(to_ms(enrolled.clock.now() + timedelta(days=1)))
    assert len(enrolled.headend.chain) == 1


def test_failures_back_off_with_full_jitter() -> None:
    most = [full_jitter(tries, BACKOFF_BASE_MS, BACKOFF_MOST_MS, lambda n: n - 1) for tries in range(12)]
    assert most[:3] == [BACKOFF_BASE_MS, BACKOFF_BASE_MS * 2, BACKOFF_BASE_MS * 4]
    assert most[-1] == BACKOFF_MOST_MS
    assert full_jitter(5, BACKOFF_BASE_MS, BACKOFF_MOST_MS, lambda _n: 0) == 0


def test_the_heartbeat_carries_the_last_position(enrolled: Bench) -> None:
    enrolled.headend.down = True
    enrolled.agent.place_order("film-1", YES)
    enrolled.agent.tick()
    enrolled.headend.down = False
    enrolled.run_until(to_ms(enrolled.clock.now() + timedelta(days=5)))
    assert 4 <= len(enrolled.headend.heartbeats) <= 6
    assert enrolled.headend.heartbeats[-1].last_seq == 1


def test_acknowledged_envelopes_and_titles_are_forgotten_and_the_chain_goes_on(enrolled: Bench) -> None:
    enrolled.agent.place_order("film-1", YES)
    enrolled.agent.tick()
    enrolled.clock.advance(timedelta(days=91))
    enrolled.agent.tick()
    connection = enrolled.agent._store.connection()
    assert connection.execute("SELECT count(*) FROM chain").fetchone() == (0,)
    assert enrolled.agent.orders() == []
    assert enrolled.agent.place_order("film-1", YES).seq == 2
    enrolled.agent.tick()
    assert len(enrolled.headend.chain) == 2


def test_what_is_not_acknowledged_is_never_forgotten(enrolled: Bench) -> None:
    enrolled.headend.down = True
    enrolled.agent.place_order("film-1", YES)
    enrolled.clock.advance(timedelta(days=400))
    enrolled.agent.tick()
    assert len(enrolled.agent.orders()) == 1


def test_enrolling_again_is_refused_while_orders_wait_and_harmless_otherwise(enrolled: Bench) -> None:
    enrolled.agent.place_order("film-1", YES)
    with pytest.raises(PendingOrdersError):
        enrolled.agent.enrol("code-1234")
    enrolled.agent.tick()
    key = enrolled.headend.public.public_bytes_raw()
    enrolled.agent.enrol("code-1234")
    assert enrolled.headend.public.public_bytes_raw() == key
    assert enrolled.agent.orders()[0].acknowledged


def test_the_title_does_not_leave_with_the_order(enrolled: Bench) -> None:
    enrolled.agent.place_order("film-1", YES)
    enrolled.agent.tick()
    sent = b"".join(body for _, body in enrolled.headend.posted)
    payloads = b"".join(enrolled.headend.chain)
    assert b"Title of" not in sent
    assert b"Title of" not in payloads
    assert base64.b64encode(b"Title of film-1")[:12] not in sent


@pytest.mark.parametrize("lost", ["heartbeat", "heartbeat' OR name = 'catalogue"])
def test_a_power_cut_between_enrolment_and_its_plans_leaves_a_box_that_still_fetches_what_is_sold(
    enrolled: Bench, lost: str
) -> None:
    enrolled.agent._store.connection().execute(f"DELETE FROM duties WHERE name = '{lost}'")
    enrolled.agent._store.connection().execute("DELETE FROM catalogue")
    enrolled.agent.park()
    restarted = enrolled.start()
    assert restarted.next_due() is not None
    restarted.tick()
    assert [one.offer for one in restarted.offers()]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_clock_that_was_ahead_keeps_nothing_from_being_sent(tmp_path: Path, *, restarts: bool) -> None:
    bench = Bench(tmp_path, TwoClocks(START + timedelta(days=5 * 365)))
    bench.enrol()
    bench.headend.down = True
    bench.agent.place_order("film-1", YES)
    bench.agent.tick()
    bench.headend.down = False
    if restarts:
        bench.agent.park()
    bench.clock.jump(-5 * 365 * 86_400_000)
    if restarts:
        bench.start()
    bench.agent.tick()
    assert (len(bench.headend.chain), len(bench.headend.heartbeats)) == (1, 1)
    due = bench.agent.next_due()
    assert due is not None
    assert due - bench.clock.now() <= timedelta(hours=bench.settings.heartbeat_hours)
