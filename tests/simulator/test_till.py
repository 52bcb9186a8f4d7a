from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from box_agent.app import Agent
from shared.named import Offer, Order, Promotion, read_chained
from simulator.evenings import Outcome, Purchase
from simulator.old_box import OldAgent
from simulator.resident import Account, Resident
from simulator.till import Till
from simulator.town import Town
from tests.box_agent.fakes import Bench, offer, promotion, sign_catalogue
from tests.simulator.seeded import seeded

HOME = Town(6, 1).household(0)
OFFERS = [offer(preview_minutes=5), offer("film-2"), offer("free", price_cents=0, mode="subscription")]
PROMOTIONS = [promotion(), promotion("loyalty", credit_cents=100, per_account=2)]


class Shop:
    """One resident at a till."""

    def __init__(self, bench: Bench, kind: type[Agent]) -> None:
        terms: list[Offer | Promotion] = [*OFFERS, *PROMOTIONS]
        bench.headend.catalogue = sign_catalogue(*terms)
        bench.agent = kind(bench.settings, (bench.headend, bench.relay), bench.clock)
        bench.enrol()
        self.bench = bench
        self.account = Account()
        self.till = Till({one.offer: one for one in OFFERS}, self.account, seeded(1))
        self.resident = Resident(HOME, HOME.boxes[0], bench.settings, bench.agent, 0)
        self.resident.enrolled = ("box-1", 1)
        self.resident.accounts.append((0, "A1"))

    def buy(self, name: str, *, reduced: bool = False, pin_verified: bool = True) -> None:
        self.till.purchase(self.resident, Purchase(0, name, name, pin_verified, reduced))

    def orders(self) -> list[Order]:
        self.bench.agent.tick()
        told = [read_chained(payload) for payload in self.bench.headend.chain]
        return [one for one in told if isinstance(one, Order)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "box")


@pytest.fixture
def shop(bench: Bench) -> Shop:
    return Shop(bench, Agent)


def test_the_truth_keeps_what_the_screen_showed(shop: Shop) -> None:
    shop.buy("film-1", reduced=True)
    shop.buy("film-2")
    shown = [(one.ref, one.account, one.price_cents, one.credit_cents) for one in shop.account.placed]
    assert shown == [("box-1/1/1", "A1", 499, 200), ("box-1/1/2", "A1", 499, 0)]
    assert [one.promotion for one in shop.orders()] == ["welcome", None]


def test_the_promotion_that_takes_the_most_off_is_chosen_while_it_lasts(shop: Shop) -> None:
    for name in ("film-1", "film-2"):
        shop.buy(name, reduced=True)
    assert [one.promotion for one in shop.orders()] == ["welcome", "loyalty"]
    assert [one.credit_cents for one in shop.account.placed] == [200, 100]


def test_without_a_pin_nothing_is_placed(shop: Shop) -> None:
    shop.buy("film-1", pin_verified=False)
    assert (shop.account.placed, shop.account.refused_without_pin) == ([], 1)


@pytest.mark.parametrize("outcome", ["failed", "stopped"])
def test_what_failed_or_was_stopped_is_kept_as_not_paid(shop: Shop, outcome: str) -> None:
    shop.buy("film-1")
    shop.till.deliver(shop.resident, Outcome(1, "film-1", outcome))  # type: ignore[arg-type] # one of both
    assert shop.account.unpaid == {"box-1/1/1": outcome}
    assert shop.bench.agent.orders()[0].outcome == outcome


def test_a_stop_that_the_box_refuses_is_paid(shop: Shop) -> None:
    shop.buy("film-1")
    shop.bench.clock.advance(timedelta(minutes=5))
    shop.till.deliver(shop.resident, Outcome(1, "film-1", "stopped"))
    assert shop.account.unpaid == {}
    assert shop.account.mishaps == {"delivery PreviewOverError": 1}


def test_a_second_play_is_neither_placed_nor_stopped(shop: Shop) -> None:
    shop.buy("film-1")
    shop.buy("film-1", reduced=True)
    shop.till.deliver(shop.resident, Outcome(1, "film-1", "stopped"))
    assert len(shop.account.placed) == 1
    assert shop.bench.agent.orders()[0].outcome == "confirmed"


def test_an_old_box_knows_neither_promotions_nor_stops(bench: Bench) -> None:
    shop = Shop(bench, OldAgent)
    shop.buy("film-1", reduced=True)
    shop.till.deliver(shop.resident, Outcome(1, "film-1", "stopped"))
    (placed,) = shop.account.placed
    assert (placed.version, placed.credit_cents) == (1, 0)
    assert bench.agent.orders()[0].outcome == "confirmed"


def test_an_order_belongs_to_whom_the_box_was_bound_to(shop: Shop) -> None:
    shop.resident.accounts += [(1_000, "A2"), (2_000, "A3")]
    who: Callable[[int], str] = shop.resident.account_at
    assert [who(at_ms) for at_ms in (0, 999, 1_000, 1_999, 2_000)] == ["A1", "A1", "A2", "A2", "A3"]
