"""A box's fortnight, by the agent's own code, and what the two ends of its lines see of it.

Real: the agent with its store, every draw of the system's randomness, blinding and blind signatures, sealing,
opened by the gateway's key. Simulated: the town's evenings and orders, when a box has current, the clock, and
how long a request is on its way.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from math import log
from random import Random

from box_agent.app import Agent
from box_agent.events import read_event
from box_agent.lines import Answer, RefusedError
from shared.anonymous import INNER_ANSWER_SIZE
from shared.bhttp import Response, encode_response
from shared.clock import ManualClock, from_ms, to_ms
from shared.errors import StbError
from shared.named import TokenGrant
from shared.notice_version import notice_version
from simulator.evenings import Purchase, Report
from tests.box_agent.fakes import YES, FakeHeadend, settings
from tests.headend.analytics.builders import WEEK
from tests.linkage.place import CLOSES, START, Place, evenings, genres, town
from tests.linkage.reading import grant, read_ask
from tests.simulator.seeded import seeded

DAY = 86_400_000
HOUR = 3_600_000
BEFORE = 3 * DAY
_ON_THE_WAY = (log(30), 0.5)  # ms, lognormal: a home's line, and for fragments the relay beside it


_OFF_AT_NIGHT, _AWAY = 0.4, 1 / 6


@dataclass
class Trace:
    """All that billing and gateway see of one box, and, as the truth, which fragments were its own."""

    number: int
    enrolled: int = 0
    named: list[int] = field(default_factory=list)
    asked: int = 0
    blinded: dict[str, bytes] = field(default_factory=dict)
    signed: dict[str, bytes] = field(default_factory=dict)
    orders: list[tuple[int, str | None]] = field(default_factory=list)
    sent: list[tuple[int, bytes]] = field(default_factory=list)


class NamedEnd(FakeHeadend):
    """Billing's end, which remembers when it heard what."""

    def __init__(self, place: Place, clock: ManualClock, trace: Trace, random: Random) -> None:
        super().__init__()
        self.catalogue = place.catalogue
        self._place, self._clock, self._trace, self._random = place, clock, trace, random

    def post(self, path: str, body: bytes) -> Answer:
        self._trace.named.append(_heard(self._clock, self._random))
        return super().post(path, body)

    def get(self, path: str, etag: str | None = None) -> Answer:
        if path == "catalogue":
            return super().get(path, etag)
        self._trace.named.append(_heard(self._clock, self._random))
        return Answer(200, self._place.directories[path.removeprefix("directory/")])

    def _sign(self, measure: str, blinded: bytes) -> bytes:
        return self._place.signer(measure).blind_sign(blinded)

    def _tokens(self, body: bytes) -> TokenGrant:
        ask, requests = read_ask(body, self.public)
        if ask.week != str(WEEK):
            raise RefusedError("not-reporting-box", 403)
        self._trace.asked = self._trace.named[-1]
        self._trace.blinded = dict(requests)
        self._trace.signed = {measure: self._sign(measure, blinded) for measure, blinded in requests}
        return grant([self._trace.signed[measure] for measure, _ in requests])


class RelayedEnd:
    """The gateway's end: remembers when what came, answers under the seal."""

    def __init__(self, place: Place, clock: ManualClock, trace: Trace, random: Random) -> None:
        self._place, self._clock, self._trace, self._random = place, clock, trace, random

    def post_sealed(self, body: bytes) -> Answer:
        self._trace.sent.append((_heard(self._clock, self._random), body))
        _, context = self._place.gateway().open_request(body)
        return Answer(
            200, context.seal_response(encode_response(Response(200), INNER_ANSWER_SIZE), os.urandom(16))
        )

    def get_directory(self, week: str) -> Answer:
        return Answer(200, self._place.directories[week])


def _heard(clock: ManualClock, random: Random) -> int:
    return to_ms(clock.now()) + int(random.lognormvariate(*_ON_THE_WAY))


