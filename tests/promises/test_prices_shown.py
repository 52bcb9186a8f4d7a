"""What a subscriber pays is the sum of the prices that the screen showed."""

import pytest

from headend.billing.invoices import raise_month
from shared.weeks import Month
from tests.builders import DAY, NOW_MS, SigningBox, billing_store, offer, promotion

pytestmark = pytest.mark.promise


def test_a_bill_is_the_sum_of_the_prices_shown_to_the_cent(tmp_path):
    prices = [199, 299, 399, 499, 499, 499, 1299, 1, 999]
    offers = [offer(f"f{place}", price_cents=price) for place, price in enumerate(prices)]
    store = billing_store(tmp_path, *offers)
    box = SigningBox(store).enrolled()
    for one in offers:
        box.submit(box.order(one.offer, price_cents=one.price_cents))
    raise_month(store, Month(2026, 10), NOW_MS + 30 * DAY)
    (bill,) = store.read().invoices(None, 10)
    assert bill.gross == sum(prices) == sum(line.cents for line in bill.lines)
    store.close()


def test_another_price_than_the_one_shown_is_never_billed(tmp_path):
    store = billing_store(tmp_path, offer(price_cents=499))
    box = SigningBox(store).enrolled()
    for lie in (1, 498, 500, 49900):
        box.submit(box.order(price_cents=lie))
    assert raise_month(store, Month(2026, 10), NOW_MS + 30 * DAY) == 0
    store.close()


def test_what_a_promotion_took_off_on_the_screen_is_off_the_bill_and_nothing_else_is(tmp_path):
    store = billing_store(tmp_path, offer(), offer("film-2"), promotions=(promotion(),))
    box = SigningBox(store).enrolled()
    box.submit(box.order(promotion="autumn", promotion_version=1, credit_cents=200))
    box.submit(box.order("film-2", promotion="autumn", promotion_version=1, credit_cents=300))
    raise_month(store, Month(2026, 10), NOW_MS + 30 * DAY)
    (bill,) = store.read().invoices(None, 10)
    assert bill.gross == 499 - 200 == sum(line.cents for line in bill.lines)
    store.close()
