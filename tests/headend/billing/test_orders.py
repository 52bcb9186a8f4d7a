from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headend.billing import orders, refusals, suspense
from headend.billing.credits import BadCreditError
from headend.billing.reconcile import reconcile
from headend.billing.rows import LEDGERS, OrderState
from headend.billing.suspense import Decision
from headend.kit.http import MalformedError
from headend.kit.storage import StorageError
from shared.clock import to_ms
from shared.named import GENESIS, Evidence
from tests.builders import DAY, GOOD, HOUR, NOW_MS, SigningBox, account, billing_store, offer
from tests.campaigns import books

NOTHING = dict.fromkeys(LEDGERS, 0)


def alarms(store):
    return [alarm.kind for alarm in store.read().alarms(100)]


def test_an_order_is_rated_acknowledged_and_in_the_ledger(store, box):
    assert box.submit(box.order()).ack == 1
    assert box.stored(1).state is OrderState.RATED
    assert store.read().ledger_totals(1, None) == {**NOTHING, "unbilled": 499, "usage": -499}


def test_a_resend_gets_the_same_acknowledgement_and_is_not_billed_again(store, box):
    envelope = box.order()
    assert box.submit(envelope) == box.submit(envelope)
    assert reconcile(store.read()).received == 1
    assert store.read().last_entry()[0] == 1


def test_the_same_identity_with_other_bytes_is_refused_and_always_raises_an_alarm(store, box):
    box.submit(box.order())
    twin = SigningBox(store, key=box.key, box=box.box)
    with pytest.raises(refusals.EquivocationError):
        twin.submit(twin.order("film-2", price_cents=399))
    assert alarms(store) == ["equivocation"]
    assert reconcile(store.read()).received == 1


def test_a_message_that_does_not_follow_is_refused_and_raises_an_alarm(store, box):
    box.submit(box.order())
    box.prev = GENESIS
    with pytest.raises(refusals.ForkError):
        box.submit(box.order("film-2", price_cents=399))
    assert alarms(store) == ["fork"]


def test_what_came_before_a_refusal_is_kept(store, box):
    good = box.order()
    box.prev = GENESIS
    with pytest.raises(refusals.ForkError):
        box.submit(good, box.order("film-2"))
    assert reconcile(store.read()).received == 1


def test_a_gap_is_known_and_closes_when_the_box_resends(store, box):
    first, second = box.order(), box.order("film-2", price_cents=399)
    assert box.submit(second).ack == 0
    assert reconcile(store.read()).in_flight == 2
    assert box.submit(first, second).ack == 2
    assert reconcile(store.read()).in_flight == 0


def test_a_changed_byte_is_refused_and_changes_nothing(store, box):
    envelope = bytearray(box.order())
    place = envelope.index(b'"payload":"') + 30
    envelope[place] = ord("A") if envelope[place] != ord("A") else ord("B")
    with pytest.raises((refusals.WrongSignatureError, MalformedError)):
        box.submit(bytes(envelope))
    assert reconcile(store.read()).received == 0


def test_an_unknown_box_is_refused(store):
    stranger = SigningBox(store, box="bx0000000000000000")
    with pytest.raises(refusals.UnknownBoxError):
        stranger.submit(stranger.order())


def test_a_box_cannot_speak_for_another(store, box):
    other = SigningBox(store).enrolled()
    forged = SigningBox(store, key=box.key, box=other.box)
    envelope = forged.sign(msgspec.json.encode({"type": "order"}), box.box)
    with pytest.raises(refusals.NoPositionError):
        forged.submit(envelope)
    payload = other.order()
    inner = msgspec.json.decode(payload)["payload"]
    import base64

    with pytest.raises(refusals.BoxMismatchError):
        box.submit(box.sign(base64.b64decode(inner)))


