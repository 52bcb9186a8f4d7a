"""Taking what boxes chain: each order exactly once, whatever the network does.

What is authentic and in sequence is taken whatever it says: it is stored, acknowledged, and rated or
suspended. Identity is (box, epoch, seq), for ever.
"""

import hashlib
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from headend.billing import credits as corrections
from headend.billing import ledger
from headend.billing.rating import HOUR_MS, Reason, TimeBounds, display_text, objection, window_until
from headend.billing.refusals import (
    BoxMismatchError,
    EquivocationError,
    ForkError,
    NoPositionError,
    UnknownBoxError,
    UnknownEpochError,
    WrongSignatureError,
)
from headend.billing.store import (
    Alarm,
    AnnexRow,
    BillingStore,
    BillingTx,
    Box,
    ChainEnd,
    Link,
    NotFoundError,
    OrderRow,
    OrderState,
)
from headend.kit.http import MalformedError, RefusedError
from shared import dsse
from shared.clock import from_ms
from shared.named import (
    Acknowledgement,
    BoxId,
    ChainHead,
    Delivery,
    Offer,
    Order,
    UnreadableMessageError,
    payload_hash,
    read_chained,
    read_head,
    title_hash,
)
from shared.weeks import Month

VELOCITY_LIMIT = 20
"""Paid orders of one account within 24 hours that raise an alarm; they are billed all the same."""
_DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True)
class Signed:
    """An envelope whose signature has been verified, with its place in the chain."""

    envelope: bytes
    payload: bytes
    head: ChainHead
    hash: str


def authenticate(tx: BillingTx, envelope: bytes) -> tuple[Box, bytes]:
    """Verify an envelope of the named line against the box that its key id names.

    1. It is an envelope. 2. The box is enrolled. 3. The signature is that box's.

    Raises:
        MalformedError: it is no envelope.
        UnknownBoxError: no such box.
        WrongSignatureError: another key signed it, a byte was changed, or it is of another payload type.
    """
    try:
        box = tx.box(dsse.read(envelope).keyid)
        key = dsse.public_from_text(box.public_key)
        return box, dsse.verify(envelope, dsse.PayloadType.NAMED, key)
    except NotFoundError as error:
        raise UnknownBoxError("no such box") from error
    except (dsse.BadSignatureError, dsse.WrongPayloadTypeError) as error:
        raise WrongSignatureError("not signed by that box") from error
    except dsse.MalformedEnvelopeError as error:
        raise MalformedError("no envelope") from error


def read_signed(tx: BillingTx, envelope: bytes) -> Signed:
    """Verify a chained message and read its place, and nothing else of it.

    Raises:
        RefusedError: as `authenticate`; or it has no place, or speaks for another box.
    """
    box, payload = authenticate(tx, envelope)
    try:
        head = read_head(payload)
    except UnreadableMessageError as error:
        raise NoPositionError("no place in a chain") from error
    if head.box != box.box:
        raise BoxMismatchError("signed by another box than it speaks for")
    return Signed(envelope, payload, head, payload_hash(payload))


def take(store: BillingStore, envelopes: list[bytes], now_ms: int) -> Acknowledgement:
    """Take a submission and acknowledge, after the commit, what is stored without a gap.

    Everything before a message that is refused is kept; the refusal is raised after the commit too.

    Raises:
        RefusedError: the first refusal among the envelopes.
    """
    signed = [read_signed(store.read(), envelope) for envelope in envelopes]
    first = signed[0].head
    if any((one.head.box, one.head.epoch) != (first.box, first.epoch) for one in signed):
        raise BoxMismatchError("one submission is one box's and one epoch's")
    acknowledgement, refusal = store.write(lambda tx: _take_all(tx, signed, now_ms))
    if refusal is not None:
        raise refusal
    return acknowledgement


