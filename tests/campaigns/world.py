"""Real boxes that sign, the real store on its file, and the model beside it; what is done is done to both."""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from headend.billing import accounts, exports, orders
from headend.billing.engines import open_store
from headend.billing.formats.registry import format_named
from headend.billing.refusals import EquivocationError, ForkError
from headend.billing.rows import Account
from headend.billing.store import BillingStore, BillingTx
from shared.named import PROTOCOL_VERSION, Acknowledgement, Delivery, Evidence, Order, encode, payload_hash
from tests import engines
from tests.builders import (
    CATALOGUE_KEY,
    DAY,
    GOOD,
    NOW_MS,
    SigningBox,
    account,
    billing_store,
    offer,
    promotion,
)
from tests.campaigns.books import everything
from tests.campaigns.model import Model, Said, Subscriber

T = TypeVar("T")
LATER = PROTOCOL_VERSION + 1
ZONE = ZoneInfo("Europe/Amsterdam")
SHM = Path("/dev/shm")  # noqa: S108 (memory, where a killed process leaves what it leaves on a disk)
NOBODY = Evidence(pin_verified=False, consent_immediate_supply=True, confirmation_shown=True)
WRITES = (
    "add_",
    "set_",
    "put_",
    "next_",
    "raise_",
    "bind_",
    "use_",
    "tell",
    "decide_",
    "release_",
    "forget_",
)

OFFERS = [
    offer(),
    offer("film-2", price_cents=399, window_hours=24, display="class", preview_minutes=5),
    offer("family", price_cents=299, vat_bp=900, window_hours=24),
    offer("game-1", kind="game", mode="buy", window_hours=0, price_cents=1299, display="amount"),
    offer("included", mode="subscription", price_cents=0),
    offer("ended", price_cents=199, valid_to_ms=NOW_MS + DAY),
]
PROMOTIONS = [
    promotion(valid_to_ms=NOW_MS + 90 * DAY),
    promotion(
        "welcome",
        category="welcome",
        kinds=["film", "game"],
        credit_cents=5000,
        per_account=1,
        valid_to_ms=NOW_MS + 90 * DAY,
    ),
]
SUBSCRIBERS = [
    Subscriber("acc-1", "NL", "Europe/Amsterdam"),
    Subscriber("acc-2", "BE", "Europe/Brussels"),
    Subscriber("acc-3", "NL", "America/Curacao"),
]
FAULTS: dict[str, dict[str, Any]] = {
    "price": {"price_cents": 1},
    "free": {"price_cents": 0},
    "credit": {"credit_cents": 77},
    "unknown": {"offer": "no-such-offer"},
    "version": {"offer_version": 9},
    "currency": {"currency": "USD"},
    "rate": {"vat_bp": 1900},
    "evidence": {"evidence": NOBODY},
    "promotion": {"promotion": "none-such", "promotion_version": 1, "credit_cents": 100},
}


class TornError(Exception):
    """A transaction is cut off here."""


class TornTx:
    """A transaction that breaks off before one of its writes."""

    def __init__(self, tx: BillingTx, writes: int) -> None:
        self._tx, self._left = tx, writes

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._tx, name)
        if not name.startswith(WRITES):
            return method

        def counted(*values: Any, **named: Any) -> Any:
            if self._left == 0:
                raise TornError
            self._left -= 1
            return method(*values, **named)

        return counted


class TornStore:
    """The store, whose transactions break off."""

    def __init__(self, store: BillingStore, writes: int) -> None:
        self._store, self._writes = store, writes

    def read(self) -> BillingTx:
        return self._store.read()

    def write(self, work: Callable[[Any], T]) -> T:
        return self._store.write(lambda tx: work(TornTx(tx, self._writes)))

    def write_beside(self, work: Callable[[Any], T]) -> T:
        return self._store.write_beside(lambda tx: work(TornTx(tx, self._writes)))


@dataclass
class Line:
    """A box's named line in its present epoch."""

    signer: SigningBox
    said: list[Said] = field(default_factory=list)

    @property
    def box(self) -> str:
        return self.signer.box

    @property
    def epoch(self) -> int:
        return self.signer.epoch

    def place(self) -> dict[str, Any]:
        return {"box": self.box, "epoch": self.epoch, "seq": self.signer.seq + 1, "prev": self.signer.prev}

    def say(self, body: Order | Delivery) -> Said:
        return self._keep(encode(body), body)

    def say_nonsense(self, **fields: Any) -> Said:
        payload = msgspec.json.encode({"type": "order", "v": 2, **self.place(), **fields})
        return self._keep(payload, None)

    def say_later(self, body: Order | Delivery) -> Said:
        """Say it in a version that the headend does not speak yet."""
        said = self._keep(encode(msgspec.structs.replace(body, v=LATER)), None)
        self.said[-1] = replace(said, later=body)
        return self.said[-1]

    def _keep(self, payload: bytes, body: Order | Delivery | None) -> Said:
        seq, prev = self.signer.seq + 1, self.signer.prev
        envelope = self.signer.chain(payload)
        self.said.append(Said(seq, prev, payload_hash(payload), envelope, body))
        return self.said[-1]

    def instead(self, seq: int, prev: str, body: Order) -> Said:
        """Another message for a place, beside the chain."""
        payload = encode(msgspec.structs.replace(body, seq=seq, prev=prev))
        return Said(seq, prev, payload_hash(payload), self.signer.sign(payload), body)


