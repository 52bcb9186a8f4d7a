"""A year of a small headend, step by step, that can be taken up again wherever it was killed.

Each step asks for the same thing however often it is run: boxes send again, months are raised again, what
an operator decides is claimed in the transaction that does it.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headend.billing import accounts, disputes, erasure, exports, orders, retention, suspense
from headend.billing import credits as corrections
from headend.billing.catalogue import publish_catalogue
from headend.billing.formats.registry import format_named
from headend.billing.invoices import raise_month
from headend.billing.refusals import EquivocationError, WrongSignatureError
from headend.billing.rows import BatchAcknowledgement, OrderState
from headend.billing.sqlite import SqliteBilling
from headend.billing.suspense import Correction, Decision
from shared.weeks import Month
from tests.builders import CATALOGUE_KEY, DAY, HOUR, NOW_MS, SigningBox, account
from tests.campaigns import books
from tests.campaigns.world import OFFERS, PROMOTIONS, ZONE

Say = Callable[[str, Any], None]
THIRD_OF_NOVEMBER, THIRD_OF_DECEMBER = NOW_MS + 27 * DAY, NOW_MS + 57 * DAY
NEXT_YEAR = NOW_MS + 400 * DAY


def drawn(label: str) -> Callable[[int], bytes]:
    """Bytes that are the same in every process."""
    return lambda size: hashlib.sha256(label.encode()).digest()[:size]


class HeadendLife:
    """The script; `say` tells, outside this process, what somebody was told."""

    def __init__(self, folder: Path, say: Say) -> None:
        self.folder, self.say = folder, say
        self.store = self.opened()
        self.first, self.second, self.renewed = (self.box(name) for name in ("first", "second", "renewed"))
        self.second.account = "acc-2"

    def opened(self) -> SqliteBilling:
        return SqliteBilling(self.folder / "billing.db", checkpoints=True)

    @staticmethod
    def box(name: str) -> SigningBox:
        key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        return SigningBox(store=None, key=key)

    def run(self) -> None:
        self.begin()
        self.enrol(self.first)
        self.enrol(self.second)
        self.october()
        self.store.close()
        self.store = self.opened()
        self.bill(Month(2026, 10), THIRD_OF_NOVEMBER)
        self.correct()
        self.close_batch(1, THIRD_OF_NOVEMBER + 9 * DAY)
        self.november()
        self.bill(Month(2026, 11), THIRD_OF_DECEMBER)
        self.close_batch(2, THIRD_OF_DECEMBER + DAY)
        self.forget()
        self.store.close()

    # --- steps
    def once(self, name: str, now: int, work: Callable[[Any], Any]) -> None:
        """What a person decides is done once, however often the command is given."""
        self.store.write(lambda tx: work(tx) if tx.claim("campaign", name, now) else None)
        self.say("done", name)

    def begin(self) -> None:
        def work(tx: Any) -> None:
            tx.add_account(account())
            tx.add_account(account("acc-2", country="BE", zone="Europe/Brussels"))
            publish_catalogue(tx, OFFERS, CATALOGUE_KEY, NOW_MS, PROMOTIONS)

        self.once("begin", NOW_MS, work)

    def enrol(self, box: SigningBox, renew: str | None = None) -> None:
        who, name = box.account, f"code of {box.account} {renew}"
        code = drawn(name)(10).hex().upper()
        self.once(name, NOW_MS, lambda tx: accounts.add_code(tx, who, renew, NOW_MS, drawn(name)))
        answer = accounts.enrol(self.store, box.enrolment(code), NOW_MS, drawn(f"box of {who}"))
        box.box, box.epoch = answer.box, answer.epoch
        self.say("enrolled", [answer.box, answer.epoch])

    def order(self, box: SigningBox, name: str, at: int, **changes: Any) -> bytes:
        sold = next(one for one in OFFERS if one.offer == name)
        salt = drawn(f"{box.box} {box.epoch} {box.seq}")(16).hex()
        terms = {"price_cents": sold.price_cents, "vat_bp": sold.vat_bp, "salt": salt}
        return box.order(name, at, **{**terms, **changes})

    def send(self, *envelopes: bytes, now: int) -> None:
        try:
            answer = orders.take(self.store, list(envelopes), now)
            self.say("ack", [answer.box, answer.epoch, answer.ack])
        except (EquivocationError, WrongSignatureError) as error:
            # A box that was reset since speaks no more: what it sends again is stored already.
            self.say("refused", error.name)

    def october(self) -> None:
        one, other, at = self.first, self.second, NOW_MS + HOUR
        promoted = {"promotion": "autumn", "promotion_version": 1, "credit_cents": 200}
        start = [self.order(one, "film-1", at), self.order(one, "film-1", at + HOUR)]
        self.send(*start, now=at + HOUR)
        rest = [
            self.order(one, "film-2", at + 2 * HOUR, price_cents=1),
            self.order(one, "game-1", at + 3 * HOUR),
            one.raw(price_cents=-1),
            self.order(one, "film-2", at + DAY, **promoted),
        ]
        self.send(rest[-1], now=at + 2 * DAY)
        self.send(*start, *rest, now=at + 2 * DAY)
        twin = SigningBox(store=None, key=one.key, box=one.box, epoch=one.epoch)
        self.send(self.order(twin, "film-2", at), now=at + 2 * DAY)
        begun = [self.order(other, "film-2", at), other.delivery(1, "stopped", at + 60_000)]
        more = [self.order(other, "film-1", at + 3 * DAY, **promoted), self.order(other, "family", at)]
        self.send(*begun, *more, now=at + 4 * DAY)
        self.decide(at + 5 * DAY)

    def decide(self, now: int) -> None:
        said, put_right = Decision("looked at it", "alice", now), Correction(("film-2", 1), 1)
        waiting = f"{self.first.box}/1/3", f"{self.first.box}/1/5"
        self.once("readmit", now, lambda tx: suspense.correct(tx, waiting[0], put_right, said))
        self.once("reject", now, lambda tx: suspense.reject(tx, waiting[1], said))

    def bill(self, month: Month, now: int) -> None:
        raise_month(self.store, month, now)
        self.once(f"bills {month}", now, lambda _: None)
        look = self.store.read()
        self.say(
            "bills", sorted(bill.number for bill in look.invoices(None, 100) if bill.month == str(month))
        )

    def correct(self) -> None:
        now, (one, other) = THIRD_OF_NOVEMBER + DAY, (self.first, self.second)
        look = self.store.read()
        bill, ref = look.bill_of("acc-1", "2026-10") or "", f"{one.box}/1/1"
        theirs = look.bill_of("acc-2", "2026-10") or ""
        self.once("part", now, lambda tx: corrections.credit(tx, bill, {ref: 100}, "correction", now))
        self.send(other.delivery(3, "failed", now), now=now)
        disputed = f"{one.box}/1/4"
        self.once("dispute", now, lambda tx: disputes.open_dispute(tx, bill, disputed, "not mine", now))
        self.once("uphold", now + DAY, lambda tx: disputes.uphold(tx, 1, None, "alice", now + DAY))
        self.say("notes", [note.number for number in (bill, theirs) for note in look.notes_of(number)])

    def close_batch(self, number: int, now: int) -> None:
        self.once(f"batch {number}", now, lambda tx: exports.close_batch(tx, now))
        look = self.store.read()
        forms = (format_named("jsonl"), format_named("csv"))
        for path in exports.write_batch(look, number, CATALOGUE_KEY, self.folder, forms):
            self.say("file", [path.name, hashlib.sha256(path.read_bytes()).hexdigest()])
        took = BatchAcknowledgement(number, "receiver", exports.closed(look, number).hash, now)
        self.store.write(lambda tx: tx.acknowledge_batch(took))

    def november(self) -> None:
        """A factory reset; what comes late goes on the next bill."""
        self.enrol(self.renewed, renew=self.first.box)
        at = THIRD_OF_NOVEMBER + 10 * DAY
        late = self.order(self.second, "film-1", NOW_MS + 9 * DAY)
        self.send(late, self.order(self.second, "ended", at), now=at)
        self.send(self.order(self.renewed, "film-1", at), self.order(self.renewed, "game-1", at), now=at)

    def forget(self) -> None:
        self.once("erase", THIRD_OF_DECEMBER, lambda tx: erasure.erase(tx, "acc-2", "al", THIRD_OF_DECEMBER))
        retention.forget_due(self.store, NEXT_YEAR, ZONE)


def check_headend(folder: Path, told: list[tuple[str, Any]]) -> None:
    """After a kill: the books hold, and what anybody was told before it is true still."""
    store = SqliteBilling(folder / "billing.db")
    look = store.read()
    books.check(store)
    done = {row[0] for row in store.storage.read().execute("SELECT slot FROM job_runs")}
    for kind, what in told:
        if kind == "ack":
            end = look.chain_end(what[0], what[1])
            assert end is not None
            assert end.last_seq >= what[2], "an acknowledged order is lost"
        elif kind == "file":
            assert hashlib.sha256((folder / what[0]).read_bytes()).hexdigest() == what[1]
        elif kind == "enrolled":
            assert look.chain_end(*what) is not None
        elif kind in {"bills", "notes"}:
            assert all(look.invoice(number) is not None for number in what)
        elif kind == "done":
            assert what in done
    assert look.order_totals().keys() <= set(OrderState)
    store.close()


def headend_outcome(folder: Path) -> str:
    """What the life has come to: the books, and the files that were written."""
    store = SqliteBilling(folder / "billing.db")
    found = hashlib.sha256(books.digest(store.storage.read()).encode())
    store.close()
    for path in sorted(folder.glob("BILL-*")):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()