def _take_all(
    tx: BillingTx, signed: list[Signed], now_ms: int
) -> tuple[Acknowledgement, RefusedError | None]:
    head = signed[0].head
    refusal = None
    for one in signed:
        refusal = _take_one(tx, one, now_ms)
        if refusal is not None:
            break
    end = tx.chain_end(head.box, head.epoch)
    return Acknowledgement(head.box, head.epoch, end.last_seq if end else 0), refusal


def _take_one(tx: BillingTx, one: Signed, now_ms: int) -> RefusedError | None:
    """1. The epoch was issued. 2. Known position: the same bytes, or an alarm. 3. After a gap: only noted.

    4. Next position: it follows the stored one, or an alarm. 5. Store it, then rate it.
    """
    head = one.head
    end = tx.chain_end(head.box, head.epoch)
    if end is None:
        return UnknownEpochError("never issued")
    if head.seq <= end.last_seq:
        return _compare(tx, one, now_ms)
    if head.seq > end.last_seq + 1:
        tx.tell(head.box, head.epoch, head.seq, now_ms)
        return None
    if head.prev != end.last_hash:
        _alarm(tx, "fork", one, now_ms)
        return ForkError("does not follow")
    _store(tx, one, end, now_ms)
    return None


def _compare(tx: BillingTx, one: Signed, now_ms: int) -> RefusedError | None:
    stored = tx.link(one.head.box, one.head.epoch, one.head.seq)
    if stored is not None and stored.hash == one.hash:
        return None
    _alarm(tx, "equivocation", one, now_ms)
    return EquivocationError("other bytes under the same identity")


def _alarm(tx: BillingTx, kind: str, one: Signed, now_ms: int) -> None:
    detail = f"epoch {one.head.epoch}, seq {one.head.seq}"
    tx.raise_alarm(Alarm(kind, one.head.box, "", detail, now_ms), one.envelope)


def _store(tx: BillingTx, one: Signed, end: ChainEnd, now_ms: int) -> None:
    message = _readable(one.payload)
    bounds = TimeBounds(end.last_ms, now_ms)
    told_ms = message.placed_ms if isinstance(message, Order) else getattr(message, "at_ms", 0)
    effective = bounds.effective(told_ms)
    head = one.head
    kind = "unreadable" if message is None else type(message).__name__.lower()
    digest = hashlib.sha256(one.envelope).hexdigest()
    link = Link(BoxId(head.box), head.epoch, head.seq, one.hash, kind, one.envelope, digest, now_ms)
    tx.add_link(link, effective)
    match message:
        case Order():
            rate(tx, message, link, effective)
        case Delivery():
            note_delivery(tx, message, link)
        case None:
            tx.add_order(_unreadable(tx, link, effective))


def _readable(payload: bytes) -> Order | Delivery | None:
    try:
        return read_chained(payload)
    except UnreadableMessageError:
        return None


def rate(tx: BillingTx, order: Order, link: Link, effective_ms: int) -> OrderRow:
    """Store an order as rated with its ledger entry, zero-rated, or suspended; one order, one outcome."""
    box = tx.box(link.box)
    offer = tx.offer(order.offer, order.offer_version)
    reason = objection(order, offer, effective_ms)
    state = OrderState.SUSPENDED
    if reason is Reason.NONE and offer is not None:
        state, reason = _price(tx, box, offer, effective_ms)
    row = OrderRow(
        box=link.box,
        epoch=link.epoch,
        seq=link.seq,
        account=box.account,
        state=state,
        reason=reason,
        kind=offer.kind if offer else "unknown",
        display=display_text(offer) if offer else "on demand",
        price_cents=order.price_cents,
        currency=order.currency,
        vat_bp=order.vat_bp,
        placed_ms=order.placed_ms,
        effective_ms=effective_ms,
        received_ms=link.received_ms,
        title_hash=title_hash(order.salt, order.offer),
        invoice=None,
    )
    tx.add_order(row)
    if offer is not None and state is not OrderState.SUSPENDED:
        _open(tx, box, offer, order, row)
    if state is OrderState.RATED:
        post_usage(tx, row, link)
        _watch(tx, row)
    return row