class World:
    """Three accounts in two countries and three zones, and boxes of theirs."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="billing-", dir=SHM if SHM.is_dir() else None))
        self.store = billing_store(self.folder, *OFFERS, promotions=tuple(PROMOTIONS))
        self.exported = self.folder / "exported"
        self.exported.mkdir()
        self.model = Model(SUBSCRIBERS, OFFERS, PROMOTIONS)
        self.now = NOW_MS
        self.lines: list[Line] = []
        self.lives = 1
        for who in SUBSCRIBERS[1:]:
            self.store.write(lambda tx, who=who: tx.add_account(_account(who)))
        for name in ("acc-1", "acc-1", "acc-2"):
            self.lines.append(Line(SigningBox(self.store, account=name)))
            self.enrol(self.lines[-1])

    def close(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    @property
    def db(self) -> Any:
        return self.store.storage.read()

    # --- how things are done
    def do(self, work: Callable[[Any], T], tear: int | None = None) -> T:
        """Do it; if `tear` says so, first break it off before that write and see that nothing has changed."""
        if tear is not None:
            before = everything(self.db)
            try:
                return work(TornStore(self.store, tear))
            except TornError:
                assert everything(self.db) == before, "what was broken off has changed something"
        return work(self.store)

    def refused(
        self, kind: type[Exception] | tuple[type[Exception], ...], work: Callable[[Any], Any]
    ) -> None:
        """See that it is refused and changes nothing."""
        before = everything(self.db)
        try:
            work(self.store)
        except kind:
            assert everything(self.db) == before, "a refusal has changed something"
        else:
            raise AssertionError(f"should be refused: {kind}")

    # --- boxes
    def enrol(self, line: Line, renew: str | None = None) -> None:
        signer, now = line.signer, self.now
        code = self.store.write(lambda tx: accounts.add_code(tx, signer.account, renew, now, os.urandom))
        answer = accounts.enrol(self.store, signer.enrolment(code), now, os.urandom)
        signer.box, signer.epoch = answer.box, answer.epoch
        self.model.enrol(answer.box, answer.epoch, signer.account, now)

    def reset(self, number: int, who: str) -> None:
        """A factory reset, or a new owner: a new key, epoch and chain; the old key speaks no more."""
        old = self.lines[number]
        self.lines[number] = Line(SigningBox(self.store, account=who))
        self.enrol(self.lines[number], renew=old.box)

    # --- messages
    def order(self, line: Line, name: str, at: int, promoted: str | None = None, **changes: Any) -> Order:
        sold = next(one for one in OFFERS if one.offer == name)
        found = next((one for one in PROMOTIONS if one.promotion == promoted), None)
        shown = Order(
            **line.place(),
            offer=name,
            offer_version=1,
            price_cents=sold.price_cents,
            currency=sold.currency,
            vat_bp=sold.vat_bp,
            placed_ms=max(0, at),
            salt=os.urandom(16).hex(),
            evidence=GOOD,
            promotion=promoted,
            promotion_version=None if found is None else found.version,
            credit_cents=0 if found is None else found.takes_off(sold.price_cents),
        )
        return msgspec.structs.replace(shown, **changes)

    def send(self, line: Line, says: list[Said], tear: int | None = None) -> None:
        """Submit these and see that acknowledgement and refusal are what the model says."""
        wanted, refusal = self.model.take(line.box, line.epoch, says, self.now)
        envelopes = [said.envelope for said in says]
        answer: Acknowledgement | EquivocationError | ForkError
        try:
            answer = self.do(lambda store: orders.take(store, envelopes, self.now), tear)
        except (EquivocationError, ForkError) as error:
            answer = error
        if isinstance(answer, Acknowledgement):
            assert (answer.box, answer.epoch, answer.ack, refusal) == (line.box, line.epoch, wanted, None)
        else:
            assert answer.name == refusal

    def stored(self, line: Line) -> int:
        return len(self.model.chains[line.box, line.epoch].kept)

    # --- exports
    def write_batch(self, number: int) -> None:
        """Write a batch's rows and table, its list and its head."""
        forms = (format_named("jsonl"), format_named("csv"))
        look = self.store.read()
        list(exports.write_batch(look, number, CATALOGUE_KEY, self.exported, forms))

    def written(self, number: int) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.exported.glob(f"BILL-{number:08}.*")}

    # --- processes
    def crash(self) -> None:
        """The process is killed: what lies on the disk at this moment is all that the next one finds."""
        old, self.lives = self.store, self.lives + 1
        place = engines.where(old)
        if engines.is_url(place):
            engines.cut(place)
            self.store = open_store(place)
            old.close()
            return
        folder = self.folder / str(self.lives)
        folder.mkdir()
        for suffix in ("", "-wal"):
            path = place.with_name(f"billing.db{suffix}")
            if path.exists():
                shutil.copy(path, folder / path.name)
        self.store = open_store(folder / "billing.db")
        old.close()

    def restart(self) -> None:
        self.store.close()
        self.store = open_store(engines.where(self.store))


def tampered(envelope: bytes, place: int, bit: int) -> bytes:
    """The envelope with one bit of its payload's text flipped."""
    start = envelope.index(b'"payload":"') + 11
    end = envelope.index(b'"', start)
    at = start + place % (end - start)
    return envelope[:at] + bytes([envelope[at] ^ (1 << bit)]) + envelope[at + 1 :]


def _account(who: Subscriber) -> Account:
    return account(who.name, country=who.country, zone=who.zone, created_ms=NOW_MS)
