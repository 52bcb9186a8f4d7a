"""Export batches: the list, one, its files; verifying one, closing the next; keys of the pull interface."""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from headend.billing import exports, heads, receivers
from headend.billing.formats.jsonl import MissingRange
from headend.billing.formats.registry import format_named, formats
from headend.billing.pages.desk import ROWS, BadFormError, Desk, number_in, refused, why_not
from headend.billing.reconcile import missing
from headend.billing.rows import Batch
from headend.billing.store import BillingTx
from headend.billing.verifying import verify_batch
from headend.disclosure import Cleared, Kind, Purpose, Recipient, clear
from headend.kit.pages import address
from headend.kit.side import Attachment, Done, Page, Visit
from shared.errors import StbError

_MOST_LINES: Final = 20
_MOST_GAPS: Final = 10


def batches(desk: Desk, visit: Visit) -> Page:
    """Batches, the newest first, and what would be closed next."""
    return _batches(desk, visit)


def _batches(desk: Desk, visit: Visit, wrong: str = "") -> Page:
    look, before = desk.store.read(), number_in(visit, "before")
    found = look.batches_page(before, ROWS + 1)
    rows, gaps = found[:ROWS], list(missing(look))
    inside = desk.page(
        visit,
        "exports.html",
        batches=[
            (batch, look.batch_totals(batch.batch), look.acknowledgements(batch.batch), _last(desk, batch))
            for batch in rows
        ],
        tail=exports.tail(look),
        totals=look.tail_totals(),
        gaps=gaps[:_MOST_GAPS],
        ranges=len(gaps),
        wrong=wrong,
        now_ms=desk.now_ms(),
        first=address("exports") if before is not None else "",
        older=address("exports", before=rows[-1].batch) if len(found) > ROWS else "",
    )
    return Page(inside)


def _last(desk: Desk, batch: Batch) -> object:
    return next(iter(desk.store.read().verifications(batch.batch, 1)), None)


def batch(desk: Desk, visit: Visit) -> Page:
    """One batch: its entries, totals, hashes, files, who has it, and how it was verified.

    Raises:
        NoSuchBatchError: no such batch.
    """
    look = desk.store.read()
    found = exports.closed(look, number_in(visit, "batch") or 0)
    inside = desk.page(
        visit,
        "export.html",
        batch=found,
        totals=look.batch_totals(found.batch),
        missing=msgspec.json.decode(found.missing, type=list[MissingRange]),
        acknowledged=look.acknowledgements(found.batch),
        verified=look.verifications(found.batch, _MOST_LINES),
        formats=list(formats().values()),
        name=heads.name_of(found.batch),
        audit=look.audit_lines(str(found.batch), "", None, _MOST_LINES),
        now_ms=desk.now_ms(),
    )
    title = visit.language.text("Batch {number}", number=found.batch)
    return Page(inside, title=title, back=("exports", "Exports"))


def file(desk: Desk, visit: Visit) -> Attachment:
    """A batch in a format, for the billing system, in pieces: it is never in memory as a whole.

    Raises:
        NoSuchBatchError: no such batch.
        NoSuchFormatError: no such format.
        BatchChangedError: its entries are not those that were closed.
        NoSellerError: the format says who bills, and nobody is set.
    """
    look = desk.store.read()
    found, form = exports.closed(look, number_in(visit, "batch") or 0), format_named(visit.arg("format"))
    next(form.render(look, found))  # what cannot be written at all is refused before anything is sent

    def pieces() -> Iterator[bytes]:
        return form.render(desk.store.read(), found)

    given: Cleared[Callable[[], Iterator[bytes]]] = clear(
        pieces, form.kind, Recipient.BILLING_SYSTEM, Purpose.BILLING
    )
    _note(desk, visit, found, form.name)
    return Attachment(given, f"{heads.name_of(found.batch)}{form.suffix}", form.content_type)


