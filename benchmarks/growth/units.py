"""Units of work, each as the headend does it, ready to be done so many times in a world.

What a box does for it (signing, blinding, sealing) is done before, and is not counted.
"""

import base64
import io
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.console.answers import desk_over, visit_of
from benchmarks.console.town import offers
from benchmarks.gateway import Mint
from benchmarks.growth.sized import (
    BILL_MS,
    BILLED,
    CLOSED,
    NOW,
    NOW_MS,
    RUNNING,
    TAIL,
    TAKEN,
    box_of,
    drawn_of,
)
from benchmarks.growth.world import PROFILE, World
from headend.analytics.archive import ReleaseArchive
from headend.analytics.release import run_release
from headend.analytics.sql import AT_A_TIME as NONCES_AT_A_TIME
from headend.analytics.sql import SqlDesk
from headend.analytics.store import Contribution
from headend.app import create_app
from headend.billing import exports, orders
from headend.billing.invoices import AT_A_TIME, raise_invoice
from headend.billing.issuing import AT_A_TIME as AT_A_TIME_FORGOTTEN
from headend.billing.issuing import below, draw_reporting_boxes
from headend.billing.pages.offered import make_pages
from headend.billing.store import BillingTx
from shared import dsse
from shared.named import (
    Delivery,
    Evidence,
    Heartbeat,
    MeasureRequest,
    Order,
    TokenAsk,
    encode,
    payload_hash,
)
from shared.register import profile
from shared.tokens import TokenRequest, token_key_id, truncated_key_id

Work = Callable[[], int]
"""Does what was prepared, and tells how many units that was."""
GROUP = 128
"""Fragments in one commit, as many as the gateway takes."""
SOLD = offers(0)
_GOOD = Evidence(pin_verified=True, consent_immediate_supply=True, confirmation_shown=True)
_SMALLER = 0x7F
"""The first byte of a blinded message, so that it is below any modulus."""


class UndoneError(Exception):
    """Undoes a transaction, so that it can be done again."""


class WrongAnswerError(Exception):
    """The headend did not do what it was asked."""


@dataclass(frozen=True)
class Unit:
    """A kind of work. `prepare` makes `times` of it ready in a world; `limit` is how many a turn does."""

    name: str
    prepare: Callable[[World, int], Work]
    times: int


# --- the named line


def _signed(world: World, message: bytes, box: str) -> bytes:
    return dsse.sign(message, dsse.PayloadType.NAMED, world.key, box)


