"""What a delivery report does to what else was played within the window that the order paid for."""

from datetime import UTC, datetime
from itertools import permutations

import pytest

from headend.billing import credits as corrections
from headend.billing import erasure, suspense
from headend.billing.invoices import raise_month
from headend.billing.rows import OrderState
from headend.billing.suspense import Correction, Decision
from shared.clock import to_ms
from shared.weeks import Month
from tests.builders import DAY, HOUR, NOW_MS, SigningBox, billing_store, offer, promotion
from tests.campaigns import books

MINUTE = 60_000
OCTOBER = Month(2026, 10)
BILLED_MS = to_ms(datetime(2026, 11, 3, tzinfo=UTC))


@pytest.fixture
def store(tmp_path):
    sold = offer(preview_minutes=5), offer("bought", mode="buy", window_hours=0, price_cents=1299)
    store = billing_store(tmp_path, *sold, promotions=(promotion(per_account=1),))
    yield store
    books.check(store)
    store.close()


@pytest.fixture
def boxes(store):
    """Three boxes of one home."""
    return [SigningBox(store, serial=f"SN-{number}").enrolled() for number in range(3)]


def told(box, seq=1):
    order = box.stored(seq)
    return order.state.value, order.reason


def play(box, at_ms=NOW_MS, **changes):
    box.submit(box.order(at_ms=at_ms, **changes), now_ms=at_ms)


def report(box, outcome, at_ms, seq=1):
    box.submit(box.delivery(seq, outcome, at_ms), now_ms=at_ms)


@pytest.mark.parametrize("outcome", ["failed", "stopped"])
def test_the_next_play_pays_if_the_one_that_paid_is_not_to_be_paid(store, boxes, outcome):
    first, second, third = boxes
    play(first)
    play(second, NOW_MS + MINUTE)
    play(third, NOW_MS + 3 * MINUTE)
    assert told(second) == told(third) == ("zero-rated", "open-window")
    report(first, outcome, NOW_MS + 4 * MINUTE)
    report(second, "confirmed", NOW_MS + 2 * HOUR)
    assert told(first)[0] == "zero-rated"
    assert told(second) == ("rated", "")
    assert told(third) == ("zero-rated", "open-window")
    assert store.read().ledger_totals(1, None)["unbilled"] == 499
    play(third, NOW_MS + 48 * HOUR)
    assert told(third, 2) == ("zero-rated", "open-window"), "the window is that of the second play"
    play(third, NOW_MS + 48 * HOUR + MINUTE)
    assert told(third, 3)[0] == "rated"


def test_who_pays_does_not_depend_on_what_comes_first(tmp_path):
    """Of three plays one could not be viewed and one was stopped: the third pays, in any order of arrival."""
    for number, turns in enumerate(sorted(set(permutations("aabbcc")))):
        (tmp_path / str(number)).mkdir()
        store = billing_store(tmp_path / str(number), offer(preview_minutes=5))
        boxes = {name: SigningBox(store, serial=name).enrolled() for name in "abc"}
        said = {name: [box.order(at_ms=NOW_MS + n * HOUR)] for n, (name, box) in enumerate(boxes.items())}
        said["a"].append(boxes["a"].delivery(1, "failed", NOW_MS + MINUTE))
        said["b"].append(boxes["b"].delivery(1, "confirmed", NOW_MS + 3 * HOUR))
        said["c"].append(boxes["c"].delivery(1, "stopped", NOW_MS + 2 * HOUR + MINUTE))
        for turn in turns:
            boxes[turn].submit(said[turn].pop(0), now_ms=NOW_MS + DAY)
        assert [told(box)[0] for box in boxes.values()] == ["zero-rated", "rated", "zero-rated"], turns
        assert store.read().ledger_totals(1, None)["unbilled"] == 499
        books.check(store)
        store.close()


def test_a_play_that_was_free_is_late_on_the_next_bill_if_the_one_that_paid_is_billed(store, boxes):
    first, second, _ = boxes
    play(first)
    play(second, NOW_MS + HOUR)
    raise_month(store, OCTOBER, BILLED_MS)
    report(first, "failed", BILLED_MS + DAY)
    assert told(first) == ("credited", "delivery-failed")
    assert (told(second), second.stored(1).month) == (("rated", ""), "2026-10")
    december = to_ms(datetime(2026, 12, 3, tzinfo=UTC))
    raise_month(store, OCTOBER.plus(1), december)
    bill = next(store.read().invoices(None, 1))
    assert [(line.order_ref, line.cents, line.late) for line in bill.lines] == [
        (second.stored(1).ref, 499, True)
    ]


