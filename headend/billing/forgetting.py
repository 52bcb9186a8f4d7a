"""What billing's database can be asked to forget, and what it has about one account.

See headend.billing.store.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from headend.billing.rows import AnnexRow, AuditLine, Link, OrderRow, RequestState, SubscriberRequest

START = (0, 0)
"""The place before the first stored message."""


class Placed(NamedTuple):
    """A stored message and its place in the order of receipt, from which a walk goes on."""

    place: tuple[int, int]
    link: Link


class Evidence(NamedTuple):
    """An alarm that still has signed bytes as evidence; `account` is empty where it names none."""

    alarm: int
    box: str
    account: str
    raised_ms: int


class Emptied(NamedTuple):
    """How many rows of the books lost their references."""

    documents: int
    orders: int
    entries: int
    disputes: int


class Standing(NamedTuple):
    """Signed messages, annexes and evidence that stand, and when the oldest message came (Unix ms)."""

    messages: int
    titles: int
    evidence: int
    oldest_ms: int | None


class ForgettingTx(Protocol):
    """The part of a transaction, or of a look, that forgets."""

    # --- title detail
    def signed_messages(self, before_ms: int, after: tuple[int, int], limit: int) -> list[Placed]:
        """Messages whose signed bytes stand, received before an instant, in that order, after a place."""
        ...

    def signed_deliveries(self, account: str) -> list[Link]:
        """Delivery reports whose signed bytes stand, of every box that an account ever had."""
        ...

    def annexes_of(self, account: str) -> list[AnnexRow]:
        """The annexes of an account that stand."""
        ...

    def loose_annexes(self, now_ms: int, after: int, limit: int) -> list[tuple[int, OrderRow]]:
        """Orders whose annex stands without signed bytes and without an open window, after a place."""
        ...

    def forget_message(self, box: str, epoch: int, seq: int) -> bool:
        """Delete a message's signed bytes, and leave their hash; whether they stood."""
        ...

    def forget_annex(self, box: str, epoch: int, seq: int) -> bool:
        """Delete the removable half of an order; whether it stood."""
        ...

    def forget_complaints(self, order_ref: str) -> None:
        """Delete the words of decided disputes about an order, since they may name its title."""
        ...

    def standing_evidence(self, after: int, limit: int) -> list[Evidence]:
        """Alarms that have evidence, in order after one."""
        ...

    def forget_evidence(self, alarm: int) -> None:
        """Delete an alarm's evidence, and leave the alarm."""
        ...

    def forget_codes(self, now_ms: int, limit: int) -> int:
        """Delete enrolment codes that expired unused; gives how many, at most `limit`."""
        ...

    def law_changes(self, country: str) -> list[int]:
        """The instants from which an operator's own terms for a country hold, oldest first."""
        ...

    # --- the books, once the tax period is over
    def horizon(self, what: str) -> int:
        """How far forgetting has come, in Unix milliseconds; 0 if it never began."""
        ...

    def move_horizon(self, what: str, ms: int) -> None:
        """Move a horizon on; it never goes back."""
        ...

    def old_documents(self, before_ms: int, after: str, limit: int) -> list[str]:
        """Numbers of bills and credit notes issued before an instant that still name their account."""
        ...

    def empty_document(self, number: str, before_ms: int) -> Emptied:
        """Empty the references of a bill or note, its lines, entries and orders; its disputes go whole."""
        ...

    def old_outcomes(self, before_ms: int, after: int, limit: int) -> list[tuple[int, OrderRow]]:
        """Orders on no bill that were decided, received before an instant, and still name their account."""
        ...

    def empty_order(self, order: OrderRow, before_ms: int) -> Emptied:
        """Empty the references of one order on no bill, and of its entries."""
        ...

    def forget_alarms(self, before_ms: int, limit: int) -> int:
        """Delete alarms raised before an instant; gives how many, at most `limit`."""
        ...

    # --- what subscribers ask
    def add_request(self, request: SubscriberRequest) -> int:
        """Store a subscriber's request; gives its number, which replaces the one it came with."""
        ...

    def request(self, number: int) -> SubscriberRequest:
        """One request; raises NotFoundError."""
        ...

    def requests(
        self, state: RequestState | None, account: str | None, limit: int
    ) -> list[SubscriberRequest]:
        """Requests: open ones the nearest deadline first, then the others, newest first."""
        ...

    def open_requests(self) -> tuple[int, int | None]:
        """How many requests are open, and the nearest deadline."""
        ...

    def set_request(self, request: SubscriberRequest) -> None:
        """Move a request on: its deadline, state, who decided when, and the note."""
        ...

    def forget_requests(self, before_ms: int, limit: int) -> int:
        """Delete requests decided before an instant; gives how many, at most `limit`."""
        ...

    # --- the audit
    def audit_lines(self, ref: str, who: str, before: int | None, limit: int) -> list[AuditLine]:
        """Lines of the audit below a number, newest first; of one reference or person if that is named."""
        ...

    def audit_chain(self) -> Iterator[AuditLine]:
        """The whole audit, oldest first."""
        ...

    # --- what there is about an account
    def standing(self) -> Standing:
        """What title detail stands now, over all accounts."""
        ...

    def boxes_of(self, account: str) -> list[str]:
        """Every box that an account ever had, in order."""
        ...

    def rows_about(self, table: str, account: str) -> Iterator[dict[str, object]]:
        """Rows of a table that are about an account, its boxes, orders or bills, by column.

        Of a box that was another's before or since, rows may be that one's: look at their time.
        """
        ...
