from datetime import timedelta

import pytest

from box_agent.kept import Placed
from box_agent.ordering import NotPaidError, PreviewOverError
from box_agent.terms import PromotionNotValidError, UnknownPromotionError
from shared.clock import to_ms
from shared.named import Delivery, Offer, Order, Promotion, read_chained
from tests.box_agent.fakes import START, YES, Bench, offer, promotion, sign_catalogue

PREVIEW = timedelta(minutes=5)
NOW_MS = to_ms(START)


def in_catalogue(bench: Bench, *terms: Offer | Promotion) -> Bench:
    bench.headend.catalogue = sign_catalogue(*terms)
    bench.enrol()
    return bench


@pytest.fixture
def shop(bench: Bench) -> Bench:
    return in_catalogue(bench, offer(preview_minutes=5), offer("film-2"), promotion())


def sent(bench: Bench) -> list[Order | Delivery]:
    bench.agent.tick()
    return [read_chained(payload) for payload in bench.headend.chain]


def used(bench: Bench) -> dict[str, int]:
    return {one.terms.promotion: one.used for one in bench.agent.promotions()}


def money(placed: Placed) -> tuple[int, int, int]:
    return placed.price_cents, placed.credit_cents, placed.to_pay_cents


def test_an_order_with_a_promotion_says_what_it_takes_off(shop: Bench) -> None:
    placed = shop.agent.place_order("film-1", YES, "welcome")
    assert money(placed) == (499, 200, 299)
    (message,) = sent(shop)
    assert isinstance(message, Order)
    assert (message.v, message.promotion, message.promotion_version) == (2, "welcome", 1)
    assert (message.price_cents, message.credit_cents) == (499, 200)
    (kept,) = shop.agent.orders()
    assert (kept.promotion, kept.credit_cents) == ("welcome", 200)


def test_an_order_without_one_says_that_nothing_is_taken_off(shop: Bench) -> None:
    assert money(shop.agent.place_order("film-1", YES)) == (499, 0, 499)
    (message,) = sent(shop)
    assert isinstance(message, Order)
    assert (message.promotion, message.promotion_version, message.credit_cents) == (None, None, 0)
    assert used(shop) == {"welcome": 0}


def test_a_promotion_takes_off_no_more_than_the_price(bench: Bench) -> None:
    in_catalogue(bench, offer(price_cents=150), promotion(credit_cents=200))
    assert money(bench.agent.place_order("film-1", YES, "welcome")) == (150, 150, 0)


def test_a_promotion_is_used_as_often_as_it_says(shop: Bench) -> None:
    shop.agent.place_order("film-1", YES, "welcome")
    assert used(shop) == {"welcome": 1}
    with pytest.raises(PromotionNotValidError):
        shop.agent.place_order("film-2", YES, "welcome")
    assert len(shop.agent.orders()) == 1
    assert shop.agent.place_order("film-2", YES).seq == 2


def test_a_repeated_play_uses_no_promotion(shop: Bench) -> None:
    shop.agent.place_order("film-1", YES)
    again = shop.agent.place_order("film-1", YES, "welcome")
    assert (again.repeated, again.promotion, money(again)) == (True, None, (499, 0, 0))
    assert used(shop) == {"welcome": 0}