def _some(world: World, times: int) -> list[int]:
    """Boxes anywhere in the upper half; bills are raised for the lower half, so that those stay as long."""
    return world.chance.sample(range(world.size.boxes // 2, world.size.boxes), times)


def orders_and_deliveries(world: World, times: int) -> tuple[list[bytes], list[bytes]]:
    """An order each of boxes anywhere, and what tells that it was delivered."""
    look, ordered, delivered = world.headend.billing.store.read(), [], []
    for number in _some(world, times):
        box = box_of(number)
        end = look.chain_end(box, 1)
        offer = world.chance.choice(SOLD)
        order = Order(
            box=box,
            epoch=1,
            seq=end.last_seq + 1,
            prev=end.last_hash,
            offer=offer.offer,
            offer_version=1,
            price_cents=offer.price_cents,
            currency="EUR",
            vat_bp=2100,
            placed_ms=NOW_MS - 1000,
            salt=os.urandom(16).hex(),
            evidence=_GOOD,
        )
        said = encode(order)
        delivery = Delivery(
            box=box,
            epoch=1,
            seq=order.seq + 1,
            prev=payload_hash(said),
            order_seq=order.seq,
            outcome="confirmed",
            at_ms=NOW_MS,
        )
        ordered.append(_signed(world, said, box))
        delivered.append(_signed(world, encode(delivery), box))
    return ordered, delivered


def _orders(world: World, times: int) -> Work:
    """A submission of one order each."""
    store, envelopes = world.headend.billing.store, orders_and_deliveries(world, times)[0]

    def work() -> int:
        for envelope in envelopes:
            orders.take(store, [envelope], NOW_MS)
        return times

    return work


def beats(world: World, times: int) -> list[bytes]:
    """A sign of life each of boxes anywhere."""
    look, found = world.headend.billing.store.read(), []
    for number in _some(world, times):
        end = look.chain_end(box_of(number), 1)
        beat = Heartbeat(
            box=box_of(number),
            epoch=1,
            last_seq=end.last_seq,
            last_hash=end.last_hash,
            sent_ms=NOW_MS,
            agent="box-agent/1",
        )
        found.append(_signed(world, encode(beat), box_of(number)))
    return found


def _heartbeats(world: World, times: int) -> Work:
    """Signs of life through the whole application, as the server calls it."""
    app, bodies = create_app(world.headend), beats(world, times)

    def work() -> int:
        for body in bodies:
            post(app.wsgi_app, "/billing/v1/heartbeat", body)
        return times

    return work


def post(app: Callable[..., object], path: str, body: bytes) -> bytes:
    """One request to a WSGI application, without what a test client adds.

    Raises:
        WrongAnswerError: its status is not 200.
    """
    told = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
    }
    answer = b"".join(app(environ, lambda status, _headers, _info=None: told.append(status)))
    if told != ["200 OK"]:
        raise WrongAnswerError(f"{path}: {told} {answer!r}")
    return answer


def asks(world: World, times: int, measures: int | None = None, *, drawn: bool = True) -> list[bytes]:
    """What boxes ask a week's tokens with that have not asked yet; or boxes that were not drawn.

    For all measures, or for so many.
    """
    issuer, taken = world.headend.billing.issuer, profile(PROFILE).measures[:measures]
    carried = {
        one.name: truncated_key_id(token_key_id(issuer.keys.of(one.name, RUNNING).public_spki))
        for one in taken
    }
    found = []
    for number in world.next_asking(times) if drawn else _undrawn(world, times):
        box = box_of(number)
        requests = [
            MeasureRequest(one.name, _blinded(carried[one.name])) for one in taken for _ in range(one.quota)
        ]
        found.append(_signed(world, encode(TokenAsk(box=box, week=str(RUNNING), requests=requests)), box))
    return found


def _undrawn(world: World, times: int) -> list[int]:
    return world.chance.sample(range(drawn_of(world.size), world.size.boxes), times)


def _tokens(world: World, times: int) -> Work:
    """A week's tokens of a box, all in one request."""
    issuer, asked = world.headend.billing.issuer, asks(world, times)

    def work() -> int:
        for ask in asked:
            issuer.grant(ask)
        return times

    return work


def _blinded(carried: int) -> str:
    """A token request, which says nothing: any number below the modulus may be one."""
    drawn = bytearray(os.urandom(256))
    drawn[0] &= _SMALLER
    return base64.b64encode(TokenRequest(carried, bytes(drawn)).encode()).decode()


# --- the anonymous line


class Fragments:
    """Sealed fragments, made once and handed to each world: all have the same keys."""

    def __init__(self, world: World) -> None:
        week = world.headend.analytics.weeks.by_key_id(TAKEN.number)
        self._mint = Mint(world.headend.installation, week)
        self._made: list[bytes] = []
        self._given: dict[object, int] = {}

    def take(self, world: World, times: int) -> list[bytes]:
        """So many that this world has not seen."""
        first = self._given.get(world.size, 0)
        measures = profile(PROFILE).measures
        while len(self._made) < first + times:
            at = len(self._made)
            self._made.append(self._mint.make(measures[at % len(measures)], at).body)
        self._given[world.size] = first + times
        return self._made[first : first + times]


def intake(fragments: Fragments) -> Callable[[World, int], Work]:
    """Fragments opened, proved and counted in groups, as the gateway does them when it is busy."""

    def prepare(world: World, times: int) -> Work:
        sealed, taken = fragments.take(world, times), world.headend.analytics.intake

        def work() -> int:
            for at in range(0, times, GROUP):
                taken.answer_all(sealed[at : at + GROUP])
            return times

        return work

    return prepare


def _counting(world: World, times: int) -> Work:
    """The counting alone: tokens spent and cells added up, in the gateway's groups."""
    store, chance, measures = world.headend.analytics.store, world.chance, profile(PROFILE).measures
    found = [
        Contribution(TAKEN, measures[at % len(measures)].name, 1 + at % 11, 1, 0, chance.randbytes(32))
        for at in range(times)
    ]

    def work() -> int:
        for at in range(0, times, GROUP):
            store.count(found[at : at + GROUP])
        return times

    return work


class _UndoneDesk:
    """A store whose release is undone."""

    def __init__(self, world: World) -> None:
        self._store = world.headend.analytics.store

    def at_release_desk(self, work: Callable[..., object]) -> object:
        def undone(desk: object) -> None:
            work(desk)
            raise UndoneError

        return self._store.at_release_desk(undone)


def _release(world: World, times: int) -> Work:
    """A week's release, from the counters to the signed manifest; undone, so that it can be drawn again."""
    key = Ed25519PrivateKey.generate()
    archive = ReleaseArchive(world.headend.installation.folder / "nothing")

    def work() -> int:
        for _ in range(times):
            with suppress(UndoneError):
                run_release(_UndoneDesk(world), CLOSED, NOW, key, archive)
        return times

    return work


# --- an operator's month


def _bills(world: World, times: int) -> Work:
    """Bills of the month in the job's order, half as many in a transaction: a small town has few accounts."""
    store = world.headend.billing.store

    def some(tx: BillingTx, names: list[str]) -> int:
        due = [name for name in names if tx.bill_of(name, str(BILLED)) is None]
        return sum(raise_invoice(tx, tx.account(name), BILLED, BILL_MS) is not None for name in due)

    def work() -> int:
        raised, last = 0, ""
        while raised < times:
            names = store.read().accounts_with_due_orders(last, times)
            raised += store.write(lambda tx, names=names: some(tx, names))
            last = names[-1]
        return raised

    return work


def _export(world: World, _times: int) -> Work:
    """Closing a batch over the newest entries; undone, so that it can be closed again."""
    store = world.headend.billing.store

    def undone(tx: BillingTx) -> None:
        exports.close_batch(tx, NOW_MS, exports.tail(tx).first_entry + TAIL - 1)
        raise UndoneError

    def work() -> int:
        with suppress(UndoneError):
            store.write(undone)
        return TAIL

    return work


# --- jobs that go over everybody; their parts are done within one transaction here, to be undone


def _undone(world: World, deed: Callable[[BillingTx], int]) -> int:
    """Do something in billing, and undo it; how many units it was."""
    done = [0]

    def work(tx: BillingTx) -> None:
        done[0] = deed(tx)
        raise UndoneError

    with suppress(UndoneError):
        world.headend.billing.store.write(work)
    return done[0]


@dataclass(frozen=True)
class _Within:
    """A store whose transactions are parts of one."""

    tx: BillingTx

    def write(self, work: Callable[[BillingTx], object]) -> object:
        return work(self.tx)


def _draw(world: World, _times: int) -> Work:
    """Every account's reporting box for a week to come."""
    week = RUNNING.plus(1)
    return lambda: _undone(world, lambda tx: draw_reporting_boxes(_Within(tx), week, below, NOW_MS))


def _totals(world: World, _times: int) -> Work:
    """The boxes of every account by region, and the tokens that were issued."""

    def work() -> int:
        world.headend.billing.totals(TAKEN)
        return world.size.boxes

    return work


def _forget_tokens(world: World, _times: int) -> Work:
    """The week's reporting boxes and what was signed for them."""
    look = world.headend.billing.store.read()
    drawn, _, issued = look.issued(str(TAKEN))
    rows = drawn + sum(issued.values())

    def forget(tx: BillingTx) -> int:
        while tx.forget_tokens(str(TAKEN), AT_A_TIME_FORGOTTEN):
            continue
        return rows

    return lambda: _undone(world, forget)


def _forget_nonces(world: World, _times: int) -> Work:
    """The week's spent nonces, overwritten in the file."""
    store = world.headend.analytics.store
    spent = sum(one.count for one in store.accepted() if one.week == TAKEN)

    def forget(desk: SqlDesk) -> None:
        while desk.drop_nonces(TAKEN, NONCES_AT_A_TIME):
            continue
        raise UndoneError

    def work() -> int:
        with suppress(UndoneError):
            store.at_release_desk(forget)
        return spent

    return work


def jobs() -> Iterator[Unit]:
    """What is done for everybody at once: it holds the writer for so long times so many."""
    yield Unit("drawing a reporting box", _draw, 1)
    yield Unit("an account in the totals", _totals, 1)
    yield Unit("forgetting a signed token", _forget_tokens, 1)
    yield Unit("forgetting a nonce", _forget_nonces, 1)


def page(path: str) -> Callable[[World, int], Work]:
    """A list of the console."""

    def prepare(world: World, times: int) -> Work:
        desk = replace(desk_over(world.headend.billing.store), now_ms=lambda: NOW_MS)
        part = next(one for one in make_pages(desk) if one.path == path)

        def work() -> int:
            for _ in range(times):
                part.render(visit_of({}))
            return times

        return work

    return prepare


def units(world: World) -> Iterator[Unit]:
    """Every kind of work, cheapest preparation first."""
    yield Unit("an order", _orders, 100)
    yield Unit("a heartbeat", _heartbeats, 100)
    yield Unit("a week's tokens", _tokens, 30)
    yield Unit("a fragment, all of it", intake(Fragments(world)), 2 * GROUP)
    yield Unit("a fragment, counting it", _counting, 8 * GROUP)
    yield Unit("an account's bill", _bills, AT_A_TIME // 2)
    yield Unit("an entry of an export", _export, 1)
    yield Unit("a release", _release, 2)
    yield Unit("a page of orders", page("orders"), 4)
    yield Unit("a page of boxes", page("boxes"), 4)
