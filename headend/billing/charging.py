"""Charging: what becomes of an order once it is taken. One order, one outcome, in one transaction."""

from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from headend.billing import ledger
from headend.billing.laws import law_of
from headend.billing.rating import (
    HOUR_MS,
    Reason,
    Terms,
    TimeBounds,
    costs_nothing,
    display_text,
    objection,
    window_until,
)
from headend.billing.rows import Account, Alarm, AnnexRow, Link, NotFoundError, OrderRow, OrderState
from headend.billing.store import BillingTx
from shared.clock import from_ms, to_ms
from shared.named import AccountId, Offer, Order, Promotion, title_hash
from shared.weeks import Month

VELOCITY_LIMIT = 20
"""Paid orders of one account within 24 hours that raise an alarm; they are billed all the same."""
_DAY_MS = 24 * HOUR_MS
UNKNOWN = "on demand"
"""What is said of an order whose offer nobody knows."""


def rate(tx: BillingTx, order: Order, link: Link, effective_ms: int) -> OrderRow:
    """Store an order as rated with its ledger entry, zero-rated, or suspended."""
    named = named_by(tx, order, link, effective_ms)
    offer, row = named.offer, row_of(order, link, effective_ms, named)
    reason = _objection(tx, row, order, named)
    if reason is Reason.NONE and offer is not None:
        row = _decided(tx, row, offer)
    else:
        row = replace(row, state=OrderState.SUSPENDED, reason=reason)
    tx.add_order(row)
    if row.state is not OrderState.SUSPENDED and offer is not None and named.account is not None:
        _carry_out(tx, row, link, (offer, order.salt), link.received_ms)
        _watch(tx, row, named.account)
    _look_at_binding(tx, row)
    return row


def readmit(tx: BillingTx, row: OrderRow, meant: tuple[Offer, str] | None, now_ms: int) -> OrderRow:
    """Charge what waited in suspense, as `row` says now; `meant` are its offer and salt, if they are known.

    If the account has a window open for the same title, before or after it, the subscriber pays once: this
    order is zero-rated.
    """
    link = _message(tx, row)
    if meant is None:
        charged = replace(row, state=OrderState.RATED)
        tx.set_order(charged)
        post_usage(tx, charged, link, now_ms)
        return charged
    offer, _ = meant
    account = tx.account(row.account or "")
    decided = _decided(tx, row, offer)
    tx.set_order(decided)
    _carry_out(tx, decided, link, meant, now_ms)
    _watch(tx, decided, account)
    return decided


def take_back(tx: BillingTx, row: OrderRow, reason: str, now_ms: int) -> None:
    """Charge an order no more that is on no bill yet, for a reason."""
    post_usage(tx, row, _message(tx, row), now_ms, back=True)
    tx.set_order(replace(row, state=OrderState.ZERO_RATED, reason=reason))


def charge_play(tx: BillingTx, row: OrderRow, order: Order, offer: Offer, now_ms: int) -> None:
    """Charge a play of an open window, at what its screen showed, if its window is paid by no other order.

    What paid for it once and was credited for another reason than its delivery pays for it still.
    """
    if tx.open_window(row.account or "", offer.offer, *_window(row, offer), credited=True) is not None:
        return
    link = _message(tx, row)
    charged = replace(row, state=OrderState.RATED, reason=Reason.NONE)
    if row.price_cents == order.price_cents:  # in a corrected price the promotion has no part
        said = row_of(order, link, row.effective_ms, named_by(tx, order, link, row.effective_ms))
        charged = replace(
            charged, promotion=said.promotion, category=said.category, credit_cents=said.credit_cents
        )
    tx.set_order(charged)
    tx.set_window(row.box, row.epoch, row.seq, window_until(offer, row.effective_ms))
    post_usage(tx, charged, link, now_ms)
    _watch(tx, charged, tx.account(row.account or ""))


def _message(tx: BillingTx, row: OrderRow) -> Link:
    link = tx.link(row.box, row.epoch, row.seq)
    if link is None:
        raise NotFoundError(f"no message {row.ref}")
    return link


