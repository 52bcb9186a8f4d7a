"""Whose order it was: boxes that move, are resold, are replaced, and messages of other versions."""

import secrets

import pytest

from headend.billing import accounts
from headend.billing.reconcile import raise_gap_alarms, reconcile
from headend.billing.refusals import UnknownCodeError
from headend.billing.rows import NotFoundError, OrderState
from tests.builders import DAY, HOUR, NOW_MS, SigningBox, account, billing_store, offer


@pytest.fixture
def store(tmp_path):
    store = billing_store(tmp_path, *(offer(f"film-{number}") for number in range(1, 5)))
    store.write(lambda tx: tx.add_account(account("acc-2", zone="Europe/Brussels", country="BE")))
    yield store
    store.close()


@pytest.fixture
def box(store):
    return SigningBox(store).enrolled()


def alarms(store):
    return [alarm.kind for alarm in store.read().alarms(100)]


def move(store, box, to, at_ms):
    store.write(lambda tx: accounts.move_box(tx, box.box, to, "alice", at_ms))


def release(store, box, at_ms):
    store.write(lambda tx: accounts.release_box(tx, box.box, "alice", at_ms))


def test_a_late_order_of_a_moved_box_is_billed_to_whom_it_belonged_then_and_somebody_looks(store, box):
    before, after = box.order(at_ms=NOW_MS), box.order("film-2", at_ms=NOW_MS + DAY)
    move(store, box, "acc-2", NOW_MS + HOUR)
    box.submit(before, after, now_ms=NOW_MS + 2 * DAY)
    assert [box.stored(seq).account for seq in (1, 2)] == ["acc-1", "acc-2"]
    assert alarms(store) == ["wrong-binding"]
    assert reconcile(store.read()).closes


def test_a_window_does_not_move_with_the_box(store, box):
    box.submit(box.order())
    move(store, box, "acc-2", NOW_MS + HOUR)
    box.submit(box.order(at_ms=NOW_MS + 2 * HOUR), now_ms=NOW_MS + 2 * HOUR)
    assert (box.stored(2).account, box.stored(2).state) == ("acc-2", OrderState.RATED)


def test_what_a_released_box_orders_is_nobodys_and_waits(store, box):
    release(store, box, NOW_MS)
    assert box.submit(box.order(at_ms=NOW_MS + 1), now_ms=NOW_MS + 1).ack == 1
    row = box.stored(1)
    assert (row.account, row.state, row.reason) == (None, OrderState.SUSPENDED, "unbound")
    assert dict(store.read().accounts_with_boxes()) == {}
    assert reconcile(store.read()).closes


def test_a_resold_box_starts_a_new_epoch_under_its_new_account(store, box):
    box.submit(box.order())
    with pytest.raises(NotFoundError):
        SigningBox(store, account="acc-2").enrolled(renew=box.box)
    release(store, box, NOW_MS + HOUR)
    resold = SigningBox(store, account="acc-2").enrolled(renew=box.box)
    assert (resold.box, resold.epoch) == (box.box, 2)
    resold.submit(resold.order(at_ms=NOW_MS + DAY), now_ms=NOW_MS + DAY)
    assert (resold.stored(1).account, resold.stored(1).state) == ("acc-2", OrderState.RATED)
    assert store.read().order(box.box, 1, 1).account == "acc-1"
    assert dict(store.read().accounts_with_boxes()) == {"acc-2": (box.box,)}


def code_of(store, box, account_of="acc-1", now_ms=NOW_MS):
    return store.write(lambda tx: accounts.add_code(tx, account_of, box.box, now_ms, secrets.token_bytes))


def enrol_with(store, code, now_ms, box=None):
    return accounts.enrol(store, (box or SigningBox(store)).enrolment(code), now_ms, secrets.token_bytes)


def test_a_forgotten_code_takes_no_box_back_that_was_resold(store, box):
    stale = code_of(store, box)
    release(store, box, NOW_MS + HOUR)
    with pytest.raises(UnknownCodeError):
        enrol_with(store, stale, NOW_MS + HOUR)
    resold = SigningBox(store, account="acc-2", issued_ms=NOW_MS + 2 * HOUR).enrolled(renew=box.box)
    with pytest.raises(UnknownCodeError):
        enrol_with(store, stale, NOW_MS + 3 * HOUR)
    assert store.read().box(box.box).account == "acc-2"
    assert resold.submit(resold.order(at_ms=NOW_MS + 3 * HOUR), now_ms=NOW_MS + 3 * HOUR).ack == 1


