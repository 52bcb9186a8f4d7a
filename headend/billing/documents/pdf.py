"""The bill as a PDF/A-3 file that carries its UBL file, byte for byte repeatable."""

import json
import re
from functools import cache
from importlib.resources import files

from headend.billing.documents.amounts import check_sums
from headend.billing.documents.document import BadDocumentError, Document
from shared.errors import StbError

_FILE_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")


class MissingExtraError(StbError):
    """A PDF was asked for, and what makes it is not installed."""


@cache
def _layout() -> bytes:
    return files("headend.billing.documents").joinpath("bill.typ").read_bytes()


def pdf(document: Document, attachment: bytes) -> bytes:
    """The bill as PDF/A-3a (ISO 19005-3, tagged), with `attachment` embedded as `<number>.xml`.

    `document` may carry titles; `attachment` is the UBL file of the same bill, see `ubl.ubl`. The time in
    the file is when the bill was issued, the fonts are those that typst carries, and what is written comes in
    as data: nothing in a title is markup.

    Raises:
        BadDocumentError: it does not add up, its language, country or zone is unknown, its number cannot name
            a file, the attachment is not UTF-8, or typst refuses what it was given.
        NotAMonthError: the month is none.
        MissingExtraError: the `documents` extra is not installed.
    """
    check_sums(document)
    if _FILE_NAME.fullmatch(document.number) is None:
        raise BadDocumentError(f"no file can be named {document.number!r}")
    try:
        # An installation that makes no PDF need not carry what makes one.
        import typst  # noqa: PLC0415 (an extra)

        from headend.billing.documents.shown import Shown  # noqa: PLC0415 (imports an extra)
    except ImportError as error:
        raise MissingExtraError(
            "bills as PDF need what is not installed: pip install stb-telemetry[documents]"
        ) from error
    inputs = {"page": json.dumps(Shown(document).page()), "attachment": _text(attachment)}
    try:
        return typst.compile(
            _layout(),
            format="pdf",
            ignore_system_fonts=True,
            sys_inputs=inputs,
            pdf_standards=["a-3a"],
            timestamp=document.issued_ms // 1000,
        )
    except typst.TypstError as error:
        raise BadDocumentError(f"{document.number} cannot be laid out: {error}") from error


def _text(attachment: bytes) -> str:
    try:
        return attachment.decode()
    except UnicodeDecodeError as error:
        raise BadDocumentError("a bill's attachment is XML in UTF-8") from error
