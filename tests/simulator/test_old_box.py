import json
from pathlib import Path

import pytest

from box_agent.app import Agent
from shared.named import GENESIS, Delivery, Order, payload_hash, read_chained
from simulator.old_box import OldAgent
from tests.box_agent.fakes import YES, Bench

NEW_WORDS = {"promotion", "promotion_version", "credit_cents"}


@pytest.fixture
def old(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path / "box")
    bench.agent = OldAgent(bench.settings, (bench.headend, bench.relay), bench.clock)
    bench.enrol()
    return bench


def order_and_deliver(bench: Bench) -> None:
    bench.agent.report_delivery(bench.agent.place_order("film-1", YES).seq, "failed")
    bench.agent.tick()


def test_an_old_box_says_only_what_version_1_has(old: Bench) -> None:
    order_and_deliver(old)
    order, delivery = (json.loads(payload) for payload in old.headend.chain)
    assert (order["v"], delivery["v"]) == (1, 1)
    assert not NEW_WORDS & set(order)
    assert set(delivery) == {"type", "v", "box", "epoch", "seq", "prev", "order_seq", "outcome", "at_ms"}


def test_what_it_says_is_read_and_follows(old: Bench) -> None:
    order_and_deliver(old)
    order, delivery = (read_chained(payload) for payload in old.headend.chain)
    assert isinstance(order, Order)
    assert isinstance(delivery, Delivery)
    assert (order.v, order.prev, order.price_cents) == (1, GENESIS, 499)
    assert (delivery.prev, delivery.outcome) == (payload_hash(old.headend.chain[0]), "failed")


def test_its_other_messages_are_old_too(old: Bench) -> None:
    old.consent()
    old.run_until(int(old.clock.now().timestamp() * 1000) + 21 * 86_400_000)
    assert {beat.v for beat in old.headend.heartbeats} == {1}
    assert {ask.v for ask in old.headend.asks} == {1}


def test_an_updated_box_goes_on_where_the_old_one_stood(old: Bench) -> None:
    order_and_deliver(old)
    old.agent.close()
    old.agent = Agent(old.settings, (old.headend, old.relay), old.clock)
    order_and_deliver(old)
    told = [read_chained(payload) for payload in old.headend.chain]
    assert [(one.v, one.seq) for one in told] == [(1, 1), (1, 2), (2, 3), (2, 4)]
    assert told[2].prev == payload_hash(old.headend.chain[1])
