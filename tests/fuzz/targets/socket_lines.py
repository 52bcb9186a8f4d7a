"""Lines on the agent's socket, answered in this process: `box_agent.local_socket.answer`.

A part is one line. Those that begin with `@` are no lines but what happens meanwhile: `@start NAME` (which
box it is, one of `STARTS`), `@wait MS`, `@jump MS` (the wall clock is set, the monotonic one is not).

The agent notices that the wall clock was set when the next event comes without a time of its own; where it
was set, such an event ends the input. What is believed between the two is not looked at, and the clock is not
set within the millisecond of an event.
"""

import json
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import Any

import msgspec

from box_agent.events import Event, read_event
from box_agent.recorder import MAX_AHEAD_MS
from shared.clock import to_ms
from shared.errors import StbError
from tests.box_agent.fakes import START
from tests.fuzz.boxes import STARTS, FuzzBox, Tables, fuzz_box
from tests.fuzz.door import MAX_LINE, error_name
from tests.fuzz.engine import Fault, Parts
from tests.fuzz.model import Viewed, viewed
from tests.fuzz.mutations import damaged, encoded, scrambled
from tests.fuzz.requests import request

MOST_WAIT_MS = 2 * 86_400_000
"""All waits of an input together: within the week, whose end deletes its viewing."""
MOST_ANSWER = 64 * 1024
_WAITS = (100, 2_000, 14_999, 15_000, 60_000, 61_000, 300_001, 1_200_000, 3 * 3_600_000)
_TIMES = (1, 1, 1, 1, 1, 1, 2, 9)  # the same line again, as a player that was restarted tells it
_JUMPS = (-86_400_000, -61_000, -30_000, 45_000, 3_600_000, 40 * 86_400_000, 500 * 86_400_000)
_SMALL_JUMP_MS = 60_000
_LAST = b'{"op":"event","event":{"event":"progress"}}'
_MISSED_PIN = {"wrong-pin": "pin"}
"""The one refusal that is counted durably, and the table that it is counted in."""


class SocketLines:
    """The socket's lines, from well-formed to nonsense."""

    name = "socket-lines"

    def draw(self, random: Random) -> list[bytes]:
        """See `Target`."""
        start, now_ms = random.choice((STARTS[0], *STARTS)), to_ms(START)
        parts = [f"@start {start}".encode()]
        jumps = random.random() < 0.1
        for _ in range(random.choice((2, 8, 16, 30))):
            wait = random.choice(_WAITS) + random.randrange(1000)
            now_ms += wait
            parts += [f"@wait {wait}".encode()] if random.random() < 0.6 else []
            if jumps and random.random() < 0.2:
                parts.append(f"@jump {random.choice(_JUMPS)}".encode())
            parts += [_line(random, now_ms)] * random.choice(_TIMES)
        return parts

    def run(self, parts: Parts) -> None:
        """See `Target`."""
        start = next((part[7:].decode() for part in parts if part.startswith(b"@start ")), STARTS[0])
        with fuzz_box(start if start in STARTS else STARTS[0]) as box:
            _Talk(box).say_all(parts)


def _line(random: Random, now_ms: int) -> bytes:
    said: Any = request(random, now_ms)
    choice = random.random()
    if choice < 0.65:
        return encoded(said, random)
    for _ in range(random.choice((1, 1, 2))):
        said = damaged(said, random)
    raw = encoded(said, random)
    if choice < 0.85:
        return raw
    if choice < 0.87:
        return raw + b" " * (MAX_LINE - len(raw) + random.randint(-1, 1))
    return scrambled(raw, random).replace(b"\n", b" ").lstrip(b"@")