class Life:
    """One box from its installation to the close of the week after the one that it tells of."""

    def __init__(self, place: Place, number: int) -> None:
        self._place = place
        self._random = seeded(number)
        self.trace = Trace(number)
        self._home = town(place.town).household(number)
        self.clock = ManualClock(from_ms(START - self._random.randrange(HOUR, BEFORE)))
        self._folder = place.boxes / str(number)
        lines = [end(place, self.clock, self.trace, self._random) for end in (NamedEnd, RelayedEnd)]
        said = settings(self._folder, directory_key=place.directory_pin, postal_area=self._home.postal_area)
        self.agent = Agent(said, (lines[0], lines[1]), self.clock)
        self._off = spells_without_current(self._random) if place.unplugged else []
        self._phase = self._random.randrange(place.ticks.every_ms)

    def play(self) -> Trace:
        self.agent.enrol("code-1234")
        self.trace.enrolled = self.trace.named[0]
        self.agent.set_consent(granted=True, notice=notice_version(), how="test")
        for at_ms, act in self._acts():
            self._tick_until(at_ms)
            if self._powered(at_ms) == at_ms and at_ms >= to_ms(self.clock.now()):
                self.clock.advance_to(from_ms(at_ms))
                act()
        self._tick_until(CLOSES)
        self.agent.close()
        shutil.rmtree(self._folder)
        return self.trace

    def _acts(self) -> Iterator[tuple[int, Callable[[], None]]]:
        box = self._home.boxes[0]
        days = [WEEK.monday() + timedelta(days=number) for number in range(14)]
        for day in days[:7]:
            for event in evenings().day_events(self._home, box, day):
                yield from self._act(event)
        for day in days[7:]:  # what is viewed in the week after goes into no fragment of this one
            for event in evenings().day_orders(self._home, box, day):
                yield from self._act(event)

    def _act(self, event: object) -> Iterator[tuple[int, Callable[[], None]]]:
        if isinstance(event, Report):
            said = {name: value for name, value in event.body.items() if name != "at_ms"}
            yield event.at_ms, lambda: self.agent.report(read_event(said))
        elif isinstance(event, Purchase) and event.pin_verified:
            yield event.at_ms, lambda: self._order(event.offer)

    def _order(self, offer: str) -> None:
        try:
            self.agent.place_order(offer, YES)
        except StbError:
            return  # it runs already
        self.trace.orders.append((to_ms(self.clock.now()), genres()[offer]))

    def _tick_until(self, end_ms: int) -> None:
        while (due := self.agent.next_due()) is not None:
            at_ms = self._ticked(self._powered(max(to_ms(due), to_ms(self.clock.now()))))
            if at_ms >= end_ms:
                return
            self.clock.advance_to(from_ms(at_ms))
            self.agent.tick()

    def _ticked(self, at_ms: int) -> int:
        ticks = self._place.ticks
        at_ms += (self._phase - at_ms) % ticks.every_ms
        return at_ms + self._random.randrange(ticks.jitter_ms + 1)

    def _powered(self, at_ms: int) -> int:
        for start, end in self._off:
            if start <= at_ms < end:
                at_ms = end
        return at_ms


def spells_without_current(random: Random) -> list[tuple[int, int]]:
    """When a box is not under power, in order."""
    return sorted(off_at_night(random) + off_for_days(random))


def off_at_night(random: Random) -> list[tuple[int, int]]:
    """Two boxes of five are switched off at the wall every night, at an hour of their own."""
    if random.random() >= _OFF_AT_NIGHT:
        return []
    night, morning = random.randrange(-2 * HOUR, HOUR), random.randrange(3 * HOUR, 6 * HOUR)
    days = [START + day * DAY for day in range(-3, 15)]
    return [(day + night + random.randrange(HOUR), day + morning + random.randrange(HOUR)) for day in days]


def off_for_days(random: Random) -> list[tuple[int, int]]:
    """One box of six has no current for half a day to nine days: its people are away."""
    if random.random() >= _AWAY:
        return []
    begins = START + random.randrange(14 * DAY)
    return [(begins, begins + random.randrange(DAY // 2, 9 * DAY))]


def play_box(place: Place, number: int) -> Trace:
    """Play one box."""
    return Life(place, number).play()
