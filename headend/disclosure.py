"""Policy as code: what may leave the headend, to whom, and what for.

Every download, export, hand-over and answer with figures passes `clear`, which looks the triple up in one
frozen table. An advertiser has a name here so that the refusal has one too; it is refused before the table
is read, and no entry of the table can change that. A change of the table changes docs/disclosure.md and
needs a decision record.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from shared.errors import StbError

T = TypeVar("T")


class Kind(StrEnum):
    """What can leave."""

    EXPORT_BATCH = "export batch"
    INVOICE = "invoice"
    BOX_TOTALS = "box totals"
    RELEASE = "release"
    ESTIMATES = "estimates"
    DIRECTORY = "directory"
    ACCOUNT_RECORDS = "account records"


class Recipient(StrEnum):
    """Who can be named."""

    BILLING_SYSTEM = "billing system"
    SUBSCRIBER = "subscriber"
    ANALYTICS = "analytics side"
    OPERATOR = "operator's audience research"
    PUBLIC = "public"
    BOXES = "boxes"
    ADVERTISER = "advertiser"


class Purpose(StrEnum):
    """What for."""

    BILLING = "billing"
    EXTRAPOLATION = "extrapolation"
    GENRE_POPULARITY = "genre popularity"
    PROTOCOL = "running the protocol"
    ACCESS_REQUEST = "access request"


TABLE: frozenset[tuple[Kind, Recipient, Purpose]] = frozenset(
    {
        (Kind.EXPORT_BATCH, Recipient.BILLING_SYSTEM, Purpose.BILLING),
        (Kind.INVOICE, Recipient.SUBSCRIBER, Purpose.BILLING),
        (Kind.INVOICE, Recipient.BILLING_SYSTEM, Purpose.BILLING),
        (Kind.BOX_TOTALS, Recipient.ANALYTICS, Purpose.EXTRAPOLATION),
        (Kind.RELEASE, Recipient.OPERATOR, Purpose.GENRE_POPULARITY),
        (Kind.RELEASE, Recipient.PUBLIC, Purpose.GENRE_POPULARITY),
        (Kind.ESTIMATES, Recipient.OPERATOR, Purpose.GENRE_POPULARITY),
        (Kind.ESTIMATES, Recipient.PUBLIC, Purpose.GENRE_POPULARITY),
        (Kind.DIRECTORY, Recipient.BOXES, Purpose.PROTOCOL),
        (Kind.ACCOUNT_RECORDS, Recipient.SUBSCRIBER, Purpose.ACCESS_REQUEST),
    }
)


class DisclosureError(StbError):
    """This may not leave to that recipient for that purpose."""


_MAKER = object()


@dataclass(frozen=True)
class Cleared(Generic[T]):
    """A payload that `clear` has let through, and on what grounds; nothing else can make one."""

    payload: T
    kind: Kind
    recipient: Recipient
    purpose: Purpose
    maker: object = None

    def __post_init__(self) -> None:
        if self.maker is not _MAKER:
            raise DisclosureError("only clear() clears")
        _check(self.kind, self.recipient, self.purpose)  # a copy with another recipient is checked as well


def clear(payload: T, kind: Kind, recipient: Recipient, purpose: Purpose) -> Cleared[T]:
    """Let a payload leave.

    Raises:
        DisclosureError: the recipient is an advertiser, or the table does not name the triple.
    """
    return Cleared(payload, kind, recipient, purpose, _MAKER)


def _check(kind: Kind, recipient: Recipient, purpose: Purpose) -> None:
    if recipient is Recipient.ADVERTISER:
        raise DisclosureError("nothing leaves to advertisers")
    if (kind, recipient, purpose) not in TABLE:
        raise DisclosureError(f"{kind} may not leave to {recipient} for {purpose}")