@pytest.mark.parametrize("outcome", ["failed", "stopped"])
def test_what_is_not_paid_uses_no_promotion(shop: Bench, outcome: str) -> None:
    shop.agent.report_delivery(shop.agent.place_order("film-1", YES, "welcome").seq, outcome)
    assert used(shop) == {"welcome": 0}
    assert shop.agent.place_order("film-2", YES, "welcome").credit_cents == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"valid_from_ms": NOW_MS + 1},
        {"valid_to_ms": NOW_MS},
        {"kinds": ["game"]},
        {"currency": "GBP"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_promotion_that_does_not_suit_is_refused_and_nothing_is_ordered(
    bench: Bench, changes: dict[str, object]
) -> None:
    in_catalogue(bench, offer(), promotion(**changes))
    with pytest.raises(PromotionNotValidError):
        bench.agent.place_order("film-1", YES, "welcome")
    assert bench.agent.orders() == []


def test_a_promotion_that_is_not_there_is_refused(shop: Bench) -> None:
    with pytest.raises(UnknownPromotionError):
        shop.agent.place_order("film-1", YES, "farewell")
    assert shop.agent.orders() == []


def test_nothing_is_taken_off_what_costs_nothing(bench: Bench) -> None:
    in_catalogue(bench, offer(price_cents=0, mode="subscription"), promotion())
    with pytest.raises(PromotionNotValidError):
        bench.agent.place_order("film-1", YES, "welcome")


def test_only_promotions_in_force_are_shown_and_the_newest_version_is_used(bench: Bench) -> None:
    in_catalogue(
        bench,
        offer(),
        promotion(version=2, credit_cents=250),
        promotion(version=1),
        promotion("over", valid_to_ms=NOW_MS),
        promotion("soon", valid_from_ms=NOW_MS + 1),
    )
    assert sorted(used(bench)) == ["welcome"]
    assert bench.agent.place_order("film-1", YES, "welcome").credit_cents == 250
    (message,) = sent(bench)
    assert isinstance(message, Order)
    assert message.promotion_version == 2


def test_a_use_is_remembered_beyond_retention_while_the_promotion_is_in_force(bench: Bench) -> None:
    lasting = promotion(valid_to_ms=NOW_MS + 200 * 86_400_000)
    in_catalogue(bench, offer(), lasting)
    bench.agent.place_order("film-1", YES, "welcome")
    bench.agent.tick()
    for days, kept in ((100, 1), (101, 0)):
        bench.clock.advance(timedelta(days=days))
        bench.agent.tick()
        assert len(bench.agent.orders()) == kept


def test_an_order_can_be_stopped_within_its_preview_and_does_not_run_any_more(shop: Bench) -> None:
    seq = shop.agent.place_order("film-1", YES).seq
    shop.agent.report_delivery(seq, "confirmed")
    shop.clock.advance(PREVIEW - timedelta(milliseconds=1))
    assert shop.agent.report_delivery(seq, "stopped") == 3
    assert shop.agent.report_delivery(seq, "stopped") == seq, "told once is enough"
    assert not shop.agent.place_order("film-1", YES).repeated
    assert [one.outcome for one in sent(shop) if isinstance(one, Delivery)] == ["confirmed", "stopped"]


def test_after_the_preview_an_order_cannot_be_stopped(shop: Bench) -> None:
    seq = shop.agent.place_order("film-1", YES).seq
    shop.clock.advance(PREVIEW)
    with pytest.raises(PreviewOverError):
        shop.agent.report_delivery(seq, "stopped")
    assert shop.agent.orders()[0].outcome is None
    assert shop.agent.place_order("film-1", YES).repeated
    assert len(sent(shop)) == 1


def test_an_offer_without_a_preview_cannot_be_stopped(shop: Bench) -> None:
    seq = shop.agent.place_order("film-2", YES).seq
    with pytest.raises(PreviewOverError):
        shop.agent.report_delivery(seq, "stopped")


def test_a_preview_is_that_of_the_offer_as_it_was_ordered(shop: Bench) -> None:
    seq = shop.agent.place_order("film-1", YES).seq
    without = sign_catalogue(offer(version=2), version=2)
    shop.agent._open().ordering.accept_catalogue(without, None)
    assert shop.agent.report_delivery(seq, "stopped") == 2


@pytest.mark.parametrize("before", ["failed", "stopped"])
@pytest.mark.parametrize("after", ["confirmed", "failed", "stopped"])
def test_what_is_not_paid_is_not_made_to_run_again(shop: Bench, before: str, after: str) -> None:
    seq = shop.agent.place_order("film-1", YES).seq
    shop.agent.report_delivery(seq, before)
    if before != after:
        with pytest.raises(NotPaidError):
            shop.agent.report_delivery(seq, after)
    assert not shop.agent.place_order("film-1", YES).repeated
