"""An evening of one real box against the real headend, that can be taken up again wherever it was killed.

A household orders what it has not ordered yet, and its box sends what is not acknowledged. Both databases
are on disk, and a kill takes both sides at once.
"""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from box_agent.app import Agent
from box_agent.lines import Answer, LineDownError
from headend.billing import accounts, orders
from headend.billing.catalogue import publish_catalogue
from headend.billing.invoices import raise_month
from headend.billing.sqlite import SqliteBilling
from shared import dsse
from shared.clock import ManualClock, from_ms, to_ms
from shared.named import Acknowledgement, Heartbeat, Submission, encode, read
from shared.weeks import Month
from tests.box_agent.fakes import FakeRelay, settings
from tests.builders import CATALOGUE_KEY, DAY, GOOD, NOW, NOW_MS, account
from tests.campaigns import books
from tests.campaigns.headend_life import THIRD_OF_NOVEMBER, Say, drawn
from tests.campaigns.world import OFFERS, PROMOTIONS

EVENING = (
    ("film-1", None),
    ("film-2", "autumn"),
    ("game-1", "welcome"),
    ("family", None),
    ("included", None),
)
CODE = "ABCDEFGHIJ"


class DirectLine:
    """The named line without a network: the headend's own functions, on the same messages."""

    def __init__(self, store: SqliteBilling, clock: ManualClock) -> None:
        self._store, self._clock = store, clock

    def post(self, path: str, body: bytes) -> Answer:
        now = to_ms(self._clock.now())
        if path == "enrol":
            return Answer(200, encode(accounts.enrol(self._store, body, now, drawn("box"))))
        if path == "chain":
            envelopes = [bytes(one) for one in read(body, Submission).envelopes]
            return Answer(200, encode(orders.take(self._store, envelopes, now)))
        return Answer(200, encode(self._heartbeat(body, now)))

    def _heartbeat(self, body: bytes, now: int) -> Acknowledgement:
        _, payload = orders.authenticate(self._store.read(), body)
        beat = read(payload, Heartbeat)
        self._store.write(lambda tx: tx.tell(beat.box, beat.epoch, beat.last_seq, now))
        end = self._store.read().chain_end(beat.box, beat.epoch)
        return Acknowledgement(beat.box, beat.epoch, end.last_seq if end else 0, 1)

    def get(self, path: str, etag: str | None = None) -> Answer:
        found = self._store.read().catalogue()
        if path != "catalogue" or found is None:
            raise LineDownError("nothing there")
        return Answer(304, b"") if etag == "1" else Answer(200, found[1], "1")


class BoxLife:
    """The script; `say` tells, outside this process, what the household was told."""

    def __init__(self, folder: Path, say: Say) -> None:
        self.say, self.clock = say, ManualClock(NOW)
        self.store = SqliteBilling(folder / "billing.db", checkpoints=True)
        self.once("begin", _begin)
        self.agent = _agent(folder, self.store, self.clock)
        # Time does not go back: what was ordered before the last process was killed is past.
        placed = [kept.placed_ms for kept in self.agent.orders()]
        self.clock.advance_to(from_ms(max(placed, default=NOW_MS)))

    def once(self, name: str, work: Callable[[Any], Any]) -> None:
        self.store.write(lambda tx: work(tx) if tx.claim("campaign", name, NOW_MS) else None)

    def run(self) -> None:
        if not self.agent.status()["named"]["enrolled"]:
            self.agent.enrol(CODE)
        self.say("enrolled", CODE)
        self.agent.tick()
        for number, (name, promoted) in enumerate(EVENING):
            self.wait_until(number + 1)
            self.order(name, promoted)
            if number % 2:
                self.agent.tick()
        self.wait_until(20)
        self.say("told", [self.agent.report_delivery(1, "failed"), "film-1", "failed"])
        self.agent.park()
        self.agent.tick()
        raise_month(self.store, Month(2026, 10), THIRD_OF_NOVEMBER)
        self.agent.park()
        self.store.close()

    def wait_until(self, minutes: int) -> None:
        self.clock.advance_to(max(self.clock.now(), NOW + timedelta(minutes=minutes)))

    def order(self, name: str, promoted: str | None) -> None:
        if name not in {kept.offer for kept in self.agent.orders()}:
            placed = self.agent.place_order(name, GOOD, promoted)
            self.say("yes", [placed.seq, placed.offer])


def _begin(tx: Any) -> None:
    tx.add_account(account())
    publish_catalogue(tx, OFFERS, CATALOGUE_KEY, NOW_MS, PROMOTIONS)
    tx.add_code(accounts.code_hash(CODE), "acc-1", None, NOW_MS + DAY)


def _agent(folder: Path, store: SqliteBilling, clock: ManualClock) -> Agent:
    pinned = dsse.public_to_text(CATALOGUE_KEY.public_key())
    lines = (DirectLine(store, clock), FakeRelay(clock))
    return Agent(settings(folder / "box", catalogue_key=pinned), lines, clock)


def check_box(folder: Path, told: list[tuple[str, Any]]) -> None:
    """After a kill: what was answered yes is there, and what a box holds for acknowledged is held."""
    store = SqliteBilling(folder / "billing.db")
    books.check(store)
    agent = _agent(folder, store, ManualClock(NOW))
    kept = {order.seq: order for order in agent.orders()}
    promised = [tuple(what) for kind, what in told if kind == "yes"]
    for seq, name in promised:
        assert kept[seq].offer == name, "an order that was answered yes is lost"
    assert len(kept) <= len(promised) + told.count(("killed", None))
    for kind, what in told:
        if kind == "told":
            assert kept[1].outcome == what[2]
    db = agent._store.connection()
    chain = [row[0] for row in db.execute("SELECT seq FROM chain ORDER BY seq")]
    assert chain == list(range(1, len(chain) + 1))
    acked = db.execute("SELECT coalesce(max(acked), 0), coalesce(max(seq), 0) FROM head").fetchone()
    assert acked[1] == len(chain)
    held = [end.last_seq for end in store.read().chain_ends()]
    assert acked[0] <= max(held, default=0), "the box holds for acknowledged what the headend has lost"
    agent.park()
    store.close()


_STANDS = "seq, account, state, reason, price_cents, credit_cents, effective_ms, month, invoice"
_BOOKED = "entry, kind, account, ref, month, text, unbilled, receivable, revenue, vat, rounding"


def box_outcome(folder: Path) -> str:
    """What the evening has come to on both sides; the box's key is its own, so hashes are left out."""
    store = SqliteBilling(folder / "billing.db")
    db = store.storage.read()
    agent = _agent(folder, store, ManualClock(NOW))
    found = [
        *(tuple(row) for row in db.execute(f"SELECT {_STANDS} FROM orders ORDER BY seq")),
        *(tuple(row) for row in db.execute(f"SELECT {_BOOKED} FROM entries ORDER BY entry")),
        *(tuple(row) for row in db.execute("SELECT number, gross, net, vat, rounding FROM invoices")),
        *((kept.seq, kept.offer, kept.outcome, kept.acknowledged) for kept in agent.orders()),
    ]
    agent.park()
    store.close()
    return hashlib.sha256(repr(found).encode()).hexdigest()
