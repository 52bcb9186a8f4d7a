"""What a bill says, gathered: everything that a PDF or a UBL file is a pure function of."""

import re
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.clock import from_ms
from shared.errors import StbError
from shared.money import VatGroup

UNPRINTABLE = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Controls, and what XML 1.0 (section 2.2, Char) cannot carry, escaped or not."""
SUBSTITUTE = "\ufffd"
"""What stands for a character that a document cannot carry."""


class BadDocumentError(StbError):
    """A bill cannot be written as it stands: it does not add up, or names what does not exist."""


@dataclass(frozen=True)
class Seller:
    """Who bills, as the law of a country wants to see it; `country` is ISO 3166-1 alpha-2."""

    country: str
    name: str
    vat_number: str
    street: str
    postcode: str
    city: str


@dataclass(frozen=True)
class InvoiceLine:
    """One line: what was ordered, or a promotion's credit (`kind` promotion, negative cents).

    `cents` include VAT. `text` is a display class (`film`, `game`, `on demand`) or, where a person may see
    it, a title; of a promotion it is its category. `late` lines took effect before the bill's month.
    """

    order_ref: str
    kind: str
    text: str
    placed_ms: int
    cents: int
    vat_bp: int
    late: bool

    @property
    def is_promotion(self) -> bool:
        """Whether this takes something off, rather than being an order."""
        return self.kind == "promotion"


@dataclass(frozen=True)
class Document:
    """One bill or credit note; amounts in cents including VAT unless said otherwise.

    `kind` is `invoice` or `credit-note`; a credit note's amounts are positive and `refers_to` is its bill.
    `groups` are the VAT groups, whose gross add up to what is payable. `month` is the usage month (2026-10).
    """

    number: str
    kind: str
    refers_to: str | None
    account: str
    country: str
    zone: str
    language: str
    month: str
    currency: str
    issued_ms: int
    seller: Seller
    lines: tuple[InvoiceLine, ...]
    groups: tuple[VatGroup, ...]

    @property
    def payable(self) -> int:
        """What is to be paid, or is given back: the sum of the groups' gross, in cents."""
        return sum(group.gross for group in self.groups)

    def day(self, milliseconds: int) -> date:
        """The calendar day of an instant where the account is.

        Raises:
            BadDocumentError: there is no such zone, or the instant is in no calendar.
        """
        try:
            return from_ms(milliseconds).astimezone(ZoneInfo(self.zone)).date()
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise BadDocumentError(f"{self.number}: unknown zone {self.zone!r}") from error
        except OverflowError as error:
            raise BadDocumentError(f"{self.number}: {milliseconds} ms is in no calendar") from error
