"""Access on request (GDPR article 15): one archive with everything that billing has about an account.

    index.html           to be read, in the account's language
    records.json         every row of every table, for machines (article 20)
    envelopes/<ref>.json the signed messages as they were received, while they stand
    bills/<number>.xml   bills and credit notes, and as .pdf where the `documents` extra is installed
    proofs/<ref>.json    that an order stands in a closed export batch

Names of other accounts are left out: article 15(4).
"""

import base64
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import msgspec

from headend.billing.archive_page import Facts, page
from headend.billing.documents.document import BadDocumentError
from headend.billing.documents.gather import NoSellerError, gather
from headend.billing.documents.pdf import MissingExtraError, pdf
from headend.billing.documents.ubl import ubl
from headend.billing.laws import law_of
from headend.billing.periods import delivered_order, tax_years
from headend.billing.rows import Account, Invoice, Link
from headend.billing.store import BillingStore, BillingTx
from headend.billing.wording import words_of
from headend.disclosure import Cleared, Kind, Purpose, Recipient, clear
from shared.clock import from_ms
from shared.named import BoxId
from shared.weeks import Month

Row = dict[str, object]
Records = dict[str, list[Row]]

TABLES = (
    "accounts",
    "boxes",
    "sightings",
    "bindings",
    "codes",
    "epochs",
    "chain",
    "orders",
    "annex",
    "entries",
    "invoices",
    "invoice_lines",
    "invoice_vat",
    "disputes",
    "batches",
    "reporting",
    "grants",
    "alarms",
    "requests",
    "audit",
)
"""The tables that can have rows about an account."""
NOBODY = {
    "catalogues": "what is offered to everybody",
    "offers": "what is offered to everybody",
    "promotions": "what is offered to everybody",
    "laws": "the terms of a country",
    "numbers": "the last number of each series",
    "sellers": "the operator",
    "order_sums": "how many orders stand where",
    "ledger_sums": "what the ledger comes to",
    "agent_sums": "how many boxes run which software",
    "batch_sums": "what batches come to",
    "verifications": "how batches were verified",
    "export_keys": "receivers of exports",
    "acknowledgements": "receivers of exports",
    "directories": "what every box is told",
    "horizons": "how far forgetting has come",
    "tally": "counts of refusals, by name of the refusal",
    "installation": "one fact about the installation",
    "job_runs": "what jobs have done",
}
"""The tables that have nobody in them, and what they have."""
_ALL = 1_000_000


@dataclass(frozen=True)
class Extras:
    """Who makes the archive and when (Unix milliseconds), and how to prove an order by its reference.

    `prove` gives a proof's bytes, or None for what is in no closed batch.
    """

    who: str
    now_ms: int
    prove: Callable[[str], bytes | None] | None = None


def archive(store: BillingStore, account: str, extras: Extras) -> Cleared[bytes]:
    """The archive as a ZIP file, cleared for its subscriber and audited; the same bytes for the same moment.

    Raises:
        NotFoundError: no such account.
    """
    store.write(lambda tx: _record(tx, account, extras))
    look = store.read()
    who = look.account(account)
    records = {table: list(_rows(look, table, who)) for table in TABLES}
    files = dict(_files(look, who, records, extras))
    return clear(
        _zipped(files, extras.now_ms), Kind.ACCOUNT_RECORDS, Recipient.SUBSCRIBER, Purpose.ACCESS_REQUEST
    )


def _record(tx: BillingTx, account: str, extras: Extras) -> None:
    found = tx.account(account).account
    tx.add_audit(extras.now_ms, extras.who, "account records given", found, Recipient.SUBSCRIBER)


def _files(look: BillingTx, who: Account, records: Records, extras: Extras) -> Iterator[tuple[str, bytes]]:
    bills = dict(_bills(look, who.account))
    now_year = Month.of(from_ms(extras.now_ms), ZoneInfo(who.zone)).year
    facts = Facts(
        account=who,
        now_ms=extras.now_ms,
        dispute_days=law_of(look, who.country, extras.now_ms).dispute_days,
        tax_years=tax_years(look, now_year, extras.now_ms, ZoneInfo(who.zone)),
        files=frozenset(bills),
    )
    yield "index.html", page(records, facts).encode()
    yield "records.json", _records_json(who, records, extras.now_ms)
    for row in records["chain"]:
        if row["envelope"] is not None:
            yield f"envelopes/{row['box']}/{row['epoch']}/{row['seq']}.json", _bytes(row["envelope"])
    yield from bills.items()
    yield from _proofs(records, extras)


def _proofs(records: Records, extras: Extras) -> Iterator[tuple[str, bytes]]:
    for ref in (str(entry["ref"]) for entry in records["entries"] if entry["kind"] == "usage"):
        proof = None if extras.prove is None else extras.prove(ref)
        if proof is not None:
            yield f"proofs/{ref}.json", proof


