"""The generator: sends what a plan says when it says so, whether or not earlier answers have come.

Latency is counted from the planned moment, so that a slow headend cannot hide what it made others wait
(no coordinated omission). It runs in a process of its own:

    python -m tests.load.generator PLAN RESULT
"""

import asyncio
import gc
import re
import resource
import sys
from collections import defaultdict
from pathlib import Path
from random import Random

import uvloop

from box_agent.chance import RandomBelow, below
from box_agent.submission import wait_ms
from tests.load.client import Node
from tests.load.plan import NO_BOX, Ask, Kind, Measured, Plan, Result, Second, read_plan, write

_FRAME = b'{"envelopes":[', b"]}"
_ACK = re.compile(rb'"ack":(\d+)')
_PROBLEM = re.compile(rb"problem:([a-z-]+)")
_SECOND_US = 1_000_000
GOOD = range(200, 400)
MOST_AT_ONCE = 100
NO_ANSWER, TIMED_OUT = "no answer", "timed out"


def cpu_s() -> float:
    """User and system seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Box:
    """A box's chain: what it has placed, what is acknowledged, and whether a submission is on its way."""

    __slots__ = (
        "acked",
        "asked_us",
        "base",
        "busy",
        "chain",
        "kind",
        "number",
        "placed",
        "served_s",
        "tries",
    )

    def __init__(self, number: int, chain: list[bytes], begun: tuple[int, int]) -> None:
        self.number, self.chain = number, chain
        self.base, self.placed = begun
        self.acked = self.tries = 0
        self.busy = False
        self.kind, self.asked_us, self.served_s = "", 0, -1.0

    def body(self) -> bytes:
        """The submission of what is not acknowledged."""
        return b",".join(self.chain[self.acked : min(self.placed, self.acked + MOST_AT_ONCE)]).join(_FRAME)


