"""What the named line owes: orders until they are acknowledged, signs of life, a fresh catalogue.

Orders are resent from the first that is not acknowledged, the same bytes each time. Failures back off
exponentially with full jitter. No transaction is open while something is sent, and what an answer says is
compared with what is stored when it arrives: orders may be placed meanwhile.
"""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from box_agent.alarms import Alarms
from box_agent.chance import HOUR_MS, RandomBelow, full_jitter
from box_agent.dues import BACKOFF_MOST_MS, unacknowledged
from box_agent.identity import Enrolment, Identity, NotEnrolledError
from box_agent.lines import LineDownError, NamedLine, RefusedError
from box_agent.ordering import Ordering
from box_agent.store import Door
from shared.clock import to_ms
from shared.errors import StbError
from shared.named import (
    MAX_ENVELOPES,
    MAX_SUBMISSION,
    Acknowledgement,
    BoxId,
    Heartbeat,
    UnreadableMessageError,
    read,
)

AGENT = "box-agent/1"
BACKOFF_BASE_MS = 30_000
_FRAME = b'{"envelopes":[', b"]}"


class BadAcknowledgementError(StbError):
    """The headend acknowledged what was never sent, or for another box."""


@dataclass(frozen=True)
class _Batch:
    body: bytes
    last: int


