"""A desk over a store that has lived: orders in every state, bills, a credit, disputes, batches, alarms."""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headend.billing import credits as corrections
from headend.billing import disputes, exports
from headend.billing.documents.document import Seller
from headend.billing.invoices import raise_month
from headend.billing.pages.desk import Desk
from headend.billing.pages.offered import make_deeds, make_downloads, make_pages
from headend.billing.proving import prove
from headend.billing.rows import Alarm
from headend.billing.sqlite import SqliteBilling
from headend.kit.jobs import Slot
from headend.kit.side import Attachment, Done, Page
from shared.clock import from_ms
from shared.weeks import Month
from tests import engines
from tests.builders import (
    CATALOGUE_KEY,
    DAY,
    HOUR,
    NOW_MS,
    SigningBox,
    account,
    billing_store,
    offer,
    visit,
)

BILLED_MS = NOW_MS + 28 * DAY
LATER_MS = BILLED_MS + 2 * DAY


@dataclass
class Office:
    """The pages as the console would ask them, over one store, at a moment that a test may move."""

    store: SqliteBilling
    now_ms: int = LATER_MS

    @property
    def desk(self) -> Desk:
        key = CATALOGUE_KEY
        return Desk(
            store=self.store,
            now_ms=lambda: self.now_ms,
            prove=lambda look, ref: prove(look, ref, key),
            head_of=lambda batch: exports.own_head(batch, key),
            signed_head=lambda batch: exports.signed_head(batch, key),
            random_bytes=secrets.token_bytes,
            next_bills=lambda: Slot("2026-11", from_ms(LATER_MS + 30 * DAY)),
        )

    def look(self, path: str, language: str = "en", **args: str) -> Page:
        part = next(part for part in make_pages(self.desk) if part.path == path)
        found = part.render(visit(args, path=path, language=language))
        return found if isinstance(found, Page) else Page(found)

    def do(self, path: str, args: Mapping[str, str], language: str = "en") -> Done | Page:
        deed = next(deed for deed in make_deeds(self.desk) if deed.path == path)
        return deed.do(visit(args, path=path, language=language))

    def file(self, path: str, **args: str) -> Attachment:
        found = next(found for found in make_downloads(self.desk) if found.path == path)
        return found.make(visit(args, path=path))

    def confirm(self, page: Page, path: str, more: Mapping[str, str] | None = None) -> Done | Page:
        """Send the form of a preview, as a browser would."""
        return self.do(path, {**fields(page.inside, path), **(more or {})})

    def everything(self) -> str:
        """What stands in the database, to see that a preview changes none of it."""
        return engines.dump(engines.where(self.store))


def fields(html: str, path: str) -> dict[str, str]:
    """The fields of the form on a page that is sent to a path."""
    form = html.rsplit(f'action="/console/{path}"', maxsplit=1)[-1].split("</form>", maxsplit=1)[0]
    found = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))
    return {name: value for name, value in found.items() if name != "csrf"}


def text_of(page: Page) -> str:
    """What a page says, without its marks."""
    bare = re.sub(r"<[^>]+>", " ", page.inside)
    return re.sub(r"\s+", " ", bare).replace("&#39;", "'")


def lived(folder: Path) -> tuple[Office, SigningBox]:
    """October: five orders of one box, of which three are billed; two wait. A neighbour orders as well."""
    sold = (
        offer(),
        offer("film-2", price_cents=399, display="class", title="Another Film"),
        offer("late", price_cents=299, display="amount", title="A Third Film"),
        offer("included", mode="subscription", price_cents=0, title="A Fourth Film"),
    )
    store = billing_store(folder, *sold)
    store.write(lambda tx: tx.add_account(account("acc-2", country="BE", language="fr")))
    store.write(
        lambda tx: tx.add_seller(Seller("NL", "Example Cable", "NL001B01", "Street 1", "1011AA", "Town"), 0)
    )
    box, other = SigningBox(store).enrolled(), SigningBox(store, "acc-2").enrolled()
    said = [box.order(), box.order("film-2", price_cents=399), box.order("late", price_cents=299)]
    said += [box.order(price_cents=450), box.order("unknown"), box.order("included", price_cents=0)]
    box.submit(*said, now_ms=NOW_MS + HOUR)
    other.submit(other.order("film-2", price_cents=399))
    raise_month(store, Month(2026, 10), BILLED_MS)
    return Office(store), box


def bill_of(office: Office, name: str = "acc-1") -> str:
    return next(bill.number for bill in office.store.read().invoices(name, 10) if bill.kind == "invoice")


def credited(office: Office, ref: str, cents: int) -> str:
    number = bill_of(office)
    note = office.store.write(
        lambda tx: corrections.credit_by(tx, number, {ref: cents}, ("mistake", "erin", LATER_MS))
    )
    return note.number


def disputed(office: Office, ref: str, at_ms: int = LATER_MS) -> int:
    number = bill_of(office)
    opened = office.store.write(lambda tx: disputes.open_dispute(tx, number, ref, "not me", at_ms))
    return opened.dispute


def closed(office: Office) -> Any:
    return office.store.write(lambda tx: exports.close_batch(tx, LATER_MS))


def alarmed(office: Office, box: SigningBox, kind: str = "gap") -> None:
    alarm = Alarm(kind, box.box, "acc-1", "epoch 1, from seq 7", LATER_MS)
    office.store.write(lambda tx: tx.raise_alarm(alarm, None))


Make = Callable[[], tuple[Office, SigningBox]]
