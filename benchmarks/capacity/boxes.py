"""When one box asks for what in a week: by the box agent's own rules and chance, without its store and lines.

The moments are drawn by `box_agent.refill` and `box_agent.outbox`, the waiting after a failure by
`box_agent.chance`, orders by the simulator's households. What is written here is only who asks next.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from msgspec.structs import fields

from box_agent import dues, outbox, refill, submission
from box_agent.chance import HOUR_MS, below, full_jitter, moment
from box_agent.published import Pinned
from box_agent.running import TICK_SECONDS
from box_agent.settings import BoxSettings
from shared.clock import from_ms, to_ms
from shared.weeks import Week
from simulator.evenings import Evenings, Purchase
from simulator.offers import Title
from simulator.town import Box, Household, outages

KINDS = (
    "paid order",
    "free order",
    "delivery",
    "heartbeat",
    "catalogue",
    "directory",
    "tokens",
    "tokens refused",
    "relayed directory",
    "fragment",
)
NAMED = KINDS[:8]
HEARTBEAT_MS = HOUR_MS * next(one.default for one in fields(BoxSettings) if one.name == "heartbeat_hours")
TICK_MS = TICK_SECONDS * 1000
Arrival = tuple[str, int, bool]
"""What is asked for, when (Unix milliseconds), and whether there was somebody to answer."""
Span = tuple[int, int]


@dataclass(frozen=True)
class Scene:
    """The week that is played, what can be ordered, how many tokens a box gets, and when nobody answers.

    `published_ms` are the moments at which a new catalogue is put in force.
    """

    week: Week
    zone: ZoneInfo
    evenings: Evenings
    paid: frozenset[str]
    quota: int
    published_ms: tuple[int, ...]
    down: Span | None = None

    @property
    def span(self) -> Span:
        """The week's first millisecond, and the first after it."""
        return to_ms(self.week.start(self.zone)), to_ms(self.week.end(self.zone))


def paid_titles(titles: list[Title]) -> frozenset[str]:
    """The offers whose outcome a box tells: those that cost something."""
    return frozenset(one.offer.offer for one in titles if one.offer.price_cents)


@dataclass
class Draws:
    """The agent's own drawing of moments, with a seeded chance in place of the system's."""

    random: Random
    zone: ZoneInfo
    random_below: Callable[[int], int] = field(init=False)

    def __post_init__(self) -> None:
        draws = self.random.randbytes
        self.random_below = below(draws)
        pinned = Pinned("", "", str(self.zone))
        none = (None, None, None)
        self._refill = refill.Refill(None, none, pinned, draws, lambda _: True)
        self._outbox = outbox.Outbox(None, none, None, outbox.Place(pinned, ""), draws)

    def asking(self, week: Week, now: datetime) -> int:
        """When a box that plans now asks for the week's tokens."""
        return self._refill._moment(week, now)  # noqa: SLF001 (the agent's own drawing is what is wanted)

    def sending(self, week: Week, now: datetime) -> int:
        """When a fragment of the week leaves, if it is planned now."""
        found = self._outbox._moment(week, now)  # noqa: SLF001 (likewise)
        assert found is not None, "a week that has only ended has room"  # noqa: S101 (the benchmark's own)
        return found

    def tick(self) -> int:
        """How long what is due waits for the agent to look, in milliseconds."""
        return self.random_below(TICK_MS + 1)