def head(desk: Desk, visit: Visit) -> Attachment:
    """A batch's signed head, for the billing system.

    Raises:
        NoSuchBatchError: no such batch.
    """
    found = exports.closed(desk.store.read(), number_in(visit, "batch") or 0)
    given = clear(desk.signed_head(found), Kind.EXPORT_BATCH, Recipient.BILLING_SYSTEM, Purpose.BILLING)
    _note(desk, visit, found, "head")
    return Attachment(given, f"{heads.name_of(found.batch)}{heads.HEAD_SUFFIX}", "application/json")


def _note(desk: Desk, visit: Visit, found: Batch, what: str) -> None:
    now_ms, detail = desk.now_ms(), f"{what} to {Recipient.BILLING_SYSTEM}"
    desk.store.write(
        lambda tx: tx.add_audit(now_ms, visit.who, "export downloaded", str(found.batch), detail)
    )


def verify(desk: Desk, visit: Visit) -> Done:
    """Verify a batch again and store the verdict.

    Raises:
        NoSuchBatchError: no such batch.
    """
    number = number_in(visit, "batch") or 0
    found = verify_batch(desk.store, number, desk.head_of, visit.who, desk.now_ms())
    return Done(address("export", batch=number), f"{number}: {found.verdict}")


def close(desk: Desk, visit: Visit) -> Done | Page:
    """Close the next batch up to the entry that was shown; a refusal shows the list again."""
    last, number, now_ms = number_in(visit, "last"), number_in(visit, "batch"), desk.now_ms()
    try:
        if last is None or number is None:
            raise BadFormError(visit.language.text("Say which entry is the last of the batch."))
        if not visit.arg("sure"):
            raise BadFormError(visit.language.text("Confirm that the batch is to be closed."))
        made = desk.store.write(lambda tx: _close(tx, number, last, (visit.who, now_ms)))
    except StbError as error:
        return refused(_batches(desk, visit, why_not(visit, error)))
    return Done(address("export", batch=made.batch), f"{made.batch}: {made.first_entry} to {made.last_entry}")


def _close(tx: BillingTx, number: int, last: int, said: tuple[str, int]) -> Batch:
    who, now_ms = said
    if exports.tail(tx).batch != number:
        raise exports.MovedOnError(f"batch {number} has been closed meanwhile")
    return exports.close_batch(tx, now_ms, last, who)


def keys(desk: Desk, visit: Visit) -> Page:
    """The keys of the pull interface that there are and were; never the keys themselves."""
    return _keys(desk, visit)


def _keys(desk: Desk, visit: Visit, wrong: str = "", made: str = "") -> Page:
    inside = desk.page(
        visit,
        "export_keys.html",
        keys=list(desk.store.read().export_keys()),
        scopes=receivers.SCOPES,
        wrong=wrong,
        made=made,
        name=visit.arg("name"),
    )
    return Page(inside, title=visit.language.text("Keys for exports"), back=("exports", "Exports"))


def create_key(desk: Desk, visit: Visit) -> Page:
    """Make a key and show it, this once; a refusal shows the form again."""
    scopes = tuple(scope for scope in receivers.SCOPES if visit.arg(f"scope:{scope}"))
    name, now_ms = visit.arg("name"), desk.now_ms()
    try:
        made = desk.store.write(
            lambda tx: receivers.create_key(tx, name, scopes, now_ms, desk.random_bytes, visit.who)
        )
    except StbError as error:
        return refused(_keys(desk, visit, why_not(visit, error)))
    return _keys(desk, visit, made=made)


def revoke_key(desk: Desk, visit: Visit) -> Done | Page:
    """End a key, for ever; a refusal shows the keys again."""
    name, now_ms = visit.arg("name"), desk.now_ms()
    try:
        desk.store.write(lambda tx: receivers.revoke_key(tx, name, now_ms, visit.who))
    except StbError as error:
        return refused(_keys(desk, visit, why_not(visit, error)))
    return Done(address("export-keys"), name)
