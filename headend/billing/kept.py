"""What is kept about one account and until when, without a title: for the privacy officer."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from headend.billing.archive import TABLES
from headend.billing.erasure import Stays, plan_erasure
from headend.billing.periods import Hold, disputed, message_end
from headend.billing.rows import Account
from headend.billing.store import BillingTx
from shared.field_register import Declared, declared


@dataclass(frozen=True)
class Table:
    """One table's rows about an account, and what is declared of it."""

    declared: Declared
    rows: int


@dataclass(frozen=True)
class Titles:
    """The signed orders of an account that go by themselves: how many at which instant (Unix ms)."""

    until: dict[int, int]

    @property
    def ends(self) -> tuple[int, int] | None:
        """When the first and the last of them go by themselves."""
        return (min(self.until), max(self.until)) if self.until else None


@dataclass(frozen=True)
class Kept:
    """Everything that billing keeps about an account, in counts and periods.

    `stays` is what erasure would leave, by reason, ground and end: the latest end of each, and how many.
    """

    account: Account
    tables: list[Table]
    titles: Titles
    stays: list[tuple[Stays, int]]


def kept_about(tx: BillingTx, account: str, now_ms: int) -> Kept:
    """What is kept about an account.

    Raises:
        NotFoundError: no such account.
    """
    who = tx.account(account)
    plan = plan_erasure(tx, account, now_ms)
    return Kept(who, list(_tables(tx, who.account)), _titles(tx, who.account), _grouped(plan.stays))


def _tables(tx: BillingTx, account: str) -> Iterator[Table]:
    known = declared("billing")
    for name in TABLES:
        rows = sum(1 for _ in tx.rows_about(name, account))
        if rows:
            yield Table(known[name], rows)


def _titles(tx: BillingTx, account: str) -> Titles:
    until: Counter[int] = Counter()
    open_disputes = disputed(tx)
    for order in tx.orders_of(account):
        link = tx.link(order.box, order.epoch, order.seq)
        if link is None or link.envelope is None:
            continue
        end = message_end(tx, link, open_disputes)
        if not isinstance(end, Hold):
            until[end] += 1
    return Titles(dict(until))


def _grouped(stays: tuple[Stays, ...]) -> list[tuple[Stays, int]]:
    """One of each reason and ground, the one that stays longest, and how many there are."""
    groups: dict[tuple[str, str], list[Stays]] = {}
    for one in stays:
        groups.setdefault((one.why, one.ground), []).append(one)
    return [(max(same, key=lambda one: one.until_ms or 0), len(same)) for same in groups.values()]
