"""One order: what, when, how much; its evidence, its place in the chain, in the books, and its proof."""

from dataclasses import dataclass

from headend.billing.messages import message_of
from headend.billing.pages.desk import Desk, place_of
from headend.billing.pages.suspended import typed_price
from headend.billing.rating import shown_text
from headend.billing.rows import Batch, ChainEnd, Dispute, Entry, Link, NotFoundError, OrderRow, OrderState
from headend.billing.store import BillingTx
from headend.disclosure import Kind, Purpose, Recipient, clear
from headend.kit.side import Attachment, Page, Visit
from shared.named import Evidence, Order

_MOST_LINES = 20


@dataclass(frozen=True)
class Known:
    """What is known of an order; `said` is its signed message as long as that is kept."""

    order: OrderRow
    link: Link
    said: Order | None
    title: str
    window: tuple[int, int] | None
    end: ChainEnd | None
    neighbours: tuple[str | None, str | None]
    entries: list[Entry]
    batch: Batch | None
    disputes: list[Dispute]

    @property
    def evidence(self) -> Evidence | None:
        """What the message says of consent; None once it is forgotten, or if it cannot be read."""
        return None if self.said is None else self.said.evidence


def order(desk: Desk, visit: Visit) -> Page:
    """One order's page.

    Raises:
        BadAddressError: the reference is none.
        NotFoundError: no such order.
    """
    look, ref = desk.store.read(), visit.arg("ref")
    return order_page(desk, visit, known(look, ref))


def order_page(desk: Desk, visit: Visit, found: Known, wrong: str = "") -> Page:
    """An order's page, with why a form on it was refused."""
    look, row = desk.store.read(), found.order
    inside = desk.page(
        visit,
        "order.html",
        known=found,
        order=row,
        wrong=wrong,
        waits=row.state is OrderState.SUSPENDED,
        price=typed_price(row, visit.language),
        audit=look.audit_lines(row.ref, "", None, _MOST_LINES),
        age_ms=desk.now_ms() - row.received_ms,
    )
    about = (row.account,) if row.account else ()
    title = visit.language.text("Order {ref}", ref=row.ref)
    return Page(inside, title=title, about=about, back=("orders", "Orders"))


def known(look: BillingTx, ref: str) -> Known:
    """Everything that is known of an order.

    Raises:
        BadAddressError: the reference is none.
        NotFoundError: no such order.
    """
    box, epoch, seq = place_of(ref)
    row, link = look.order(box, epoch, seq), look.link(box, epoch, seq)
    if row is None or link is None:
        raise NotFoundError(f"no order {ref}")
    entries = look.entries_of(row.ref)
    annex = look.annex(box, epoch, seq)
    offer = None if annex is None else look.offer(annex.offer, annex.offer_version)
    posted = [entry.entry for entry in entries if entry.kind == "usage"]
    about_bill = look.disputes_of(row.invoice) if row.invoice else []
    return Known(
        order=row,
        link=link,
        said=_said(link),
        title="" if offer is None else shown_text(offer),
        window=None if annex is None else (annex.window_from_ms, annex.window_until_ms),
        end=look.chain_end(box, epoch),
        neighbours=look.neighbours(box, epoch, seq),
        entries=entries,
        batch=look.batch_with(posted[0]) if posted else None,
        disputes=[one for one in about_bill if one.order_ref == row.ref],
    )


def _said(link: Link) -> Order | None:
    message = message_of(link)
    return message if isinstance(message, Order) else None


def proof(desk: Desk, visit: Visit) -> Attachment:
    """An order's proof, for its subscriber; that it was made stands in billing's audit.

    Raises:
        BadAddressError: the reference is none.
        NotFoundError: no such order.
        StbError: it cannot be proven (yet), see headend.billing.proving.
    """
    look, (box, epoch, seq) = desk.store.read(), place_of(visit.arg("ref"))
    row = look.order(box, epoch, seq)
    if row is None:
        raise NotFoundError(f"no order {visit.arg('ref')}")
    made = clear(desk.prove(look, row.ref), Kind.INVOICE, Recipient.SUBSCRIBER, Purpose.BILLING)
    now_ms = desk.now_ms()
    desk.store.write(lambda tx: tx.add_audit(now_ms, visit.who, "order proven", row.ref, made.recipient))
    about = (row.account,) if row.account else ()
    return Attachment(made, f"order-{box}-{epoch}-{seq}.json", "application/json", about)
