"""Promotions and previews: what takes cents off an order, and what is not charged at all."""

import msgspec
import pytest

from headend.billing.catalogue import BadCatalogueError, publish_catalogue, read_promotions
from headend.billing.invoices import raise_month
from headend.billing.reconcile import reconcile
from headend.billing.rows import OrderState
from shared.weeks import Month
from tests.builders import CATALOGUE_KEY, DAY, NOW_MS, SigningBox, billing_store, offer, promotion

MINUTE = 60_000
SHOWN = {"promotion": "autumn", "promotion_version": 1, "credit_cents": 200}


@pytest.fixture
def store(tmp_path):
    store = billing_store(
        tmp_path,
        offer(),
        offer("film-2", price_cents=150),
        offer("film-3"),
        offer("film-4"),
        offer("game", kind="game"),
        offer("previewed", preview_minutes=5),
        promotions=(promotion(), promotion("over", valid_to_ms=NOW_MS - DAY)),
    )
    yield store
    store.close()


@pytest.fixture
def box(store):
    return SigningBox(store).enrolled()


def bill(store):
    raise_month(store, Month(2026, 10), NOW_MS + 30 * DAY)
    (found,) = store.read().invoices(None, 10)
    return found


def test_a_promotion_takes_its_credit_off_and_names_its_category_on_the_bill(store, box):
    box.submit(box.order(**SHOWN))
    assert store.read().ledger_totals(1, None)["unbilled"] == 299
    found = bill(store)
    assert found.gross == 299
    assert [(line.kind, line.text, line.cents) for line in found.lines] == [
        ("order", "film", 499),
        ("promotion", "campaign", -200),
    ]
    assert reconcile(store.read()).closes


def test_a_promotion_never_takes_more_off_than_the_price(store, box):
    box.submit(box.order("film-2", price_cents=150, **{**SHOWN, "credit_cents": 150}))
    assert box.stored(1).state is OrderState.RATED
    assert bill(store).gross == 0
    assert reconcile(store.read()).closes


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("film-1", {"credit_cents": 300}, "promotion-mismatch"),
        ("film-1", {"credit_cents": 10_000_000}, "promotion-mismatch"),
        ("film-1", {"promotion": None, "promotion_version": None}, "promotion-mismatch"),
        ("film-1", {"promotion": "winter"}, "unknown-promotion"),
        ("film-1", {"promotion_version": 2}, "unknown-promotion"),
        ("film-1", {"promotion": "over"}, "promotion-not-valid"),
        ("game", {}, "promotion-mismatch"),
    ],
)
def test_a_promotion_that_was_not_offered_so_waits_in_suspense(store, box, name, changes, reason):
    assert box.submit(box.order(name, **{**SHOWN, **changes})).ack == 1
    assert (box.stored(1).state, box.stored(1).reason) == (OrderState.SUSPENDED, reason)
    assert reconcile(store.read()).closes


def test_a_promotion_is_used_up_by_the_account_whichever_box_orders(store, box):
    second = SigningBox(store).enrolled()
    box.submit(box.order(**SHOWN))
    second.submit(second.order("film-3", **SHOWN))
    box.submit(box.order("film-4", **SHOWN))
    assert (box.stored(2).state, box.stored(2).reason) == (OrderState.SUSPENDED, "promotion-used-up")


def test_an_order_that_costs_nothing_uses_no_promotion_up(store, box):
    box.submit(box.order(**SHOWN), box.order(**SHOWN))
    assert box.stored(2).state is OrderState.ZERO_RATED
    assert store.read().promotion_uses("acc-1", "autumn") == 1


def test_a_failed_delivery_takes_price_and_promotion_back(store, box):
    box.submit(box.order(**SHOWN), box.delivery(1, "failed"))
    assert set(store.read().ledger_totals(1, None).values()) == {0}
    assert store.read().promotion_uses("acc-1", "autumn") == 0


