"""Corrections: credit notes whole, partial and per line, and disputes with their deadlines."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headend.billing import credits as corrections
from headend.billing import disputes
from headend.billing.invoices import raise_month
from headend.billing.pages.bills import lines_left
from headend.billing.reconcile import reconcile
from headend.billing.rows import DisputeState, NotFoundError, OrderState
from shared.clock import to_ms
from shared.weeks import Month
from tests import engines
from tests.builders import DAY, NOW_MS, SigningBox, billing_store, offer, promotion

BILLED_MS = NOW_MS + 30 * DAY
AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def billed(folder):
    names = [f"film-{number}" for number in range(1, 5)]
    store = billing_store(
        folder,
        *(offer(name, price_cents=333 * place + 1) for place, name in enumerate(names, 1)),
        offer("reduced", vat_bp=900, price_cents=777),
        promotions=(promotion(),),
    )
    box = SigningBox(store).enrolled()
    shown = {"promotion": "autumn", "promotion_version": 1, "credit_cents": 200}
    for place, name in enumerate(names, 1):
        box.submit(box.order(name, price_cents=333 * place + 1, **(shown if place == 1 else {})))
    box.submit(box.order("reduced", vat_bp=900, price_cents=777))
    raise_month(store, Month(2026, 10), BILLED_MS)
    return store, box, next(iter(store.read().invoices(None, 1)))


@pytest.fixture
def house(tmp_path):
    store, box, bill = billed(tmp_path)
    yield store, box, bill
    store.close()


def credit(store, number, wanted):
    return store.write(
        lambda tx: corrections.credit_by(tx, number, wanted, ("why", "alice", BILLED_MS + DAY))
    )


def test_a_whole_bill_is_credited_to_the_cent_in_every_part(house):
    store, box, bill = house
    note = credit(store, bill.number, None)
    assert (note.gross, note.net, note.vat, note.rounding) == (
        bill.gross,
        bill.net,
        bill.vat,
        bill.rounding,
    )
    assert note.groups == bill.groups
    assert {box.stored(seq).state for seq in range(1, 6)} == {OrderState.CREDITED}
    assert reconcile(store.read()).closes


def test_part_of_a_line_is_credited_and_the_rest_stays_billed(house):
    store, box, bill = house
    note = credit(store, bill.number, {f"{box.box}/1/2": 100})
    assert (note.gross, [line.cents for line in note.lines]) == (100, [100])
    assert (box.stored(2).state, box.stored(2).credited_cents) == (OrderState.BILLED, 100)
    assert reconcile(store.read()).billed_cents == bill.gross - 100
    assert reconcile(store.read()).closes


def test_an_order_with_a_promotion_is_credited_with_what_was_paid(house):
    store, box, bill = house
    with pytest.raises(corrections.BadCreditError):
        credit(store, bill.number, {f"{box.box}/1/1": 334})
    assert credit(store, bill.number, {f"{box.box}/1/1": 134}).gross == 134


@pytest.mark.parametrize("cents", [0, -1, 668])
def test_no_more_than_is_left_of_a_line_and_never_nothing_is_credited(house, cents):
    store, box, bill = house
    before = reconcile(store.read())
    with pytest.raises(corrections.BadCreditError):
        credit(store, bill.number, {f"{box.box}/1/2": cents})
    assert reconcile(store.read()) == before


def test_what_is_not_on_the_bill_cannot_be_credited(house):
    store, box, bill = house
    with pytest.raises(corrections.BadCreditError):
        credit(store, bill.number, {f"{box.box}/1/9": 1})
    with pytest.raises(NotFoundError):
        credit(store, "INV-2026-000099", None)
    note = credit(store, bill.number, None)
    for number in (bill.number, note.number):
        with pytest.raises(corrections.BadCreditError):
            credit(store, number, None)


def test_the_database_itself_refuses_credits_beyond_the_bill(house):
    store, _, bill = house
    credit(store, bill.number, None)
    with (
        engines.raw(engines.where(store)) as connection,
        pytest.raises(engines.REFUSED, match="never add up to more"),
    ):
        connection.execute(
            "INSERT INTO invoices SELECT 'CRN-2026-000009', 'credit-note', number, account, country, zone, "
            "language, month, currency, issued_ms, 1, 1, 0, 0 FROM invoices WHERE kind = 'invoice'"
        )


def test_looking_at_a_credit_note_first_stores_nothing_and_takes_no_number(house):
    store, box, bill = house
    draft = corrections.draft_note(store.read(), bill.number, {f"{box.box}/1/2": 100}, BILLED_MS)
    note = credit(store, bill.number, {f"{box.box}/1/2": 100})
    assert replace(draft, number=note.number, issued_ms=note.issued_ms) == note
    assert note.number == "CRN-2026-000001"


def left_of(store, bill):
    return {line.order_ref: line.cents for line in corrections.remaining(store.read(), bill) if line.cents}


@settings(max_examples=12)
@given(data=st.data())
def test_partial_credits_in_any_order_add_up_to_the_bill_exactly(tmp_path_factory, data):
    store, _, bill = billed(tmp_path_factory.mktemp("credits"))
    for _ in range(25):
        left = left_of(store, bill)
        if not left:
            break
        ref = data.draw(st.sampled_from(sorted(left)))
        credit(store, bill.number, {ref: data.draw(st.integers(1, left[ref]))})
    if left_of(store, bill):
        credit(store, bill.number, None)
    notes = store.read().notes_of(bill.number)
    for part in ("gross", "net", "vat", "rounding"):
        assert sum(getattr(note, part) for note in notes) == getattr(bill, part)
    assert reconcile(store.read()).receivable_cents == 0
    assert reconcile(store.read()).closes
    store.close()


# --- disputes


def dispute(store, bill, ref, at=BILLED_MS + DAY):
    return store.write(lambda tx: disputes.open_dispute(tx, bill.number, ref, "not me", at))


def test_a_dispute_has_a_deadline_and_ends_with_a_credit_note_if_it_is_upheld(house):
    store, box, bill = house
    opened = dispute(store, bill, f"{box.box}/1/2")
    assert opened.deadline_ms == to_ms(datetime(2026, 12, 8, tzinfo=AMSTERDAM))
    ended = store.write(lambda tx: disputes.uphold(tx, opened.dispute, None, "alice", BILLED_MS + 2 * DAY))
    assert (ended.state, ended.note) == (DisputeState.UPHELD, "CRN-2026-000001")
    assert box.stored(2).state is OrderState.CREDITED
    assert reconcile(store.read()).closes


def test_a_dispute_can_be_upheld_in_part_or_dismissed(house):
    store, box, bill = house
    first, second = (dispute(store, bill, f"{box.box}/1/{seq}") for seq in (2, 3))
    store.write(lambda tx: disputes.uphold(tx, first.dispute, 50, "alice", BILLED_MS + 2 * DAY))
    store.write(lambda tx: disputes.dismiss(tx, second.dispute, "watched", "alice", BILLED_MS + 2 * DAY))
    assert (box.stored(2).credited_cents, box.stored(3).credited_cents) == (50, 0)
    states = [one.state for one in store.read().disputes(None, "acc-1")]
    assert states == [DisputeState.UPHELD, DisputeState.DISMISSED]


def test_a_dispute_is_decided_once(house):
    store, box, bill = house
    opened = dispute(store, bill, f"{box.box}/1/2")
    store.write(lambda tx: disputes.dismiss(tx, opened.dispute, "no", "alice", BILLED_MS))
    with pytest.raises(disputes.BadDisputeError):
        store.write(lambda tx: disputes.uphold(tx, opened.dispute, None, "alice", BILLED_MS))
    with pytest.raises(NotFoundError):
        store.write(lambda tx: disputes.dismiss(tx, 99, "no", "alice", BILLED_MS))


def test_only_a_line_of_a_bill_within_its_days_and_once_at_a_time_is_disputed(house):
    store, box, bill = house
    ref, over = f"{box.box}/1/2", to_ms(datetime(2027, 2, 7, tzinfo=AMSTERDAM))
    with pytest.raises(NotFoundError):
        dispute(store, bill, "nonsense")
    with pytest.raises(disputes.BadDisputeError):
        dispute(store, bill, ref, over)
    dispute(store, bill, ref, over - 1)
    with pytest.raises(disputes.BadDisputeError):
        dispute(store, bill, ref)


def test_an_upheld_dispute_whose_credit_is_refused_stays_open(house):
    store, box, bill = house
    opened = dispute(store, bill, f"{box.box}/1/2")
    with pytest.raises(corrections.BadCreditError):
        store.write(lambda tx: disputes.uphold(tx, opened.dispute, 10_000, "alice", BILLED_MS))
    assert store.read().dispute(opened.dispute).state is DisputeState.OPEN


def test_a_bill_past_its_tax_period_is_credited_no_more(house):
    store, _, bill = house
    store.storage.write(lambda db: db.execute("INSERT INTO horizons VALUES ('tax', ?)", (BILLED_MS + 1,)))
    store.storage.write(lambda db: db.execute("UPDATE invoices SET account = ''"))
    with pytest.raises(corrections.BadCreditError):
        credit(store, bill.number, None)


def test_a_bill_past_its_tax_period_is_shown_though_a_note_of_a_later_year_still_names_its_order(house):
    store, _, bill = house
    credit(store, bill.number, {bill.lines[0].order_ref: 1})
    store.storage.write(lambda db: db.execute("INSERT INTO horizons VALUES ('tax', ?)", (BILLED_MS + 1,)))
    store.storage.write(lambda db: db.execute("UPDATE invoices SET account = '' WHERE kind = 'invoice'"))
    store.storage.write(
        lambda db: db.execute("UPDATE invoice_lines SET order_ref = '' WHERE number = ?", (bill.number,))
    )
    look = store.read()
    emptied = look.invoice(bill.number)
    assert corrections.remaining(look, emptied) == ()
    assert {one.left for one in lines_left(look, emptied, [])} == {0}