def read_again(tx: BillingTx, order: Order, link: Link, waiting: OrderRow) -> OrderRow:
    """Store what an order says that could not be read when it came, as it would have been rated then.

    It waits still: for the objection that there is to it, or as `unreadable` if there is none.
    """
    # What cannot be read has its neighbour's time.
    effective_ms = TimeBounds(waiting.effective_ms, link.received_ms).effective(order.placed_ms)
    named = named_by(tx, order, link, effective_ms)
    row = row_of(order, link, effective_ms, named)
    reason = _objection(tx, row, order, named) or Reason.UNREADABLE
    row = replace(row, state=OrderState.SUSPENDED, reason=reason)
    tx.set_kind(link.box, link.epoch, link.seq, "order")
    tx.set_order(row)
    return row


@dataclass(frozen=True)
class Named:
    """What an order names, as far as it is known: its offer, its promotion, and whose box it came from."""

    offer: Offer | None
    promotion: Promotion | None
    account: Account | None


def named_by(tx: BillingTx, order: Order, link: Link, effective_ms: int) -> Named:
    """Look up what an order names."""
    version = order.promotion_version
    account = tx.bound_account(link.box, effective_ms)
    return Named(
        offer=tx.offer(order.offer, order.offer_version),
        promotion=None if order.promotion is None else tx.promotion(order.promotion, version or 0),
        account=None if account is None else tx.account(account),
    )


def row_of(order: Order, link: Link, effective_ms: int, named: Named) -> OrderRow:
    """An order as its message says it, not yet held against anything."""
    offer, promotion, account = named.offer, named.promotion, named.account
    return OrderRow(
        box=link.box,
        epoch=link.epoch,
        seq=link.seq,
        account=None if account is None else account.account,
        state=OrderState.RATED,
        reason=Reason.NONE,
        kind=offer.kind if offer else "unknown",
        display=display_text(offer) if offer else UNKNOWN,
        price_cents=order.price_cents,
        currency=order.currency,
        vat_bp=order.vat_bp,
        placed_ms=order.placed_ms,
        effective_ms=effective_ms,
        received_ms=link.received_ms,
        title_hash=title_hash(order.salt, order.offer),
        month=month_of(account, effective_ms),
        promotion=order.promotion or "",
        category=promotion.category if promotion else "",
        # What is shown can be any number; what it could take off cannot be more than the price.
        credit_cents=min(order.credit_cents, order.price_cents),
        credited_cents=0,
        invoice=None,
    )


def month_of(account: Account | None, effective_ms: int) -> str:
    """The usage month in the account's zone; in UTC where nobody knows the account."""
    zone = ZoneInfo("UTC" if account is None else account.zone)
    return str(Month.of(from_ms(effective_ms), zone))


def _objection(tx: BillingTx, row: OrderRow, order: Order, named: Named) -> Reason:
    account = named.account
    if account is None:
        return Reason.UNBOUND
    law = law_of(tx, account.country, row.effective_ms)
    terms = Terms(
        offer=named.offer,
        promotion=named.promotion,
        uses=tx.promotion_uses(account.account, order.promotion) if order.promotion else 0,
        vat_rates=law.rates_on(row.effective_ms, ZoneInfo(account.zone)),
        currency=law.currency,
    )
    return objection(order, terms, row.effective_ms)


def _decided(tx: BillingTx, row: OrderRow, offer: Offer) -> OrderRow:
    """Rated, or zero-rated with the reason; a promotion is not used up by what costs nothing anyway."""
    reason = Reason.NONE
    if costs_nothing(offer):
        reason = Reason.SUBSCRIPTION
    elif tx.open_window(row.account or "", offer.offer, *_window(row, offer)) is not None:
        reason = Reason.OPEN_WINDOW
    if reason is Reason.NONE:
        return row if row.state is OrderState.RATED else replace(row, state=OrderState.RATED)
    return replace(row, state=OrderState.ZERO_RATED, reason=reason, promotion="", category="", credit_cents=0)


def _window(row: OrderRow, offer: Offer) -> tuple[int, int]:
    """The window that the order would open: one that overlaps it pays for both, whichever came first."""
    return row.effective_ms, window_until(offer, row.effective_ms)


