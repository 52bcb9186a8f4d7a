"""What billing's database has to keep: the Protocol that every implementation of it follows.

Rows stand in headend.billing.rows, what keeps books in headend.billing.books, what forgets in
headend.billing.forgetting, what lists in headend.billing.lists and headend.billing.fleet.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from headend.billing.books import BooksTx
from headend.billing.fleet import FleetTx
from headend.billing.forgetting import ForgettingTx
from headend.billing.lists import ListsTx
from headend.billing.rows import (
    Account,
    Alarm,
    AnnexRow,
    Box,
    ChainEnd,
    Link,
    OrderRow,
    OrderState,
)
from headend.kit.engine import Shelf
from headend.kit.runs import Run
from shared.named import AccountId, BoxId, Offer, Promotion

T = TypeVar("T")


class BillingTx(BooksTx, ForgettingTx, ListsTx, FleetTx, Protocol):
    """One transaction, or one look, at what billing remembers."""

    def stamp(self, fact: str, value: str) -> str:
        """Remember a fact of the installation if it is not known yet; gives what is known."""
        ...

    # --- accounts and boxes
    def add_account(self, account: Account) -> None:
        """Store a new account."""
        ...

    def account(self, account: str) -> Account:
        """One account; raises NotFoundError."""
        ...

    def accounts(self) -> Iterator[Account]:
        """All accounts, in order."""
        ...

    def add_code(self, code_hash: str, account: str, box: str | None, expires_ms: int) -> None:
        """Store the hash of a one-time enrolment code."""
        ...

    def code(self, code_hash: str) -> tuple[AccountId, BoxId | None, int, str | None] | None:
        """A code's account, box to renew, expiry and the key that has used it."""
        ...

    def use_code(self, code_hash: str, public_key: str, box: str) -> None:
        """Bind a code to the key that used it, for ever."""
        ...

    def box_of_code(self, code_hash: str) -> Box:
        """The box that was enrolled with a code; raises NotFoundError."""
        ...

    def put_box(self, box: Box) -> None:
        """Store a box, or its new key, account and epoch; opens the epoch."""
        ...

    def box(self, box: str) -> Box:
        """One box; raises NotFoundError."""
        ...

    def boxes(self) -> Iterator[Box]:
        """All boxes, in order."""
        ...

    def release_box(self, box: str, now_ms: int) -> None:
        """End a box's binding."""
        ...

    def bind_box(self, box: str, account: str, now_ms: int) -> None:
        """Bind a box to another account from now on."""
        ...

    def bound_account(self, box: str, at_ms: int) -> AccountId | None:
        """The account that a box was bound to at an instant; before the first binding, that one."""
        ...

    def bindings(self, box: str) -> list[tuple[int, AccountId | None]]:
        """A box's accounts with the instants from which they held, oldest first; None is released."""
        ...

    def boxes_with_serial(self, serial: str) -> list[Box]:
        """The boxes of a serial that are bound now."""
        ...

    def accounts_with_boxes(self) -> Iterator[tuple[AccountId, tuple[BoxId, ...]]]:
        """Each account that has boxes bound to it, with them."""
        ...

    def some_with_boxes(self, after: str, limit: int) -> list[tuple[AccountId, tuple[BoxId, ...]]]:
        """The same of at most `limit` accounts after one, in order; none if there are no more."""
        ...

    def boxes_by_area(self) -> list[tuple[str, int]]:
        """How many boxes are bound by the postal area of their accounts, in order."""
        ...

    # --- chain
    def chain_end(self, box: str, epoch: int) -> ChainEnd | None:
        """How far an epoch is stored; None if it was never issued."""
        ...

    def chain_ends(self) -> Iterator[ChainEnd]:
        """Every epoch of every box."""
        ...

    def link(self, box: str, epoch: int, seq: int) -> Link | None:
        """One stored message."""
        ...

    def add_link(self, link: Link, effective_ms: int) -> None:
        """Store a message and move the chain's end."""
        ...

    def deliveries_after(self, box: str, epoch: int, seq: int) -> Iterator[Link]:
        """The delivery reports of an epoch after a place whose signed bytes stand, in order."""
        ...

    def set_kind(self, box: str, epoch: int, seq: int, kind: str) -> None:
        """Say what a stored message is that could not be read before."""
        ...

    def tell(self, box: str, epoch: int, seq: int, now_ms: int) -> None:
        """The box says that it has come as far as `seq`."""
        ...

    def gaps(self) -> list[ChainEnd]:
        """The epochs of which something is missing that their box told of, by box."""
        ...

    def hear(self, box: str, agent: str, now_ms: int) -> None:
        """The box has spoken, and runs this version of its software (empty: it did not say)."""
        ...

    # --- catalogue
    def add_catalogue(
        self, version: int, envelope: bytes, offers: list[Offer], promotions: list[Promotion]
    ) -> None:
        """Store a signed catalogue with its offers and promotions."""
        ...

    def promotion(self, promotion: str, version: int) -> Promotion | None:
        """One version of a promotion."""
        ...

    def promotion_uses(self, account: str, promotion: str) -> int:
        """How many orders of an account a promotion serves, or will once readmitted."""
        ...

    def law(self, country: str, at_ms: int) -> bytes | None:
        """A country's terms as the operator set them, newest at an instant, as JSON; None: as packaged."""
        ...

    def add_law(self, country: str, from_ms: int, terms: bytes) -> None:
        """Store a country's terms from an instant on."""
        ...

    def catalogue(self) -> tuple[int, bytes] | None:
        """The newest catalogue: version and envelope."""
        ...

    def catalogue_version(self) -> int:
        """The newest catalogue's version; 0 if there is none."""
        ...

    def offer(self, offer: str, version: int) -> Offer | None:
        """One version of an offer."""
        ...

    # --- orders
    def add_order(self, order: OrderRow) -> None:
        """Store an order."""
        ...

    def order(self, box: str, epoch: int, seq: int) -> OrderRow | None:
        """One order."""
        ...

    def set_order(self, order: OrderRow) -> None:
        """Store an order as it is now: all of it but its place and when it was received."""
        ...

    def mark_billed(self, orders: list[OrderRow], invoice: str) -> None:
        """Move rated orders onto their bill; nothing else of them changes."""
        ...

    def orders(self, state: OrderState | None, account: str | None, limit: int) -> Iterator[OrderRow]:
        """Orders, newest first."""
        ...

    def due_orders(self, account: str, before_ms: int) -> list[OrderRow]:
        """Rated orders of an account that took effect before an instant, oldest first."""
        ...

    def accounts_with_due_orders(self, after: str, limit: int) -> list[AccountId]:
        """At most `limit` accounts after one, in order, that have rated orders."""
        ...

    def orders_of(self, account: str) -> Iterator[OrderRow]:
        """All orders of an account, oldest first."""
        ...

    def order_totals(self) -> dict[OrderState, tuple[int, int]]:
        """Number and payable cents (what is left after credits) of orders by state."""
        ...

    def paid_orders(self, account: str, from_ms: int, until_ms: int, most: int) -> int:
        """How many orders that cost something took effect in [from, until), counted as far as `most`."""
        ...

    def spent(self, account: str, from_ms: int, until_ms: int) -> int:
        """Payable cents of an account's orders that took effect in [from, until)."""
        ...

    def add_annex(self, row: AnnexRow) -> None:
        """Store the removable half of an order."""
        ...

    def annex(self, box: str, epoch: int, seq: int) -> AnnexRow | None:
        """The removable half of an order, if it still stands."""
        ...

    def set_window(self, box: str, epoch: int, seq: int, until_ms: int) -> None:
        """Say until when the window of an order is open."""
        ...

    def open_window(
        self, account: str, offer: str, from_ms: int, until_ms: int, *, credited: bool = False
    ) -> AnnexRow | None:
        """The account's first window for an offer that overlaps [from, until).

        With `credited`, also that of an order that was credited for another reason than its delivery.
        """
        ...

    def free_plays(self, account: str, offer: str, before_ms: int) -> list[AnnexRow]:
        """The account's plays of an offer that cost nothing for an open window, the earliest first."""
        ...

    # --- tokens
    def draw_reporting(self, week: str, drawn: Mapping[str, str]) -> None:
        """Remember the reporting boxes of accounts, by account, for a week; the first draw stands."""
        ...

    def reporting_box(self, week: str, account: str) -> BoxId | None:
        """The reporting box of an account and week."""
        ...

    def grants(self, week: str, account: str, measure: str) -> list[tuple[str, bytes]]:
        """What was signed: hash of the request and the response, in order."""
        ...

    def add_grant(self, week: str, account: str, measure: str, request_hash: str, response: bytes) -> None:
        """Remember a signature, so that asking again gives the same."""
        ...

    def issued(self, week: str) -> tuple[int, int, dict[str, int]]:
        """Accounts drawn, accounts that asked, and tokens issued by measure."""
        ...

    def forget_tokens(self, week: str, limit: int) -> bool:
        """Forget who reported in a week and what was signed for it, some accounts; whether more are left."""
        ...

    # --- the rest
    def put_directory(self, week: str, envelope: bytes) -> None:
        """Store a published directory; the first one stands."""
        ...

    def directory(self, week: str) -> bytes | None:
        """A published directory's exact bytes."""
        ...

    def raise_alarm(self, alarm: Alarm, evidence: bytes | None) -> bool:
        """Store an alarm once per kind, box and detail; whether it is new."""
        ...

    def alarms(self, limit: int) -> Iterator[Alarm]:
        """Alarms, newest first."""
        ...

    def add_audit(self, at_ms: int, who: str, what: str, ref: str, detail: str) -> None:
        """Add a line to the audit of this side's changes."""
        ...

    def add_tally(self, counts: dict[str, int]) -> None:
        """Add to the counts of refusals."""
        ...

    def tally(self) -> dict[str, int]:
        """Refusals by name."""
        ...

    def claim(self, job: str, slot: str, now_ms: int) -> bool:
        """Record a job's slot as done; False if it was before."""
        ...

    def last_slot(self, job: str) -> str | None:
        """The newest slot that a job has done."""
        ...

    def last_run(self, job: str) -> Run | None:
        """The newest slot that a job has done, and when."""
        ...


class BillingStore(Protocol):
    """Billing's database."""

    def write(self, work: Callable[[BillingTx], T]) -> T:
        """Do `work` in one durable transaction; answers after the commit."""
        ...

    def write_beside(self, work: Callable[[BillingTx], T]) -> T:
        """Likewise, beside such work of other nodes: only for work that locks what it decides by.

        In it `account`, `chain_end` and `reporting_box` lock the row that they give until the commit, and
        what is posted gets its number when the transaction ends.
        """
        ...

    def shelf(self, folder: Path) -> Shelf:
        """Where billing's own keys stand: in `folder`, or in the database if several nodes share it."""
        ...

    def turn(self) -> AbstractContextManager[bool]:
        """Whether this process may run jobs now; see `Engine.turn`."""
        ...

    def read(self) -> BillingTx:
        """A look that cannot write."""
        ...

    def sweep(self) -> None:
        """Empty the database's log, which still holds what has been deleted since it was last emptied."""
        ...

    def measured(self) -> list[tuple[str, float]]:
        """What the database tells Prometheus of itself; see `Engine.measured`."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...
