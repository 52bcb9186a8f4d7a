"""Taking what boxes chain: each order exactly once, whatever the network does.

What is authentic and in sequence is taken whatever it says: it is stored, acknowledged, and rated or
suspended. Identity is (box, epoch, seq), for ever. What cannot be decided on for an error is stored all the
same, as if it could not be read.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from headend.billing.charging import rate, unreadable
from headend.billing.deliveries import note_delivery
from headend.billing.messages import readable
from headend.billing.rating import TimeBounds
from headend.billing.refusals import (
    BoxMismatchError,
    EquivocationError,
    ForkError,
    NoPositionError,
    UnknownBoxError,
    UnknownEpochError,
    WrongSignatureError,
)
from headend.billing.rows import Alarm, Box, Link, NotFoundError, is_box_id
from headend.billing.store import BillingStore, BillingTx
from headend.kit.http import MalformedError, RefusedError
from headend.kit.storage import StorageError, own_outcome
from shared import dsse
from shared.errors import StbError
from shared.named import (
    Acknowledgement,
    BoxId,
    Chained,
    ChainHead,
    Order,
    UnreadableMessageError,
    payload_hash,
    read_head,
)

A = TypeVar("A")
B = TypeVar("B")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Signed:
    """An envelope whose signature has been verified, with its place in the chain."""

    envelope: bytes
    payload: bytes
    head: ChainHead
    hash: str


@dataclass(frozen=True)
class Tip:
    """How far an epoch is stored: the last place, its hash, and when it took effect (Unix milliseconds).

    It is asked once for a submission and then carried along, since whoever takes it holds the epoch.
    """

    seq: int
    hash: str
    ms: int


class NotDecidedError(StbError):
    """A message to store could not be rated, or not be applied to the order that it is about."""

    def __init__(self, head: ChainHead, why: str) -> None:
        super().__init__(why)
        self.head = head
        self.why = why


SetAside = dict[ChainHead, str]
"""Messages that are stored without deciding on them, with the error that there was."""
Keys = dict[str, tuple[Box, dsse.PublicKey]]
"""Boxes that have been looked up, with their public keys."""


def authenticate(tx: BillingTx, envelope: bytes, keys: Keys | None = None) -> tuple[Box, bytes]:
    """Verify an envelope of the named line against the box that its key id names.

    1. It is an envelope. 2. The box is enrolled; what has not the form of a box's id is never asked for.
    3. The signature is that box's. `keys` is looked into first, and keeps what was looked up.

    Raises:
        MalformedError: it is no envelope.
        UnknownBoxError: no such box.
        WrongSignatureError: another key signed it, a byte was changed, or it is of another payload type.
    """
    try:
        parsed = dsse.read(envelope)
        box, key = _key_of(tx, parsed.keyid, {} if keys is None else keys)
        return box, dsse.vouched(parsed, dsse.PayloadType.NAMED, key)
    except NotFoundError as error:
        raise UnknownBoxError("no such box") from error
    except (dsse.BadSignatureError, dsse.WrongPayloadTypeError) as error:
        raise WrongSignatureError("not signed by that box") from error
    except dsse.MalformedEnvelopeError as error:
        raise MalformedError("no envelope") from error


def _key_of(tx: BillingTx, name: str, keys: Keys) -> tuple[Box, dsse.PublicKey]:
    known = keys.get(name)
    if known is None:
        # Nobody has vouched for it yet, and a database may not even take it: U+0000, or far too long.
        if not is_box_id(name):
            raise UnknownBoxError("no box's id")
        box = tx.box(name)
        known = keys[name] = box, dsse.public_from_text(box.public_key)
    return known


def read_signed(tx: BillingTx, envelope: bytes, keys: Keys | None = None) -> Signed:
    """Verify a chained message and read its place, and nothing else of it.

    Raises:
        RefusedError: as `authenticate`; or it has no place, or speaks for another box.
    """
    box, payload = authenticate(tx, envelope, keys)
    try:
        head = read_head(payload)
    except UnreadableMessageError as error:
        raise NoPositionError("no place in a chain") from error
    if head.box != box.box:
        raise BoxMismatchError("signed by another box than it speaks for")
    return Signed(envelope, payload, head, payload_hash(payload))


def take(store: BillingStore, envelopes: list[bytes], now_ms: int) -> Acknowledgement:
    """Take a submission and acknowledge, after the commit, what is stored without a gap.

    Everything before a message that is refused is kept; the refusal is raised after the commit too.

    Raises:
        RefusedError: the first refusal among the envelopes.
    """
    (outcome,) = take_group(store, [envelopes], now_ms)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def take_group(
    store: BillingStore, submissions: list[list[bytes]], now_ms: int
) -> list[Acknowledgement | Exception]:
    """Take several submissions in one transaction: each one's acknowledgement, or what `take` raises of it.

    If the transaction fails, each is taken by itself, so that a failure stays with the one that it is of.

    Raises:
        StorageError: the database is away.
    """
    look = store.read()
    read = [own_outcome(_read_submission, look, envelopes) for envelopes in submissions]
    whole = [one for one in read if not isinstance(one, Exception)]
    outcomes = iter(_commit(store, whole, now_ms, {}))
    return [one if isinstance(one, Exception) else next(outcomes) for one in read]


def _read_submission(look: BillingTx, envelopes: list[bytes]) -> list[Signed]:
    keys: Keys = {}
    signed = [read_signed(look, envelope, keys) for envelope in envelopes]
    first = signed[0].head
    if any((one.head.box, one.head.epoch) != (first.box, first.epoch) for one in signed):
        raise BoxMismatchError("one submission is one box's and one epoch's")
    return signed


def _commit(
    store: BillingStore, read: list[list[Signed]], now_ms: int, aside: SetAside
) -> list[Acknowledgement | Exception]:
    """Commit submissions; one in which something could not be decided is taken again with that set aside."""
    outcomes = commit_group(store, read, lambda tx, signed: _take_all(tx, signed, now_ms, aside))
    for at, outcome in enumerate(outcomes):
        if isinstance(outcome, NotDecidedError):
            log.error("a message is stored without deciding on it: %s", outcome.why, exc_info=outcome)
            (outcomes[at],) = _commit(store, [read[at]], now_ms, {**aside, outcome.head: outcome.why})
    return outcomes


def commit_group(
    store: BillingStore, items: list[A], take_one: Callable[[BillingTx, A], B | Exception]
) -> list[B | Exception]:
    """Take items in one transaction; if it fails each by itself, so that a failure stays with its own."""
    if not items:
        return []
    try:
        return store.write_beside(lambda tx: [take_one(tx, item) for item in items])
    except Exception as error:  # noqa: BLE001 (whatever it is, it is told to the one whose it is)
        if len(items) == 1:
            return [error]
    return [outcome for item in items for outcome in commit_group(store, [item], take_one)]


def _take_all(
    tx: BillingTx, signed: list[Signed], now_ms: int, aside: SetAside
) -> Acknowledgement | Exception:
    head = signed[0].head
    tx.hear(head.box, "", now_ms)
    end = tx.chain_end(head.box, head.epoch)
    if end is None:
        return UnknownEpochError("never issued")
    tip = Tip(end.last_seq, end.last_hash, end.last_ms)
    for one in signed:
        found = _take_one(tx, one, tip, now_ms, aside)
        if isinstance(found, RefusedError):
            return found
        tip = found
    return Acknowledgement(head.box, head.epoch, tip.seq)


def _take_one(tx: BillingTx, one: Signed, tip: Tip, now_ms: int, aside: SetAside) -> Tip | RefusedError:
    """Take one message of an epoch that is stored up to `tip`; gives how far it is stored then.

    1. Known position: the same bytes, or an alarm. 2. After a gap: only noted. 3. Next position: it follows
    the stored one, or an alarm. 4. Store it, then rate it.
    """
    head = one.head
    if head.seq <= tip.seq:
        return _compare(tx, one, now_ms) or tip
    if head.seq > tip.seq + 1:
        tx.tell(head.box, head.epoch, head.seq, now_ms)
        return tip
    if head.prev != tip.hash:
        _alarm(tx, "fork", one, now_ms)
        return ForkError("does not follow")
    return _store(tx, one, tip, now_ms, aside)


def _compare(tx: BillingTx, one: Signed, now_ms: int) -> RefusedError | None:
    stored = tx.link(one.head.box, one.head.epoch, one.head.seq)
    if stored is not None and stored.hash == one.hash:
        return None
    _alarm(tx, "equivocation", one, now_ms)
    return EquivocationError("other bytes under the same identity")


def _alarm(tx: BillingTx, kind: str, one: Signed, now_ms: int) -> None:
    detail = f"epoch {one.head.epoch}, seq {one.head.seq}"
    tx.raise_alarm(Alarm(kind, one.head.box, "", detail, now_ms), one.envelope)


def _store(tx: BillingTx, one: Signed, tip: Tip, now_ms: int, aside: SetAside) -> Tip:
    message = None if one.head in aside else readable(one.payload)
    bounds = TimeBounds(tip.ms, now_ms)
    told_ms = message.placed_ms if isinstance(message, Order) else getattr(message, "at_ms", 0)
    effective = bounds.effective(told_ms)
    head = one.head
    kind = "unreadable" if message is None else type(message).__name__.lower()
    digest = hashlib.sha256(one.envelope).hexdigest()
    link = Link(BoxId(head.box), head.epoch, head.seq, one.hash, kind, one.envelope, digest, now_ms)
    tx.add_link(link, effective)
    if message is None:
        tx.add_order(unreadable(tx, link, effective))
    else:
        _decide(tx, message, link, effective, head)
    if head in aside:
        detail = f"epoch {head.epoch}, seq {head.seq}: {aside[head]}"
        tx.raise_alarm(Alarm("not-decided", head.box, "", detail, now_ms), None)
    return Tip(head.seq, one.hash, effective)


def _decide(tx: BillingTx, message: Chained, link: Link, effective_ms: int, head: ChainHead) -> None:
    try:
        if isinstance(message, Order):
            rate(tx, message, link, effective_ms)
        else:
            note_delivery(tx, message, link, link.received_ms)
    except StbError as error:
        if isinstance(error, StorageError) and not isinstance(error, NotFoundError):
            raise  # the database failed: nothing is stored, and the box sends it again
        raise NotDecidedError(head, type(error).__name__) from error