def _carry_out(tx: BillingTx, row: OrderRow, link: Link, meant: tuple[Offer, str], now_ms: int) -> None:
    offer, salt = meant
    rated = row.state is OrderState.RATED
    tx.add_annex(
        AnnexRow(
            box=row.box,
            epoch=row.epoch,
            seq=row.seq,
            account=AccountId(row.account or ""),
            offer=offer.offer,
            offer_version=offer.version,
            title=offer.title,
            salt=salt,
            window_from_ms=row.effective_ms,
            # A play inside an open window opens no further one, and a subscription play none at all.
            window_until_ms=window_until(offer, row.effective_ms) if rated else row.effective_ms,
        )
    )
    if rated:
        post_usage(tx, row, link, now_ms)


def post_usage(tx: BillingTx, row: OrderRow, link: Link, at_ms: int, *, back: bool = False) -> None:
    """Post an order's usage and its promotion's credit to the ledger, or take both back before it is billed.

    `link` is the order's own message, `at_ms` the moment of posting.
    """
    sign, suffix = (-1, "-reversal") if back else (1, "")
    draft = ledger.Draft(
        kind=f"usage{suffix}",
        account=row.account or "",
        ref=row.ref,
        month=row.month,
        text=row.display,
        currency=row.currency,
        vat_bp=row.vat_bp,
        proof=f"{link.envelope_hash}:{row.title_hash}",
        at_ms=at_ms,
        amounts=ledger.usage(sign * row.price_cents),
    )
    tx.post(draft)
    if row.credit_cents:
        off = ledger.usage(-sign * row.credit_cents)
        tx.post(replace(draft, kind=f"promotion{suffix}", text=row.category, amounts=off))


def _watch(tx: BillingTx, row: OrderRow, account: Account) -> None:
    """Look how much an account orders, and for how much, at an order that costs something."""
    if row.state is not OrderState.RATED:
        return
    until_ms = row.effective_ms + 1
    paid = tx.paid_orders(account.account, until_ms - _DAY_MS, until_ms, VELOCITY_LIMIT + 1)
    if paid > VELOCITY_LIMIT:
        day = from_ms(row.effective_ms).date().isoformat()
        tx.raise_alarm(Alarm("velocity", row.box, account.account, day, row.received_ms), None)
    limit = account.spending_limit_cents
    if limit is None:
        return
    month, zone = Month.parse(row.month), ZoneInfo(account.zone)
    if tx.spent(account.account, to_ms(month.start(zone)), to_ms(month.end(zone))) > limit:
        tx.raise_alarm(Alarm("over-limit", row.box, account.account, row.month, row.received_ms), None)


def _look_at_binding(tx: BillingTx, row: OrderRow) -> None:
    """An order of a time at which the box was bound elsewhere goes to that account, and somebody looks."""
    box = tx.box(row.box)
    now_bound = None if box.released_ms is not None else box.account
    if row.account != now_bound:
        detail = f"epoch {row.epoch}, seq {row.seq}: ordered under {row.account or 'no account'}"
        tx.raise_alarm(Alarm("wrong-binding", row.box, row.account or "", detail, row.received_ms), None)


def unreadable(tx: BillingTx, link: Link, effective_ms: int) -> OrderRow:
    """The row of an authentic message that cannot be read: it waits, and blocks nothing."""
    account = tx.bound_account(link.box, effective_ms)
    return OrderRow(
        box=link.box,
        epoch=link.epoch,
        seq=link.seq,
        account=account,
        state=OrderState.SUSPENDED,
        reason=Reason.UNREADABLE,
        kind="unknown",
        display=UNKNOWN,
        price_cents=0,
        currency="",
        vat_bp=0,
        placed_ms=0,
        effective_ms=effective_ms,
        received_ms=link.received_ms,
        title_hash="",
        month=month_of(None if account is None else tx.account(account), effective_ms),
        promotion="",
        category="",
        credit_cents=0,
        credited_cents=0,
        invoice=None,
    )
