"""The running week's player events in the store, by batches: what is written at once is one row.

A flash page is written whole, however little of it is new. A batch of twenty deflated events costs what one
event alone does.
"""

from __future__ import annotations

import zlib

from box_agent.events import Event, pack, unpack
from box_agent.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from box_agent.store import Door

MAX_BYTES = 4 * 1024 * 1024
"""What viewing may take of the store; beyond, the oldest goes first. A week takes some 30 KiB."""
_DEFLATE = 6


class Run(NamedTuple):
    """Events of one stretch in which the clock went on without a jump, as they were taken."""

    number: int
    events: list[Event]


class Viewing:
    """The batches. `boot` tells this start of the box from others; what it tells never leaves the store."""

    def __init__(self, door: Door, boot: str) -> None:
        self._door = door
        self._boot = boot
        last = door.row("SELECT run, boot FROM viewing ORDER BY run DESC, id DESC LIMIT 1")
        # After a power cut nothing runs on: whatever was on ended at its last sign of life.
        self._run = 1 if last is None else int(last[0]) + (last[1] != boot)
        self._bytes: int | None = None
        self.dropped = 0

    def next_run(self) -> None:
        """The clock has jumped: what follows is a stretch of its own."""
        self._run += 1

    def forget(self) -> None:
        """Everything has been deleted, by whoever asked for that."""
        self._bytes = None

    def append(self, events: Sequence[Event]) -> None:
        """Store a batch, durably; beyond `MAX_BYTES` the oldest batches go, and are counted as dropped."""
        with self._door.transaction():
            self._bound(self._insert((self._run, self._boot), events))

    def runs(self) -> list[Run]:
        """Everything on hand, run by run in order; the last is the one that goes on, if only just begun."""
        found: dict[int, list[Event]] = {}
        for run, body in self._door.rows("SELECT run, body FROM viewing ORDER BY run, id"):
            found.setdefault(run, []).extend(unpack([zlib.decompress(body)]))
        found.setdefault(self._run, [])
        return [Run(number, events) for number, events in found.items()]

    def count(self) -> int:
        """How many events are on hand."""
        row = self._door.row("SELECT coalesce(sum(events), 0) FROM viewing")
        return int(row[0]) if row else 0

    def forget_before(self, at_ms: int, still: Iterable[Run] = ()) -> None:
        """Delete events from before an instant, but those which are `still` needed.

        Within the caller's transaction, if there is one.
        """
        with self._door.transaction():
            straddling = self._door.rows(
                "SELECT run, body FROM viewing WHERE first_ms < ? AND last_ms >= ? ORDER BY id",
                (at_ms, at_ms),
            )
            boots: dict[int, str] = dict(self._door.rows("SELECT DISTINCT run, boot FROM viewing"))
            self._door.write("DELETE FROM viewing WHERE first_ms < ?", (at_ms,))
            for run, body in straddling:
                later = [one for one in unpack([zlib.decompress(body)]) if _at(one) >= at_ms]
                self._insert((run, boots[run]), later)
            for number, events in still:
                self._insert((number, boots.get(number, self._boot)), events)
        self._bytes = None

    def _insert(self, place: tuple[int, str], events: Sequence[Event]) -> int:
        """Store them as a batch of a run and of the box's start that it is of; how many bytes that takes."""
        if not events:
            return 0
        body = deflate([pack(event) for event in events])
        stamps = [_at(event) for event in events]
        self._door.write(
            "INSERT INTO viewing (run, boot, first_ms, last_ms, events, body) VALUES (?, ?, ?, ?, ?, ?)",
            (*place, min(stamps), max(stamps), len(events), body),
        )
        return len(body)

    def _bound(self, added: int) -> None:
        if self._bytes is None:
            row = self._door.row("SELECT coalesce(sum(length(body)), 0) FROM viewing")
            self._bytes = int(row[0]) if row else 0
        else:
            self._bytes += added
        while self._bytes > MAX_BYTES:
            oldest = self._door.row("SELECT id, length(body), events FROM viewing ORDER BY id LIMIT 1")
            if oldest is None:
                return
            self._door.write("DELETE FROM viewing WHERE id = ?", (oldest[0],))
            self._bytes -= oldest[1]
            self.dropped += oldest[2]


def deflate(packed: Sequence[bytes]) -> bytes:
    """A batch's body: packed events, one after another."""
    return zlib.compress(b",".join(packed), _DEFLATE)


def _at(event: Event) -> int:
    return event.at_ms or 0