class _Talk:
    """One input's conversation with one box, checked line by line."""

    def __init__(self, box: FuzzBox) -> None:
        self._box = box
        self._taken: list[Event] = []
        self._waited_ms = self._jumps = 0
        self._stamped = False
        self._seen: tuple[int, Tables] = (-1, {})

    def say_all(self, parts: Parts) -> None:
        for part in parts:
            if part.startswith(b"@"):
                self._pass_time(part)
            else:
                self._say(part)
        if self._jumps:
            self._say(_LAST)
        self._check_minutes()

    def _pass_time(self, part: bytes) -> None:
        word, _, number = part.partition(b" ")
        if word not in {b"@wait", b"@jump"} or not number.removeprefix(b"-").isdigit():
            return
        if word == b"@jump":
            self._box.clock.advance(timedelta(milliseconds=1))
            self._box.clock.jump(max(-(10**11), min(10**11, int(number))))
            self._jumps += 1
            return
        wait = max(0, min(int(number), MOST_WAIT_MS - self._waited_ms))
        self._waited_ms += wait
        self._box.clock.advance(timedelta(milliseconds=wait))

    def _say(self, line: bytes) -> None:
        before = self._tables()
        found = _checked(self._box.door.answer(line))
        if not found["ok"]:
            self._check_unchanged(before, found["error"])
            return
        said = msgspec.json.decode(line)
        if said["op"] == "event":
            # As it is now: a yes moves with the clock, and an event is what makes the agent look at that.
            self._heard(said["event"], kept=found["result"]["kept"], since=self._box.door.consent())
        elif said["op"] == "set-consent" and not said["granted"]:
            self._taken.clear()

    def _heard(self, told: dict[str, object], *, kept: bool, since: tuple[bool, int]) -> None:
        at_ms = told.get("at_ms")
        self._stamped |= at_ms is not None
        stamped = read_event({**told, "at_ms": to_ms(self._box.clock.now()) if at_ms is None else at_ms})
        granted, since_ms = since
        if granted and kept and at_ms is None and to_ms(self._box.clock.now()) < since_ms - MAX_AHEAD_MS:
            return  # the clock is not set yet: it is stamped when it is
        wanted = granted and (stamped.at_ms or 0) >= since_ms
        if kept != wanted:
            raise Fault("an event is kept against the consent, or not in spite of it", str(told))
        if kept:
            self._taken.append(stamped)

    def _tables(self) -> Tables:
        version = self._box.version()
        if version != self._seen[0]:
            self._seen = (version, self._box.tables())
        return self._seen[1]

    def _check_unchanged(self, before: Tables, error: str) -> None:
        after = self._tables()
        if after is before:
            return
        changed = {name for name, rows in after.items() if rows != before[name]}
        if changed - {_MISSED_PIN.get(error)}:
            raise Fault("a refusal changes the store", f"{error}: {', '.join(sorted(changed))}")

    def _check_minutes(self) -> None:
        found = [Viewed(one.item, one.viewed_ms(), one.cut_ms) for one in self._box.door.believed()]
        spans = sorted(span for one in self._box.door.believed() for span in one.stretches)
        # A clock that was set back tells some moments twice; a clock minute of them counts once all the same.
        if not self._jumps and any(end > start for (_, end), (start, _) in pairwise(spans)):
            raise Fault("a moment is viewed twice", str(spans))
        total = sum(one.viewed_ms for one in found)
        if self._jumps:
            most = self._waited_ms + self._jumps * _SMALL_JUMP_MS
            if not self._stamped and total > most:
                raise Fault("more is viewed than time has passed", f"{total} ms in {most} ms")
        else:
            wanted = viewed(self._taken, to_ms(self._box.clock.now()))
            if found != wanted:
                raise Fault("wrong minutes", f"{found} where the stream says {wanted}")
        self._box.restart()
        again = [Viewed(one.item, one.viewed_ms(), one.cut_ms) for one in self._box.door.believed()]
        if again != found:
            raise Fault("a restart changes the minutes", f"{found} became {again}")


def _checked(said: bytes) -> dict[str, Any]:
    """An answer, seen to be one line of the form that docs/box.md gives."""
    if len(said) > MOST_ANSWER or said.count(b"\n") != 1 or not said.endswith(b"\n"):
        raise Fault("no answer of one line", repr(said[:200]))
    found = json.loads(said)
    if found["ok"] is True and set(found) == {"ok", "result"}:
        return dict(found)
    if found["ok"] is not False or set(found) != {"ok", "error", "detail"}:
        raise Fault("no answer of a known form", repr(said[:200]))
    if found["error"] not in _known and found["error"] not in _errors():
        raise Fault("a refusal without a type", repr(said[:200]))
    _known.add(found["error"])
    return dict(found)


_known: set[str] = set()


def _errors() -> set[str]:
    """The names of every typed error of the project."""
    kinds, names = [StbError], set()
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        names.add(error_name(kind.__new__(kind)))
    return names