def _price(tx: BillingTx, box: Box, offer: Offer, effective_ms: int) -> tuple[OrderState, Reason]:
    if offer.mode == "subscription" or offer.price_cents == 0:
        return OrderState.ZERO_RATED, Reason.SUBSCRIPTION
    if tx.open_window(box.account, offer.offer, effective_ms) is not None:
        return OrderState.ZERO_RATED, Reason.OPEN_WINDOW
    return OrderState.RATED, Reason.NONE


def _open(tx: BillingTx, box: Box, offer: Offer, order: Order, row: OrderRow) -> None:
    # A play inside an open window opens no further one, and a subscription play none at all.
    opens = row.state is OrderState.RATED
    until = window_until(offer, row.effective_ms) if opens else row.effective_ms
    tx.add_annex(
        AnnexRow(
            box=row.box,
            epoch=row.epoch,
            seq=row.seq,
            account=box.account,
            offer=offer.offer,
            offer_version=offer.version,
            title=offer.title,
            salt=order.salt,
            window_from_ms=row.effective_ms,
            window_until_ms=until,
        )
    )


def post_usage(tx: BillingTx, row: OrderRow, link: Link, sign: int = 1) -> None:
    """Post an order's usage to the ledger, or with sign -1 take it back before it was billed."""
    account = tx.account(row.account or "")
    ledger.post_entry(
        tx,
        ledger.Draft(
            kind="usage" if sign > 0 else "usage-reversal",
            account=account.account,
            ref=row.ref,
            month=str(Month.of(from_ms(row.effective_ms), ZoneInfo(account.zone))),
            text=row.display,
            currency=row.currency,
            vat_bp=row.vat_bp,
            proof=f"{link.envelope_hash}:{row.title_hash}",
            at_ms=link.received_ms,
            postings=ledger.usage(sign * row.price_cents),
        ),
    )


def _watch(tx: BillingTx, row: OrderRow) -> None:
    account = tx.account(row.account or "")
    placed, _ = tx.orders_since(account.account, row.effective_ms - _DAY_MS)
    if placed > VELOCITY_LIMIT:
        day = from_ms(row.effective_ms).date().isoformat()
        tx.raise_alarm(Alarm("velocity", row.box, account.account, day, row.received_ms), None)
    limit = account.spending_limit_cents
    if limit is None:
        return
    month = Month.of(from_ms(row.effective_ms), ZoneInfo(account.zone))
    start = month.start(ZoneInfo(account.zone))
    _, spent = tx.orders_since(account.account, int(start.timestamp()) * 1000)
    if spent > limit:
        tx.raise_alarm(Alarm("over-limit", row.box, account.account, str(month), row.received_ms), None)


def _unreadable(tx: BillingTx, link: Link, effective_ms: int) -> OrderRow:
    return OrderRow(
        box=link.box,
        epoch=link.epoch,
        seq=link.seq,
        account=tx.box(link.box).account,
        state=OrderState.SUSPENDED,
        reason=Reason.UNREADABLE,
        kind="unknown",
        display="on demand",
        price_cents=0,
        currency="",
        vat_bp=0,
        placed_ms=0,
        effective_ms=effective_ms,
        received_ms=link.received_ms,
        title_hash="",
        invoice=None,
    )


def note_delivery(tx: BillingTx, delivery: Delivery, link: Link) -> None:
    """A failed delivery is not paid: taken back if it is not billed yet, else credited."""
    order = tx.order(link.box, link.epoch, delivery.order_seq)
    if delivery.outcome != "failed" or order is None:
        return
    if order.state is OrderState.RATED:
        post_usage(tx, order, link, sign=-1)
        tx.set_order_state(order, OrderState.ZERO_RATED, Reason.DELIVERY_FAILED, None)
    elif order.state is OrderState.BILLED:
        corrections.credit_order(tx, order, Reason.DELIVERY_FAILED, link.received_ms)
