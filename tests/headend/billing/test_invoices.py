import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headend.billing import credits as corrections
from headend.billing import laws, ledger, suspense
from headend.billing.catalogue import publish_catalogue
from headend.billing.documents.document import InvoiceLine
from headend.billing.invoices import as_shown, raise_month, vat_groups
from headend.billing.reconcile import reconcile
from headend.billing.rows import OrderState
from headend.billing.suspense import Correction, Decision
from shared.clock import to_ms
from shared.weeks import Month
from tests import engines
from tests.builders import CATALOGUE_KEY, DAY, HOUR, NOW_MS, SigningBox, account, billing_store, offer

OCTOBER, NOVEMBER = Month(2026, 10), Month(2026, 11)
THIRD_OF_NOVEMBER = to_ms(datetime(2026, 11, 3, 1, tzinfo=UTC))


def lines(*cents, rate=2100):
    return tuple(
        InvoiceLine(f"b/1/{n}", "order", "film", 0, amount, rate, late=False)
        for n, amount in enumerate(cents)
    )


def place(box, *days):
    for day in days:
        at = NOW_MS + day * DAY
        box.submit(box.order(at_ms=at), now_ms=at)


def test_what_is_payable_is_the_sum_of_the_prices_shown(store, box):
    place(box, 0, 3, 6, 9, 12)
    assert raise_month(store, OCTOBER, THIRD_OF_NOVEMBER) == 1
    (invoice,) = store.read().invoices(None, 10)
    assert invoice.gross == 5 * 499 == invoice.net + invoice.vat + invoice.rounding
    assert invoice.number == "INV-2026-000001"
    assert reconcile(store.read()).closes


def test_ten_times_four_ninety_nine_is_forty_nine_ninety():
    (group,) = vat_groups(lines(*[499] * 10))
    assert (group.gross, group.net + group.vat + group.rounding) == (4990, 4990)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=30), st.sampled_from([600, 900, 2100]))
def test_vat_is_taken_over_the_group_and_exact_to_a_cent(cents, rate):
    (group,) = vat_groups(lines(*cents, rate=rate))
    assert group.gross == sum(cents) == group.net + group.vat + group.rounding
    assert abs(group.rounding) <= 1
    assert abs(group.vat * 10_000 - group.net * rate) <= 5_000


def test_the_month_is_cut_in_the_accounts_zone(store, box):
    # 22:30 UTC on 31 October is 23:30 in Amsterdam; 23:30 UTC is November there.
    for minute in (30, 90):
        at = to_ms(datetime(2026, 10, 31, 22, tzinfo=UTC)) + minute * 60_000
        name, price = ("film-1", 499) if minute == 30 else ("film-2", 399)
        box.submit(box.order(name, at_ms=at, price_cents=price), now_ms=at)
    raise_month(store, OCTOBER, THIRD_OF_NOVEMBER)
    assert [box.stored(seq).state for seq in (1, 2)] == [OrderState.BILLED, OrderState.RATED]


def test_a_late_order_goes_on_the_next_bill_with_its_own_date(store, box):
    place(box, 0)
    raise_month(store, OCTOBER, THIRD_OF_NOVEMBER)
    second = SigningBox(store).enrolled()
    late_at = NOW_MS + 10 * DAY
    second.submit(second.order(at_ms=late_at), now_ms=THIRD_OF_NOVEMBER + DAY)
    raise_month(store, NOVEMBER, THIRD_OF_NOVEMBER + 30 * DAY)
    newest = next(iter(store.read().invoices(None, 1)))
    assert [(line.late, line.placed_ms) for line in newest.lines] == [(True, late_at)]


def test_raising_a_month_again_raises_nothing(store, box):
    place(box, 0)
    assert raise_month(store, OCTOBER, THIRD_OF_NOVEMBER) == 1
    assert raise_month(store, OCTOBER, THIRD_OF_NOVEMBER) == 0
    assert reconcile(store.read()).billed == 1


def test_numbers_have_no_gap_where_a_bill_fails(store, box):
    place(box, 0)

    def fails(tx):
        tx.next_number("INV", 2026)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.write(fails)
    raise_month(store, OCTOBER, THIRD_OF_NOVEMBER)
    assert next(iter(store.read().invoices(None, 1))).number == "INV-2026-000001"


