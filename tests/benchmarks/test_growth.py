"""What is measured as an installation grows: real books, real work, and ratios within a turn."""

from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.growth import __main__ as command
from benchmarks.growth import turns, units
from benchmarks.growth.sized import CLOSED, RUNNING, TAKEN, Size
from benchmarks.growth.turns import Cost
from benchmarks.growth.units import Unit
from benchmarks.growth.world import World, build
from headend.analytics.store import WeekState
from headend.billing.formats import jsonl
from headend.billing.reconcile import reconcile
from headend.billing.refusals import NotReportingError
from headend.billing.rows import OrderState

pytestmark = pytest.mark.sqlite(why="growth is measured in files, which are filled past the stores")
SIZE = Size(400, 6)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    made = build(tmp_path_factory.mktemp("growth"), SIZE, Ed25519PrivateKey.generate())
    yield made
    made.headend.close()


@pytest.fixture(scope="module")
def kinds(world) -> dict[str, Unit]:
    return {unit.name: unit for unit in (*units.units(world), *units.jobs())}


def done(world: World, unit: Unit, times: int) -> int:
    return unit.prepare(world, times)()


def test_the_filled_books_are_those_that_billing_keeps(world):
    look = world.headend.billing.store.read()
    assert reconcile(look).closes
    assert look.order_totals()[OrderState.BILLED][0] == 5 * SIZE.boxes
    batch = look.last_batch()
    assert b"".join(jsonl.FORMAT.render(look, batch))  # refuses a batch that is not what was closed


def test_an_order_is_taken_rated_and_acknowledged(world, kinds):
    look = world.headend.billing.store.read()
    before = sum(count for count, _ in look.order_totals().values())
    assert done(world, kinds["an order"], 3) == 3
    assert sum(count for count, _ in look.order_totals().values()) == before + 3


def test_a_heartbeat_is_answered_by_the_whole_application(world, kinds):
    def heard() -> int:
        return world.headend.billing.store.read().heard_since(units.NOW_MS)

    before = heard()
    assert done(world, kinds["a heartbeat"], 2) == 2
    assert heard() == before + 2


def test_a_weeks_tokens_are_signed_for_boxes_that_were_drawn(world, kinds):
    assert done(world, kinds["a week's tokens"], 2) == 2
    assert world.headend.billing.store.read().issued(str(RUNNING))[1] == 2
    with pytest.raises(NotReportingError):
        world.headend.billing.issuer.grant(units.asks(world, 1, drawn=False)[0])


@pytest.mark.parametrize("name", ["a fragment, all of it", "a fragment, counting it"])
def test_each_fragment_is_counted(world, kinds, name):
    def counted() -> int:
        return sum(one.count for one in world.headend.analytics.store.accepted() if one.week == TAKEN)

    before = counted()
    assert done(world, kinds[name], 12) == 12
    assert counted() == before + 12


def test_bills_are_raised_for_those_who_have_none_yet(world, kinds):
    look = world.headend.billing.store.read()
    before = look.order_totals()[OrderState.BILLED][0]
    assert done(world, kinds["an account's bill"], 5) >= 5
    assert look.order_totals()[OrderState.BILLED][0] >= before + 5


@pytest.mark.parametrize(
    "name",
    [
        "an entry of an export",
        "a release",
        "drawing a reporting box",
        "an account in the totals",
        "forgetting a signed token",
        "forgetting a nonce",
    ],
)
def test_what_is_done_for_everybody_is_done_and_undone(world, kinds, name):
    billing, analytics = world.headend.billing.store, world.headend.analytics.store
    before = (billing.read().last_batch(), billing.read().issued(str(TAKEN)), analytics.state(CLOSED))
    assert done(world, kinds[name], 1) >= 1
    assert done(world, kinds[name], 1) >= 1
    assert (billing.read().last_batch(), billing.read().issued(str(TAKEN)), analytics.state(CLOSED)) == before
    assert before[2] is WeekState.OPEN


def test_the_lists_are_made(world, kinds):
    assert done(world, kinds["a page of orders"], 1) == done(world, kinds["a page of boxes"], 1) == 1


@dataclass
class _Sized:
    size: Size


def test_a_ratio_is_the_median_of_the_turns_own_and_the_first_turn_is_left_out():
    small, large = _Sized(Size(1, 1)), _Sized(Size(10, 1))
    spent = iter([9, 1, 1, 2, 1, 3, 2, 2])  # four turns: small, large; the first warms up
    clock = [0.0]

    def prepare(_world, times):
        def work():
            clock[0] += next(spent)
            return times

        return work

    found = turns.measure([small, large], [Unit("work", prepare, 1)], 3, cpu=lambda: clock[0])
    assert [one.ratio for one in found] == [1.0, 2.0]
    assert [one.cpu_us for one in found] == [1e6, 2e6]


def test_a_unit_above_the_goal_is_counted(capsys):
    costs = [Cost("order", Size(10, 1), 5.0, 6.0, ratio) for ratio in (1.0, command.GOAL, 1.21)]
    assert command.tell(costs) == 1
    assert "above the goal" in capsys.readouterr().out


def test_sizes_are_read_in_order():
    assert command.numbers("10,1,10") == [1, 10]