def test_a_code_ends_when_its_box_is_moved_even_if_it_is_moved_back(store, box):
    stale = code_of(store, box)
    move(store, box, "acc-2", NOW_MS + HOUR)
    with pytest.raises(UnknownCodeError):
        enrol_with(store, stale, NOW_MS + HOUR)
    move(store, box, "acc-1", NOW_MS + 2 * HOUR)
    with pytest.raises(UnknownCodeError):
        enrol_with(store, stale, NOW_MS + 3 * HOUR)
    assert enrol_with(store, code_of(store, box, now_ms=NOW_MS + 3 * HOUR), NOW_MS + 3 * HOUR).epoch == 2


def test_of_two_codes_for_a_released_box_the_first_that_is_used_ends_the_other(store, box):
    release(store, box, NOW_MS + HOUR)
    first, second = code_of(store, box), code_of(store, box, "acc-2")
    assert enrol_with(store, first, NOW_MS + HOUR).epoch == 2
    with pytest.raises(UnknownCodeError):
        enrol_with(store, second, NOW_MS + HOUR)
    assert store.read().box(box.box).account == "acc-1"


def test_an_enrolment_whose_answer_was_lost_gets_it_again_also_after_the_box_has_moved(store, box):
    anew, code = SigningBox(store), code_of(store, box)
    told = enrol_with(store, code, NOW_MS, anew)
    move(store, box, "acc-2", NOW_MS + HOUR)
    assert enrol_with(store, code, NOW_MS + DAY, anew) == told
    with pytest.raises(UnknownCodeError):
        enrol_with(store, code, NOW_MS + DAY)


def test_a_device_that_is_still_bound_elsewhere_raises_an_alarm_when_it_is_enrolled(store, box):
    SigningBox(store).enrolled()
    assert alarms(store) == [], "a second box of the same household"
    SigningBox(store, account="acc-2").enrolled()
    assert set(alarms(store)) == {"wrong-binding"}


def test_only_a_bound_box_is_moved_and_only_elsewhere_and_only_once_released(store, box):
    with pytest.raises(accounts.BadAccountError):
        move(store, box, "acc-1", NOW_MS)
    with pytest.raises(NotFoundError):
        move(store, box, "acc-9", NOW_MS)
    release(store, box, NOW_MS)
    with pytest.raises(accounts.BadAccountError):
        release(store, box, NOW_MS)
    with pytest.raises(accounts.BadAccountError):
        move(store, box, "acc-2", NOW_MS)


def test_an_order_cannot_be_placed_before_its_epoch_was_issued_whatever_the_clock_says(store, box):
    box.submit(box.order(at_ms=0), now_ms=NOW_MS + HOUR)
    assert box.stored(1).effective_ms == NOW_MS


def test_a_gap_is_known_since_it_was_first_told_and_raises_an_alarm_after_a_day(store, box):
    first, second = box.order(), box.order("film-2")
    box.submit(second, now_ms=NOW_MS)
    box.submit(second, now_ms=NOW_MS + HOUR)
    (end,) = store.read().chain_ends()
    assert end.gap_ms == NOW_MS
    assert store.write(lambda tx: raise_gap_alarms(tx, NOW_MS + DAY - 1)) == 0
    assert store.write(lambda tx: raise_gap_alarms(tx, NOW_MS + DAY)) == 1
    assert store.write(lambda tx: raise_gap_alarms(tx, NOW_MS + 2 * DAY)) == 0, "once a gap"
    box.submit(first, second, now_ms=NOW_MS + 3 * DAY)
    (end,) = store.read().chain_ends()
    assert (end.missing, end.gap_ms) == (0, 0)


def test_a_gap_that_closes_in_part_keeps_its_age(store, box):
    orders = [box.order(f"film-{number}") for number in range(1, 5)]
    box.submit(orders[3], now_ms=NOW_MS)
    box.submit(orders[0], now_ms=NOW_MS + HOUR)
    (end,) = store.read().chain_ends()
    assert (end.missing, end.gap_ms) == (3, NOW_MS)


def test_a_message_of_the_version_before_is_rated_as_any(store, box):
    box.submit(box.order(v=1))
    assert box.stored(1).state is OrderState.RATED
    box.submit(box.order("film-2", v=1, promotion="autumn", promotion_version=1, credit_cents=1))
    assert (box.stored(2).state, box.stored(2).reason) == (OrderState.SUSPENDED, "unreadable")


def test_both_countries_are_billed_by_their_own_rates(store, box):
    belgian = SigningBox(store, account="acc-2").enrolled()
    sold = offer("reduced", vat_bp=1200)
    from tests.builders import CATALOGUE_KEY, publish_catalogue

    store.write(lambda tx: publish_catalogue(tx, [sold], CATALOGUE_KEY, NOW_MS))
    for one in (box, belgian):
        one.submit(one.order("reduced", vat_bp=1200))
    assert (box.stored(1).state, box.stored(1).reason) == (OrderState.SUSPENDED, "vat-not-in-force")
    assert belgian.stored(1).state is OrderState.RATED