def _bills(look: BillingTx, account: str) -> Iterator[tuple[str, bytes]]:
    for bill in look.invoices(account, _ALL):
        yield from _documents(look, bill)


def _documents(look: BillingTx, bill: Invoice) -> Iterator[tuple[str, bytes]]:
    """The bill as files, as far as they can be made: its rows stand in records.json in any case."""
    try:
        machine = ubl(gather(look, bill, titles=False))
        yield f"bills/{bill.number}.xml", machine
        yield f"bills/{bill.number}.pdf", pdf(gather(look, bill, titles=True), machine)
    except (NoSellerError, MissingExtraError, BadDocumentError):
        return


# --- rows, without anybody else in them


def _rows(look: BillingTx, table: str, who: Account) -> Iterator[Row]:
    theirs = _Theirs(look, who)
    for row in look.rows_about(table, who.account):
        kept = theirs.of(table, row)
        if kept is not None:
            yield kept


class _Theirs:
    """Tells which rows, and which parts of them, are about one account and not another's."""

    def __init__(self, look: BillingTx, who: Account) -> None:
        self._look = look
        self._account = who.account
        self._another = words_of(who.language).page["another"]
        self._boxes = look.boxes_of(who.account)
        others = {one for box in self._boxes for _, one in look.bindings(box) if one is not None}
        for box in self._boxes:
            others |= {one.account for one in look.boxes_with_serial(look.box(box).serial)}
        others -= {who.account}
        names = "|".join(re.escape(name) for name in sorted(others, key=len, reverse=True))
        self._names = re.compile(rf"(?<!\w)(?:{names})(?!\w)") if names else None

    def of(self, table: str, row: Row) -> Row | None:
        """The row as its subscriber may have it; None if it is somebody else's."""
        match table:
            case "boxes" if row["account"] != self._account:
                return {"box": row["box"], "serial": row["serial"]}
            case "bindings" if row["account"] not in {self._account, None}:
                return row | {"account": self._another}
            case "chain" if row["kind"] == "delivery" and not self._delivered(row):
                return None
            case "batches":
                return self._gaps(row)
            case "alarms" | "audit":
                return self._event(table, row)
            case _:
                return row

    def _delivered(self, row: Row) -> bool:
        link = msgspec.convert(row, Link)
        order = delivered_order(self._look, link)
        account = self._look.bound_account(link.box, link.received_ms) if order is None else order.account
        return account == self._account

    def _gaps(self, row: Row) -> Row | None:
        closed_ms = msgspec.convert(row["closed_ms"], int)
        gaps = [
            gap
            for gap in msgspec.json.decode(str(row["missing"]), type=list[dict[str, object]])
            if gap["box"] in self._boxes and self._held(BoxId(str(gap["box"])), closed_ms)
        ]
        return {"batch": row["batch"], "closed_ms": closed_ms, "missing": gaps} if gaps else None

    def _event(self, table: str, row: Row) -> Row | None:
        """An alarm or audit line: of the time at which the box was theirs, with no other account's name."""
        box, at_ms = (row["ref"], row["at_ms"]) if table == "audit" else (row["box"], row["raised_ms"])
        named = table == "alarms" and row["account"] == self._account
        if not named and box in self._boxes and not self._held(BoxId(str(box)), msgspec.convert(at_ms, int)):
            return None
        detail = str(row["detail"])
        return row | {"detail": detail if self._names is None else self._names.sub(self._another, detail)}

    def _held(self, box: BoxId, at_ms: int) -> bool:
        """Whether the box was theirs at an instant, the one at which it ceased to be included."""
        turns = self._look.bindings(box)
        ends = [from_ms for from_ms, _ in turns[1:]] + [None]
        return any(
            account == self._account and (turn == 0 or from_ms <= at_ms) and (end is None or at_ms <= end)
            for turn, ((from_ms, account), end) in enumerate(zip(turns, ends, strict=True))
        )


# --- files


def _records_json(who: Account, records: Records, now_ms: int) -> bytes:
    tables = {table: [_plain(row) for row in rows] for table, rows in records.items()}
    whole = {"account": who.account, "made_ms": now_ms, "made": _iso(now_ms), "tables": tables}
    return json.dumps(whole, indent=1, ensure_ascii=False).encode() + b"\n"


def _plain(row: Row) -> Row:
    """A row as JSON can carry it, with the ISO 8601 time beside each number of milliseconds."""
    plain: Row = {}
    for name, value in row.items():
        plain[name] = _text(value) if isinstance(value, bytes) else value
        if name.endswith("_ms"):
            plain[name.removesuffix("_ms")] = _iso(value)
    return plain


def _iso(value: object) -> str | None:
    if not isinstance(value, int) or value <= 0:
        return None
    return from_ms(value).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def _zipped(files: dict[str, bytes], now_ms: int) -> bytes:
    moment = from_ms(now_ms)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as whole:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, (*moment.timetuple()[:6],))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            whole.writestr(entry, content)
    return buffer.getvalue()