def test_an_epoch_that_was_never_issued_is_refused(store, box):
    box.epoch = 7
    with pytest.raises(refusals.UnknownEpochError):
        box.submit(box.order())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price_cents": 1}, "price-mismatch"),
        ({"offer": "no-such-offer"}, "unknown-offer"),
        ({"offer_version": 9}, "unknown-offer"),
        ({"currency": "USD"}, "currency-mismatch"),
        ({"vat_bp": 900}, "vat-mismatch"),
        (
            {
                "evidence": Evidence(
                    pin_verified=False, consent_immediate_supply=True, confirmation_shown=True
                )
            },
            "no-evidence",
        ),
    ],
)
def test_what_cannot_be_rated_waits_in_suspense_with_its_reason(store, box, changes, reason):
    assert box.submit(box.order(**changes)).ack == 1
    row = box.stored(1)
    assert (row.state, row.reason) == (OrderState.SUSPENDED, reason)
    assert store.read().last_entry()[0] == 0


@pytest.mark.parametrize(
    "nonsense",
    [
        {"v": 0},
        {"v": 99, "new_field": True},
        {"price_cents": -5},
        {"price_cents": 10**30},
        {"offer": {"deep": []}},
        {"type": "subscription-of-the-future"},
    ],
)
def test_an_authentic_message_never_blocks_the_chain_whatever_it_says(store, box, nonsense):
    assert box.submit(box.raw(**nonsense)).ack == 1
    assert box.stored(1).reason == "unreadable"
    assert box.submit(box.order()).ack == 2
    assert box.stored(2).state is OrderState.RATED
    assert reconcile(store.read()).closes


def test_a_second_play_inside_the_window_costs_nothing_and_the_window_is_half_open(store, box):
    box.submit(box.order(at_ms=NOW_MS))
    box.submit(box.order(at_ms=NOW_MS + 48 * HOUR - 1), now_ms=NOW_MS + 48 * HOUR - 1)
    box.submit(box.order(at_ms=NOW_MS + 48 * HOUR), now_ms=NOW_MS + 48 * HOUR)
    assert [box.stored(seq).state for seq in (1, 2, 3)] == [
        OrderState.RATED,
        OrderState.ZERO_RATED,
        OrderState.RATED,
    ]


def test_a_window_is_the_accounts_whichever_of_its_boxes_opened_it(store, box):
    box.submit(box.order())
    second = SigningBox(store).enrolled()
    second.submit(second.order())
    assert second.stored(1).state is OrderState.ZERO_RATED


def test_a_title_is_paid_once_whichever_of_two_boxes_orders_comes_first(store, box):
    second = SigningBox(store).enrolled()
    second.submit(second.order(at_ms=NOW_MS + 2 * HOUR), now_ms=NOW_MS + 2 * HOUR)
    box.submit(box.order(at_ms=NOW_MS + HOUR), now_ms=NOW_MS + 3 * HOUR)
    assert (second.stored(1).state, box.stored(1).reason) == (OrderState.RATED, "open-window")


def test_a_bought_title_is_paid_once(store, box):
    box.submit(box.order("bought", price_cents=1299))
    later = NOW_MS + 300 * DAY
    box.submit(box.order("bought", price_cents=1299, at_ms=later), now_ms=later)
    assert box.stored(2).state is OrderState.ZERO_RATED


def test_a_subscription_play_is_a_zero_line_that_is_never_charged(store, box):
    box.submit(box.order("included", price_cents=0))
    assert (box.stored(1).state, box.stored(1).reason) == (OrderState.ZERO_RATED, "subscription")


def test_a_wrong_clock_is_bounded_by_the_neighbour_and_the_receipt(store, box):
    box.submit(box.order(at_ms=NOW_MS))
    box.submit(box.order("film-2", price_cents=399, at_ms=0), now_ms=NOW_MS + HOUR)
    box.submit(box.order("included", price_cents=0, at_ms=NOW_MS + 400 * DAY), now_ms=NOW_MS + 2 * HOUR)
    assert box.stored(2).effective_ms == NOW_MS
    assert box.stored(3).effective_ms == NOW_MS + 2 * HOUR
    assert box.stored(2).placed_ms == 0


def test_a_failed_delivery_takes_an_unbilled_order_back(store, box):
    box.submit(box.order(), box.delivery(1, "failed"))
    assert (box.stored(1).state, box.stored(1).reason) == (OrderState.ZERO_RATED, "delivery-failed")
    assert store.read().ledger_totals(1, None) == NOTHING
    box.submit(box.order())
    assert box.stored(3).state is OrderState.RATED, "the window of an order that failed is not open"


