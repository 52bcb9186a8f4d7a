"""What has been erased is gone from the database file itself, on request and when its period is over."""

from zoneinfo import ZoneInfo

import pytest

from headend.billing.erasure import erase
from headend.billing.exports import close_batch
from headend.billing.invoices import as_shown, raise_month
from headend.billing.reconcile import reconcile
from headend.billing.retention import forget_due
from shared import dsse
from shared.named import read_chained
from shared.weeks import Month
from tests import engines
from tests.builders import DAY, NOW_MS, SigningBox, billing_store, offer
from tests.promises.needles import Needles

pytestmark = pytest.mark.promise

TITLE = "A Film That Nobody Else Ordered"
BILLED_MS = NOW_MS + 30 * DAY
OVER_MS = BILLED_MS + 93 * DAY
"""After the last of the 92 days on which the bill can be disputed."""


@pytest.fixture
def lived(tmp_path):
    """One account that ordered a title of its own, was billed for it, and sent other bytes in its place."""
    store = billing_store(tmp_path, offer("own-film", title=TITLE), offer("other-film", price_cents=399))
    box = SigningBox(store).enrolled()
    box.submit(box.order("own-film"), box.delivery(1, "confirmed"))
    twin = SigningBox(store, key=box.key, box=box.box)
    twin.order("own-film", at_ms=NOW_MS + 1)
    with pytest.raises(Exception, match="other bytes"):
        twin.submit(*twin.sent)
    raise_month(store, Month(2026, 10), BILLED_MS)
    store.write(lambda tx: close_batch(tx, BILLED_MS))
    box.sent += twin.sent
    yield box
    store.close()


def secrets_of(box):
    """What would link this account to the title: the signed bytes, their signature and payload, the salt."""
    found = []
    for envelope in box.sent:
        payload = dsse.read(envelope).unverified_payload
        message = read_chained(payload)
        found += [envelope, payload]
        if hasattr(message, "salt"):
            salt = bytes.fromhex(message.salt)
            found += [salt, message.salt.encode(), salt + message.offer.encode()]
    return found


def on_disk(store):
    return engines.on_disk(engines.where(store))


def linked(store):
    """Rows of any table that name the title or its offer together with the account or one of its boxes."""
    found = engines.contents(store.storage.read())
    rows = [(table, str(row)) for table, held in found.items() for row in held]
    return {table for table, row in rows if ("own-film" in row or TITLE in row) and table not in SOLD}


SOLD = {"catalogues", "offers"}
"""What everybody is offered holds every title; it names nobody."""


def test_what_is_looked_for_is_there_before(lived):
    found = {value for _, value in Needles(secrets_of(lived)).found_in(on_disk(lived.store))}
    assert set(lived.sent) <= found
    assert linked(lived.store) >= {"annex"}


@pytest.mark.parametrize("how", ["on request", "by time"])
def test_nothing_that_links_the_account_to_the_title_is_left_in_the_file(lived, how):
    if how == "on request":
        lived.store.write(lambda tx: erase(tx, "acc-1", "alice", BILLED_MS))
    else:
        forget_due(lived.store, OVER_MS, ZoneInfo("UTC"))
    assert Needles(secrets_of(lived)).found_in(on_disk(lived.store)) == set()
    assert linked(lived.store) == set()


def test_the_hashes_stand_the_books_close_and_the_bill_says_the_class(lived):
    before = lived.store.read().usage_entry(f"{lived.box}/1/1")
    lived.store.write(lambda tx: erase(tx, "acc-1", "alice", BILLED_MS))
    look = lived.store.read()
    assert look.usage_entry(f"{lived.box}/1/1") == before
    assert reconcile(look).closes
    (bill,) = look.invoices(None, 9)
    assert [line.text for line in as_shown(look, bill).lines] == ["film"]