def test_an_order_stopped_within_its_preview_is_not_charged(store, box):
    at = NOW_MS + 5 * MINUTE - 1
    box.submit(box.order("previewed"), box.delivery(1, "stopped", at), now_ms=at)
    assert (box.stored(1).state, box.stored(1).reason) == (OrderState.ZERO_RATED, "stopped-in-preview")
    assert reconcile(store.read()).closes
    box.submit(box.order("previewed", at_ms=at), now_ms=at)
    assert box.stored(3).state is OrderState.RATED, "an order that was stopped leaves no window open"


@pytest.mark.parametrize(("name", "after"), [("previewed", 5 * MINUTE), ("film-1", 0), ("film-1", -DAY)])
def test_a_stop_after_the_preview_or_without_one_changes_nothing(store, box, name, after):
    at = NOW_MS + max(after, 0)
    box.submit(box.order(name), box.delivery(1, "stopped", NOW_MS + after), now_ms=at)
    assert box.stored(1).state is OrderState.RATED


def test_a_stop_that_arrives_after_the_bill_is_credited(store, box):
    box.submit(box.order("previewed"))
    bill(store)
    box.submit(box.delivery(1, "stopped", NOW_MS + MINUTE), now_ms=NOW_MS + 31 * DAY)
    assert box.stored(1).state is OrderState.CREDITED
    assert reconcile(store.read()).billed_cents == 0


def test_what_was_credited_uses_no_promotion_up(store, box):
    box.submit(box.order(**SHOWN))
    bill(store)
    box.submit(box.delivery(1, "failed", NOW_MS + MINUTE), now_ms=NOW_MS + 31 * DAY)
    assert store.read().promotion_uses("acc-1", "autumn") == 0


@pytest.mark.parametrize("ahead", [3 * 60 * MINUTE, -3 * 60 * MINUTE])
def test_a_stop_counts_from_its_order_by_the_boxs_own_clock_however_wrong_and_late(store, box, ahead):
    placed = NOW_MS + DAY + ahead
    ordered = box.order("previewed", at_ms=placed)
    box.submit(ordered, now_ms=NOW_MS + DAY)
    box.submit(box.delivery(1, "stopped", placed + 4 * MINUTE), now_ms=NOW_MS + 2 * DAY)
    assert box.stored(1).reason == "stopped-in-preview"


HEADER = "promotion,version,category,kinds,credit_cents,currency,per_account,valid_from_ms,valid_to_ms\n"


def test_promotions_are_read_from_csv_and_json_alike():
    (from_csv,) = read_promotions((HEADER + "x,1,welcome,film game,200,EUR,1,1,2\n").encode(), "csv")
    (from_json,) = read_promotions(msgspec.json.encode([from_csv]), "json")
    assert from_csv == from_json
    assert (from_csv.kinds, from_csv.credit_cents) == (["film", "game"], 200)


def test_every_bad_promotion_is_named_by_its_row_and_none_is_imported():
    rows = (
        "x,1,welcome,film,200,EUR,1,1,2\n"
        "x,1,welcome,film,200,EUR,1,1,2\n"
        "y,1,bribe,film,200,EUR,1,1,2\n"
        "z,1,welcome,film film,200,EUR,1,1,2\n"
        "w,1,welcome,film,0,EUR,1,1,2\n"
        "v,1,welcome,film,200,EUR,1,2,2\n"
        "u\x1b,1,welcome,film,200,EUR,1,1,2\n"
    )
    with pytest.raises(BadCatalogueError) as error:
        read_promotions((HEADER + rows).encode(), "csv")
    told = [line.split(":")[0] for line in str(error.value).splitlines()]
    assert told == ["row 3", "row 4", "row 5", "row 6", "row 7", "row 8"]


def test_a_promotions_version_cannot_be_published_again_with_other_terms(store):
    other = promotion(credit_cents=1)
    with pytest.raises(BadCatalogueError, match="autumn: version 1 stands already"):
        store.write(lambda tx: publish_catalogue(tx, [offer()], CATALOGUE_KEY, NOW_MS, [other]))
    assert store.read().promotion("autumn", 1) == promotion()