def test_a_factory_reset_starts_a_new_epoch_beside_the_old_one(store, box):
    box.submit(box.order())
    renewed = SigningBox(store).enrolled(renew=box.box)
    assert (renewed.box, renewed.epoch) == (box.box, 2)
    assert renewed.submit(renewed.order("film-2", price_cents=399)).ack == 1
    with pytest.raises(refusals.WrongSignatureError):
        box.submit(box.order())


def test_many_orders_a_day_raise_an_alarm_and_are_billed(tmp_path):
    offers = [offer(f"f{number}") for number in range(25)]
    store = billing_store(tmp_path, *offers)
    box = SigningBox(store).enrolled()
    for one in offers:
        box.submit(box.order(one.offer))
    assert alarms(store) == ["velocity"]
    assert reconcile(store.read()).not_yet_due == 25
    store.close()


def test_spending_over_the_limit_raises_an_alarm_and_is_billed(store):
    limited = account("acc-2", spending_limit_cents=500)
    store.write(lambda tx: tx.add_account(limited))
    box = SigningBox(store, account="acc-2").enrolled()
    box.submit(box.order(), box.order("film-2", price_cents=399))
    assert alarms(store) == ["over-limit"]
    assert reconcile(store.read()).not_yet_due == 2


def test_a_late_order_raises_no_alarm_for_what_was_ordered_since(tmp_path):
    """Not in the days after it, and not in the months after its own, which ends in the account's zone."""
    offers = [offer(f"f{number}") for number in range(30)]
    store = billing_store(tmp_path, *offers)
    limited = account("acc-2", spending_limit_cents=12_000)
    store.write(lambda tx: tx.add_account(limited))
    box = SigningBox(store, account="acc-2").enrolled()
    late = SigningBox(store, account="acc-2", serial="SN-2").enrolled()
    november = to_ms(datetime(2026, 10, 31, 23, tzinfo=UTC))
    for number in range(20):
        box.submit(box.order(f"f{number}", at_ms=november + number), now_ms=november + DAY)
    assert alarms(store) == []
    for number in range(20, 29):
        late.submit(late.order(f"f{number}", at_ms=november - HOUR + number), now_ms=november + 2 * DAY)
    assert late.stored(1).month == "2026-10"
    assert alarms(store) == []
    assert reconcile(store.read()).not_yet_due == 29
    late.submit(late.order("f29", at_ms=november + HOUR), now_ms=november + 2 * DAY)
    assert alarms(store) == ["velocity"]
    store.close()


@settings(max_examples=25)
@given(data=st.data())
def test_loss_doubling_and_reordering_never_lose_or_double_an_order(tmp_path_factory, data):
    store = billing_store(tmp_path_factory.mktemp("orders"))
    box = SigningBox(store).enrolled()
    placed = [box.order(at_ms=NOW_MS + number * 3 * DAY) for number in range(6)]
    for _ in range(data.draw(st.integers(0, 8))):
        start = data.draw(st.integers(0, 5))
        length = data.draw(st.integers(1, 3))
        part = placed[start : start + length]
        assert box.submit(*part, now_ms=NOW_MS + 20 * DAY).ack <= 6
        assert reconcile(store.read()).closes
    end = store.read().chain_end(box.box, 1)
    assert box.submit(*placed[end.last_seq :] or placed[-1:], now_ms=NOW_MS + 20 * DAY).ack == 6
    sums = reconcile(store.read())
    assert (sums.received, sums.not_yet_due, sums.not_yet_due_cents) == (6, 6, 6 * 499)
    assert GOOD.pin_verified
    store.close()


@pytest.mark.parametrize("field", ["offer", "promotion"])
def test_a_text_with_a_zero_character_is_stored_as_it_came_and_holds_up_nothing(store, box, field):
    """Not every database keeps U+0000; what is authentic and in sequence is taken whatever it says."""
    odd = {"promotion": "autumn", "promotion_version": 1, field: "film\0one"}
    assert box.submit(box.order(**odd), box.order()).ack == 2
    assert (box.stored(1).state, store.read().link(box.box, 1, 1).kind) == (
        OrderState.SUSPENDED,
        "unreadable",
    )
    assert box.stored(2).state is OrderState.RATED


