"""Rounds of orders, batches and fragments at one node or two, and what each took of whom."""

from benchmarks.nodes.database import Database
from benchmarks.nodes.figures import Pair, Rate, paired
from benchmarks.nodes.share import limited
from benchmarks.weight.proc import family
from tests.builders import SigningBox
from tests.load.arrivals import steady
from tests.load.field import Field
from tests.load.figures import Line, line_of
from tests.load.plan import Ask, Result
from tests.load.saturation import BATCH, fragments_at, orders_at
from tests.load.serving import Served

CONNECTIONS = {"order": 64, "batch": 8, "fragment": 64}
"""How many requests are on their way at each node; batches are large, and a few of them are as much work."""


class Bench:
    """Boxes before the nodes that serve them from one database, and rounds of sending."""

    def __init__(self, field: Field, database: Database, sent: dict[str, int]) -> None:
        self._field, self._database, self._sent = field, database, sent
        self._urls = [served.url for served in field.served.values()]
        # Singles and batches come from boxes of their own: what a box ordered today is counted with each.
        every = field.fleet.boxes
        self._boxes = {"order": every[: sent["order"]], "batch": every[sent["order"] :]}

    def round(self, kind: str, nodes: int, part: float = 0.0) -> Rate:
        """Send a round of one kind to so many nodes as fast as it is taken; each has `part` of a core."""
        self._at(kind, nodes)
        asks, chained = self._asked(kind)
        items = len(asks) * (BATCH if kind == "batch" else 1)
        served = list(self._field.served.values())[:nodes]
        with limited(part, [pid for node in served for pid in family(node.pid)[1:]]):
            before = self._spent(served)
            result = self._field.play(asks, chained, 0.0, most_connections=CONNECTIONS[kind])
            node_s, database_s = (now - then for now, then in zip(self._spent(served), before, strict=True))
        self._whole(result)
        node_us, database_us, sender_us = (1e6 * one / items for one in (node_s, database_s, result.cpu_s))
        cores = (node_s + database_s + result.cpu_s) / result.wall_s
        return Rate(items / result.wall_s, node_us, database_us, sender_us, cores)

    def compare(self, kind: str, rounds: int, part: float) -> Pair:
        """Rounds at one node and at two, in turns; each turn begins with the other."""
        turns: list[tuple[Rate, Rate]] = []
        for turn in range(rounds):
            order = (1, 2) if turn % 2 == 0 else (2, 1)
            found = {nodes: self.round(kind, nodes, part) for nodes in order}
            turns.append((found[1], found[2]))
        return paired(kind, part, turns)

    def calm(self, kind: str, rate: float, seconds: float) -> Line:
        """What clients who do not wait for each other see of one node at such a rate."""
        self._at(kind, 1)
        moments = steady(rate, seconds, self._field.chance)
        if kind == "fragment":
            result = fragments_at(self._field, moments, seconds)
        else:
            result = orders_at(self._field, (kind, rate), moments, seconds)
        return line_of(kind, result.kinds[kind], seconds)

    def _at(self, kind: str, nodes: int) -> None:
        for name in self._field.nodes:
            self._field.nodes[name] = self._urls[:nodes]
        if kind in self._boxes:
            self._field.fleet.boxes = self._boxes[kind]

    def all_boxes(self) -> None:
        """Give the field all of its boxes back, for its books."""
        self._field.fleet.boxes = self._boxes["order"] + self._boxes["batch"]

    def _asked(self, kind: str) -> tuple[list[Ask], tuple[list[SigningBox], list[list[bytes]]]]:
        fleet, count = self._field.fleet, self._sent[kind]
        if kind == "fragment":
            first = len(fleet.fragments)
            fleet.seal_fragments(count)
            return [Ask(0, kind, str(first + number).encode()) for number in range(count)], ([], [])
        each = BATCH if kind == "batch" else 1
        boxes = fleet.boxes[:count]
        self._boxes[kind] = fleet.boxes[count:] + boxes  # other boxes in the next round
        chains = fleet.sign_orders(boxes, each)
        return [Ask(0, kind, b"", number, each) for number in range(len(boxes))], (boxes, chains)

    def _spent(self, served: list[Served]) -> tuple[float, float]:
        return sum(one.cpu_s() for one in served), self._database.cpu_s()

    @staticmethod
    def _whole(result: Result) -> None:
        wrong = [(kind, one.statuses) for kind, one in result.kinds.items() if one.statuses.keys() - {"good"}]
        if wrong or result.acked != result.placed:
            raise SystemExit(f"not all was taken: {wrong}")
