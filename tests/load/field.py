"""What scenarios share: a fleet, the headend that serves it, and runs of a generator whose books are kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.builders import SigningBox
from tests.load.books import Books, Clerk
from tests.load.fleet import KINDS, Fleet, Made, enrol
from tests.load.plan import Ask, Backoff, Plan, Result
from tests.load.serving import Served, generate, serving

SETTLED_S, SETTLING_SPEED = 100.0, 60.0
"""In the end, boxes that owe something come so many a second, and their waits are so many times shorter."""
MOST_CONNECTIONS = 2_000
AGAIN_S = 1.0
"""Seconds after the last arrival before boxes that were refused come again."""


@dataclass(frozen=True)
class Extent:
    """How long and how large: all scenarios' figures come from here."""

    seconds: float = 10.0
    boxes: int = 6_000
    population: int = 8_000_000
    storm_boxes: int = 20_000
    seed: int = 2006


@dataclass
class Field:
    """A fleet before the processes that serve it; `nodes` are base addresses by name."""

    fleet: Fleet
    folder: Path
    extent: Extent
    nodes: dict[str, list[str]]
    served: dict[str, Served]
    clerk: Clerk = field(init=False)
    chance: Random = field(init=False)
    _owed: dict[str, list[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clerk = Clerk(self.fleet)
        self.chance = Random(self.extent.seed)

    def play(
        self,
        asks: list[Ask],
        chained: tuple[list[SigningBox], list[list[bytes]]],
        window_s: float,
        backoff: Backoff | None = None,
        most_connections: int = MOST_CONNECTIONS,
    ) -> Result:
        """Let a generator send for `window_s` seconds, and take over into the books what it saw.

        It has so many connections to each node. An ask without a body and a box sends the next fragment.
        """
        boxes, new = chained
        owed = [self._owed.pop(box.box, []) for box in boxes]
        chains = [before + after for before, after in zip(owed, new, strict=True)]
        begun = [
            (box.seq - len(chain), len(before))
            for box, chain, before in zip(boxes, chains, owed, strict=True)
        ]
        asks.sort(key=lambda ask: ask.at_us)
        fragments: dict[int, Made] = {}
        for number, ask in enumerate(asks):
            if ask.kind == "fragment":
                fragments[number] = self.fleet.fragments[int(ask.body)]
                asks[number] = Ask(ask.at_us, ask.kind, fragments[number].sealed.body)
        plan = Plan(
            nodes=self.nodes,
            kinds=KINDS,
            asks=asks,
            boxes=chains,
            most_connections=most_connections,
            backoff=backoff,
            window_s=window_s,
            begun=begun,
        )
        result = generate(plan, self.folder)
        for box, chain, acked in zip(boxes, chains, result.acked, strict=True):
            if chain[acked:]:
                self._owed[box.box] = chain[acked:]
        self.clerk.note(result, [box.box for box in boxes], fragments, sum(map(len, owed)))
        return result

    def settle(self) -> None:
        """Let boxes that owe something come again, by the agent's backoff, until they owe nothing."""
        boxes = [box for box in self.fleet.boxes if box.box in self._owed]
        if boxes:
            asks = coming_again(len(boxes), 0, SETTLED_S)
            self.play(asks, (boxes, [[] for _ in boxes]), 0.0, Backoff(SETTLING_SPEED, self.extent.seed))

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds of each serving process until now."""
        return {name: served.cpu_s() for name, served in self.served.items()}


def coming_again(count: int, from_us: int, rate: float) -> list[Ask]:
    """Every box once more, evenly: whoever has something that is not acknowledged sends it."""
    return [Ask(from_us + int(number / rate * 1e6), "again", b"", number, 0) for number in range(count)]


@contextmanager
def laid_out(extent: Extent, boxes: int) -> Iterator[tuple[Field, list[Books]]]:
    """A field with so many boxes enrolled; its books are closed into the list when it is left."""
    books: list[Books] = []
    with TemporaryDirectory(prefix="stb-load-") as name:
        folder = Path(name)
        fleet = enrol(folder, boxes)
        installed = fleet.installation.folder
        with serving(installed, "serve", "--gateway-apart") as rest, serving(installed, "gateway") as line:
            nodes = {"named": [rest.url], "console": [rest.url], "anonymous": [line.url]}
            found = Field(fleet, folder, extent, nodes, {"serve": rest, "gateway": line})
            yield found, books
            found.settle()
        books.append(found.clerk.close())