class Submission:
    """Sends what is due on the named line."""

    def __init__(
        self,
        door: Door,
        parts: tuple[Identity, Ordering],
        line: NamedLine,
        random_below: RandomBelow,
        heartbeat_hours: int,
    ) -> None:
        self._door = door
        self._identity, self._ordering = parts
        self._line = line
        self._random_below = random_below
        self._alarms = Alarms(door, "named")
        self._period_ms = heartbeat_hours * HOUR_MS

    def begin(self, now: datetime) -> None:
        """Plan the first catalogue and, at a moment of this box's own, the first heartbeat.

        The heartbeat comes last and then stands for good: without it there was a power cut in between.
        """
        self._plan("catalogue", to_ms(now))
        self._plan("heartbeat", to_ms(now) + self._random_below(self._period_ms))

    def run(self, now: datetime) -> None:
        """Do what is due; a failure is planned again and reported to nobody but the alarms."""
        try:
            who = self._identity.enrolment()
        except NotEnrolledError:
            return
        if "heartbeat" not in self._duties():
            self.begin(now)
        duties = self._duties()
        if unacknowledged(self._door) and duties.get("submit", (0, 0))[0] <= to_ms(now):
            self._attempt("submit", now, who)
        for name in ("heartbeat", "catalogue"):
            if name in duties and duties[name][0] <= to_ms(now):
                self._attempt(name, now, who)

    def _attempt(self, name: str, now: datetime, who: Enrolment) -> None:
        try:
            match name:
                case "submit":
                    self._submit(who)
                case "heartbeat":
                    self._heartbeat(who, now)
                case _:
                    self._fetch_catalogue()
        except LineDownError:
            self._fail(name, now)
        except RefusedError as refusal:
            # Orders are never given up: a refusal is an alarm, and the next attempt comes anyway.
            self._alarms.sound(f"{name}-refused-{refusal.name}", now)
            self._fail(name, now)
        except StbError as error:
            self._alarms.sound(f"{name}-{type(error).__name__}", now)
            self._fail(name, now)
        else:
            self._succeed(name, now)

    def _submit(self, who: Enrolment) -> None:
        while batch := self._batch():
            before = self._acked()
            answer = self._line.post("chain", batch.body)
            self._acknowledge(read(answer.body, Acknowledgement), who, batch.last)
            if self._acked() <= before:
                raise LineDownError("the acknowledgement does not move")

    def _batch(self) -> _Batch | None:
        rows = self._door.rows(
            "SELECT chain.seq, envelope FROM chain JOIN head USING (epoch) WHERE chain.seq > acked"
            " ORDER BY chain.seq LIMIT ?",
            (MAX_ENVELOPES,),
        )
        envelopes: list[bytes] = []
        size, last = len(_FRAME[0]) + len(_FRAME[1]), 0
        for seq, envelope in rows:
            size += len(envelope) + 1
            if envelopes and size > MAX_SUBMISSION:
                break
            envelopes.append(envelope)
            last = seq
        return _Batch(b",".join(envelopes).join(_FRAME), last) if envelopes else None

    def _acknowledge(self, ack: Acknowledgement, who: Enrolment, sent: int) -> None:
        if (ack.box, ack.epoch) != (who.box, who.epoch) or ack.ack > sent:
            raise BadAcknowledgementError(f"{ack.ack} acknowledged, {sent} sent")
        # A headend restored from a backup may acknowledge less than before: what this box still has is
        # sent again. Behind what it has pruned it does not go back.
        if ack.ack == self._acked():
            return
        missing = self._door.row(
            "SELECT 1 FROM head WHERE seq > ? AND NOT EXISTS"
            " (SELECT 1 FROM chain WHERE chain.epoch = head.epoch AND chain.seq = ?)",
            (ack.ack, ack.ack + 1),
        )
        if missing:
            raise BadAcknowledgementError(f"{ack.ack} acknowledged, the next is not kept any more")
        self._door.write("UPDATE head SET acked = ? WHERE epoch = ?", (ack.ack, ack.epoch))

    def _heartbeat(self, who: Enrolment, now: datetime) -> None:
        message = heartbeat(self._door, who, now)
        answer = self._line.post("heartbeat", self._identity.sign(message))
        try:
            ack = read(answer.body, Acknowledgement)
        except UnreadableMessageError:
            return  # a sign of life needs no particular answer
        self._acknowledge(ack, who, message.last_seq)
        if ack.catalogue > self._ordering.catalogue_version():
            self._plan("catalogue", to_ms(now))

    def _fetch_catalogue(self) -> None:
        answer = self._line.get("catalogue", self._ordering.catalogue_etag())
        if answer.status != HTTPStatus.NOT_MODIFIED:
            self._ordering.accept_catalogue(answer.body, answer.etag)

    def _acked(self) -> int:
        row = self._door.row("SELECT acked FROM head")
        return int(row[0]) if row else 0

    def _duties(self) -> dict[str, tuple[int, int]]:
        return {name: (due, tries) for name, due, tries in self._door.rows("SELECT * FROM duties")}

    def _plan(self, name: str, due_ms: int, tries: int = 0) -> None:
        self._door.write(
            "INSERT OR REPLACE INTO duties (name, due_ms, tries) VALUES (?, ?, ?)", (name, due_ms, tries)
        )

    def _fail(self, name: str, now: datetime) -> None:
        tries = self._duties().get(name, (0, 0))[1] + 1
        self._plan(name, to_ms(now) + wait_ms(tries, self._random_below), tries)

    def _succeed(self, name: str, now: datetime) -> None:
        if name == "heartbeat":
            self._plan(name, to_ms(now) + self._period_ms)
        else:
            self._door.write("DELETE FROM duties WHERE name = ?", (name,))


def wait_ms(tries: int, random_below: RandomBelow) -> int:
    """Milliseconds until the next attempt after the `tries`-th failure in a row."""
    return full_jitter(tries, BACKOFF_BASE_MS, BACKOFF_MOST_MS, random_below)


def heartbeat(door: Door, who: Enrolment, now: datetime) -> Heartbeat:
    """A sign of life: that this box is there, and where its chain ends."""
    seq, last_hash = door.row("SELECT seq, hash FROM head") or (0, "")
    return Heartbeat(
        box=BoxId(who.box),
        epoch=who.epoch,
        last_seq=seq,
        last_hash=last_hash,
        sent_ms=to_ms(now),
        agent=AGENT,
    )