class Generator:
    """Plays a plan once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        self._nodes = {
            name: [Node(url, plan.most_connections) for url in urls] for name, urls in plan.nodes.items()
        }
        self._turn: dict[str, int] = defaultdict(int)
        self._heads = {name: _head(kind) for name, kind in plan.kinds.items()}
        self._boxes = [
            Box(number, chain, plan.begun[number] if plan.begun else (0, 0))
            for number, chain in enumerate(plan.boxes)
        ]
        self._measured = {name: Measured(defaultdict(int), [], [], 0, {}) for name in plan.kinds}
        self._lateness: list[int] = []
        self._seconds: list[Second] = []
        self._flying = 0
        self._left = len(plan.asks)
        self._begun = 0.0
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._below: RandomBelow | None = None
        if plan.backoff is not None:
            self._below = below(Random(plan.backoff.seed).randbytes)

    async def play(self) -> Result:
        """Send everything at its moment, wait for what is still on its way, and tell."""
        gc.disable()
        before, self._begun = cpu_s(), self._loop.time()
        await self._send_all()
        try:
            await asyncio.wait_for(self._over, self._plan.give_up_s)
        except TimeoutError:
            print("gave up waiting", file=sys.stderr)
        wall, spent = self._loop.time() - self._begun, cpu_s() - before
        for nodes in self._nodes.values():
            for node in nodes:
                node.close()
        late = sorted(self._lateness) or [0]
        return Result(
            kinds=self._measured,
            acked=[box.acked for box in self._boxes],
            placed=[box.placed for box in self._boxes],
            wall_s=wall,
            cpu_s=spent,
            late_us=(late[-1], late[len(late) * 99 // 100]),
            seconds=self._seconds,
            served_s=[box.served_s for box in self._boxes],
        )

    async def _send_all(self) -> None:
        for number, ask in enumerate(self._plan.asks):
            now_us = self._now_us()
            while ask.at_us > now_us:
                await asyncio.sleep((ask.at_us - now_us) / _SECOND_US if ask.at_us - now_us > 500 else 0)
                now_us = self._now_us()
            self._lateness.append(now_us - ask.at_us)
            if ask.box == NO_BOX:
                self._send(ask.kind, ask.body, ask.at_us, number)
            else:
                self._place(ask)
        self._end()

    def _now_us(self) -> int:
        return int((self._loop.time() - self._begun) * _SECOND_US)

    def _second(self) -> Second:
        at = int(self._loop.time() - self._begun)
        while len(self._seconds) <= at:
            self._seconds.append(Second())
        return self._seconds[at]

    def _place(self, ask: Ask) -> None:
        box = self._boxes[ask.box]
        box.placed = min(len(box.chain), box.placed + ask.places)
        box.kind = ask.kind
        if box.busy or box.acked == box.placed:
            self._left -= 1  # nothing to send, or it goes with what the box sends next
            return
        box.busy, box.asked_us = True, ask.at_us
        self._send(ask.kind, box.body(), ask.at_us, ask.box)

    def _send(self, name: str, body: bytes, planned_us: int, number: int) -> None:
        kind = self._plan.kinds[name]
        nodes = self._nodes[kind.nodes]
        self._turn[kind.nodes] += 1
        node = nodes[self._turn[kind.nodes] % len(nodes)]
        start, end = self._heads[name]
        second = self._second()
        self._flying += 1
        second.sent += 1
        second.most = max(second.most, self._flying)
        answered = False

        def done(status: int, answer: bytes) -> None:
            nonlocal answered
            if not answered:
                answered = True
                timer.cancel()
                self._done((name, number, planned_us), status, answer)

        timer = self._loop.call_later(self._plan.timeout_s, done, -1, b"")
        node.ask(b"%b%b\r\nContent-Length: %d%b%b" % (start, node.host, len(body), end, body), done)

    def _done(self, asked: tuple[str, int, int], status: int, answer: bytes) -> None:
        name, number, planned_us = asked
        measured, second = self._measured[name], self._second()
        took = self._now_us() - planned_us
        self._flying -= 1
        if status in GOOD:
            second.good += 1
            measured.statuses["good"] += 1
            measured.good_us.append(took)
            measured.in_time += planned_us + took <= self._plan.window_s * _SECOND_US
            if self._plan.kinds[name].keeps_answers:
                measured.answers[number] = answer
        else:
            second.refused += 1
            measured.statuses[_named(status, answer)] += 1
            measured.refused_us.append(took)
        if self._plan.kinds[name].chains:
            self._box_answered(self._boxes[number], status, answer)
        else:
            self._left -= 1
        self._end()

    def _box_answered(self, box: Box, status: int, answer: bytes) -> None:
        found = _ACK.search(answer) if status in GOOD else None
        before = box.acked
        if found:
            box.acked = max(before, min(int(found[1]) - box.base, box.placed))
        if box.acked == box.placed:
            box.busy, box.tries = False, 0
            box.served_s = self._loop.time() - self._begun
            self._left -= 1
        elif box.acked > before:
            self._send(box.kind, box.body(), self._now_us(), box.number)
        elif self._below is None or self._plan.backoff is None:
            box.busy = False  # it has failed, and tries again with its next order
            self._left -= 1
        else:
            box.tries += 1
            wait = wait_ms(box.tries, self._below) / 1000 / self._plan.backoff.speed
            self._loop.call_later(wait, self._again, box)

    def _again(self, box: Box) -> None:
        self._send(box.kind, box.body(), self._now_us(), box.number)

    def _end(self) -> None:
        if self._left == 0 and not self._over.done():
            self._over.set_result(None)


def _named(status: int, answer: bytes) -> str:
    if status <= 0:
        return NO_ANSWER if status == 0 else TIMED_OUT
    problem = _PROBLEM.search(answer)
    return f"{status} {problem[1].decode() if problem else ''}".strip()


def _head(kind: Kind) -> tuple[bytes, bytes]:
    """What stands before the host's name, and after the body's length."""
    typed = f"\r\nContent-Type: {kind.content_type}" if kind.content_type else ""
    return f"{kind.method} {kind.path} HTTP/1.1\r\nHost: ".encode(), f"{typed}\r\n\r\n".encode()


async def _play(plan: Plan) -> Result:
    return await Generator(plan).play()


def main() -> int:
    """Play the plan in the first file, and tell in the second."""
    plan, result = Path(sys.argv[1]), Path(sys.argv[2])
    write(result, uvloop.run(_play(read_plan(plan))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
