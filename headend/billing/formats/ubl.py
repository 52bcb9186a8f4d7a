"""The batch's bills and credit notes as EN 16931 invoices in UBL 2.1: a TAR with one file a document.

They stand in the order of their ledger entries and carry display classes, never titles.
"""

from collections.abc import Iterator

from headend.billing.documents.gather import gather
from headend.billing.documents.ubl import ubl
from headend.billing.formats.jsonl import check_whole, whole_rows
from headend.billing.formats.registry import BatchChangedError, Format
from headend.billing.rows import Batch, Entry, Invoice
from headend.billing.store import BillingTx
from headend.disclosure import Kind
from headend.kit.tars import tarred

_KIND = Entry.__struct_fields__.index("kind")
_DOCUMENTS = frozenset({"invoice", "credit-note"})


def render(tx: BillingTx, batch: Batch) -> Iterator[bytes]:
    """The archive in pieces.

    Raises:
        BatchChangedError: entries or documents are not what was closed; the archive then has no end.
        NoSellerError: it is not known who bills in the country of a document.
        BadDocumentError: a document cannot be written as it stands.
    """
    documents = (gather(tx, invoice, titles=False) for invoice in _documents(tx, batch))
    return tarred((f"{document.number}.xml", ubl(document)) for document in documents)


def _documents(tx: BillingTx, batch: Batch) -> Iterator[Invoice]:
    for rows in whole_rows(tx, batch):
        for row in rows:
            if row[_KIND] in _DOCUMENTS:
                yield _document(tx, Entry(*row))


def _document(tx: BillingTx, entry: Entry) -> Invoice:
    check_whole(entry)
    invoice = tx.invoice(entry.ref)
    if invoice is None or _said(invoice) != _posted(entry):
        raise BatchChangedError(f"{entry.ref} is not the document that entry {entry.entry} was posted for")
    return invoice


def _said(invoice: Invoice) -> tuple[object, ...]:
    sign = 1 if invoice.kind == "invoice" else -1
    amounts = (invoice.gross, -invoice.net, -invoice.vat, -invoice.rounding)
    return (invoice.kind, invoice.account, invoice.month, *(sign * cents for cents in amounts))


def _posted(entry: Entry) -> tuple[object, ...]:
    amounts = (entry.receivable, entry.revenue, entry.vat, entry.rounding)
    return (entry.kind, entry.account, entry.month, *amounts)


FORMAT = Format("ubl", ".ubl.tar", "application/x-tar", render, Kind.INVOICE)
