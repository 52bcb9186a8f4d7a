"""What this box remembers of its orders: which run, what they cost, what became of them."""

from dataclasses import dataclass, replace

from box_agent.store import Door

_UNPAID = ("failed", "stopped")


@dataclass(frozen=True)
class Placed:
    """An order's place in the chain, and what it costs in whole cents including VAT.

    `repeated` if an open window made a new order needless: price and credit are the earlier order's, and
    nothing more is to be paid. `preview_until_ms`: until then it can be stopped without being charged.
    """

    seq: int
    offer: str
    placed_ms: int
    until_ms: int | None
    price_cents: int
    credit_cents: int
    to_pay_cents: int
    currency: str
    promotion: str | None
    preview_until_ms: int | None
    genre: str | None = None
    repeated: bool = False


@dataclass(frozen=True)
class Kept:
    """An order as the household may look it up; `acknowledged` once the headend has stored it."""

    seq: int
    offer: str
    title: str
    price_cents: int
    currency: str
    placed_ms: int
    until_ms: int | None
    outcome: str | None
    promotion: str | None
    credit_cents: int
    preview_until_ms: int | None
    acknowledged: bool


@dataclass(frozen=True)
class Standing:
    """What became of an order so far, and until when it can be stopped without being charged."""

    outcome: str | None
    preview_until_ms: int | None

    @property
    def is_paid(self) -> bool:
        """Whether it is paid: neither failed nor stopped."""
        return self.outcome not in _UNPAID


class KeptOrders:
    """The orders that this box remembers. What changes them joins the transaction that places a message."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def running(self, offer: str, now_ms: int) -> Placed | None:
        """The order of an offer whose window is open now, as the answer to a needless new one."""
        row = self._door.row(
            "SELECT seq, offer, placed_ms, until_ms, price_cents, credit_cents, 0, currency, promotion,"
            " preview_until_ms FROM orders WHERE offer = ? AND until_ms > ?"
            " AND coalesce(outcome, '') NOT IN ('failed', 'stopped') ORDER BY placed_ms DESC",
            (offer, now_ms),
        )
        return None if row is None else replace(Placed(*row), repeated=True)

    def used(self, promotion: str) -> int:
        """How many orders of this box have used a promotion; what is not paid uses none."""
        row = self._door.row(
            "SELECT count(*) FROM orders WHERE promotion = ?"
            " AND coalesce(outcome, '') NOT IN ('failed', 'stopped')",
            (promotion,),
        )
        return int(row[0]) if row else 0

    def keep(self, placed: Placed, title: str, promotion_until_ms: int | None) -> None:
        """Remember an order of the present epoch; its use of a promotion at least until that ends."""
        self._door.write(
            "INSERT INTO orders (epoch, seq, offer, title, price_cents, currency, placed_ms, until_ms,"
            " promotion, credit_cents, promotion_until_ms, preview_until_ms)"
            " VALUES ((SELECT epoch FROM head), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                placed.seq,
                placed.offer,
                title,
                placed.price_cents,
                placed.currency,
                placed.placed_ms,
                placed.until_ms,
                placed.promotion,
                placed.credit_cents,
                promotion_until_ms,
                placed.preview_until_ms,
            ),
        )

    def standing(self, seq: int) -> Standing | None:
        """How an order of the present epoch stands; None if there is none."""
        row = self._door.row(
            "SELECT outcome, preview_until_ms FROM orders WHERE seq = ? AND epoch = (SELECT epoch FROM head)",
            (seq,),
        )
        return None if row is None else Standing(*row)

    def set_outcome(self, seq: int, outcome: str) -> None:
        """Remember what became of an order of the present epoch."""
        self._door.write(
            "UPDATE orders SET outcome = ? WHERE seq = ? AND epoch = (SELECT epoch FROM head)", (outcome, seq)
        )

    def all(self) -> list[Kept]:
        """Every order, the oldest first."""
        rows = self._door.rows(
            "SELECT o.seq, offer, title, price_cents, currency, placed_ms, until_ms, outcome,"
            " promotion, credit_cents, preview_until_ms,"
            " o.epoch < head.epoch OR o.seq <= acked FROM orders o CROSS JOIN head ORDER BY o.epoch, o.seq"
        )
        return [Kept(*(*row[:-1], bool(row[-1]))) for row in rows]

    def forget(self, limit_ms: int, now_ms: int) -> None:
        """Forget acknowledged orders from before the limit whose window is over.

        One with a promotion stays while that is in force, so that it is not used more often.
        """
        self._door.write(
            "DELETE FROM orders WHERE placed_ms < ? AND coalesce(until_ms, 0) <= ?"
            " AND coalesce(promotion_until_ms, 0) <= ? AND"
            " (epoch < (SELECT epoch FROM head) OR seq <= (SELECT acked FROM head))",
            (limit_ms, now_ms, now_ms),
        )