def test_a_failed_delivery_after_the_bill_is_credited_with_a_note_that_refers_to_it(store, box):
    place(box, 0, 3)
    raise_month(store, OCTOBER, THIRD_OF_NOVEMBER)
    at = THIRD_OF_NOVEMBER + DAY
    box.submit(box.delivery(1, "failed", at), now_ms=at)
    note = next(invoice for invoice in store.read().invoices(None, 10) if invoice.kind == "credit-note")
    assert (note.number, note.refers_to, note.gross) == ("CRN-2026-000001", "INV-2026-000001", 499)
    assert box.stored(1).state is OrderState.CREDITED
    assert reconcile(store.read()).closes


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=8), st.randoms())
def test_all_credits_of_a_bill_add_up_to_it_exactly(cents, rng):
    before = lines(*cents)
    order = list(before)
    rng.shuffle(order)
    total = [0, 0, 0, 0]
    left = before
    for line in order:
        after = tuple(other for other in left if other != line)
        for group in corrections.credit_groups(left, after):
            parts = (group.gross, group.net, group.vat, group.rounding)
            total = [a + b for a, b in zip(total, parts, strict=True)]
        left = after
    (group,) = vat_groups(before)
    assert total == [group.gross, group.net, group.vat, group.rounding]


def test_an_entry_that_does_not_balance_is_refused(store):
    draft = ledger.Draft("usage", "a", "r", "2026-10", "", "EUR", 0, "", 0, ledger.Amounts(unbilled=1))
    with pytest.raises(ledger.UnbalancedError):
        store.write(lambda tx: tx.post(draft))


def test_the_database_itself_refuses_to_unbalance_or_edit_the_books(store, box):
    place(box, 0)
    for change in (
        "UPDATE entries SET account = 'x'",
        "DELETE FROM entries",
        "UPDATE entries SET account = '', ref = '', text = '', proof = ''",
        (
            "INSERT INTO entries SELECT 2,kind,account,'r',month,text,currency,vat_bp,proof,at_ms,"
            "unbilled + 1,usage,0,0,0,0,hash,'h' FROM entries"
        ),
        (
            "INSERT INTO entries SELECT 3,kind,account,'r',month,text,currency,vat_bp,proof,at_ms,"
            "unbilled,usage,0,0,0,0,hash,'h' FROM entries"
        ),
        (
            "INSERT INTO entries SELECT 2,kind,account,'r',month,text,currency,vat_bp,proof,at_ms,"
            "unbilled,usage,0,0,0,0,'another','h' FROM entries"
        ),
    ):
        with engines.raw(engines.where(store)) as connection, pytest.raises(engines.REFUSED):
            connection.execute(change)


def test_the_subscriber_sees_the_title_where_its_offer_may_show_it_and_while_the_annex_stands(store, box):
    place(box, 0)
    box.submit(box.order("film-2", price_cents=399))
    raise_month(store, OCTOBER, THIRD_OF_NOVEMBER)
    (bill,) = store.read().invoices(None, 10)
    assert {line.text for line in bill.lines} == {"film"}
    assert [line.text for line in as_shown(store.read(), bill).lines] == ["A Very Particular Film", "film"]
    store.storage.write(lambda db: db.execute("DELETE FROM annex"))
    assert as_shown(store.read(), bill) == bill


RAISING = """
import sys
from headend.billing.engines import open_store
from headend.billing.invoices import raise_month
from shared.weeks import Month
store = open_store(sys.argv[1])
sys.stdin.readline()
print(raise_month(store, Month(2026, 10), int(sys.argv[2])))
store.close()
"""