def test_submissions_taken_together_are_one_transaction_and_each_has_its_own_outcome(store, box, monkeypatch):
    store.write(lambda tx: tx.add_account(account("acc-2")))
    other = SigningBox(store, account="acc-2", serial="SN-2").enrolled()
    stranger = SigningBox(store, box="bx0000000000000000")
    commits = []
    write = store.write_beside
    monkeypatch.setattr(store, "write_beside", lambda work: commits.append(work) or write(work))
    good, unknown, also = orders.take_group(
        store, [[box.order()], [stranger.order()], [other.order(), other.order("film-1")]], NOW_MS
    )
    assert (good.box, good.ack, also.box, also.ack) == (box.box, 1, other.box, 2)
    assert isinstance(unknown, refusals.UnknownBoxError)
    assert len(commits) == 1
    assert reconcile(store.read()).received == 3


def test_what_breaks_on_one_of_several_submissions_breaks_no_other(store, box, monkeypatch):
    store.write(lambda tx: tx.add_account(account("acc-2")))
    other = SigningBox(store, account="acc-2", serial="SN-2").enrolled()
    rate = orders.rate

    def breaks(tx, order, link, effective_ms):
        if link.box == other.box:
            raise RuntimeError("a fault of ours")
        return rate(tx, order, link, effective_ms)

    monkeypatch.setattr(orders, "rate", breaks)
    good, broken = orders.take_group(store, [[box.order()], [other.order()]], NOW_MS)
    assert good.ack == 1
    assert isinstance(broken, RuntimeError)
    assert box.stored(1) is not None
    assert other.stored(1) is None


@pytest.mark.parametrize("what", ["rate", "note_delivery"])
def test_what_cannot_be_decided_on_is_stored_and_suspended_and_holds_up_nothing(
    store, box, monkeypatch, what
):
    """Once the error is mended it is readmitted, and decided as if there had been none."""
    store.write(lambda tx: tx.add_account(account("acc-2")))
    other = SigningBox(store, account="acc-2", serial="SN-2").enrolled()
    decide = getattr(orders, what)

    def fails(tx, message, link, *times):
        if (link.box, link.seq) == (box.box, 2):
            raise BadCreditError("a fault of ours")
        return decide(tx, message, link, *times)

    monkeypatch.setattr(orders, what, fails)
    first = box.order()
    second = box.order("film-2", price_cents=399) if what == "rate" else box.delivery(1, "failed")
    said = [first, second, box.order("bought", price_cents=1299)]
    one, another = orders.take_group(store, [said, [other.order()]], NOW_MS)
    assert (one.ack, another.ack) == (3, 1)
    assert (box.stored(2).state, box.stored(2).reason) == (OrderState.SUSPENDED, "unreadable")
    assert [box.stored(seq).state for seq in (1, 3)] == [OrderState.RATED] * 2
    (alarm,) = store.read().alarms(9)
    assert (alarm.kind, alarm.box, alarm.detail) == (
        "not-decided",
        box.box,
        "epoch 1, seq 2: BadCreditError",
    )
    monkeypatch.undo()
    looked = Decision("mended", "alice", NOW_MS)
    store.write(lambda tx: suspense.readmit(tx, f"{box.box}/1/2", looked))
    if what == "rate":
        assert (box.stored(2).state, box.stored(2).payable) == (OrderState.RATED, 399)
    else:
        assert box.stored(1).reason == "delivery-failed"
    books.check(store)


def test_a_database_that_fails_while_an_order_is_rated_stores_nothing(store, box, monkeypatch):
    def fails(*_):
        raise StorageError("the disk is full")

    monkeypatch.setattr(orders, "rate", fails)
    with pytest.raises(StorageError):
        box.submit(box.order())
    assert store.read().chain_end(box.box, 1).last_seq == 0