def test_a_play_of_before_that_came_later_pays_too(store, boxes):
    first, second, _ = boxes
    play(first, NOW_MS + HOUR)
    second.submit(second.order(at_ms=NOW_MS), now_ms=NOW_MS + 2 * HOUR)
    assert told(second) == ("zero-rated", "open-window")
    report(first, "failed", NOW_MS + 3 * HOUR)
    assert told(second) == ("rated", "")


def test_plays_that_do_not_share_a_window_of_their_own_pay_each(store, boxes):
    first, second, third = boxes
    play(first, NOW_MS + 40 * HOUR)
    second.submit(second.order(at_ms=NOW_MS), now_ms=NOW_MS + 41 * HOUR)
    play(third, NOW_MS + 80 * HOUR)
    report(first, "failed", NOW_MS + 81 * HOUR)
    assert told(second) == told(third) == ("rated", "")


def test_what_another_order_pays_for_still_stays_free(store, boxes):
    first, second, third = boxes
    play(first)
    play(second, NOW_MS + 40 * HOUR)
    play(third, NOW_MS + 60 * HOUR)
    assert [told(box)[0] for box in boxes] == ["rated", "zero-rated", "rated"]
    report(first, "failed", NOW_MS + 61 * HOUR)
    assert told(second) == ("zero-rated", "open-window"), "within what the third play pays for"


def test_a_play_that_was_free_pays_what_its_own_screen_showed(store, boxes):
    first, second, _ = boxes
    play(first)
    play(second, NOW_MS + HOUR, promotion="autumn", promotion_version=1, credit_cents=200)
    assert second.stored(1).credit_cents == 0
    report(first, "failed", NOW_MS + 2 * HOUR)
    order = second.stored(1)
    assert (order.state, order.payable, order.promotion) == (OrderState.RATED, 299, "autumn")
    assert (order.category, store.read().ledger_totals(1, None)["unbilled"]) == ("campaign", 299)


def test_a_play_that_was_corrected_pays_the_price_that_it_was_corrected_to(store, boxes):
    first, second, _ = boxes
    play(first)
    shown = {"promotion": "no", "promotion_version": 1, "credit_cents": 100}
    play(second, NOW_MS + HOUR, **shown)
    decision = Decision("half", "alice", NOW_MS + HOUR)
    ref = second.stored(1).ref
    store.write(lambda tx: suspense.correct(tx, ref, Correction(price_cents=250), decision))
    assert told(second) == ("zero-rated", "open-window")
    report(first, "failed", NOW_MS + 2 * HOUR)
    assert (told(second), second.stored(1).payable) == (("rated", ""), 250)


def test_a_credit_at_an_operators_word_charges_nobody_else(store, boxes):
    first, second, third = boxes
    play(first, offer="bought", price_cents=1299)
    play(second, NOW_MS + HOUR, offer="bought", price_cents=1299)
    raise_month(store, OCTOBER, BILLED_MS)
    said = ("sorry", "alice", BILLED_MS)
    store.write(lambda tx: corrections.credit_by(tx, "INV-2026-000001", None, said))
    assert (told(first), told(second)) == (("credited", "correction"), ("zero-rated", "open-window"))
    report(first, "failed", BILLED_MS + HOUR)
    play(third, BILLED_MS + DAY, offer="bought", price_cents=1299)
    report(third, "failed", BILLED_MS + 2 * DAY)
    assert told(second) == ("zero-rated", "open-window"), "it was free by the first, not by the third"


def test_a_play_whose_title_was_erased_is_never_charged(store, boxes):
    first, second, _ = boxes
    play(first)
    play(second, NOW_MS + HOUR)
    store.write(lambda tx: erasure.erase(tx, "acc-1", "alice", NOW_MS + HOUR))
    report(first, "failed", NOW_MS + 2 * HOUR)
    assert told(second) == ("zero-rated", "open-window")


def test_a_free_play_that_could_not_be_viewed_is_told_so(store, boxes):
    first, second, _ = boxes
    play(first)
    play(second, NOW_MS + HOUR)
    report(second, "stopped", NOW_MS + HOUR + MINUTE)
    assert told(second) == ("zero-rated", "stopped-in-preview")
    report(first, "failed", NOW_MS + 2 * HOUR)
    assert told(second) == ("zero-rated", "stopped-in-preview")
    assert store.read().ledger_totals(1, None)["unbilled"] == 0