class Life:
    """One box's week."""

    def __init__(self, scene: Scene, draws: Draws, home: Household, box: Box) -> None:
        self._scene = scene
        self._draws = draws
        self._home, self._box = home, box
        self._start, self._end = scene.span
        self._offline = outages(box, self._start, self._end)
        self._down = self._offline + ([scene.down] if scene.down else [])

    def arrivals(self, *, drawn: bool) -> Iterator[Arrival]:
        """Everything that reaches the headend, or would; `drawn` says whether it is the reporting box."""
        yield from self._heartbeats()
        yield from self._orders()
        if self._box.consent:
            yield from self._tokens(drawn=drawn)
            if drawn:
                yield from self._fragments()

    def _answered(self, at_ms: int) -> bool:
        return not any(start <= at_ms < end for start, end in self._down)

    def _reaches(self, at_ms: int) -> bool:
        """Whether what leaves comes to the headend's door: its home has a network."""
        return not any(start <= at_ms < end for start, end in self._offline)

    def _try(self, kind: str, at_ms: int, wait: Callable[[int], int], most: int = 1_000) -> Iterator[Arrival]:
        """Try until it is answered; `wait` tells how long after how many failures."""
        for tries in range(1, most + 1):
            if at_ms >= self._end:
                return
            answered = self._answered(at_ms)
            if self._reaches(at_ms):
                yield kind, at_ms, answered
            if answered:
                return
            at_ms += wait(tries) + self._draws.tick()

    def _named(self, kind: str, at_ms: int) -> Iterator[Arrival]:
        yield from self._try(kind, at_ms, self._back_off)

    def _back_off(self, tries: int) -> int:
        return full_jitter(tries, submission.BACKOFF_BASE_MS, dues.BACKOFF_MOST_MS, self._draws.random_below)

    def _heartbeats(self) -> Iterator[Arrival]:
        """Each a period after the one before was answered, from a moment of its own; and catalogues."""
        due = self._start + self._draws.random_below(HEARTBEAT_MS)
        news = list(self._scene.published_ms)
        while due < self._end:
            told = list(self._named("heartbeat", due + self._draws.tick()))
            yield from told
            if not told or not told[-1][2]:
                due = (told[-1][1] if told else due) + HEARTBEAT_MS
                continue
            due = told[-1][1] + HEARTBEAT_MS
            if news and news[0] <= told[-1][1]:
                news = [one for one in news if one > told[-1][1]]
                yield from self._named("catalogue", told[-1][1] + self._draws.tick())

    def _orders(self) -> Iterator[Arrival]:
        """What waits after a failure goes with the next attempt, in one submission."""
        last = 0
        for kind, at_ms in self._chained():
            if at_ms < last:
                continue
            told = list(self._named(kind, at_ms))
            yield from told
            last = told[-1][1] if told else self._end

    def _chained(self) -> Iterator[tuple[str, int]]:
        refs: set[str] = set()
        for number in range(7):
            day = self._scene.week.monday() + timedelta(days=number)
            for event in self._scene.evenings.day_orders(self._home, self._box, day):
                if isinstance(event, Purchase):
                    if not event.pin_verified:
                        continue
                    paid = event.offer in self._scene.paid
                    refs |= {event.ref} if paid else set()
                    yield "paid order" if paid else "free order", event.at_ms
                elif event.ref in refs:
                    yield "delivery", event.at_ms

    def _tokens(self, *, drawn: bool) -> Iterator[Arrival]:
        due = self._draws.asking(self._scene.week, from_ms(self._start + self._draws.tick()))
        asked = list(self._try("directory", due, self._back_off_asking))
        yield from asked
        if not asked or not asked[-1][2]:
            return
        yield "tokens" if drawn else "tokens refused", asked[-1][1], True
        if drawn:
            at_ms = asked[-1][1] + moment(*outbox.APART_MS, self._draws.random_below)
            yield from self._try("relayed directory", at_ms, self._later)

    def _back_off_asking(self, tries: int) -> int:
        return full_jitter(
            tries - 1, refill.BACKOFF_BASE_MS, refill.BACKOFF_MOST_MS, self._draws.random_below
        )

    def _later(self, _tries: int) -> int:
        return moment(*outbox.RETRY_MS, self._draws.random_below)

    def _fragments(self) -> Iterator[Arrival]:
        """Those of the week before, which is rolled up at the first look after its end."""
        before, now = self._scene.week.plus(-1), from_ms(self._start + self._draws.tick())
        for _ in range(self._scene.quota):
            at_ms = self._draws.sending(before, now)
            yield from self._try("fragment", at_ms, self._later, outbox.MOST_TRIES)
