"""CSV (RFC 4180) for people with spreadsheets: one line an entry, one column a ledger account, in cents."""

import csv
import io
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from headend.billing.formats.jsonl import Rows, whole_rows
from headend.billing.formats.registry import Format
from headend.billing.rows import Batch, Entry
from headend.billing.store import BillingTx

LEFT_OUT = ("proof", "prev_hash", "hash")
"""What proves, and is nothing that a spreadsheet can check."""
COLUMNS = tuple(name for name in Entry.__struct_fields__ if name not in LEFT_OUT)
_TEXTS = tuple(Entry.__struct_fields__.index(name) for name in ("kind", "account", "ref", "month", "text"))
_FORMULA = frozenset("=+-@\t\r")
"""What a spreadsheet may take for the beginning of a formula (OWASP, CSV injection)."""
_pick = itemgetter(*(Entry.__struct_fields__.index(name) for name in COLUMNS))


def render(tx: BillingTx, batch: Batch) -> Iterator[bytes]:
    """The batch in pieces.

    Raises:
        BatchChangedError: it is not what was closed; at once if the first entry is not, else at the end.
    """
    head: list[tuple[Any, ...]] = [COLUMNS]
    for rows in whole_rows(tx, batch):
        yield _table([*head, *map(_pick, harmless(rows))])
        head = []


def _table(rows: list[tuple[Any, ...]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode()


def harmless(rows: Rows) -> Rows:
    """The rows with an apostrophe before each text that a spreadsheet would take for a formula."""
    # Almost never is there one: look at first letters only, column by column.
    beginnings = {row[place][:1] for place in _TEXTS for row in rows}
    if _FORMULA.isdisjoint(beginnings):
        return rows
    return [tuple(map(_harmless, row)) for row in rows]


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA else value


FORMAT = Format("csv", ".csv", "text/csv; charset=utf-8", render)
