"""Who bills in a country, and by which law."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from headend.billing import laws, suspense
from headend.billing.documents.document import Seller
from headend.billing.invoices import raise_month
from headend.billing.rows import OrderState
from headend.billing.sellers import BadSellerError, set_seller
from shared.clock import to_ms
from shared.weeks import Month
from tests.builders import DAY, NOW_MS, SigningBox, billing_store, offer

AMSTERDAM = ZoneInfo("Europe/Amsterdam")

SELLER = Seller("NL", "Example TV B.V.", "NL001234567B01", "Straat 1", "1011 AA", "Amsterdam")


def put(store, seller, at=NOW_MS):
    store.write(lambda tx: set_seller(tx, seller, "alice", at))


@pytest.mark.parametrize(
    "changes",
    [
        {"country": "DE"},
        {"vat_number": "BE0123456789"},
        {"vat_number": "NL1"},
        {"name": ""},
        {"name": "  "},
        {"postcode": "1011\x0b"},
        {"street": "x" * 101},
        {"city": "a\nb"},
    ],
    ids=str,
)
def test_a_seller_that_cannot_stand_on_a_bill_is_refused(store, changes):
    with pytest.raises(BadSellerError):
        put(store, replace(SELLER, **changes))
    assert list(store.read().sellers()) == []


def test_a_bill_keeps_its_seller_when_another_takes_over_whatever_the_clock_says(store, box):
    box.submit(box.order())
    raise_month(store, Month(2026, 10), NOW_MS + 30 * DAY)
    (bill,) = store.read().invoices(None, 1)
    assert store.read().seller("NL", bill.issued_ms) is None
    put(store, SELLER, NOW_MS + 40 * DAY)
    assert store.read().seller("NL", bill.issued_ms) == SELLER, "the first one stands on earlier bills too"
    put(store, replace(SELLER, name="Other B.V."), NOW_MS)
    assert store.read().seller("NL", bill.issued_ms) == SELLER
    assert store.read().seller("NL", NOW_MS + 50 * DAY).name == "Other B.V."
    with pytest.raises(BadSellerError):
        put(store, replace(SELLER, name="Other B.V."))


def test_the_packaged_laws_have_rates_by_their_day():
    packaged = laws.packaged()
    assert packaged["NL"].rates_on(NOW_MS, AMSTERDAM) == {0, 900, 2100}
    assert packaged["NL"].rates_on(1_500_000_000_000, AMSTERDAM) == {0, 600, 2100}
    assert packaged["BE"].rates_on(NOW_MS, AMSTERDAM) == {0, 600, 1200, 2100}
    assert packaged["BE"].rates_on(0, AMSTERDAM) == frozenset()


def test_an_operators_own_law_holds_from_its_moment_on(store, box):
    terms = laws.read_law(
        b'currency="EUR"\ndispute_days=30\ndecide_days=10\ntax_years=7\n'
        b"vat_rates=[{from=2000-01-01,bp=[0,1900]}]",
        "NL",
    )
    store.write(lambda tx: laws.set_law(tx, "NL", terms, "alice", NOW_MS + DAY))
    box.submit(box.order())
    later = NOW_MS + 2 * DAY
    box.submit(box.order("film-2", price_cents=399, at_ms=later), now_ms=later)
    assert [box.stored(seq).state for seq in (1, 2)] == [OrderState.RATED, OrderState.SUSPENDED]
    assert box.stored(2).reason == "vat-not-in-force"
    assert laws.law_of(store.read(), "NL", later).dispute_days == 30


@pytest.mark.parametrize(
    ("at", "rates"),
    [
        (datetime(2018, 12, 31, 22, 59, 59, tzinfo=UTC), {0, 600, 2100}),
        (datetime(2018, 12, 31, 23, tzinfo=UTC), {0, 900, 2100}),
    ],
    ids=["before midnight there", "at midnight there"],
)
def test_a_rate_holds_from_midnight_of_its_day_where_the_account_is(at, rates):
    assert laws.packaged()["NL"].rates_on(to_ms(at), AMSTERDAM) == rates


def test_an_order_of_the_first_half_hour_of_a_new_rate_is_rated_and_readmitted_by_it(tmp_path):
    first = datetime(2027, 1, 1, tzinfo=AMSTERDAM)
    at_ms = to_ms(first) + 30 * 60_000
    new = offer("new", vat_bp=2200, valid_from_ms=to_ms(first))
    odd = offer("odd", vat_bp=2200, valid_from_ms=to_ms(first), price_cents=399)
    store = billing_store(tmp_path, new, odd)
    terms = laws.read_law(
        b'currency="EUR"\ndispute_days=92\ndecide_days=30\ntax_years=10\n'
        b"vat_rates=[{from=2019-01-01,bp=[2100]},{from=2027-01-01,bp=[2200]}]",
        "NL",
    )
    store.write(lambda tx: laws.set_law(tx, "NL", terms, "alice", NOW_MS))
    box = SigningBox(store).enrolled()
    box.submit(box.order("new", vat_bp=2200, at_ms=at_ms), now_ms=at_ms)
    assert (box.stored(1).month, box.stored(1).state) == ("2027-01", OrderState.RATED)
    box.submit(box.order("odd", vat_bp=2200, price_cents=398, at_ms=at_ms), now_ms=at_ms)
    decision = suspense.Decision("shown so", "alice", at_ms)
    readmitted = store.write(lambda tx: suspense.readmit(tx, box.stored(2).ref, decision))
    assert (readmitted.state, readmitted.payable) == (OrderState.RATED, 398)
    store.close()


@pytest.mark.parametrize(
    ("raw", "country"),
    [
        (b"tax_years = 7", "NL"),
        (b"not toml at all [", "NL"),
        (b"\xff", "NL"),
        (
            b"currency='EUR'\ndispute_days=0\ndecide_days=1\ntax_years=7\nvat_rates=[{from=2000-01-01,bp=[0]}]",
            "BE",
        ),
        (
            b"currency='EUR'\ndispute_days=1\ndecide_days=1\ntax_years=7\nvat_rates=[{from=2000-01-01,bp=[0]}]",
            "FR",
        ),
    ],
)
def test_terms_that_cannot_be_billed_by_are_refused(raw, country):
    with pytest.raises(laws.BadLawError):
        laws.read_law(raw, country)
