"""Fills billing's and analytics' databases with what such an installation holds.

The rows are written with SQL, in the form in which the sides' own code writes them: signed envelopes of real
length (for the weeks in which they are kept), ledger entries chained by their real hashes, bills that add up,
the nonces of half of a week's fragments. They come in no order of their keys, so that indexes are as full as
they become by and by. Durability and foreign keys are off while this lasts.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from sqlite3 import Connection
from typing import Any

from msgspec import structs

from benchmarks.console import town
from benchmarks.growth.sized import (
    CLOSED,
    CONSENTING,
    NOW_MS,
    RUNNING,
    SIGNED_WEEKS,
    TAKEN,
    WEEK_MS,
    ZONE,
    Size,
    account_of,
    box_of,
    drawn_of,
    heard_ms,
    ordered_ms,
)
from headend.billing import ledger
from headend.billing.rating import display_text
from headend.billing.rows import Entry, OrderRow
from headend.kit.storage import connect
from shared.money import vat_group
from shared.named import GENESIS, Evidence, Offer, Order, encode, payload_hash, title_hash
from shared.register import Grid, profile
from shared.weeks import Month

CACHE_KIB = 1_500_000
BILL_WEEKS = 4
RESPONSE_BYTES = 256
_GOOD = Evidence(pin_verified=True, consent_immediate_supply=True, confirmation_shown=True)
_ENTRY = ", ".join("?" * len(Entry.__struct_fields__))
_ORDER = ", ".join("?" * len(OrderRow.__dataclass_fields__))
Rows = Iterator[tuple[Any, ...]]


@dataclass(frozen=True)
class Ordered:
    """One order of the past."""

    number: int
    age: int
    seq: int
    offer: Offer
    salt: str
    hash: str
    envelope: bytes
    at_ms: int
    bill: str | None

    @property
    def ref(self) -> str:
        """Its identity."""
        return f"{box_of(self.number)}/1/{self.seq}"


def fast(path: Path) -> Connection:
    """A connection that fills, without a journal: what is cut short is thrown away."""
    db = connect(path, checkpoints=False)
    for pragma in ("journal_mode=OFF", f"cache_size=-{CACHE_KIB}", "foreign_keys=OFF", "synchronous=OFF"):
        db.execute(f"PRAGMA {pragma}")
    return db


class Books:
    """Billing's database while it is filled; `public` is the key by which all its boxes sign."""

    def __init__(self, db: Connection, size: Size, public: str, sold: list[Offer]) -> None:
        self._db = db
        self._size = size
        self._public = public
        self._sold = sold
        self._last, self._last_hash = 0, GENESIS
        self._bills = 0
        self._open: dict[int, list[Ordered]] = {}
        self._heads: dict[int, str] = {}

    def fill(self) -> None:
        """Write everything, in one transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        self._write_homes()
        for age in reversed(range(self._size.weeks)):
            self._write_week(age)
        self._write_ends()
        self._write_tokens()
        self._db.execute("COMMIT")

    def _write_homes(self) -> None:
        made, numbers = NOW_MS - (self._size.weeks + 1) * WEEK_MS, range(self._size.boxes)
        self._many("accounts", 7, ((account_of(n), ZONE, "NL", "1012", "nl", None, made) for n in numbers))
        boxes = ((box_of(n), f"SN-{n:08}", self._public, account_of(n), 1, made, None) for n in numbers)
        self._many("boxes", 7, boxes)
        self._many("bindings", 4, ((box_of(n), 0, made, account_of(n)) for n in numbers))
        self._many("epochs", 8, ((box_of(n), 1, 0, GENESIS, made, 0, made, 0) for n in numbers))

    def _write_week(self, age: int) -> None:
        week = [self._order(number, age) for number in range(self._size.boxes)]
        week.sort(key=lambda one: one.at_ms)
        signed = age < SIGNED_WEEKS
        self._many("chain", 8, (_chained(one, signed) for one in week))
        self._many("orders", len(OrderRow.__dataclass_fields__), (_rated(one) for one in week))
        if signed:
            self._many("annex", 10, (_annex(one) for one in week))
        self._entries(_usage(one) for one in week)
        for one in week:
            self._heads[one.number] = one.hash
            if one.bill:
                self._open.setdefault(one.number, []).append(one)
        if age % BILL_WEEKS == 1:
            self._write_bills(age)

    def _order(self, number: int, age: int) -> Ordered:
        seq = self._size.weeks - age
        offer = self._sold[(number * 31 + age) % len(self._sold)]
        salt = hashlib.sha256(f"{number}/{age}".encode()).hexdigest()[:32]
        at_ms = ordered_ms(number, age)
        said = encode(
            Order(
                box=box_of(number),
                epoch=1,
                seq=seq,
                prev=self._heads.get(number, GENESIS),
                offer=offer.offer,
                offer_version=1,
                price_cents=offer.price_cents,
                currency="EUR",
                vat_bp=2100,
                placed_ms=at_ms,
                salt=salt,
                evidence=_GOOD,
            )
        )
        bill = f"INV-2026-{number:07}-{(age - 1) // BILL_WEEKS}" if age else None
        envelope = town._envelope(said, box_of(number))  # noqa: SLF001 (of the same form)
        return Ordered(number, age, seq, offer, salt, payload_hash(said), envelope, at_ms, bill)

    def _write_bills(self, age: int) -> None:
        """The bills of the weeks up to this one."""
        issued = NOW_MS - age * WEEK_MS
        heads, lines, vats, drafts = [], [], [], []
        for number, held in self._open.items():
            bill, account = held[0].bill, account_of(number)
            group = vat_group(sum(one.offer.price_cents for one in held), 2100)
            sums, month = (group.gross, group.net, group.vat, group.rounding), str(_month(age))
            heads.append((bill, "invoice", None, account, "NL", ZONE, "nl", month, "EUR", issued, *sums))
            lines += [
                (bill, at, one.ref, "order", "film", one.at_ms, one.offer.price_cents, 2100, 0)
                for at, one in enumerate(held, 1)
            ]
            vats.append((bill, 2100, *sums))
            drafts.append(
                ledger.Draft(
                    "invoice",
                    account,
                    str(bill),
                    month,
                    f"bill {month}",
                    "EUR",
                    0,
                    "",
                    issued,
                    ledger.billing(*sums),
                )
            )
        self._many("invoices", 14, iter(heads))
        self._many("invoice_lines", 9, iter(lines))
        self._many("invoice_vat", 6, iter(vats))
        self._entries(iter(drafts))
        self._open = {}

    def _write_ends(self) -> None:
        sql = (
            "UPDATE epochs SET last_seq = ?1, last_hash = ?2, last_ms = ?3, told_seq = ?1, told_ms = ?3 "
            "WHERE box = ?4"
        )
        self._db.executemany(
            sql,
            (
                (self._size.weeks, last, ordered_ms(number, 0), box_of(number))
                for number, last in self._heads.items()
            ),
        )
        heard = ((heard_ms(n), "box-agent/1", box_of(n)) for n in range(self._size.boxes))
        self._db.executemany("UPDATE sightings SET heard_ms = ?, agent = ? WHERE box = ?", heard)

    def _write_tokens(self) -> None:
        """Who reports in both weeks, and what was signed for the one that is over."""
        for week in (TAKEN, RUNNING):
            rows = ((str(week), account_of(n), box_of(n)) for n in range(drawn_of(self._size)))
            self._many("reporting", 3, rows)
        asked = range(round(CONSENTING * self._size.boxes))
        measures = [one.name for one in profile("small").measures]
        self._many(
            "grants",
            6,
            (
                (str(TAKEN), account_of(n), name, 0, os.urandom(32).hex(), os.urandom(RESPONSE_BYTES))
                for n in asked
                for name in measures
            ),
        )

    def _entries(self, drafts: Iterator[ledger.Draft]) -> None:
        self._db.executemany(f"INSERT INTO entries VALUES ({_ENTRY})", self._chain(drafts))

    def _chain(self, drafts: Iterator[ledger.Draft]) -> Rows:
        for draft in drafts:
            entry = ledger.chained(draft, self._last, self._last_hash)
            self._last, self._last_hash = entry.entry, entry.hash
            yield structs.astuple(entry)

    def _many(self, table: str, columns: int, rows: Rows) -> None:
        self._db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})", rows)


def _month(age: int) -> Month:
    """The month on the papers of a week so long ago; the newest week is alone in the month to be billed."""
    return Month(2026, 11).plus(-((age + BILL_WEEKS - 1) // BILL_WEEKS))


def _chained(one: Ordered, signed: bool) -> tuple[Any, ...]:  # noqa: FBT001 (a row's content)
    digest = hashlib.sha256(one.envelope).hexdigest()
    kept = one.envelope if signed else None
    return box_of(one.number), 1, one.seq, one.hash, "order", kept, digest, one.at_ms


def _rated(one: Ordered) -> tuple[Any, ...]:
    state, price = "billed" if one.bill else "rated", one.offer.price_cents
    said = (one.offer.kind, display_text(one.offer), price, "EUR", 2100, one.at_ms, one.at_ms, one.at_ms)
    rest = (title_hash(one.salt, one.offer.offer), str(_month(one.age)), "", "", 0, 0, one.bill)
    return box_of(one.number), 1, one.seq, account_of(one.number), state, "", *said, *rest


def _annex(one: Ordered) -> tuple[Any, ...]:
    offer, until_ms = one.offer, one.at_ms + 48 * town.HOUR_MS
    said = (account_of(one.number), offer.offer, offer.version, offer.title, one.salt, one.at_ms, until_ms)
    return box_of(one.number), 1, one.seq, *said


def _usage(one: Ordered) -> ledger.Draft:
    proof = f"{hashlib.sha256(one.envelope).hexdigest()}:{title_hash(one.salt, one.offer.offer)}"
    return ledger.Draft(
        "usage",
        account_of(one.number),
        one.ref,
        str(_month(one.age)),
        display_text(one.offer),
        "EUR",
        2100,
        proof,
        one.at_ms,
        ledger.usage(one.offer.price_cents),
    )


def fill_counters(db: Connection, size: Size) -> None:
    """Counters of the two weeks, and the nonces of half of the fragments of the one that is being taken."""
    measures, chance = profile("small").measures, Random(size.boxes)
    half = round(CONSENTING * size.boxes) * len(measures) // 2
    db.execute("BEGIN IMMEDIATE")
    for week in (CLOSED, TAKEN):
        cells = ((one, cell) for one in measures for cell in range(1, Grid(one, ()).size + 1))
        counters = ((str(week), one.name, cell, size.boxes, 0) for one, cell in cells)
        db.executemany("INSERT INTO counters VALUES (?, ?, ?, ?, ?)", counters)
        accepted = ((str(week), one.name, half // len(measures)) for one in measures)
        db.executemany("INSERT INTO accepted VALUES (?, ?, ?)", accepted)
    nonces = ((str(TAKEN), chance.randbytes(32)) for _ in range(half))
    db.executemany("INSERT INTO spent VALUES (?, ?)", nonces)
    db.execute("COMMIT")