def test_numbers_are_gapless_and_nobody_is_billed_twice_when_processes_bill_at_once(tmp_path):
    store = billing_store(tmp_path)
    names = [f"many-{number:03}" for number in range(250)]
    for name in names:
        store.write(lambda tx, name=name: tx.add_account(account(name)))
        box = SigningBox(store, account=name).enrolled()
        box.submit(box.order())
    command = [sys.executable, "-c", RAISING, str(engines.where(store)), str(THIRD_OF_NOVEMBER)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for one in running:
        one.stdin.write("\n")
        one.stdin.flush()
    raised = [int(one.communicate(timeout=60)[0]) for one in running]
    assert sum(raised) == 250
    numbers = sorted(bill.number for bill in store.read().invoices(None, 1000))
    assert numbers == [f"INV-2026-{number:06}" for number in range(1, 251)]
    assert reconcile(store.read()).closes
    store.close()


def test_a_month_that_is_not_over_in_the_accounts_zone_is_not_billed_yet(tmp_path):
    store = billing_store(tmp_path)
    store.write(lambda tx: tx.add_account(account("west", zone="America/New_York")))
    box = SigningBox(store, account="west").enrolled()
    box.submit(box.order())
    midnight_in_amsterdam = to_ms(datetime(2026, 10, 31, 23, tzinfo=UTC))
    assert raise_month(store, OCTOBER, midnight_in_amsterdam) == 0
    assert raise_month(store, OCTOBER, midnight_in_amsterdam + 5 * HOUR) == 1
    store.close()


def test_an_account_that_cannot_be_billed_raises_an_alarm_and_holds_up_nobody(store, box):
    store.write(lambda tx: tx.add_account(account("acc-0")))
    broken = SigningBox(store, account="acc-0").enrolled()
    broken.submit(broken.order())
    place(box, 0, 3)
    store.storage.write(lambda db: db.execute("UPDATE accounts SET country = 'XX' WHERE account = 'acc-0'"))
    assert raise_month(store, OCTOBER, THIRD_OF_NOVEMBER) == 1
    assert not_billed(store) == [("acc-0", "2026-10: BadLawError")]


def not_billed(store):
    return [(one.account, one.detail) for one in store.read().alarms(9) if one.kind == "not-billed"]


def set_currency(store, currency, now_ms, country="NL"):
    rates = b"dispute_days=92\ndecide_days=30\ntax_years=10\nvat_rates=[{from=2019-01-01,bp=[0,900,2100]}]"
    terms = laws.read_law(b'currency="%b"\n%b' % (currency.encode(), rates), country)
    store.write(lambda tx: laws.set_law(tx, country, terms, "alice", now_ms))


def test_an_offer_in_another_currency_than_the_countrys_waits_and_the_rest_is_billed(store, box):
    set_currency(store, "GBP", NOW_MS, "BE")
    abroad = offer("abroad", currency="GBP")
    store.write(lambda tx: publish_catalogue(tx, [offer(), abroad], CATALOGUE_KEY, NOW_MS))
    box.submit(box.order(), box.order("abroad", currency="GBP"))
    waits = box.stored(2)
    assert (waits.state, waits.reason) == (OrderState.SUSPENDED, "currency-mismatch")
    assert raise_month(store, OCTOBER, THIRD_OF_NOVEMBER) == 1
    decision = Decision("as shown at home", "alice", THIRD_OF_NOVEMBER)
    store.write(lambda tx: suspense.correct(tx, waits.ref, Correction(price_cents=399), decision))
    assert raise_month(store, NOVEMBER, THIRD_OF_NOVEMBER + 30 * DAY) == 1
    assert {(bill.currency, bill.gross) for bill in store.read().invoices(None, 9)} == {
        ("EUR", 499),
        ("EUR", 399),
    }
    assert not_billed(store) == []


def test_when_a_country_takes_another_currency_both_are_billed_each_on_a_bill_of_its_own(store, box):
    box.submit(box.order())
    set_currency(store, "GBP", NOW_MS + DAY)
    after = offer("after", currency="GBP", price_cents=399)
    store.write(lambda tx: publish_catalogue(tx, [after], CATALOGUE_KEY, NOW_MS + DAY))
    later = NOW_MS + 2 * DAY
    box.submit(box.order("after", currency="GBP", price_cents=399, at_ms=later), now_ms=later)
    assert raise_month(store, OCTOBER, THIRD_OF_NOVEMBER) == 1
    assert not_billed(store) == [("acc-1", "2026-10: orders in GBP")]
    assert raise_month(store, NOVEMBER, THIRD_OF_NOVEMBER + 30 * DAY) == 1
    bills = sorted((bill.month, bill.currency, bill.gross) for bill in store.read().invoices(None, 9))
    assert bills == [("2026-10", "EUR", 499), ("2026-11", "GBP", 399)]


def test_an_order_rated_in_a_currency_that_no_law_had_keeps_none_of_the_accounts_others_from_their_bill(
    store, box
):
    box.submit(box.order("film-2", price_cents=399), box.order())
    store.storage.write(lambda db: db.execute("UPDATE orders SET currency = 'USD' WHERE seq = 1"))
    assert raise_month(store, OCTOBER, THIRD_OF_NOVEMBER) == 1
    (bill,) = store.read().invoices(None, 9)
    assert (bill.currency, bill.gross, len(bill.lines)) == ("EUR", 499, 1)
    assert not_billed(store) == [("acc-1", "2026-10: orders in USD")]
    assert raise_month(store, NOVEMBER, THIRD_OF_NOVEMBER + 30 * DAY) == 0
    assert box.stored(1).state is OrderState.RATED


@pytest.mark.parametrize("count", [1, 10, 99])
def test_vat_taken_per_line_would_not_be_what_is_on_the_bill(count):
    """The trap: ten lines of 4.99, each net rounded alone, make 49.85."""
    (group,) = vat_groups(lines(*[499] * count))
    assert group.gross == 499 * count
    per_line_net = count * round(499 / 1.21)
    if count == 10:
        assert per_line_net + round(per_line_net * 0.21) == 4985


def test_the_hour_that_occurs_twice_is_billed_once(store, box):
    """25 October 2026 has 25 hours in Amsterdam: 02:30 occurs twice, and October 745 hours."""
    for hour in (0, 1):
        at = to_ms(datetime(2026, 10, 25, hour, 30, tzinfo=UTC))
        name, price = ("film-1", 499) if hour == 0 else ("film-2", 399)
        box.submit(box.order(name, at_ms=at, price_cents=price), now_ms=at)
    raise_month(store, OCTOBER, THIRD_OF_NOVEMBER)
    raise_month(store, NOVEMBER, THIRD_OF_NOVEMBER + 30 * DAY)
    bills = list(store.read().invoices(None, 10))
    assert [(bill.month, bill.gross) for bill in bills] == [("2026-10", 898)]


def test_half_past_ten_at_night_utc_on_the_last_of_july_is_august(tmp_path):
    at = to_ms(datetime(2026, 7, 31, 22, 30, tzinfo=UTC))
    store = billing_store(tmp_path, offer(valid_from_ms=0))
    box = SigningBox(store, issued_ms=at - DAY).enrolled()
    box.submit(box.order(at_ms=at), now_ms=at)
    assert box.stored(1).month == "2026-08"
    assert raise_month(store, Month(2026, 7), THIRD_OF_NOVEMBER) == 0
    assert raise_month(store, Month(2026, 8), THIRD_OF_NOVEMBER) == 1
    store.close()


def test_an_order_of_three_months_ago_is_billed_however_late_it_comes(store, box):
    second = SigningBox(store).enrolled()
    late = second.order(at_ms=NOW_MS)
    for month in (10, 11, 12):
        raise_month(store, Month(2026, month), THIRD_OF_NOVEMBER + (month - 10) * 30 * DAY)
    second.submit(late, now_ms=THIRD_OF_NOVEMBER + 65 * DAY)
    raise_month(store, Month(2027, 1), THIRD_OF_NOVEMBER + 95 * DAY)
    (bill,) = store.read().invoices(None, 10)
    assert (bill.month, bill.lines[0].late, bill.lines[0].placed_ms) == ("2027-01", True, NOW_MS)


@pytest.mark.sqlite(why="counts the steps of its virtual machine")
def test_finding_the_next_accounts_to_bill_reads_their_orders_only(tmp_path):
    """Else a month costs its orders squared, which shows with a million of them only."""
    store = billing_store(tmp_path)
    for number in range(300):
        store.write(lambda tx, number=number: tx.add_account(account(f"many-{number:03}")))
        box = SigningBox(store, account=f"many-{number:03}").enrolled()
        box.submit(box.order())
    look, connection = store.read(), store.storage.read()
    steps = []
    connection.set_progress_handler(lambda: steps.append(1), 1)
    found = look.accounts_with_due_orders("many-280", 5)
    connection.set_progress_handler(None, 0)
    assert found == [f"many-{number}" for number in range(281, 286)]
    assert len(steps) < 200
    store.close()
