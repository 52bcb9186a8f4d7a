"""A bill's or credit note's document, gathered from what is stored."""

from headend.billing.documents.document import Document
from headend.billing.invoices import as_shown
from headend.billing.rows import Invoice
from headend.billing.store import BillingTx
from shared.errors import StbError


class NoSellerError(StbError):
    """It has not been set who bills in a country."""


def gather(tx: BillingTx, invoice: Invoice, *, titles: bool) -> Document:
    """Everything that the document says; with `titles` as its subscriber sees it, while the annex stands.

    Raises:
        NoSellerError: nobody is set to bill in its country.
    """
    seller = tx.seller(invoice.country, invoice.issued_ms)
    if seller is None:
        raise NoSellerError(f"it is not set who bills in {invoice.country}, as {invoice.number} must say")
    shown = as_shown(tx, invoice) if titles else invoice
    return Document(
        number=invoice.number,
        kind=invoice.kind,
        refers_to=invoice.refers_to,
        account=invoice.account,
        country=invoice.country,
        zone=invoice.zone,
        language=invoice.language,
        month=invoice.month,
        currency=invoice.currency,
        issued_ms=invoice.issued_ms,
        seller=seller,
        lines=shown.lines,
        groups=invoice.groups,
    )
